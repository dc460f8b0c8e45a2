"""Writing where storage may be full, or out of reach for a while.

What a run holds in memory is the only copy of it. So a write that fails for want of storage is
tried again for some minutes, while training waits and the log says why: space is often made within
them. Only then does the run end, with the newest whole checkpoint untouched. To go on training
instead would add to what can be lost, and would hide the fault from whoever waits for the run.
"""

import os
import shutil
import time
from collections.abc import Callable
from typing import Any

from absl import logging
from tensorflow import errors

from gala_tf.data.messages import plain_message

RETRY_SECONDS = 10.0  # between two attempts
POLL_SECONDS = 0.2  # in which an interruption is noticed


class StorageError(RuntimeError):
    """A file could not be written; the message names it, the reason and the space that is left."""


def keep_trying(
    write: Callable[[], Any],
    what: str,
    directory: str,
    patience: float = 0.0,
    hurried: Callable[[], bool] = lambda: False,
    left: str = "",
) -> Any:
    """What `write()` returns, once it succeeds; it is tried again for `patience` seconds.

    `write` leaves nothing half-written behind when it fails. `hurried` says whether to give up
    after one more attempt, since the process must end. The error names `what` could not be written,
    the free space of the `directory`, and, in a sentence, what is `left`. StorageError: it failed
    to the end. Errors that are not about storage pass as they are.
    """
    deadline = time.monotonic() + patience
    while True:
        last = hurried() or time.monotonic() >= deadline
        try:
            return write()
        except Exception as error:
            if not is_about_storage(error):
                raise
            words = plain_message(error).rstrip(".")
            reason = f"{what} could not be written: {words} ({free_space(directory)})."
            if last:
                raise StorageError(
                    f"{reason} {left} Make room there (or mend what the reason names), then start "
                    "the same command again."
                ) from error
            remaining = max(0.0, deadline - time.monotonic())
            logging.error("%s Make room; trying again for %.0f s.", reason, remaining)
        # Not one long sleep: a process that is asked to end must notice.
        pause = min(time.monotonic() + RETRY_SECONDS, deadline)
        while time.monotonic() < pause and not hurried():
            time.sleep(POLL_SECONDS)


def is_about_storage(error: Exception) -> bool:
    """Whether an error means that files cannot be written now: full, out of reach, not allowed."""
    kinds = (
        OSError,
        errors.AbortedError,
        errors.DeadlineExceededError,
        errors.NotFoundError,  # someone removed the directory
        errors.OutOfRangeError,  # a file is too large
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,
        errors.UnauthenticatedError,
        errors.UnavailableError,
        errors.UnknownError,  # TensorFlow's word for an input/output error
    )
    return isinstance(error, kinds)


def free_space(directory: str) -> str:
    """The free space of a directory's file system, in words."""
    if "://" in directory:
        return f"in {directory}"
    while directory and not os.path.exists(directory):
        directory = os.path.dirname(directory)
    free = shutil.disk_usage(directory or ".").free
    return f"{free / 1e6:,.1f} MB are free in {directory or '.'}"
