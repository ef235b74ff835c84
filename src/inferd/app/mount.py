"""inferd as an ASGI app, to be mounted in somebody else's: the same dialects, without the fast
lane."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from inferd import config, plugins
from inferd.app.build import build
from inferd.calls import Call
from inferd.cores import cores
from inferd.engine.awaitable import AwaitableReply
from inferd.errors import Cancelled, InferdError, PayloadTooLarge
from inferd.gate import door
from inferd.lanes.exchange import own
from inferd.lanes.routing import Match, Routes
from inferd.lanes.statuses import STATUS
from inferd.lanes.turn import error_fields
from inferd.pipeline import Pipeline
from inferd.protocols.base import JSON, WEBSOCKET, Dialect, Message, Payload
from inferd.wire import codings

T = TypeVar("T")


def asgi(
    *paths: str | os.PathLike[str], name: str | None = None, **settings: Any
) -> "MountedServer":
    """An ASGI app that serves the models at *paths*, to be mounted or run by any ASGI server.

    Loads the models before it returns. *settings* are those of ``docs/settings.md``; those of the
    socket have no meaning here. Raises LoadError or ConfigError.

        app = FastAPI()
        app.mount("/models", inferd.asgi("iris.onnx"))
    """
    chosen = config.resolve(settings, {}, {})
    pipeline = Pipeline(chosen, cores())
    pipeline.load([Path(path) for path in paths], name)
    return MountedServer(pipeline, chosen.max_body_bytes)


class MountedServer:
    """The ASGI callable. Lives on the loop of its first request."""

    def __init__(self, pipeline: Pipeline, body_bytes: int) -> None:
        self._pipeline, self._body_bytes = pipeline, body_bytes
        dialects: list[Dialect] = [dialect for _, dialect in plugins.load_all("protocols")]
        self._routes = Routes(dialects, pipeline.handlers)
        self._app = build(pipeline.manager, dialects)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        self._attach()
        if scope["type"] != "http" or scope["method"] == WEBSOCKET:  # no request has that method
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        target = quote(path, safe="/:").encode()  # it was decoded once, and routes decode again
        try:
            match = self._routes.find(scope["method"].encode(), target)
        except InferdError as error:
            await _send_error(send, self._routes.fallback, error, None)
            return
        if match is None:
            await self._app(scope, receive, send)
        else:
            await self._answer(match, scope, receive, send)

    def _attach(self) -> None:
        """Live on the loop of the requests, of which there may be one at a time."""
        loop, home = asyncio.get_running_loop(), self._pipeline.home
        if self._loop is None or self._loop.is_closed():
            self._loop = loop
            home.attach(loop)
        elif self._loop is not loop and not self._loop.is_closed():
            raise RuntimeError("an app of inferd.asgi() serves one event loop: make another one")

    def close(self) -> None:
        """Let go of the models and threads. The ASGI lifespan's end does it too."""
        self._pipeline.close()

    async def _answer(
        self, match: Match, scope: Mapping[str, Any], receive: Any, send: Any
    ) -> None:
        headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        message = Message(
            b"", match.path, headers, scope.get("query_string", b""), door.off(headers)
        )
        try:
            message.body = await self._body(receive)
            call: Call = await self._in_thread(self._decode, match, message)
            await self._run(match, call, send)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            await _send_error(send, match.dialect, own(error), message)

    def _decode(self, match: Match, message: Message) -> Call:
        coding = message.headers.get(b"content-encoding")
        if coding is not None:
            message.body = codings.unpack(message.body, coding, self._body_bytes)
        return match.operation.decode(message, self._pipeline.manager.lookup)

    async def _run(self, match: Match, call: Call, send: Any) -> None:
        reply = AwaitableReply()
        match.handler(call, reply)
        operation = match.operation
        if not operation.streams:
            response = await reply.first()
            await _send(send, 200, await self._in_thread(operation.encode, call, response))
            return
        begun = False
        try:
            async for response in reply:
                payload = operation.encode(call, response)
                if not begun:
                    await send(_start(200, payload, length=None))
                    begun = True
                await send({"type": "http.response.body", "body": payload.body, "more_body": True})
        except InferdError as error:
            told = operation.encode_failure(call, error) if begun else None
            if told is None:
                raise
            await send({"type": "http.response.body", "body": told})
            return
        if not begun:
            await send(_start(200, Payload(b"", operation.content_type), length=None))
        await send({"type": "http.response.body", "body": operation.encode_end(call)})

    async def _in_thread(self, code: Callable[..., T], *args: Any) -> T:
        """Documents may be large: they are read and written in the few threads that are for it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pipeline.home.codecs, code, *args)

    async def _body(self, receive: Any) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise Cancelled("the caller went away")
            chunks.append(event.get("body", b""))
            size += len(chunks[-1])
            if size > self._body_bytes:
                raise PayloadTooLarge(
                    "the body is too large", expected=f"at most {self._body_bytes} bytes"
                )
            more = event.get("more_body", False)
        return b"".join(chunks)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _send_error(
    send: Any, dialect: Dialect, error: InferdError, message: Message | None
) -> None:
    payload = dialect.encode_error(error, message)
    payload.headers = [*payload.headers, *error_fields(error)]
    await _send(send, STATUS[dialect.code(error, message)][0], payload)


async def _send(send: Any, status: int, payload: Payload) -> None:
    await send(_start(status, payload, length=payload.size))
    body = b"".join([payload.body, *payload.tail])
    await send({"type": "http.response.body", "body": body})


def _start(status: int, payload: Payload, length: int | None) -> dict[str, Any]:
    headers = [(b"content-type", payload.content_type or JSON), *payload.headers]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": status, "headers": headers}
