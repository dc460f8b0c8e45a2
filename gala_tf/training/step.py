"""One training step: the forward pass, Eq. 1, the gradients, the update; and many in one call.

b images of one replica, V trainable variables, N batch normalisations
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from gala_tf import losses, models
from gala_tf.data import preprocessing
from gala_tf.data.contracts import Batch, Network, Outputs
from gala_tf.layers import BatchNorm
from gala_tf.training import collapse, lean_forward
from gala_tf.training.step_vector import Layout, Parts


class Terms(NamedTuple):
    """One replica's share of what a step minimises; summed over replicas, each is right.

    Automatic gradients are of Eq. 1 alone: `Objective.add_l2` adds those of L2.
    """

    loss: tf.Tensor  # Eq. 1, and L2
    cross_entropy: tf.Tensor
    map_loss: tf.Tensor
    l2: tf.Tensor
    map_losses: list[tf.Tensor]  # by layer


@dataclasses.dataclass(frozen=True)
class Objective:
    """Eq. 1 with its constants, for a batch that is spread over replicas.

    What belongs to an image is a sum over the replica's images divided by the *global* batch: a
    mean over the replica's own would weigh images by how they fall on replicas. What belongs to
    the step as a whole is divided by the number of replicas.
    """

    map_sizes: dict[str, int]  # {layer: map side in pixels} of what maps supervise; may be empty
    global_batch_size: int
    replicas: int
    map_loss_weight: float  # lambda
    map_target: str  # `attention` or `activity`: the network's output that holds those layers
    map_resize: str  # `bilinear` or `bicubic`, for layers coarser than the batch's maps
    weight_decay: float  # of half the sum of squares of the kernels
    label_smoothing: float  # mass moved from the true class to all
    map_loss_reduction: str = "sum"  # over layers, or `mean`

    def terms(self, outputs: Outputs, batch: Batch, kernels) -> Terms:
        """What the step minimises, from the network's outputs and the variables that decay."""
        entropies = losses.cross_entropy(outputs["logits"], batch["label"], self.label_smoothing)
        cross_entropy = tf.reduce_sum(entropies) / self.global_batch_size
        map_losses = [
            self._map_loss(outputs[self.map_target][name], batch, size)
            for name, size in self.map_sizes.items()
        ]
        map_loss = tf.add_n(map_losses) if map_losses else tf.constant(0.0)
        if self.map_loss_reduction == "mean" and map_losses:
            map_loss /= len(map_losses)
        l2 = tf.stop_gradient(self.weight_decay * losses.l2_loss(kernels) / self.replicas)
        loss = cross_entropy + self.map_loss_weight * map_loss + l2
        return Terms(loss, cross_entropy, map_loss, l2, map_losses)

    def add_l2(self, gradients, weights, kernels, scale):
        """Gradients of `weights` with those of `scale` times L2, which acts on `kernels`.

        They need nothing but the kernels: left to automatic gradients they are computed first of
        all, and kept, as large as the weights, while activities take the most memory.
        """
        decayed = {id(kernel) for kernel in kernels}
        factor = scale / self.replicas * self.weight_decay

        def with_l2(gradient, weight):
            if id(weight) not in decayed:
                return gradient
            with tf.control_dependencies([gradient]):  # not before it is there
                return gradient + factor * tf.convert_to_tensor(weight)

        return [with_l2(g, w) for g, w in zip(gradients, weights, strict=True)]

    def _map_loss(self, volume, batch, size):
        # The batch's maps are as fine as the finest layer.
        clickmap = losses.resize_maps(batch["clickmap"], size, self.map_resize)
        distances = losses.clickmap_loss(volume, clickmap, batch["has_clickmap"])  # [b]
        return tf.reduce_sum(distances) / self.global_batch_size


def make_replica_step(
    network: Network, optimizer, objective: Objective, lean: bool = False
) -> tuple[Callable, Layout]:
    """(replica_step, layout): one training step of one replica, and what its vector holds.

    `optimizer` is built, and expects gradients summed over replicas (`optimizers`). `lean` keeps
    less of the forward pass for the gradients (`lean_forward`).
    `replica_step(batch)` updates the variables and returns the vector [layout.width] float32, to
    be summed over replicas.
    """
    weights = network.trainable_variables
    kernels = models.decayed_kernels(network)
    norms = [layer for layer in network.layers if isinstance(layer, BatchNorm)]
    layout = _layout(network, norms, objective)
    forward = lean_forward.make_forward(network) if lean else _whole_forward(network)

    def replica_step(batch: Batch):
        with tf.GradientTape() as tape:
            images = preprocessing.mirror(batch["image"], batch["mirrored"])
            outputs = forward(images)
            terms = objective.terms(outputs, batch, kernels)
            scaled_loss = optimizer.scale_loss(terms.loss)
        gradients = _gradients(tape, scaled_loss, weights)
        # Read before the update, which may change float16's loss scale. 1 without loss scaling.
        scale = optimizer.scale_loss(tf.constant(1.0))
        gradients = _summed(objective.add_l2(gradients, weights, kernels, scale))
        optimizer.apply(gradients, weights)

        *whole, map_losses = terms
        # By a kernel that reads each gradient once.
        squared_norms = tf.stack([2.0 * losses.half_square_sum(g) for g in gradients])  # [V]
        top1 = _hits(outputs["logits"], batch["label"]) / objective.global_batch_size
        return layout.pack(
            Parts(
                scalars=[*whole, top1, *map_losses],
                squared_norms=squared_norms * (tf.square(1.0 / scale) / objective.replicas),
                finite=_finite_statistics(norms) / objective.replicas,
                unsound=_unsound(batch, outputs["logits"].shape[-1]),
                collapse=[
                    value / objective.replicas
                    for value in collapse.measure(network, outputs["attention"])
                ],
            )
        )

    return replica_step, layout


