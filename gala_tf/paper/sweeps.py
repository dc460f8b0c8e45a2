"""A sweep: rows of the tables and values of lambda, several seeds each, trained or written down.

What is finished is skipped, what has begun resumes, the rest begins.
"""

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Sequence

import tensorflow as tf

from gala_tf import config
from gala_tf.data import files, places
from gala_tf.paper import job_queue
from gala_tf.paper.published import FIGURE_7_ROW, ROWS
from gala_tf.runs import directory, logs
from gala_tf.training import checks, plan

TRAIN = ("-m", "gala_tf.train")
TOLD_APART_BY = ("--attention=", "--map_source=", "--map_target=", "--map_loss_weight=", "--seed=")


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep: its name, which is its directory below `--runs`, and its flags."""

    name: str
    config: config.Config

    @property
    def has_begun(self) -> bool:
        """Whether its directory says so."""
        return tf.io.gfile.exists(os.path.join(self.config.model_dir, directory.FLAGS_FILE))

    @property
    def log(self) -> str:
        """Where its output goes: into its directory, or, for one that is not local, beside here."""
        place = self.config.model_dir
        if not files.is_local(place):
            place = os.path.join("sweep_logs", self.name)
        return os.path.join(place, "train.log")


def expand(
    base: config.Config,
    row_keys: Sequence[str],
    lambdas: Sequence[float],
    seeds: Sequence[int],
    root: str,
) -> list[PlannedRun]:
    """All runs of a sweep, seed by seed.

    Args:
        base: flags that all runs share; its `map_loss_weight` is that of the rows with maps.
        lambdas: weights of the map loss, for FIGURE_7_ROW.

    ValueError: an unknown row, something twice, nothing to run, or rows with maps on a base
    without; names the flag.
    """
    _check_asked(base, row_keys, lambdas, seeds, root)
    found = []
    for seed in seeds:
        asked = [(key, ROWS[key].overrides(base.map_loss_weight)) for key in row_keys]
        asked += [(f"lambda-{value:g}", ROWS[FIGURE_7_ROW].overrides(value)) for value in lambdas]
        runs: list[PlannedRun] = []
        for name, changes in asked:
            name = f"{name}/seed-{seed}"
            place = f"{root.rstrip('/')}/{name}"
            made = dataclasses.replace(base, **changes, seed=seed, model_dir=place)
            # A lambda that is a row's, 0 or the base's own, is trained once, as the row.
            if all(config.changed_flags(made, other.config) for other in runs):
                runs.append(PlannedRun(name, made))
        found += runs
    return found


def _check_asked(base, row_keys, lambdas, seeds, root):
    if not root:
        raise ValueError("--runs is not set: name the directory for the runs.")
    if not base.test_split:
        raise ValueError(
            "--test_split is not set. A sweep's runs end with its evaluation, by which finished "
            "runs are known; name the split that shall be compared (Table 4: validation)."
        )
    unknown = [key for key in row_keys if key not in ROWS]
    if unknown:
        raise ValueError(f"--rows: no {', '.join(unknown)}; there are {', '.join(ROWS)}.")
    for name, items in (("rows", row_keys), ("lambdas", lambdas), ("seeds", seeds)):
        if len(set(items)) < len(items):
            raise ValueError(f"--{name} has something twice: {', '.join(map(str, items))}.")
    if not seeds or not (row_keys or lambdas):
        raise ValueError("Nothing to run: --seeds, and --rows or --lambdas, must not be empty.")
    with_maps = [key for key in row_keys if ROWS[key].has_maps]
    if with_maps and base.map_loss_weight == 0:
        raise ValueError(
            f"--rows: {', '.join(with_maps)} need maps, but the base has --map_loss_weight=0. Set "
            "the lambda that they shall have (paper: 6)."
        )


def arguments(run_config: config.Config) -> list[str]:
    """The flags of `gala_tf.train` that make this run: what tells the sweep's runs apart, and
    what differs from its default."""
    defaults = set(config.to_flagfile(config.Config()).splitlines())
    return [
        line
        for line in config.to_flagfile(run_config).splitlines()
        if line not in defaults or line.startswith(TOLD_APART_BY)
    ]


def results(run: PlannedRun) -> dict | None:
    """What a finished run's test evaluation found; None for a run that has not come to its end."""
    model_dir = run.config.model_dir
    path = os.path.join(model_dir, f"results-{run.config.test_split}.json")
    if not (tf.io.gfile.exists(path) and run.has_begun):
        return None
    # Results alone do not do: `gala_tf.evaluate` writes the same file of a run that still trains.
    steps = [line["step"] for line in logs.read_metrics(model_dir) if line["kind"] == "train"]
    if steps:  # a copy of a run without its log counts by its results
        begun = directory.open_run(model_dir)
        if steps[-1] < plan.make_plan(begun.config, begun.info, replicas=1).total_steps:
            return None
    with tf.io.gfile.GFile(path) as file:
        return json.loads(file.read())


