"""Inferences on a stream: each message is a request, and what is wrong with one is told in the
stream. (server 2.73dev, src/grpc/stream_infer_handler.cc)"""

from typing import Any

from inferd.calls import Call, Handle, InferRequest
from inferd.errors import InferdError, MalformedRequest
from inferd.protocols.base import Message, Payload
from inferd.protocols.oip.grpc.answers import ID, PARAMETERS, frames, write_answer
from inferd.protocols.oip.grpc.fields import field, text
from inferd.protocols.oip.grpc.infer import REQUEST, ModelInfer
from inferd.protocols.oip.grpc.parameters import EMPTY_FINAL
from inferd.protocols.oip.grpc.reading import read
from inferd.protocols.oip.texts import triton_text

# The numbers of the fields of ModelStreamInferResponse; of an entry of a map; of InferParameter.
ERROR_MESSAGE, INFER_RESPONSE = 1, 2
KEY, VALUE = 1, 2
_FALSE, _TRUE = b"\x08\x00", b"\x08\x01"  # bool_param


def _final(value: bytes) -> bytes:
    return field(PARAMETERS, text(KEY, "triton_final_response") + field(VALUE, value))


_LAST, _NOT_LAST = _final(_TRUE), _final(_FALSE)


def _id_of(message: Message) -> str:
    """The id of a request that may be wrong in any way."""
    try:
        id_: str = read(REQUEST, message.body).id
    except MalformedRequest:
        return ""
    return id_


class ModelStreamInfer(ModelInfer):
    """``ModelStreamInfer``: a model may answer in parts, whose last one is told to who asks."""

    takes = "each"
    streams = True

    def encode(self, call: Call, response: Any) -> Payload:
        mark = _NOT_LAST if response.request.handle.streams else _LAST
        return Payload(field(INFER_RESPONSE, mark + write_answer(response)))

    def encode_end(self, call: Any) -> bytes:
        if not (call.handle.streams and call.parameters.get(EMPTY_FINAL)):
            return b""
        head = frames(call.handle).head
        return field(INFER_RESPONSE, head + text(ID, call.id) + _LAST)

    def encode_in_stream(
        self, call: Call | None, message: Message, error: InferdError
    ) -> bytes | None:
        if message.headers.get(b"triton_grpc_error") == b"true":
            return None
        id_ = call.id if isinstance(call, InferRequest) else _id_of(message)
        told = text(ERROR_MESSAGE, triton_text(error, ""))
        return told + field(INFER_RESPONSE, text(ID, id_))

    def _check_parts(self, handle: Handle) -> None:
        """Any model is asked so."""
