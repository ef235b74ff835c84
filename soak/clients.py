"""Who asks meanwhile: each a thread with a connection of its own, which holds every answer against
what the model must say, and goes on whatever happens."""

import http.client
import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fuzz.answers import read_answer
from soak.models import Models
from soak.plan import BROKEN, REFUSED, WRONG, Failure

LIMIT = 20.0  # seconds until an answer is given up
PAUSE = 0.002  # seconds that a client thinks between two questions
AGAIN = 0.05  # seconds until a broken connection is made again
PIPELINED = 8  # requests that are sent at once


NO_CONNECTION = ("Socket closed", "Connection reset", "failed to connect", "Broken pipe")
"""In what grpcio says of a connection that ended, and no server."""


class Refused(Exception):
    """The server answered with an error."""


class Wrong(Exception):
    """The server answered something else than the model."""


class Client(ABC, threading.Thread):
    """Asks until it is told to end."""

    title = ""

    def __init__(self, port: int, models: Models, clock: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self.port, self.models, self.clock = port, models, clock
        self.failures: list[Failure] = []
        self.latencies: list[float] = []
        self.answered = 0
        self.over = threading.Event()

    @abstractmethod
    def connect(self) -> None:
        """Get ready to ask. Raises what its protocol raises."""

    @abstractmethod
    def ask(self, at: int) -> int:
        """Ask for the row number *at* and those after it; how many answers came, all right ones."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""

    def run(self) -> None:
        at, ready = 0, False
        while not self.over.wait(PAUSE):
            began = self.clock()
            try:
                if not ready:
                    self.connect()
                    ready = True
                count = self.ask(at)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end
                self.failures.append(
                    Failure(
                        began,
                        self.clock(),
                        self.title,
                        kind_of(error),
                        f"{type(error).__name__}: {error}"[:300],
                    )
                )
                self.close()
                ready = False
                time.sleep(AGAIN)
            else:
                self.answered += count
                self.latencies.append(self.clock() - began)
            at = (at + 1) % len(self.models.rows)
        self.close()


def kind_of(error: Exception) -> str:
    """What *error* means for the one who asked."""
    if isinstance(error, Wrong):
        return WRONG
    if isinstance(error, Refused):
        return REFUSED
    code = getattr(error, "status", None)  # tritonclient's
    if callable(code):
        told = str(error)
        return BROKEN if any(text in told for text in NO_CONNECTION) else REFUSED
    return BROKEN


class Rest(Client):
    """The plain protocol, over one connection that is kept."""

    title = "REST"
    model = "forest"

    def connect(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)

    def ask(self, at: int) -> int:
        expect(self.label(at), self.expected(at))
        return 1

    def expected(self, at: int) -> int:
        """The right answer."""
        return self.models.forest.labels[at]

    def label(self, at: int) -> int:
        """What the model says to a row. Raises Refused where it says nothing."""
        document = {"instances": [self.models.rows[at]]}
        path = f"/v1/models/{self.model}:predict"
        self._connection.request("POST", path, json.dumps(document))
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.HTTPStatus.OK:
            raise Refused(f"{response.status} {body[:200]!r}")
        (prediction,) = json.loads(body)["predictions"]
        return int(prediction["label"] if isinstance(prediction, dict) else prediction)

    def close(self) -> None:
        self._connection.close()


class Native(Rest):
    """A model that runs in processes of its own."""

    title = "REST, native model"
    model = "neighbours"

    def expected(self, at: int) -> int:
        return self.models.neighbours.labels[at]


class Newcomers(Rest):
    """A connection for every request."""

    title = "REST, new connections"

    def ask(self, at: int) -> int:
        count = super().ask(at)
        self.close()
        return count


class Changing(Rest):
    """The model whose file is swapped: the old answer is right until the change is acknowledged."""

    title = "REST, swapped model"
    model = "changing"
    right: frozenset[int] = frozenset({0})
    """Which of the two models may answer."""

    def ask(self, at: int) -> int:
        before = Changing.right
        got = self.label(at)
        both = [model.labels[at] for model in self.models.changing]
        if got not in {both[which] for which in before | Changing.right}:
            raise Wrong(f"got {got}, expected one of {sorted(before)} of {both}")
        return 1


class Guest(Rest):
    """The model that comes and goes: it is there, or it is not found, as was last acknowledged."""

    title = "REST, guest"
    model = "guest"
    may: frozenset[bool] = frozenset({False})
    """Whether it may answer."""

    def ask(self, at: int) -> int:
        before = Guest.may
        try:
            super().ask(at)
            answers = True
        except Refused as refusal:
            if not str(refusal).startswith("404"):
                raise
            answers = False
        if answers not in before | Guest.may:
            raise Wrong("it answers" if answers else "it is not found")
        return 1

    def expected(self, at: int) -> int:
        return self.models.guest.labels[at]


class Pipelined(Client):
    """Several requests of the Open Inference Protocol in one write."""

    title = "OIP, pipelined"

    def connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port), LIMIT)
        self._left = b""

    def ask(self, at: int) -> int:
        wanted = [(at + step) % len(self.models.rows) for step in range(PIPELINED)]
        self._socket.sendall(b"".join(self._request(each) for each in wanted))
        for count, each in enumerate(wanted, 1):
            if self._answer(self.models.forest.labels[each]):
                # RFC 9112, section 9.6: what came after the last answer was not looked at.
                self.close()
                self.connect()
                return count
        return PIPELINED

    def close(self) -> None:
        self._socket.close()

    def _request(self, at: int) -> bytes:
        tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": self.models.rows[at]}
        body = json.dumps({"inputs": [tensor]}).encode()
        head = f"POST /v2/models/forest/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + body

    def _answer(self, expected: int) -> bool:
        """Read one answer; whether it is the connection's last."""
        while (cut := read_answer(self._left, 0, "POST", ended=False)) is None:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionResetError("closed before its answer")
            self._left += chunk
        self._left = self._left[cut.end :]
        if cut.answer.status != http.HTTPStatus.OK:
            raise Refused(f"{cut.answer.status} {cut.answer.body[:200]!r}")
        outputs = json.loads(cut.answer.body)["outputs"]
        expect(next(int(o["data"][0]) for o in outputs if o["name"] == "label"), expected)
        return dict(cut.answer.headers).get("connection") == "close"


class Grpc(Client):
    """Triton's client over gRPC."""

    title = "gRPC"

    def connect(self) -> None:
        import tritonclient.grpc as triton

        self._triton = triton
        self._client = triton.InferenceServerClient(f"127.0.0.1:{self.port}")

    def ask(self, at: int) -> int:
        row: npt.NDArray[np.float32] = np.array([self.models.rows[at]], np.float32)
        tensor = self._triton.InferInput("X", [1, 4], "FP32")
        tensor.set_data_from_numpy(row)
        answer = self._client.infer("forest", [tensor], client_timeout=LIMIT)
        expect(int(answer.as_numpy("label")[0]), self.models.forest.labels[at])
        return 1

    def close(self) -> None:
        self._client.close()


CLIENTS: Counter[type[Client]] = Counter(
    {Rest: 3, Native: 2, Newcomers: 1, Changing: 2, Guest: 1, Pipelined: 2, Grpc: 3}
)
"""Who asks, and how many of each."""


def expect(got: int, expected: int) -> None:
    """Raise Wrong for another answer."""
    if got != expected:
        raise Wrong(f"got {got}, expected {expected}")
