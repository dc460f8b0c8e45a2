"""Faults planted into a step, which `tpu_check` must catch by name.

Each takes a replica step and returns one that computes the same and something else beside it.

    python -m faults.planted_defects REQUEST.json

is `gala_tf.tpu_checking.lowering` with the defect that $PLANTED_DEFECT names.
"""

import json
import os
import sys

import tensorflow as tf

from gala_tf.tpu_checking import lowering, steps


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


class Planted(steps.OneCore):
    """A core whose step has the defect of the environment."""

    def trace(self, replica_step, *specs):
        return super().trace(DEFECTS[os.environ["PLANTED_DEFECT"]](replica_step), *specs)


if __name__ == "__main__":
    steps.OneCore = Planted
    with open(sys.argv[1]) as file:
        lowering.main(json.load(file))
