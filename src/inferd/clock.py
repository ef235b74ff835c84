"""Time, as a parameter: the one place that names the process's clocks."""

import functools
import time
from collections.abc import Callable
from typing import TypeAlias

Nanoseconds: TypeAlias = Callable[[], int]

monotonic_ns: Nanoseconds = time.perf_counter_ns
"""Nanoseconds that never go back; the difference of two readings is a duration."""


def wall_ms(moment: int) -> int:
    """The milliseconds since 1970 of a *moment* of ``monotonic_ns``; the same one at each asking,
    though somebody sets the clock meanwhile."""
    return (moment + _offset()) // 1_000_000


@functools.cache
def _offset() -> int:
    return time.time_ns() - monotonic_ns()
