"""Triton's service and gRPC's health, as we speak them, and as Triton does at its own port."""

from inferd.errors import Code, InferdError, MalformedRequest
from inferd.protocols.base import Rpc
from inferd.protocols.oip.grpc.control import controls
from inferd.protocols.oip.grpc.infer import ModelInfer
from inferd.protocols.oip.grpc.questions import health, questions
from inferd.protocols.oip.grpc.stream import ModelStreamInfer
from inferd.protocols.oip.texts import triton_text
from inferd.wire.proto import message

SERVICE = "/inference.GRPCInferenceService/"
HEALTH = "/grpc.health.v1.Health/Check"

_TRITON_CODES = {
    Code.RESOURCE_EXHAUSTED: Code.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: Code.UNAVAILABLE,
}
"""What Triton makes of those that it does not tell apart."""


class OipRpc(Rpc):
    """All methods, and Triton's words for errors; where *strict*, its codes, too."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        named = {
            "ModelInfer": ModelInfer(strict=strict),
            "ModelStreamInfer": ModelStreamInfer(strict=strict),
            **dict(questions(strict=strict)),
            **dict(controls(strict=strict)),
        }
        self.methods = {SERVICE + name: method for name, method in named.items()}
        self.methods[HEALTH] = health()

    def prepare(self) -> None:
        message("inference.ModelInferRequest")

    def status(self, error: InferdError) -> tuple[Code, str]:
        # The texts that name the model are made where it is known: in ModelInfer.
        return self._code(error), triton_text(error, "")

    def _code(self, error: InferdError) -> Code:
        if not self._strict:
            return error.code
        if isinstance(error, MalformedRequest):  # gRPC's own answer to what is no message
            return Code.INTERNAL
        return _TRITON_CODES.get(error.code, error.code)
