"""A strategy for tracing what one TPU core computes, on a machine without a TPU.

`tf.distribute.TPUStrategy` traces a step once and runs it on n cores. Here the step is traced once,
too, by the same code, with the same number of replicas and the same cross-replica operations; there
is nothing to run it on.
"""

import tensorflow as tf


class OneCore(tf.distribute.OneDeviceStrategy):
    """One device that speaks for `replicas` cores; its steps can be traced, not run.

    Args:
        replicas: how many cores share a batch.
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
        """The graph of `replica_step` as a core of a TPU would get it.

        Args:
            replica_step: what `strategy.run` would be given.
            specs: nests of `tf.TensorSpec`, its arguments.
        """

        def replica(*arguments):
            with _CoreContext(self, replica_id_in_sync_group=0):
                return replica_step(*arguments)

        return tf.function(replica, autograph=False).get_concrete_function(*specs)


class _CoreContext(tf.distribute.ReplicaContext):
    """Sums over replicas by the operation that TPUStrategy uses."""

    def all_reduce(self, reduce_op, value, options=None):
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
