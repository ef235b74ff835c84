"""protocols/oip/grpc: what is said of a request that does not fit, and under which code."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from inferd.config import Settings
from inferd.errors import Code, InferdError
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import plugin
from tests.unit import onnx_files
from tests.unit.oip_grpc import (
    CONTENTS,
    Grpc,
    as_contents,
    changed,
    pair,
    share,
    want,
    with_parameter,
)
from tests.unit.oip_models import KINDS, Array, decoded, header, write_identities

ARGUMENT = Code.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, and one of two inputs."""
    folder = tmp_path_factory.mktemp("texts")
    made = Pipeline(Settings(), cores=1)
    made.load([*write_identities(folder), onnx_files.adder(folder / "simple.onnx")])
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["main", "triton"])
def asker(served: Pipeline, request: pytest.FixtureRequest) -> Grpc:
    """The main port, and Triton's own."""
    return Grpc(served, strict=request.param)


def _reshape(request: Any, at: int, *shape: int) -> None:
    request.inputs[at].shape[:] = shape


def _cut(request: Any, at: int) -> None:
    request.raw_input_contents[at] = request.raw_input_contents[at][:-4]


def _add(request: Any, at: int) -> None:
    request.inputs.append(request.inputs[at])
    request.raw_input_contents.append(request.raw_input_contents[at])


def _drop(request: Any) -> None:
    del request.inputs[1], request.raw_input_contents[1]


def _share_output(request: Any) -> None:
    want(request, "OUTPUT0")
    share(request.outputs[0])


FAULTS: list[tuple[Callable[[Any], object], str]] = [
    (
        lambda r: setattr(r.inputs[1], "name", "FOO"),
        "unexpected inference input 'FOO' for model 'simple'",
    ),
    (lambda r: want(r, "FOO"), "unexpected inference output 'FOO' for model 'simple'"),
    (lambda r: _add(r, 0), "input 'INPUT0' already exists in request"),
    (
        _drop,
        "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but "
        "missing required input(s) ['INPUT1']. Please provide all required input(s).",
    ),
    (
        lambda r: setattr(r.inputs[0], "datatype", "FP32"),
        "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'",
    ),
    (
        lambda r: setattr(r.inputs[0], "datatype", "nonsense"),
        "inference input 'INPUT0' data-type is '<invalid>', but model 'simple' expects 'INT32'",
    ),
    (
        lambda r: _reshape(r, 1, 1, 3),
        "unexpected shape for input 'INPUT1' for model 'simple'. Expected [-1,4], got [1,3]",
    ),
    (
        lambda r: _reshape(r, 1, -1, 4),
        "unexpected shape for input 'INPUT1' for model 'simple'. Expected [-1,4], got [-1,4]",
    ),
    (
        lambda r: _reshape(r, 1),
        "input 'INPUT1' has no shape but model requires batch dimension for 'simple'",
    ),
    (
        lambda r: _reshape(r, 1, 2, 4),
        "input 'INPUT1' batch size does not match other inputs for 'simple'",
    ),
    (
        lambda r: _cut(r, 0),
        "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 16, got 12",
    ),
    (
        lambda r: r.inputs[0].contents.int_contents.extend([1, 2, 3, 4]),
        "contents field must not be specified when using raw_input_contents for 'INPUT0' for model "
        "'simple'",
    ),
    (
        lambda r: r.raw_input_contents.pop(),
        "unable to find data for input tensor 'INPUT1' for model 'simple' in request.",
    ),
    (
        lambda r: r.ClearField("raw_input_contents"),
        "unable to find data for input tensor 'INPUT0' for model 'simple' in request.",
    ),
    (
        lambda r: share(r.inputs[0]),
        "shared memory is not read: expected raw_input_contents or contents of input 'INPUT0'",
    ),
    (
        _share_output,
        "shared memory is not written: expected no 'shared_memory_region'",
    ),
    (
        lambda r: want(r, "OUTPUT0", classification=pb.InferParameter(string_param="1")),
        "invalid value type for 'classification' parameter, expected int64_param",
    ),
    (
        lambda r: want(r, "OUTPUT0", classification=pb.InferParameter(int64_param=0)),
        "invalid value for 'classification' parameter, expected >= 0",
    ),
    (
        lambda r: with_parameter(r, "timeout", string_param="1"),
        "invalid value type for 'timeout' parameter, expected int64_param.",
    ),
    (
        lambda r: with_parameter(r, "timeout", int64_param=-1),
        "invalid value for 'timeout', expected value >= 0.",
    ),
    (
        lambda r: with_parameter(r, "priority", bool_param=True),
        "invalid value type for 'priority' parameter, expected int64_param or uint64_param.",
    ),
    (
        lambda r: with_parameter(r, "priority", int64_param=-1),
        "invalid value for 'priority', expected value >= 0.",
    ),
    (
        lambda r: with_parameter(r, "sequence_id", bool_param=True),
        "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
    ),
    (
        lambda r: with_parameter(r, "sequence_start", int64_param=1),
        "invalid value type for 'sequence_start' parameter, expected bool_param.",
    ),
    (
        lambda r: with_parameter(r, "sequence_end", string_param=""),
        "invalid value type for 'sequence_end' parameter, expected bool_param.",
    ),
    (
        lambda r: with_parameter(r, "triton_enable_empty_final_response", int64_param=1),
        "invalid value type for 'triton_enable_empty_final_response' parameter, expected "
        "bool_param.",
    ),
    (
        lambda r: with_parameter(r, "triton_more", bool_param=True),
        "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following "
        "keys starting with 'triton_' are allowed: triton_enable_empty_final_response",
    ),
    (
        lambda r: with_parameter(r, "mine"),
        "invalid value type for 'mine' parameter, expected int64_param, bool_param, or "
        "string_param.",
    ),
]


