"""Trains rows of the paper's tables, and Figure 7's values of lambda, with several seeds each.

    python -m gala_tf.sweep --flagfile=experiments/miniature.flags
    python -m gala_tf.sweep --flagfile=experiments/sweep_table3.flags --data_dir=DATA/clickme \\
        --runs=RUNS/clickme --commands=commands.txt

All flags of training are the base that the rows share; rows set `--attention`, `--map_source`,
`--map_target` and `--map_loss_weight` (`paper/published.py`), the sweep sets `--seed` and
`--model_dir`:

    RUNS/<row>/seed-<n>/             RUNS/lambda-<value>/seed-<n>/

A value of lambda that is a row's of the same sweep (0 is `gala`, the base's is `gala_clickmaps`) is
trained once, in the row's directory. Seeds come one after another, so that a sweep that is cut
short has whole tables of fewer seeds.

Started again, a sweep skips what is finished and resumes the rest. With `--commands=FILE` it runs
nothing, and writes what is left to run, a shell command a line, for any scheduler. A run that fails
is reported, the others go on, and the exit status is 1.
"""

import sys

from absl import flags

from gala_tf import command, config
from gala_tf.paper import job_queue, published


def _numbers(name, kind):
    try:
        return [kind(item) for item in getattr(flags.FLAGS, name)]
    except ValueError as error:
        raise ValueError(
            f"--{name} must be a comma-separated list of numbers. Received: "
            f"{','.join(getattr(flags.FLAGS, name))}."
        ) from error


def main() -> None:
    """Sweeps as the flags say."""
    from gala_tf.paper import sweeps
    from gala_tf.paper.report import build

    asked = flags.FLAGS
    if asked.commands and (asked.devices or asked.workers):
        sweeps.say("--commands: runs nothing here, so --devices and --workers mean nothing")
    slots = [] if asked.commands else job_queue.make_slots(asked.devices, asked.workers)
    runs = sweeps.expand(
        config.from_flags(),
        asked.rows,
        _numbers("lambdas", float),
        _numbers("seeds", int),
        asked.runs,
    )
    try:
        sweeps.sweep(runs, slots, asked.commands)
        if asked.report_dir and not asked.commands:
            sweeps.say(f"wrote {build.build([asked.runs], asked.report_dir)}")
    except job_queue.Stopped as stopped:
        sweeps.say(f"stopped by {stopped}; the same command resumes")
        sys.exit(128 + stopped.signal_number)


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares the sweep's own flags; those of training are declared by `config.define_flags`."""
    own = {"flag_values": flag_values}
    keys = ", ".join(published.ROWS)
    flags.DEFINE_string("runs", "", "Directory of all runs, local or gs://.", **own)
    flags.DEFINE_list("rows", list(published.ROWS), f"Rows of tables: {keys}. Empty: none.", **own)
    flags.DEFINE_list(
        "lambdas", [], "Weights of the map loss (Figure 7) to train GALA with.", **own
    )
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of every row and lambda.", **own)
    flags.DEFINE_list(
        "devices",
        [],
        "One run at a time on each: cpu:N or cpu:N-M (cores, pinned by taskset where there is "
        "one), gpu:N or gpu:N-M. Empty: not pinned.",
        **own,
    )
    flags.DEFINE_integer("workers", 0, "Runs at a time; 0 = one a device, or one.", **own)
    flags.DEFINE_string(
        "report_dir", "", "Write `gala_tf.report`'s page of all runs there at the end.", **own
    )
    flags.DEFINE_string("commands", "", "Write commands to this file, or `-`; run nothing.", **own)
    command.are_paths("runs", "report_dir", "commands", **own)


if __name__ == "__main__":
    define_flags()
    config.define_flags(shown=("data_dir", "build_data_with", "map_loss_weight"))
    command.run(
        main,
        (ValueError, job_queue.FailedRunsError),
        kept="What the runs in --runs={runs} have saved stays: the same command resumes.",
    )
