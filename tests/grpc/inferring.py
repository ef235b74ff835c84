"""The open inference protocol over grpcio, as a client without Triton's library asks it."""

from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from inferd.server.embedded import Server
from inferd.wire.proto import message
from tests.grpc.asking import PATIENCE

Array = npt.NDArray[Any]
SERVICE = "/inference.GRPCInferenceService/"
DATATYPES = {"float32": "FP32", "int64": "INT64"}
NUMPY = {name: kind for kind, name in DATATYPES.items()}


def address_of(server: Server) -> str:
    """Where its main listener is, as grpcio writes it."""
    return server.url.partition("://")[2]


def request(model: str, name: str, array: Array, **fields: Any) -> Any:
    """A ModelInferRequest of one tensor."""
    tensor = {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": array.shape}
    return message("inference.ModelInferRequest")(
        model_name=model, inputs=[tensor], raw_input_contents=[array.tobytes()], **fields
    )


def outputs(response: Any) -> dict[str, Array]:
    """The tensors of a ModelInferResponse."""
    raw = zip(response.outputs, response.raw_output_contents, strict=True)
    return {
        each.name: np.frombuffer(body, NUMPY[each.datatype]).reshape(each.shape)
        for each, body in raw
    }


class Client:
    """The methods that tests ask."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.infer = _method(channel.unary_unary, "ModelInfer", "ModelInfer")
        self.stream = _method(
            channel.stream_stream, "ModelStreamInfer", "ModelInfer", "ModelStreamInfer"
        )
        self._statistics = _method(channel.unary_unary, "ModelStatistics", "ModelStatistics")

    def spin(self, turns: int, **how: Any) -> Any:
        """Begin a call that takes as long as it is told."""
        asked = request("spin", "turns", np.array([turns], np.int64))
        return self.infer.future(asked, **{"timeout": PATIENCE, **how})

    def runs(self, model: str) -> int:
        """How often *model* was run."""
        asked = message("inference.ModelStatisticsRequest")(name=model)
        (told,) = self._statistics(asked, timeout=PATIENCE).model_stats
        return int(told.execution_count)


def _method(make: Any, name: str, *messages: str) -> Any:
    asked, answered = messages[0], messages[-1]
    return make(
        SERVICE + name,
        message(f"inference.{asked}Request").SerializeToString,
        message(f"inference.{answered}Response").FromString,
    )
