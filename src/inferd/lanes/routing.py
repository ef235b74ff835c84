"""From a method and a URL to the operation that answers: the dialects' routes as one table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from inferd.calls import Call, Handler
from inferd.errors import (
    InferdError,
    InvalidInput,
    MalformedRequest,
    MethodNotAllowed,
    UpgradeRequired,
)
from inferd.lanes.rpc_routing import RpcRoutes
from inferd.protocols.base import WEBSOCKET, Dialect, Operation, Route


class Match(msgspec.Struct, frozen=True, eq=False):
    """Where a request goes."""

    dialect: Dialect
    operation: Operation
    handler: Handler
    path: Mapping[str, str]
    query: bytes
    head_only: bool
    """Whether the request is HEAD: answered as GET, without the body."""


class Routes:
    """The routes of all dialects of a port. A match depends on the URL alone, so that matches can
    be kept."""

    KEPT, LONGEST = 1024, 256  # URLs of real clients recur, and are no longer than this

    def __init__(self, dialects: Sequence[Dialect], handlers: Mapping[type[Call], Handler]) -> None:
        ordered = sorted(dialects, key=lambda dialect: dialect.precedence)
        self.fallback = ordered[0]
        """Tells the errors of requests that no dialect claims."""
        self._routes = [
            (
                _pattern(route.path, dialect.separators),
                route,
                dialect,
                handlers[route.operation.call],
            )
            for dialect in ordered
            for route in dialect.routes
        ]
        self._kept: dict[tuple[bytes, bytes], Match] = {}
        self.rpc = RpcRoutes(dialects, handlers)
        """The same dialects over gRPC, where they have that form."""

    def find(self, method: bytes, target: bytes) -> Match | None:
        """The match of a request line; None where no dialect knows the path.

        HEAD is found where GET is. Raises MethodNotAllowed where only the method is wrong,
        UpgradeRequired where it is asked by messages only, InvalidInput for a path that is not
        UTF-8, and MalformedRequest for one that is wrongly percent-encoded.
        """
        key = (method, target)
        match = self._kept.get(key)
        if match is None:
            match = self._find(method, target)
            if match is not None and len(target) <= self.LONGEST:
                if len(self._kept) >= self.KEPT:  # filled with what does not come again
                    self._kept.clear()
                self._kept[key] = match
        return match

    def find_websocket(self, target: bytes) -> Match | None:
        """The match of what is asked by messages at *target*; None where nothing is."""
        try:
            return self.find(WEBSOCKET.encode(), target)
        except InferdError:
            return None

    def _find(self, method: bytes, target: bytes) -> Match | None:
        path, _, query = target.partition(b"?")
        if b"%" in path and _BAD_ESCAPE.search(path):
            raise MalformedRequest("the URL's path is wrongly percent-encoded", expected="%XX")
        wanted = "GET" if method == b"HEAD" else method.decode("latin-1")
        allowed = []
        for pattern, route, dialect, handler in self._routes:
            found = pattern.fullmatch(path)
            if not found:
                continue
            if route.method == wanted:
                return Match(
                    dialect,
                    route.operation,
                    handler,
                    _decoded(found.groupdict()),
                    query,
                    method == b"HEAD",
                )
            allowed.append(route.method)
        if allowed == [WEBSOCKET]:
            raise UpgradeRequired
        if allowed:
            raise MethodNotAllowed(
                method.decode("latin-1"), sorted(set(allowed)), target.decode("latin-1")
            )
        return None


def all_routes(dialects: Iterable[Dialect]) -> list[tuple[Dialect, Route]]:
    """Every route with its dialect, by precedence: for documentation."""
    return [(d, route) for d in sorted(dialects, key=lambda d: d.precedence) for route in d.routes]


def origin_form(target: bytes) -> bytes:
    """Path and query of an absolute URL, which a server must accept (RFC 9112, section 3.2.2)."""
    if b"://" not in target:
        return target
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise MalformedRequest("the request's target is not a URL") from None
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")


_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")  # RFC 3986, section 2.1


def _pattern(path: str, separators: str) -> re.Pattern[bytes]:
    segment = rf"(?P<\1>[^{re.escape(separators)}]+)"
    escaped = re.sub(r"\\{(\w+)\\}", segment, re.escape(path))
    return re.compile(escaped.encode("ascii"))


def _decoded(variables: Mapping[str, bytes]) -> dict[str, str]:
    """Percent-decoded, once: what is still encoded after that is part of the name."""
    try:
        return {name: unquote_to_bytes(value).decode("utf-8") for name, value in variables.items()}
    except UnicodeDecodeError:
        raise InvalidInput("the URL's path is not UTF-8") from None
