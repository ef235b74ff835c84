"""A listener whose one dialect does as its messages say: streams, holds, fails, or answers much."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

from inferd.calls import Call, InferRequest, InferResponse, Lookup, Reply
from inferd.engine.home import Home
from inferd.engine.schedulers.direct import Direct
from inferd.errors import InferdError, NotReady, RunFailed
from inferd.gate import door
from inferd.lanes.http1 import Http1Connection
from inferd.lanes.routing import Routes
from inferd.lanes.service import Limits, Service
from inferd.protocols.base import JSON, WEBSOCKET, Dialect, Message, Operation, Payload, Route
from inferd.server.worker import new_loop
from inferd.spec import Batching
from tests.unit.toys import Engine, StreamingRuntime

T = TypeVar("T")
FOR_EVER = 100_000_000  # parts
UNTELLABLE = 300_000_000  # as many, of which none can be encoded
LIMITS = Limits(
    body_bytes=1_000_000,
    keep_alive_seconds=75.0,
    read_timeout_seconds=30.0,
    long_length=7,
    pipelined=10,
)


class Script(Call, eq=False):
    """What a message asks for: a verb, and a number."""

    verb: str
    number: int = 0


class Scripted(Operation):
    """Each message is a verb and a number."""

    call = Script

    def __init__(self) -> None:
        self.gate = threading.Event()
        """Opened, lets messages be decoded that begin with ``gate``."""
        self.at_gate = 0

    def decode(self, message: Message, lookup: Lookup) -> Call:
        verb, _, number = message.body.decode().strip().partition(" ")
        if verb == "gate":
            self.at_gate += 1
            assert self.gate.wait(10)
        if verb == "explode":
            raise ValueError("a secret of the server")
        return Script(verb=verb, number=int(number or 0))

    def encode(self, call: Call, response: Any) -> Payload:
        if isinstance(response, InferResponse):
            if call.verb == "spoilt":  # type: ignore[attr-defined]  # a Script
                raise NotReady("it cannot be told")
            return Payload(b"%d" % response.outputs["Y"][0, 0])
        if response == "not ready":
            raise NotReady("not ready at all")
        if response == "tail":
            return Payload(b"head,", tail=(memoryview(b"tail"), b"."))
        if response == "bytes":
            return Payload(b"{}", b"application/octet-stream")
        return Payload(str(response).encode(), JSON)


class Streaming(Scripted):
    """The same, in parts; each says so at its end."""

    streams = True

    def encode_end(self, call: Call) -> bytes:
        return b"[DONE]"


class Model(Operation):
    """A row to a model that answers in parts: as many as the message says; long ones where they
    have no end."""

    call = InferRequest

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = self._engine.ask([int(message.body), 0])
        self._engine.version.release()  # acquired when it runs
        return request

    def encode(self, call: Call, response: Any) -> Payload:
        value = int(response.outputs["Y"][0, 0])
        if value >= UNTELLABLE:
            raise NotReady("it cannot be told")
        return Payload(b"%d" % value + b" " * (10_000 if value >= FOR_EVER else 0))


class Parts(Model):
    """The same, for a request of ordinary HTTP."""

    streams = True

    def encode_end(self, call: Call) -> bytes:
        return b""


class Stage(Dialect):
    """Where all of it is played."""

    name = "stage"

    def __init__(self, engine: Engine[Any]) -> None:
        self.one = Scripted()
        self.routes = (
            Route(WEBSOCKET, "/one", self.one),
            Route(WEBSOCKET, "/many", Streaming()),
            Route(WEBSOCKET, "/model", Model(engine)),
            Route("POST", "/parts", Parts(engine)),
        )

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(b'{"error":"%s"}' % str(error).encode())


class ScriptedService:
    """The listener, in a thread with a loop of its own."""

    def __init__(self, limits: Limits = LIMITS, door_: door.Door = door.off) -> None:
        self._limits, self._door = limits, door_
        self.held: list[Reply] = []
        """Replies of calls whose verb is ``hold``, oldest first."""
        self.calls: list[Script] = []
        self.url = ""
        self.service: Service
        self.engine: Engine[Any]
        self.stage: Stage
        self._stop: asyncio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def handled(self) -> int:
        """Calls so far."""
        return len(self.calls)

    def ask(self, code: Callable[[], T]) -> T:
        """What *code* returns on the loop's thread."""
        told: Future[T] = Future()

        def run() -> None:
            try:
                told.set_result(code())
            except BaseException as error:  # noqa: BLE001 - raised again in the test
                told.set_exception(error)

        self.service.home.post(run)
        return told.result(10)

    def tick(self, seconds: float) -> None:
        """Let *seconds* pass for every connection."""

        def go() -> None:
            self.service.now += seconds
            for connection in tuple(self.service.connections):
                connection.tick(self.service.now)

        self.ask(go)

    def drain(self) -> None:
        """Begin to stop, and wait for nobody who has asked nothing."""
        self.ask(self.service.part)

    def warn(self) -> None:
        """Begin to stop, and answer what clients send that cannot know of it yet."""
        self.ask(self.service.warn)

    def close(self) -> None:
        """Stop, and cut what is left."""
        self.ask(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        home = Home(4)
        home.attach(loop)
        self.engine = Engine(StreamingRuntime())
        self._direct = Direct(self.engine.execution, Batching(), 1)
        handlers: Any = {Script: self._play, InferRequest: self._infer}
        self.stage = Stage(self.engine)
        routes = Routes([self.stage], handlers)
        lookup: Any = None
        self.service = service = Service(routes, lookup, home, self._door, self._limits)
        service.now = loop.time()
        self._stop = asyncio.Event()
        server = await loop.create_server(lambda: Http1Connection(service), "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(service.connections):
            connection.abort()
        for engine_home in (home, self.engine.home):
            engine_home.close()

    def _infer(self, call: InferRequest, reply: Reply) -> None:
        call.handle.acquire()
        self._direct(call, reply)

    def _play(self, call: Script, reply: Reply) -> None:
        self.calls.append(call)
        part: Any = reply.part
        if call.verb == "hold":
            self.held.append(reply)
        elif call.verb == "parts":
            for at in range(call.number):
                part(at)
            reply.end()
        elif call.verb == "fail":
            for at in range(call.number):
                part(at)
            reply.fail(RunFailed("it failed on the way"))
        elif call.verb == "much":
            part('"%s"' % ("x" * call.number))
            reply.end()
        elif call.verb in ("values", "spoilt"):
            self._answer_values(call.number, reply)
        else:
            part(call.verb.replace("_", " "))
            reply.end()

    def _answer_values(self, count: int, reply: Reply) -> None:
        """Parts that are large enough to be encoded in a thread, and small ones in between."""
        large, small = self.engine.ask([1, 0]), self.engine.ask([1, 0])
        large.rows = 10_000
        for at in range(count):
            request = small if at % 2 else large
            reply.part(InferResponse(request, {"Y": np.full((1, 1), at, np.float32)}))
        reply.end()
