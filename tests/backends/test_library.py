"""The library on the backend of Keras: KERAS_BACKEND=jax python -m pytest tests/backends

Nothing here knows a backend: expected values are NumPy's. `.ci/run backends` runs it on each, in
environments of their own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from gala_tf import losses, metrics, models
from gala_tf.layers import ATTENTION, GALA, BatchNorm, ResidualGALA

RNG = np.random.default_rng(0)
ROOT = Path(__file__).resolve().parents[2]
LAYERS = {name: layer for name, layer in ATTENTION.items() if layer}
X = RNG.normal(size=(3, 6, 6, 8)).astype("float32")
MAPS = RNG.uniform(0.1, 3, size=(3, 12, 12, 1)).astype("float32")


def numpy_of(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


@pytest.mark.slow
def test_importing_the_library_leaves_the_readers_backend_alone():
    code = "import keras, gala_tf.layers, gala_tf.losses, gala_tf.metrics, gala_tf.models\n"
    code += "import os, json; print(json.dumps([keras.backend.backend(), dict(os.environ)]))"
    wanted = keras.backend.backend()
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": wanted},
    )
    assert result.returncode == 0, result.stderr
    backend, environment = json.loads(result.stdout.splitlines()[-1])
    assert backend == wanted == environment["KERAS_BACKEND"]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_layer(name, policy, tmp_path):
    """Gate, saving, and a step of training in which every weight moves after at most two."""
    inputs = keras.Input(X.shape[1:])
    layer = LAYERS[name](name="attend", dtype=policy)
    gated, attention = layer(inputs)
    model = keras.Model(inputs, {"gated": gated, "attention": attention})
    out = model(X, training=False)
    np.testing.assert_allclose(
        numpy_of(out["gated"]), X * numpy_of(out["attention"]), rtol=0.02, atol=0.02
    )
    model.save(tmp_path / "layer.keras")
    back = keras.saving.load_model(tmp_path / "layer.keras", safe_mode=True)
    np.testing.assert_array_equal(
        numpy_of(back(X, training=False)["gated"]), numpy_of(out["gated"])
    )
    before = [numpy_of(v) for v in layer.trainable_variables]
    head = keras.Model(inputs, gated)
    head.compile(keras.optimizers.SGD(0.1), "mse")
    head.fit(X, np.ones_like(X), epochs=2, verbose=0)
    for old, variable in zip(before, layer.trainable_variables, strict=True):
        assert np.any(old != numpy_of(variable)), variable.path


def test_gala_equals_the_papers_formula():
    layer = GALA(name="gala")
    layer.build(X.shape)
    layer.set_weights([RNG.normal(size=w.shape).astype("float32") for w in layer.get_weights()])
    w = {v.path.split("/", 1)[1]: numpy_of(v).astype("float64") for v in layer.variables}
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    g = relu(X.mean((1, 2)) @ w["global_context/shrink/kernel"] + w["global_context/shrink/bias"])
    g = (g @ w["global_context/expand/kernel"] + w["global_context/expand/bias"])[:, None, None]
    s = relu(X @ w["local_saliency/shrink/kernel"][0, 0] + w["local_saliency/shrink/bias"])
    s = s @ w["local_saliency/collapse/kernel"][0, 0] + w["local_saliency/collapse/bias"]
    expected = np.tanh(w["additive"] * (g + s) + w["multiplicative"] * (g * s))
    np.testing.assert_allclose(numpy_of(layer(X)[1]), expected, atol=2e-5)
    same = ResidualGALA()
    np.testing.assert_array_equal(numpy_of(same(X)[0]), X)  # starts as the identity


def test_batch_norm_equals_keras():
    results = []
    for layer_class in (BatchNorm, keras.layers.BatchNormalization):
        layer = layer_class(momentum=0.5)
        trained = numpy_of(layer(X, training=True))
        results.append([trained, numpy_of(layer(X, training=False)), *layer.get_weights()])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
def test_maps_are_resized_alike_on_all_backends(method):
    """Twofold, by hand: what each cell takes of one row."""
    column = np.zeros((1, 8, 1, 1), "float32")
    column[0, 3] = 1.0
    got = numpy_of(losses.resize_maps(np.tile(column, (1, 1, 8, 1)), 4, method))[0, :, 1, 0]
    bilinear = np.array([0.0, 3.0, 1.0, 0.0]) / 8
    # Keys' kernel at 0.25 and 0.75; a tap outside, at 1.75, is left out and the others share its
    # weight. Below 0, at 1.25 and 1.75, maps are cut off.
    bicubic = np.array([0, 0.8671875, 0.2265625, 0]) / (2 + 0.0234375)
    expected = {"area": [0, 2, 0, 0], "bilinear": bilinear, "bicubic": bicubic}[method]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_clickmap_loss_equals_numpy():
    human = MAPS.reshape(3, 6, 2, 6, 2).sum((2, 4))[..., None]
    columns = np.sqrt((X.astype("float64") ** 2).sum(-1))
    unit = [m / np.linalg.norm(m, axis=(1, 2), keepdims=True) for m in (human[..., 0], columns)]
    expected = np.linalg.norm(unit[0] - unit[1], axis=(1, 2))
    weights = np.array([1.0, 0.0, 1.0], "float32")
    got = float(losses.ClickmapLoss("area")(MAPS, X, sample_weight=weights))
    assert got == pytest.approx((expected * weights).sum() / 3, rel=1e-5)


def test_metrics_have_the_evaluations_numbers():
    human = MAPS.reshape(3, 6, 2, 6, 2).sum((2, 4))
    columns = np.sqrt((X**2).sum(-1))
    expected = metrics.spearman(columns.reshape(3, -1), human.reshape(3, -1))
    metric = metrics.MapAgreement()
    metric.update_state(MAPS[:2], X[:2])
    metric.update_state(MAPS[2:], X[2:])
    assert float(metric.result()) == pytest.approx(expected.mean(), abs=1e-6)


TINY = dict(stage_blocks=(1, 1), stage_widths=(4, 8), stem="tiny", attention_units="all")


def compiled(network, learning_rate=0.1):
    names = list(network.output["attention"])
    network.compile(
        keras.optimizers.SGD(learning_rate),
        loss={
            "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "attention": {name: losses.ClickmapLoss() for name in names},
        },
        metrics={
            "logits": ["accuracy"],
            "attention": {name: [metrics.MapAgreement()] for name in names},
        },
    )
    images = RNG.uniform(0, 255, (6, 16, 16, 3)).astype("float32")
    maps = RNG.uniform(0, 1, (6, 16, 16, 1)).astype("float32")
    targets = {"logits": np.arange(6) % 3, "attention": {name: maps for name in names}}
    has = np.array([1, 1, 0, 1, 1, 0], "float32")
    weights = {"logits": np.ones(6, "float32"), "attention": {name: has for name in names}}
    return network.fit(images, targets, sample_weight=weights, epochs=3, batch_size=6, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["gala", "gala_residual"])
def test_our_network_fits_maps(attention):
    network = models.build_model(attention=attention, image_size=16, num_classes=3, **TINY)
    outputs = {"logits": network.output["logits"], "attention": network.output["attention"]}
    history = compiled(keras.Model(network.inputs[0], outputs)).history
    assert history["loss"][-1] < history["loss"][0]


def small_network():
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv1")(x)
    x = ops.relu(keras.layers.BatchNormalization(name="bn1")(x))
    x = x + keras.layers.Conv2D(8, 3, padding="same", name="conv2")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(3, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="mine")


def test_add_attention_keeps_the_network_and_trains(tmp_path):
    base = small_network()
    network = models.add_attention(base, ["conv1", "conv2"], "gala_residual")
    images = RNG.uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    outputs = network(images, training=False)
    assert list(outputs["attention"]) == ["conv1_gala_residual", "conv2_gala_residual"]
    exponentials = np.exp(numpy_of(outputs["logits"]))  # the softmax is left out
    np.testing.assert_allclose(
        numpy_of(base(images, training=False)),
        exponentials / exponentials.sum(1, keepdims=True),
        rtol=1e-5,
    )
    before = base.get_weights()
    history = compiled(network, 0.01).history
    assert np.isfinite(history["loss"]).all()
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # the network given is not touched
    network.save(tmp_path / "network.keras")
    back = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_allclose(
        numpy_of(back(images, training=False)["logits"]),
        numpy_of(network(images, training=False)["logits"]),
        atol=1e-6,
    )


def test_a_torchvision_state_fits(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    network = models.build_model(attention="none", image_size=16, num_classes=3, **TINY)
    state = {"conv1.weight": RNG.normal(size=(4, 3, 3, 3)).astype("float32")}
    rest = {v.path: numpy_of(v) for v in network.weights if v.path != "stem_conv/kernel"}
    safetensors.save_file({**state, **rest}, tmp_path / "state.safetensors")
    loaded = models.load_weights(network, str(tmp_path / "state.safetensors"))
    assert not loaded.new and not loaded.skipped
    np.testing.assert_array_equal(
        numpy_of(network.get_layer("stem_conv").kernel),
        state["conv1.weight"].transpose(2, 3, 1, 0),
    )
