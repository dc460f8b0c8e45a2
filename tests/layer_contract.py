"""What every attention layer must keep, whoever wrote it: called for each entry of ATTENTION.

Not a test file: `test_layers.py` runs `check_layer` over the table, so that a new layer is tested
by adding its line there.
"""

import keras
import numpy as np
import tensorflow as tf

BATCH, HEIGHT, WIDTH, CHANNELS = 3, 5, 4, 16


def check_layer(layer_class, tmp_path):
    """Runs all checks on a layer class."""
    x = np.random.default_rng(0).normal(size=(BATCH, HEIGHT, WIDTH, CHANNELS)).astype("float32")
    check_shapes_and_gate(layer_class, x)
    check_config_round_trip(layer_class, x)
    check_gradient_reaches_every_weight(layer_class, x)
    check_images_do_not_see_each_other(layer_class, x)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        check_mixed_precision(layer_class, x, policy)
    check_saves_and_loads(layer_class, x, tmp_path)


def check_shapes_and_gate(layer_class, x):
    """gated has the input's shape, attention broadcasts to it, and gated = x . attention."""
    layer = layer_class()
    gated, attention = layer(x, training=True)
    assert gated.shape == x.shape
    assert np.broadcast_shapes(tuple(attention.shape), x.shape) == x.shape
    np.testing.assert_allclose(gated, x * attention, rtol=1e-6)
    spec = keras.KerasTensor((None, None, None, CHANNELS))
    symbolic = layer_class()(spec)
    assert symbolic[0].shape == (None, None, None, CHANNELS)  # any height and width
    alone = layer_class(return_attention=False)
    alone.build(x.shape)
    alone.set_weights(layer.get_weights())
    np.testing.assert_array_equal(alone(x), gated)
    assert keras.Sequential([alone]).compute_output_shape(x.shape) == x.shape


def check_config_round_trip(layer_class, x):
    """from_config(get_config()) is the same layer: with the same weights, the same result."""
    layer = layer_class(name="original")
    expected = layer(x)
    copy = layer_class.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy.build(x.shape)
    copy.set_weights(layer.get_weights())
    for mine, theirs in zip(copy(x), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def check_gradient_reaches_every_weight(layer_class, x):
    """A loss on the gated activity moves every weight of a fresh layer, within two steps.

    Not in the first of a layer that starts as the identity: all but its own weights are behind 0.
    """
    layer = layer_class()
    layer.build(x.shape)
    moved = {}
    for _ in range(2):
        with tf.GradientTape() as tape:
            gated, _ = layer(x, training=True)
            loss = tf.reduce_sum(tf.square(gated - 1.0))
        variables = layer.trainable_variables
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            assert gradient is not None, variable.path
            assert np.all(np.isfinite(gradient.numpy())), variable.path
            moved[variable.path] = moved.get(variable.path) or np.any(gradient.numpy() != 0)
            variable.assign_sub(1e-3 * gradient)
    assert all(moved.values()), moved


def check_images_do_not_see_each_other(layer_class, x):
    """An image's result does not depend on what else is in the batch."""
    layer = layer_class()
    together, _ = layer(x)
    alone, _ = layer(x[1:2])
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-5, atol=1e-6)


def check_mixed_precision(layer_class, x, policy):
    """Computes in 16 bits with float32 weights, near the float32 result."""
    reference = layer_class()
    expected, _ = reference(x)
    layer = layer_class(dtype=policy)
    layer.build(x.shape)
    layer.set_weights(reference.get_weights())
    gated, attention = layer(x)
    half = policy.removeprefix("mixed_")
    assert gated.dtype == half and attention.dtype == half
    assert {v.dtype for v in layer.variables} == {"float32"}
    np.testing.assert_allclose(tf.cast(gated, tf.float32), expected, atol=0.06)


def check_saves_and_loads(layer_class, x, tmp_path):
    """Survives a `.keras` file."""
    inputs = keras.Input(x.shape[1:])
    gated, attention = layer_class(name="attend")(inputs)
    model = keras.Model(inputs, {"gated": gated, "attention": attention})
    path = tmp_path / f"{layer_class.__name__}.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    for name, value in model(x).items():
        np.testing.assert_array_equal(loaded(x)[name], value)
