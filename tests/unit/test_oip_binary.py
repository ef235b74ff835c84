"""protocols/oip, the binary tensor extension: against Triton's own client, and against what no
client sends."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inferd.calls import InferResponse
from inferd.config import Settings
from inferd.errors import InferdError, InvalidInput, MalformedRequest
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import answers, rest
from inferd.protocols.oip.binary import SMALL, header_length
from inferd.protocols.oip.rest import Infer
from inferd.wire import json_large
from tests.unit import onnx_files
from tests.unit.oip_models import (
    CLIENT_TYPES,
    KINDS,
    LENGTH,
    Array,
    Sent,
    answered,
    decoded,
    header,
    read,
    request,
    tensor,
    write_identities,
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, and one of two inputs."""
    folder = tmp_path_factory.mktemp("identities")
    made = Pipeline(Settings(), cores=1)
    made.load([*write_identities(folder), onnx_files.adder(folder / "simple.onnx")])
    yield made
    made.close()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, Array]:
    """A datatype, and an array of it."""
    name = draw(st.sampled_from(sorted(KINDS)))
    shape = draw(SHAPES)
    if name == "BYTES":
        count = shape[0] * shape[1]
        texts = draw(st.lists(TEXTS, min_size=count, max_size=count))
        return name, np.array(texts, np.object_).reshape(shape)
    return name, draw(arrays.arrays(CLIENT_TYPES[name], shape))


def same(got: Array, sent: Array) -> None:
    """Equal in shape, type and every bit; strings as text."""
    assert got.shape == sent.shape
    assert got.dtype == sent.dtype
    if sent.dtype.kind == "O":
        assert got.tolist() == sent.tolist()
    else:
        assert got.tobytes() == sent.tobytes()


@given(sent=tensors(), id=st.text(st.characters(codec="ascii"), max_size=4), named=st.booleans())
def test_what_tritons_client_writes_is_read_and_what_is_written_it_reads(
    served: Pipeline, sent: tuple[str, Array], id: str, named: bool
) -> None:
    """Any array of any datatype, both ways, whether or not its output is named."""
    datatype, array = sent
    wanted = [triton.InferRequestedOutput("Y")] if named else None
    asked = decoded(
        served, datatype, request([tensor(array, datatype)], wanted, request_id=id), strict=True
    )
    same(asked.inputs["X"], array)
    assert (asked.rows, asked.id, asked.parameters) == (len(array), id, {})
    result = read(answered(asked, Y=asked.inputs["X"]))
    came = result.as_numpy("Y")
    if datatype == "BYTES":
        came = np.array([v.decode() for v in came.ravel()], np.object_).reshape(came.shape)
    same(came, array)
    assert result.get_output("Y")["datatype"] == datatype
    assert "data" not in result.get_output("Y")


@given(sent=tensors(), binary_in=st.booleans(), binary_out=st.booleans())
def test_json_and_memory_mix(
    served: Pipeline, sent: tuple[str, Array], binary_in: bool, binary_out: bool
) -> None:
    """An input as JSON with its output as memory, and the other way round."""
    datatype, array = sent
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, nan=1.5, posinf=2.5, neginf=-2.5)
    wanted = [triton.InferRequestedOutput("Y", binary_data=binary_out)]
    asked = decoded(served, datatype, request([tensor(array, datatype, binary=binary_in)], wanted))
    assert asked.inputs["X"].tolist() == array.tolist()
    result = read(answered(asked, Y=asked.inputs["X"]))
    came = result.as_numpy("Y").tolist()
    if datatype == "BYTES":
        came = [[v.decode() if isinstance(v, bytes) else v for v in row] for row in came]
    assert came == array.tolist()
    assert ("data" in result.get_output("Y")) == (not binary_out)


def test_an_input_is_a_view_of_the_body_and_is_not_written_to(served: Pipeline) -> None:
    """Where it lies as numbers must lie, it is not copied; elsewhere it is; never can it be
    written, though a large body is a bytearray."""
    for pad, columns in itertools.product(range(4), (4, SMALL)):
        array = np.arange(2 * columns, dtype=np.float32).reshape(2, columns)
        sent = request([tensor(array, "FP32")], request_id="a" * (pad + 1))
        body = bytearray(sent.body)
        got = decoded(served, "FP32", Sent(body, sent.headers)).inputs["X"]
        np.testing.assert_array_equal(got, array)
        assert got.flags.aligned
        whole = np.frombuffer(body, np.uint8)
        lies_well = (whole.ctypes.data + int(sent.headers[LENGTH])) % 4 == 0
        assert np.shares_memory(got, whole) == lies_well
        assert got.flags.writeable != lies_well


