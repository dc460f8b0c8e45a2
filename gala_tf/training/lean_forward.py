"""The forward pass of a training step, with chains of layers as one operation (`lean_chain`).

    BN -> ReLU -> [padding] -> convolution, or max-pooling

where nobody else reads what lies between. Layers, variables and results are the network's own.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from gala_tf.layers import BatchNorm, lean_chain


class Chain(NamedTuple):
    """Layers that follow each other."""

    norm: BatchNorm
    between: tuple[keras.layers.Layer, ...]  # ReLU, and padding if there is any
    tail: keras.layers.Layer


class _Held:
    """A norm's input on its way to the tail, as what the layers between would have given.

    No tuple: Keras would take it apart.
    """

    def __init__(self, inputs):
        self.inputs = inputs


def make_forward(network: keras.Model) -> Callable:
    """forward(images [B, H, W, 3]) -> what `network(images, training=True)` returns.

    Of a functional network; of another it is that.
    """
    chains = find_chains(network) if hasattr(network, "_run_through_graph") else []
    if not chains:
        return lambda images: network(images, training=True)
    norms = {id(chain.norm) for chain in chains}
    between = {id(layer) for chain in chains for layer in chain.between}
    tails = {id(chain.tail): chain for chain in chains}

    def run(layer):
        def call(*arguments, **named):
            (given, *_) = arguments
            if id(layer) in norms and layer.fits_the_kernel(given) and layer.trainable:
                return _Held(given)
            if not isinstance(given, _Held):
                if getattr(layer, "_call_has_training_arg", False):
                    named["training"] = True
                return layer(*arguments, **named)
            if id(layer) in between:
                return given
            return _run_chain(tails[id(layer)], given.inputs)

        return call

    def forward(images):
        (wanted,) = network.inputs
        return network._run_through_graph(tf.cast(images, wanted.dtype), operation_fn=run)

    return forward


def find_chains(network: keras.Model) -> list[Chain]:
    """The chains of a functional network, in forward order."""
    nodes = [
        node
        for depth in sorted(network._nodes_by_depth, reverse=True)
        for node in network._nodes_by_depth[depth]
        if not node.is_input
    ]
    readers = Counter(id(x) for node in nodes for x in node.input_tensors)
    readers.update(id(x) for x in network.outputs)
    calls = Counter(id(node.operation) for node in nodes)
    next_node = {id(x): node for node in nodes for x in node.input_tensors}

    def follower(node):
        """The only node that reads a node's only output, of an operation that is called once."""
        if len(node.outputs) != 1 or readers[id(node.outputs[0])] != 1:
            return None
        found = next_node.get(id(node.outputs[0]))
        return found if found and calls[id(found.operation)] == 1 else None

    chains = []
    for node in nodes:
        if not isinstance(node.operation, BatchNorm) or calls[id(node.operation)] != 1:
            continue
        between, following = [], follower(node)
        while following and _passes(following.operation, first=not between):
            between.append(following.operation)
            following = follower(following)
        if between and following and _ends(following.operation):
            chains.append(Chain(node.operation, tuple(between), following.operation))
    return chains


def _passes(layer, first):
    """Whether a layer may lie between: ReLU, and then padding with zeros."""
    if first:
        plain = {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}
        return type(layer) is keras.layers.ReLU and all(
            getattr(layer, name) == value for name, value in plain.items()
        )
    return type(layer) is keras.layers.ZeroPadding2D


def _ends(layer):
    """Whether `_run_chain` knows a layer: a convolution that does nothing else, or a pooling."""
    if type(layer) is keras.layers.Conv2D:
        plain = layer.groups == 1 and not layer.use_bias and layer.kernel.trainable
        return plain and layer.activation is keras.activations.linear
    return type(layer) is keras.layers.MaxPooling2D


def _run_chain(chain, inputs):
    layer, paddings = chain.tail, [x.padding for x in chain.between[1:]]

    def tail(x, kernel):
        for rows, columns in paddings:
            x = tf.pad(x, [[0, 0], rows, columns, [0, 0]])
        if kernel is None:
            return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())
        return tf.nn.conv2d(
            x, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate
        )

    kernel = None
    if isinstance(layer, keras.layers.Conv2D):
        kernel = tf.cast(tf.convert_to_tensor(layer.kernel), layer.compute_dtype)
    return lean_chain.normalise_relu(chain.norm, inputs, tail, kernel)
