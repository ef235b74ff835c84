"""Shared memory of clients, which is not offered: by default Triton does not offer it either.

(server 2.73dev, docs/protocol/extension_shared_memory.md)
"""

from typing import Any, NoReturn

from inferd.calls import Call, Handle, Lookup, ServerLive
from inferd.errors import NotFound, Unsupported, short
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.schemas import EMPTY, NOTHING, OBJECT, array


class Status(Operation):
    """``GET /v2/systemsharedmemory/status``, ``/region/{region}/status``, and of CUDA's."""

    call = ServerLive

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def decode(self, message: Message, lookup: Lookup) -> Call:
        region = message.path.get("region")
        if region is not None:
            raise NotFound(f"Unable to find {self._kind} shared memory region: '{short(region)}'")
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b"[]")

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation(f"Regions of {self._kind} shared memory: none.", array(OBJECT))


class Register(Operation):
    """``POST /v2/systemsharedmemory/region/{region}/register``, and CUDA's: refused."""

    call = ServerLive

    def decode(self, message: Message, lookup: Lookup) -> NoReturn:
        raise Unsupported(
            "shared memory of clients is not offered", cure="Send tensors in the request's body."
        )

    def encode(self, call: Call, response: Any) -> Payload:
        return NOTHING


class Unregister(Operation):
    """``POST /v2/systemsharedmemory/unregister``, of one region or all: a region that is not there
    is no error."""

    call = ServerLive

    def __init__(self, *, strict: bool = False) -> None:
        self._answer = EMPTY if strict else NOTHING

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return self._answer

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Forget regions of shared memory, of which there are none.", OBJECT)