def test_any_byte_but_zero_is_true(served: Pipeline) -> None:
    """A BOOL of other bytes does not reach a model, which may expect 1."""
    tensor = {"name": "X", "shape": [1, 4], "datatype": "BOOL"}
    sent = header({"inputs": [tensor | {"parameters": {"binary_data_size": 4}}]}, b"\0\1\2\xff")
    got = decoded(served, "BOOL", sent).inputs["X"]
    assert got.view(np.uint8).tolist() == [[0, 1, 1, 1]]


def test_a_large_output_goes_out_as_its_own_memory(served: Pipeline) -> None:
    """No copy is made, unless it lies otherwise than it is sent."""
    asked = decoded(served, "FP32", request([tensor(np.zeros((1, 1), np.float32), "FP32")]))
    large = np.arange(SMALL, dtype=np.float32).reshape(2, -1)
    for array in (large, large.T.copy().T, large[:, ::2]):
        payload = answered(asked, Y=array)
        (memory,) = payload.tail
        contiguous = array.flags.c_contiguous
        assert np.shares_memory(np.frombuffer(memory, np.uint8), array) == contiguous
        assert isinstance(memory, memoryview)
        assert memory.format == "B"
        np.testing.assert_array_equal(read(payload).as_numpy("Y"), array)


def test_an_answer_without_memory_is_plain_json(served: Pipeline) -> None:
    """Where all that is wanted as memory is empty, no header says that something follows."""
    empty = np.zeros((0, 3), np.float32)
    payload = answered(decoded(served, "FP32", request([tensor(empty, "FP32")])), Y=empty)
    assert payload.content_type == b"application/json"
    assert not payload.headers
    assert json.loads(payload.body)["outputs"] == [
        {"name": "Y", "datatype": "FP32", "shape": [0, 3], "parameters": {"binary_data_size": 0}}
    ]


def test_several_tensors_follow_in_order(served: Pipeline) -> None:
    """Those as JSON are passed over; outputs come in the model's order, whatever the request's."""
    first = np.arange(4, dtype=np.int32).reshape(1, 4)
    for binary in ((True, True), (True, False), (False, True)):
        names = ("INPUT1", "INPUT0")
        inputs = [
            tensor(first * (at + 1), "INT32", binary=b, name=name)
            for at, (b, name) in enumerate(zip(binary, names, strict=True))
        ]
        wanted = [triton.InferRequestedOutput(n, binary_data=b) for n, b in
                  zip(("OUTPUT1", "OUTPUT0"), binary, strict=True)]  # fmt: skip
        asked = decoded(served, "simple", request(inputs, wanted))
        np.testing.assert_array_equal(asked.inputs["INPUT1"], first)
        np.testing.assert_array_equal(asked.inputs["INPUT0"], first * 2)
        result = read(answered(asked, OUTPUT0=first, OUTPUT1=-first))
        assert [o["name"] for o in result.get_response()["outputs"]] == ["OUTPUT0", "OUTPUT1"]
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), first)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), -first)


def test_strings_that_the_model_gives_as_bytes_go_out_as_they_are(served: Pipeline) -> None:
    """Text as UTF-8, bytes untouched, fixed-width strings without their padding."""
    asked = decoded(served, "BYTES", request([tensor(np.array([["a"]], np.object_), "BYTES")]))
    mixed = np.array([["é", b"\xff\x00", ""]], np.object_)
    assert read(answered(asked, Y=mixed)).as_numpy("Y").tolist() == [[b"\xc3\xa9", b"\xff\0", b""]]
    assert read(answered(asked, Y=np.array([["ab", "c"]]))).as_numpy("Y").tolist() == [
        [b"ab", b"c"]
    ]


