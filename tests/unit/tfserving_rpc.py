"""Asks TensorFlow Serving's gRPC methods without a server: decode, run, encode."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd import tensors
from inferd.calls import InferRequest
from inferd.errors import Code, InferdError
from inferd.pipeline import Pipeline
from inferd.protocols.base import Dialect, Message, Method
from inferd.protocols.tfserving import plugin
from inferd.protocols.tfserving.grpc.dtypes import NUMBERS
from inferd.wire.proto import message
from tests.unit.test_tfserving_predict import ROWS
from tests.unit.toys import CountingReply, until

PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
ANSWERS = {
    PREDICTION + "Predict": "PredictResponse",
    PREDICTION + "Classify": "ClassificationResponse",
    PREDICTION + "Regress": "RegressionResponse",
    PREDICTION + "MultiInference": "MultiInferenceResponse",
    PREDICTION + "GetModelMetadata": "GetModelMetadataResponse",
    MODEL + "GetModelStatus": "GetModelStatusResponse",
    MODEL + "HandleReloadConfigRequest": "ReloadConfigResponse",
}


def made(name: str, /, **fields: Any) -> Any:
    """A message of TensorFlow Serving."""
    return message(f"tensorflow.serving.{name}")(**fields)


class RpcAsker:
    """The methods of one form of the dialect before one pipeline."""

    def __init__(self, served: Pipeline, dialect: Dialect = plugin) -> None:
        assert dialect.rpc is not None
        self.served, self.rpc = served, dialect.rpc

    def method(self, name: str) -> Method:
        """The method of that name, whichever service has it."""
        (found,) = [each for path, each in self.rpc.methods.items() if path.endswith(f"/{name}")]
        return found

    def decode(self, name: str, sent: Any) -> Any:
        """The call that a message becomes."""
        body = sent if isinstance(sent, bytes) else sent.SerializeToString()
        return self.method(name).decode(Message(body, {}), self.served.manager.lookup)

    def ask(self, name: str, sent: Any) -> Any:
        """The message that a message is answered with; an error is raised."""
        method = self.method(name)
        call = self.decode(name, sent)

        async def answer() -> CountingReply:
            self.served.home.attach(asyncio.get_running_loop())
            reply = CountingReply()
            self.served.handlers[method.call](call, reply)
            await until(lambda: reply.answered)
            return reply

        reply = asyncio.run(answer())
        for error in reply.errors:
            raise error
        assert isinstance(call, method.call)
        if isinstance(call, InferRequest):
            assert call.handle is reply.responses[0].request.handle
        body = method.encode(call, reply.responses[0]).body
        (path,) = [path for path in ANSWERS if path.endswith(f"/{name}")]
        return message(f"tensorflow.serving.{ANSWERS[path]}").FromString(body)

    def refusal(self, name: str, sent: Any) -> tuple[Code, str]:
        """The code and text of the error that a message is answered with."""
        try:
            answer = self.ask(name, sent)
        except InferdError as error:
            return self.rpc.status(error)
        raise AssertionError(f"it was answered: {answer}")


def predict(model: str, inputs: Mapping[str, Any], **said: Any) -> Any:
    """A PredictRequest; arrays are sent as memory, and messages as they are."""
    request = made("PredictRequest", **said)
    request.model_spec.name = model
    for name, value in inputs.items():
        tensor = request.inputs[name]
        if not isinstance(value, np.ndarray):
            tensor.CopyFrom(value)
            continue
        tensor.dtype = NUMBERS[tensors.datatype_of(value).name]
        tensor.tensor_shape.SetInParent()
        for size in value.shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = value.tobytes()
    return request


def rows(*values: list[float]) -> np.ndarray[Any, Any]:
    """What the classifier takes."""
    return np.array(values or ROWS, np.float32)
