"""A model format and a dialect that are one file each in somebody else's distribution, served by
the real program and asked over a real socket."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TOYS = Path(__file__).parent / "toy"
LIMIT = 15.0  # seconds for anything to become true


class Served(NamedTuple):
    """A program that serves ``x.toy``."""

    port: int
    diary: Path

    def post(self, path: str, body: str) -> tuple[int, str]:
        """The status and the text of an answer."""
        status, text, _ = self.post_with_headers(path, body)
        return status, text

    def post_with_headers(self, path: str, body: str) -> tuple[int, str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def written(self) -> str:
        """What the model has written so far."""
        return self.diary.read_text() if self.diary.exists() else ""


def _install(folder: Path, runtime: str, dialect: str) -> None:
    """A distribution with two plug-ins, as pip would lay it out."""
    shutil.copy(TOYS / f"{runtime}.py", folder)
    shutil.copy(TOYS / f"{dialect}.py", folder)
    info = folder / "toy-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(
        f"[inferd.runtimes]\ntoy = {runtime}\n\n[inferd.protocols]\ntoy = {dialect}\n"
    )


@contextmanager
def _serving(folder: Path, runtime: str, dialect: str) -> Iterator[Served]:
    site = folder / "site"
    site.mkdir()
    _install(site, runtime, dialect)
    (folder / "x.toy").write_text("2.5")
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "inferd", "serve", "x.toy", "--port", "0"],
        cwd=folder,
        env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", first)
        if not found:
            process.kill()
            pytest.fail(f"it did not start: {first} {process.communicate()}")
        yield Served(int(found[1]), folder / "x.diary")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors or "a secret of the model" in errors
    finally:
        process.kill()
        process.communicate()


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the toys that answer once."""
    with _serving(tmp_path_factory.mktemp("toy"), "toy_runtime", "toy_dialect") as served:
        yield served


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the toys that answer in parts."""
    folder = tmp_path_factory.mktemp("stream")
    with _serving(folder, "streaming_runtime", "streaming_dialect") as served:
        yield served


class TestOneFileEach:
    """A new runtime and a new dialect, beside the built-in ones."""

    def test_the_new_model_answers_in_a_built_in_dialect(self, toy: Served) -> None:
        """The plain protocol serves a format that it never heard of."""
        status, text = toy.post("/predict", '{"features": [1, 2]}')
        assert status == 200
        assert json.loads(text) == {"prediction": [2.5, 5.0], "model_version": "1"}
        tensor = {"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
        status, text = toy.post("/v2/models/x/infer", json.dumps({"inputs": [tensor]}))
        assert status == 200
        assert json.loads(text)["outputs"][0]["data"] == [2.5, 5.0]

    def test_the_new_dialect_answers(self, toy: Served) -> None:
        """Its routes, its content type and its words."""
        status, text, headers = toy.post_with_headers("/toy/x", "1 2")
        assert (status, text, headers["content-type"]) == (200, "2.5 5.0", "text/plain")

    def test_the_new_dialect_tells_errors_in_its_own_words(self, toy: Served) -> None:
        """The lane has the status, the dialect the text."""
        assert toy.post("/toy/x", "a b") == (400, "no: that is no row: expected numbers")
        status, text = toy.post("/toy/nobody", "1 2")
        assert status == 404
        assert text.startswith("no: unknown model 'nobody'")
        assert toy.post("/predict", "{")[1].startswith('{"error":')


class TestStreaming:
    """A runtime and a dialect that answer in parts."""

    def test_the_parts_come_as_chunks_and_then_the_end(self, stream: Served) -> None:
        """Each part is a line, and the end has a line of its own."""
        status, text, headers = stream.post_with_headers("/toy/x", "[3, 2]")
        assert status == 200
        assert headers["transfer-encoding"] == "chunked"
        assert headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line) for line in text.splitlines()] == [
            [0, 0],
            [1, 1],
            [2, 2],
            "all",
        ]

    def test_a_unary_dialect_takes_an_answer_of_one_part(self, stream: Served) -> None:
        """One part is an answer; several are not spoken there."""
        status, text = stream.post("/predict", '{"features": [1, 2]}')
        assert (status, json.loads(text)["prediction"]) == (200, [0.0, 0.0])
        assert stream.post("/predict", '{"features": [2, 2]}')[0] == 501

    def test_a_failure_before_the_first_part_has_a_status(self, stream: Served) -> None:
        """As long as nothing was sent, an error is an ordinary one."""
        assert stream.post("/toy/x", "[1, 2, 3]")[0] == 400

    def test_a_stream_of_no_parts_is_an_answer(self, stream: Served) -> None:
        """Nothing to say is not a failure: the end alone comes."""
        assert stream.post("/toy/x", "[0, 1]") == (200, '"all"\n')

    def test_a_failure_after_it_cuts_the_connection(self, stream: Served) -> None:
        """A stream that was begun cannot end as if it were whole."""
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            stream.post("/toy/x", "[-2, 2]")
        assert stream.healthy()

    def test_who_does_not_read_stops_the_model(self, stream: Served) -> None:
        """The model waits for its reader, the server does not, and reading on lets it go on."""
        parts, width = 4000, 20_000  # 400 MB: far beyond what sockets hold
        before = len(stream.written())
        with _asked(stream, f"[{parts}, {width}]") as connection:
            paused = _pauses(lambda: len(stream.written()) - before, stream)
            assert 0 < paused < parts / 4
            for _ in range(20):
                assert stream.healthy()
            assert len(stream.written()) - before <= paused + 1
            _read(connection, (paused + 20) * width * 5)
            _until(lambda: len(stream.written()) - before > paused + 10)
        _until(lambda: stream.written().endswith("c"))

    def test_who_leaves_ends_the_model(self, stream: Served) -> None:
        """The generator is closed, although it had much to say, and the server answers on."""
        before = stream.written().count("c")
        with _asked(stream, "[1000000000, 1000]") as connection:
            _read(connection, 10_000)
        _until(lambda: stream.written().count("c") == before + 1)
        assert stream.post("/toy/x", "[1, 1]") == (200, '[0.0]\n"all"\n')


@contextmanager
def _asked(served: Served, body: str) -> Iterator[socket.socket]:
    """A connection with a small buffer, on which a stream was asked for."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(LIMIT)
        connection.connect(("127.0.0.1", served.port))
        head = f"POST /toy/x HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())
        yield connection


def _read(connection: socket.socket, size: int) -> None:
    left = size
    while left > 0:
        data = connection.recv(min(left, 1 << 16))
        assert data, "the server hung up"
        left -= len(data)


def _pauses(count: Callable[[], int], served: Served) -> int:
    """The count at which it stands still while the server answers other requests."""
    deadline, seen = time.monotonic() + LIMIT, -1
    while time.monotonic() < deadline:
        now = count()
        if now > 0 and now == seen:
            return now
        seen = now
        for _ in range(30):
            assert served.healthy()
    raise AssertionError("it never paused")
