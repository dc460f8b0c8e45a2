"""Traces the real training and evaluation steps under a real TPUStrategy, without a TPU.

The strategy is told of TPU cores that are logical CPU devices. `strategy.run` is then traced
through TPU replication, which catches what cannot be expressed there: variables made at the wrong
place, strings, dynamic shapes in collectives, Python side effects. It cannot be executed.

    PYTHONPATH=.:tests python -m fake_tpu --cores=4 --data_dir=DATA ...   # flags of training
"""

import collections

import numpy as np
from absl import app, flags

from gala_tf import config
from gala_tf.training import checks
from gala_tf.training import session as sessions

Device = collections.namedtuple("Device", "name")


def fake_tpu_strategy(cores):
    """A `tf.distribute.TPUStrategy` whose cores are logical CPU devices."""
    import tensorflow as tf
    from tensorflow.python.distribute.cluster_resolver.tpu import tpu_cluster_resolver
    from tensorflow.python.tpu import tpu_system_metadata

    host = "/job:localhost/replica:0/task:0/device:"
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * cores
    )

    class Resolver(tpu_cluster_resolver.TPUClusterResolver):
        def get_tpu_system_metadata(self):
            return tpu_system_metadata.TPUSystemMetadata(
                num_cores=cores,
                num_hosts=1,
                num_of_cores_per_host=cores,
                topology=None,
                devices=[Device(f"{host}TPU:{core}") for core in range(cores)],
            )

    strategy = tf.distribute.TPUStrategy(Resolver(tpu="local"))
    extended, names = strategy.extended, [f"{host}CPU:{core}" for core in range(cores)]
    extended._tpu_devices = np.array([[name] for name in names], dtype=object)
    extended._host_device = names[0]
    extended._device_input_worker_devices = collections.OrderedDict({names[0]: names})
    extended._host_input_worker_devices = collections.OrderedDict({names[0]: [names[0]] * cores})
    return strategy


def main(_):
    import tensorflow as tf

    from gala_tf.evaluation import evaluate_run

    run_config = config.from_flags()
    info = checks.prepare_data(run_config)
    strategy = fake_tpu_strategy(flags.FLAGS.cores)
    session = sessions.build_session(run_config, info, strategy)
    iterator = iter(
        sessions.training_batches(
            strategy, run_config, info, session.sizes, session.map_resize, step=0
        )
    )
    evaluator = evaluate_run.RunEvaluator(
        strategy, session.network, run_config, info, run_config.validation_split
    )
    traced = {
        "train": session.train_steps.get_concrete_function(iterator, tf.constant(2)),
        "statistics": session.average_statistics.get_concrete_function(),
        "evaluate": evaluator.step.get_concrete_function(iter(evaluator.dataset)),
    }
    for name, function in traced.items():
        graph = function.graph.as_graph_def()
        kinds = {node.op for f in graph.library.function for node in f.node_def}
        kinds |= {node.op for node in graph.node}
        replicated = sorted(kind for kind in kinds if "TPUReplicat" in kind)
        print(f"traced {name}: {len(kinds)} kinds of operations, with {replicated}")


if __name__ == "__main__":
    config.define_flags()
    flags.DEFINE_integer("cores", 4, "TPU cores to pretend.")
    app.run(main)
