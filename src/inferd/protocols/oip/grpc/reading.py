"""A request's bytes as a protobuf message, or our own error."""

from functools import cache
from typing import Any

from inferd.errors import MalformedRequest
from inferd.wire.proto import message


def read(name: str, body: bytes) -> Any:
    """The message that *body* is, by its type's full *name*. Raises MalformedRequest."""
    try:
        return message(name).FromString(body)
    except unreadable():
        raise MalformedRequest(f"the message cannot be read as {name}") from None


@cache
def unreadable() -> type[Exception]:
    """What protobuf raises for bytes that are no message."""
    from google.protobuf.message import DecodeError

    error: type[Exception] = DecodeError
    return error
