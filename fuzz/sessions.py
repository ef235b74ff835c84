"""Whole connections as bytes: known questions in a row, spoilt, cut into pieces, and what they must
bring."""

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import NamedTuple

from fuzz.answers import Malformed, read_answer
from fuzz.dialects.base import Dialect, Known, post
from fuzz.mutations import cut_out, duplicate, flip, overwrite, truncate
from fuzz.request import MAIN

LONGEST_DRIP = 2500  # bytes of a session that is sent one by one
MANY = 250  # questions whose answers are more than all buffers on the way hold
BREAKS = (b"\r", b"\n", b"\r\n", b"\x00", b"\r\n\r\n", b"\n\n")


class Manner(StrEnum):
    """What a client does once it has sent what it has to send."""

    CLOSE = "sends no more, reads to the end"
    WAIT = "waits for the server to end it"
    LEAVE = "reads its answers and leaves"
    SLOW = "reads slowly"
    DEAF = "never reads"
    RESET = "resets the connection"


class Session(NamedTuple):
    """What one connection is used for."""

    door: str
    data: bytes
    cuts: tuple[int, ...]
    """Where *data* is parted; the pieces are sent one after the other."""
    manner: Manner
    known: tuple[Known, ...]
    """The questions that are whole and unspoilt: they must be answered as is known, in order."""
    more: bool
    """Whether further answers may come, of which nothing is known."""

    def pieces(self) -> Iterator[bytes]:
        """*data* as it is sent."""
        edges = (0, *self.cuts, len(self.data))
        return (self.data[a:b] for a, b in pairwise(edges))

    def is_answered(self, data: bytes) -> bool:
        """Whether every question has an answer in *data*; what is malformed is told later."""
        at = 0
        try:
            for each in self.known:
                cut = read_answer(data, at, each.request.method, ended=False)
                while cut and cut.answer.status < 200:
                    cut = read_answer(data, cut.end, each.request.method, ended=False)
                if cut is None:
                    return False
                at = cut.end
        except Malformed:
            return True
        return True

    def upgrades(self) -> bool:
        """Whether another protocol than HTTP follows."""
        return any(known.status == 101 for known in self.known)


def insert_break(rng: random.Random, data: bytes) -> bytes:
    """An end of a line, or a NUL, where none belongs."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(BREAKS) + data[at:]


def turn_break(rng: random.Random, data: bytes) -> bytes:
    """One end of a line by another."""
    found = [at for at, byte in enumerate(data) if byte in b"\r\n"]
    if not found:
        return insert_break(rng, data)
    at = rng.choice(found)
    return data[:at] + rng.choice((b"", *BREAKS)) + data[at + 1 :]


CHANGES = (flip, flip, overwrite, truncate, cut_out, duplicate, insert_break, turn_break)


class Maker:
    """Makes sessions; the same for the same seed."""

    def __init__(self, dialects: Sequence[Dialect], doors: Sequence[str], seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._questions = {
            door: [known for each in dialects if door in each.doors for known in each.known]
            for door in doors
        }
        self._doors = [door for door, questions in self._questions.items() if questions]
        self._sweep: Iterator[Session] = iter(())

    def make(self) -> Session:
        """The next session."""
        match self._random.randrange(100):
            case kind if kind < 30:
                return self._swept()
            case kind if kind < 50:
                return self._right()
            case kind if kind < 60:
                return self._ended_early()
            case 60 if MAIN in self._questions:
                return self._stalled()
            case _:
                return self._spoilt()

    def _swept(self) -> Session:
        """The sessions that are cut in two, at every byte in turn."""
        session = next(self._sweep, None)
        if session is None:
            self._sweep = self._every_cut()
            session = next(self._sweep)
        return session

    def _every_cut(self) -> Iterator[Session]:
        door, known, parts = self._chosen(2)
        data = b"".join(parts)
        for at in range(1, len(data)):
            manner = Manner.LEAVE if self._random.random() < 0.5 else Manner.CLOSE
            yield self._fit(Session(door, data, (at,), manner, known, more=False))

    def _right(self) -> Session:
        door, known, parts = self._chosen(6)
        data = b"".join(parts)
        manner = self._random.choice(
            (Manner.CLOSE, Manner.CLOSE, Manner.LEAVE, Manner.LEAVE, Manner.WAIT, Manner.SLOW)
        )
        return self._fit(Session(door, data, self._cuts(data), manner, known, more=False))

    def _ended_early(self) -> Session:
        """A part of a session: what was whole in it is answered."""
        door, known, parts = self._chosen(4)
        data = b"".join(parts)
        data = data[: self._random.randrange(1, len(data) + 1)]
        whole = known[: _whole(parts, len(data))]
        manner = self._random.choice((Manner.CLOSE, Manner.WAIT, Manner.RESET, Manner.DEAF))
        return Session(door, data, self._cuts(data), manner, whole, more=True)

    def _spoilt(self) -> Session:
        """A session with a few bytes changed: what is whole before the first is answered."""
        rng = self._random
        door, known, parts = self._chosen(6)
        right = data = b"".join(parts)
        for _ in range(rng.choice((1, 1, 2, 3, 8))):
            if data:
                data = self._changed(data)
        whole = known[: _whole(parts, _alike(right, data))]
        manner = rng.choice(
            (Manner.CLOSE,) * 6 + (Manner.WAIT, Manner.SLOW, Manner.DEAF, Manner.RESET)
        )
        return Session(door, data, self._cuts(data), manner, whole, more=True)

    def _changed(self, data: bytes) -> bytes:
        rng = self._random
        if rng.randrange(8) == 0:  # a piece of another session in between
            other = b"".join(self._chosen(2)[2])
            start, at = rng.randrange(len(other)), rng.randrange(len(data) + 1)
            piece = other[start : start + rng.randrange(1, 300)]
            return data[:at] + piece + data[at + rng.choice((0, len(piece))) :]
        return rng.choice(CHANGES)(rng, data)

    def _stalled(self) -> Session:
        """Many large answers, and nobody who takes them."""
        data = _LARGE.request.serialise() * MANY
        return Session(MAIN, data, (), Manner.DEAF, (), more=True)

    def _chosen(self, most: int) -> tuple[str, tuple[Known, ...], list[bytes]]:
        """A door, some of its questions, and their bytes; what upgrades stands alone, as a client
        may not ask for that while other questions are open."""
        rng = self._random
        door = rng.choice(self._doors)
        chosen = [rng.choice(self._questions[door]) for _ in range(rng.randint(1, most))]
        plain = [known for known in chosen if known.status != 101]
        known = tuple(plain or chosen[:1])
        return door, known, [each.request.serialise() for each in known]

    def _cuts(self, data: bytes) -> tuple[int, ...]:
        rng, size = self._random, len(data)
        match rng.randrange(8):
            case 0 if size <= LONGEST_DRIP:
                return tuple(range(1, size))
            case 1 | 2 | 3 if size > 1:
                return tuple(sorted({rng.randrange(1, size) for _ in range(rng.randint(1, 12))}))
            case _:
                return ()

    def _fit(self, session: Session) -> Session:
        """Only the server knows where another protocol's answers end."""
        if session.manner is Manner.LEAVE and session.upgrades():
            return session._replace(manner=Manner.CLOSE)
        return session


_LARGE = post("/v1/predict/cube", {"features": [[[7, 8, 9]] * 2] * 1500}, None)


def _whole(parts: Sequence[bytes], size: int) -> int:
    """How many of *parts* end within the first *size* bytes."""
    return sum(end <= size for end in accumulate(map(len, parts)))


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes at the beginning are the same."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
