"""Gradients written by hand are those that TensorFlow finds by itself."""

import numpy as np
import pytest
import tensorflow as tf

from gala_tf.layers import own_gradients

RNG = np.random.default_rng(0)
S, SLOPE, OFFSET = (
    tf.constant(RNG.normal(size=shape), tf.float64)
    for shape in ((3, 5, 4, 1), (3, 1, 1, 6), (3, 1, 1, 6))
)
UPSTREAM = tf.constant(RNG.normal(size=(3, 5, 4, 6)), tf.float64)


def automatic(s, slope, offset):
    return s * slope + offset


def gradients(function, order=1):
    """The value, and all gradients; of order 2, those of the squares of the first."""
    inputs = [S, SLOPE, OFFSET]
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = function(*inputs)
            # Not linear, so that what arrives from above depends on the inputs, too.
            loss = tf.reduce_sum(tf.tanh(value) * UPSTREAM)
        first = tape.gradient(loss, inputs)
        squares = tf.add_n([tf.reduce_sum(tf.square(g)) for g in first])
    return [value, *(first if order == 1 else outer.gradient(squares, inputs))]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("compiled", [False, True])
def test_multiply_add(order, compiled):
    find = tf.function(gradients) if compiled else gradients
    found, wanted = (find(f, order) for f in (own_gradients.multiply_add, automatic))
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_multiply_add_of_any_size_in_half_precision():
    sizes = [tf.TensorSpec([None, None, None, c], tf.bfloat16) for c in (1, 6, 6)]

    @tf.function(input_signature=sizes)
    def find(s, slope, offset):
        with tf.GradientTape() as tape:
            tape.watch([s, slope, offset])
            value = own_gradients.multiply_add(s, slope, offset)
        return tape.gradient(value, [s, slope, offset])

    found = find(*(tf.cast(x, tf.bfloat16) for x in (S, SLOPE, OFFSET)))
    assert [g.shape for g in found] == [S.shape, SLOPE.shape, OFFSET.shape]
    np.testing.assert_allclose(tf.cast(found[2], tf.float32), np.full(OFFSET.shape, 20.0))
    of_s = np.broadcast_to(tf.reduce_sum(SLOPE, -1, keepdims=True), S.shape)
    np.testing.assert_allclose(tf.cast(found[0], tf.float64), of_s, atol=0.1)
