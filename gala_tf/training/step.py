"""One training step: the forward pass, Eq. 1, the gradients, the update; and many in one call.

b images of one replica, V trainable variables, N batch normalisations
"""

import dataclasses

import numpy as np
import tensorflow as tf

from gala_tf import losses, models
from gala_tf.data import clickmaps, preprocessing
from gala_tf.layers import BatchNorm


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the entries of a step's vector are: it leaves the device as one tensor."""

    scalars: tuple[str, ...]
    variables: tuple[str, ...]  # [V] squared gradient norms
    norms: tuple[str, ...]  # [N] 1 where batch statistics are finite, in forward order
    attention: tuple[str, ...]  # names of the attention layers
    checks: tuple[str, ...] = ()  # how many images of the batch have this wrong with them

    @property
    def width(self) -> int:
        """Number of entries."""
        return len(self.scalars) + len(self.variables) + len(self.norms) + len(self.checks)

    def split(self, vector):
        """The parts of a vector: ({scalar: value}, squared norms [V], finite [N]), no checks."""
        a, b = len(self.scalars), len(self.scalars) + len(self.variables)
        c = b + len(self.norms)
        return dict(zip(self.scalars, vector[:a].tolist(), strict=True)), vector[a:b], vector[b:c]


def make_replica_step(
    network,
    optimizer,
    sizes,
    *,
    global_batch_size,
    replicas,
    map_loss_weight,
    map_target,
    map_resize,
    weight_decay,
    label_smoothing,
):
    """One training step of one replica.

    Every loss is a sum over the replica's images divided by the *global* batch, and what belongs to
    the step as a whole is divided by the number of replicas: summed over replicas, all are right.

    Args:
        network: from `models.build_model`.
        optimizer: built, and expecting gradients summed over replicas (`optimizers`).
        sizes: {layer: map side in pixels} of the volumes that maps supervise; may be empty.
        global_batch_size: images per step, all replicas together.
        replicas: how many share them.
        map_loss_weight: lambda.
        map_target: `attention` or `activity`, the network's output that holds those volumes.
        map_resize: `bilinear` or `bicubic`, for layers coarser than the batch's maps.
        weight_decay: of half the sum of squares of the kernels.
        label_smoothing: mass moved from the true class to all.

    Returns:
        (replica_step, columns): replica_step(batch) updates the variables and returns the vector
        [columns.width] float32, to be summed over replicas.
    """
    weights = network.trainable_variables
    kernels = models.decayed_kernels(network)
    norms = [layer for layer in network.layers if isinstance(layer, BatchNorm)]
    columns = Columns(
        scalars=(
            "loss",
            "cross_entropy",
            "map_loss",
            "l2",
            "top1",
            *(f"map_loss/{name}" for name in sizes),
        ),
        variables=tuple(variable.path for variable in weights),
        norms=tuple(layer.name for layer in norms),
        attention=tuple(network.output["attention"]),
        checks=(
            f"label outside 0...{network.output['logits'].shape[-1] - 1}",
            "click map that is negative or not finite",
        ),
    )

    def replica_step(batch):
        with tf.GradientTape() as tape:
            images = preprocessing.mirror(batch["image"], batch["mirrored"])
            outputs = network(images, training=True)
            entropies = losses.cross_entropy(outputs["logits"], batch["label"], label_smoothing)
            cross_entropy = tf.reduce_sum(entropies) / global_batch_size
            map_losses = []
            for name, size in sizes.items():
                clickmap = clickmaps.resize_maps(batch["clickmap"], size, map_resize)
                distances = losses.clickmap_loss(
                    outputs[map_target][name], clickmap, batch["has_clickmap"]
                )  # [b]
                map_losses.append(tf.reduce_sum(distances) / global_batch_size)
            map_loss = tf.add_n(map_losses) if map_losses else tf.constant(0.0)
            l2 = weight_decay * losses.l2_loss(kernels) / replicas
            loss = cross_entropy + map_loss_weight * map_loss + l2  # Eq. 1, and L2
            scaled_loss = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, weights)
        unused = [v.path for v, g in zip(weights, gradients, strict=True) if g is None]
        if unused:
            raise ValueError(f"The loss does not depend on {', '.join(unused)}: no gradient.")
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        # Read before the update, which may change float16's loss scale. 1 without loss scaling.
        unscale = 1.0 / optimizer.scale_loss(tf.constant(1.0))
        optimizer.apply(gradients, weights)

        squares = tf.stack([2.0 * losses.half_square_sum(g) for g in gradients])  # [V]
        squares *= tf.square(unscale) / replicas
        hits = tf.equal(tf.argmax(outputs["logits"], 1, output_type=tf.int32), batch["label"])
        top1 = tf.reduce_sum(tf.cast(hits, tf.float32)) / global_batch_size
        finite = (
            tf.stack([_all_finite(layer.moving_mean, layer.moving_variance) for layer in norms])
            / replicas
        )  # [N]
        scalars = tf.stack([loss, cross_entropy, map_loss, l2, top1, *map_losses])
        checks = _unsound(batch, outputs["logits"].shape[-1])
        return tf.concat([scalars, squares, finite, checks], axis=0)

    return replica_step, columns


