"""An ASGI app whose every path does one thing that a server must cope with."""

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

TEXT = (b"content-type", b"text/plain")
departures: list[str] = []
"""What the scripts were told of their clients' leaving, in order."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Do what the path says."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    what = SCRIPTS.get(scope["path"])
    await (what or _starlette)(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def start(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [TEXT, *headers]})


async def body(send: Any, data: bytes = b"", *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def read(receive: Any) -> bytes:
    parts, more = [], True
    while more:
        event = await receive()
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    return b"".join(parts)


async def early(scope: Any, receive: Any, send: Any) -> None:
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"early")


async def wait_early(scope: Any, receive: Any, send: Any) -> None:
    """Answer after the first piece of the body."""
    await receive()
    await early(scope, receive, send)


async def describe(scope: Any, receive: Any, send: Any) -> None:
    """Say what the scope was."""
    await read(receive)
    keys = ("type", "http_version", "method", "scheme", "path", "raw_path", "query_string")
    headers = sorted((n, v) for n, v in scope["headers"] if n != b"host")
    text = repr([(key, scope[key]) for key in (*keys, "root_path")] + headers)
    await start(send)
    await body(send, text.encode())


async def fail_before(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("before the start")


async def fail_after_start(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    raise RuntimeError("after the start")


async def fail_in_the_middle(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    await body(send, b"half", more=True)
    raise RuntimeError("in the middle")


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Return without an answer."""


async def half(scope: Any, receive: Any, send: Any) -> None:
    """Return in the middle of an answer."""
    await start(send)
    await body(send, b"half", more=True)


async def too_long(scope: Any, receive: Any, send: Any) -> None:
    await start(send, 200, (b"content-length", b"3"))
    await body(send, b"four")


async def too_short(scope: Any, receive: Any, send: Any) -> None:
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"four")


async def body_first(scope: Any, receive: Any, send: Any) -> None:
    await body(send, b"no start")


async def twice(scope: Any, receive: Any, send: Any) -> None:
    """Start two times."""
    await start(send)
    await start(send)


async def after_the_end(scope: Any, receive: Any, send: Any) -> None:
    """Send on after the end."""
    await start(send, 200, (b"content-length", b"4"))
    await body(send, b"done")
    await body(send, b"more")


async def split(scope: Any, receive: Any, send: Any) -> None:
    """A header that would become two."""
    await start(send, 200, (b"x-evil", b"a\r\nx-injected: b"), (b"content-length", b"0"))
    await body(send)


async def own_chunked(scope: Any, receive: Any, send: Any) -> None:
    """An app that names the transfer coding itself."""
    await start(send, 200, (b"transfer-encoding", b"chunked"))
    await body(send, b"some", more=True)
    await body(send, b"thing")


async def close(scope: Any, receive: Any, send: Any) -> None:
    """An app that wants the connection to end."""
    await start(send, 200, (b"Connection", b"close"), (b"content-length", b"2"))
    await body(send, b"ok")


async def many_headers(scope: Any, receive: Any, send: Any) -> None:
    """Headers that are sent twice, or empty."""
    cookies = ((b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"X-Empty", b""))
    await start(send, 299, *cookies, (b"content-length", b"0"))
    await body(send)


async def until_disconnect(scope: Any, receive: Any, send: Any) -> None:
    """Wait until the client has gone."""
    await start(send)
    await body(send, b"waiting", more=True)
    while (event := await receive())["type"] != "http.disconnect":
        pass
    departures.append(event["type"])


async def after_answer(scope: Any, receive: Any, send: Any) -> None:
    """Ask what comes after a whole answer."""
    await read(receive)
    await start(send, 200, (b"content-length", b"0"))
    await body(send)
    departures.append((await receive())["type"])


def _status(status: int, data: bytes = b"") -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await start(send, status)
        await body(send, data)

    return answer


def _large(size: int, pieces: int) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        for _ in range(pieces):
            await body(send, b"x" * size, more=True)
        await body(send)

    return answer


async def _echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def _count(request: Request) -> Response:
    """Stream a request without keeping it."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


async def _pieces(request: Request) -> Response:
    async def pieces() -> Any:
        for at in range(5):
            yield f"piece {at};"
            await asyncio.sleep(0)

    return StreamingResponse(pieces())


async def _endless(request: Request) -> Response:
    async def pieces() -> Any:
        try:
            while True:
                yield "tick;"
                await asyncio.sleep(0.001)
        finally:
            departures.append("stream closed")

    return StreamingResponse(pieces())


SCRIPTS = {
    f"/{made.__name__}": made
    for made in (
        early, wait_early, describe, fail_before, fail_after_start, fail_in_the_middle, nothing,
        half, too_long, too_short, body_first, twice, after_the_end, split, own_chunked, close,
        many_headers, until_disconnect, after_answer,
    )
} | {
    "/204": _status(204),
    "/304": _status(304),
    "/404": _status(404, b"none"),
    "/500": _status(500, b"broken"),
    "/large": _large(1 << 20, 8),
    "/small_pieces": _large(3, 500),
}  # fmt: skip

_starlette = Starlette(
    routes=[
        Route("/echo", _echo, methods=["POST", "PUT", "PATCH", "DELETE"]),
        Route("/count", _count, methods=["POST"]),
        Route("/pieces", _pieces),
        Route("/endless", _endless),
    ]
)
