"""Protobuf's wire format, as far as messages are read whole and answers written by hand."""

from typing import Any

from inferd.errors import MalformedRequest
from inferd.wire.proto import message

LENGTH = 2  # the wire type of all that has a length before it


def read(name: str, body: bytes) -> Any:
    """*body* as the message of that full name. Raises MalformedRequest."""
    try:
        return message(name).FromString(body)
    except _decode_error():
        raise MalformedRequest(
            "the message is not what the method takes", expected=f"a {name}"
        ) from None


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    refused: type[Exception] = DecodeError
    return refused


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    if number < FIRST_LONG:  # mostly
        return _SHORT[number]
    found = bytearray()
    while number >= FIRST_LONG:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


FIRST_LONG = 0x80  # the first number that takes two bytes
_SHORT = [bytes((number,)) for number in range(FIRST_LONG)]


def tag(number: int) -> bytes:
    """What comes before the length of the field *number*."""
    return varint(number << 3 | LENGTH)


def field(number: int, content: bytes) -> bytes:
    """The field *number*, a message, text or packed list."""
    return tag(number) + varint(len(content)) + content
