"""Tests of the fuzzer's own judgement: what it takes for a fault, and what it lets pass."""

import json
import random

import pytest

from fuzz import client, frames, watch
from fuzz.answers import Malformed
from fuzz.client import Received
from fuzz.dialects.base import Dialect, Known, get, post
from fuzz.dialects.plain import dialect as plain
from fuzz.mutations import mutate_body
from fuzz.request import MAIN
from fuzz.sessions import Maker, Manner, Session, insert_break, turn_break
from fuzz.watch import Sample

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
FAULT = OK.replace(b"200 OK", b"500 Internal Server Error")
ASKED = (get("/", {}), post("/", {}, {}))


def session(known: tuple[Known, ...], *, more: bool = False) -> Session:
    """A session of which only the questions matter."""
    return Session(MAIN, b"", (), Manner.CLOSE, known, more)


def kinds(asked: Session, data: bytes, *, reset: bool = False) -> list[str]:
    """What is found wrong with an answer of these bytes."""
    return [kind for kind, _ in client.faults(asked, Received(data, reset))]


@pytest.mark.parametrize(
    ("data", "more", "reset", "expected"),
    [
        (OK * 2, False, False, []),
        (OK, False, False, ["missing"]),
        (OK, False, True, []),
        (OK * 3, False, False, ["too many"]),
        (OK * 3, True, False, []),
        (OK * 2 + FAULT, True, False, ["5xx"]),
        (OK + OK.replace(b"{}", b"[]"), False, False, ["known"]),
        (OK + OK[:-1], False, False, ["cut answer"]),
        (OK + OK[:-1], False, True, []),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK * 2, False, False, []),
        (OK + b"x", False, False, ["cut answer"]),
        (OK + b"x\r\n\r\n", False, False, ["malformed answer"]),
    ],
)
def test_what_came_is_judged_by_what_was_asked(
    data: bytes, more: bool, reset: bool, expected: list[str]
) -> None:
    """Each unspoilt question has its answer, in order and whole, where no reset took it."""
    assert kinds(session(ASKED, more=more), data, reset=reset) == expected


def test_a_maker_repeats_itself_and_cuts_at_every_byte() -> None:
    """The same seed gives the same sessions, and the pieces are the session's bytes."""
    one, other = (Maker([plain], [MAIN], 5) for _ in range(2))
    made = [one.make() for _ in range(300)]
    assert made == [other.make() for _ in range(300)]
    assert all(b"".join(each.pieces()) == each.data for each in made)
    swept = [each.cuts for each in made if len(each.cuts) == 1 and not each.more]
    assert {(at,) for at in range(1, 30)} <= set(swept)


def test_what_is_whole_before_a_change_must_still_be_answered() -> None:
    """Of a spoilt session the questions before its first other byte are known."""
    known = [get(f"/{at}", at) for at in range(4)]
    maker = Maker([Dialect("toy", plain.requests, known)], [MAIN], 1)
    spoilt = [each for each in (maker.make() for _ in range(500)) if each.more and each.known]
    assert spoilt
    for each in spoilt:
        right = b"".join(question.request.serialise() for question in each.known)
        assert each.data.startswith(right)


def test_breaks_are_put_in_and_turned() -> None:
    """A change of a line's end changes nothing else."""
    rng, data = random.Random(1), b"a\r\nb"
    for _ in range(50):
        assert set(insert_break(rng, data) + turn_break(rng, data)) <= set(b"a\r\nb\x00")


def test_mutations_repeat_themselves() -> None:
    """A seed gives the same bodies again, else a failure could not be repeated."""
    body = json.dumps({"features": [1, 2.5, "x"]}).encode()
    made = [[mutate_body(random.Random(at), body) for at in range(200)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 50


def test_a_trend_ignores_peaks_and_the_warm_up() -> None:
    """Memory that peaks now and then, or grew at first, does not leak; steady growth does."""
    steady = [Sample(at, (100 << 20) + (at % 10 == 0) * (50 << 20), 1) for at in range(300)]
    first = [Sample(at, min(at, 90) << 20, 1) for at in range(300)]
    leaking = [Sample(at, (100 << 20) + at * (1 << 17), 1) for at in range(300)]
    found = [watch.trend(samples) for samples in (steady, first, leaking)]
    assert [each is not None and each.leaks for each in found] == [False, False, True]
    assert watch.trend(leaking[:5]) is None


def test_frames_are_read_as_they_are_written() -> None:
    """What a server sends is what a client sends without its mask."""
    for size in (0, 125, 126, 65535, 65536):
        sent = frames.frame(frames.BINARY, bytes(size))
        plain_bytes = bytes([sent[0], sent[1] & 127]) + sent[2 : len(sent) - size - 4] + bytes(size)
        found, end = frames.read_frames(plain_bytes, 0)
        assert [each.payload for each in found] == [bytes(size)]
        assert end == len(plain_bytes)


@pytest.mark.parametrize(
    "data",
    [b"\x81\x80", b"\xc1\x00", b"\x83\x00", b"\x08\x00", b"\x88\x02\x03\xed", b"\x81\x01\xff"],
)
def test_frames_that_no_server_may_send_are_faults(data: bytes) -> None:
    """A mask, reserved bits, an unknown opcode, a control frame in pieces, a bad code, bad text."""
    with pytest.raises(Malformed):
        frames.read_frames(data, 0)
