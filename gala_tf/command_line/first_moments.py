"""Ctrl-C where `endings` does not see it: a line, too, not Python's 30 of other people's files.

That is while a command's modules are imported; once its work is done, while Python clears up; and
in what Python calls by itself and lets nobody catch an error of (a finalizer, the end of an
import's lock). Only the process of `python -m gala_tf...` or `python -m data_prep...` is changed.
"""

import _signal as signal  # without the names of `signal`, whose import takes as long as the rest
import os
import sys


def guard() -> None:
    """Makes Ctrl-C end this process in a line, if it is a command that is starting."""
    # While `python -m` looks for the module, argv[0] is "-m"; a library's user has another there.
    words = sys.orig_argv
    if sys.argv[:1] != ["-m"] or "-m" not in words[:-1]:
        return
    package = words[words.index("-m") + 1].partition(".")[0]
    # A shell starts background jobs with SIGINT ignored, and means it.
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if package in ("gala_tf", "data_prep") and default:
        signal.signal(signal.SIGINT, leave)
        sys.excepthook = _last_word
        sys.unraisablehook = _once_more


def leave(number, frame) -> None:
    """Ends the process at once: nothing has begun, or all is done."""
    os.write(2, b"\ninterrupted.\n")
    os._exit(128 + number)


def _last_word(kind, error, trace, others=sys.excepthook):
    """Of an error that ends the process."""
    if issubclass(kind, KeyboardInterrupt):
        leave(signal.SIGINT, None)
    others(kind, error, trace)


def _once_more(unraisable, others=sys.unraisablehook):
    """Of an error that nobody can catch: Ctrl-C comes again, where the command's own code is."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        others(unraisable)
        return
    import threading  # not in the first moments; later it is there

    again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    again.start()
