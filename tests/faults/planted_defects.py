"""Faults planted into a step, which `tpu_check` must catch by name.

    python -m faults.planted_defects REQUEST.json

is `gala_tf.tpu_checking.lowering` with the defect that $PLANTED_DEFECT names. Those of DEFECTS take
a replica step and return one that computes the same and something else beside it: compiling must
catch them. Those of WRONG change the numbers and compile: executing must catch them.
"""

import json
import os
import sys

import tensorflow as tf

from gala_tf import losses
from gala_tf.tpu_checking import lowering, steps
from gala_tf.training import optimizers, step


def _beside(extra):
    """A defect: `extra(batch)`, a scalar, is computed from the batch and takes part in the step."""

    def plant(replica_step):
        def planted(batch):
            image = tf.cast(batch["image"], tf.float32) + tf.cast(extra(batch), tf.float32)
            return replica_step({**batch, "image": image})

        return planted

    return plant


def _bicubic(batch):
    """A resize that TPUs have no kernel for."""
    side = batch["image"].shape[1] // 2
    return tf.reduce_mean(tf.raw_ops.ResizeBicubic(images=batch["image"], size=[side, side]))


def _selected_images(batch):
    """As many images as have maps: compiles, padded, and is slow."""
    return tf.reduce_mean(tf.boolean_mask(batch["image"], batch["has_clickmap"] > 0.0))


def _resize_to_data(batch):
    """A size that is data: ends the process that compiles it."""
    side = 8 + batch["label"][0]
    return tf.reduce_mean(tf.image.resize(batch["image"], [side, side]))


def _print(batch):
    """Output while computing."""
    tf.print("label", batch["label"][0])
    return 0.0


def _float64(batch):
    return tf.math.reduce_std(tf.cast(batch["image"], tf.float64))


def _int64(batch):
    return tf.reduce_max(tf.cumsum(tf.cast(batch["label"], tf.int64)))


def _float32_products(batch):
    pixels = tf.reshape(tf.cast(batch["image"], tf.float32), [batch["image"].shape[0], -1])
    wide = tf.tile(pixels, [8, 1])
    return tf.reduce_mean(tf.linalg.matmul(wide, wide, transpose_b=True))


DEFECTS = {
    "no_kernel": _beside(_bicubic),
    "dynamic_shape": _beside(_selected_images),
    "dynamic_resize": _beside(_resize_to_data),
    "print": _beside(_print),
    "float64": _beside(_float64),
    "int64": _beside(_int64),
    "float32": _beside(_float32_products),
}


def _another_momentum():
    """0.89 for 0.9."""
    make = optimizers.make_optimizer
    optimizers.make_optimizer = lambda schedule, momentum, *more: make(
        schedule, momentum - 0.01, *more
    )


def _missing_all_reduce():
    """One gradient, the first, stays each replica's own."""
    all_reduce = steps._CoreContext.all_reduce

    def partly(self, reduce_op, value, options=None):
        if not isinstance(value, list):
            return all_reduce(self, reduce_op, value, options)
        return [value[0], *all_reduce(self, reduce_op, value[1:], options)]

    steps._CoreContext.all_reduce = partly


def _local_batch():
    """The map loss of a replica's batch is divided by that, not by the global one."""
    of_global_batch = step.Objective._map_loss

    def of_own_batch(self, *arguments):
        return of_global_batch(self, *arguments) * self.replicas

    step.Objective._map_loss = of_own_batch


def _bilinear():
    """Maps are resized so, whatever the flags say."""
    resize = losses.resize_maps
    losses.resize_maps = lambda maps, size, method: resize(maps, size, "bilinear")


WRONG = {
    "momentum": _another_momentum,
    "all_reduce": _missing_all_reduce,
    "local_batch": _local_batch,
    "bilinear": _bilinear,
}


class Planted(steps.OneCore):
    """A core whose step has the defect of the environment."""

    def trace(self, replica_step, *specs):
        return super().trace(DEFECTS[os.environ["PLANTED_DEFECT"]](replica_step), *specs)


if __name__ == "__main__":
    if os.environ["PLANTED_DEFECT"] in WRONG:
        WRONG[os.environ["PLANTED_DEFECT"]]()
    else:
        steps.OneCore = Planted
    with open(sys.argv[1]) as file:
        lowering.main(json.load(file))
