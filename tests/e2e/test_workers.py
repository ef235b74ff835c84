"""``inferd serve`` with several workers: who dies, hangs, is reloaded or stopped; who notices."""

import fcntl
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
import trustme

from tests.conftest import Models
from tests.e2e.serving import PATIENCE, REQUEST, Load, Serving, answer, status, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are for Linux")

Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts ``inferd serve``, by default with two workers on a free port."""
    started: list[Serving] = []

    def start(*arguments: object, port: int | None = 0, workers: int | None = 2) -> Serving:
        named = [("--port", port), ("--workers", workers)]
        words = [word for pair in named if pair[1] is not None for word in pair]
        started.append(Serving(tmp_path, *arguments, *words))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_there_are_as_many_workers_as_asked_for(serve: Serve, models: Models) -> None:
    """Three are started, the banner says so, and all are gone after the stop."""
    serving = serve(models.iris, workers=3)
    assert re.search(r"^  workers +3$", serving.banner, re.M)
    workers = serving.workers()
    assert len(workers) == 3
    assert serving.ask() == 200
    serving.signal(signal.SIGTERM)
    assert serving.end() == 0
    assert not any(each.is_running() for each in workers)
    assert serving.log == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_who_waits_for_a_dead_worker_is_answered_by_another(
    serve: Serve, models: Models, number: signal.Signals
) -> None:
    """Of many connections made while one worker is dead or stopped none is lost, and all are
    answered within a second."""
    serving = serve(models.iris)
    before = serving.pids()
    serving.workers()[0].send_signal(number)
    started = time.perf_counter()
    with ExitStack() as stack:
        connections = [stack.enter_context(serving.connect()) for _ in range(32)]
        for connection in connections:
            connection.sendall(REQUEST)
        assert [status(connection) for connection in connections] == [200] * 32
    assert time.perf_counter() - started < 1.0
    until(lambda: len(serving.pids()) == 2, "the worker is replaced")
    assert len(serving.pids() & before) == 1
    assert serving.log.count("another starts") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_only_what_a_dead_worker_had_begun_fails(
    serve: Serve, models: Models, number: signal.Signals
) -> None:
    """Under load a worker's death costs each of its connections the one request under way."""
    serving = serve(models.iris)
    with Load(serving) as load:
        serving.workers()[0].send_signal(number)
        until(lambda: "another starts" in serving.log, "the death is noticed")
        load.flows()
    assert set(load.seen) <= {"200", "failed"}
    assert load.seen["failed"] <= 8


def test_a_reload_fails_no_request(serve: Serve, models: Models, tmp_path: Path) -> None:
    """After SIGHUP other workers serve with the settings as they are now, and nobody noticed."""
    serving = serve(models.iris)
    before = serving.pids()
    with Load(serving) as load:
        (tmp_path / "inferd.toml").write_text("max_body_bytes = 100")
        serving.signal(signal.SIGHUP)
        until(lambda: not serving.pids() & before, "the old workers are gone")
        load.flows()
    assert set(load.seen) == {"200"}
    assert len(serving.pids()) == 2
    long = REQUEST.replace(b"length: ", b"length: 1")
    with serving.connect() as connection:
        assert answer(connection, long) == 413
    assert serving.log == ""


def test_a_reload_brings_another_certificate(serve: Serve, models: Models, tmp_path: Path) -> None:
    """One that was renewed in its file is shown after SIGHUP."""
    ca, file = trustme.CA(), tmp_path / "cert.pem"

    def renew() -> str:
        made = ca.issue_cert("127.0.0.1")
        made.private_key_and_cert_chain_pem.write_to_path(str(file))
        return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode()).hex()

    first = renew()
    serving = serve(models.iris, "--tls-cert", file)

    def shown() -> str:
        return ssl.PEM_cert_to_DER_cert(
            ssl.get_server_certificate(("127.0.0.1", serving.port), timeout=PATIENCE)
        ).hex()

    assert shown() == first
    second = renew()
    serving.signal(signal.SIGHUP)
    until(lambda: shown() == second, "the new one is shown")
    serving.signal(signal.SIGTERM)
    assert serving.end() == 0


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("max_body_bytes = 0", "max_body_bytes"),
        ("host = '127.0.0.2'", "--host cannot be changed by a reload"),
        ("default_model = 'nobody'", "'nobody'"),
    ],
)
def test_a_reload_that_cannot_be_changes_nothing(
    serve: Serve, models: Models, tmp_path: Path, toml: str, told: str
) -> None:
    """The log says why, the old workers stay, and the next reload may succeed."""
    serving = serve(models.iris)
    before = serving.pids()
    (tmp_path / "inferd.toml").write_text(toml)
    serving.signal(signal.SIGHUP)
    until(lambda: "nothing was reloaded" in serving.log, "the reload is refused")
    assert told in serving.log
    until(lambda: serving.pids() == before, "the old workers are alone")
    assert serving.ask() == 200
    (tmp_path / "inferd.toml").write_text("")
    serving.signal(signal.SIGHUP)
    until(lambda: not serving.pids() & before, "the old workers are gone")
    assert serving.ask() == 200


