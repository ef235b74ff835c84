"""Header blocks without IO: what a request's mean, whether it is valid (RFC 9113, 8.2 and 8.3), and
how an answer's are written.

A client that repeats itself sends, from its second request on, a block that is all indexes and
equal to the one before, byte for byte. What such bytes mean is remembered for as long as the
dynamic table stays as it is.
"""

import re
from collections.abc import Iterable
from typing import Final

from inferd.wire.h2.decoding import STATIC, Decoder, Field
from inferd.wire.h2.frames import ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR

MOST_REMEMBERED: Final = 64
"""Blocks. One whose values change, but never enter the table, is new each time: when so many are
there, all are forgotten."""
LARGEST_REMEMBERED: Final = 2048
"""Bytes of a block."""
MOST_FIELDS_REMEMBERED: Final = 64
"""Of one block: with them, a connection's memory of blocks is at most some 300 KiB."""
NO_LENGTH: Final = -1
MOST_VALID: Final = 128
"""Fields that are remembered to be valid, for clients whose blocks are new each time."""
LARGEST_VALID: Final = 256
"""Bytes of one."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch  # RFC 9110, 5.1, less upper case
_BAD_VALUE = re.compile(rb"[\0\r\n]|\A[ \t]|[ \t]\Z").search  # RFC 9113, 8.2.1
_BAD_TARGET = re.compile(rb"[\0-\x20\x7f]").search  # of :path, :scheme and :authority: RFC 3986
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch
_HOP_BY_HOP = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_SINGLE = frozenset((b"host", b"content-length"))


class Head:
    """What a header block means as the head of a request."""

    __slots__ = ("code", "fields", "length", "why")

    def __init__(self, fields: list[Field] | None, valid: set[Field]) -> None:
        self.fields: list[Field] = [] if fields is None else fields
        self.code, self.length = NO_ERROR, NO_LENGTH
        """``code``: what a stream with such a head is reset with. ``length``: content-length."""
        self.why = ""
        if fields is None:
            self.code, self.why = ENHANCE_YOUR_CALM, "a header list larger than is taken"
            return
        try:
            self.length = _checked(fields, valid)
        except _MalformedError as error:
            self.code, self.why = PROTOCOL_ERROR, str(error)


class Heads:
    """The header blocks of one connection's requests."""

    __slots__ = ("_decoder", "_most", "_valid", "known")

    def __init__(self, most: int) -> None:
        self._decoder, self._most = Decoder(), most
        """Most bytes of a header list."""
        self._valid: set[Field] = set()
        self.known: dict[bytes, Head] = {}
        """What blocks mean until the dynamic table changes. For looking up alone."""

    def read(self, block: bytes) -> Head:
        """What *block* means. Each block of a connection is read once, in their order, unless
        ``known`` has it."""
        head = self.known.get(block)
        if head is not None:
            return head
        decoder, known = self._decoder, self.known
        before = decoder.changes
        head = Head(decoder.decode(block, self._most), self._valid)
        if decoder.changes != before:
            if known:
                known.clear()
        elif len(block) <= LARGEST_REMEMBERED and len(head.fields) <= MOST_FIELDS_REMEMBERED:
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            known[block] = head
        return head


class _MalformedError(Exception):
    pass


def trailers_fault(fields: list[Field]) -> str:
    """What is wrong with *fields* as trailers (section 8.1); empty where nothing is."""
    try:
        for name, value in fields:
            _check_field(name, value)
    except _MalformedError as error:
        return str(error)
    return ""


def _checked(fields: list[Field], valid: set[Field]) -> int:
    """The content-length of a request that is valid. *valid*: regular fields that were held against
    the standard before, and that may be there more than once."""
    pseudo = _pseudo(fields)
    single: dict[bytes, bytes] = {}
    for field in fields[len(pseudo) :]:
        if field in valid:
            continue
        name, value = field
        _check_field(name, value)
        if name in _SINGLE:
            if name in single:
                raise _MalformedError("a host or a content-length that is twice there")
            single[name] = value
        elif len(name) + len(value) <= LARGEST_VALID:
            if len(valid) >= MOST_VALID:
                valid.clear()
            valid.add(field)
    _check_target(pseudo, single.get(b"host"))
    length = single.get(b"content-length")
    if length is None:
        return NO_LENGTH
    if not _LENGTH(length):
        raise _MalformedError("a content-length that is no number")
    return int(length)


def _pseudo(fields: list[Field]) -> dict[bytes, bytes]:
    """The pseudo-headers, which come before all other fields."""
    pseudo: dict[bytes, bytes] = {}
    for name, value in fields:
        if not name.startswith(b":"):
            break
        if name in pseudo or name not in _PSEUDO:
            raise _MalformedError("a pseudo-header that is unknown or twice there")
        if _BAD_TARGET(value):
            raise _MalformedError("a character that no pseudo-header may have")
        pseudo[name] = value
    return pseudo


def _check_field(name: bytes, value: bytes) -> None:
    """Sections 8.2.1 and 8.2.2."""
    if not _NAME(name):
        raise _MalformedError("a field name with a character that none may have")
    if _BAD_VALUE(value):
        raise _MalformedError("a field value with a character, or white space, that none may have")
    if name in _HOP_BY_HOP:
        raise _MalformedError("a field that belongs to HTTP/1 connections")
    if name == b"te" and value.lower() != b"trailers":
        raise _MalformedError("te other than trailers")


def _check_target(pseudo: dict[bytes, bytes], host: bytes | None) -> None:
    """Section 8.3.1. CONNECT, which has neither scheme nor path, is not spoken here."""
    method, scheme, path = (pseudo.get(name) for name in (b":method", b":scheme", b":path"))
    if not method or not scheme or not path:
        raise _MalformedError("a request without :method, :scheme or :path")
    if method == b"CONNECT":
        raise _MalformedError("CONNECT, which is not spoken here")
    if not path.startswith(b"/") and (method, path) != (b"OPTIONS", b"*"):
        raise _MalformedError("a :path that does not begin with a slash")
    authority = pseudo.get(b":authority")
    if authority is None:
        return
    if b"@" in authority:
        raise _MalformedError("an :authority that names a user")
    if host is not None and host.lower() != authority.lower():
        raise _MalformedError("a host that is another than :authority")


_EXACT: Final = {field: index for index, field in enumerate(STATIC, 1)}
_NAMED: Final = {name: index for index, (name, _) in reversed(list(enumerate(STATIC, 1)))}


def literal(name: bytes, value: bytes) -> bytes:
    """A field for a header block, without indexing: such bytes mean the same at any time, on any
    connection, and can be kept."""
    index = _EXACT.get((name, value))
    if index is not None:
        return bytes((0x80 | index,))
    if _BAD_VALUE(value) or not _NAME(name.removeprefix(b":")):
        msg = f"a field that HTTP/2 cannot carry: got {name!r}, expected a name in lower case, "
        raise ValueError(msg + "and a value without line ends or white space around it")
    index = _NAMED.get(name, 0)
    written = _integer(index, 4) if index else b"\0" + _integer(len(name), 7) + name
    return written + _integer(len(value), 7) + value


def encode_fields(fields: Iterable[Field]) -> bytes:
    """A header block that changes no table. Pseudo-headers (``:status``) come first in it."""
    return b"".join([literal(name, value) for name, value in fields])


def _integer(number: int, bits: int) -> bytes:
    """RFC 7541, section 5.1."""
    mask = (1 << bits) - 1
    if number < mask:
        return bytes((number,))
    number -= mask
    written = bytearray((mask,))
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
