"""protocols/oip/grpc: inferences, both ways, against Triton's own client and against REST."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.grpc import service_pb2 as pb

from inferd.calls import InferRequest, InferResponse
from inferd.config import Settings
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip.binary import SMALL
from inferd.protocols.oip.grpc.infer import ModelInfer
from inferd.protocols.oip.request import FormedRequest
from tests.unit import oip_models, onnx_files
from tests.unit.oip_grpc import (
    CONTENTS,
    ROW,
    Grpc,
    answered,
    as_contents,
    as_memory,
    given_input,
    pair,
)
from tests.unit.oip_models import CLIENT_TYPES, Array, write_identities

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, one of two inputs, one of classes, one of mixed outputs."""
    folder = tmp_path_factory.mktemp("grpc")
    made = Pipeline(Settings(), cores=1)
    made.load(
        [
            *write_identities(folder),
            onnx_files.adder(folder / "simple.onnx"),
            onnx_files.classifier(folder / "words.onnx", names=["a", "b", "c"]),
        ]
    )
    yield made
    made.close()


@st.composite
def tensors(draw: st.DrawFn, names: tuple[str, ...] = tuple(sorted(CLIENT_TYPES))) -> Any:
    """A datatype, and an array of it."""
    name = draw(st.sampled_from(names))
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


@settings(deadline=None)  # the first message of all loads protobuf
@given(sent=tensors(tuple(oip_models.KINDS)), id=TEXTS, named=st.booleans())
def test_what_tritons_client_writes_is_read_and_what_is_written_it_reads(
    served: Pipeline, sent: tuple[str, Array], id: str, named: bool
) -> None:
    """Any array of any datatype, both ways, whether or not its output is named."""
    datatype, array = sent
    wanted = [triton.InferRequestedOutput("Y")] if named else None
    request = as_memory(datatype, given_input(array, datatype), outputs=wanted, request_id=id)
    asked = Grpc(served, strict=True).decode("ModelInfer", request.SerializeToString())
    same(asked.inputs["X"], array)
    assert (asked.rows, asked.id, asked.parameters, asked.deadline) == (
        len(array),
        id,
        {},
        float("inf"),
    )
    result = answered(asked, Y=asked.inputs["X"])
    came = result.as_numpy("Y")
    if datatype == "BYTES":
        came = np.array([v.decode() for v in came.ravel()], np.object_).reshape(came.shape)
    same(came, array)
    told = result.get_response()
    assert (told.model_name, told.model_version, told.id) == (datatype, "1", id)
    assert result.get_output("Y").datatype == datatype
    assert not result.get_output("Y").HasField("contents")
    assert len(told.raw_output_contents) == 1


@settings(deadline=None)  # the first message of all loads protobuf
@given(sent=tensors(tuple(CONTENTS)), strict=st.booleans())
def test_memory_and_typed_contents_are_the_same_tensor(
    served: Pipeline, sent: tuple[str, Array], strict: bool
) -> None:
    """Every datatype that has a field, bit for bit."""
    datatype, array = sent
    if array.dtype.kind == "f":  # Python turns a NaN that signals into one that does not
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    asker = Grpc(served, strict=strict)
    typed = as_contents(datatype, array, datatype).SerializeToString()
    got = asker.decode("ModelInfer", typed).inputs["X"]
    memory = as_memory(datatype, given_input(array, datatype)).SerializeToString()
    same(got, asker.decode("ModelInfer", memory).inputs["X"])
    assert got.flags.aligned


@settings(deadline=None)  # the first message of all loads protobuf
@given(sent=tensors(("UINT8", "INT8", "INT16", "FP16", "FP32")))
def test_the_main_port_widens_a_smaller_datatype(served: Pipeline, sent: tuple[str, Array]) -> None:
    """As over REST: what the model's datatype holds without loss; Triton's port refuses it."""
    datatype, array = sent
    wide = np.asarray(array, np.float64)
    request = as_memory("FP64", given_input(array, datatype))
    got = Grpc(served).decode("ModelInfer", request.SerializeToString()).inputs["X"]
    np.testing.assert_array_equal(got, wide)
    assert got.dtype == np.float64
    _, text = Grpc(served, strict=True).refusal("ModelInfer", request)
    assert text == f"inference input 'X' data-type is '{datatype}', but model 'FP64' expects 'FP64'"


def test_the_main_port_widens_the_upper_halves_of_floats(served: Pipeline) -> None:
    """BF16, which no model has."""
    array = np.array([[1.5, -2.0]], CLIENT_TYPES["BF16"])
    request = as_memory("FP32", given_input(array, "BF16")).SerializeToString()
    got = Grpc(served).decode("ModelInfer", request).inputs["X"]
    same(got, np.array([[1.5, -2.0]], np.float32))


