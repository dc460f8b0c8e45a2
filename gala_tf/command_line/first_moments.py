"""Ctrl-C while a command's modules are imported: one line, as later on.

Python would print where the import was, 30 lines of other people's files. Only the process of
`python -m gala_tf...` or `python -m data_prep...` is changed, and `command.run` takes over.
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


def leave(number, frame) -> None:
    """Ends the process at once: nothing has begun that would need an end of its own."""
    os.write(2, b"\ninterrupted.\n")
    os._exit(128 + number)