def _whole_forward(network):
    return lambda images: network(images, training=True)


def _layout(network, norms, objective):
    scalars = ("loss", "cross_entropy", "map_loss", "l2", "top1")
    return Layout(
        scalars=(*scalars, *(f"map_loss/{name}" for name in objective.map_sizes)),
        variables=tuple(variable.path for variable in network.trainable_variables),
        norms=tuple(layer.name for layer in norms),
        checks=(
            f"label outside 0...{network.output['logits'].shape[-1] - 1}",
            "click map that is negative or not finite",
        ),
        attention=tuple(network.output["attention"]),
        collapse=collapse.names(network),
    )


def _gradients(tape, loss, weights):
    """One replica's."""
    gradients = tape.gradient(loss, weights)
    unused = [v.path for v, g in zip(weights, gradients, strict=True) if g is None]
    if unused:
        raise ValueError(f"The loss does not depend on {', '.join(unused)}: no gradient.")
    return gradients


def _summed(gradients):
    """Of all replicas together: summed here, once, because their norms are logged."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)


def _hits(logits, label):
    """How many images are classified rightly, float32."""
    hits = tf.equal(tf.argmax(logits, 1, output_type=tf.int32), label)
    return tf.reduce_sum(tf.cast(hits, tf.float32))


def _finite_statistics(norms):
    """[N] 1.0 where a layer's moving statistics hold no NaN and no infinity, else 0.0."""

    def is_finite(layer):
        moving = (layer.moving_mean, layer.moving_variance)
        finite = [tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(v))) for v in moving]
        return tf.cast(tf.reduce_all(finite), tf.float32)

    return tf.stack([is_finite(layer) for layer in norms])


def _unsound(batch, classes):
    """How many images have a label out of range, and how many a map that is no map: [2] float32."""
    labels, maps = batch["label"], batch["clickmap"]
    bad_labels = (labels < 0) | (labels >= classes)
    bad_maps = ~tf.reduce_all(tf.math.is_finite(maps) & (maps >= 0), axis=[1, 2, 3])
    return tf.stack([tf.reduce_sum(tf.cast(bad, tf.float32)) for bad in (bad_labels, bad_maps)])


class Steps(NamedTuple):
    """What one call from the host trained; vectors are `Layout`'s."""

    sums: Any  # [width] over the steps
    bad_step: Any  # index of the first bad step, or -1
    bad_vector: Any  # [width] of that step


def make_train_steps(strategy, replica_step, layout: Layout, loss_scaling: bool) -> Callable:
    """`train_steps(iterator, count) -> Steps`: `count` steps in one call from the host.

    A step is bad if its loss or any gradient is not finite, or its batch unsound, which need not
    show in the loss. With loss scaling, gradients do not count: they overflow now and then, and
    those steps are skipped.
    """

    @tf.function
    def train_steps(iterator, count):
        sums, bad_vector = tf.zeros([layout.width]), tf.zeros([layout.width])
        bad_step = tf.constant(-1)
        for i in tf.range(count):
            per_replica = strategy.run(replica_step, args=(next(iterator),))
            vector = strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
            parts = layout.unpack(vector)
            watched = parts.scalars[:1] if loss_scaling else vector  # the loss alone, or all
            finite = tf.reduce_all(tf.math.is_finite(watched))
            sound = tf.reduce_sum(parts.unsound) < 0.5  # counts of images
            is_first_bad = (bad_step < 0) & ~(finite & sound)
            bad_step = tf.where(is_first_bad, i, bad_step)
            bad_vector = tf.where(is_first_bad, vector, bad_vector)
            sums += vector
        return Steps(sums, bad_step, bad_vector)

    return train_steps


def make_average_statistics(strategy, network) -> Callable:
    """A function that sets the moving batch statistics of all replicas to their mean.

    Each replica moves its own, and reading or saving them sees the first replica's only.
    """
    moving = [v.value for v in network.non_trainable_variables if v.dtype == "float32"]

    @tf.function
    def average_statistics():
        def replica():
            context = tf.distribute.get_replica_context()
            # tf.identity: a variable's own reading has no device, which several workers need.
            means = context.all_reduce(
                tf.distribute.ReduceOp.MEAN, [tf.identity(v) for v in moving]
            )
            for variable, mean in zip(moving, means, strict=True):
                variable.assign(mean)

        strategy.run(replica)

    return average_statistics