@pytest.mark.parametrize(("change", "text"), FAULTS)
def test_a_request_that_does_not_fit_is_told_in_tritons_words(
    asker: Grpc, change: Callable[[Any], object], text: str
) -> None:
    """Each is the caller's fault; and what was learnt from a right request changes nothing."""
    for _ in range(2):
        asker.infer(pair())
        assert asker.refusal("ModelInfer", changed(change)) == (ARGUMENT, text)


ALSO_OVER_REST = [fault for fault in FAULTS[:11] if "<invalid>" not in fault[1]]


@pytest.mark.parametrize(("change", "text"), ALSO_OVER_REST)
def test_the_same_request_over_rest_gets_the_same_words(
    asker: Grpc, change: Callable[[Any], object], text: str
) -> None:
    """The same tensors in a document with memory behind it."""
    request = changed(change)
    tensors = [
        {
            "name": sent.name,
            "shape": list(sent.shape),
            "datatype": sent.datatype,
            "parameters": {"binary_data_size": len(blob)},
        }
        for sent, blob in zip(request.inputs, request.raw_input_contents, strict=True)
    ]
    outputs = {"outputs": [{"name": sent.name} for sent in request.outputs]}
    sent = header(
        {"inputs": tensors, **(outputs if request.outputs else {})}, *request.raw_input_contents
    )
    dialect = plugin if asker.rpc is plugin.rpc else plugin.at("triton")
    with pytest.raises(InferdError) as caught:
        decoded(asker.served, "simple", sent, strict=dialect is not plugin)
    told = dialect.encode_error(caught.value, Message(b"", {"model": "simple"}))
    assert json.loads(told.body) == {"error": text}
    assert asker.refusal("ModelInfer", request)[1] == text


def test_whole_numbers_without_a_sign_are_taken_on_the_main_port_only(served: Pipeline) -> None:
    """Triton reads ``uint64_param`` as a priority only."""
    for name in ("timeout", "sequence_id", "mine"):
        request = pair()
        request.parameters[name].uint64_param = 7
        asked = Grpc(served).decode("ModelInfer", request.SerializeToString())
        assert asked.parameters == {name: 7}
        _, text = Grpc(served, strict=True).refusal("ModelInfer", request)
        assert text.startswith(f"invalid value type for '{name}' parameter, expected int64_param")


