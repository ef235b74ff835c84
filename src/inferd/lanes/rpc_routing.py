"""From the path of a gRPC request to the method that answers, and what else its head says."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inferd.calls import Call, Handler
from inferd.errors import InferdError, MethodNotAllowed, RouteNotFound, Unsupported, short
from inferd.lanes.request_ids import REQUEST_ID
from inferd.protocols.base import Dialect, Method, Rpc
from inferd.wire import grpc


class Target(msgspec.Struct, frozen=True, eq=False):
    """Where a request goes."""

    rpc: Rpc
    method: Method
    handler: Handler


class Head(msgspec.Struct, frozen=True, eq=False):
    """What the head of a request says. Made once for heads that come again."""

    fields: Sequence[tuple[bytes, bytes]]
    metadata: Mapping[bytes, bytes]
    """Names in lower case; of one that was sent twice, all values with commas between them."""
    rpc: Rpc
    """Tells errors."""
    target: Target | InferdError
    """Where it goes, or why it is refused."""
    coding: bytes
    """Of the messages that say that they are packed."""
    timeout: float | None
    """Seconds from the request's arrival."""
    packs: bool
    """Whether answers are packed as the request was."""
    plain: bool
    """Whether it asks for nothing beside a bare answer."""


class RpcRoutes:
    """The methods of all dialects of a port."""

    def __init__(self, dialects: Sequence[Dialect], handlers: Mapping[type[Call], Handler]) -> None:
        self.fallback = Rpc()
        """Tells the errors of requests that no method claims."""
        ordered = sorted(dialects, key=lambda dialect: dialect.precedence, reverse=True)
        self._targets = {
            path.encode("ascii"): Target(dialect.rpc, method, handlers[method.call])
            for dialect in ordered
            if dialect.rpc is not None
            for path, method in dialect.rpc.methods.items()
        }

    def read(self, fields: Sequence[tuple[bytes, bytes]]) -> Head:
        """What *fields*, a request's head, say."""
        metadata = _metadata(fields)
        found = self._targets.get(metadata[b":path"])
        rpc = found.rpc if found else self.fallback
        target: Target | InferdError = found or _unknown(metadata[b":path"])
        coding = metadata.get(b"grpc-encoding", grpc.IDENTITY)
        timeout: float | None = None
        try:
            grpc.Messages(0, coding)  # raises where the coding is not spoken
            if told := metadata.get(b"grpc-timeout"):
                timeout = grpc.timeout(told)
        except InferdError as error:
            target = error
        if (method := metadata[b":method"]) != b"POST":
            target = MethodNotAllowed(short(method.decode("latin-1")), ["POST"])
        accepted = metadata.get(b"grpc-accept-encoding", b"").replace(b" ", b"").split(b",")
        packs = coding != grpc.IDENTITY and coding in accepted
        plain = not packs and REQUEST_ID not in metadata
        return Head(fields, metadata, rpc, target, coding, timeout, packs, plain)


def is_grpc(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request is one of gRPC, by its content type; others are ordinary HTTP, also those
    of gRPC-Web."""
    return any(name == b"content-type" and _is_type(value) for name, value in fields)


_is_type = re.compile(rb"application/grpc(?![^+; ])", re.IGNORECASE).match


def _metadata(fields: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    metadata: dict[bytes, Any] = {}
    for name, value in fields:
        metadata[name] = metadata[name] + b"," + value if name in metadata else value
    return metadata


def _unknown(path: bytes) -> InferdError:
    return Unsupported(
        "no such method is served here", got=RouteNotFound("", path.decode("latin-1")).target
    )
