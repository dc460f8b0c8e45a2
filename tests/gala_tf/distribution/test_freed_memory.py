"""Freed memory is kept: taking it again costs no page faults."""

import ctypes
import platform
import subprocess
import sys

import pytest

from gala_tf.distribution import strategy

ONCE_AND_AGAIN = """
import ctypes, resource, sys
from gala_tf.distribution import strategy
kept = strategy.keep_freed_memory() if sys.argv[1] == "kept" else None
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def use(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
size = 64 * 2**20  # of which every page is touched
use(size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    use(size)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults * resource.getpagesize() // size)
"""


def _times_faulted_in(mode):
    """How often the block's pages were handed out again, of 4 uses; after what the call said."""
    done = subprocess.run(
        [sys.executable, "-c", ONCE_AND_AGAIN, mode], capture_output=True, text=True, check=True
    )
    kept, times = done.stdout.split()
    return kept, int(times)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_blocks_are_kept():
    assert _times_faulted_in("kept") == ("True", 0)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_by_default_they_are_not():
    # Why the module is there; huge pages would make fewer faults, but not none.
    _, times = _times_faulted_in("given back")
    if times == 0:
        pytest.skip("this system hands out memory in huge pages")
    assert times == 4


@pytest.mark.parametrize("missing", [AttributeError, TypeError, OSError])
def test_other_systems_are_left_alone(monkeypatch, missing):
    def no_library(_):
        raise missing("no mallopt here")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert strategy.keep_freed_memory() is False
