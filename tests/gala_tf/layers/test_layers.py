"""The attention layers: the contract of all, the paper's formulas, and their messages."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_layer

from gala_tf import layers, losses
from gala_tf.layers import (
    ATTENTION,
    GALA,
    BatchNorm,
    ClassLogits,
    GlobalContext,
    LocalSaliency,
    ResidualGALA,
    SqueezeExcite,
)

LAYERS = {name: layer for name, layer in ATTENTION.items() if layer is not None}


@pytest.mark.parametrize("name", LAYERS)
def test_attention_layer_keeps_contract(name, tmp_path):
    check_layer(LAYERS[name], tmp_path)


def test_table_holds_every_attention_layer():
    helpers = {BatchNorm, ClassLogits, GlobalContext, LocalSaliency}
    public = {getattr(layers, n) for n in layers.__all__ if n != "ATTENTION"} - helpers
    assert public == set(LAYERS.values())


def randomised(layer, shape, seed=0):
    """The layer, built, with random weights (the initial a = m = 1 would hide mistakes)."""
    rng = np.random.default_rng(seed)
    layer.build(shape)
    layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.get_weights()])
    return layer


def numpy_gala(x, layer):
    """Section 3.1 in float64 NumPy, tiled as the paper writes it."""
    w = {v.path.split("/", 1)[-1]: v.numpy().astype("float64") for v in layer.variables}
    x = x.astype("float64")
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    p = x.mean((1, 2))  # [B, C]
    g = relu(p @ w["global_context/shrink/kernel"] + w["global_context/shrink/bias"])
    g = g @ w["global_context/expand/kernel"] + w["global_context/expand/bias"]  # [B, C]
    s = relu(x @ w["local_saliency/shrink/kernel"][0, 0] + w["local_saliency/shrink/bias"])
    s = s @ w["local_saliency/collapse/kernel"][0, 0] + w["local_saliency/collapse/bias"]
    G, S = np.tile(g[:, None, None, :], (1, *x.shape[1:3], 1)), np.tile(s, x.shape[-1])
    return np.tanh(w["additive"] * (G + S) + w["multiplicative"] * (G * S))


def test_gala_equals_the_papers_formula():
    x = np.random.default_rng(1).normal(size=(2, 5, 4, 8)).astype("float32")
    layer = randomised(GALA(name="gala"), x.shape)
    gated, attention = layer(x)
    expected = numpy_gala(x, layer)
    np.testing.assert_allclose(attention, expected, atol=1e-5)
    np.testing.assert_allclose(gated, x * expected, atol=1e-5)


def test_gala_by_hand():
    """One pixel, r = 1: every kernel 1, biases 0 but the saliency's 1; x = 2.

    p = 2, g = 2; S = 2 + 1 = 3; A = tanh(1 (2 + 3) + 1 (2 x 3)) = tanh 11.
    """
    layer = GALA(reduction_ratio=1, name="gala")
    layer.build((1, 1, 1, 1))
    for variable in layer.variables:
        if variable.name == "kernel":
            variable.assign(np.ones(variable.shape))
    _, attention = layer(np.full((1, 1, 1, 1), 2.0, "float32"))
    assert float(attention[0, 0, 0, 0]) == pytest.approx(np.tanh(11.0))
    layer.additive.assign([0.1])
    layer.multiplicative.assign([-0.2])  # tanh(0.1 x 5 - 0.2 x 6) = tanh(-0.7): a flipped sign
    gated, attention = layer(np.full((1, 1, 1, 1), 2.0, "float32"))
    assert float(attention[0, 0, 0, 0]) == pytest.approx(np.tanh(-0.7), rel=1e-5)
    assert float(gated[0, 0, 0, 0]) == pytest.approx(2 * np.tanh(-0.7), rel=1e-5)


def test_residual_gala_equals_one_plus_the_papers_attention():
    x = np.random.default_rng(1).normal(size=(2, 5, 4, 8)).astype("float32")
    layer = randomised(ResidualGALA(name="gala"), x.shape)
    gated, gate = layer(x)
    expected = 1 + numpy_gala(x, layer)
    np.testing.assert_allclose(gate, expected, atol=1e-5)
    np.testing.assert_allclose(gated, x * expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_residual_gala_starts_as_the_identity_to_the_bit(policy):
    x = np.random.default_rng(5).normal(size=(2, 5, 4, 8)).astype("float32") * 100
    x = tf.cast(x, policy.removeprefix("mixed_"))
    gated, gate = ResidualGALA(dtype=policy)(x, training=True)
    np.testing.assert_array_equal(gated, x)
    np.testing.assert_array_equal(gate, np.ones(x.shape))


def test_maps_reach_a_and_m_of_a_new_residual_gala():
    """Eq. 1 on the gate: at A = 0 its gradient is finite and not 0; on A it would be 0."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2, 5, 4, 8)).astype("float32")
    maps = rng.uniform(size=(2, 5, 4, 1)).astype("float32")
    layer = ResidualGALA()
    layer.build(x.shape)
    with tf.GradientTape(persistent=True) as tape:
        gate = layer(x)[1]
        loss = tf.reduce_sum(losses.clickmap_loss(gate, maps, np.ones(2)))
        of_a_alone = tf.reduce_sum(losses.clickmap_loss(gate - 1.0, maps, np.ones(2)))
    for weight in (layer.additive, layer.multiplicative):
        gradient = tape.gradient(loss, weight.value).numpy()
        assert np.all(np.isfinite(gradient)) and np.all(gradient != 0)
        assert not np.any(tape.gradient(of_a_alone, weight.value))


