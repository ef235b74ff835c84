"""Calls of the interop service as chance makes them: sizes, numbers of messages, codings, metadata,
statuses, deadlines, and all that can be wrong with them."""

from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

import grpc

from tests.grpc.interop_messages import message
from tests.grpc.interop_service import CODES, ECHO_INITIAL, ECHO_TRAILING, METHODS, MOST

SIZES = (0, 1, 5, 300, 1023, 1024, 5000, 16379, 16384, 70_000)
BROKEN = (
    b"\xff",
    b"\x0a\x05ab",
    b"\x12\x02\x08",
    b"\x00",
    b"\x1a\xff\xff\xff\xff\x7f",
    b"\x3f\x3f",
)
"""No messages of this service: cut off, with wrong types, or with field 0."""
LONG = 5_000_000  # microseconds: nobody waits for that
SHORT = 0.05  # seconds
MARK = "¶"
"""In all texts of the service, so that they are told from those of the servers."""


class Case(NamedTuple):
    """One call, as it is sent."""

    method: str
    requests: tuple[bytes, ...]
    compression: grpc.Compression
    metadata: tuple[tuple[str, str | bytes], ...]
    timeout: float | None
    broken: bool
    """Whether one of the requests is no message of its method."""

    @property
    def oversized(self) -> bool:
        """Whether one of the requests is larger than is taken."""
        return any(len(each) > MOST for each in self.requests)

    @property
    def miscounted(self) -> bool:
        """Whether the method takes one message, and that is not what is sent."""
        return METHODS[self.method].takes == "one" and len(self.requests) != 1


def case(chance: Random) -> Case:
    """One call."""
    method = chance.choice(list(METHODS))
    sleeps = METHODS[method].streams and chance.random() < 0.03
    requests = [_request(chance, METHODS[method].request) for _ in range(_count(chance, method))]
    if sleeps:
        asleep = {"size": 1, "interval_us": LONG}
        requests = [message(METHODS[method].request)(response_parameters=[asleep])]
    bodies = [each.SerializeToString() for each in requests]
    broken = bool(bodies) and not sleeps and chance.random() < 0.08
    if broken:
        bodies = [each for each in bodies if len(each) <= MOST] or [b""]  # one fault is enough
        bodies[chance.randrange(len(bodies))] = chance.choice(BROKEN)
    return Case(
        method,
        tuple(bodies),
        chance.choice([grpc.Compression.NoCompression] * 3 + list(grpc.Compression)),
        tuple(_metadata(chance).items()),
        SHORT if sleeps else None,
        broken,
    )


def _count(chance: Random, method: str) -> int:
    if METHODS[method].takes == "one":
        return chance.choice([1] * 18 + [0, 2])
    return chance.choice([0, 1, 1, 2, 3, 10])


def _request(chance: Random, name: str) -> Any:
    made = message(name)()
    if name == "Empty":
        return made
    made.payload.body = _body(chance)
    if name == "StreamingInputCallRequest":
        return made
    if name == "SimpleRequest":
        made.response_size = chance.choice(SIZES)
    else:
        for _ in range(chance.choice([0, 1, 1, 2, 5])):
            pause = chance.choice([0] * 9 + [2000])
            made.response_parameters.add(size=chance.choice(SIZES), interval_us=pause)
    if chance.random() < 0.15:
        made.response_status.code = chance.choice(list(CODES))
        made.response_status.message = _text(chance)
    return made


def _body(chance: Random) -> bytes:
    """Often small; seldom too large, as it is or unpacked."""
    if chance.random() < 0.01:
        return bytes(MOST + 1)
    size = chance.choice(SIZES)
    return chance.randbytes(size) if chance.random() < 0.5 else bytes(size)


def _text(chance: Random) -> str:
    """Of all planes of Unicode; not so long that a client takes no such trailers."""
    kinds = range(0x20, 0x7F), range(0x20), range(0x7F, 0x800), range(0xE000, 0x11_0000)
    size = chance.choice([0, 1, 10, 100])
    text = "".join([chr(chance.choice(chance.choice(kinds))) for _ in range(size)])
    at = chance.randint(0, size)
    return text[:at] + MARK + text[at:] if chance.random() < 0.9 else ""


def _metadata(chance: Random) -> Mapping[str, str | bytes]:
    made: dict[str, str | bytes] = {}
    if chance.random() < 0.2:
        text = "".join([chr(chance.randrange(0x20, 0x7F)) for _ in range(20)])
        made[ECHO_INITIAL.decode()] = text.strip() or "x"
    if chance.random() < 0.2:
        made[ECHO_TRAILING.decode()] = chance.randbytes(chance.choice([1, 2, 3, 100]))
    if chance.random() < 0.2:
        made["x-more"] = "m" * chance.choice([1, 100, 3000])
    return made
