"""How a classifier ends: in logits, in probabilities, or in what only its numbers tell.

Told once for the whole network, by the step that makes its class scores: row by row a rounded
softmax would pass for logits, and small logits for probabilities.

B images, K classes
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

LOGITS, PROBABILITIES, SIGMOIDS = "logits", "probabilities", "sigmoids"

# Steps that leave class scores as they are, but for their shape or dtype: layers, and the plain
# operations of `keras.ops` by the names of their classes, which Keras does not export.
PASSING_LAYERS = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)
PASSING_OPERATIONS = ("Cast", "Identity", "Reshape", "Squeeze", "StopGradient")


class Ending(NamedTuple):
    """The last step that makes class scores, and what follows it."""

    step: Any  # a layer, an operation of `keras.ops`, or a network inside the network
    given: Sequence[Any]  # the symbolic tensors that it was called with
    passing: Sequence[Any]  # the steps after it, first to last, which change nothing


def functional(network):
    """The network as a graph of its own; None where Keras knows none, or of several outputs."""
    if isinstance(network, keras.Sequential) and network.inputs:
        # Called again: a loaded Sequential keeps tensors of more than one graph.
        inputs = outputs = keras.Input(network.input_shape[1:], dtype=network.inputs[0].dtype)
        for layer in network.layers:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)
    outputs = getattr(network, "outputs", None)
    one = outputs and len(outputs) == 1 and not isinstance(network.output, dict)
    return network if one else None


def ending(graph) -> Ending:
    """How a network of `functional` ends."""
    tensor, passing = graph.outputs[0], []
    while True:
        # Of this tensor: a layer's own `output` is that of its first call, perhaps elsewhere.
        history = tensor._keras_history
        step = history.operation
        given = step._inbound_nodes[history.node_index].input_tensors
        if len(given) != 1 or not _passes(step):
            return Ending(step, given, passing)
        tensor = given[0]
        passing.insert(0, step)


def _passes(step) -> bool:
    if isinstance(step, keras.layers.Activation):
        return step.activation is keras.activations.linear
    if isinstance(step, keras.layers.Layer):
        return isinstance(step, PASSING_LAYERS)
    return type(step).__name__ in PASSING_OPERATIONS


def is_softmax(step) -> bool:
    """Whether a step is a softmax over classes, or a layer that ends in one."""
    axis, last = getattr(step, "axis", -1), (-1, (-1,), [-1])
    if not _applies(step, "softmax", "Softmax"):
        return False
    return axis in last or axis == len(step._inbound_nodes[0].input_tensors[0].shape) - 1


def _applies(step, activation: str, operation: str) -> bool:
    """Whether a step is that operation, a layer of that name, or has that activation."""
    own = getattr(step, "activation", None)
    return own is getattr(keras.activations, activation) or type(step).__name__ == operation


def score_kind(network) -> str:
    """What a network's class scores are by its last step; empty where that does not tell.

    Not told are subclassed networks, and sums, products or means of scores.
    """
    if isinstance(getattr(network, "output", None), dict):
        return LOGITS if "logits" in network.output else ""
    graph = functional(network)
    if graph is None:
        return ""
    step = ending(graph).step
    if isinstance(step, keras.Model):
        return score_kind(step)
    if is_softmax(step):
        return PROBABILITIES
    if _applies(step, "sigmoid", "Sigmoid"):
        return SIGMOIDS
    linear = getattr(step, "activation", None) is keras.activations.linear
    return LOGITS if linear or _applies(step, "log_softmax", "LogSoftmax") else ""


def kind_of_numbers(class_scores, dtype: str = "float32") -> str:
    """What class scores [B, K] look like, all rows together: probabilities, or else logits.

    `dtype` is that in which they were computed, the coarsest.
    """
    scores = np.asarray(class_scores, np.float64)
    scores = scores[np.isfinite(scores).all(1)]
    # Of a sum of rounded probabilities. Measured for 2 to 21,000 classes: 0.0027 off in bfloat16,
    # 0.0004 in float16, where the softmax itself is in float32; some devices round within it, too.
    tolerance = {"float64": 1e-3, "float32": 1e-3, "float16": 4e-3, "bfloat16": 0.03}[dtype]
    close = abs(scores.sum(1) - 1) < tolerance
    return PROBABILITIES if len(scores) and (scores >= 0).all() and close.all() else LOGITS


def coarsest_dtype(network) -> str:
    """Of the dtypes that a network's layers compute in, the one with the fewest digits."""
    parts = network._flatten_layers() if isinstance(network, keras.Layer) else ()
    dtypes = {str(part.compute_dtype) for part in parts}
    coarsest_first = ("bfloat16", "float16", "float32", "float64")
    return next((name for name in coarsest_first if name in dtypes), "float32")
