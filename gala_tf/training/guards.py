"""What stands around the training loop, so that the loop need not know what can go wrong.

A call to the device cannot be interrupted, and cannot say what it waits for. So calls are kept
short (`interruption.Pace`), watched from a thread (`stall.Watchdog`), and an error in one is turned
into one that names the record at fault. Several machines agree after every call whether to go on:
one that stopped alone, or took another number of steps, would block the others.
"""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from gala_tf.data import reading
from gala_tf.distribution import consensus
from gala_tf.resilience import full_disk, interruption, stall
from gala_tf.runs import logs
from gala_tf.training import outlook, profiling
from gala_tf.training.run import Run, State


class Guards(contextlib.ExitStack):
    """While it lasts, requests to end and stalls are watched for."""

    def __init__(self, run: Run):
        super().__init__()
        self.asked = False  # to end; the same on all machines
        self._run, self._cfg = run, run.config
        self._alone = consensus.is_alone(run.strategy)
        self._watch = interruption.Watch(logs.say, self._cfg.preemption_notice)
        self._watchdog = stall.Watchdog(self._cfg.stall_timeout_seconds)

    def __enter__(self):
        super().__enter__()
        self.enter_context(self._watch)
        self.enter_context(self._watchdog)
        return self

    @contextlib.contextmanager
    def training(self, state: State):
        """Around training from one checkpoint on: progress and the profile end with it."""
        steps = self._cfg.profile_steps if consensus.is_chief(self._run.strategy) else ()
        self._pace = interruption.Pace()
        length = self._run.session.length
        end = min(length.total_steps, self._cfg.stop_after_steps or length.total_steps)
        self._outlook = outlook.Outlook(state.progress.say, length, end)
        self._profile = profiling.Profile(
            self._cfg.model_dir, steps, state.step, state.progress.say
        )
        try:
            yield
            self._profile.at(state.step)
        finally:
            state.progress.close()
            self._profile.close()

    def steps_at_once(self, most: int) -> int:
        """How many steps the next call may take, and still return in time to save."""
        return min(most, self._pace.steps)

    @contextlib.contextmanager
    def call(self, state: State, count: int):
        """Around a call that takes `count` steps; it must wait for the device."""
        cfg, info, began = self._cfg, self._run.info, time.monotonic()
        what = f"steps {state.step + 1} to {state.step + count}"
        files = [shard.file for shard in info.splits[cfg.train_split].shards]
        first, saved = self._pace.calls == 0, state.facts["step"]
        report = functools.partial(stall.report, cfg.data_dir, files, saved, first)
        self._profile.at(state.step)
        with (
            self._watchdog.watching(what, report),
            reading.named_records(cfg.data_dir, info, cfg.train_split, state.left_out),
            self._profile.call(state.step),
            self._outlook.call(state.step, count),
        ):
            yield
        self._watch.begin()  # there is something to save
        # The slowest sets the pace for all, and one that was asked to end is followed by all: a
        # worker that stopped alone, or took other steps, would leave the others in a collective.
        mine = [time.monotonic() - began, self._watch.asked]
        everywhere = consensus.exchange(self._run.strategy, mine)
        self._pace.took(count, max(seconds for seconds, _ in everywhere))
        self.asked = any(asked for _, asked in everywhere)
        if self.asked:
            self._watch.ask("another machine of this run was asked to end", 128 + signal.SIGTERM)

    def validating(self, state: State) -> Callable[[], None]:
        """What a validation calls between batches, so that it can be interrupted."""
        self._outlook.validating(self._run.evaluator.examples)
        return lambda: self.end_if_asked(state)

    def end_if_asked(self, state: State) -> None:
        """Raises Interrupted if the run was asked to end, and all that is done is saved."""
        saved = state.facts["step"] == state.step
        if saved and (self._alone or self.asked):  # several machines agree while they train
            flag_file = os.path.join(self._cfg.model_dir, "run.flags")
            self._watch.check(
                f"step {state.step} is saved. To go on, start the same command again, or "
                f"`python -m gala_tf.train --flagfile={flag_file}`."
            )

    def write(self, what: str, call: Callable, *arguments, **named) -> Any:
        """Calls what writes into the run directory; of several workers only the chief does.

        Where the disk is full, it waits (`full_disk`).
        """
        if not consensus.is_chief(self._run.strategy):
            return None
        return full_disk.keep_trying(
            lambda: call(*arguments, **named),
            f"{what} in {self._cfg.model_dir}",
            self._cfg.model_dir,
            self._cfg.save_patience_seconds,
            hurried=lambda: self._watch.asked,
            left="Older checkpoints are untouched.",
        )
