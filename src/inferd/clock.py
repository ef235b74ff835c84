"""Time, as a parameter: the one place that names the process's clocks."""

import time
from collections.abc import Callable
from typing import TypeAlias

Nanoseconds: TypeAlias = Callable[[], int]

monotonic_ns: Nanoseconds = time.perf_counter_ns
"""Nanoseconds that never go back; the difference of two readings is a duration."""
