"""A trace of chosen steps, for TensorBoard's profiler and `experiments/benchmarks/host_time.py`.

The trace lies in `<model_dir>/plugins/profile/<time>/*.xplane.pb`. It shows this machine and the
devices that it drives itself: not the hosts of a TPU that is given by name.
"""

from collections.abc import Callable

import tensorflow as tf

CALL = "training steps"  # the event that spans one call from the host; its step_num: steps before


class Profile:
    """Traces `steps`, (first, last) counted from 1, into the run directory; empty traces nothing.

    `step` steps are done when the process begins.
    """

    def __init__(
        self, directory: str, steps: tuple[int, ...], step: int, say: Callable[[str], None]
    ):
        self._directory, self._say, self._running = directory, say, False
        self._first, self._last = steps or (0, 0)
        if steps and step >= self._first:
            say(
                f"--profile_steps={self._first},{self._last}: nothing is traced, because "
                f"{step} steps are done already."
            )

    def at(self, step: int) -> None:
        """Starts or ends the trace: call it before and after each call to the device."""
        if self._first and step == self._first - 1:
            tf.profiler.experimental.start(self._directory)
            self._running = True
        elif self._running and step >= self._last:
            self.close()
            self._say(
                f"steps {self._first} to {self._last} are traced: tensorboard "
                f"--logdir={self._directory} (with tensorboard-plugin-profile)"
            )

    def call(self, step: int):
        """A context that marks one call to the device, which begins after `step` steps."""
        return tf.profiler.experimental.Trace(CALL, step_num=step, _r=1)

    def close(self) -> None:
        """Ends a trace under way, writing what there is of it."""
        if self._running:
            self._running = False
            tf.profiler.experimental.stop()
