"""Triton's rule for a version in a URL: decimal digits, or there is no such URL."""

from collections.abc import Mapping
from typing import Any

from inferd.calls import Call, Handle, Lookup
from inferd.errors import InferdError, RouteNotFound
from inferd.protocols.base import Documentation, Message, Operation, Payload, Route


class DigitsOnly(Operation):
    """An operation behind a path with a version in it. (server 2.73dev, src/http_server.cc: the
    patterns of its paths)"""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        # Of the class elsewhere, and of each of these here.
        self.call, self.streams = operation.call, operation.streams  # type: ignore[misc]
        self.content_type = operation.content_type  # type: ignore[misc]
        self.encode, self.encode_end = operation.encode, operation.encode_end  # type: ignore[method-assign]

    def decode(self, message: Message, lookup: Lookup) -> Call:
        version = message.path["version"]
        if not (version.isascii() and version.isdigit()):
            raise RouteNotFound("", _path(message.path))
        return self._operation.decode(message, lookup)

    def encode(self, call: Call, response: Any) -> Payload:
        return self._operation.encode(call, response)

    def encode_failure(self, call: Call, error: InferdError) -> bytes | None:
        return self._operation.encode_failure(call, error)

    def document(self, handle: Handle | None) -> Documentation | None:
        return self._operation.document(handle)


def digits_only(route: Route) -> Route:
    """*route*, a version in which must be a number."""
    if "{version}" not in route.path:
        return route
    return Route(route.method, route.path, DigitsOnly(route.operation))


def _path(variables: Mapping[str, str]) -> str:
    return f"/v2/models/{variables['model']}/versions/{variables['version']}"
