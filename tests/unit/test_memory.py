"""inferd.memory: what loading took for a while is given back."""

import ctypes
import sys

import psutil
import pytest

from inferd.memory import trim

BLOCK, BLOCKS = 64 << 10, 1024  # small ones: the C library keeps those, and returns large ones


@pytest.mark.skipif(sys.platform != "linux", reason="the call is of glibc")
def test_memory_that_is_free_goes_back_to_the_system() -> None:
    """Blocks below one that is still in use are returned, too."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("this C library has no such call")
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    full = psutil.Process().memory_info().rss
    for block in blocks[:-1]:
        libc.free(block)
    trim()
    assert full - psutil.Process().memory_info().rss > BLOCK * BLOCKS / 2
    libc.free(blocks[-1])
