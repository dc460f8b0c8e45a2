"""How a command ends that cannot go on, or was asked to end: in one line, with a status.

Ctrl-C has the status 130, a reader that is gone (`| head`) 141, as shells report those signals.
"""

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from absl import logging

from gala_tf.command_line import first_moments

INTERRUPTED, READER_GONE = 128 + signal.SIGINT, 128 + 13  # SIGPIPE is Unix's alone


@contextlib.contextmanager
def one_line(
    errors: tuple[type[Exception], ...],
    kept: Callable[[], str],
    flag_of: Callable[[str], str] = lambda path: "",
) -> Iterator[None]:
    """Ends the process in one line where what it surrounds raises one of these errors.

    So it does after Ctrl-C, whatever that made of the code it met: an import that was broken off
    says that a module lacks something. Errors of files, Python's and TensorFlow's, are the
    user's to mend; others show where they come from.

    `kept`: what Ctrl-C leaves and how to go on, in a sentence. `flag_of`: the flag, as
    "--name=value", by which a file's place was given; empty if by none.
    """
    with _interruption() as asked:
        try:
            yield
            sys.stdout.flush()  # here, where a reader that is gone can be told
        except BrokenPipeError:
            _leave(READER_GONE)
        except (Exception, KeyboardInterrupt) as error:
            if asked or isinstance(error, KeyboardInterrupt):
                print(f"\ninterrupted. {kept()}".rstrip(), file=sys.stderr, flush=True)
                _leave(INTERRUPTED)
            words = str(error) if isinstance(error, errors) else _about_files(error, flag_of)
            if words is None:
                raise
            logging.debug("the error below comes from here", exc_info=True)
            words = words.encode(errors="backslashreplace").decode()
            sys.exit(f"error: {words} (--verbosity=1 shows where)")


class _Handler:
    """Raises Ctrl-C as Python does, and remembers it: code may make another error of it."""

    def __init__(self):
        self.asked = []

    def __call__(self, number, frame):
        self.asked.append(number)
        signal.default_int_handler(number, frame)


@contextlib.contextmanager
def _interruption():
    """A list that is filled when Ctrl-C comes."""
    handler, before = _Handler(), signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    # A shell starts background jobs with SIGINT ignored, and means it.
    if not ours or before not in (signal.default_int_handler, first_moments.leave):
        yield (before if isinstance(before, _Handler) else handler).asked
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield handler.asked
    finally:
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, before)


def _leave(status):
    """Ends the process, without another word about output that nobody reads."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _about_files(error, flag_of):
    """What an error says of a file, and the flag that led there; None where it is of no file."""
    if isinstance(error, OSError):
        # Of a copy Python names both files; the second is the one without room.
        path, reason = error.filename2 or error.filename, error.strerror or error
    elif type(error).__module__.startswith("tensorflow."):  # it may not be loaded
        words = str(getattr(error, "message", "")).partition("\n")[0]
        path, _, reason = words.rpartition("; ") if words.endswith(_OF_FILES) else ("", "", "")
    else:
        return None
    if not path:
        return None
    flag = flag_of(str(path))
    place = str(path) if not flag.endswith(f"={path}") else ""
    return ": ".join(word for word in (flag, place, str(reason)) if word)


# What TensorFlow says after a local file's name and a semicolon.
_NUMBERS = "EACCES EDQUOT EEXIST EIO EISDIR ELOOP ENAMETOOLONG ENOENT ENOSPC ENOTDIR EPERM EROFS"
_OF_FILES = tuple(f"; {os.strerror(getattr(errno, name))}" for name in _NUMBERS.split())
