"""One process's part of the requests of a dialect: sends batches over a few connections, and judges
every answer."""

import random
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fuzz import frames, judge
from fuzz.answers import Answer, Malformed, read_answer
from fuzz.dialects.base import Dialect, Known
from fuzz.mutations import mutate_blindly, mutate_body, mutate_head
from fuzz.record import Failure
from fuzz.request import Request

DEADLINE = 10.0  # seconds until a silent server is said to hang
CONNECTIONS = 6
BATCH = 16  # requests sent together at most
BATCH_BYTES = 60_000  # little enough that the sockets' buffers take it while nobody reads
RAW_SHARE = 0.25  # of the batches have spoilt heads
SWAPPED_SHARE = 0.1  # of the requests take the URL of another, and as many the method
KNOWN_EVERY = 1000  # requests

FROM_THE_APP = frozenset({307, 404, 405})
"""What the app behind the lane answers. It does so without waiting for the body, and where that is
still on its way the connection ends with the answer, as it says."""


class Progress(NamedTuple):
    """What was done since the last one."""

    requests: int
    counts: Counter[str]
    failures: list[Failure]


class Sent(NamedTuple):
    """A batch on its way."""

    data: bytes
    requests: tuple[Request, ...]
    """Its requests, in order; empty where the heads were spoilt."""
    size: int
    """How many requests that are."""


