"""What a run says while nothing moves: that it compiles, and about how long it will take."""

import contextlib
import time
from collections.abc import Callable

from gala_tf.training.plan import Plan

MEASURED_SECONDS, MEASURED_CALLS = 2.0, 3  # enough of either to foretell the rest


class Outlook:
    """Says twice what comes: before the first call, and once the pace is known."""

    def __init__(self, say: Callable[[str], None], plan: Plan, end: int):
        self._say, self._plan, self._end = say, plan, end
        self._calls = self._steps = 0
        self._seconds = 0.0
        self._told = self._validated = False

    @contextlib.contextmanager
    def call(self, step: int, count: int):
        """Around a call to the device that takes `count` steps after `step`."""
        if not self._calls:
            self._say("compiling the training step: about a minute, a large network takes longer")
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self._calls += 1
        if self._calls == 1:
            self._say(f"compiled in {seconds:.0f} s")  # it says nothing about the pace
            return
        self._steps += count
        self._seconds += seconds
        enough = self._seconds >= MEASURED_SECONDS or self._calls > MEASURED_CALLS
        if enough and not self._told:
            self._told = True
            self._foretell(step + count)

    def validating(self, images: int) -> None:
        """Before a validation: the first compiles, too."""
        if not self._validated:
            self._say(f"validating on {images} images; the first time compiles, too")
        self._validated = True

    def _foretell(self, step):
        left = self._end - step
        due = sum(step < validation <= self._end for validation in self._plan.validation_steps)
        if left:
            pace = self._seconds / self._steps
            self._say(
                f"{left} steps are left, {duration(left * pace)} at {pace:.2g} s a step, and "
                f"{due} validations on top"
            )


def duration(seconds: float) -> str:
    """About how long, in the unit that suits."""
    for name, size, most in (("seconds", 1, 90), ("minutes", 60, 90), ("hours", 3600, 48)):
        if seconds < most * size:
            return f"about {max(1, round(seconds / size))} {name}"
    return f"about {seconds / 86400:.0f} days"
