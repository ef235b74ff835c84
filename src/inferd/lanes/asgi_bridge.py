"""Carries a request that is no inference to the ASGI app behind the lane, and the app's answer
back.

Behaves as uvicorn does where the ASGI specification leaves a choice; the tests hold both against
one app.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote

from inferd.lanes.request_ids import REQUEST_ID, request_id_field
from inferd.lanes.turn import Carrier, Turn, connection_field
from inferd.log import logger

FULL = 64 * 1024  # bytes of a body that wait for the app before the client is not read any more


FRAMING = frozenset({b"connection", b"transfer-encoding"})
"""Headers of the transfer itself, which the bridge writes."""


class Head(NamedTuple):
    """A request's head."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    http_version: str


class AppTurn(Turn):
    """One request of the app's: the task that runs it, its ``receive`` and its ``send``."""

    def __init__(self, carrier: Carrier, head: Head, transport: asyncio.Transport) -> None:
        super().__init__(keep_alive=True)
        self._carrier, self._head, self._transport = carrier, head, transport
        self._body: deque[bytes] = deque()
        self._waiting, self._read, self._gone = 0, False, False
        self._news = asyncio.Event()
        self._started = self._chunked = False
        self._left: int | None = None
        """Bytes that the announced content-length still allows."""

    # -- the connection calls these --

    @property
    def is_begun(self) -> bool:
        return self._started

    @property
    def takes_interim(self) -> bool:
        return not (self._started or self._old_http())

    @property
    def is_full(self) -> bool:
        """Whether the app takes its body more slowly than the client sends it."""
        return self._waiting > FULL and not self.done

    def start(self) -> None:
        """Run the app."""
        self._task = self._carrier.service.home.loop.create_task(self._run())

    def feed(self, chunk: bytes) -> None:
        """A piece of the body."""
        if self.done:
            return
        self._body.append(chunk)
        self._waiting += len(chunk)
        self._news.set()
        self._carrier.pace()

    def feed_end(self, *, keep_alive: bool) -> None:
        """The body is whole."""
        self._read = True
        self.keep_alive = self.keep_alive and keep_alive
        self._news.set()

    def disconnect(self) -> None:
        super().disconnect()
        self.hear_no_more()

    def hear_no_more(self) -> None:
        """Tell the app that its client has gone, as uvicorn does; it may have closed half only."""
        self._gone = True
        self._news.set()

    # -- the app calls these --

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body; after the answer, or when the client goes, its leaving."""
        while not (self._body or self._gone or self.done or (self._read and not self._told())):
            self._news.clear()
            await self._news.wait()
        if self._gone or self.done:
            return {"type": "http.disconnect"}
        chunk = self._body.popleft() if self._body else b""
        self._waiting -= len(chunk)
        self._carrier.pace()
        more = bool(self._body) or not self._read
        if not more:
            self._waiting = -1
        return {"type": "http.request", "body": chunk, "more_body": more}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write the head, or a piece of the body, and wait until the client has room for more."""
        if self.cancelled:
            raise OSError("the client has gone")  # as the specification asks for from 2.4 on
        kind = message["type"]
        if kind == "http.response.start" and not self._started:
            self._start_answer(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self._started and not self.done:
            self._write(message.get("body", b""), last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"the app sent {kind!r} out of order")
        if not self.done and not self._carrier.is_writable(self):
            await self._room()

    # -- inside --

    def _told(self) -> bool:
        """Whether the app was given the end of the body."""
        return self._waiting < 0

    async def _run(self) -> None:
        try:
            await self._carrier.service.app(self._scope(), self.receive, self.send)
        except Exception:  # noqa: BLE001 - the transport boundary: whatever the app raises
            if self.cancelled:
                return
            logger.exception("the app failed on %s", self._head.method.decode("latin-1"))
        if not self.done and not self.cancelled:
            self._fail()

    def _fail(self) -> None:
        """The app ended without an answer: say so, or, when it is half told, cut it off."""
        if self._started:
            self._carrier.cut(self)
            return
        self.keep_alive = False
        self._start_answer(
            500, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")]
        )
        self._write(b"Internal Server Error", last=True)

    def _scope(self) -> dict[str, Any]:
        target, _, query = self._head.target.partition(b"?")
        peer, own = (self._transport.get_extra_info(name) for name in ("peername", "sockname"))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self._head.http_version,
            "method": self._head.method.decode("ascii"),
            "scheme": "https" if self._transport.get_extra_info("ssl_object") else "http",
            "path": unquote(target.decode("ascii", "replace")),
            "raw_path": target,
            "query_string": query,
            "root_path": "",
            "headers": list(self._head.headers),
            "client": tuple(peer[:2]) if isinstance(peer, tuple) else None,
            # A Unix socket is told by its path, without a port.
            "server": tuple(own[:2]) if isinstance(own, tuple) else (own, None) if own else None,
        }

    def _start_answer(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._started = True
        fields = [(name.lower(), value) for name, value in headers]
        _check(fields)
        names = dict(fields)
        if names.get(b"connection", b"").lower() == b"close":
            self.keep_alive = False
        if not self._read:
            # An answer before the end of the body: the rest would have to be read for nothing.
            self.keep_alive, self.lingers = False, True
        self._frame(status, names)
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, _phrase(status))]
        if b"date" not in names:
            lines.append(self._carrier.service.date)
        lines += [b"%b: %b\r\n" % field for field in fields if field[0] not in FRAMING]
        if REQUEST_ID not in names:
            lines.append(request_id_field(dict(self._head.headers)))
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines += [connection_field(self, old_http=self._old_http()), b"\r\n"]
        self._carrier.send(self, b"".join(lines), last=False)

    def _frame(self, status: int, names: Mapping[bytes, bytes]) -> None:
        """Choose what tells the body's end: its length, chunks, or the connection's end."""
        if b"content-length" in names:
            self._left = int(names[b"content-length"])
        elif status >= 200 and status not in (204, 304) and self._head.method != b"HEAD":
            self._chunked = not self._old_http()
            self.keep_alive = self.keep_alive and self._chunked

    def _old_http(self) -> bool:
        return self._head.http_version == "1.0"

    def _write(self, body: bytes, *, last: bool) -> None:
        if self._head.method == b"HEAD":
            body = b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (last and self._left):
                raise RuntimeError("the app's body is not as long as its content-length")
        if self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (
                b"0\r\n\r\n" if last else b""
            )
        self.done = last
        self._carrier.send(self, body, last=last)
        if last:
            self._news.set()

    async def _room(self) -> None:
        ready = asyncio.Event()
        self._carrier.when_writable(ready.set)
        await ready.wait()


def _check(fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise RuntimeError for a header that would be read as more than one."""
    for name, value in fields:
        if _BAD_NAME.search(name) or _BAD_VALUE.search(value):
            raise RuntimeError(f"the app sent a header that is none: {name!r}")


_BAD_NAME = re.compile(rb'[\x00-\x20\x7f()<>@,;:\[\]={}\\"/?]')  # no token: RFC 9110, section 5.6.2
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