class Connection:
    """One connection that is made anew when it was closed."""

    def __init__(self, port: int, door: str) -> None:
        self.door = door
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, data: bytes, *, last: bool) -> None:
        """Send *data*; *last* says that no more will follow on this connection."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), DEADLINE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(data)
        if last:
            self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """Some bytes; none at the end of the connection."""
        if self._socket is None:
            return b""
        return self._socket.recv(1 << 18)

    def close(self) -> None:
        """Begin a new connection with the next batch."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Driver:
    """Makes, sends and judges."""

    def __init__(
        self, dialect: Dialect, corpus: Sequence[Request], ports: Mapping[str, int], seed: int
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._dialect, self._corpus = dialect, corpus
        # Where an answer ends depends on whether HEAD was asked, which a spoilt head leaves open.
        self._raw_corpus = [request for request in corpus if request.method != "HEAD"]
        doors = [door for door in dialect.doors if door in ports]
        self._connections = [
            Connection(ports[door], door)
            for door in (doors[at % len(doors)] for at in range(CONNECTIONS))
        ]
        self._known_connections = [Connection(ports[door], door) for door in doors]
        self._since_known = KNOWN_EVERY
        self.counts: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def round(self, room: int) -> int:
        """Send one batch on each connection and read all answers; how many requests that were."""
        sent = [self._batch(room) for _ in self._connections]
        under_way = [
            (connection, batch)
            for connection, batch in zip(self._connections, sent, strict=True)
            if self._start(connection, batch)
        ]
        for connection, batch in under_way:
            self._finish(connection, batch)
        done = sum(batch.size for batch in sent)
        self._since_known += done
        if self._since_known >= KNOWN_EVERY:
            self._since_known = 0
            self._ask_known()
        return done

    def report(self, requests: int) -> Progress:
        """What was found since the last report."""
        progress = Progress(requests, self.counts, self.failures)
        self.counts, self.failures = Counter(), []
        return progress

    def _batch(self, room: int) -> Sent:
        rng, count = self._random, min(room, self._random.randint(1, BATCH))
        if self._dialect.upgrades:
            request = rng.choice(self._corpus)
            request = request._replace(after=mutate_blindly(rng, request.after))
            return Sent(request.serialise(), (), 1)
        if rng.random() < RAW_SHARE:
            parts = [self._spoilt(self._raw_corpus).serialise() for _ in range(min(count, 4))]
            at = rng.randrange(len(parts))
            parts[at] = mutate_head(rng, parts[at])
            return Sent(b"".join(parts), (), len(parts))
        requests: list[Request] = []
        size = 0
        while len(requests) < count and size < BATCH_BYTES:
            request = self._spoilt(self._corpus)
            requests.append(request)
            size += len(request.body or b"")
        data = b"".join(request.serialise() for request in requests)
        return Sent(data, tuple(requests), len(requests))

    def _spoilt(self, corpus: Sequence[Request]) -> Request:
        rng, request = self._random, self._random.choice(corpus)
        if rng.random() < SWAPPED_SHARE:
            request = request._replace(target=rng.choice(corpus).target)
        if rng.random() < SWAPPED_SHARE:
            request = request._replace(method=rng.choice(corpus).method)
        if request.body:
            request = request._replace(body=mutate_body(rng, request.body))
        return request

    def _start(self, connection: Connection, batch: Sent) -> bool:
        try:
            connection.send(batch.data, last=not batch.requests)
        except TimeoutError:
            self._fail("hang", "the server reads no more", batch, connection)
        except OSError as error:
            if batch.requests:
                self._fail("closed", f"while sending: {error}", batch, connection)
                return False
            self.counts["reset"] += 1
        else:
            return True
        connection.close()
        return False

    def _finish(self, connection: Connection, batch: Sent) -> None:
        try:
            if batch.requests:
                self._read_framed(connection, batch)
            else:
                self._read_raw(connection, batch)
        except TimeoutError:
            self._fail("hang", f"no answer within {DEADLINE:.0f} s", batch, connection)
        except Malformed as error:
            self._fail("malformed answer", str(error), batch, connection)
        except OSError as error:
            self._fail("closed", str(error), batch, connection)

    def _read_framed(self, connection: Connection, batch: Sent) -> None:
        """As many answers as requests, and the connection stays."""
        data, at, deadline = b"", 0, time.monotonic() + DEADLINE
        for request in batch.requests:
            answer = None
            while answer is None or answer.status < 200:
                while (cut := read_answer(data, at, request.method, ended=False)) is None:
                    data, at = data[at:] + _more(connection, deadline), 0
                answer, at = cut
            self._judge(answer, connection.door, request.offers(), batch)
            if answer.header("connection") == "close":
                connection.close()
                if answer.status in FROM_THE_APP:
                    self.counts["closed early"] += 1
                else:
                    self._fail("closed", f"after {answer.status}", batch)
                return
        if at != len(data):
            self._fail("malformed answer", f"{data[at : at + 200]!r} too much", batch, connection)

    def _read_raw(self, connection: Connection, batch: Sent) -> None:
        """Whatever is answered must be answers, and then the connection must end."""
        data, at, deadline = b"", 0, time.monotonic() + DEADLINE
        try:
            while chunk := connection.receive():
                data += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError
        except ConnectionResetError:  # what the server had no mind to read
            self.counts["reset"] += 1
        connection.close()
        while at < len(data):
            cut = read_answer(data, at, "GET", ended=True)
            if cut is None:
                break  # the rest went with the reset
            at = cut.end
            if cut.answer.status == 101:
                self.counts["messages"] += len(frames.read_frames(data, at)[0])
                return
            if cut.answer.status >= 200:
                self._judge(cut.answer, connection.door, None, batch)

    def _judge(self, answer: Answer, door: str, offered: str | None, batch: Sent) -> None:
        self.counts[str(answer.status)] += 1
        for kind, detail in judge.faults(answer, door, offered):
            self._fail(kind, f"{door}: {detail}", batch)

    def _ask_known(self) -> None:
        for connection in self._known_connections:
            for known in self._dialect.known:
                batch = Sent(known.request.serialise(), (known.request,), 1)
                if self._start(connection, batch):
                    self._finish_known(connection, known, batch)

    def _finish_known(self, connection: Connection, known: Known, batch: Sent) -> None:
        try:
            answer, rest = _ask(connection, known)
        except (OSError, Malformed) as error:
            self._fail("known", f"{connection.door}: {error!r}", batch, connection)
            return
        self.counts["known"] += 1
        if answer.header("connection") == "close":
            connection.close()
        fault = judge.mismatch(known, answer, rest)
        if fault:
            where = f"{connection.door} {known.request.method} {known.request.target}"
            self._fail("known", f"{where}: {fault}", batch, connection)

    def _fail(
        self, kind: str, detail: str, batch: Sent, connection: Connection | None = None
    ) -> None:
        self.counts[f"failure: {kind}"] += 1
        self.failures.append(Failure(kind, detail, batch.data))
        if connection:
            connection.close()


def _ask(connection: Connection, known: Known) -> tuple[Answer, bytes]:
    """The answer to a question that was sent; after a handshake all that follows it, too."""
    data, deadline = b"", time.monotonic() + DEADLINE
    while (cut := read_answer(data, 0, known.request.method, ended=False)) is None:
        data += _more(connection, deadline)
    if cut.answer.status != 101:
        return cut.answer, b""
    while chunk := connection.receive():
        data += chunk
    connection.close()
    return cut.answer, data[cut.end :]


def _more(connection: Connection, deadline: float) -> bytes:
    if time.monotonic() > deadline:
        raise TimeoutError
    chunk = connection.receive()
    if not chunk:
        raise ConnectionResetError("the server closed the connection before its answers")
    return chunk
