"""Trains a network on images and click maps.

    python -m gala_tf.train --flagfile=experiments/quickstart.flags
    python -m gala_tf.train --tpu=NAME --flagfile=experiments/full_ilsvrc.flags \\
        --data_dir=gs://BUCKET/ilsvrc12 --model_dir=gs://BUCKET/runs/gala

The same flags run on a TPU, on all local GPUs or on the CPU. Started again with the same
`--model_dir`, a run resumes at the exact step. SIGTERM, SIGINT or the notice of preemption save and
end it (`gala_tf/resilience/interruption.py`).
"""

import sys

from gala_tf import command, config


def main() -> None:
    """Trains as the flags say; a run that was asked to end has an exit status of its own."""
    # Late, so that --help need not wait for TensorFlow.
    from gala_tf.distribution.consensus import LostWorkerError
    from gala_tf.resilience.full_disk import StorageError
    from gala_tf.resilience.interruption import Interrupted
    from gala_tf.training import loop
    from gala_tf.training.non_finite import NonFiniteLossError

    try:
        loop.train_and_evaluate(config.from_flags())
    except Interrupted as end:
        print(end, file=sys.stderr)
        sys.exit(end.status)
    except (NonFiniteLossError, StorageError, LostWorkerError) as error:
        raise ValueError(error) from error  # its message is for users: one line, no traceback


if __name__ == "__main__":
    config.define_flags()
    command.run(
        main,
        kept="What is saved stays: the same command goes on from the newest checkpoint in "
        "--model_dir={model_dir}.",
    )