@pytest.mark.parametrize("datatype", sorted(CONTENTS))
def test_contents_of_the_wrong_number_or_kind(asker: Grpc, datatype: str) -> None:
    """More or fewer than the shape says, and a field that is not the datatype's."""
    array: Array = np.zeros((1, 3), KINDS[datatype][1])
    if datatype == "BYTES":
        array = np.full((1, 3), "", np.object_)
    size = array.dtype.itemsize
    for count in (2, 4):
        request = as_contents(datatype, array, datatype)
        request.inputs[0].shape[:] = 1, count
        expected = (
            f"input byte size mismatch for input 'X' for model '{datatype}'. Expected "
            f"{count * size}, got {3 * size}"
        )
        if datatype == "BYTES":
            expected = (
                "unexpected number of string elements 3 for inference input 'X' for model 'BYTES', "
                "expecting 2"
                if count == 2
                else "expected 4 string elements for inference input 'X' for model 'BYTES', got 3"
            )
        assert asker.refusal("ModelInfer", request) == (ARGUMENT, expected)
    for field, kind in {
        "fp32_contents": "FP32",
        "int_contents": "INT32",
        "bytes_contents": "BYTES",
    }.items():
        if CONTENTS[datatype] == field:
            continue
        request = as_contents(datatype, array, datatype)
        request.inputs[0].contents.Clear()
        getattr(request.inputs[0].contents, field).append(b"" if kind == "BYTES" else 1)
        assert asker.refusal("ModelInfer", request) == (
            ARGUMENT,
            f"unexpected explicit tensor data for input tensor 'X' for model '{datatype}' of type "
            f"'{kind}', expected datatype '{datatype}'",
        )


def test_contents_of_a_datatype_that_is_none(asker: Grpc) -> None:
    """Triton calls it so."""
    request = as_contents("FP32", np.zeros((1, 2), np.float32), "FP32")
    request.inputs[0].datatype = "float"
    assert asker.refusal("ModelInfer", request)[1] == (
        "unexpected explicit tensor data for input tensor 'X' for model 'FP32' of type 'FP32', "
        "expected datatype '<invalid>'"
    )


@pytest.mark.parametrize(("datatype", "value"), [("INT8", 300), ("INT16", -40_000), ("UINT8", 256)])
def test_a_number_that_does_not_fit_is_not_cut(asker: Grpc, datatype: str, value: int) -> None:
    """Triton keeps the lowest bytes; here it is an error, as over REST."""
    request = as_contents(datatype, np.array([[value, 1]]), datatype)
    code, text = asker.refusal("ModelInfer", request)
    assert code is ARGUMENT
    assert text == (
        f"'X' holds a value that does not fit: got an integer out of range, expected {datatype}"
    )


@pytest.mark.parametrize("as_raw", [False, True])
def test_strings_are_text(asker: Grpc, as_raw: bool) -> None:
    """Models take text; Triton takes any bytes."""
    request = pb.ModelInferRequest(model_name="BYTES")
    tensor = request.inputs.add(name="X", datatype="BYTES", shape=[1, 1])
    if as_raw:
        request.raw_input_contents.append(b"\x01\0\0\0\xff")
    else:
        tensor.contents.bytes_contents.append(b"\xff")
    assert asker.refusal("ModelInfer", request) == (
        ARGUMENT,
        "a string element of inference input 'X' is not UTF-8: expected text",
    )


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"", "expected 1 string elements for inference input 'X' for model 'BYTES', got 0"),
        (b"\0\0\0\0" * 2, "unexpected number of string elements 2 for inference input 'X' for"),
        (b"\1\0", "incomplete string length indicator for inference input 'X' for model 'BYTES'"),
        (b"\5\0\0\0a", "incomplete string data for inference input 'X' for model 'BYTES'"),
        (b"\xff\xff\xff\xffa", "incomplete string data for inference input 'X'"),
    ],
)
def test_strings_as_memory_have_their_lengths(asker: Grpc, blob: bytes, text: str) -> None:
    """Four bytes, which nobody believes before they are compared with what is there."""
    request = pb.ModelInferRequest(model_name="BYTES", raw_input_contents=[blob])
    request.inputs.add(name="X", datatype="BYTES", shape=[1, 1])
    code, told = asker.refusal("ModelInfer", request)
    assert (code, told.startswith(text)) == (ARGUMENT, True), told
