"""Learning rates as functions of the step: a linear warm-up, then the paper's steps or a cosine."""

import math
from collections.abc import Sequence

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from gala_tf import config
from gala_tf.training.plan import Plan


def _warm_up(step, warmup_steps, rate):
    """`rate` once step >= warmup_steps, before it a line from rate / warmup_steps up to it."""
    return ops.where(step < warmup_steps, (step + 1.0) / max(warmup_steps, 1), 1.0) * rate


class _Schedule(LearningRateSchedule):
    def get_config(self):
        return dict(vars(self))  # the arguments, each kept under its name


@keras.saving.register_keras_serializable("gala_tf")
class PiecewiseConstant(_Schedule):
    """The paper's schedule (Appendix): the rate times `factor` after each boundary.

    `boundaries` are steps, ascending; `factor` is 1/10 in the paper. The rate rises linearly to
    `base_rate` in the first `warmup_steps`.
    """

    def __init__(self, base_rate: float, boundaries: Sequence[int], factor: float, warmup_steps=0):
        if list(boundaries) != sorted(boundaries):
            raise ValueError(f"boundaries must ascend. Received: {list(boundaries)}.")
        self.base_rate, self.factor, self.warmup_steps = base_rate, factor, warmup_steps
        self.boundaries = list(boundaries)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        passed = sum(ops.cast(step >= boundary, "float32") for boundary in self.boundaries)
        rate = self.base_rate * ops.power(self.factor, ops.cast(passed, "float32"))
        return _warm_up(step, self.warmup_steps, rate)


@keras.saving.register_keras_serializable("gala_tf")
class Cosine(_Schedule):
    """Half a cosine from `base_rate` at the end of a linear warm-up to 0 at `total_steps`."""

    def __init__(self, base_rate: float, total_steps: int, warmup_steps=0):
        if warmup_steps >= total_steps:
            raise ValueError(
                "warmup_steps must be fewer than total_steps. "
                f"Received: {warmup_steps} and {total_steps}."
            )
        self.base_rate, self.total_steps, self.warmup_steps = base_rate, total_steps, warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        rate = self.base_rate * 0.5 * (1.0 + ops.cos(math.pi * ops.clip(progress, 0.0, 1.0)))
        rising = _warm_up(step, self.warmup_steps, self.base_rate)
        return ops.where(step < self.warmup_steps, rising, rate)


def make_schedule(run_config: config.Config, plan: Plan) -> LearningRateSchedule:
    """The learning rate by step; its base scales with the batch."""
    base = run_config.learning_rate_per_256 * run_config.global_batch_size / 256
    warmup = round(run_config.warmup_epochs * plan.steps_per_epoch)
    if run_config.schedule == "cosine":
        return Cosine(base, plan.total_steps, warmup)
    boundaries = [round(epoch * plan.steps_per_epoch) for epoch in run_config.decay_epochs]
    return PiecewiseConstant(base, boundaries, run_config.decay_factor, warmup)
