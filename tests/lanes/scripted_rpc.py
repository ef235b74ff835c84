"""The scripted dialect over gRPC, on a listener that speaks HTTP/2 as well."""

import asyncio
from collections.abc import Sequence
from typing import Any

from inferd.calls import Call, InferRequest, Lookup
from inferd.engine.home import Home
from inferd.engine.schedulers.direct import Direct
from inferd.errors import InferdError
from inferd.lanes.greeting import Greeting
from inferd.lanes.routing import Routes
from inferd.lanes.service import Service
from inferd.protocols.base import Message, Method, Rpc
from inferd.spec import Batching
from tests.lanes.scripted_service import (
    LIMITS,
    Model,
    Script,
    Scripted,
    ScriptedService,
    Stage,
    Streaming,
)
from tests.unit.toys import Engine, StreamingRuntime

ONE, PARTS, EACH, ALL, MODEL, MODELS = (
    f"/stage.Stage/{name}" for name in ("One", "Parts", "Each", "All", "Model", "Models")
)
__all__ = ["ALL", "EACH", "LIMITS", "MODEL", "MODELS", "ONE", "PARTS", "RpcService"]


class One(Scripted, Method):
    """One message, and one that answers it."""


class Parts(Streaming, Method):
    """One message, and any number that answer it."""


class Each(Streaming, Method):
    """Any number, each answered; failures are told among the answers, but for one."""

    takes = "each"

    def encode_in_stream(
        self, call: Call | None, message: Message, error: InferdError
    ) -> bytes | None:
        if message.body.startswith(b"explode"):
            return None
        return b"told: " + error.text.encode()


class All(Scripted, Method):
    """Any number, which are one script together."""

    takes = "all"

    def decode_all(self, messages: Sequence[Message], lookup: Lookup) -> Call:
        return self.decode(Message(b"".join([each.body for each in messages]), {}), lookup)


class OneModel(Model, Method):
    """A row to a model that answers in parts."""

    streams = True


class ManyModels(OneModel):
    """The same, for row after row."""

    takes = "each"

    def encode_in_stream(
        self, call: Call | None, message: Message, error: InferdError
    ) -> bytes | None:
        return b"told: " + error.text.encode()


class StageRpc(Rpc):
    """All of them."""

    def __init__(self, engine: Engine[Any]) -> None:
        self.methods = {
            ONE: One(),
            PARTS: Parts(),
            EACH: Each(),
            ALL: All(),
            MODEL: OneModel(engine),
            MODELS: ManyModels(engine),
        }


class RpcService(ScriptedService):
    """The listener."""

    runtime: StreamingRuntime

    def streams(self) -> int:
        """Requests under way on all connections."""
        every: Any = self.service.connections
        return self.ask(lambda: sum(len(each.h2.streams) for each in every if hasattr(each, "h2")))

    def connections(self) -> int:
        """Connections, whatever they speak."""
        return self.ask(lambda: len(self.service.connections))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        home = Home(4)
        home.attach(loop)
        self.runtime = StreamingRuntime()
        self.engine = Engine(self.runtime)
        self._direct = Direct(self.engine.execution, Batching(), 1)
        handlers: Any = {Script: self._play, InferRequest: self._infer}
        self.stage = Stage(self.engine)
        self.stage.rpc = StageRpc(self.engine)
        lookup: Any = None
        routes = Routes([self.stage], handlers)
        self.service = service = Service(routes, lookup, home, self._door, self._limits)
        service.now = loop.time()
        self._stop = asyncio.Event()
        server = await loop.create_server(lambda: Greeting(service), "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(service.connections):
            connection.abort()
        for engine_home in (home, self.engine.home):
            engine_home.close()