def test_the_main_port_reads_halves_from_numbers(served: Pipeline) -> None:
    """As REST does; Triton has memory only for them."""
    request = pb.ModelInferRequest(model_name="FP16")
    sent = request.inputs.add(name="X", datatype="FP16", shape=[1, 3])
    sent.contents.fp32_contents.extend([1.5, -2, 1e9])
    got = Grpc(served).decode("ModelInfer", request.SerializeToString()).inputs["X"]
    same(got, np.array([[1.5, -2, np.inf]], np.float16))
    assert Grpc(served, strict=True).refusal("ModelInfer", request)[1] == (
        "unexpected explicit tensor data for input tensor 'X' for model 'FP16' of type 'FP32', "
        "expected datatype 'FP16'"
    )


def test_a_field_that_nobody_knows_does_not_stand_in_the_values(served: Pipeline) -> None:
    """Contents with a field of a later version of the protocol."""
    typed = as_contents("FP32", np.array([[1.0, 2.0]], np.float32), "FP32")
    plain = typed.inputs[0].contents.SerializeToString()
    wire = pb.ModelInferRequest(model_name="FP32")
    wire.inputs.add(name="X", datatype="FP32", shape=[1, 2])
    later = plain + b"\xfa\x07\x04late"  # field 127
    head = wire.inputs[0].SerializeToString() + b"\x2a" + bytes([len(later)]) + later
    body = b"\x0a\x04FP32\x2a" + bytes([len(head)]) + head
    got = Grpc(served).decode("ModelInfer", body).inputs["X"]
    assert got.tolist() == [[1.0, 2.0]]


def test_contents_may_come_unpacked_and_in_pieces(served: Pipeline) -> None:
    """Numbers as single fields, as old writers have them, are the same numbers."""
    one = np.float32(1).tobytes()
    contents = b"\x35" + one + b"\x32\x04" + one
    tensor = b"\x0a\x01X\x12\x04FP32\x1a\x02\x01\x02\x2a" + bytes([len(contents)]) + contents
    body = b"\x0a\x04FP32\x2a" + bytes([len(tensor)]) + tensor
    assert Grpc(served).decode("ModelInfer", body).inputs["X"].tolist() == [[1.0, 1.0]]


def test_a_request_runs_and_says_what_rest_says(served: Pipeline) -> None:
    """The same numbers from the same model, under the same names, in the model's order."""
    wanted = [triton.InferRequestedOutput(name) for name in ("OUTPUT1", "OUTPUT0")]
    for strict in (False, True):
        for outputs in (None, wanted):
            result = Grpc(served, strict=strict).infer(pair(outputs=outputs, request_id="42"))
            told = result.get_response()
            assert [each.name for each in told.outputs] == ["OUTPUT0", "OUTPUT1"]
            assert result.as_numpy("OUTPUT0").tolist() == [[2, 4, 6, 8]]
            assert result.as_numpy("OUTPUT1").tolist() == [[0, 0, 0, 0]]
            assert (told.model_name, told.model_version, told.id) == ("simple", "1", "42")
            assert not told.parameters
    only = Grpc(served).infer(pair(outputs=wanted[:1]))
    assert [each.name for each in only.get_response().outputs] == ["OUTPUT1"]
    assert len(only.get_response().raw_output_contents) == 1


def test_outputs_of_strings_and_numbers_stand_side_by_side(served: Pipeline) -> None:
    """A label that is text, and its probabilities."""
    row = np.array([[0, 9, 0, 0]], np.float32)
    result = Grpc(served).infer(as_memory("words", given_input(row, "FP32")))
    assert result.as_numpy("label").tolist() == [b"b"]
    assert result.as_numpy("scores").argmax() == 1
    assert result.get_output("label").datatype == "BYTES"


def test_classes_are_asked_for_by_a_parameter_of_the_output(served: Pipeline) -> None:
    """The greatest elements as texts, as over REST; the other outputs as they are."""
    row = np.array([[0, 9, 0, 0]], np.float32)
    wanted = [triton.InferRequestedOutput("scores", class_count=2)]
    request = as_memory("words", given_input(row, "FP32"), outputs=wanted)
    told = Grpc(served).infer(request)
    assert told.get_output("scores").datatype == "BYTES"
    assert told.get_output("scores").shape == [1, 2]
    (first, second) = told.as_numpy("scores").ravel().tolist()
    assert first.endswith(b":1")
    assert second.endswith(b":0")
    asked = Grpc(served).decode("ModelInfer", request.SerializeToString())
    assert isinstance(asked, FormedRequest)
    assert asked.classes == {"scores": 2}


