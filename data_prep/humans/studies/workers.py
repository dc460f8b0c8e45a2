"""Further processes that serve the same study on the same socket, and end with the first one."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from data_prep.humans.studies import serving
from data_prep.humans.studies.settings import StudySettings


@contextlib.contextmanager
def further(
    make_app: Callable[[str], Callable],
    settings_json: str,
    settings: StudySettings,
    listener: socket.socket,
) -> Iterator[None]:
    """`settings.workers - 1` processes beside this one, until the block is left, however.

    Args:
      make_app: a function of a module: what `settings_json` says -> an application of its own.
    """
    others = [
        multiprocessing.get_context("spawn").Process(
            target=_work, args=(make_app, settings_json, settings, listener), daemon=True
        )
        for _ in range(settings.workers - 1)
    ]
    for process in others:
        process.start()
    # uvicorn raises the signal that ended it once more: without a handler that would end this
    # process before it has ended the others.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        for process in others:
            process.terminate()


def _work(make_app, settings_json, settings, listener):
    """A worker: the shared socket, an application of its own."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    app = make_app(settings_json)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serving.serve(app, settings, listener)


def _end_with_parent():
    """Ends this worker when the first process is gone, however it went: else it keeps the port."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
