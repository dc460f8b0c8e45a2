"""Worker processes for the commands of this package: how they start, and how they end."""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator

from gala_tf import command

CONTEXT = multiprocessing.get_context("spawn")  # TensorFlow's threads do not survive a fork
# Read when a process loads NumPy. Without them each one's small products keep all cores spinning.
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class _Pool(concurrent.futures.ProcessPoolExecutor):
    """Its processes know nothing of Ctrl-C, which a terminal sends to all: this one ends them."""

    def submit(self, *arguments, **named):
        # Processes start here, and inherit what their parent holds back.
        with _interruptions_held():
            return super().submit(*arguments, **named)


@contextlib.contextmanager
def _interruptions_held():
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def pool(
    num_workers: int, start: Callable[..., None] | None = None, arguments: tuple = ()
) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """An executor of worker processes; tasks that have not begun when it is left are dropped.

    `start`: called in each process when it starts, with `arguments`; picklable.

    ValueError: a process died; what the caller has kept stays.
    """
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update({name: value for name, value in _ONE_THREAD.items() if not before[name]})
    executor = _Pool(
        num_workers,
        CONTEXT,
        _start,
        # First, since unpickling what comes after it may import TensorFlow.
        (command.quiet.Inherited(), start, arguments),
    )
    try:
        yield executor
    except KeyboardInterrupt:
        # What they are at is lost in any case; to wait for its end may take minutes.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    except concurrent.futures.process.BrokenProcessPool as error:
        raise ValueError(
            "A worker process died, most likely for want of memory. What is finished is kept: run "
            f"the command again, with a smaller --num_workers than {num_workers}."
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _start(_, start, arguments):
    # A worker outlives a killed parent, and would go on writing beside the next one's workers.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _end_with_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
