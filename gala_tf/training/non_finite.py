"""A loss that is not finite, a batch that is unsound: which of the two, and where it began."""

import numpy as np

from gala_tf import config
from gala_tf.training.step import Steps
from gala_tf.training.step_vector import Layout


class NonFiniteLossError(RuntimeError):
    """The loss is no longer finite, or a batch is unsound; the message says which, and where."""


def check_steps(
    run_config: config.Config, layout: Layout, steps: Steps, done: int, saved: int
) -> None:
    """NonFiniteLossError if one of these steps was bad; tells faults of the data from others.

    Waits for the device. `done` steps were trained before, the newest checkpoint is of `saved`.
    """
    bad_step = int(steps.bad_step)
    if bad_step < 0:
        return
    number, vector = done + bad_step + 1, np.asarray(steps.bad_vector)
    unsound = explain_unsound(layout, vector)
    if unsound:
        raise NonFiniteLossError(
            f"The data are at fault at step {number}, not the optimisation: its batch has "
            f"{unsound}. `python -m data_prep.verify {run_config.data_dir}` checks every record. "
            f"The newest checkpoint in {run_config.model_dir} is of step {saved}, from before "
            "(0: none)."
        )
    raise NonFiniteLossError(
        f"The loss is not finite at step {number}, and the optimisation is at fault, not the data "
        f"(labels are in range, maps finite): {explain_non_finite(layout, vector)}. "
        f"{_remedy(run_config, saved)}"
    )


def check_variables(run_config: config.Config, network, step: int, saved: int) -> None:
    """NonFiniteLossError if an update overflowed, though loss and gradients were finite."""
    variable = non_finite_variable(network)
    if variable:
        advice = _remedy(run_config, saved)
        raise NonFiniteLossError(f"{variable} is not finite after step {step}. {advice}")


def non_finite_variable(network) -> str | None:
    """The path of a variable that holds a NaN or an infinity, or None."""
    paths = (v.path for v in network.variables if not np.all(np.isfinite(v.numpy())))
    return next(paths, None)


def explain_unsound(layout: Layout, vector: np.ndarray) -> str:
    """What is wrong with a step's batch, in words; empty if nothing is."""
    wrong = zip(layout.unpack(vector).unsound, layout.checks, strict=True)
    return ", ".join(f"{count:.0f} x {name}" for count, name in wrong if count > 0.5)


def explain_non_finite(layout: Layout, vector: np.ndarray) -> str:
    """Where a step's loss stopped being finite, in words.

    The first batch normalisation in forward order whose statistics are not finite tells between
    which layers the activity broke; if all are finite, the losses themselves tell.
    """
    parts = layout.unpack(vector)
    # Written so that NaN is broken, too.
    broken = [i for i, ok in enumerate(parts.finite) if not ok > 0.5]
    if broken and broken[0] > 0:
        where = (
            f"activity is not finite at layer {layout.norms[broken[0]]!r}, "
            f"but still finite at {layout.norms[broken[0] - 1]!r} before it"
        )
    elif broken:
        where = f"activity is not finite at the first layer, {layout.norms[0]!r}"
    else:
        scalars = layout.named_scalars(parts).items()
        broken_losses = [name for name, value in scalars if not abs(value) < float("inf")]
        where = f"all activity is finite, but not {', '.join(broken_losses) or 'the gradient'}"
    squares = zip(parts.squared_norms, layout.variables, strict=True)
    finite_squares = [(square, name) for square, name in squares if square < float("inf")]
    if finite_squares:
        square, name = max(finite_squares)
        where += f"; the largest gradient that is finite is {name}'s (norm {square**0.5:.3g})"
    return where


def _remedy(run_config, saved):
    """What to do about a loss that is not finite, and what is left."""
    return (
        f"The newest checkpoint in {run_config.model_dir} is of step {saved}, from before "
        "(0: there is none). Try a lower --learning_rate_per_256 or --map_loss_weight, or a longer "
        "--warmup_epochs, in a new --model_dir, or from that step with --allow_flag_changes."
    )
