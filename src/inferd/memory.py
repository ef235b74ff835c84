"""Gives memory that loading a model took for a while back to the system."""

import ctypes
import sys
from contextlib import suppress


def trim() -> None:
    """Return what is free: the C library keeps large blocks for reuse otherwise, and a model that
    was opened twice, or copied, would be in memory twice for ever."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # other C libraries have no such call
            ctypes.CDLL(None).malloc_trim(0)
