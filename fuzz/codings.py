"""Content codings of a body: right, spoilt in every way that a decoder must survive, and undone."""

import functools
import gzip
import zlib
from collections.abc import Callable

BOMB = 16 << 20
"""Zeros in a bomb: little to send, and more than the fuzzed server's limit for a body."""


def _zlib(body: bytes) -> bytes:
    return zlib.compress(body)


def _raw(body: bytes) -> bytes:
    """Deflate without zlib's frame, as some old clients sent it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def _members(body: bytes) -> bytes:
    """Two members, which are one body (RFC 1952, section 2.2)."""
    half = len(body) // 2
    return _gzip(body[:half]) + _gzip(body[half:])


def _flipped(body: bytes) -> bytes:
    packed = bytearray(_gzip(body))
    packed[len(body) * 7919 % len(packed)] ^= 1 << len(body) % 8
    return bytes(packed)


def _bomb(body: bytes) -> bytes:
    return _gzip(body) + _zeros()


@functools.cache
def _zeros() -> bytes:
    return gzip.compress(bytes(BOMB), 9, mtime=0)


def _same(body: bytes) -> bytes:
    return body


RIGHT: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", _gzip),
    "x-gzip": ("x-gzip", _gzip),
    "GZIP": ("GZIP", _gzip),
    "members": ("gzip", _members),
    "deflate": ("deflate", _zlib),
    "identity": ("identity", _same),
}
"""Each form by its name: what Content-Encoding says, and what is done to the body."""
WRONG: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "raw deflate": ("deflate", _raw),
    "plain as gzip": ("gzip", _same),
    "plain as deflate": ("deflate", _same),
    "truncated gzip": ("gzip", lambda body: _gzip(body)[:-9]),
    "half gzip": ("gzip", lambda body: _gzip(body)[: len(body) // 2]),
    "truncated deflate": ("deflate", lambda body: _zlib(body)[:-3]),
    "flipped gzip": ("gzip", _flipped),
    "tail gzip": ("gzip", lambda body: _gzip(body) + b"tail"),
    "many members": ("gzip", lambda body: _gzip(b"") * 2000 + _gzip(body)),
    "bomb": ("gzip", _bomb),
    "no bytes": ("gzip", lambda _: b""),
    "gzip as deflate": ("deflate", _gzip),
    "deflate as gzip": ("gzip", _zlib),
    "unknown": ("br", _same),
    "nothing": ("", _same),
    "twice": ("gzip, gzip", lambda body: _gzip(_gzip(body))),
    "mixed": ("deflate, gzip", lambda body: _gzip(_zlib(body))),
    "weighted": ("gzip;q=1", _gzip),
    "list": ("identity, gzip", _gzip),
}
FORMS = RIGHT | WRONG


def encode(form: str, body: bytes) -> tuple[str, bytes]:
    """What Content-Encoding says, and the coded *body*."""
    label, change = FORMS[form]
    return label, change(body)


def decode(coding: str, body: bytes) -> bytes:
    """What an answer's body says once *coding* is undone; ValueError where it cannot be undone."""
    wbits = {"gzip": 31, "deflate": 15}.get(coding)
    if wbits is None:
        raise ValueError(f"content-encoding {coding}")
    unpacker = zlib.decompressobj(wbits)
    try:
        plain = unpacker.decompress(body)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"{coding} that does not end with its body")
    return plain
