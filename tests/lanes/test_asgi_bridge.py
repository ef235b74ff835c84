"""The bridge to the app beside uvicorn's own protocol: one app, the same bytes and answers."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import uvicorn

from fuzz.answers import Answer, Malformed
from inferd import config
from inferd.gate import door
from inferd.lanes.http1 import Http1Connection
from inferd.lanes.routing import Routes
from inferd.lanes.service import Service, limits
from inferd.pipeline import Pipeline
from inferd.protocols.plain import plugin as plain
from inferd.server.ports import bind, url_of
from inferd.server.worker import new_loop
from tests.lanes import scripted_app
from tests.lanes.client import Client, request
from tests.lanes.conftest import Connect, Until

CHUNKED = "transfer-encoding: chunked\r\n"
LARGE = b"0123456789abcdef" * 50_000


class Places(NamedTuple):
    """The two servers' URLs."""

    lane: str
    uvicorn: str


class Seen(NamedTuple):
    """What a client saw of one answer, and whether the connection lived on."""

    status: int
    reason: str
    headers: frozenset[tuple[str, str]]
    body: bytes
    lives: bool


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """The app served by both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)
        lane, other = _Lane(), _Uvicorn()
        yield Places(lane.start(), other.start())
        lane.stop()
        other.stop()


class _Lane:
    """Our connections in front of the app, in a thread."""

    def start(self) -> str:
        self._listener = bind("127.0.0.1", 0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)
        return url_of(self._listener)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        settings = config.Settings()
        pipeline = Pipeline(settings, cores=1)
        pipeline.home.attach(self._loop)
        routes = Routes([plain], pipeline.handlers)
        service = Service(
            routes, pipeline.manager.lookup, pipeline.home, door.off, limits(settings)
        )
        service.app = scripted_app.app
        service.start()
        server = await self._loop.create_server(
            lambda: Http1Connection(service), sock=self._listener
        )
        self._ready.set()
        await self._ended.wait()
        server.close()
        await service.drain(1)
        service.stop()
        pipeline.close()


class _Uvicorn:
    """uvicorn's HttpToolsProtocol in front of the app, in a thread."""

    def start(self) -> str:
        listener = bind("127.0.0.1", 0)
        settings = uvicorn.Config(
            scripted_app.app, http="httptools", ws="none", log_config=None, timeout_keep_alive=60
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return url_of(listener)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def seen(client: Client, data: bytes, method: str) -> Seen | str:
    """What *client* sees when it sends *data*."""
    client.send(data)
    try:
        answer = client.answer(method)
    except EOFError:
        return "cut off"
    except Malformed as error:
        return f"malformed: {error}"
    return Seen(answer.status, answer.reason, _headers(answer), answer.body, client.lives())


def _headers(answer: Answer) -> frozenset[tuple[str, str]]:
    """All but those that tell one server from another."""
    return frozenset((n, v) for n, v in answer.headers if n not in ("date", "server"))


REQUESTS: dict[str, tuple[str, bytes]] = {
    "echo": ("POST", request("POST", "/echo", b"hello")),
    "echo, no body": ("POST", request("POST", "/echo", b"")),
    "echo, chunked": ("POST", request("POST", "/echo", headers=CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n"),
    "echo, large": ("POST", request("POST", "/echo", LARGE)),
    "echo, large, chunked": (
        "POST",
        request("POST", "/echo", headers=CHUNKED) + b"c3500\r\n" + LARGE + b"\r\n0\r\n\r\n",
    ),
    "echo, HTTP/1.0": ("POST", request("POST", "/echo", b"old", version="1.0")),
    "echo, closed": ("POST", request("POST", "/echo", b"x", "connection: close\r\n")),
    "count": ("POST", request("POST", "/count", LARGE)),
    "pieces": ("GET", request("GET", "/pieces")),
    "pieces, HEAD": ("HEAD", request("HEAD", "/pieces")),
    "small pieces": ("GET", request("GET", "/small_pieces")),
    "large": ("GET", request("GET", "/large")),
    "wrong method": ("GET", request("GET", "/echo")),
    "not found": ("GET", request("GET", "/nowhere")),
    "early": ("POST", request("POST", "/early", b"small")),
    "after one piece": ("POST", request("POST", "/wait_early", b"small")),
    "HEAD with a length": ("HEAD", request("HEAD", "/early")),
    "HEAD of an error": ("HEAD", request("HEAD", "/fail_before")),
    "own chunked": ("GET", request("GET", "/own_chunked")),
    "close": ("GET", request("GET", "/close")),
    "many headers": ("GET", request("GET", "/many_headers")),
    **{
        name: ("GET", request("GET", f"/{name}"))
        for name in (
            "204", "304", "404", "500", "fail_before", "fail_after_start", "fail_in_the_middle",
            "nothing", "half", "too_long", "too_short", "body_first", "twice", "split",
            "after_answer",
        )
    },
    **{
        f"scope of {target}": ("GET", request("GET", target))
        for target in (
            "/describe", "/describe?a=b&a=%20c", "/describe?", "/%64escribe", "/describe?x=%ff",
            "http://x/describe?q", "/describe%3Fa",
        )
    },
    "scope with headers": (
        "GET",
        request("GET", "/describe", headers="X-A: 1\r\nx-a: 2\r\nX-Empty:\r\nX-B:  b  \r\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_as_uvicorn(places: Places, connect: Connect, name: str) -> None:
    """One request to both: the same status line, headers, body and life of the connection."""
    method, data = REQUESTS[name]
    ours = seen(connect(places.lane), data, method)
    theirs = seen(connect(places.uvicorn), data, method)
    assert ours == theirs


def test_what_is_sent_after_the_end_is_dropped(places: Places, connect: Connect) -> None:
    """A message after a whole answer is the app's own mistake: nothing of it is sent."""
    client = connect(places.lane)
    found = seen(client, request("GET", "/after_the_end"), "GET")
    assert isinstance(found, Seen)
    assert (found.body, found.lives) == (b"done", True)


def test_http_1_0_gets_no_chunks(places: Places, connect: Connect) -> None:
    """HTTP/1.0 has no transfer codings: the end of the connection ends the answer. (uvicorn sends
    chunks.)"""
    client = connect(places.lane).send(request("GET", "/pieces", version="1.0"))
    answer = client.answer()
    assert answer.header("transfer-encoding") is None
    assert answer.body == b"piece 0;piece 1;piece 2;piece 3;piece 4;"


def test_pipelined_requests_as_uvicorn(places: Places, connect: Connect) -> None:
    """Requests sent together are answered in order by both."""
    data = b"".join(
        request("POST", "/echo", b"%d" % at) + request("GET", "/pieces") for at in range(20)
    )
    bodies = [[answer.body for answer in connect(url).send(data).answers(40)] for url in places]
    assert bodies[0] == bodies[1]


def test_an_answer_that_breaks_off_leaves_earlier_answers_whole(
    places: Places, connect: Connect
) -> None:
    """An app that fails in the middle of its answer does not take the answers before it along."""
    data = request("GET", "/large") + request("GET", "/fail_in_the_middle")
    client = connect(places.lane).send(data)
    assert len(client.answer().body) == 8 << 20


def test_a_body_that_breaks_off_in_nonsense(places: Places, connect: Connect) -> None:
    """A body that turns out malformed while the app reads it is refused at once."""
    for url in places:
        client = connect(url).send(request("POST", "/echo", headers=CHUNKED) + b"3\r\nabc\r\n")
        assert client.send(b"nonsense\r\n").answer().status == 400
        assert client.is_closed()


def test_a_body_not_yet_sent_when_the_app_answers(places: Places, connect: Connect) -> None:
    """The app's answer arrives though the body does not, and the connection is not used again."""
    head = request("POST", "/early", headers="content-length: 100\r\n")
    client = connect(places.lane).send(head)
    answer = client.answer()
    assert (answer.body, answer.header("connection")) == (b"early", "close")
    assert client.is_closed()


@pytest.mark.parametrize("place", Places._fields)
def test_expect_100_continue_reaches_the_app(places: Places, connect: Connect, place: str) -> None:
    """A client that asks first gets a go-ahead where the app reads the body."""
    head = request("POST", "/echo", headers="content-length: 5\r\nexpect: 100-continue\r\n")
    client = connect(getattr(places, place)).send(head)
    assert client.answer().status == 100
    assert client.send(b"hello").answer().body == b"hello"


@pytest.mark.parametrize("place", Places._fields)
def test_the_app_is_told_when_the_client_goes(
    places: Places, connect: Connect, until: Until, place: str
) -> None:
    """An app that waits for its client's leaving is told of it."""
    scripted_app.departures.clear()
    client = connect(getattr(places, place)).send(request("GET", "/until_disconnect"))
    client.socket.recv(10_000)
    client.close()
    until(lambda: scripted_app.departures == ["http.disconnect"])


@pytest.mark.parametrize("place", Places._fields)
def test_an_endless_stream_ends_with_its_client(
    places: Places, connect: Connect, until: Until, place: str
) -> None:
    """A stream that nobody reads any more is not made any more."""
    scripted_app.departures.clear()
    client = connect(getattr(places, place)).send(request("GET", "/endless"))
    client.socket.recv(10_000)
    client.close()
    until(lambda: scripted_app.departures == ["stream closed"])


@pytest.mark.parametrize("place", Places._fields)
def test_the_app_is_told_that_its_answer_is_complete(
    places: Places, connect: Connect, until: Until, place: str
) -> None:
    """After a whole answer, receive says that nobody is there any more."""
    scripted_app.departures.clear()
    assert connect(getattr(places, place)).send(request("GET", "/after_answer")).answer()
    until(lambda: scripted_app.departures == ["http.disconnect"])


@pytest.mark.parametrize("place", Places._fields)
def test_an_answer_is_made_as_fast_as_it_is_read(
    places: Places, connect: Connect, place: str
) -> None:
    """A large answer to a slow reader arrives whole."""
    client = connect(getattr(places, place), receive_buffer=4096)
    client.send(request("GET", "/large"))
    total: Any = len(client.answer().body)
    assert total == 8 << 20


def test_a_stream_that_is_fed_slowly(places: Places, connect: Connect) -> None:
    """A body is counted whole though it comes in many pieces."""
    client = connect(places.lane).send(request("POST", "/count", headers=CHUNKED))
    for _ in range(200):
        client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
    assert client.send(b"0\r\n\r\n").answer().body == b"204800"
