"""How much memory a process holds from the C library's allocator, and the most it held in a while.

Unlike resident memory this falls when tensors are freed, so it tells what a step needs at a time.
"""

import ctypes
import threading
import time
from collections.abc import Callable

EVERY = 0.002  # seconds between two looks


class _Mallinfo2(ctypes.Structure):
    """glibc's, malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


def live() -> int:
    """Bytes in use, of all threads; OSError: this is not glibc 2.33 or newer."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, TypeError) as error:
        raise OSError("the C library does not say what is allocated (mallinfo2)") from error
    mallinfo2.restype = _Mallinfo2
    found = mallinfo2()
    return found.uordblks + found.hblkhd  # from heaps, and mapped by itself


def peak_while(work: Callable) -> int:
    """The most bytes in use while `work()` ran, looked at every EVERY seconds."""
    most, done = [live()], threading.Event()

    def look():
        while not done.is_set():
            most[0] = max(most[0], live())
            time.sleep(EVERY)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return most[0]
