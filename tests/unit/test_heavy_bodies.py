"""Bodies that are made to cost far more than they weigh: the work and the memory are bounded."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inferd.errors import InferdError, InvalidInput, MalformedRequest, PayloadTooLarge, WrongCount
from inferd.pipeline import Pipeline
from inferd.protocols.mlflow import csv_table
from inferd.protocols.mlflow import plugin as mlflow
from inferd.protocols.oip import plugin as oip
from inferd.protocols.tfserving.body import Long
from inferd.wire import json_large, json_tfserving
from inferd.wire.json import decode
from inferd.wire.json_large import PIECE, LongArray, cut
from tests.unit import onnx_files
from tests.unit.asking import Asker

Make = Callable[..., Pipeline]
ANY = msgspec.json.Decoder(Any)
CSV = {b"content-type": b"text/csv"}
INVOKE = ("POST", "/invocations")
INFER, GENERATE = "/v2/models/{model}/infer", "/v2/models/{model}/generate"
MEGABYTE = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Rows of two values, and rows of any number of them."""
    onnx_files.identity(models / "pairs.onnx", [None, 2], onnx_files.FLOAT)
    onnx_files.identity(models / "free.onnx", [None, None], onnx_files.FLOAT)


def _peak(work: Callable[[], Any]) -> int:
    """The most bytes that *work* holds at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _refused(work: Callable[[], Any], kind: type[InferdError], text: str) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises(kind, match=text):
            work()

    return run


@pytest.mark.parametrize("unit", [b'\\"', b'"\\', b"\\\\", b'"', b"\\"])
def test_a_string_that_never_ends_is_read_once(unit: bytes) -> None:
    """Escaped quotes after a foreign number take time in proportion: a million, not thousands, are
    looked through in seconds."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    began = process_time()
    for document in (b'Inf"' + unit * MEGABYTE, b'{"x":[Inf,"' + unit * MEGABYTE):
        with pytest.raises(MalformedRequest):
            json_tfserving.decode(document, decoder)
    with pytest.raises(MalformedRequest):
        list(Long(LongArray((b'Inf,"' + unit * MEGABYTE,))))
    assert process_time() - began < 15  # one at a time it were hours


@pytest.mark.parametrize(
    ("name", "sent", "kind", "text"),
    [
        ("pairs", b"b," * MEGABYTE + b"\n" + b"1," * MEGABYTE, InvalidInput, "too many columns"),
        ("free", b"b," * MEGABYTE + b"\n" + b"1," * MEGABYTE, InvalidInput, "at most 65536"),
        ("free", b"b," * 70_000 + b"\n" + b"1," * 70_000, InvalidInput, "at most 65536"),
        ("pairs", b"b," * 4000 + b"\n" + b"1," * 4000, WrongCount, "columns"),
        ("pairs", b"a,b\n" + b"1," * MEGABYTE, InvalidInput, "too many columns"),
        ("pairs", b"a,b\n" + b'"\n",' * MEGABYTE, InvalidInput, "too many columns"),
        ("pairs", b"a,b\n" + (b"," * 4000 + b"\n") * 1000, WrongCount, "row 0"),
        ("iris", b"b," * 4000 + b"\n" + b"1," * 4000, InvalidInput, "columns"),
    ],
)
def test_a_csv_row_of_very_many_cells_is_refused(
    pipeline: Make, name: str, sent: bytes, kind: type[InferdError], text: str
) -> None:
    """Before there is a list of its cells, and before any row is made into arrays."""
    asker = Asker(mlflow, pipeline(name))
    refusal = _refused(lambda: asker.payload(INVOKE, sent, CSV), kind, text)
    assert _peak(refusal) < 4 * len(sent) + 16 * MEGABYTE