@given(rows=st.integers(0, 3), strict=st.booleans(), request_wide=st.booleans())
def test_a_large_document_is_answered_as_a_small_one(
    served: Pipeline, rows: int, strict: bool, request_wide: bool
) -> None:
    """Read and written in pieces or whole: the same arrays, the same answer."""
    array = np.arange(rows * 4, dtype=np.int32).reshape(rows, 4)
    inputs = [
        tensor(array, "INT32", binary=binary, name=name)
        for binary, name in ((False, "INPUT0"), (True, "INPUT1"))
    ]
    wanted = [triton.InferRequestedOutput("OUTPUT0", binary_data=False),
              triton.InferRequestedOutput("OUTPUT1")]  # fmt: skip
    sent = request(inputs, None if request_wide else wanted)
    outcomes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_large, "WINDOW", 16)
        patch.setattr(json_large, "PIECE", 8)
        for large, slice_, body in ((1 << 20, 1 << 14, sent.body), (0, -1, bytearray(sent.body))):
            patch.setattr(rest, "LARGE", large)
            patch.setattr(answers, "SLICE", slice_)
            asked = decoded(served, "simple", sent._replace(body=body), strict=strict)
            same(asked.inputs["INPUT0"], array)
            same(asked.inputs["INPUT1"], array)
            payload = answered(asked, OUTPUT0=array, OUTPUT1=array)
            outcomes.append((payload.body, b"".join(payload.tail), payload.headers))
    assert outcomes[0] == outcomes[1]


SIZED: dict[str, Any] = {"name": "X", "shape": [2, 2], "datatype": "FP32"}


def sized(size: Any, **changes: Any) -> dict[str, Any]:
    """A document of one tensor of four numbers that lies behind it."""
    return {"inputs": [SIZED | {"parameters": {"binary_data_size": size}} | changes]}


FOUR = bytes(16)
BOTH = "'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But"
FAULTS = [
    (sized(16), FOUR[:12], "unexpected size for input 'X', expecting 4 additional bytes for model"),
    (sized(16), FOUR + b"\0", "unexpected additional input data for model 'FP32'"),
    (
        sized(12),
        FOUR[:12],
        "input byte size mismatch for input 'X' for model 'FP32'. Expected 16, ",
    ),
    (sized(20), FOUR + b"1234", "Expected 16, got 20"),
    (sized(1 << 62), FOUR, "unexpected size for input 'X', expecting 4611686018427387888 addition"),
    (sized(16, data=[1, 2, 3, 4]), FOUR, f"{BOTH} set 'data' 'binary_data_size'"),
    ({"inputs": [SIZED]}, FOUR, f"{BOTH} no field is set"),
    (sized(16, shape=[2**31, 17]), FOUR, "Expected 146028888064, got 16"),
    (sized(16, shape=[2**62, 2**62]), FOUR, "input byte size mismatch"),
    (sized(0, shape=[0, 2**63 - 1]), b"", "no tensor can have the shape of 'X'"),
    (sized(16, datatype="FP99"), FOUR, "'X' has the wrong datatype"),
    (
        {"inputs": [SIZED | {"parameters": {"binary_data_size": 16, "shared_memory_region": "r"}}]},
        FOUR,
        f"{BOTH} set 'binary_data_size' 'shared_memory_region'",
    ),
    ({"inputs": [SIZED | {"parameters": {"shared_memory_region": "r"}}]}, b"1", "shared memory is"),
]


@pytest.mark.parametrize(("document", "blob", "text"), FAULTS)
@pytest.mark.parametrize("strict", [False, True])
def test_a_blob_that_does_not_fit_is_told_in_tritons_words(
    served: Pipeline, document: Any, blob: bytes, text: str, strict: bool
) -> None:
    """Too short, too long, or for another shape; and no other memory than the body's is read."""
    with pytest.raises(InvalidInput) as raised:
        decoded(served, "FP32", header(document, blob), strict=strict)
    assert text in str(raised.value)


@pytest.mark.parametrize("size", [True, False, -1, 16.0, "16", [16], 1 << 63, 1 << 70, -(1 << 70)])
def test_what_is_no_size_is_malformed(served: Pipeline, size: Any) -> None:
    """A truth, a fraction, a string, or a number that no size can be."""
    with pytest.raises(MalformedRequest):
        decoded(served, "FP32", header(sized(size), FOUR))