@pytest.mark.parametrize("layer_class, middle", [(GALA, 0.0), (ResidualGALA, 1.0)])
def test_saturation_counts_what_tanh_flattens(layer_class, middle):
    attention = middle + np.array([0.995, -0.995, 0.98, 0.0], "float32").reshape(1, 2, 2, 1)
    assert float(layer_class().saturation(attention)) == 0.5


def test_class_names_are_kept_in_the_file(tmp_path):
    inputs = keras.Input((3,))
    head = ClassLogits(2, class_names=("cat", "Bär"), name="logits")
    keras.Model(inputs, head(inputs)).save(tmp_path / "named.keras")
    loaded = keras.saving.load_model(tmp_path / "named.keras", safe_mode=True)
    assert loaded.get_layer("logits").class_names == ("cat", "Bär")
    with pytest.raises(ValueError, match="logits: 2 classes .* 3 names"):
        head.class_names = ("a", "b", "c")


def test_squeeze_excite_equals_formula():
    x = np.random.default_rng(2).normal(size=(2, 3, 3, 8)).astype("float32")
    layer = randomised(SqueezeExcite(name="se"), x.shape)
    shrink, shrink_bias, expand, expand_bias = layer.get_weights()
    g = np.maximum(x.mean((1, 2)) @ shrink + shrink_bias, 0) @ expand + expand_bias
    expected = 1 / (1 + np.exp(-g))
    _, attention = layer(x)
    assert attention.shape == (2, 1, 1, 8)
    np.testing.assert_allclose(attention[:, 0, 0], expected, rtol=1e-5)


def test_new_gala_passes_activity_on():
    """The saliency's bias of 1: little of a normalised activity is inverted or saturated."""
    x = np.random.default_rng(3).normal(size=(8, 7, 7, 64)).astype("float32")
    attention = []
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        attention.append(GALA()(x)[1].numpy())
    assert np.mean(np.array(attention) > 0) > 0.85
    assert np.mean(np.abs(attention) > 0.99) < 0.05


def test_parameter_count_of_gala():
    """Without biases the paper's module has 788,736 weights at C = 1024, r = 4."""
    layer = GALA()
    layer.build((None, 14, 14, 1024))
    kernels = 1024 * 256 + 256 * 1024 + 1024 * 256 + 256 * 1
    assert kernels + 2 * 1024 == 788_736
    biases = 256 + 1024 + 256 + 1
    assert layer.count_params() == kernels + biases + 2 * 1024