def sweep(runs: Sequence[PlannedRun], slots: Sequence[job_queue.Slot], commands: str = "") -> None:
    """Runs what is not finished, or writes it as commands to the file `commands` (`-`: stdout).

    ValueError: a directory holds something else, or no data set; before anything runs. As
    `run_here`, of the runs themselves.
    """
    for run in runs:
        places.check_run(run.config.model_dir, run.config.data_dir, "runs")
    if commands not in ("", "-"):
        places.check_file(commands, "commands", ("python -m gala_tf.train",))
    check_flags(runs)
    unfinished = [run for run in runs if results(run) is None]
    resumed = sum(run.has_begun for run in unfinished)
    say(
        f"{len(runs)} runs: {len(runs) - len(unfinished)} finished, {resumed} to resume, "
        f"{len(unfinished) - resumed} to begin"
    )
    if commands:
        write_commands(unfinished, commands)
    elif unfinished:
        # Here, or each run would build the data set. What is checked depends on the run only
        # through whether it has maps.
        for run in {run.config.map_loss_weight > 0: run for run in unfinished}.values():
            info = checks.prepare_data(run.config)
        for run in runs:
            directory.check(run.config, info)
        run_here(unfinished, slots)


def check_flags(runs: Sequence[PlannedRun]) -> None:
    """ValueError if a directory of the sweep holds a run with other flags; names all differences.

    Also for finished runs, and whatever `--allow_flag_changes` says: their numbers would stand for
    what was asked.
    """
    lines = []
    for run in runs:
        if run.has_begun:
            began_with = directory.open_run(run.config.model_dir).config
            lines += [
                f"{run.config.model_dir}: --{name} was {old!r}, is {new!r}"
                for name, (old, new) in config.changed_flags(began_with, run.config).items()
            ]
    if lines:
        raise ValueError(
            "--runs has runs with other flags; use another --runs, or the old flags:\n  "
            + "\n  ".join(lines)
        )


def write_commands(unfinished: Sequence[PlannedRun], path: str) -> None:
    """Writes a shell command a line, for a scheduler, to a file or to stdout (`-`)."""
    lines = []
    for run in unfinished:
        # Several that start at once would build the data set in each other's way.
        alone = dataclasses.replace(run.config, build_data_with="")
        lines.append(shlex.join(["python", *TRAIN, *arguments(alone)]) + "\n")
    if path == "-":
        print("".join(lines), end="")
    else:
        files.write(path, "".join(lines))
    if unfinished and unfinished[0].config.build_data_with:
        say(
            "before these, once: python -m data_prep.build_tfrecords "
            f"--source={unfinished[0].config.build_data_with} "
            f"--output_dir={unfinished[0].config.data_dir}"
        )
    say(f"{len(lines)} commands in {'stdout' if path == '-' else path}")


def run_here(unfinished: Sequence[PlannedRun], slots: Sequence[job_queue.Slot]) -> None:
    """Trains the runs on this machine.

    Raises:
        job_queue.FailedRunsError: some failed, after all others have ended.
        job_queue.Stopped: a signal came.
    """
    by_name = {run.name: run for run in unfinished}

    def outcome(job, status):
        if status:
            how = f"exit status {status}" if status > 0 else f"signal {-status}"
            return False, f"FAILED with {how}"
        found = results(by_name[job.name])
        if found is None:  # --stop_after_steps ends a run with status 0, too
            return False, "ENDED BEFORE ITS LAST STEP"
        return True, f"{found['split']} top-1 error {100 * (1 - found['top1']):.1f} %"

    jobs = [
        job_queue.Job(run.name, (sys.executable, *TRAIN, *arguments(run.config)), run.log)
        for run in unfinished
    ]
    failed = job_queue.run_all(jobs, slots, outcome, say)
    if failed:
        logs_ = "\n  ".join(f"{name}: {by_name[name].log}" for name in failed)
        raise job_queue.FailedRunsError(
            f"{len(failed)} of {len(jobs)} runs failed; the same command tries them again. Their "
            f"logs:\n  {logs_}"
        )


def say(line: str) -> None:
    """A line of progress, to stderr."""
    print(line, file=sys.stderr, flush=True)
