"""Whether the server and its models answer, for Triton's and KServe's clients.

Triton's look at the status alone, KServe's read the body: a body satisfies both. At Triton's own
port there is none, and what is not ready is 400, as there.
"""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelReady, ServerLive, ServerReady
from inferd.errors import InferdError, InvalidInput, NotReady
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.schemas import EMPTY, TEXT, TRUTH, record
from inferd.wire.json import encode


class Unready(InvalidInput):
    """Triton's 400 for what is not ready; an empty text is an empty body."""


class Live(Operation):
    """``GET /v2/health/live``."""

    call = ServerLive

    def __init__(self, *, strict: bool = False) -> None:
        self._answer = EMPTY if strict else Payload(b'{"live":true}')

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return self._answer

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether the process answers.", record(live=TRUTH))


class Ready(Operation):
    """``GET /v2/health/ready``."""

    call = ServerReady

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerReady()

    def encode(self, call: Call, response: Any) -> Payload:
        if response.ready:
            return EMPTY if self._strict else Payload(b'{"ready":true}')
        if self._strict:
            raise Unready("")
        raise NotReady("not ready: " + "; ".join(response.reasons))

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether every model can answer.", record(ready=TRUTH))


class IsModelReady(Operation):
    """``GET /v2/models/{model}/ready``."""

    call = ModelReady

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def decode(self, message: Message, lookup: Lookup) -> Call:
        model, version = message.path["model"], message.path.get("version")
        if self._strict:
            try:
                lookup(model, version)
            except InferdError:
                raise Unready("Model version not ready") from None
        return ModelReady(model, version)

    def encode(self, call: Call, response: Any) -> Payload:
        if self._strict:
            return EMPTY
        return Payload(encode({"name": call.model, "ready": True}))  # type: ignore[attr-defined]  # decode makes nothing else

    def document(self, handle: Handle | None) -> Documentation | None:
        if handle is None:
            return None
        return Documentation(f"Whether {handle.model} can answer.", record(name=TEXT, ready=TRUTH))
