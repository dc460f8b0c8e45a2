"""TensorFlow's start without its messages, for commands; libraries that use ours are left alone.

TF_CPP_MIN_LOG_LEVEL silences what TensorFlow says once it runs. What it says while it is imported
(that oneDNN is on, that its log is not set up yet) heeds no setting: it is written to file
descriptor 2 by C++, so it is caught there, and all but the known chatter is passed on.
"""

import contextlib
import importlib.abc
import importlib.machinery
import os
import re
import sys
import tempfile
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_CHATTER = re.compile(
    r"WARNING: All log messages before absl::InitializeLog\(\)"
    r"|[IW]\d{4} \d\d:\d\d:.*"  # information and warnings of C++, by severity, month and day
    r"|E\d{4} \d\d:\d\d:.*(Unable to register|[Aa]ttempting to register|already registered)"
)


def start() -> None:
    """Makes the coming import of TensorFlow quiet; nothing if the user set the variable."""
    if LEVEL in os.environ:
        return
    os.environ[LEVEL] = "2"  # errors still show
    sys.meta_path.insert(0, _Finder())


def started() -> bool:
    """Whether `start` was called and did something in this process."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class Inherited:
    """Makes a worker process as quiet as its parent, before whatever is unpickled after this.

    A spawned process imports TensorFlow while it unpickles the functions it shall call.
    """

    def __reduce__(self):
        return (_start_in_worker if started() else Inherited), ()


def _start_in_worker():
    os.environ.pop(LEVEL, None)  # inherited, but set by `start` in the parent, not by the user
    start()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `tensorflow` as others do, and has it loaded with its messages caught."""

    def find_spec(self, name, path=None, target=None):
        """As `importlib.abc.MetaPathFinder`'s: TensorFlow's spec, or None for any other module."""
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_quietly(module):
                with without_chatter():
                    load(module)

            spec.loader.exec_module = exec_quietly
        return spec


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Catches what is written to file descriptor 2, and passes on what is no chatter."""
    sys.stderr.flush()
    kept = os.dup(2)
    # A file, not a pipe: nobody reads while the import runs, and a full pipe would stop it.
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines(keepends=True):
                if not _CHATTER.match(line):
                    os.write(2, line.encode())
