"""WebSocket clients that people have, against a running server: the answers of HTTP."""

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import trustme
import websockets
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

import inferd
from inferd.server.embedded import Server
from tests.conftest import FEATURES, ROW, Models


def _url(server: Server, model: str = "iris") -> str:
    return f"{server.url.replace('http', 'ws', 1)}/v1/stream/{model}"


def _over_http(server: Server, document: Any, model: str = "iris") -> Any:
    return requests.post(f"{server.url}/v1/predict/{model}", json=document, timeout=10).json()


@pytest.mark.parametrize("compression", ["deflate", None])
def test_websockets_sync(server: Server, models: Models, compression: str | None) -> None:
    """Rows, a table and records by the websockets library, which offers compression and does
    without."""
    rows = models.rows.tolist()
    documents = [{"features": ROW}, {"features": rows}, rows, dict(zip(FEATURES, ROW, strict=True))]
    with connect(_url(server), compression=compression) as client:
        assert client.protocol.extensions == []
        for document in documents:
            client.send(json.dumps(document))
            answer = client.recv()
            assert isinstance(answer, str)
            assert json.loads(answer) == _over_http(server, document)
        assert client.ping().wait(5)
    assert client.close_code == 1000


def test_websockets_asyncio(server: Server, models: Models) -> None:
    """Several connections at a time, each with all its questions before the first answer."""
    rows = models.rows.tolist()

    async def ask(share: list[Any]) -> list[Any]:
        async with connect_async(_url(server)) as client:
            for row in share:
                await client.send(json.dumps({"features": row}).encode())
            return [json.loads(await client.recv())["prediction"] for _ in share]

    async def go() -> list[list[Any]]:
        return await asyncio.gather(*(ask(rows[at::5]) for at in range(5)))

    labels = _over_http(server, rows)["predictions"]
    assert asyncio.run(go()) == [labels[at::5] for at in range(5)]


def test_websockets_fragments(server: Server) -> None:
    """A message that the library sends in fragments is one request."""
    text = json.dumps({"features": ROW})
    with connect(_url(server)) as client:
        client.send([text[:5], text[5:9], text[9:]])
        assert json.loads(client.recv())["prediction"] == 0


def test_an_error_keeps_the_connection(server: Server) -> None:
    """The error's document is HTTP's, and the next question is answered."""
    with connect(_url(server)) as client:
        client.send(json.dumps({"features": [1, 2]}))
        assert json.loads(client.recv()) == _over_http(server, {"features": [1, 2]})
        client.send(json.dumps(ROW))
        assert json.loads(client.recv())["prediction"] == 0


def test_a_foreign_page_is_refused(server: Server) -> None:
    """The library tells the status of a refused handshake."""
    foreign: Any = "https://evil.example"
    with (
        pytest.raises(websockets.exceptions.InvalidStatus, match="403"),
        connect(_url(server), origin=foreign),
    ):
        pass


def test_a_stop_is_told(models: Models) -> None:
    """A client of a server that stops gets 1001, and the server ends without waiting for more."""
    with inferd.serve(models.iris) as server, connect(_url(server)) as client:
        client.send(json.dumps(ROW))
        client.recv()
        thread = threading.Thread(target=server.stop)
        thread.start()
        with pytest.raises(websockets.exceptions.ConnectionClosedOK) as closed:
            client.recv()
        thread.join()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


def test_no_request_has_the_method_of_a_websocket(models: Models) -> None:
    """Behind another ASGI server, which may let any method through, none asks what is for messages
    alone."""
    app = inferd.asgi(models.iris)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request("WEBSOCKET", "/v1/stream/iris", content=json.dumps(ROW))

    assert asyncio.run(ask()).status_code in (404, 405)
    app.close()


def test_the_openapi_document_leaves_websockets_out(server: Server) -> None:
    """OpenAPI has no words for a WebSocket, and a method that it does not know would spoil it."""
    paths = requests.get(f"{server.url}/openapi.json", timeout=10).json()["paths"]
    assert {method for path in paths.values() for method in path} <= {"get", "post", "delete"}
    assert "/v1/predict/iris" in paths
    assert "/v1/stream/iris" not in paths


@pytest.mark.slow
def test_by_tls(models: Models, tmp_path: Path) -> None:
    """wss: the same answers; a fault and a stop of the server are told as without TLS."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    tls = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    with inferd.serve(models.iris, max_body_bytes=1_000_000, **tls) as server:
        with connect(_url(server), ssl=context) as client:
            client.send(" " * 1_000_001)
            with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1009"):
                client.recv()
        with connect(_url(server), ssl=context) as client:
            client.send(json.dumps([ROW] * 5000))
            assert json.loads(client.recv())["predictions"] == [0] * 5000
            thread = threading.Thread(target=server.stop)
            thread.start()
            with pytest.raises(websockets.exceptions.ConnectionClosedOK, match="1001"):
                client.recv()
            thread.join()


@pytest.mark.slow
def test_uvloop_or_not(models: Models) -> None:
    """The standard library's event loop serves as well, where uvloop is not installed."""
    program = (
        "import sys; sys.modules['uvloop'] = None\n"
        "import inferd, json\n"
        "from websockets.sync.client import connect\n"
        f"with inferd.serve({str(models.iris)!r}) as server:\n"
        "    with connect(server.url.replace('http', 'ws', 1) + '/v1/stream/iris') as client:\n"
        f"        client.send('{json.dumps(ROW)}')\n"
        "        print(json.loads(client.recv())['prediction'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), "")

SCRIPT = """
new Promise(told => {
    const socket = new WebSocket(URL);
    const heard = [];
    socket.onopen = () => { socket.send(ASK); socket.send("{"); };
    socket.onmessage = message => {
        heard.push(JSON.parse(message.data));
        if (heard.length == 2) socket.close(1000);
    };
    socket.onclose = event => told({clean: event.wasClean, code: event.code, heard});
})
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[str]:
    """A browser without a window: the URL by which its pages are told what to do."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command = [BROWSER, *flags, f"--user-data-dir={tmp_path}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "DevTools listening on" in line:
                    break
            yield line.split("//")[1].split("/")[0]
        finally:
            process.kill()


def _on_page(browser: str, page: str, script: str) -> Any:
    """What *script* comes to on *page*."""
    target = httpx.put(f"http://{browser}/json/new?{page}").json()["webSocketDebuggerUrl"]
    with connect(target, max_size=None) as tools:

        def ask(method: str, **params: Any) -> Any:
            tools.send(json.dumps({"id": 1, "method": method, "params": params}))
            while True:
                answer = json.loads(tools.recv(10))
                if answer.get("id") == 1:
                    return answer["result"]

        while ask("Runtime.evaluate", expression="document.URL")["result"]["value"] != page:
            pass
        ran = ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return ran["result"]["value"]


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="needs a Chromium browser on the PATH")
def test_a_browser(server: Server, browser: str) -> None:
    """A page of the server's own origin asks and closes cleanly; a foreign page does not get in."""
    script = SCRIPT.replace("URL", repr(_url(server)), 1).replace("ASK", repr(json.dumps(ROW)))
    told = _on_page(browser, f"{server.url}/health", script)
    answer, error = told["heard"]
    assert (told["clean"], told["code"]) == (True, 1000)
    assert answer == _over_http(server, ROW)
    assert "error" in error
    assert _on_page(browser, "data:text/html,foreign", script) == {
        "clean": False,
        "code": 1006,
        "heard": [],
    }
