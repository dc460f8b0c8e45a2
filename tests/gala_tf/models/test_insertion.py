"""Attention in networks that are there: what comes back, is saved, and trains."""

import keras
import numpy as np
import pytest

from gala_tf import losses
from gala_tf.models import add_attention
from gala_tf.models.insertion import choose_units

SIDE = 64
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")

# architecture: (units at stride 16, which is 4x4 here; channels of the last)
ARCHITECTURES = {
    "MobileNetV2": (7, 96),
    "ResNet50": (6, 1024),
    "ResNet101": (23, 1024),
    "ResNet50V2": (6, 1024),
    "MobileNetV3Small": (5, 48),
    "EfficientNetB0": (6, 112),
    "EfficientNetV2B0": (8, 112),
    "ConvNeXtTiny": (9, 384),
    "DenseNet121": (24, 32),
}


def source(name, **arguments):
    """A network of keras.applications with random weights and moved batch statistics."""
    wanted = {"weights": None, "input_shape": (SIDE, SIDE, 3), "classes": 5, **arguments}
    network = getattr(keras.applications, name)(**wanted)
    rng = np.random.default_rng(1)
    for weight in network.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, units, channels", [(name, *found) for name, found in ARCHITECTURES.items()]
)
def test_architecture(name, units, channels, tmp_path):
    base = source(name, classifier_activation=None)
    expected = base(IMAGES, training=False)
    network = add_attention(base, attention="gala_residual")
    outputs = network(IMAGES, training=False)
    np.testing.assert_array_equal(outputs["logits"], expected)  # the identity, to the bit
    volumes = outputs["attention"]
    assert len(volumes) == units
    assert {v.shape[1] for v in volumes.values()} == {4}
    assert list(volumes.values())[-1].shape == (2, 4, 4, channels)

    network.save(tmp_path / "with_gala.keras")
    back = keras.saving.load_model(tmp_path / "with_gala.keras", safe_mode=True)
    np.testing.assert_array_equal(back(IMAGES, training=False)["logits"], expected)

    names = list(volumes)
    back.compile(
        keras.optimizers.SGD(1e-3),
        {
            "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "attention": {name: losses.ClickmapLoss() for name in names},
        },
    )
    maps = np.random.default_rng(2).uniform(size=(2, 8, 8, 1)).astype("float32")
    before = back.get_layer(names[-1]).additive.numpy().copy()
    targets = {"logits": np.array([0, 1]), "attention": {name: maps for name in names}}
    history = back.fit(IMAGES, targets, verbose=0, batch_size=2)
    assert np.isfinite(history.history["loss"][0])
    assert np.any(back.get_layer(names[-1]).additive.numpy() != before)


def dense_head(**arguments):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv_a")(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv_b", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="top", **arguments)(x), name="small")


SMALL_IMAGES = IMAGES[:, :8, :8]


def test_units_are_names_or_a_pattern():
    base = dense_head()
    assert choose_units(base, "conv_.*") == ["conv_a", "conv_b"]
    assert choose_units(base, ["conv_b"]) == ["conv_b"]
    with pytest.raises(ValueError, match="has no layer pool.*it has conv_a, conv_b"):
        add_attention(base, ["pool"])
    with pytest.raises(ValueError, match="units='stage.' names no layer"):
        add_attention(base, "stage.")
    with pytest.raises(ValueError, match="name the units of 'small'"):
        add_attention(base)
    with pytest.raises(ValueError, match="one of se, gala, gala_residual. Received: 'none'"):
        add_attention(base, "conv_b", "none")


def test_the_literal_gate_is_the_default_and_arguments_reach_it():
    network = add_attention(dense_head(), "conv_b", reduction_ratio=2)
    assert network.get_layer("conv_b_gala").reduction_ratio == 2
    volume = network(SMALL_IMAGES)["attention"]["conv_b_gala"]
    assert float(np.abs(volume).max()) <= 1


@pytest.mark.parametrize("ending", ["activation", "layer"])
def test_a_softmax_is_left_out(ending):
    base = dense_head(activation="softmax" if ending == "activation" else None)
    if ending == "layer":
        base = keras.Model(base.inputs[0], keras.layers.Softmax()(base.outputs[0]), name="small")
    logits = add_attention(base, "conv_b", "gala_residual")(SMALL_IMAGES)["logits"]
    exponentials = np.exp(logits)
    np.testing.assert_allclose(
        exponentials / exponentials.sum(1, keepdims=True), base(SMALL_IMAGES), rtol=1e-5
    )


def test_another_head():
    base = dense_head()
    network = add_attention(base, "conv_b", classes=2, class_names=["a", "b"])
    assert network(SMALL_IMAGES)["logits"].shape == (2, 2)
    assert network.get_layer("logits").class_names == ("a", "b")
    kernels = (n.get_layer("conv_a").kernel for n in (network, base))
    np.testing.assert_array_equal(*kernels)
    features = keras.Model(base.inputs[0], base.get_layer("conv_b").output, name="features")
    bare = add_attention(features, "conv_a")
    assert bare(SMALL_IMAGES)["features"].shape == (2, 8, 8, 8)
    assert add_attention(features, "conv_a", classes=4)(SMALL_IMAGES)["logits"].shape == (2, 4)


def test_a_sequential_network_and_one_of_ours():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(8, 3, name="conv")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    base = keras.Sequential(layers)
    network = add_attention(base, "conv", "gala_residual")
    np.testing.assert_array_equal(network(SMALL_IMAGES)["logits"], base(SMALL_IMAGES))
    twice = add_attention(network, "conv", "se")
    assert set(twice.output["attention"]) == {"conv_gala_residual", "conv_se"}


def test_a_subclassed_network_is_refused():
    class Mine(keras.Model):
        pass

    with pytest.raises(ValueError, match="functional or sequential.*a Mine"):
        add_attention(Mine())
