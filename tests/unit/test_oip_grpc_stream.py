"""protocols/oip/grpc: inferences on a stream, as Triton's client reads them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from inferd.calls import InferRequest, InferResponse
from inferd.errors import Code, InferdError, InvalidInput, RunFailed
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import plugin
from inferd.protocols.oip.grpc.infer import ModelInfer
from inferd.protocols.oip.grpc.stream import ModelStreamInfer
from tests.unit.oip_grpc import Grpc, as_memory, given_input, pair
from tests.unit.toys import StreamingRuntime, version_of

Make = Callable[..., Pipeline]
PART = np.array([[3.0, 4.0]], np.float32)
FINAL = "triton_final_response"


def streamed(**more: Any) -> bytes:
    """A request for a model that answers in parts."""
    request = as_memory("toy", given_input(PART, "FP32"), **more)
    body: bytes = request.SerializeToString()
    return body


def with_empty_final(body: bytes, told: bool = True) -> bytes:
    """The same, which asks for a message of its own at the end."""
    request = pb.ModelInferRequest.FromString(body)
    request.parameters["triton_enable_empty_final_response"].bool_param = told
    changed: bytes = request.SerializeToString()
    return changed


def decode(body: bytes, method: ModelInfer | None = None) -> InferRequest:
    """The call for a version that answers in parts."""
    version = version_of(StreamingRuntime())
    call = (method or ModelStreamInfer()).decode(Message(body, {}), lambda *_: version)
    assert isinstance(call, InferRequest)
    return call


def read(body: bytes) -> Any:
    """A message of the stream, as the client has it."""
    return pb.ModelStreamInferResponse.FromString(body)


def test_each_request_of_a_stream_is_one() -> None:
    """And its answers come in parts."""
    for dialect in (plugin, plugin.at("triton")):
        assert dialect.rpc is not None
        method = dialect.rpc.methods["/inference.GRPCInferenceService/ModelStreamInfer"]
        assert (method.takes, method.streams) == ("each", True)
        unary = dialect.rpc.methods["/inference.GRPCInferenceService/ModelInfer"]
        assert (unary.takes, unary.streams) == ("one", False)


@pytest.mark.parametrize("strict", [False, True])
def test_an_answer_that_is_whole_is_final(pipeline: Make, strict: bool) -> None:
    """A model that answers once: its answer is marked as the last, and nothing follows it."""
    asker = Grpc(pipeline("simple"), strict=strict)
    for id_ in ("", "42"):
        for body in (pair(request_id=id_).SerializeToString(),) * 2:
            for sent in (body, with_empty_final(body)):
                told = read(asker.bytes("ModelStreamInfer", sent))
                answer = told.infer_response
                assert (told.error_message, answer.id) == ("", id_)
                assert answer.parameters[FINAL].bool_param is True
                assert [each.name for each in answer.outputs] == ["OUTPUT0", "OUTPUT1"]
                assert answer.raw_output_contents[0] == np.array([2, 4, 6, 8], np.int32).tobytes()
                call = asker.decode("ModelStreamInfer", sent)
                assert asker.method("ModelStreamInfer").encode_end(call) == b""


@pytest.mark.parametrize("id_", ["", "7"])
def test_a_part_is_not_final_and_the_end_is_told_to_who_asks(id_: str) -> None:
    """Parts say that more may come; the end is an empty answer, where the request wants one."""
    method = ModelStreamInfer()
    for body, wants in (
        (streamed(request_id=id_), False),
        (with_empty_final(streamed(request_id=id_), told=False), False),
        (with_empty_final(streamed(request_id=id_)), True),
    ):
        call = decode(body, method)
        for part in (PART, PART[:0], PART):
            answer = read(method.encode(call, InferResponse(call, {"Y": part})).body).infer_response
            assert answer.parameters[FINAL].WhichOneof("parameter_choice") == "bool_param"
            assert answer.parameters[FINAL].bool_param is False
            assert (answer.id, answer.raw_output_contents[0]) == (id_, part.tobytes())
            assert list(answer.outputs[0].shape) == list(part.shape)
        end = method.encode_end(call)
        assert bool(end) == wants
        if wants:
            told = read(end)
            answer = told.infer_response
            assert told.error_message == ""
            assert (answer.model_name, answer.model_version, answer.id) == ("toy", "1", id_)
            assert answer.parameters[FINAL].bool_param is True
            assert not answer.outputs
            assert not answer.raw_output_contents


def test_a_model_that_answers_in_parts_is_asked_on_a_stream_only() -> None:
    """ModelInfer says which method to ask."""
    for strict in (False, True):
        with pytest.raises(InferdError) as caught:
            decode(streamed(), ModelInfer(strict=strict))
        dialect = plugin.at("triton") if strict else plugin
        assert dialect.rpc is not None
        code, text = dialect.rpc.status(caught.value)
        assert code is Code.UNIMPLEMENTED
        assert text.startswith(
            "ModelInfer RPC doesn't support models with decoupled transaction policy"
        )


def test_an_error_is_told_in_the_stream_with_the_requests_id(pipeline: Make) -> None:
    """Of a request that cannot be read as one, of one that does not fit, and of one that ran."""
    asker = Grpc(pipeline("simple"))
    method = asker.method("ModelStreamInfer")
    wrong = pair(request_id="42")
    wrong.inputs[0].name = "FOO"
    unfit = Message(wrong.SerializeToString(), {})
    with pytest.raises(InvalidInput) as caught:
        asker.decode("ModelStreamInfer", unfit.body)
    right = pair(request_id="43").SerializeToString()
    ran = asker.decode("ModelStreamInfer", right)
    for call, message, error, id_, text in (
        (
            None,
            unfit,
            caught.value,
            "42",
            "unexpected inference input 'FOO' for model 'simple'",
        ),
        (None, Message(b"\xff", {}), RunFailed("what?"), "", "what?"),
        (ran, Message(right, {}), RunFailed("it failed"), "43", "it failed"),
        (ran, Message(b"packed", {}), RunFailed("it failed"), "43", "it failed"),
    ):
        body = method.encode_in_stream(call, message, error)
        assert body is not None
        told = read(body)
        assert told.HasField("infer_response")
        assert (told.error_message, told.infer_response.id) == (text, id_)
        assert not told.infer_response.model_name


def test_an_error_ends_the_stream_where_the_client_wants_that() -> None:
    """Triton's metadata ``triton_grpc_error``."""
    method = ModelStreamInfer()
    error = RunFailed("it failed")
    for value, ends in ((b"true", True), (b"false", False), (b"", False)):
        message = Message(streamed(), {}, {b"triton_grpc_error": value})
        assert (method.encode_in_stream(None, message, error) is None) == ends
