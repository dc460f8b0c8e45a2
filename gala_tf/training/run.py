"""A run: what it computes with and what it leaves on disk, checked and put together."""

import dataclasses
import os
from typing import Any

import tensorflow as tf

from gala_tf import config
from gala_tf.data import dataset_info, places
from gala_tf.data.left_out import LeftOut
from gala_tf.distribution import cluster, consensus
from gala_tf.distribution.strategy import make_strategy
from gala_tf.evaluation.evaluate_run import RunEvaluator, evaluate_run
from gala_tf.resilience import full_disk
from gala_tf.runs import directory as run_directory
from gala_tf.runs import logs
from gala_tf.runs.checkpoints import Checkpoints
from gala_tf.training import checks, collapse, fine_tuning
from gala_tf.training.session import Session, build_session


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run consists of while its process lasts."""

    config: config.Config
    info: dataset_info.DatasetInfo
    strategy: Any
    session: Session
    evaluator: RunEvaluator | None  # of the validation split, if there is one
    rolling: Checkpoints  # of everything
    best: Checkpoints  # of the network


@dataclasses.dataclass
class State:
    """What changes while a run trains; `facts` are what its newest checkpoint says of itself.

    They are: step, best_top1 and best_cross_entropy, validation (the numbers of the last one),
    validation_due (whether that of its own step is still to be made), and what the run computes on
    (`resume.place`).
    """

    step: int
    facts: dict
    batches: Any  # iterator
    left_out: tuple[LeftOut, ...]  # what it does not read
    log: Any  # MetricLog
    progress: logs.Progress
    alarm: collapse.Alarm = dataclasses.field(default_factory=collapse.Alarm)


def begin(run_config: config.Config) -> Run:
    """Checks everything before it builds anything, and writes only once all is built.

    ValueError: flags, data and hardware contradict each other, or the run in `--model_dir`.
    """
    group = cluster.from_environment()  # several machines, or None
    if not run_config.model_dir:
        raise ValueError("--model_dir is not set: name the directory that the run shall fill.")
    places.check_run(run_config.model_dir, run_config.data_dir)
    info = checks.prepare_data(run_config, len(group.addresses) if group else 1)
    if run_config.deterministic:
        tf.config.experimental.enable_op_determinism()
    # The first that touches a device, which several machines and logical CPUs need.
    strategy = make_strategy(
        run_config.tpu, run_config.tpu_zone, run_config.gcp_project, run_config.cpu_devices, group
    )
    same = "Start the same command, of the same installation, on all machines."
    consensus.agree(strategy, run_directory.identity(run_config, info), same)
    run_directory.check(run_config, info)
    session = build_session(run_config, info, strategy)
    split = run_config.validation_split
    evaluator = RunEvaluator(strategy, session.network, run_config, info, split) if split else None
    # From here on there is a run: flags that describe no network have left no directory.
    _write_directory(run_config, info, strategy, session.initial)

    def checkpoints(folder, keep, **objects):
        path = os.path.join(run_config.model_dir, folder)
        return Checkpoints(path, keep, model=session.network, **objects)

    rolling = checkpoints("checkpoints", run_config.keep_checkpoints, optimizer=session.optimizer)
    best = checkpoints("best", 1)
    return Run(run_config, info, strategy, session, evaluator, rolling, best)


def _write_directory(run_config, info, strategy, initial):
    """The chief writes it, and all wait until they see what it wrote."""
    directory = run_config.model_dir

    def write():
        run_directory.start(run_config, info)
        fine_tuning.note(directory, initial)

    if consensus.is_chief(strategy):
        full_disk.keep_trying(write, f"flags in {directory}", directory)
    environment = os.path.join(directory, run_directory.ENVIRONMENT_FILE)
    consensus.agree_on_directory(strategy, environment)


def evaluate_best(run: Run) -> dict:
    """Results of the best weights on `--test_split`, which training has not seen."""
    directory = run.config.model_dir
    return full_disk.keep_trying(
        lambda: evaluate_run(directory, run.config.test_split, "best", strategy=run.strategy),
        f"results in {directory}",
        directory,
        left="Checkpoints are untouched.",
    )
