"""The steps that `train` and `evaluate` run, traced for one TPU core, with or without a data set.

The functions are theirs: `sessions.build_session` and `RunEvaluator` build them; the shapes
of a batch are those of their input pipelines.
"""

import dataclasses
import os
import tempfile
from typing import Any

import tensorflow as tf

from gala_tf import config
from gala_tf.data import dataset_info
from gala_tf.evaluation import evaluate_run
from gala_tf.tpu_checking.one_core import OneCore
from gala_tf.training import plan
from gala_tf.training import session as sessions

STEPS = ("train", "evaluate")


@dataclasses.dataclass(frozen=True)
class TracedStep:
    """A step's graph, and what keeps its variables alive."""

    function: Any  # tf.types.experimental.ConcreteFunction
    owner: Any


def trace(
    name: str, run_config: config.Config, replicas: int, num_classes: int, plant=None
) -> TracedStep:
    """The graph of a step as one of `replicas` cores gets it.

    Args:
        name: one of STEPS.
        run_config: the flags; its data set gives the number of classes if there is one.
        replicas: cores that share the global batch.
        num_classes: of a data set that is not there.
        plant: replica step -> a replica step with a defect (`defects`), or None.

    Raises:
        ValueError: flags or data set that training would refuse, too.
    """
    run_config = dataclasses.replace(run_config, tpu="local", cpu_devices=1)
    strategy = OneCore(replicas)
    with tempfile.TemporaryDirectory() as directory:
        run_config, info = _data_set(run_config, num_classes, directory)
        session = sessions.build_session(run_config, info, strategy)
        if name == "train":
            replica_step = session.replica_step
            dataset = sessions.training_batches(
                strategy, run_config, info, session.sizes, session.map_resize, step=0
            )
        else:
            evaluator = evaluate_run.RunEvaluator(
                strategy, session.network, run_config, info, run_config.validation_split
            )
            replica_step, dataset = evaluator.replica_step, evaluator.dataset
    planted = plant(replica_step) if plant else replica_step
    return TracedStep(strategy.trace(planted, dataset.element_spec), session)


def _data_set(run_config, num_classes, directory):
    """(Config, DatasetInfo): of `--data_dir`, or of shards that only look like some."""
    data_dir = run_config.data_dir
    if data_dir and tf.io.gfile.exists(os.path.join(data_dir, dataset_info.INFO_FILE)):
        return run_config, plan.prepare_data(run_config)
    # Nothing is read from it: the pipelines are built for the shapes of their batches.
    run_config = dataclasses.replace(run_config, data_dir=directory)
    return run_config, placeholder_data_set(directory, run_config, num_classes)


def placeholder_data_set(directory: str, run_config: config.Config, num_classes: int):
    """Writes shards without images that stand for a data set; returns its `DatasetInfo`.

    It has the splits that `run_config` names and more examples than any batch; its images are
    squares that suit `--image_size` and `--crop_fraction`.
    """
    examples = 10 * run_config.global_batch_size + run_config.eval_batch_size
    side = round(run_config.image_size / run_config.crop_fraction)
    splits = {}
    for split in {run_config.train_split, run_config.validation_split}:
        path = os.path.join(directory, dataset_info.shard_name(split, 0, 1))
        shard = dataclasses.replace(dataset_info.write_shard(path, [b""]), examples=examples)
        splits[split] = dataset_info.Split(examples, examples, 0, num_classes, (shard,))
    return dataset_info.DatasetInfo(
        name="placeholder",
        class_names=tuple(map(str, range(num_classes))),
        splits=splits,
        image=dataset_info.ImageGeometry("square", side, side, side, side),
        clickmap_blur=run_config.clickmap_blur,
        clickmap_grid=32,
        human_ceiling=None,
        split_rule="none",
        seed=0,
        command="none",
        tool_version="none",
    )
