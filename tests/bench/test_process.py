"""Tests of bench/process.py with real processes."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench import process
from bench.contenders import Contender
from bench.errors import BenchError
from bench.models import Case

TOY = """\
import http.server
import sys

port, label, status = map(int, sys.argv[1:])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = b'{"prediction": %d, "probability": [0.5, 0.3, 0.2]}' % label
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
CORE = min(os.sched_getaffinity(0))

MakeToy = Callable[..., Contender]


@pytest.fixture
def make_toy(tmp_path: Path) -> MakeToy:
    """Make a server that answers every request with one label and one status."""
    program = tmp_path / "toy.py"
    program.write_text(TOY)

    def make(label: int = 0, status: int = 200) -> Contender:
        return Contender(
            name="toy",
            title="a toy",
            about="answers always the same",
            dialect="plain",
            argv=(sys.executable, str(program), "{port}", str(label), str(status)),
            one_row="/predict",
            many_rows="/predict",
        )

    return make


def test_a_server_runs_on_its_core_answers_and_is_gone_afterwards(
    make_toy: MakeToy, make_case: Callable[[int], Case], tmp_path: Path
) -> None:
    """A right answer passes, the cost can be read, and nothing is left running."""
    with process.running(make_toy(), make_case(1), CORE, tmp_path) as server:
        assert server.check() > 0
        assert psutil.Process(server.process.pid).cpu_affinity() == [CORE]
        assert server.memory() > 0
        assert server.cpu_seconds() >= 0
    assert not psutil.pid_exists(server.process.pid)


@pytest.mark.parametrize(
    ("label", "status", "said"),
    [(1, 200, r"answered Answer\(labels=\[1\]"), (0, 404, "answered 404, expected 200")],
    ids=["label", "status"],
)
def test_a_wrong_answer_stops_the_benchmark(
    label: int,
    status: int,
    said: str,
    make_toy: MakeToy,
    make_case: Callable[[int], Case],
    tmp_path: Path,
) -> None:
    """A server that answers fast and wrong is not measured."""
    with (
        process.running(make_toy(label, status), make_case(1), CORE, tmp_path) as server,
        pytest.raises(BenchError, match=said),
    ):
        server.check()


def test_a_server_that_is_gone_or_says_something_else_is_a_bench_error(
    make_toy: MakeToy, make_case: Callable[[int], Case], tmp_path: Path
) -> None:
    """One of many servers that fails must not end the whole with a stack trace."""
    toy = make_toy()
    with process.running(toy, make_case(1), CORE, tmp_path) as server:
        other = replace(server, contender=replace(toy, dialect="mlserver"))
        with pytest.raises(BenchError, match="answered what is no mlserver"):
            other.check()
        server.process.kill()
        server.process.wait()
        with pytest.raises(BenchError, match=r"toy \(forest-1\) answers no more"):
            server.check()


def test_a_server_that_ends_at_once_is_an_error_with_its_last_words(
    make_toy: MakeToy, make_case: Callable[[int], Case], tmp_path: Path
) -> None:
    """What the server printed is in the error."""
    toy = make_toy()
    (tmp_path / "toy.py").write_text("raise SystemExit('no such model')")
    with (
        pytest.raises(BenchError, match="no such model"),
        process.running(toy, make_case(1), CORE, tmp_path),
    ):
        pytest.fail("a server that ended was taken for a running one")


def test_what_left_the_servers_session_ends_with_it(
    make_toy: MakeToy, make_case: Callable[[int], Case], tmp_path: Path
) -> None:
    """A server may start processes in sessions of their own, as Ray does."""
    toy, noted = make_toy(), tmp_path / "child"
    begin = (
        "import pathlib, subprocess\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"pathlib.Path({str(noted)!r}).write_text(str(child.pid))\n"
    )
    (tmp_path / "toy.py").write_text(begin + TOY)
    with process.running(toy, make_case(1), CORE, tmp_path):
        child = psutil.Process(int(noted.read_text()))
        assert child.is_running()
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
