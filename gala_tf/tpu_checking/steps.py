"""The steps that `train` and `evaluate` run, traced for one TPU core, with or without a data set.

The functions are theirs: `session.build_session` and `RunEvaluator` build them; the shapes
of a batch are those of their input pipelines.
"""

import dataclasses
import os
import tempfile
from typing import Any, NamedTuple

import tensorflow as tf

from gala_tf import config
from gala_tf.data import dataset_info, tfrecord_files
from gala_tf.evaluation.evaluate_run import RunEvaluator
from gala_tf.training import checks
from gala_tf.training import session as sessions


class OneCore(tf.distribute.OneDeviceStrategy):
    """One device that speaks for `replicas` cores; its steps can be traced, not run.

    `tf.distribute.TPUStrategy` traces a step once and runs it on n cores. Here the step is traced
    once, too, by the same code, with the same number of replicas and the same cross-replica
    operations; there is nothing to run it on.
    """

    def __init__(self, replicas: int):
        super().__init__("/cpu:0")
        self._replicas = replicas

    @property
    def num_replicas_in_sync(self) -> int:
        return self._replicas

    def distribute_datasets_from_function(self, dataset_fn, options=None):
        """The data set of one host that feeds all replicas: a batch is one replica's."""
        context = tf.distribute.InputContext(
            num_input_pipelines=1, input_pipeline_id=0, num_replicas_in_sync=self._replicas
        )
        return dataset_fn(context)

    def trace(self, replica_step, *specs) -> tf.types.experimental.ConcreteFunction:
        """The graph of `replica_step`, which takes nests of `specs`, as a core would get it."""

        def replica(*arguments):
            with _CoreContext(self, replica_id_in_sync_group=0):
                return replica_step(*arguments)

        return tf.function(replica, autograph=False).get_concrete_function(*specs)


class _CoreContext(tf.distribute.ReplicaContext):
    """Sums over replicas by the operation that TPUStrategy uses."""

    def all_reduce(self, reduce_op, value, options=None):
        """The sum or mean over replicas of a nest of tensors, each of the shape it has here."""
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:  # no operation: TensorFlow's other builds have none
            return value
        groups = [list(range(replicas))]

        def reduce(tensor):
            total = tf.raw_ops.CrossReplicaSum(
                input=tf.convert_to_tensor(tensor), group_assignment=groups
            )
            return total / replicas if reduce_op == tf.distribute.ReduceOp.MEAN else total

        return tf.nest.map_structure(reduce, value)


class TracedStep(NamedTuple):
    """A step's graph, and what keeps its variables alive."""

    function: Any  # tf.types.experimental.ConcreteFunction
    owner: Any


def trace(name: str, run_config: config.Config, replicas: int, num_classes: int) -> TracedStep:
    """The graph of a step, one of `verdicts.STEPS`, as one of `replicas` cores gets it.

    `num_classes` is of a data set that is not there; one that is says so itself. ValueError: flags
    or data set that training would refuse, too.
    """
    run_config = dataclasses.replace(run_config, tpu="local", cpu_devices=1)
    strategy = OneCore(replicas)
    with tempfile.TemporaryDirectory() as directory:
        run_config, info = data_set(run_config, num_classes, directory)
        session = sessions.build_session(run_config, info, strategy)
        if name == "train":
            replica_step = session.replica_step
            dataset = sessions.training_batches(
                strategy, run_config, info, session.sizes, session.map_resize, step=0
            )
        else:
            evaluator = RunEvaluator(
                strategy, session.network, run_config, info, evaluated_split(run_config)
            )
            replica_step, dataset = evaluator.replica_step, evaluator.dataset
    return TracedStep(strategy.trace(replica_step, dataset.element_spec), session)


def named_variables(session: sessions.Session) -> dict[str, tf.Variable]:
    """{path: variable} of the network and its optimizer."""
    variables = [*session.network.variables, *session.optimizer.variables]
    named = {variable.path: variable.value for variable in variables}
    if len(named) < len(variables):
        raise ValueError("Two variables of a step have the same path.")
    return named


def names_of(structure, alone: str = "") -> list[str]:
    """Names of what `tf.nest.flatten` finds in a nest of dicts, in its order: `maps/layer`.

    `alone` is the name of what is no dict.
    """
    if not isinstance(structure, dict):
        return [alone]
    nested = ((key, names_of(structure[key])) for key in sorted(structure))
    return [f"{key}/{name}".removesuffix("/") for key, names in nested for name in names]


def evaluated_split(run_config: config.Config) -> str:
    """That of validation; without one, whichever: its step is the same."""
    return run_config.validation_split or run_config.train_split


def data_set(run_config: config.Config, num_classes: int, directory: str):
    """(Config, DatasetInfo): of `--data_dir`, or of shards that only look like some."""
    data_dir = run_config.data_dir
    if data_dir and tf.io.gfile.exists(os.path.join(data_dir, dataset_info.INFO_FILE)):
        return run_config, checks.prepare_data(run_config)
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
    for split in {run_config.train_split, evaluated_split(run_config)}:
        path = os.path.join(directory, dataset_info.shard_name(split, 0, 1))
        # Input pipelines look for the file; what is in it, they would read only if they ran.
        shard = dataclasses.replace(tfrecord_files.write_shard(path, [b""]), examples=examples)
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
