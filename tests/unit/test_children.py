"""children: what a process begins with, how its end is told, and how long until another starts."""

import os
import signal

import pytest

from inferd.children import ending, environment, pause
from inferd.cores import THREADS


def test_processes_that_keep_ending_are_started_less_often() -> None:
    """The first is replaced at once; the pauses double, up to a limit."""
    pauses = [pause(ended) for ended in range(1, 12)]
    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4]
    assert pauses == sorted(pauses)
    assert pause(10**9) == pauses[-1] == 10.0


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-(signal.SIGRTMIN + 1), f"was killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_an_end_is_told_by_its_code_or_its_signal(code: int, text: str) -> None:
    """As an operator knows them: by name where there is one."""
    assert ending(code) == text


def test_each_process_computes_in_one_thread_unless_told_otherwise() -> None:
    """The operator's word stands; ours is only for what was left open."""
    made = environment({"OMP_NUM_THREADS": "3", "HOME": "/h"}, ["/a", "", "/b"])
    assert made["HOME"] == "/h"
    assert [made[name] for name in THREADS] == ["3", "1", "1"]
    assert made["PYTHONPATH"].split(os.pathsep) == ["/a", os.getcwd(), "/b"]
