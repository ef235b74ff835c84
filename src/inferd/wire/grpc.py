"""gRPC's messages, times and texts as HTTP/2 carries them (gRPC's PROTOCOL-HTTP2.md). No IO.

A message is five bytes of prefix and then its own: whether it is packed, and how long it is. A
stream's messages lie one after the other in its DATA, which may be cut anywhere.
"""

import re
import sys
from struct import Struct
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from inferd.errors import Code, MalformedRequest, PayloadTooLarge, Unsupported, short
from inferd.wire import codings

CODING_NAMES = ("identity", "deflate", "gzip")
"""How messages may be packed. Triton's client offers these."""
CODINGS = ",".join(CODING_NAMES).encode()
"""What ``grpc-accept-encoding`` says."""
IDENTITY = b"identity"

_SPOKEN = frozenset(CODINGS.split(b","))
_PREFIX = Struct(">BI")
_pack_prefix, _read_prefix = _PREFIX.pack, _PREFIX.unpack_from
_PREFIX_SIZE = _PREFIX.size


class UnspokenCoding(Unsupported):
    """Messages come packed in a way that is not spoken; its caller is to be told those that are."""


class UnnamedCoding(MalformedRequest):
    """A message is packed, and the head of its stream does not say how; gRPC asks for this code."""

    code = Code.INTERNAL


class Piece(NamedTuple):
    """A message as it came."""

    body: bytes
    packed: bool


class Messages:
    """The messages of one stream: each of *most* bytes at most, packed and unpacked alike.

    *coding* is the ``grpc-encoding`` of the stream; UnspokenCoding where it is not spoken. What
    raises leaves the messages of no use.
    """

    def __init__(self, most: int, coding: bytes = IDENTITY) -> None:
        if coding not in _SPOKEN:
            raise UnspokenCoding(
                "this coding of messages is not spoken",
                got=repr(short(coding.decode("latin-1"))),
                expected=", ".join(CODING_NAMES),
            )
        self._most, self._coding = most, coding
        self._rest = bytearray()

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their message."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that *data* completes, unpacked.

        Raises PayloadTooLarge, as soon as a prefix announces too much; MalformedRequest.
        """
        return [self.unpack(body) if packed else body for body, packed in self.cut(data)]

    def cut(self, data: bytes, most: int = sys.maxsize) -> list[Piece]:
        """As ``feed``, for who unpacks them elsewhere: that can take long. No more than *most*; the
        others are kept, to be cut out of no more data."""
        rest = self._rest
        if rest:
            rest += data
        pieces: list[Piece] = []
        at = 0
        with memoryview(rest or data) as view:
            end = len(view)
            while end - at >= _PREFIX_SIZE and len(pieces) < most:
                flag, size = _read_prefix(view, at)
                self._check(flag, size)
                begin, after = at + _PREFIX_SIZE, at + _PREFIX_SIZE + size
                if after > end:
                    break
                pieces.append(Piece(bytes(view[begin:after]), flag == 1))
                at = after
            if not rest:
                rest += view[at:]
                return pieces
        del rest[:at]
        return pieces

    def unpack(self, body: bytes) -> bytes:
        """What a packed message is. Raises PayloadTooLarge, MalformedRequest."""
        return codings.unpack(body, self._coding, self._most)

    def end(self) -> None:
        """Nothing more comes. Raises MalformedRequest where a message is cut off."""
        if self._rest:
            raise MalformedRequest(
                "the last message is cut off",
                got=f"{len(self._rest)} bytes of it",
                expected=self._announced(),
            )

    def _check(self, flag: int, size: int) -> None:
        """Refuse a message by its prefix, before its bytes are kept."""
        if size > self._most:
            raise PayloadTooLarge(
                "the message is larger than this server reads",
                got=f"{size} bytes",
                expected=f"at most {self._most}",
            )
        if not flag:
            return
        if flag != 1:
            raise MalformedRequest("this is no gRPC message", got=f"flag {flag}", expected="0 or 1")
        if self._coding == IDENTITY:
            raise UnnamedCoding("a message is packed", cure="Say in grpc-encoding how.")

    def _announced(self) -> str:
        if len(self._rest) < _PREFIX_SIZE:
            return f"{_PREFIX_SIZE} bytes of prefix, and its own"
        return f"{_PREFIX_SIZE + _read_prefix(self._rest)[1]} bytes"


def whole(body: bytes, most: int) -> bytes | None:
    """The message that *body* is, if that is one that is not packed and not larger than *most*.

    None: it is anything else, which ``Messages`` tells apart.
    """
    size = len(body) - _PREFIX_SIZE
    if 0 <= size <= most and _read_prefix(body) == (0, size):
        return body[_PREFIX_SIZE:]
    return None


def prefix(size: int) -> bytes:
    """What stands before a message of *size* bytes that is not packed."""
    return _pack_prefix(0, size)


def framed(message: bytes) -> bytes:
    """The message behind its prefix."""
    return _pack_prefix(0, len(message)) + message


def packed(message: bytes, coding: bytes) -> bytes:
    """As ``framed``, in *coding*, one of ``CODINGS``, where that makes it shorter."""
    if coding == IDENTITY:
        return framed(message)
    body = codings.pack([message], coding)
    return _pack_prefix(1, len(body)) + body if len(body) < len(message) else framed(message)


_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def timeout(value: bytes) -> float:
    """Seconds, from a ``grpc-timeout``. Raises MalformedRequest."""
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise MalformedRequest(
            "this is no grpc-timeout",
            got=repr(short(value.decode("latin-1"))),
            expected="one to eight digits, and then H, M, S, m, u or n",
        )
    return int(found[1]) * _SECONDS[found[2]]


MESSAGE_BYTES = 6 * 1024
"""Of a ``grpc-message``: clients take 8 KiB of trailers altogether."""
_CUT = b"..."
_ESCAPED = re.compile(rb"[^ -$&-~]|\A | \Z")  # HTTP/2 has no spaces around a value


def percent(text: str) -> bytes:
    """*text* as a ``grpc-message``; the end of a long one is cut off."""
    encoded = _escape(text[:MESSAGE_BYTES])
    if len(encoded) <= MESSAGE_BYTES and len(text) <= MESSAGE_BYTES:
        return encoded
    kept = encoded[: MESSAGE_BYTES - len(_CUT) - 2]  # a space that is the last now becomes three
    kept = kept[: len(kept) - 2] + kept[-2:].partition(b"%")[0]  # no half of an escape
    return _escape(unquote_to_bytes(kept).decode("utf-8", "ignore")) + _CUT  # nor of a character


def _escape(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return _ESCAPED.sub(lambda found: b"%%%02X" % found[0][0], raw)
