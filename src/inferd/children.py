"""Processes that this one starts: what they begin with, how their end is told, and how long until
another starts in their place."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from inferd.cores import THREADS

PR_SET_PDEATHSIG = 1  # linux/prctl.h

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds between processes that keep ending


def environment(ours: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """The process's environment: it imports what this one does, and computes in one thread unless
    the operator says otherwise."""
    found = os.pathsep.join(folder or os.getcwd() for folder in path)
    return {**dict.fromkeys(THREADS, "1"), **ours, "PYTHONPATH": found}


def pause(ended: int) -> float:
    """Seconds to wait after so many processes ended soon after one another: none after the
    first."""
    return min(FIRST_PAUSE * 2 ** min(ended - 2, 30), LONGEST_PAUSE) if ended > 1 else 0.0


def ending(code: int) -> str:
    """How a process ended, from its exit code; that of a signal is negative."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-code}"


def end_with_parent(number: int) -> None:
    """Have the system send this process the signal *number* when the thread that started it ends;
    0: none. For one that may be too busy to see that its line has ended. Does nothing but on
    Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