def test_a_tensor_behind_no_document_is_missing(served: Pipeline) -> None:
    """Without the header the whole body is the document."""
    body = json.dumps(sized(16)).encode()
    with pytest.raises(InvalidInput, match="expecting 16 additional bytes"):
        decoded(served, "FP32", Sent(body, {}))


LETTERS = [
    (
        b"\1\0\0\0a" * 3,
        "expected 4 string elements for inference input 'X' for model 'BYTES', got 3",
    ),
    (b"\1\0\0\0a" * 5, "unexpected number of string elements 5 for inference input 'X' for model"),
    (b"\1\0\0\0a" * 3 + b"\1\0", "incomplete string length indicator for inference input 'X' for "),
    (b"\1\0\0\0a" * 3 + b"\2\0\0\0a", "expecting string of length 2 but only 1 bytes available"),
    (b"\xff\xff\xff\xff", "expecting string of length 4294967295 but only 0 bytes available"),
    (b"\1\0\0\0a" * 3 + b"\1\0\0\0\xff", "a string element of inference input 'X' is not UTF-8"),
    (b"", "expected 4 string elements for inference input 'X' for model 'BYTES', got 0"),
]


@pytest.mark.parametrize(("blob", "text"), LETTERS)
def test_strings_that_do_not_fit_are_told_in_tritons_words(
    served: Pipeline, blob: bytes, text: str
) -> None:
    """Too few or too many, or one that goes on behind the end."""
    document = sized(len(blob), datatype="BYTES")
    with pytest.raises(InvalidInput) as raised:
        decoded(served, "BYTES", header(document, blob))
    assert text in str(raised.value)


@pytest.mark.parametrize("value", [b"0", b"7", b"338", b"0007"])
def test_a_length_within_the_body_is_read(value: bytes) -> None:
    """Up to the whole of it."""
    assert header_length(value, 338) == int(value)


@pytest.mark.parametrize("value", [b"339", b"99999", b"-1", b"-0", b"9" * 5000, b"-" + b"9" * 5000])
def test_a_length_beyond_the_body_is_out_of_range(value: bytes) -> None:
    """In Triton's words, and however many digits it has."""
    with pytest.raises(InvalidInput, match=r"header size should be in range \(0, 338\), got: "):
        header_length(value, 338)


@pytest.mark.parametrize(
    "value", [b"abc", b"", b"-", b"+5", b"1e2", b"0x10", b"10, 10", b"1_0", b"\xb2"]
)
def test_what_is_no_number_is_no_length(value: bytes) -> None:
    """In Triton's words."""
    with pytest.raises(InvalidInput, match=r"Unable to parse Inference-Header-Content-Length, got"):
        header_length(value, 338)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


DOCUMENTS = st.builds(
    lambda size, shape, datatype, outputs: (
        sized(size, shape=shape, datatype=datatype) | {"outputs": outputs}
    ),
    st.integers(-2, 20) | JSON,
    st.lists(st.integers(-1, 5) | st.integers(), max_size=3),
    st.sampled_from([*KINDS, "BF16", "?"]),
    st.none() | JSON | st.just([{"name": "Y", "parameters": {"classification": 2}}]),
)
LENGTHS = st.integers(-2, 200).map(lambda n: b"%d" % n) | st.binary(max_size=4)


@given(document=DOCUMENTS, length=LENGTHS | st.none(), blob=st.binary(max_size=40))
def test_whatever_is_sent_is_read_or_refused(
    served: Pipeline, document: Any, length: bytes | None, blob: bytes
) -> None:
    """No fault but ours ever comes out, and what is read can be answered."""
    text = json.dumps(document).encode()
    headers = {LENGTH: b"%d" % len(text) if length is None else length}
    datatype = document["inputs"][0]["datatype"]
    for model in (datatype if datatype in KINDS else "FP32", "simple", "FP64"):
        for strict in (False, True):
            operation = Infer(strict=strict)
            try:
                asked: Any = operation.decode(
                    Message(text + blob, {"model": model}, headers), served.manager.lookup
                )
            except InferdError:
                continue
            operation.encode(asked, InferResponse(asked, {"Y": asked.inputs["X"]}))
