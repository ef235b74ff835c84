"""Asks the Open Inference Protocol's gRPC methods without a server, with the messages of Triton's
own client."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import _utils as client
from tritonclient.grpc import service_pb2 as pb

from inferd.calls import Call, InferRequest, InferResponse
from inferd.errors import Code, InferdError
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message as Sent
from inferd.protocols.base import Method, Rpc
from inferd.protocols.oip import plugin
from tests.unit.oip_models import Array
from tests.unit.toys import CountingReply, until

ROW = np.array([[1, 2, 3, 4]], np.int32)
SERVICE = "/inference.GRPCInferenceService/"
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Of each datatype the field that holds its elements."""


class Grpc:
    """The methods of one port before one pipeline."""

    def __init__(self, served: Pipeline, *, strict: bool = False) -> None:
        rpc = (plugin.at("triton") if strict else plugin).rpc
        assert rpc is not None
        self.rpc: Rpc = rpc
        self.served = served

    def method(self, name: str) -> Method:
        """The method of this name, or of this path."""
        return self.rpc.methods[name if name.startswith("/") else SERVICE + name]

    def decode(self, name: str, body: bytes, **headers: bytes) -> Any:
        """The call that a message becomes."""
        named = {key.encode(): value for key, value in headers.items()}
        return self.method(name).decode(Sent(body, {}, named), self.served.manager.lookup)

    def bytes(self, name: str, body: bytes) -> bytes:
        """The only message that a message is answered with; an error is raised."""
        method = self.method(name)
        call = self.decode(name, body)
        assert isinstance(call, method.call)
        return method.encode(call, self._answer(method.call, call)).body

    def ask(self, name: str, /, **fields: Any) -> Any:
        """The same, with the client's own classes."""
        request = getattr(pb, f"{name}Request")(**fields)
        answer = getattr(pb, f"{name}Response")
        return answer.FromString(self.bytes(name, request.SerializeToString()))

    def infer(self, request: Any) -> Any:
        """The ModelInferResponse to *request*, as the client has it."""
        told = pb.ModelInferResponse.FromString(
            self.bytes("ModelInfer", request.SerializeToString())
        )
        return triton.InferResult(told)

    def refusal(self, name: str, request: Any) -> tuple[Code, str]:
        """The code and the text of the error that a request, or its bytes, is answered with."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            answer = self.bytes(name, body)
        except InferdError as error:
            return self.rpc.status(error)
        raise AssertionError(f"it was answered: {answer!r}")

    def _answer(self, kind: type[Call], call: Call) -> Any:
        async def answer() -> CountingReply:
            self.served.home.attach(asyncio.get_running_loop())
            reply = CountingReply()
            self.served.handlers[kind](call, reply)
            await until(lambda: reply.answered)
            return reply

        reply = asyncio.run(answer())
        for error in reply.errors:
            raise error
        return reply.responses[0]


def given_input(array: Array, datatype: str, name: str = "X") -> Any:
    """An input as the client makes it: as memory."""
    made = triton.InferInput(name, list(array.shape), datatype)
    return made.set_data_from_numpy(array)


def as_memory(model: str, *inputs: Any, outputs: Any = None, **more: Any) -> Any:
    """A request as the client makes it."""
    known: Mapping[str, Any] = {
        "model_version": "",
        "request_id": "",
        "sequence_id": 0,
        "sequence_start": False,
        "sequence_end": False,
        "priority": 0,
        "timeout": None,
        "parameters": None,
    }
    return client._get_inference_request(
        model_name=model, inputs=inputs, outputs=outputs, **{**known, **more}
    )


def as_contents(model: str, array: Array, datatype: str, **fields: Any) -> Any:
    """A request whose only input is typed contents."""
    request = pb.ModelInferRequest(model_name=model, **fields)
    sent = request.inputs.add(name="X", datatype=datatype, shape=array.shape)
    values = array.ravel().tolist()
    if datatype == "BYTES":
        values = [value.encode() for value in values]
    getattr(sent.contents, CONTENTS[datatype]).extend(values)
    sent.contents.SetInParent()
    return request


def pair(**more: Any) -> Any:
    """A right request for the model of two inputs."""
    inputs = [given_input(ROW, "INT32", name) for name in ("INPUT0", "INPUT1")]
    return as_memory("simple", *inputs, **more)


def changed(change: Callable[[Any], object]) -> Any:
    """The same, once *change* is done to it."""
    request = pair()
    change(request)
    return request


def want(request: Any, name: str, **parameters: Any) -> None:
    """Have an output asked for."""
    request.outputs.add(name=name, parameters=parameters)


def share(tensor: Any) -> None:
    """Have a tensor lie in shared memory."""
    tensor.parameters["shared_memory_region"].string_param = "r"


def with_parameter(request: Any, name: str, **value: Any) -> None:
    """Give a request a parameter."""
    request.parameters[name].CopyFrom(pb.InferParameter(**value))


def answered(asked: InferRequest, **outputs: Array) -> Any:
    """How the client reads these outputs."""
    assert plugin.rpc is not None
    method = plugin.rpc.methods[SERVICE + "ModelInfer"]
    payload = method.encode(asked, InferResponse(asked, outputs))
    return triton.InferResult(pb.ModelInferResponse.FromString(payload.body))