@pytest.mark.parametrize("layer_class", [GALA, SqueezeExcite, GlobalContext, LocalSaliency])
def test_messages_name_what_came(layer_class):
    with pytest.raises(ValueError, match="my_layer: `reduction_ratio` .* Received: 0"):
        layer_class(reduction_ratio=0, name="my_layer")
    with pytest.raises(ValueError, match="Received: 2.5"):
        layer_class(reduction_ratio=2.5, name="my_layer")
    with pytest.raises(ValueError, match=r"\[batch, height, width, channels\].*\(2, 8\)"):
        layer_class().build((2, 8))
    with pytest.raises(ValueError, match="known number of channels"):
        layer_class().build((2, 8, 8, None))
    with pytest.raises(ValueError, match="reduction_ratio=4 for 6 channels"):
        layer_class().build((2, 8, 8, 6))


def batch_norms(x, training, mask=None, **arguments):
    """[outputs, gradients, weights after the call] of ours and of Keras', from the same weights."""
    rng = np.random.default_rng(0)
    results, weights = [], None
    for layer_class in (BatchNorm, keras.layers.BatchNormalization):
        layer = layer_class(**arguments)
        layer.build(x.shape)
        weights = weights or [rng.uniform(0.5, 2, size=w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            y = layer(x, training=training, mask=mask)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        results.append([y, *tape.gradient(loss, layer.trainable_variables), *layer.get_weights()])
        assert y.dtype == layer.compute_dtype
    return results


BATCH = np.random.default_rng(0).normal(2, 3, size=(4, 5, 6, 7)).astype("float32")
ARGUMENTS = {
    "default": {},
    "momentum": {"momentum": 0.8},
    "no gamma": {"scale": False},
    "no beta": {"center": False},
    "neither": {"scale": False, "center": False},
    "channels first": {"axis": 1},
    "axis -2": {"axis": -2},
    "axis 3": {"axis": 3},
    "float64": {"dtype": "float64"},
    "frozen": {"trainable": False},
    "epsilon the kernel would raise": {"epsilon": 1e-7},
    "renorm": {"renorm": True, "renorm_clipping": {"rmax": 3.0, "rmin": 0.3, "dmax": 5.0}},
    "constraint": {"gamma_constraint": "non_neg", "beta_regularizer": "l2"},
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_batch_norm_equals_keras(name, training):
    for a, b in zip(*batch_norms(BATCH, training, **ARGUMENTS[name]), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"])
def test_batch_norm_in_low_precision_equals_keras(dtype, training):
    ours, theirs = batch_norms(BATCH, training, dtype=dtype)
    for a, b in zip([ours[0], *ours[-4:]], [theirs[0], *theirs[-4:]], strict=True):
        a, b = (np.asarray(tf.cast(x, tf.float32)) for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=0.01, atol=0.02)


@pytest.mark.parametrize("shape", [(4, 7), (4, 5, 7), (2, 3, 4, 5, 7)])
def test_batch_norm_of_other_ranks_equals_keras(shape):
    x = np.random.default_rng(1).normal(2, 3, size=shape).astype("float32")
    for a, b in zip(*batch_norms(x, True), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_heeds_a_mask(training):
    mask = np.zeros(BATCH.shape[:3], bool)
    mask[:2] = True
    for a, b in zip(*batch_norms(BATCH, training, mask=mask), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_batch_norm_in_16_bits(policy):
    x = np.random.default_rng(0).normal(2, 3, size=(8, 5, 6, 7)).astype("float32")
    layer = BatchNorm(dtype=policy)
    y = layer(x, training=True)
    assert y.dtype == policy.removeprefix("mixed_")
    y = tf.cast(y, tf.float32)
    np.testing.assert_allclose(tf.reduce_mean(y, [0, 1, 2]), np.zeros(7), atol=0.02)
    np.testing.assert_allclose(tf.math.reduce_std(y, [0, 1, 2]), np.ones(7), atol=0.02)
    assert layer.moving_mean.dtype == "float32"