def compile_step(replica_step):
    """The same step, compiled by XLA for the device it runs on; for a single replica."""
    return tf.function(replica_step, jit_compile=True)


def make_train_steps(strategy, replica_step, columns, loss_scaling):
    """`train_steps(iterator, count)`: `count` steps in one call from the host.

    It returns (sums [columns.width] over the steps, the index of the first bad step or -1, that
    step's vector [columns.width]). A step is bad if its loss or any gradient is not finite, or its
    batch unsound, which need not show in the loss; with loss scaling, gradients do not count, since
    they overflow now and then and are skipped.
    """
    checks = columns.width - len(columns.checks)
    watched = 1 if loss_scaling else columns.width

    @tf.function
    def train_steps(iterator, count):
        sums, bad_vector = tf.zeros([columns.width]), tf.zeros([columns.width])
        bad_step = tf.constant(-1)
        for i in tf.range(count):
            per_replica = strategy.run(replica_step, args=(next(iterator),))
            vector = strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
            finite = tf.reduce_all(tf.math.is_finite(vector[:watched]))
            sound = tf.reduce_sum(vector[checks:]) < 0.5  # counts of images
            is_first_bad = (bad_step < 0) & ~(finite & sound)
            bad_step = tf.where(is_first_bad, i, bad_step)
            bad_vector = tf.where(is_first_bad, vector, bad_vector)
            sums += vector
        return sums, bad_step, bad_vector

    return train_steps


def make_average_statistics(strategy, network):
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


def non_finite_variable(network) -> str | None:
    """The path of a variable that holds a NaN or an infinity, or None: asked before saving."""
    paths = (v.path for v in network.variables if not np.all(np.isfinite(v.numpy())))
    return next(paths, None)


def describe(columns, means) -> dict[str, float]:
    """Mean numbers of some steps for the log: the losses, and gradient norms of what attends.

    Args:
        columns: names of the vector's entries.
        means: [columns.width] means over steps.

    Returns:
        {name: value}: losses, `top1` in 0..1, `gradient_norm`, and `gradient_norm/<layer>` of every
        attention layer; norms are root mean squares over the steps.
    """
    scalars, squares, _ = columns.split(means)
    by_layer = {}
    for name, square in zip(columns.variables, squares, strict=True):
        layer = name.split("/")[0]
        by_layer[layer] = by_layer.get(layer, 0.0) + float(square)
    return {
        **scalars,
        "gradient_norm": float(squares.sum()) ** 0.5,
        **{
            f"gradient_norm/{layer}": value**0.5
            for layer, value in by_layer.items()
            if layer in columns.attention
        },
    }


def explain_unsound(columns, vector) -> str:
    """What is wrong with a step's batch, in words; empty if nothing is."""
    counts = vector[columns.width - len(columns.checks) :]
    wrong = zip(counts, columns.checks, strict=True)
    return ", ".join(f"{count:.0f} x {name}" for count, name in wrong if count > 0.5)


def explain_non_finite(columns, vector) -> str:
    """Where a step's loss stopped being finite, in words.

    The first batch normalisation in forward order whose statistics are not finite tells between
    which layers the activity broke; if all are finite, the losses themselves tell.
    """
    scalars, squares, finite = columns.split(vector)
    broken = [i for i, ok in enumerate(finite) if not ok > 0.5]
    if broken and broken[0] > 0:
        where = (
            f"activity is not finite at layer {columns.norms[broken[0]]!r}, "
            f"but still finite at {columns.norms[broken[0] - 1]!r} before it"
        )
    elif broken:
        where = f"activity is not finite at the first layer, {columns.norms[0]!r}"
    else:
        broken_losses = [name for name, value in scalars.items() if not abs(value) < float("inf")]
        where = f"all activity is finite, but not {', '.join(broken_losses) or 'the gradient'}"
    finite_squares = [
        (s, name) for s, name in zip(squares, columns.variables, strict=True) if s < float("inf")
    ]
    if finite_squares:
        square, name = max(finite_squares)
        where += f"; the largest gradient that is finite is {name}'s (norm {square**0.5:.3g})"
    return where


def _unsound(batch, classes):
    """How many images have a label out of range, and how many a map that is no map: [2] float32."""
    labels, maps = batch["label"], batch["clickmap"]
    bad_labels = (labels < 0) | (labels >= classes)
    bad_maps = ~tf.reduce_all(tf.math.is_finite(maps) & (maps >= 0), axis=[1, 2, 3])
    return tf.stack([tf.reduce_sum(tf.cast(bad, tf.float32)) for bad in (bad_labels, bad_maps)])


def _all_finite(*variables):
    """1.0 if no entry of the variables is NaN or infinite, else 0.0."""
    finite = [tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(v))) for v in variables]
    return tf.cast(tf.reduce_all(finite), tf.float32)
