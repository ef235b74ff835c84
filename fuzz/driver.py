"""One process's part of the requests: sends batches over a few connections, and judges every
answer."""

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from fuzz.answers import Answer, Malformed, read_answer
from fuzz.mutations import mutate_body, mutate_head
from fuzz.seeds import Request

DEADLINE = 10.0  # seconds until a silent server is said to hang
CONNECTIONS = 6
BATCH = 16  # requests sent together at most
BATCH_BYTES = 60_000  # little enough that the sockets' buffers take it while nobody reads
RAW_SHARE = 0.25  # of the batches have spoilt heads
SWAPPED_SHARE = 0.1  # of the requests take the URL of another, and as many the method
CANARY_EVERY = 1000  # requests

FROM_THE_APP = frozenset({307, 404, 405})
"""What the app behind the lane answers. It does so without waiting for the body, and where that is
still on its way the connection ends with the answer, as it says."""


class Failure(NamedTuple):
    """Something that must not happen, and the bytes that made it happen."""

    kind: str
    detail: str
    sent: bytes


class Progress(NamedTuple):
    """What was done since the last one."""

    requests: int
    counts: Counter[str]
    failures: list[Failure]


class Sent(NamedTuple):
    """A batch on its way."""

    data: bytes
    methods: tuple[str, ...]
    """The methods of its requests, in order; empty where the heads were spoilt."""


class Connection:
    """One connection that is made anew when it was closed."""

    def __init__(self, port: int) -> None:
        self._port, self._socket = port, None  # type: tuple[int, socket.socket | None]

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

    def __init__(self, port: int, corpus: Sequence[Request], seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._corpus = corpus
        # Where an answer ends depends on whether HEAD was asked, which a spoilt head leaves open.
        self._raw_corpus = [request for request in corpus if request.method != "HEAD"]
        self._connections = [Connection(port) for _ in range(CONNECTIONS)]
        self._canary_port = Connection(port)
        self._since_canary = CANARY_EVERY
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
        done = sum(len(batch.methods) or batch.data.count(b"host: localhost") for batch in sent)
        self._since_canary += done
        if self._since_canary >= CANARY_EVERY:
            self._since_canary = 0
            self._ask_canary()
        return done

    def report(self, requests: int) -> Progress:
        """What was found since the last report."""
        progress = Progress(requests, self.counts, self.failures)
        self.counts, self.failures = Counter(), []
        return progress

    def _batch(self, room: int) -> Sent:
        rng, count = self._random, min(room, self._random.randint(1, BATCH))
        if rng.random() < RAW_SHARE:
            parts = [self._spoilt(self._raw_corpus).serialise() for _ in range(min(count, 4))]
            at = rng.randrange(len(parts))
            parts[at] = mutate_head(rng, parts[at])
            return Sent(b"".join(parts), ())
        requests: list[Request] = []
        size = 0
        while len(requests) < count and size < BATCH_BYTES:
            request = self._spoilt(self._corpus)
            requests.append(request)
            size += len(request.body or b"")
        data = b"".join(request.serialise() for request in requests)
        return Sent(data, tuple(request.method for request in requests))

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
            connection.send(batch.data, last=not batch.methods)
        except TimeoutError:
            self._fail("hang", "the server reads no more", batch, connection)
        except OSError as error:
            if batch.methods:
                self._fail("closed", f"while sending: {error}", batch, connection)
                return False
            self.counts["reset"] += 1
        else:
            return True
        connection.close()
        return False

    def _finish(self, connection: Connection, batch: Sent) -> None:
        try:
            if batch.methods:
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
        for method in batch.methods:
            while (cut := read_answer(data, at, method, ended=False)) is None:
                data, at = data[at:] + self._more(connection, deadline), 0
            at = cut.end
            self._judge(cut.answer, batch)
            if cut.answer.header("connection") == "close":
                if cut.answer.status in FROM_THE_APP:
                    self.counts["closed early"] += 1
                    connection.close()
                    return
                self._fail("closed", f"after {cut.answer.status}", batch, connection)
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
            if cut.answer.status >= 200:
                self._judge(cut.answer, batch)

    def _more(self, connection: Connection, deadline: float) -> bytes:
        if time.monotonic() > deadline:
            raise TimeoutError
        chunk = connection.receive()
        if not chunk:
            raise ConnectionResetError("the server closed the connection before its answers")
        return chunk

    def _judge(self, answer: Answer, batch: Sent) -> None:
        self.counts[str(answer.status)] += 1
        if answer.status >= 500:
            self._fail("5xx", f"{answer.status} {answer.body[:300]!r}", batch)

    def _ask_canary(self) -> None:
        for canary in CANARIES:
            batch = Sent(canary.request.serialise(), (canary.request.method,))
            if self._start(self._canary_port, batch):
                self._finish_canary(canary, batch)

    def _finish_canary(self, canary: "Canary", batch: Sent) -> None:
        data, deadline = b"", time.monotonic() + DEADLINE
        try:
            while (cut := read_answer(data, 0, batch.methods[0], ended=False)) is None:
                data += self._more(self._canary_port, deadline)
            self.counts["canary"] += 1
            got = json.loads(cut.answer.body)
        except (OSError, Malformed, ValueError) as error:
            self._fail("canary", repr(error), batch, self._canary_port)
        else:
            if got != canary.expected:
                self._fail("canary", f"got {got}, expected {canary.expected}", batch)

    def _fail(
        self, kind: str, detail: str, batch: Sent, connection: Connection | None = None
    ) -> None:
        self.counts[f"failure: {kind}"] += 1
        self.failures.append(Failure(kind, detail, batch.data))
        if connection:
            connection.close()


class Canary(NamedTuple):
    """A request whose answer is known."""

    request: Request
    expected: Any


def _canary(target: str, document: Any, expected: Any) -> Canary:
    return Canary(Request("POST", target, (), json.dumps(document).encode(), ()), expected)


CANARIES = (
    Canary(Request("GET", "/health", (), None, ()), {"status": "healthy"}),
    _canary(
        "/predict",
        {"features": [1, 2, 3, 0]},
        {"prediction": 2, "probability": [1.0, 4.0, 9.0], "model_version": "1"},
    ),
    _canary(
        "/v1/predict/mixed",
        {"features": [{"amount": 0.5, "count": 2, "flag": True, "code": "é"}]},
        {"predictions": [0.5], "model_version": "1"},
    ),
    _canary(
        "/v2/models/words/infer",
        {"inputs": [{"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]}]},
        {
            "model_name": "words",
            "model_version": "1",
            "outputs": [{"name": "same", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"]}],
        },
    ),
)
