"""Protobuf's wire format, as far as answers are written and requests recognised by hand.
(protobuf.dev/programming-guides/encoding)"""

from collections.abc import Iterable


def varint(number: int) -> bytes:
    """*number*, which is not negative, seven bits a byte."""
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    pieces.append(number)
    return bytes(pieces)


def field(number: int, content: bytes) -> bytes:
    """A field that has a length: text, bytes, a message or packed numbers."""
    return opening(number, len(content)) + content


def text(number: int, content: str) -> bytes:
    """A field of text, which is left out where it is empty."""
    return field(number, content.encode("utf-8", "replace")) if content else b""


def numbers(number: int, content: Iterable[int]) -> bytes:
    """A field of packed numbers, which is left out where there are none."""
    packed = b"".join([varint(each) for each in content])
    return field(number, packed) if packed else b""


def opening(number: int, length: int) -> bytes:
    """What stands before a content of *length*."""
    return varint(number << 3 | _HAS_LENGTH) + varint(length)


_HAS_LENGTH = 2