def test_a_stop_answers_what_was_asked(serve: Serve, models: Models) -> None:
    """SIGTERM under load: every request that was sent is answered, and the exit code is 0."""
    serving = serve(models.iris)
    with Load(serving) as load:
        serving.signal(signal.SIGTERM)
        assert serving.end() == 0
    assert load.seen["failed"] == 0
    assert {key for key in load.seen if key.isdecimal()} == {"200"}
    assert serving.log == ""


def test_a_stop_may_be_told_before_it_is_done(serve: Serve, models: Models) -> None:
    """With a delay the server says that it is not ready, and still lets clients in; each worker
    does."""
    serving = serve(models.iris, "--shutdown-delay-seconds", "4")
    ready = f"http://127.0.0.1:{serving.port}/v2/health/ready"
    assert httpx.get(ready).status_code == 200
    serving.signal(signal.SIGTERM)
    until(lambda: httpx.get(ready).status_code == 503, "it is not ready")
    assert [httpx.get(ready).status_code for _ in range(8)] == [503] * 8
    assert serving.ask() == 200
    assert serving.end() == 0


def test_a_second_signal_ends_it_at_once(serve: Serve, models: Models) -> None:
    """What still runs is cut off, and the exit code says so."""
    serving = serve(models.spin, "--inline-limit-microseconds", "0")
    body = b'{"features":[50000000]}'
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    with serving.connect() as connection:
        connection.sendall(head + body)
        until(lambda: any(w.cpu_percent(0.05) > 20 for w in serving.workers()), "it computes")
        serving.signal(signal.SIGTERM)
        until(serving.refuses, "nobody is let in")
        assert serving.process.poll() is None
        serving.signal(signal.SIGTERM)
        assert serving.end(5) == 1


def test_a_worker_that_hangs_is_replaced(serve: Serve, models: Models, tmp_path: Path) -> None:
    """A call that keeps the interpreter's lock for ever is told in the log, with where it stands,
    and takes its own worker down alone."""
    install_hanging(tmp_path)
    (tmp_path / "model.hang").write_text("in run")
    serving = serve("model.hang", models.iris, "--heartbeat-timeout-seconds", "1")
    before = serving.pids()
    body = b'{"features":[1]}'
    head = b"POST /v1/predict/model HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    with serving.connect() as connection:
        connection.sendall(head + body)
        assert connection.recv(1) == b""
    until(lambda: len(serving.pids()) == 2, "it is replaced")
    assert len(serving.pids() & before) == 1
    assert [serving.ask() for _ in range(8)] == [200] * 8
    assert "gave no sign of life for 1 s: it is killed" in serving.log
    assert "hanging_runtime.py" in serving.log


def install_hanging(folder: Path) -> None:
    """Install a runtime whose models hang, where their files say."""
    (folder / "hanging_runtime.py").write_text(HANGING)
    about = folder / "hanging-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[inferd.runtimes]\nhanging = hanging_runtime\n")


HANGING = '''
"""Keeps the interpreter's lock for ever."""
import re

from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec


class Hanging(Runtime):
    name = "hanging"
    signature = Signature((TensorSpec("x", "FP32", (-1,)),), (TensorSpec("y", "FP32", (-1,)),))

    @classmethod
    def recognises(cls, artifact):
        return artifact.suffix == ".hang"

    @classmethod
    def open(cls, artifact):
        if artifact.path.read_text() == "in open":
            hang()
        return cls()

    def run(self, inputs, outputs):
        if inputs["x"].any():
            hang()
        return {"y": inputs["x"]}


def hang():
    re.match("(a+)+$", "a" * 60 + "b")


plugin = Hanging
'''


def test_a_model_that_is_gone_is_tried_again(serve: Serve, models: Models, tmp_path: Path) -> None:
    """A worker that cannot load its models any more pauses longer and longer, and says why; the
    other one answers, and when the file is back all is as before."""
    path = tmp_path / "iris.onnx"
    path.write_bytes(models.iris.read_bytes())
    serving = serve(path)
    path.write_bytes(b"broken")
    serving.workers()[0].kill()
    until(lambda: "as 3 before it within seconds" in serving.log, "it pauses")
    assert "cannot load the models again" in serving.log
    assert [serving.ask() for _ in range(16)] == [200] * 16
    path.write_bytes(models.iris.read_bytes())
    until(lambda: len(serving.pids()) == 2, "there are two workers")
    assert [serving.ask() for _ in range(8)] == [200] * 8


