"""A model's own processes may die at any time: callers are told, others start, none stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import psutil
import pytest

from inferd.artifact import Artifact
from inferd.errors import NotReady, RunFailed
from inferd.runtimes.remote import pool, process
from inferd.runtimes.remote.runtime import RemoteRuntime
from tests.unit import odd_runtime
from tests.unit.odd_runtime import ABORT, ANSWER, HANG, HANGS, LEAVE, rows
from tests.unit.python_files import COUNT, write

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

DEADLINE = 30.0


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A model that does as its input says."""
    path = odd_runtime.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return Artifact(path)


@pytest.fixture
def start(artifact: Artifact) -> Iterator[Callable[[int], RemoteRuntime]]:
    """Starts it in so many processes, and closes it."""
    started: list[RemoteRuntime] = []

    def make(processes: int) -> RemoteRuntime:
        started.append(RemoteRuntime.start(artifact, "odd", processes))
        return started[-1]

    yield make
    for each in started:
        each.close()


def until(condition: Callable[[], object], what: str) -> None:
    """Poll until *condition* holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"in {DEADLINE:.0f} seconds never: {what}"
        time.sleep(0.01)


def pid_of(runtime: RemoteRuntime) -> int:
    """The process that answers now."""
    return int(runtime.run(rows(ANSWER), ["pid"])["pid"][0])


def is_over(pid: int) -> bool:
    """Whether the process runs no more; who reaps an orphan is the machine's business."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_reaped(pid: int) -> bool:
    """Whether our child *pid* ended and was asked how."""
    return not psutil.pid_exists(pid)


def hangs(artifact: Artifact) -> bool:
    """Whether the model got a request that it never answers."""
    return artifact.path.with_name(HANGS).exists()


def hosts() -> list[psutil.Process]:
    """Our children that run a model."""
    children = psutil.Process().children()
    return [each for each in children if process.PROGRAM in _command(each)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def zombies() -> list[psutil.Process]:
    """Our children that ended and were not asked how."""
    found = []
    for each in psutil.Process().children():
        try:
            found += [each] if each.status() == psutil.STATUS_ZOMBIE else []
        except psutil.NoSuchProcess:
            continue
    return found


def test_killed_under_load(start: Callable[[int], RemoteRuntime]) -> None:
    """Every request is answered rightly or fails as RunFailed, and later ones are answered."""
    runtime, over = start(2), Event()

    def ask(thread: int) -> tuple[int, int]:
        right = failed = 0
        while not over.is_set():
            value = float(thread * 1_000_000 + right)
            try:
                answer = runtime.run({"X": np.full((300, 2), value + 100)}, ["Y"])
            except RunFailed:
                failed += 1
            else:
                assert (answer["Y"] == 2 * (value + 100)).all()
                right += 1
        return right, failed

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask, each) for each in range(4)]
        try:
            killed = set()
            for _ in range(5):
                victim = pid_of_any(runtime)
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
                until(partial(is_reaped, victim), "the victim is reaped")
        finally:
            over.set()
        counts = [each.result() for each in asking]
    assert sum(right for right, _ in counts) > 20
    assert sum(failed for _, failed in counts) <= 5  # a killed process has one request at most
    assert pid_of(runtime) not in killed
    until(lambda: len(hosts()) == 2 and not zombies(), "two processes, and no zombie")


def pid_of_any(runtime: RemoteRuntime) -> int:
    """A process that answered under the load; the kills may hit this question, too."""
    while True:
        try:
            return pid_of(runtime)
        except RunFailed:
            continue


