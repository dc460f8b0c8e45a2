"""The backbone: published parameter counts by arithmetic, independent forward passes, its slots."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from gala_tf.layers import GALA, BatchNorm
from gala_tf.models import build_model, decayed_kernels, layer_number
from gala_tf.models.residual_units import PIXEL_MEAN, PIXEL_STD
from gala_tf.models.resnet import build_resnet, select_units

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "layer_names.json"
TINY = dict(
    stage_blocks=(1, 2),
    stage_widths=(8, 12),
    stem="small",
    image_size=16,
    num_classes=5,
    attention_units="stage2",
)


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def conv(kernel, c_in, c_out):  # with its batch normalisation's gamma and beta
    return kernel * kernel * c_in * c_out + 2 * c_out


def resnet_parameters(blocks, widths=(64, 128, 256, 512), classes=1000):
    """He et al. 2016, Table 1, unit by unit."""
    total, c_in = conv(7, 3, 64), 64
    for n, width in zip(blocks, widths, strict=True):
        for block in range(n):
            total += conv(1, c_in, width) + conv(3, width, width) + conv(1, width, 4 * width)
            if block == 0:
                total += conv(1, c_in, 4 * width)  # projection shortcut
            c_in = 4 * width
    return total + c_in * classes + classes


def se_parameters(channels, r):
    return channels * (channels // r) * 2 + channels // r + channels


def gala_parameters(channels, r):
    local = channels * (channels // r) + channels // r + channels // r + 1
    return se_parameters(channels, r) + local + 2 * channels


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (dict(attention="none"), 25_557_032),  # the published number
        (dict(attention="none", depth=101), 44_549_160),
        (dict(attention="se"), 25_557_032 + 6 * se_parameters(1024, 4)),
        (dict(attention="se", attention_units="all", reduction_ratio=16), 28_088_024),  # published
        (dict(attention="gala"), 25_557_032 + 6 * gala_parameters(1024, 4)),
    ],
)
def test_parameter_counts(arguments, expected):
    assert resnet_parameters((3, 4, 6, 3)) == 25_557_032
    assert resnet_parameters((3, 4, 23, 3)) == 44_549_160
    assert (
        25_557_032
        + sum(
            n * se_parameters(4 * w, 16)
            for n, w in zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)
        )
        == 28_088_024
    )
    assert trainable(build_model(**arguments)) == expected


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_papers_layers(version):
    """At depth 50 and 224 px the gated units are layers 24...39, each 14x14x1024."""
    attention = build_model(version=version).output["attention"]
    assert [layer_number(name, (3, 4, 6, 3)) for name in attention] == [24, 27, 30, 33, 36, 39]
    assert {tuple(volume.shape[1:]) for volume in attention.values()} == {(14, 14, 1024)}


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152, 200])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_depth_builds(depth, version):
    model = build_model(
        depth=depth,
        version=version,
        width_multiplier=0.125,
        image_size=64,
        num_classes=3,
        attention="se",
    )
    logits = model(np.zeros((2, 64, 64, 3), "float32"))["logits"]
    assert logits.shape == (2, 3) and logits.dtype == tf.float32


def test_logits_equal_keras_applications():
    """Same structure, random weights, no shared code: ResNet-50, strides in the first 1x1."""
    theirs = keras.applications.ResNet50(
        weights=None, classifier_activation=None, classes=7, input_shape=(64, 64, 3)
    )
    mine = build_resnet(
        unit="bottleneck",
        stage_blocks=(3, 4, 6, 3),
        image_size=64,
        num_classes=7,
        stride_in_1x1=True,
        batch_norm_epsilon=1.001e-5,
    )
    rng = np.random.default_rng(0)
    for name, layer in their_layers(theirs, (3, 4, 6, 3)).items():
        weights = [random_weight(rng, v) for v in layer.variables]
        layer.set_weights(weights)
        mine.get_layer(name).set_weights(
            weights[:1] if isinstance(layer, keras.layers.Conv2D) else weights
        )
    pixels = rng.uniform(0, 255, size=(2, 64, 64, 3)).astype("float32")
    normalised = (pixels - np.array(PIXEL_MEAN)) / np.array(PIXEL_STD)
    expected = theirs(normalised.astype("float32"))
    np.testing.assert_allclose(mine(pixels)["logits"], expected, rtol=2e-3, atol=2e-3)
    assert np.std(expected) > 0.01


def random_weight(rng, variable):
    if variable.name == "kernel":
        return rng.normal(size=variable.shape) / np.sqrt(np.prod(variable.shape[:-1]))
    if variable.name == "bias" and len(variable.shape) == 1 and "conv" in variable.path:
        return np.zeros(variable.shape)  # ours have none before a batch normalisation
    if variable.name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, size=variable.shape)
    return rng.normal(size=variable.shape) * 0.1


def their_layers(model, blocks):
    """{our name: keras.applications' layer} of all layers with weights."""
    names = {"stem_conv": "conv1_conv", "stem_bn": "conv1_bn", "logits": "predictions"}
    for stage, n in enumerate(blocks, 1):
        for block in range(1, n + 1):
            unit, theirs = f"stage{stage}_block{block}", f"conv{stage + 1}_block{block}"
            for i in (1, 2, 3):
                names[f"{unit}_conv{i}"] = f"{theirs}_{i}_conv"
                names[f"{unit}_conv{i}_bn"] = f"{theirs}_{i}_bn"
            if block == 1:
                names[f"{unit}_shortcut"] = f"{theirs}_0_conv"
                names[f"{unit}_shortcut_bn"] = f"{theirs}_0_bn"
    return {mine: model.get_layer(theirs) for mine, theirs in names.items()}


# --------------------------------------------------------------- a NumPy forward pass


def np_conv(x, kernel, stride=1):
    """Cross-correlation with symmetric zero padding, loops and all."""
    k = kernel.shape[0]
    pad = k // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height = (x.shape[1] - k) // stride + 1
    width = (x.shape[2] - k) // stride + 1
    y = np.zeros((x.shape[0], height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            patch = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
            y[:, i, j] = np.tensordot(patch, kernel, 3)
    return y


class NumpyResNet:
    """The network of TINY, written from the paper and not from `resnet.py`."""

    def __init__(self, model, version):
        self.version = version
        self.w = {v.path: v.numpy().astype("float64") for v in model.variables}

    def conv(self, x, name, stride=1):
        return np_conv(x, self.w[f"{name}/kernel"], stride)

    def bn(self, x, name):
        w = {k: self.w[f"{name}/{k}"] for k in ("gamma", "beta", "moving_mean", "moving_variance")}
        return (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-5) * w["gamma"] + w[
            "beta"
        ]

    def bn_relu(self, x, name):
        return np.maximum(self.bn(x, name), 0)

    def gala(self, x, name):
        w = lambda part: self.w[f"{name}/{part}"]  # noqa: E731
        dense = lambda z, part: z @ w(f"{part}/kernel") + w(f"{part}/bias")  # noqa: E731
        g = dense(
            np.maximum(dense(x.mean((1, 2), keepdims=True), "global_context/shrink"), 0),
            "global_context/expand",
        )
        conv1x1 = lambda z, part: z @ w(f"{part}/kernel")[0, 0] + w(f"{part}/bias")  # noqa: E731
        s = conv1x1(np.maximum(conv1x1(x, "local_saliency/shrink"), 0), "local_saliency/collapse")
        return x * np.tanh(w("additive") * (g + s) + w("multiplicative") * (g * s))

    def unit(self, x, name, stride, projects, gated):
        pre = x if self.version == "v1" else self.bn_relu(x, f"{name}_pre_bn")
        y = self.bn_relu(self.conv(pre, f"{name}_conv1"), f"{name}_conv1_bn")
        y = self.bn_relu(self.conv(y, f"{name}_conv2", stride), f"{name}_conv2_bn")
        y = self.conv(y, f"{name}_conv3")
        if self.version == "v1":
            y = self.bn(y, f"{name}_conv3_bn")
        if gated:
            y = self.gala(y, f"{name}_gala")
        if projects:
            x = self.conv(pre, f"{name}_shortcut", stride)
            if self.version == "v1":
                x = self.bn(x, f"{name}_shortcut_bn")
        return np.maximum(x + y, 0) if self.version == "v1" else x + y

    def __call__(self, pixels):
        x = (pixels - np.array(PIXEL_MEAN)) / np.array(PIXEL_STD)
        x = self.conv(x, "stem_conv", 2)
        if self.version == "v1":
            x = self.bn_relu(x, "stem_bn")
        x = self.unit(x, "stage1_block1", 1, projects=True, gated=False)
        x = self.unit(x, "stage2_block1", 2, projects=True, gated=True)
        x = self.unit(x, "stage2_block2", 1, projects=False, gated=True)
        if self.version == "v2":
            x = self.bn_relu(x, "head_bn")
        return x.mean((1, 2)) @ self.w["logits/kernel"] + self.w["logits/bias"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_logits_equal_numpy(version):
    model = build_model(version=version, **TINY)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(random_weight(rng, variable))
    pixels = rng.uniform(0, 255, size=(2, 16, 16, 3)).astype("float32")
    expected = NumpyResNet(model, version)(pixels)
    np.testing.assert_allclose(model(pixels)["logits"], expected, rtol=1e-3, atol=1e-4)


# --------------------------------------------------------------- slots, names, initial values


def test_layer_names_are_the_golden_ones():
    """Checkpoints and plots refer to them. If a change is meant, write the file anew:
    python -c "import json, gala_tf.models as m; print(json.dumps([l.name for l in m.build_model().layers], indent=0))" > tests/golden/layer_names.json
    """  # noqa: E501
    assert [layer.name for layer in build_model().layers] == json.loads(GOLDEN.read_text())


def test_any_layer_that_keeps_the_contract_fits_the_slot():
    class Halve(keras.layers.Layer):
        def call(self, x, training=None):
            return x * 0.5, keras.ops.full_like(x, 0.5)

    model = build_resnet(
        unit="basic",
        stage_blocks=(1, 1),
        stage_widths=(4, 8),
        stem="tiny",
        image_size=8,
        num_classes=2,
        make_attention=lambda name: Halve(name=name),
        attention_suffix="halve",
        attention_units="stage1,stage2_block1",
    )
    outputs = model(np.zeros((1, 8, 8, 3), "float32"))
    assert list(outputs["attention"]) == ["stage1_block1_halve", "stage2_block1_halve"]
    assert np.all(outputs["attention"]["stage2_block1_halve"] == 0.5)


@pytest.mark.parametrize(
    "units, expected",
    [
        ("stage3", ["stage3_block1", "stage3_block2"]),
        ("stage3_block2, stage1", ["stage1_block1", "stage3_block2"]),
        ("all", ["stage1_block1", "stage2_block1", "stage3_block1", "stage3_block2"]),
    ],
)
def test_select_units(units, expected):
    assert select_units(units, (1, 1, 2)) == expected


def test_activity_is_exposed_without_attention():
    outputs = build_model(attention="none", **TINY)(np.zeros((1, 16, 16, 3), "float32"))
    assert outputs["attention"] == {}
    assert list(outputs["activity"]) == ["stage2_block1", "stage2_block2"]
    assert outputs["activity"]["stage2_block1"].shape == (1, 4, 4, 48)


def test_activity_is_the_gated_dense_path():
    model = build_model(**TINY)
    model.get_layer("stage2_block2_gala").additive.assign(np.zeros(48))
    model.get_layer("stage2_block2_gala").multiplicative.assign(np.zeros(48))  # A = tanh 0 = 0
    outputs = model(np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)))
    assert np.all(outputs["activity"]["stage2_block2"] == 0)
    assert np.any(outputs["activity"]["stage2_block1"] != 0)


def test_zero_init_spares_gated_units():
    """A gate on zeros has no gradient."""
    model = build_model(zero_init_residual=True, **TINY)
    assert np.all(model.get_layer("stage1_block1_conv3_bn").gamma == 0)
    assert np.all(model.get_layer("stage2_block1_conv3_bn").gamma == 1)


def test_every_weight_gets_a_gradient():
    model = build_model(**TINY)
    x = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.log_softmax(model(x, training=True)["logits"])[:, 0])
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient.numpy() != 0), variable.path


