"""What a run says when it goes wrong: a loss that is not finite, a stage that stalls."""

import os

from gala_tf.resilience import stall
from gala_tf.runs import logs


class NonFiniteLossError(RuntimeError):
    """The loss is no longer finite, or a batch is unsound; the message says which, and where."""


def remedy(run_config, last_step: int) -> str:
    """What to do about a loss that is not finite, and what is left."""
    return (
        f"The newest checkpoint in {run_config.model_dir} is of step {last_step}, from before "
        "(0: there is none). Try a lower --learning_rate_per_256 or --map_loss_weight, or a longer "
        "--warmup_epochs, in a new --model_dir, or from that step with --allow_flag_changes."
    )


def raise_non_finite(run_config, columns, vector, step: int, saved: int) -> None:
    """NonFiniteLossError that tells faults of the data from faults of the optimisation.

    Args:
        run_config: the flags.
        columns: names of the vector's entries (`train_step.Columns`).
        vector: [columns.width], of the first bad step.
        step: counted from 1.
        saved: step of the newest checkpoint.
    """
    from gala_tf.training import step as train_step

    unsound = train_step.explain_unsound(columns, vector)
    if unsound:
        raise NonFiniteLossError(
            f"The data are at fault at step {step}, not the optimisation: its batch has {unsound}. "
            f"`python -m data_prep.verify {run_config.data_dir}` checks every record. The newest "
            f"checkpoint in {run_config.model_dir} is of step {saved}, from before (0: none)."
        )
    reason = train_step.explain_non_finite(columns, vector)
    raise NonFiniteLossError(
        f"The loss is not finite at step {step}, and the optimisation is at fault, not the data "
        f"(labels are in range, maps finite): {reason}. {remedy(run_config, saved)}"
    )


def report_stall(run_config, info, step, saved, first, one_batch, what, seconds) -> None:
    """Says which stage stalls; the watchdog calls it.

    Args:
        run_config: the flags.
        info: the data set.
        step: steps done.
        saved: step of the newest checkpoint.
        first: whether no step of the session is done yet.
        one_batch: reads, decodes and augments one image.
        what: goes on for so many `seconds`.
    """
    import tensorflow as tf

    split = info.splits[run_config.train_split]
    paths = [os.path.join(run_config.data_dir, shard.file) for shard in split.shards]

    def read_records(count):
        return sum(1 for _ in tf.data.TFRecordDataset(paths).take(count))

    used = step * run_config.global_batch_size % split.examples
    ahead = used + min(run_config.shuffle_buffer, split.examples)
    waited = seconds if first else 0.0
    stage, why = stall.find_stage(stall.input_stages(paths, one_batch, read_records, ahead, waited))
    if stage == stall.DEVICE and first:
        why += "; or the network is still being compiled"
    logs.say(
        f"STALLED: no end of {what} after {seconds:.0f} s. What stalls is {stage}: {why}. The run "
        f"waits on. Its newest checkpoint is of step {saved} (0: none); SIGTERM or SIGINT twice "
        "ends it at once."
    )
