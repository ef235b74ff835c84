"""inferd.wire.json_large: a document in pieces is the document."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.errors import MalformedRequest
from inferd.wire import json_large
from inferd.wire.json import decode
from inferd.wire.json_large import Cut, cut, write_values

ANY = msgspec.json.Decoder(Any)

HARD_TEXT = st.text(st.sampled_from('[]{},:"\\ \n\u00e9\u20ac0a'), max_size=12)
# No whole number is small enough to be taken for an array's mark.
WHOLE = st.integers(10**6) | st.integers(max_value=-1)
LEAVES = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | HARD_TEXT
INNER = st.recursive(
    LEAVES,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(HARD_TEXT, v, max_size=3),
    max_leaves=6,
)
LISTS = st.lists(INNER, max_size=12)
PLAIN = st.fixed_dictionaries({"features": LISTS}, optional={"a": INNER, 'b"]': LISTS})
TENSORS = st.fixed_dictionaries(
    {"inputs": st.lists(st.fixed_dictionaries({"data": LISTS, "name": HARD_TEXT}), max_size=3)}
)
DOCUMENTS = (
    st.tuples(PLAIN, st.just(2))
    | st.tuples(TENSORS, st.just(4))
    | st.tuples(st.dictionaries(HARD_TEXT, INNER), st.integers(1, 4))
)
STYLES: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {"indent": 2},
    {"ensure_ascii": False},
]


@pytest.fixture(autouse=True, scope="module")
def tiny() -> Iterator[None]:
    """Windows and pieces of a few bytes, so that small documents have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_large, "WINDOW", 5)
        patch.setattr(json_large, "PIECE", 6)
        patch.setattr(json_large, "SLICE", 4)
        yield


def _whole(pieces: Cut) -> Any:
    """The document with its arrays put back in the places of their marks."""
    arrays = [[value for part in array for value in part] for array in pieces.arrays]
    used: list[int] = []

    def back(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: back(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [back(inner) for inner in value]
        if type(value) is int and 0 <= value < 10**6:
            used.append(value)
            return arrays[value]
        return value

    whole = back(decode(pieces.skeleton, ANY))
    assert sorted(used) == list(range(len(arrays)))
    return whole


def _whole_or_part(pieces: Cut) -> None:
    """Parse everything, whatever it means."""
    decode(pieces.skeleton, ANY)
    for array in pieces.arrays:
        list(array)


def _text(value: Any, style: dict[str, Any]) -> bytes:
    return json.dumps(value, **style).encode()


@given(DOCUMENTS, st.sampled_from(STYLES))
def test_the_pieces_are_the_document(
    chosen: tuple[dict[str, Any], int], style: dict[str, Any]
) -> None:
    """Whatever a document holds, its skeleton with the arrays put back is what a parser reads."""
    value, depth = chosen
    document = _text(value, style)
    assert _whole(cut(document, depth)) == json.loads(document)


@given(LISTS, st.sampled_from(STYLES))
def test_every_long_array_at_the_depth_is_taken_out(
    values: list[Any], style: dict[str, Any]
) -> None:
    """What is left in the skeleton is short."""
    found = cut(b'{"features":' + _text(values, style) + b"}", 2)
    long = len(_text(values, style)) - 1 > json_large.PIECE
    assert len(found.arrays) == long
    if long:
        assert [v for part in found.arrays[0] for v in part] == values
        skeleton: Any = decode(found.skeleton, ANY)
        assert skeleton == {"features": 0}


EDITS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 2), st.sampled_from(list('[]{},:"\\-01.e5 \n'))),
    min_size=1,
    max_size=3,
)


@given(DOCUMENTS, EDITS)
@example(({"features": [1.5, 2.5, 3.5]}, 2), [(13, 0, "-")])
@example(({"features": [1.5, 2.5, 3.5]}, 2), [(13, 0, "1")])
@example(({"features": [1.5, 2.5, 3.5]}, 2), [(28, 0, "5")])
def test_a_malformed_document_is_never_read(
    chosen: tuple[dict[str, Any], int], edits: list[tuple[int, int, str]]
) -> None:
    """What a parser refuses is refused in pieces; what it reads, is read the same or refused."""
    text = json.dumps(chosen[0])
    for at, length, put in edits:
        at %= len(text) + 1
        text = text[:at] + put + text[at + length :]
    document = text.encode()
    assume(document)
    pieces = cut(document, chosen[1])
    try:
        value = decode(document, ANY)
    except MalformedRequest:
        with pytest.raises(MalformedRequest):
            _whole_or_part(pieces)
        return
    assume(not re.search(r"\b\d{1,6}\b", text))  # it might be taken for a mark
    assert _whole(pieces) == value


@pytest.mark.parametrize("text", ["[1,2,3,,4,5]", "[1,2,3,4,5,]", "[,1,2,3,4]", "[1,2 3,4,5,6]"])
def test_a_missing_element_is_refused_wherever_the_cut_falls(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stray comma is a fault in the middle of a piece and at its edge."""
    for size in range(1, 9):
        monkeypatch.setattr(json_large, "PIECE", size)
        pieces = cut(b'{"features":' + text.encode() + b"}", 2)
        with pytest.raises(MalformedRequest):
            _whole_or_part(pieces)


def test_an_empty_array_of_much_white_space_is_empty() -> None:
    """An array without elements is one, however long its text is."""
    pieces = cut(b'{"features":[            ]}', 2)
    assert _whole(pieces) == {"features": []}


@given(hnp.arrays(st.sampled_from([np.float32, np.int64]), hnp.array_shapes(max_dims=3)))
def test_values_are_written_as_in_one_go(array: Any) -> None:
    """The slices that are written one by one are the text of the whole."""
    text = b"[" + write_values(array) + b"]"
    assert repr(decode(text, ANY)) == repr(array.tolist())


def test_nothing_is_written_for_an_empty_array() -> None:
    """An array without rows has no text between its brackets."""
    assert write_values(np.zeros((0, 3))) == write_values(np.zeros(0)) == b""
    assert write_values(np.zeros((2, 0))) == b"[],[]"
    assert write_values(np.array(["a", b"b"], object)) == b'"a","b"'


def test_a_large_document_has_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real sizes no piece is longer than two PIECEs and an element, and none is lost."""
    monkeypatch.setattr(json_large, "WINDOW", 1 << 20)
    monkeypatch.setattr(json_large, "PIECE", 1 << 17)
    rows = [[float(at), at / 3, 0.1, -5.0] for at in range(60_000)]
    pieces = cut(json.dumps({"features": rows}).encode(), 2)
    (array,) = pieces.arrays
    assert max(map(len, array.pieces)) < 2 * json_large.PIECE + 100
    assert [row for part in array for row in part] == rows
