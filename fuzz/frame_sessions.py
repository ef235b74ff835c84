"""Whole connections of HTTP/2 as bytes: questions whose frames are mixed, spoilt or not, cut into
pieces, and what they must bring."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from fuzz import calls, http2, judge
from fuzz.answers import Malformed
from fuzz.calls import Call
from fuzz.client import Received
from fuzz.http2 import PREFACE, Answer, Frame, Reader, frame, number
from fuzz.mutations import cut_out, duplicate, flip, overwrite, truncate
from fuzz.sessions import Manner

WIDEST = (1 << 31) - 1
INTERNAL_ERROR = 2
MOST_CALLS = 8
LONGEST_SWEEP, LONGEST_DRIP = 2500, 600
"""Bytes of a session that is cut in two at every byte, and of one that is sent byte by byte: slower
than the server has patience for, if there are more."""
LARGE = 10_000  # bytes of a question that is answered with as many
STALLED_CALLS = 60  # whose answers are more than all buffers on the way hold
Frames = list[Frame]


class FrameSession(NamedTuple):
    """What one connection is used for."""

    door: str
    data: bytes
    cuts: tuple[int, ...]
    manner: Manner
    asked: dict[int, Call]
    """By stream; of a session that is not spoilt, all must be answered as is known."""
    spoilt: bool

    def pieces(self) -> Iterator[bytes]:
        """*data* as it is sent."""
        edges = (0, *self.cuts, len(self.data))
        return (self.data[a:b] for a, b in pairwise(edges))

    def is_answered(self, data: bytes) -> bool:
        """Whether *data* holds all answers; what is malformed is told later."""
        reader = Reader()
        try:
            reader.feed(data)
        except Malformed:
            return True
        return all(_of(reader, stream).is_over for stream in self.asked)


def _of(reader: Reader, stream: int) -> Answer:
    return reader.answers.get(stream, Answer())


def faults(session: FrameSession, received: Received) -> Iterator[tuple[str, str]]:
    """What is wrong with what came, as kinds and details."""
    if session.spoilt and received.data.startswith(b"HTTP/1.1 "):
        return  # its preface was none
    reader = Reader(http2.ANY_FRAME if session.spoilt else http2.LARGEST_FRAME)
    try:
        reader.feed(received.data)
    except Malformed as error:
        yield "malformed answer", str(error)
        return
    if reader.rest and not received.reset:
        yield "cut answer", f"the connection ended within {reader.rest[:200]!r}"
    for stream, answer in reader.answers.items():
        if answer.reset == INTERNAL_ERROR:
            yield "broken off", f"stream {stream}: {answer.fields} {bytes(answer.body[:300])!r}"
        if session.spoilt and answer.ended and answer.grpc is None:
            yield from judge.faults(calls.plain(answer), session.door, None)
        told = answer.trailers | answer.headers
        if calls.SECRET in told.get(b"grpc-message", b"").replace(b"%20", b" "):
            yield "internal", f"stream {stream}: {told}"
    if not session.spoilt and not received.reset:
        yield from _unspoilt(session, reader)


def _unspoilt(session: FrameSession, reader: Reader) -> Iterator[tuple[str, str]]:
    leaving = reader.goaway
    if leaving and leaving.code:
        yield "known", f"sent away with {leaving.code}: {leaving.payload[8:]!r}"
    for stream, call in session.asked.items():
        answer = _of(reader, stream)
        if not answer.ended:
            yield "missing", f"{call.name} on {stream}: {answer.fields}, reset {answer.reset}"
        elif found := calls.fault(call, answer):
            yield "known", f"{call.name} on {stream}: {found}"


class FrameMaker:
    """Makes sessions; the same for the same seed."""

    def __init__(self, asked: Sequence[Call], seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._calls: dict[str, list[Call]] = {}
        for call in asked:
            self._calls.setdefault(call.door, []).append(call)
        self._doors = list(self._calls)
        self._large = [call for call in asked if len(call.data) > LARGE]
        self._sweep: Iterator[FrameSession] = iter(())

    def make(self) -> FrameSession:
        """The next session."""
        match self._random.randrange(100):
            case kind if kind < 25:
                return self._swept()
            case kind if kind < 45:
                return self._right()
            case kind if kind < 53:
                return self._ended_early()
            case 53 if self._large:
                return self._stalled()
            case kind if kind < 80:
                return self._of_spoilt_frames()
            case _:
                return self._of_spoilt_bytes()

    def _swept(self) -> FrameSession:
        """The sessions that are cut in two, at every byte in turn."""
        session = next(self._sweep, None)
        if session is None:
            self._sweep = self._every_cut()
            session = next(self._sweep)
        return session

    def _every_cut(self) -> Iterator[FrameSession]:
        door, asked, frames = self._chosen(2)
        data = _bytes(frames)
        for at in range(1, min(len(data), LONGEST_SWEEP)):
            manner = Manner.LEAVE if self._random.random() < 0.5 else Manner.CLOSE
            yield FrameSession(door, data, (at,), manner, asked, spoilt=False)

    def _right(self) -> FrameSession:
        door, asked, frames = self._chosen(MOST_CALLS)
        for _ in range(self._random.choice((0, 0, 1, 5))):
            self._add_harmless(frames)
        data = _bytes(frames)
        manner = self._random.choice(
            (Manner.CLOSE, Manner.CLOSE, Manner.LEAVE, Manner.LEAVE, Manner.WAIT, Manner.SLOW)
        )
        return FrameSession(door, data, self._cuts(data), manner, asked, spoilt=False)

    def _ended_early(self) -> FrameSession:
        door, asked, frames = self._chosen(4)
        data = _bytes(frames)
        data = data[: self._random.randrange(1, len(data) + 1)]
        manner = self._random.choice((Manner.CLOSE, Manner.WAIT, Manner.RESET, Manner.DEAF))
        return FrameSession(door, data, self._cuts(data), manner, asked, spoilt=True)

    def _stalled(self) -> FrameSession:
        """Many answers, and nobody who takes them: either the windows or the socket are shut."""
        rng, large = self._random, self._random.choice(self._large)
        frames = [each for at in range(STALLED_CALLS) for each in self._frames(large, 2 * at + 1)]
        window, manner = rng.choice(((0, Manner.WAIT), (WIDEST, Manner.DEAF), (9, Manner.CLOSE)))
        data = _bytes(frames, window)
        return FrameSession(large.door, data, (), manner, {}, spoilt=True)

    def _of_spoilt_frames(self) -> FrameSession:
        """Frames in another order, missing, doubled, of another kind, or new ones."""
        door, asked, frames = self._chosen(MOST_CALLS)
        for _ in range(self._random.choice((1, 1, 2, 3, 8))):
            if frames:
                self._random.choice(SPOILING)(self._random, frames)
        return self._spoilt(door, asked, _bytes(frames))

    def _of_spoilt_bytes(self) -> FrameSession:
        door, asked, frames = self._chosen(MOST_CALLS)
        data = _bytes(frames)
        kept = self._random.choice((0, len(PREFACE), len(PREFACE) + 28))
        first, data = data[:kept], data[kept:]
        for _ in range(self._random.choice((1, 1, 2, 3, 8))):
            if data:
                data = self._random.choice(CHANGES)(self._random, data)
        return self._spoilt(door, asked, first + data)

    def _spoilt(self, door: str, asked: dict[int, Call], data: bytes) -> FrameSession:
        manner = self._random.choice(
            (Manner.CLOSE,) * 6 + (Manner.WAIT, Manner.SLOW, Manner.DEAF, Manner.RESET)
        )
        return FrameSession(door, data, self._cuts(data), manner, asked, spoilt=True)

    def _chosen(self, most: int) -> tuple[str, dict[int, Call], Frames]:
        """A door, some of its questions by their streams, and all their frames, mixed."""
        rng, door = self._random, self._random.choice(self._doors)
        chosen = [rng.choice(self._calls[door]) for _ in range(rng.randint(1, most))]
        waiting = [self._frames(call, 0) for call in chosen]
        streams: dict[int, int] = {}
        mixed: Frames = []
        mixes = rng.random() < 0.7
        while any(waiting):
            left = [at for at, each in enumerate(waiting) if each]
            at = rng.choice(left) if mixes else left[0]
            stream = streams.setdefault(at, 2 * len(streams) + 1)
            piece = waiting[at].pop(0)
            mixed.append(piece._replace(stream=stream))
            while waiting[at] and waiting[at][0].kind == http2.CONTINUATION:
                mixed.append(waiting[at].pop(0)._replace(stream=stream))
        return door, {streams[at]: call for at, call in enumerate(chosen)}, mixed

    def _frames(self, call: Call, stream: int) -> Frames:
        """The frames of one question, cut and padded in one way or another."""
        rng, block = self._random, http2.block(call.fields)
        ends = not call.data and not _is_grpc(call)
        frames = self._head(block, stream, ends)
        rest = call.data
        while rest or not ends:
            size = rng.choice((len(rest), len(rest), rng.randint(0, len(rest)), 5, 1000))
            size = min(size, http2.LARGEST_FRAME)
            piece, rest = rest[:size], rest[size:]
            ends = not rest
            frames.append(self._data(stream, piece, ends))
        return frames

    def _head(self, block: bytes, stream: int, ends: bool) -> Frames:
        rng, flags = self._random, http2.END_STREAM if ends else 0
        if rng.random() < 0.2:
            block, flags = number(0) + b"\x0f" + block, flags | http2.HAS_PRIORITY
        cut = rng.randint(5, len(block)) if rng.random() < 0.2 else len(block)
        first, rest = block[:cut], block[cut:]
        if rng.random() < 0.1:
            first, flags = b"\3" + first + bytes(3), flags | http2.PADDED
        if not rest:
            return [Frame(http2.HEADERS, flags | http2.END_HEADERS, stream, first)]
        return [
            Frame(http2.HEADERS, flags, stream, first),
            Frame(http2.CONTINUATION, http2.END_HEADERS, stream, rest),
        ]

    def _data(self, stream: int, piece: bytes, ends: bool) -> Frame:
        flags = http2.END_STREAM if ends else 0
        if self._random.random() < 0.1 and len(piece) < 16_000:
            piece, flags = b"\7" + piece + bytes(7), flags | http2.PADDED
        return Frame(http2.DATA, flags, stream, piece)

    def _add_harmless(self, frames: Frames) -> None:
        """A frame that changes nothing, where one may stand."""
        rng, at = self._random, self._random.randint(0, len(frames))
        if at < len(frames) and frames[at].kind == http2.CONTINUATION:
            return
        frames.insert(at, rng.choice(HARMLESS))

    def _cuts(self, data: bytes) -> tuple[int, ...]:
        rng, size = self._random, len(data)
        match rng.randrange(8):
            case 0 if size <= LONGEST_DRIP:
                return tuple(range(1, size))
            case 1 | 2 | 3 if size > 1:
                return tuple(sorted({rng.randrange(1, size) for _ in range(rng.randint(1, 12))}))
            case _:
                return ()


def _is_grpc(call: Call) -> bool:
    return call.known is None


def _bytes(frames: Sequence[Frame], window: int = WIDEST) -> bytes:
    """A connection that begins well, with room for all answers."""
    start = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, window))
    start += frame(http2.WINDOW_UPDATE, payload=number(WIDEST - 65535))
    return start + b"".join([frame(*each) for each in frames])


HARMLESS = (
    Frame(http2.PING, 0, 0, b"12345678"),
    Frame(http2.PING, http2.ACK, 0, b"12345678"),
    Frame(http2.SETTINGS, 0, 0, b"\0\3\0\0\0\1"),
    Frame(http2.SETTINGS, http2.ACK, 0, b""),
    Frame(http2.PRIORITY, 0, 1, number(0) + b"\1"),
    Frame(99, 255, 5, b"unknown"),
)
KINDS = (*range(11), 99, 255)


def _drop(rng: random.Random, frames: Frames) -> None:
    del frames[rng.randrange(len(frames))]


def _double(rng: random.Random, frames: Frames) -> None:
    at = rng.randrange(len(frames))
    frames[at:at] = [frames[at]] * rng.choice((1, 1, 2, 50))


def _swap(rng: random.Random, frames: Frames) -> None:
    a, b = rng.randrange(len(frames)), rng.randrange(len(frames))
    frames[a], frames[b] = frames[b], frames[a]


def _turn_kind(rng: random.Random, frames: Frames) -> None:
    at = rng.randrange(len(frames))
    frames[at] = frames[at]._replace(kind=rng.choice(KINDS))


def _turn_flags(rng: random.Random, frames: Frames) -> None:
    at = rng.randrange(len(frames))
    frames[at] = frames[at]._replace(flags=frames[at].flags ^ 1 << rng.randrange(8))


def _turn_stream(rng: random.Random, frames: Frames) -> None:
    at = rng.randrange(len(frames))
    stream = rng.choice((0, 1, 2, 3, 5, 7, 9, 101, WIDEST, 1 << 31))
    frames[at] = frames[at]._replace(stream=stream)


def _spoil_payload(rng: random.Random, frames: Frames) -> None:
    at = rng.randrange(len(frames))
    if payload := frames[at].payload:
        frames[at] = frames[at]._replace(payload=rng.choice(CHANGES)(rng, payload)[:200_000])


def _add_any(rng: random.Random, frames: Frames) -> None:
    payload = rng.choice((b"", number(0), number(1), number(WIDEST), rng.randbytes(8)))
    stream = rng.choice((0, 0, 1, 1, 3, 5, 2))
    made = Frame(rng.choice(KINDS), rng.choice((0, 1, 4, 5, 8)), stream, payload)
    frames.insert(rng.randint(0, len(frames)), made)


def _add_settings(rng: random.Random, frames: Frames) -> None:
    value = rng.choice((0, 1, 16_384, 65_535, WIDEST, 1 << 31))
    payload = rng.randint(0, 8).to_bytes(2) + number(value)
    frames.insert(rng.randint(0, len(frames)), Frame(http2.SETTINGS, 0, 0, payload))


def _add_reset(rng: random.Random, frames: Frames) -> None:
    stream = rng.choice(frames).stream
    made = Frame(http2.RST_STREAM, 0, stream, number(http2.CANCEL))
    frames.insert(rng.randint(0, len(frames)), made)


SPOILING: tuple[Callable[[random.Random, Frames], None], ...] = (
    _drop,
    _double,
    _swap,
    _turn_kind,
    _turn_flags,
    _turn_stream,
    _spoil_payload,
    _spoil_payload,
    _add_any,
    _add_settings,
    _add_reset,
)
CHANGES = (flip, flip, overwrite, truncate, cut_out, duplicate)