def test_csv_of_legal_width_is_read(pipeline: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that the model does not name are passed over, and no limit is on the rows' number."""
    free = Asker(mlflow, pipeline("free"))
    sent = b"x," * 5000 + b"x\n" + b"1," * 5000 + b"1\n"
    assert free.ask(INVOKE, sent, CSV)["predictions"] == [[1.0] * 5001]
    monkeypatch.setattr(csv_table, "TEXT_COMMAS", 8)
    pairs = Asker(mlflow, pipeline("pairs"))
    sent = b"a,b\n" + b"1,2\n" * 10_000
    assert pairs.ask(INVOKE, sent, CSV)["predictions"] == [[1.0, 2.0]] * 10_000


def _nested(depth: int) -> st.SearchStrategy[Any]:
    leaf: st.SearchStrategy[Any] = st.integers() | st.text(st.sampled_from('[],"\\ a'), max_size=5)
    for _ in range(depth):
        leaf = st.lists(leaf, max_size=4)
    return leaf


def _leaves(value: Any) -> Iterator[Any]:
    if not isinstance(value, list):
        yield value
        return
    for each in value:
        yield from _leaves(each)


def _flat(document: bytes) -> list[Any]:
    """The leaves of every list of *document*, cut flat, in windows and pieces of a few bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_large, "WINDOW", 5)
        patch.setattr(json_large, "PIECE", 6)
        found = cut(document, 2, marker=b' "cut%d" ', flat=True)
    decode(found.skeleton, ANY)
    return [leaf for array in found.arrays for part in array for leaf in _leaves(part)]


@given(st.integers(1, 4).flatmap(_nested), st.sampled_from([None, 1]))
def test_an_array_cut_flat_has_the_same_leaves(value: Any, indent: int | None) -> None:
    """Whatever its nesting and wherever it is cut."""
    document = json.dumps({"x": value}, indent=indent).encode()
    assert _flat(document) in (list(_leaves(value)), [])  # it may be too short to be taken out
    if len(document) > 100:
        assert _flat(document) == list(_leaves(value))


EDITS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 2), st.sampled_from(list('[]{},:"\\-1 \n'))),
    min_size=1,
    max_size=3,
)


@given(st.integers(1, 4).flatmap(_nested), EDITS)
@example([[1, 2, 3, 4, 5, 6]], [(9, 0, ",")])
@example([[[], [], [], [], []]], [(17, 0, ",")])
@example([[[], [], [], [], []]], [(8, 0, ",")])
def test_a_malformed_array_cut_flat_is_refused(
    value: Any, edits: list[tuple[int, int, str]]
) -> None:
    """What a parser refuses as a whole is refused in pieces, though each is given brackets."""
    text = json.dumps({"x": value})
    for at, length, put in edits:
        at %= len(text) + 1
        text = text[:at] + put + text[at + length :]
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(MalformedRequest):
            _flat(text.encode())


@pytest.mark.parametrize("body", ["[" + ",".join(["[]"] * 10**6) + "]", str([[[1.5, 2.5]] * 9**5])])
def test_no_piece_is_long_where_nesting_does_not_count(body: str) -> None:
    """A list within the list is cut as well as the list itself."""
    (array,) = cut(b'{"x":[' + body.encode() + b"]}", 2, flat=True).arrays
    assert max(map(len, array.pieces)) < 2 * PIECE + 100
    leaves = chain.from_iterable(map(_leaves, array))
    assert sum(1 for _ in leaves) == body.count(".")


@pytest.mark.parametrize("data", ["[[%s]]", "[[[%s]]]", "[%s]", "[[[[[%s]]]]]"])
def test_nested_data_of_megabytes_is_answered(pipeline: Make, data: str) -> None:
    """By infer and by generate, as the same data is flat."""
    values = [float(at) for at in range(200_000)]
    text = data % ",".join(map(str, values))
    asker = Asker(oip, pipeline("free"))
    tensor = f'{{"name":"X","datatype":"FP32","shape":[2,100000],"data":{text}}}'
    answer = asker.decode(INFER, f'{{"inputs":[{tensor}]}}'.encode(), model="free")
    assert answer.inputs["X"].ravel().tolist() == values
    answer = asker.decode(GENERATE, f'{{"X":{text}}}'.encode(), model="free")
    assert answer.inputs["X"].ravel().tolist() == values


HEAVY = b"[" + b"[]," * (2 * MEGABYTE) + b"[]]"


@pytest.mark.parametrize(
    ("dialect", "path", "sent"),
    [
        (mlflow, "/invocations", b'{"inputs":[%s]}'),
        (mlflow, "/invocations", b'{"inputs":{"X":[%s]}}'),
        (mlflow, "/invocations", b'{"params":{"a":{"b":%s}},"inputs":[[1,2]]}'),
        (oip, INFER, b'{"inputs":[],"parameters":{"a":{"b":{"c":%s}}}}'),
    ],
)
def test_an_element_of_very_many_values_is_refused(
    pipeline: Make, dialect: Any, path: str, sent: bytes
) -> None:
    """Before it is parsed, with what to do instead, at whatever place it stands."""
    asker = Asker(dialect, pipeline("pairs"))
    body = sent % HEAVY
    refusal = _refused(
        lambda: asker.decode(path, body, model="pairs"), PayloadTooLarge, "Send it as a flat list"
    )
    assert _peak(refusal) < 5 * len(body)


@pytest.mark.parametrize(
    "element",
    [
        b'"' + b"[one, two], " * MEGABYTE + b'"',
        b"[" + b"0.25," * (8 * MEGABYTE // 5) + b"1]",
        b"[" + b"[10,20,30]," * (8 * MEGABYTE // 11) + b"[1,2,3]]",
    ],
    ids=["text", "row", "image"],
)
def test_one_element_of_eight_megabytes_is_read(element: bytes) -> None:
    """A row of many features, an image as nested lists, or a text."""
    for sent in (b"[%s]" % element, b"[1,%s,2]" % element):
        (array,) = cut(b'{"x":' + sent + b"}", 2).arrays
        assert [v for part in array for v in part] == json.loads(sent)
        assert [v for part in Long(array) for v in part] == json.loads(sent)


@pytest.mark.parametrize("unit", [b"\\\\", b'\\"', b"\\n"])
def test_a_string_of_escapes_is_cut_in_windows(unit: bytes) -> None:
    """However long a run of backslashes is, a window ends, and where the string does is known."""
    text = b'"' + unit * MEGABYTE + b'"'
    document = b'{"y":' + text + b',"x":[' + b"1," * MEGABYTE + b"1]}"
    assert max(map(len, _windows(document))) <= json_large.WINDOW + 1
    found = json.loads(b"[%s]" % text)
    with pytest.raises(MalformedRequest, match="too much beside"):
        cut(document, 2)
    (array,) = cut(b'{"x":[' + text + b",1]}", 2).arrays
    assert list(chain.from_iterable(array)) == [found[0], 1]


def _windows(document: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(document):
        yield (window := json_large._window(document, at))
        at += len(window)