@pytest.mark.parametrize("order", [ABORT, LEAVE])
def test_a_model_that_ends_its_process(
    start: Callable[[int], RemoteRuntime], order: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked is told, the log says how it ended, and the next request is answered."""
    runtime = start(1)
    first = pid_of(runtime)
    with pytest.raises(RunFailed, match="ended while it had this request"):
        runtime.run(rows(order), ["Y"])
    assert pid_of(runtime) != first
    how = "was killed by SIGKILL" if order == ABORT else "ended with exit code 3"
    until(lambda: how in caplog.text, "the log tells of the end")


def test_what_a_process_had_not_begun_another_runs(start: Callable[[int], RemoteRuntime]) -> None:
    """A request that a process never read is answered by another one, as if nothing had been."""
    runtime = start(2)
    first = pid_of(runtime)
    os.kill(first, signal.SIGSTOP)  # the last used is asked first: this one
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(pid_of, runtime)
        until(lambda: unread(runtime) == 1, "the request is with the stopped process")
        os.kill(first, signal.SIGKILL)
        assert asking.result(DEADLINE) != first


def test_a_lone_process_that_had_not_begun_is_replaced(
    start: Callable[[int], RemoteRuntime],
) -> None:
    """The request waits for the process that comes in its place; a large one as well."""
    runtime = start(1)
    first = pid_of(runtime)
    os.kill(first, signal.SIGSTOP)
    many = np.full((400_000, 2), 100.0)
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(runtime.run, {"X": many}, ["Y"])
        until(lambda: unread(runtime) == 1, "the request is with the stopped process")
        os.kill(first, signal.SIGKILL)
        assert np.array_equal(asking.result(DEADLINE)["Y"], many * 2)
    assert pid_of(runtime) != first


def unread(runtime: RemoteRuntime) -> int:
    """How many processes were taken by requests."""
    return runtime._pool.size - len(runtime._pool._free)


def test_a_process_that_ends_among_parts(tmp_path: Path) -> None:
    """The stream fails after the parts that came, and another process answers the next one."""
    artifact = Artifact(write(tmp_path, COUNT), trusted=True)
    runtime = RemoteRuntime.start(artifact, "python", 1)
    try:
        inputs = {"upto": np.array([3]), "seconds": np.zeros(1)}
        parts = runtime.stream(inputs, ["number"])
        assert next(parts)["number"].tolist() == [0]
        hosts()[0].kill()
        with pytest.raises(RunFailed, match="ended while it had this request"):
            list(parts)
        assert len(list(runtime.stream(inputs, ["number"]))) == 3
    finally:
        runtime.close()


def test_an_idle_process_is_replaced(start: Callable[[int], RemoteRuntime]) -> None:
    """A process that ends while it has nothing to do costs no request."""
    runtime = start(1)
    first = pid_of(runtime)
    os.kill(first, signal.SIGKILL)
    until(partial(is_reaped, first), "it is reaped")
    until(hosts, "another starts")
    assert pid_of(runtime) != first


def test_requests_wait_for_busy_processes(start: Callable[[int], RemoteRuntime]) -> None:
    """One process serves many threads, one after the other."""
    runtime = start(1)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: pid_of(runtime), range(200)))
    assert len(set(answers)) == 1


def test_no_process_is_not_ready(
    start: Callable[[int], RemoteRuntime], artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be started again, requests are refused after a while, until one can."""
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    runtime = start(1)
    first = pid_of(runtime)
    away = artifact.path.rename(artifact.path.with_suffix(".away"))
    os.kill(first, signal.SIGKILL)
    until(partial(is_reaped, first), "it is reaped")
    with pytest.raises(NotReady):
        runtime.run(rows(ANSWER), ["Y"])
    away.rename(artifact.path)
    monkeypatch.setattr(pool, "PATIENCE", DEADLINE)
    assert pid_of(runtime) != first


def test_another_file_is_not_served_in_its_place(
    start: Callable[[int], RemoteRuntime],
    artifact: Artifact,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A version never changes: a process that ended is not replaced by one with another model."""
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    runtime = start(1)
    artifact.path.write_text("another")
    with pytest.raises(RunFailed):
        runtime.run(rows(ABORT), ["Y"])
    with pytest.raises(NotReady):
        runtime.run(rows(ANSWER), ["Y"])
    assert "is not the file that was loaded at first" in caplog.text


@pytest.mark.parametrize("order", [ANSWER, HANG], ids=["idle", "hanging"])
def test_closing_leaves_nothing(artifact: Artifact, order: float) -> None:
    """Every process is gone when close returns, even one that hangs, whose request is told."""
    runtime = RemoteRuntime.start(artifact, "odd", 2)
    assert len(hosts()) == 2
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(runtime.run, rows(order), ["Y"])
        until(lambda: asking.done() or hangs(artifact), "the model has the request")
        runtime.close()
        told = asking.exception(DEADLINE)
    assert isinstance(told, RunFailed) if order == HANG else told is None
    assert hosts() == zombies() == []
    with pytest.raises(NotReady):
        runtime.run(rows(ANSWER), ["Y"])


def test_stop_signals_are_the_servers_business(start: Callable[[int], RemoteRuntime]) -> None:
    """Ctrl-C and a service manager's stop reach every process; a model's own goes on answering."""
    runtime = start(1)
    pid = pid_of(runtime)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert pid_of(runtime) == pid
    assert os.getsid(pid) == pid


PARENT = """
import sys, threading
from pathlib import Path
from inferd.artifact import Artifact
from inferd.runtimes.remote.runtime import RemoteRuntime
from tests.unit.odd_runtime import ANSWER, HANG, rows

runtime = RemoteRuntime.start(Artifact(Path(sys.argv[1])), "odd", 1)
print(int(runtime.run(rows(ANSWER), ["pid"])["pid"][0]), flush=True)
runtime.run(rows(float(sys.argv[2])), ["Y"])
print("ran", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("order", [ANSWER, HANG], ids=["idle", "hanging"])
def test_it_ends_with_the_server(artifact: Artifact, order: float) -> None:
    """A killed server leaves no process behind: neither one that waits nor one that hangs."""
    if order == HANG and sys.platform != "linux":
        pytest.skip("only Linux ends a process with the one that started it")
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(artifact.path), str(order)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        if order == ANSWER:
            assert parent.stdout.readline() == "ran\n"
        else:
            until(lambda: hangs(artifact), "the model hangs")
        parent.kill()
    until(lambda: is_over(pid), "the model's process is over")
