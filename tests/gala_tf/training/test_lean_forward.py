"""The forward pass that keeps less for its gradients: the same numbers, and what it fuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gala_tf import models
from gala_tf.layers import BatchNorm
from gala_tf.training import lean_forward

SMALL = dict(
    attention_units="all", stage_blocks=(1, 1), stage_widths=(4, 8), image_size=32, num_classes=5
)


def small_network(**changes):
    keras.utils.set_random_seed(0)
    network = models.build_model(**{**SMALL, "stem": "imagenet", **changes})
    for layer in network.layers:
        if isinstance(layer, BatchNorm):  # of new ones, gamma = 1 and beta = 0 would hide mistakes
            shape, rng = layer.gamma.shape, np.random.default_rng(len(layer.name))
            layer.gamma.assign(rng.uniform(0.5, 1.5, shape))
            layer.beta.assign(rng.normal(0, 0.3, shape))
    return network


def gradients_of(network, forward, images):
    """({variable: gradient}, logits, {moving statistic}) of a step's forward pass."""
    kept = network.get_weights()

    @tf.function
    def run(images):
        with tf.GradientTape() as tape:
            outputs = forward(images)
            loss = tf.reduce_sum(tf.square(outputs["logits"] - 1.0))
            for volume in outputs["attention"].values():
                loss += tf.reduce_sum(tf.square(tf.cast(volume, tf.float32)))
        return tape.gradient(loss, network.trainable_variables), outputs["logits"]

    gradients, logits = run(images)
    moving = {v.path: v.numpy() for v in network.non_trainable_variables}
    network.set_weights(kept)
    by_path = zip(network.trainable_variables, gradients, strict=True)
    return {v.path: g.numpy() for v, g in by_path}, logits.numpy(), moving


def both(network, images):
    return (
        gradients_of(network, lambda x: network(x, training=True), images),
        gradients_of(network, lean_forward.make_forward(network), images),
    )


IMAGES = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3)).astype("uint8")


@pytest.mark.parametrize(
    "version, attention",
    [
        ("v1", "gala"),
        ("v2", "none"),
        pytest.param("v1", "none", marks=pytest.mark.slow),
        pytest.param("v2", "gala", marks=pytest.mark.slow),
    ],
)
def test_the_same_numbers(version, attention):
    network = small_network(version=version, attention=attention, attention_units="stage2")
    (plain, logits, moving), (lean, lean_logits, lean_moving) = both(network, IMAGES)
    np.testing.assert_array_equal(lean_logits, logits)
    for path, value in moving.items():
        np.testing.assert_array_equal(lean_moving[path], value, err_msg=path)
    largest = max(map(np.linalg.norm, plain.values()))
    for path, gradient in plain.items():
        # Behind another BN a beta's gradient nearly cancels: roundings are of the whole.
        apart = np.linalg.norm(lean[path] - gradient)
        assert apart <= 1e-5 * np.linalg.norm(gradient) + 1e-7 * largest, path


@pytest.mark.slow
def test_the_same_numbers_in_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = small_network()
    finally:
        keras.config.set_dtype_policy("float32")
    (plain, logits, _), (lean, lean_logits, _) = both(network, IMAGES)
    np.testing.assert_allclose(lean_logits, logits, atol=1e-6)
    for path, gradient in plain.items():
        assert lean[path].dtype == np.float32
        apart = np.linalg.norm(lean[path] - gradient) / np.linalg.norm(gradient)
        assert apart < 0.05, path


def test_chains_of_a_unit():
    network = small_network()
    found = {
        chain.norm.name: ([layer.name for layer in chain.between], chain.tail.name)
        for chain in lean_forward.find_chains(network)
    }
    assert found["stem_bn"] == (["stem_relu", "stem_pool_pad"], "stem_pool")
    assert found["stage1_block1_conv1_bn"] == (
        ["stage1_block1_conv1_relu"],
        "stage1_block1_conv2",
    )
    assert found["stage2_block1_conv1_bn"] == (
        ["stage2_block1_conv1_relu", "stage2_block1_conv2_pad"],
        "stage2_block1_conv2",
    )
    # A unit's last BN, and that of its shortcut, lead into the sum.
    assert set(found) == {"stem_bn"} | {
        f"stage{stage}_block1_conv{i}_bn" for stage in (1, 2) for i in (1, 2)
    }