def test_decayed_kernels_are_the_kernels():
    """Every kernel, and neither batch normalisation, biases, nor GALA's a and m."""
    model = build_model(**TINY)
    decayed = {v.path for v in decayed_kernels(model)}
    assert decayed == {v.path for v in model.trainable_variables if v.name == "kernel"}
    assert len(decayed) == 1 + 3 + 1 + 3 + 1 + 3 + 2 * 4 + 1  # stem, units, two GALA, logits


def test_saves_and_loads_whole(tmp_path):
    model = build_model(**TINY)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    for a, b in zip(tf.nest.flatten(model(x)), tf.nest.flatten(loaded(x)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert isinstance(loaded.get_layer("stage2_block1_gala"), GALA)
    assert isinstance(loaded.get_layer("stem_bn"), BatchNorm)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            dict(attention="gelu"),
            "attention must be one of none, se, gala, gala_residual. Received: 'gelu'",
        ),
        (dict(depth=51), r"depth must be one of \[18, 34, .*Received: 51"),
        (dict(attention_units="stage9"), "'stage9' is neither .* stage1_block1"),
        (dict(version="v3"), "version must be 'v1' or 'v2'. Received: 'v3'"),
        (dict(stem="big"), "stem must be one of .* Received: 'big'"),
        (dict(stage_blocks=(1, 1), stage_widths=(4,)), "same number of stages"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_model(**arguments)