def test_a_large_answer_is_whole(served: Pipeline) -> None:
    """Lengths of several bytes, and memory that lies otherwise than it is sent."""
    array = np.arange(3 * SMALL, dtype=np.float64).reshape(3, -1)
    request = as_memory("FP64", given_input(array, "FP64"))
    asked = Grpc(served).decode("ModelInfer", request.SerializeToString())
    for output in (array, array[:, ::2], np.asfortranarray(array)):
        same(answered(asked, Y=output).as_numpy("Y"), np.ascontiguousarray(output))


def test_an_answer_has_the_shape_of_its_arrays_and_not_of_the_last(served: Pipeline) -> None:
    """What is kept from one answer to the next is kept by shape; and not for ever."""
    asked = Grpc(served).decode(
        "ModelInfer",
        as_memory("FP32", given_input(np.zeros((1, 1), np.float32), "FP32")).SerializeToString(),
    )
    for rows in (1, 2, 1, *range(1, 300), 1):
        array = np.full((rows, 2), rows, np.float32)
        same(answered(asked, Y=array).as_numpy("Y"), array)
    for empty in (np.zeros((0, 2), np.float32), np.float32(7).reshape(())):
        same(answered(asked, Y=np.asarray(empty)).as_numpy("Y"), np.asarray(empty))


def test_priority_and_timeout_are_for_the_queue_as_over_rest(served: Pipeline) -> None:
    """Both are told to it as they are; also when the same message comes again."""
    method = ModelInfer()
    for told in ({"timeout": 2_000_000}, {"priority": 3}, {"priority": 1, "timeout": 0}):
        body = pair(**told).SerializeToString()
        for _ in range(2):
            call = method.decode(Message(body, {}), served.manager.lookup)
            assert isinstance(call, InferRequest)
            assert (call.deadline, call.parameters) == (float("inf"), told)
            asked = (call.priority, call.timeout_us)
            assert asked == (told.get("priority", 0), told.get("timeout", 0))


def test_parameters_of_any_kind_reach_the_call(served: Pipeline) -> None:
    """Those of the model's own, and the reserved ones."""
    sent = {"text": "a", "true": True, "whole": -1, "real": 0.5}
    request = pair(
        parameters=sent, priority=3, sequence_id="s", sequence_start=True, sequence_end=False
    )
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    for _ in range(2):
        asked = Grpc(served, strict=True).decode("ModelInfer", request.SerializeToString())
        assert asked.parameters == sent | {
            "priority": 3,
            "sequence_id": "s",
            "sequence_start": True,
            "sequence_end": False,
            "triton_enable_empty_final_response": True,
        }


@pytest.mark.parametrize("told", ["", "1"])
def test_a_version_may_be_named(served: Pipeline, told: str) -> None:
    """The empty one is the model's choice."""
    for strict in (False, True):
        result = Grpc(served, strict=strict).infer(pair(model_version=told))
        assert result.get_response().model_version == "1"


@pytest.mark.parametrize("told", ["1.0.0", " 1", "+1", "01", "1x"])
def test_a_version_is_read_as_c_reads_numbers_at_tritons_port(served: Pipeline, told: str) -> None:
    """The whole number that it begins with; on the main port it is a name like any other."""
    result = Grpc(served, strict=True).infer(pair(model_version=told))
    assert result.get_response().model_version == "1"
    _, text = Grpc(served).refusal("ModelInfer", pair(model_version=told))
    assert text == f"Request for unknown model: 'simple' version {told} is not found"


def test_memory_for_no_input_is_passed_over_at_tritons_port_only(served: Pipeline) -> None:
    """Triton ignores it; here it is an error, as bytes behind a REST request's tensors are."""
    request = pair()
    request.raw_input_contents.append(b"more")
    assert Grpc(served, strict=True).infer(request).as_numpy("OUTPUT0").tolist() == [[2, 4, 6, 8]]
    _, text = Grpc(served).refusal("ModelInfer", request)
    assert text == "unexpected additional input data for model 'simple'"


def test_an_output_named_twice_counts_once_but_at_tritons_port(served: Pipeline) -> None:
    """As over REST."""
    request = pair(outputs=[triton.InferRequestedOutput("OUTPUT0")] * 2)
    assert len(Grpc(served).infer(request).get_response().outputs) == 1
    _, text = Grpc(served, strict=True).refusal("ModelInfer", request)
    assert text == "output 'OUTPUT0' already exists in request"


def test_the_call_is_answered_with_its_own_id(served: Pipeline) -> None:
    """Also by an answer to many requests of one shape."""

    async def go() -> None:
        asker = Grpc(served)
        for id_ in ("", "a", "", "é" * 40, "a"):
            asked = asker.decode("ModelInfer", pair(request_id=id_).SerializeToString())
            method = asker.method("ModelInfer")
            outputs = {"OUTPUT0": ROW, "OUTPUT1": ROW}
            told = pb.ModelInferResponse.FromString(
                method.encode(asked, InferResponse(asked, outputs)).body
            )
            assert told.id == id_

    asyncio.run(go())
