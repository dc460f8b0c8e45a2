"""Interrupts what does not end."""

import contextlib
import signal


class HangError(BaseException):
    """Not an Exception: nothing that is tested may catch it."""


@contextlib.contextmanager
def limited(seconds: float):
    """Raises HangError in the main thread if the body takes longer."""

    def interrupt(*_):
        raise HangError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
