"""What a run has saved, compared bit for bit."""

import os

import numpy as np
import tensorflow as tf

from gala_tf.runs import checkpoints


def weights(model_dir, which="checkpoints"):
    """{variable: value} of the newest checkpoint."""
    path, _ = checkpoints.complete(os.path.join(model_dir, which))[-1]
    reader = tf.train.load_checkpoint(os.path.join(path, checkpoints.PREFIX))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
