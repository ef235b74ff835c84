"""What a request's head says about its transfer; and heads that were parsed before.

All requests of one client to one URL with bodies of one length have the same head, byte for byte,
and the same bytes mean the same request. Looking a head up takes a tenth of the time of parsing it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from inferd.errors import (
    InferdError,
    MalformedRequest,
    PayloadTooLarge,
    RequestTimeout,
    Unsupported,
)
from inferd.lanes.deadlines import TIMEOUTS
from inferd.lanes.routing import Match

END = b"\r\n\r\n"
GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"


class KnownHead(msgspec.Struct, frozen=True, eq=False):
    """What the parser made of a head: an inference request with a body of known length."""

    head: bytes
    match: Match
    fields: Mapping[bytes, bytes]
    size: int
    """Of the head, with its empty line."""
    total: int
    """Of the whole request."""
    special: bool
    """Whether it says something about its answer; see ``is_special``."""


class KnownHeads:
    """The heads of one listener's clients."""

    KEPT = 1024
    LONGEST = 2048  # bytes; a head with cookies or tokens in it rarely comes again on other terms

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}

    def find(self, data: bytes) -> KnownHead | None:
        """The head of *data*, if *data* is exactly one whole request whose head is known."""
        known = self._heads.get(data[: data.find(END) + 4])
        return known if known is not None and known.total == len(data) else None

    def learn(
        self, data: bytes, match: Match, fields: Mapping[bytes, bytes], *, special: bool
    ) -> None:
        """Keep the head of *data*, if *data* is exactly the one request that was parsed from it.

        Only what says nothing about the connection itself: its meaning must lie in its bytes alone;
        and none that hardly comes again.
        """
        size = data.find(END) + 4
        whole = fields.get(b"content-length") == b"%d" % (len(data) - size)
        if not whole or size > self.LONGEST or not UNLEARNT.isdisjoint(fields):
            return
        if fields.get(b"connection", KEEP_ALIVE).lower() != KEEP_ALIVE:
            return
        if len(self._heads) >= self.KEPT:  # filled with what does not come again
            self._heads.clear()
        head = data[:size]
        self._heads[head] = KnownHead(head, match, fields, size, len(data), special)


def is_special(fields: Mapping[bytes, bytes]) -> bool:
    """Whether a request's headers ask for an answer that is not just written."""
    return not SPECIAL.isdisjoint(fields)


def fault(
    headers: Sequence[tuple[bytes, bytes]], fields: Mapping[bytes, bytes], *, old_http: bool
) -> InferdError | None:
    """What makes a head invalid although its every line is right."""
    if len(headers) > MOST_FIELDS:
        return PayloadTooLarge("too many headers", expected=f"at most {MOST_FIELDS}")
    if len(fields) < len(headers):
        names = [name for name, _ in headers if name in SINGLE]
        if len(names) != len(set(names)):
            return MalformedRequest("a header that may come once came twice")
    if b"host" not in fields and not old_http:  # RFC 9112, section 3.2
        return MalformedRequest("the request has no Host header")
    coding = fields.get(b"transfer-encoding")
    if coding is not None and coding.lower() != CHUNKED:  # RFC 9112, section 6.1
        return Unsupported("this transfer coding is not spoken", expected="chunked")
    return None


def collect(chunks: list[bytes | bytearray], chunk: bytes) -> None:
    """Add *chunk* to those of a body. Small ones are joined: each would cost more than it holds."""
    if not chunks or len(chunk) >= SMALL_CHUNK:
        chunks.append(chunk)
    elif isinstance(chunks[-1], bytearray):
        chunks[-1] += chunk
    else:
        chunks.append(bytearray(chunk))


def head_size(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The bytes of a head that its client chose."""
    return len(target) + sum(len(name) + len(value) for name, value in headers)


def too_long_a_head() -> PayloadTooLarge:
    """What a client is told whose head is longer than is read."""
    return PayloadTooLarge("the request line and headers are too long")


def announced_length(fields: Mapping[bytes, bytes]) -> int:
    """The announced length of a body; 0 where none is. Of no more digits than Python reads."""
    return int(fields.get(b"content-length", b"").lstrip(b"0") or b"0")


def announced_excess(fields: Mapping[bytes, bytes], most: int) -> str:
    """The announced length of a body of more than *most* bytes; empty for any other."""
    length = fields.get(b"content-length", b"").lstrip(b"0")
    if len(length) > len(str(most)):  # Python itself refuses to read a number of 5,000 digits
        return "more digits than that"
    return length.decode() if int(length or b"0") > most else ""


def too_slow() -> RequestTimeout:
    """What a client is told that takes too long."""
    return RequestTimeout("the request came too slowly")


def too_large(size: str, most: int) -> PayloadTooLarge:
    """What a client is told whose body is larger than is read."""
    return PayloadTooLarge("the body is too large", got=size, expected=f"at most {most} bytes")


def expects_go_ahead(fields: Mapping[bytes, bytes]) -> bool:
    """Whether the client waits to be told that its body is wanted (RFC 9110, section 10.1.1)."""
    return fields.get(b"expect", b"").lower() == b"100-continue"


def without_offer(
    method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], *, old_http: bool
) -> bytes:
    """The head of a request without its offer to speak another protocol."""
    kept = []
    for name, value in headers:
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            value = b", ".join(token for token in tokens if token.lower() not in OFFER)
            if not value:
                continue
        if name not in OFFER:
            kept.append(b"%b: %b\r\n" % (name, value))
    return b"%b %b HTTP/1.%d\r\n%b\r\n" % (method, target, not old_http, b"".join(kept))


def no_tunnel() -> Unsupported:
    """What a client is told that asks for a tunnel."""
    return Unsupported("no tunnel is opened here", expected="a request for a path")


OFFER = frozenset({b"upgrade", b"http2-settings"})
SMALL_CHUNK = 4096
SPECIAL = frozenset({b"accept-encoding", b"connection", b"x-request-id", *TIMEOUTS})
UNLEARNT = frozenset(
    {
        b"content-encoding",
        b"expect",
        b"traceparent",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)
SINGLE = frozenset(
    {b"content-encoding", b"content-length", b"content-type", b"host", b"transfer-encoding"}
)
"""Headers that have one value; of two, one would be believed here and the other elsewhere."""
MOST_FIELDS = 100  # as Apache, Node.js and Go's proxies allow or thereabouts; browsers send 20
KEEP_ALIVE, CHUNKED = b"keep-alive", b"chunked"