def test_nobody_waits_for_a_worker_that_loads_for_long(
    serve: Serve, models: Models, tmp_path: Path
) -> None:
    """While one worker's successor loads, its share of the connections is the other one's."""
    install_hanging(tmp_path)
    path = tmp_path / "model.hang"
    path.write_text("nowhere")
    serving = serve("model.hang", models.iris)
    path.write_text("in open")
    (killed, other) = serving.workers()
    killed.kill()
    with Load(serving, clients=16) as load:
        load.flows()
    assert set(load.seen) == {"200"}
    assert other.pid in serving.pids()


def test_workers_end_with_their_supervisor(serve: Serve, models: Models) -> None:
    """Killed, it leaves nobody behind, and the port is free."""
    serving = serve(models.iris)
    workers = serving.workers()
    serving.process.kill()
    serving.process.wait()
    _, alive = psutil.wait_procs(workers, PATIENCE)
    assert alive == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", serving.port))
        again.listen()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_start_that_is_stopped_leaves_nothing(
    models: Models, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """A signal before the models are loaded ends the command as a shell expects it, with its
    workers, however busy they are."""
    install_hanging(tmp_path)
    (tmp_path / "model.hang").write_text("in open")
    command = [sys.executable, "-m", "inferd", "serve", str(models.iris), "model.hang"]
    with subprocess.Popen(
        [*command, "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        supervisor = psutil.Process(process.pid)
        until(lambda: bool(supervisor.children()), "a worker loads")
        (worker,) = supervisor.children()
        process.send_signal(number)
        _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (code, "")
    until(lambda: not worker.is_running(), "the worker ends")


def test_a_unix_socket_is_everybodys(serve: Serve, models: Models, tmp_path: Path) -> None:
    """Workers share it, and it outlives each of them, but not the server."""
    place = tmp_path / "s"
    serving = serve(models.iris, "--unix", "s", port=None)
    before = serving.pids()

    def ask() -> int:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(place))
            return answer(connection)

    assert ask() == 200
    serving.signal(signal.SIGHUP)
    until(lambda: not serving.pids() & before, "the old workers are gone")
    assert ask() == 200
    serving.signal(signal.SIGTERM)
    assert serving.end() == 0
    assert not place.exists()


def test_one_process_serves_where_there_can_be_no_workers(models: Models, tmp_path: Path) -> None:
    """As on systems other than Linux: it answers by itself, ends by a signal, and refuses to be
    many."""
    alone = (
        "import sys; from inferd.server import program; program.HAS_WORKERS = False;"
        "from inferd.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", alone, "serve", str(models.iris), "--port", "0"]
    many = subprocess.run([*command, "--workers", "2"], stderr=subprocess.PIPE, check=False)
    assert (many.returncode, many.stderr.count(b"\n")) == (1, 1)
    assert b"--workers 2" in many.stderr
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[5]
        assert httpx.get(f"{url}/health").status_code == 200
        assert psutil.Process(process.pid).children() == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_server_ends_with_the_terminal_it_was_started_from(models: Models) -> None:
    """The system tells that by SIGHUP, too, which asks for no reload then."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "inferd", "serve", str(models.iris), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown = b""
    while b"Ctrl-C stops" not in shown:
        shown += os.read(ours, 4096)
    workers = psutil.Process(process.pid).children()
    assert workers
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    assert not any(worker.is_running() for worker in workers)


def test_a_start_ends_with_the_terminal_it_was_begun_from(models: Models, tmp_path: Path) -> None:
    """With the exit code that a shell would tell of the signal."""
    install_hanging(tmp_path)
    (tmp_path / "model.hang").write_text("in open")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "inferd", "serve", str(models.iris), "model.hang"]
    process = subprocess.Popen(
        [*command, "--port", "0"],
        cwd=tmp_path,
        stdin=theirs,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    until(lambda: bool(psutil.Process(process.pid).children()), "a worker loads")
    os.close(ours)
    _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (128 + signal.SIGHUP, "")


def test_a_server_whose_standard_streams_are_closed_serves(models: Models, tmp_path: Path) -> None:
    """No socket gets their numbers, which libraries print to."""
    place = tmp_path / "s"
    command = [sys.executable, "-m", "inferd", "serve", str(models.iris), "--unix", str(place)]
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]

    def ask() -> int:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            try:
                connection.connect(str(place))
            except OSError:
                return 0
            return answer(connection)

    with subprocess.Popen([*closing, *command, "--workers", "2"]) as process:
        until(lambda: ask() == 200, "it answers")
        assert [ask() for _ in range(4)] == [200] * 4
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
