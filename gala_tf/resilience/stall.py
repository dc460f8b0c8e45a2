"""Reports a run that stands still, with the files that do not answer.

A call to the device may wait for its input for ever: a file server that does not answer, a peer
that is gone. The call itself can neither be interrupted nor asked, and the stacks of Python show no
more than that it goes on. So a thread watches its time, and when it takes too long tries every
shard. Nothing is counted on the way of healthy batches: a run that does not stall pays nothing.

It reports, again and again, and goes on waiting: what hangs may come back, and what the run has in
memory is its only copy. Ending it is a person's or a scheduler's decision.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from gala_tf.data import files
from gala_tf.runs import logs

PROBE_SECONDS = 5.0  # within which a file answers, if it can
FILES_AT_ONCE = 16
LISTED = 3  # files in a report


class Watchdog:
    """Reports what takes longer than `seconds`, again and again; 0 watches nothing."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._changed = threading.Condition()
        self._watched: tuple[str, float, Callable] | None = None  # what, since when, report
        self._ended = False

    def __enter__(self):
        if self.seconds:
            threading.Thread(target=self._watch, name="gala_tf stall", daemon=True).start()
        return self

    def __exit__(self, *_):
        self._set(None)
        with self._changed:
            self._ended = True
            self._changed.notify()

    @contextlib.contextmanager
    def watching(self, what: str, report: Callable[[str, float], None]):
        """A context, in which `what` goes on, that is expected to end in time.

        `report` takes `what` and for how many seconds it has gone on; in a thread of its own.
        """
        self._set((what, time.monotonic(), report))
        try:
            yield
        finally:
            self._set(None)

    def _set(self, watched):
        with self._changed:
            self._watched = watched
            self._changed.notify()

    def _watch(self):
        while True:
            with self._changed:
                if self._ended:
                    return
                watched = self._watched
                if not watched:
                    self._changed.wait()
                    continue
                what, since, report = watched
                # A whole number of periods after its beginning; each is reported once.
                periods = int((time.monotonic() - since) / self.seconds) + 1
                self._changed.wait(since + periods * self.seconds - time.monotonic())
                stalled = self._watched is watched and not self._ended
            elapsed = time.monotonic() - since
            if stalled and elapsed >= periods * self.seconds:
                report(what, elapsed)


def report(
    data_dir: str, shards: Sequence[str], saved: int, first: bool, what: str, seconds: float
) -> None:
    """Says that `what` has gone on for so many `seconds`, and which files do not answer.

    `saved` is the step of the newest checkpoint; `first` says that no step of this session has
    ended yet.
    """
    silent = silent_files([os.path.join(data_dir, shard) for shard in shards], PROBE_SECONDS)
    if silent:
        more = ", ..." if len(silent) > LISTED else ""
        why = f"reading: no answer from {', '.join(silent[:LISTED])}{more}"
    else:
        why = f"behind the files, for all {len(shards)} shards answer: decoding, or the device"
        if first:
            why += "; or the shuffle buffer is still being filled, or the network compiled"
    logs.say(
        f"STALLED: no end of {what} after {seconds:.0f} s. What stalls is {why}. The run waits on. "
        f"Its newest checkpoint is of step {saved} (0: none); SIGTERM or SIGINT twice ends it at "
        "once."
    )


def silent_files(paths: Sequence[str], seconds: float) -> list[str]:
    """Those of some files, local or gs://, whose first bytes do not come within `seconds`."""
    silent = []
    for start in range(0, len(paths), FILES_AT_ONCE):
        group = paths[start : start + FILES_AT_ONCE]
        answers: set[str] = set()
        # Not a pool of threads: Python would wait at its end for one that hangs.
        threads = [
            threading.Thread(target=_touch, args=(path, answers), daemon=True) for path in group
        ]
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        silent += [path for path in group if path not in answers]
        if len(silent) >= LISTED:
            break
    return silent


def _touch(path, answers):
    """Reads a few bytes, and notes that something came."""
    # An error is an answer, too: reading it in earnest will tell.
    with contextlib.suppress(OSError, tf.errors.OpError), files.open_binary(path) as file:
        file.read(16)
    answers.add(path)
