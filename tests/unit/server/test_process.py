"""inferd.server.process and crew: workers' processes, as their parent has them."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are for Linux")


def run(program: str) -> str:
    """What *program* prints. In a process of its own, which has one thread."""
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=15
    )
    return done.stdout.decode().strip()


def test_what_a_child_is_sent_before_it_has_left_its_parent_is_not_told_to_that() -> None:
    """A terminal's Ctrl-C reaches both, and the parent must not hear it twice."""
    assert run(SENT_EARLY) == "0 []"


SENT_EARLY = """
import os, signal
from inferd.server.process import fork
from inferd.server.signals import Signals

signals = Signals([signal.SIGINT])
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGINT))
process = fork(lambda line: len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
_, status = os.waitpid(process.pid, 0)
print(os.waitstatus_to_exitcode(status), signals.take())
"""


def test_the_dead_that_were_left_to_this_process_are_seen_off() -> None:
    """As a container's first process it is given the children of workers that were killed; its own
    workers' ends are told all the same."""
    assert run(ORPHAN) == "True ['ended with exit code 7']"


ORPHAN = """
import ctypes, os, selectors, time
from inferd.server.crew import Crew

ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def leave_an_orphan(line):
    if not os.fork():
        time.sleep(0.1)
        os._exit(0)
    return 7


def are_there():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


crew, told, deadline = Crew(selectors.DefaultSelector(), print), [], time.monotonic() + 5
crew.start(1, leave_an_orphan)
while (are_there() or not told) and time.monotonic() < deadline:
    told += [news.how for _, news in crew.news()]
    time.sleep(0.01)
print(not are_there(), told)
"""
