"""Content codings of HTTP bodies, gzip and deflate (RFC 9110, section 8.4): undone within limits,
and chosen for answers."""

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

from inferd.errors import MalformedRequest, PayloadTooLarge, UnsupportedEncoding

NAMES = "gzip, deflate"
IDENTITY = b"identity"

# The window's exponent as zlib takes it: 16 more for gzip's header; "deflate" is zlib's format.
_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_PREFERRED = (b"gzip", b"deflate")

RATIO = 200
"""How many times its size a body may become: numbers written as text shrink to a quarter or a
tenth, deflate's best is 1032."""
FREE = 1 << 20
"""Bytes that any body may become, however small it is."""
STEP = 1 << 16  # bytes of a packed body that are unpacked at once
LEVEL = 1  # a quarter larger than level 6, in a third of the time


def unpack(body: bytes | bytearray | memoryview, coding: bytes, most: int) -> bytes:
    """What *body* was before *coding*, of *most* bytes at most.

    Raises UnsupportedEncoding, PayloadTooLarge, or MalformedRequest where it is cut off or
    damaged.
    """
    name = coding.strip().lower()
    if name == IDENTITY:
        return bytes(body)
    window = _WINDOWS.get(name)
    if window is None:
        raise UnsupportedEncoding("this content coding is not spoken", expected=NAMES)
    allowed = min(most, max(FREE, RATIO * len(body)))
    pieces: list[bytes] = []
    size = 0
    for piece in _pieces(memoryview(body), window, allowed):
        size += len(piece)
        if size > allowed:
            pieces.clear()  # the error remembers this place, and would keep them
            del piece
            raise PayloadTooLarge(
                "the body unpacks to more than is read",
                expected=f"at most {most} bytes, and at most {RATIO} times its packed size",
            )
        pieces.append(piece)
    return b"".join(pieces)


def _pieces(packed: memoryview, window: int, allowed: int) -> Iterator[bytes]:
    """The pieces of the body: of all members of a gzip file one after the other (RFC 1952, 2.2)."""
    machine, begun = zlib.decompressobj(window), False
    for at in range(0, len(packed), STEP):
        rest: bytes | memoryview = packed[at : at + STEP]
        while rest:
            if machine.eof:
                if window == _WINDOWS[b"deflate"]:
                    raise MalformedRequest("there are bytes after the end of the packed body")
                machine, begun = zlib.decompressobj(window), False
            try:
                yield machine.decompress(rest, allowed + 1)
            except zlib.error:
                raise MalformedRequest("the packed body is damaged") from None
            begun, rest = True, machine.unconsumed_tail or machine.unused_data
    if not machine.eof or not begun:
        raise MalformedRequest("the packed body is cut off")


@lru_cache(256)  # clients send one of few
def wanted(accept: bytes) -> bytes:
    """The coding that an ``Accept-Encoding`` asks for; empty: none, or none that is spoken.

    The one with the largest weight; of equal ones gzip before deflate, and either before none.
    """
    weights = dict(_weights(accept))
    other = weights.get(b"*", 0.0)
    best = max(_PREFERRED, key=lambda name: weights.get(name, other))
    weight = weights.get(best, other)
    return best if weight > 0 and weight >= weights.get(IDENTITY, 0.0) else b""


def _weights(accept: bytes) -> Iterator[tuple[bytes, float]]:
    for item in accept.lower().split(b","):
        name, _, parameter = item.partition(b";")
        key, _, value = parameter.partition(b"=")
        try:
            yield name.strip(), float(value) if key.strip() == b"q" else 1.0
        except ValueError:
            yield name.strip(), 0.0


def pack(pieces: Iterable[bytes | memoryview], coding: bytes) -> bytes:
    """The *pieces* together in *coding*."""
    machine = zlib.compressobj(LEVEL, wbits=_WINDOWS[coding])
    return b"".join([*map(machine.compress, pieces), machine.flush()])