def test_what_others_read_stays():
    """A ReLU that two layers read is kept by both in any case; one that is an output is wanted."""
    images = keras.Input([8, 8, 3])
    normed = keras.layers.ReLU(name="relu")(BatchNorm(name="bn")(images))
    one = keras.layers.Conv2D(4, 1, use_bias=False, name="one")(normed)
    two = keras.layers.Conv2D(4, 1, use_bias=False, name="two")(normed)
    assert lean_forward.find_chains(keras.Model(images, [one, two])) == []
    assert lean_forward.find_chains(keras.Model(images, [one, normed])) == []
    (chain,) = lean_forward.find_chains(keras.Model(images, one))
    assert (chain.norm.name, chain.tail.name) == ("bn", "one")


@pytest.mark.parametrize(
    "tail",
    [dict(use_bias=True), dict(activation="tanh", use_bias=False), dict(groups=3, use_bias=False)],
)
def test_convolutions_that_do_more_stay(tail):
    images = keras.Input([8, 8, 3])
    normed = keras.layers.ReLU()(BatchNorm()(images))
    network = keras.Model(images, keras.layers.Conv2D(6, 1, **tail)(normed))
    assert lean_forward.find_chains(network) == []


@pytest.mark.slow
def test_norms_that_the_kernel_cannot_compute_run_as_they_are():
    network = small_network(synchronized_batch_norm=True)
    (plain, logits, _), (lean, lean_logits, _) = both(network, IMAGES)
    np.testing.assert_array_equal(lean_logits, logits)
    for path, gradient in plain.items():
        np.testing.assert_array_equal(lean[path], gradient, err_msg=path)


def test_frozen_norms_keep_their_statistics():
    network = small_network()
    network.get_layer("stage1_block1_conv1_bn").trainable = False
    (_, logits, moving), (_, lean_logits, lean_moving) = both(network, IMAGES)
    np.testing.assert_array_equal(lean_logits, logits)
    for path, value in moving.items():
        np.testing.assert_array_equal(lean_moving[path], value, err_msg=path)


def test_nothing_between_is_kept_for_the_gradient():
    """Of the forward pass, the gradient reads BN's input, and no tensor behind ReLU or padding."""
    images = keras.Input([8, 8, 3])
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="before")(images)
    x = keras.layers.ReLU(name="relu")(BatchNorm(name="bn")(x))
    x = keras.layers.ZeroPadding2D(1, name="pad")(x)
    network = keras.Model(images, keras.layers.Conv2D(4, 3, 2, use_bias=False, name="after")(x))

    def readers_behind_relu(forward):
        """Types of what reads the first ReLU's output, and the first padding's."""

        @tf.function
        def run(images):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(forward(images)))
            return tape.gradient(loss, network.trainable_variables)

        graph = run.get_concrete_function(tf.TensorSpec([2, 8, 8, 3])).graph
        first = {o.type: o for o in reversed(graph.get_operations()) if o.type in ("Relu", "Pad")}
        again = [o for o in graph.get_operations() if o.type == "FusedBatchNormV3"][1:]
        return {t: {c.type for c in o.outputs[0].consumers()} for t, o in first.items()}, again

    plain, again = readers_behind_relu(lambda x: network(x, training=True))
    assert plain["Relu"] == {"Pad", "ReluGrad"} and not again
    assert "Conv2DBackpropFilter" in plain["Pad"]
    lean, again = readers_behind_relu(lean_forward.make_forward(network))
    assert lean == {"Relu": {"Pad"}, "Pad": {"Conv2D"}}
    (norm,) = again
    waiting, waits = [norm], False
    while waiting and not waits:  # it, or what it is computed from
        operation = waiting.pop()
        waits = bool(operation.control_inputs)
        waiting += [x.op for x in operation.inputs]
    assert waits, "normalised again only when the gradient is there"
