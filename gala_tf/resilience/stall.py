"""Reports a run that stands still, with the stage that stalls.

A call to the device may wait for its input for ever: a file server that does not answer, a peer
that is gone. The call itself can neither be interrupted nor asked. So a thread watches its time,
and when it takes too long tries the stages of the input one by one, each with a limit: reading
every shard, decoding and augmenting one batch, reading fast enough to fill the shuffle buffer. The
first that does not answer is what stalls; if all do, the device is. Nothing is counted on the way
of healthy batches, so a run that does not stall pays nothing.

It reports, again and again, and goes on waiting: what hangs may come back, and what the run has in
memory is its only copy. Ending it is a person's or a scheduler's decision.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

PROBE_SECONDS = 10.0  # within which a stage answers, if it can
FILES_AT_ONCE = 16
LISTED = 3  # files in a report
DEVICE = "the device"  # the stage behind the input
SAMPLE = 1000  # records whose reading is timed


class Stage(NamedTuple):
    """A part of the way of a batch; `trial()` passes through it once, and raises if it stalls."""

    name: str
    trial: Callable[[], object]


class Watchdog:
    """Reports what is watched and takes longer than `seconds`, and again after each `seconds`.

    Args:
        seconds: 0 watches nothing.
    """

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
        """A context that is expected to end in time.

        Args:
            what: goes on in it.
            report: takes `what` and for how long it has gone on, seconds; in a thread of its own.
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


# --------------------------------------------------------------------------- which stage


def find_stage(stages: Sequence[Stage], seconds: float = PROBE_SECONDS) -> tuple[str, str]:
    """Tries stages in order: (the first that fails or does not answer, what is wrong with it).

    If all answer, what comes behind the input stalls: (DEVICE, ...). A trial that hangs is
    left behind in its thread, which ends with the process.
    """
    for stage in stages:
        answer = within(stage.trial, seconds)
        if answer is None:
            return stage.name, f"a trial of it does not end within {seconds:.0f} s"
        if isinstance(answer, Exception):
            return stage.name, str(answer)
    names = ", ".join(stage.name for stage in stages)
    return DEVICE, f"all of the input answers when tried ({names})"


def within(call: Callable[[], Any], seconds: float) -> Any:
    """True, or the exception that `call()` raises, or None if it takes longer."""
    answers: list = []

    def run():
        try:
            call()
            answers.append(True)
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None


def silent_files(paths: Sequence[str], seconds: float = PROBE_SECONDS) -> list[str]:
    """Those of some files, local or gs://, whose first bytes do not come within `seconds`."""
    silent = []
    for start in range(0, len(paths), FILES_AT_ONCE):
        group = paths[start : start + FILES_AT_ONCE]
        answers: dict[str, Any] = {}
        threads = [
            threading.Thread(target=_answer, args=(answers, path), daemon=True) for path in group
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


def _answer(answers, path):
    answers[path] = _touch(path)


def _touch(path):
    """Reads a few bytes; an error is an answer, too: reading it in earnest will tell."""
    if "://" not in path:
        try:
            with open(path, "rb") as file:
                return len(file.read(16))
        except OSError:
            return 0
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return len(file.read(16))
    except tf.errors.OpError:
        return 0


def input_stages(
    paths: Sequence[str],
    first_batch: Callable[[], Any],
    read_records: Callable[[int], int],
    ahead: int,
    waited: float,
) -> list[Stage]:
    """The stages of a training input.

    Args:
        paths: its shards.
        first_batch: reads, decodes and augments one batch, without shuffling.
        read_records: reads so many records or fewer, without decoding, and returns how many.
        ahead: records that are read before the first batch of a session comes: those that its epoch
            has used already, and the shuffle buffer.
        waited: for how long the session's first steps have lasted, seconds; 0 for later ones.
    """

    def read():
        silent = silent_files(paths, PROBE_SECONDS / 2)
        if silent:
            more = ", ..." if len(silent) > LISTED else ""
            raise TimeoutError(f"no answer from {', '.join(silent[:LISTED])}{more}")

    def fill():
        began = time.monotonic()
        rate = read_records(min(ahead, SAMPLE)) / max(time.monotonic() - began, 1e-9)
        if waited < ahead / rate and waited:
            raise TimeoutError(
                f"{ahead} records are read before the first batch of a session; at {rate:.0f} a "
                f"second this takes {ahead / rate:.0f} s"
            )

    return [
        Stage("reading", read),
        Stage("decoding and augmenting", first_batch),
        Stage("shuffling", fill),
    ]
