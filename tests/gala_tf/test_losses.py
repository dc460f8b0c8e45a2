"""Eq. 1 against an independent NumPy reference, its invariances, and its behaviour at the edges."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gala_tf import losses
from gala_tf.data import map_operators
from gala_tf.losses import ClickmapLoss

RNG = np.random.default_rng(0)


def reference(volume, clickmap):
    """|| R / ||R|| - A / ||A|| || in float64, image by image, as Eq. 1 writes it."""
    result = []
    for a, r in zip(volume.astype("float64"), clickmap.astype("float64"), strict=True):
        columns = np.array(
            [[np.linalg.norm(a[y, x]) for x in range(a.shape[1])] for y in range(a.shape[0])]
        )
        r = r[..., 0]
        result.append(np.linalg.norm(r / np.linalg.norm(r) - columns / np.linalg.norm(columns)))
    return np.array(result)


def volumes(batch=4, height=5, width=6, channels=7):
    return RNG.normal(size=(batch, height, width, channels)).astype("float32")


def maps(batch=4, height=5, width=6):
    return RNG.uniform(0, 3, size=(batch, height, width, 1)).astype("float32")


def test_clickmap_loss_equals_reference():
    a, r = volumes(), maps()
    np.testing.assert_allclose(losses.clickmap_loss(a, r, np.ones(4)), reference(a, r), rtol=1e-5)


def test_clickmap_loss_by_hand():
    """Two pixels: A points at the first, R at the second: orthogonal unit vectors, sqrt 2 apart."""
    a = np.zeros((1, 1, 2, 3), "float32")
    a[0, 0, 0] = [3, 0, -4]
    r = np.zeros((1, 1, 2, 1), "float32")
    r[0, 0, 1] = 7
    assert float(losses.clickmap_loss(a, r, np.ones(1))[0]) == pytest.approx(2**0.5, rel=1e-5)
    r[0, 0] = [[5.0], [0.0]]  # now the same place, at another scale
    assert float(losses.clickmap_loss(a, r, np.ones(1))[0]) == pytest.approx(0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_clickmap_loss_is_scale_free(scale_a, scale_r, seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(2, 3, 3, 4)).astype("float32")
    r = rng.uniform(0, 1, size=(2, 3, 3, 1)).astype("float32") + 0.01
    expected = losses.clickmap_loss(a, r, np.ones(2))
    scaled = losses.clickmap_loss(a * np.float32(scale_a), r * np.float32(scale_r), np.ones(2))
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-5)


def test_identical_maps_give_zero():
    r = maps()
    volume = np.repeat(r, 7, axis=-1) * 3.0
    np.testing.assert_allclose(losses.clickmap_loss(volume, r, np.ones(4)), 0, atol=1e-5)


def loss_and_gradient(volume, clickmap, has_clickmap):
    volume = tf.convert_to_tensor(volume)
    with tf.GradientTape() as tape:
        tape.watch(volume)
        loss = losses.clickmap_loss(volume, clickmap, has_clickmap)
    return loss.numpy(), tf.cast(tape.gradient(loss, volume), tf.float32).numpy()


def test_images_without_a_map_count_nothing():
    a, r = volumes(), maps()
    loss, gradient = loss_and_gradient(a, r, np.array([1.0, 0.0, 1.0, 0.0], "float32"))
    assert np.all(loss[[1, 3]] == 0) and np.all(gradient[[1, 3]] == 0)
    assert np.all(loss[[0, 2]] > 0) and np.all(np.any(gradient[[0, 2]] != 0, axis=(1, 2, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_that_are_not_finite_count_nothing(value):
    a, r = volumes(), maps()
    r[2, 1, 1] = value
    loss, gradient = loss_and_gradient(a, r, np.ones(4, "float32"))
    assert loss[2] == 0 and np.all(gradient[2] == 0)
    assert np.all(np.isfinite(gradient)) and np.all(loss[[0, 1, 3]] > 0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "case",
    ["empty map", "constant map", "no attention", "one pixel", "both empty", "constant attention"],
)
def test_finite_at_the_edges(case, dtype):
    a, r = volumes(), maps()
    if case in ("empty map", "both empty"):
        r[:] = 0
    if case == "constant map":
        r[:] = 2
    if case in ("no attention", "both empty"):
        a[:] = 0
    if case == "constant attention":
        a[:] = 1
        r[:] = 1
    if case == "one pixel":
        a[:], r[:] = 0, 0
        a[:, 2, 3], r[:, 2, 3] = 1, 1
    loss, gradient = loss_and_gradient(tf.cast(a, dtype), r, np.ones(4, "float32"))
    assert loss.dtype == np.float32
    assert np.all(np.isfinite(loss)) and np.all(np.isfinite(gradient))
    if case in ("empty map", "both empty"):
        assert np.all(loss == 0) and np.all(gradient == 0)


def test_value_does_not_depend_on_how_the_batch_is_dealt():
    a, r = volumes(batch=8), maps(batch=8)
    has = np.array([1, 0, 1, 1, 0, 0, 0, 1], "float32")
    whole = np.sum(losses.clickmap_loss(a, r, has)) / 8
    for parts in (2, 4, 8):
        dealt = sum(
            np.sum(losses.clickmap_loss(x, y, z)) / 8
            for x, y, z in zip(
                np.split(a, parts), np.split(r, parts), np.split(has, parts), strict=True
            )
        )
        assert dealt == pytest.approx(whole, rel=1e-6)


def test_wrong_map_size_is_named():
    with pytest.raises(ValueError, match=r"clickmap \(4, 3, 3, 1\), volume \(4, 5, 6, 7\)"):
        losses.clickmap_loss(volumes(), maps(height=3, width=3), np.ones(4))


def test_column_norm():
    volume = np.array([[[[3.0, 4.0], [0.0, 0.0]]]], "float32")
    np.testing.assert_allclose(losses.column_norm(volume)[0, 0, :, 0], [5, 1e-6], rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_reference(smoothing):
    logits, labels = RNG.normal(size=(5, 9)) * 3, RNG.integers(0, 9, 5)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = np.eye(9)[labels] * (1 - smoothing) + smoothing / 9
    expected = -(target * log_p).sum(1)
    got = losses.cross_entropy(tf.cast(logits, tf.float32), labels, smoothing)
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    assert losses.cross_entropy(tf.cast(logits, tf.bfloat16), labels).dtype == tf.float32


def test_l2_loss():
    assert float(losses.l2_loss([np.array([1.0, 2.0]), np.array([[3.0]])])) == pytest.approx(7.0)


@pytest.mark.parametrize("jit_compile", [False, True])  # XLA: a proxy for what a TPU takes
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_resize_maps_equals_tensorflows_resize_without_its_undershoot(method, jit_compile):
    maps = np.random.default_rng(0).poisson(0.2, (3, 12, 12, 1)).astype(np.float32)
    resize = tf.function(losses.resize_maps, jit_compile=jit_compile)
    for size in (12, 5, 20):
        expected = np.maximum(tf.image.resize(maps, [size, size], method, antialias=True), 0)
        np.testing.assert_allclose(resize(maps, size, method), expected, atol=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
def test_resize_maps_has_the_numbers_of_the_maps_operators(method):
    """To the bit: what supervises does not depend on which of the two resized it."""
    maps = np.random.default_rng(0).poisson(2, (2, 14, 12, 1)).astype(np.float32)
    rows, columns = (
        map_operators.resample_matrix(side, size, 0, side, method)
        for side, size in ((14, 7), (12, 5))
    )
    expected = tf.maximum(tf.einsum("yh,bhwc,xw->byxc", rows, maps, columns), 0.0)
    np.testing.assert_array_equal(losses.resize_maps(maps, (7, 5), method), expected)


def test_unknown_resize_is_refused():
    for call in (lambda: losses.resize_maps(maps(), 3, "nearest"), lambda: ClickmapLoss("nearest")):
        with pytest.raises(ValueError, match=r"area.*bicubic.*bilinear.*received 'nearest'"):
            call()


# --------------------------------------------------------------------------- for compile


def test_loss_class_equals_the_function_and_weighs_images():
    a, fine = volumes(), maps(height=10, width=12)
    has = np.array([1.0, 0.0, 1.0, 0.0], "float32")
    single = losses.clickmap_loss(a, losses.resize_maps(fine, (5, 6)), has).numpy()
    assert float(ClickmapLoss()(fine, a, sample_weight=has)) == pytest.approx(single.sum() / 4)
    without = ClickmapLoss(reduction=None)(fine, a)
    np.testing.assert_allclose(without.numpy()[[0, 2]], single[[0, 2]], rtol=1e-6)
    fine[[1, 3]] = 0.0  # maps of zeros count 0 as well
    assert float(ClickmapLoss()(fine, a)) == pytest.approx(single.sum() / 4)


def test_loss_class_comes_back_from_its_config():
    loss = ClickmapLoss("area", reduction="sum", name="mine")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config() and copy.resize == "area"
