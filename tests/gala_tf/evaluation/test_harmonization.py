"""Scores of Harmonization's convention against definitions written out, pixel by pixel."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from gala_tf.evaluation import harmonization


def top_by_hand(pixels, percent):
    """The set of pixels above the interpolated percentile, from the sorted list."""
    ordered = sorted(pixels)
    place = (len(ordered) - 1) * (100 - percent) / 100
    low, part = int(place), place - int(place)
    above = ordered[min(low + 1, len(ordered) - 1)]
    threshold = ordered[low] + part * (above - ordered[low])
    return {index for index, value in enumerate(pixels) if value > threshold}


def test_dice_and_iou_by_hand():
    ramp = np.arange(100).reshape(1, 10, 10)  # the top is 90...99, the last row
    half = np.roll(ramp, 5)  # its top: places 95...99 and 0...4
    np.testing.assert_allclose(harmonization.dice_top(ramp, half), [0.5])
    np.testing.assert_allclose(harmonization.iou_top(ramp, half), [5 / 15])
    np.testing.assert_allclose(harmonization.dice_top(ramp, half, percent=50), [0.9])
    assert harmonization.dice_top(ramp, ramp) == 1 and harmonization.iou_top(ramp, -ramp) == 0


@pytest.mark.parametrize("levels", [3, 30, 10**6])
def test_dice_and_iou_equal_sets_of_pixels(levels):
    rng = np.random.default_rng(levels)
    a = rng.integers(0, levels, (12, 7, 9))
    b = np.where(rng.random(a.shape) < 0.5, a, rng.integers(0, levels, a.shape))
    for percent in (10, 25):
        dice, iou = (
            score(a, b, percent) for score in (harmonization.dice_top, harmonization.iou_top)
        )
        for row in range(len(a)):
            one, other = (top_by_hand(maps[row].ravel().tolist(), percent) for maps in (a, b))
            total = len(one) + len(other)
            assert dice[row] == pytest.approx(2 * len(one & other) / total if total else 0)
            assert iou[row] == pytest.approx(len(one & other) / max(len(one | other), 1))
        np.testing.assert_allclose(dice, 2 * iou / (1 + iou))


def test_a_flat_top_is_empty_and_nan_is_undefined():
    ramp = np.arange(100.0).reshape(1, 10, 10)
    flat = np.minimum(ramp, 80)  # a fifth of the pixels share the maximum
    assert harmonization.dice_top(ramp, flat) == 0
    assert harmonization.dice_top(flat, flat) == 0 and harmonization.iou_top(flat, flat) == 0
    ramp[0, 0, 0] = np.nan
    assert np.isnan(harmonization.dice_top(ramp, flat)) and np.isnan(
        harmonization.iou_top(flat, ramp)
    )


def test_what_cannot_be_compared_is_refused():
    maps = np.zeros((2, 3, 3))
    with pytest.raises(ValueError, match=r"\[2, 3, 3\] and \[2, 9\]"):
        harmonization.dice_top(maps, maps.reshape(2, 9))
    with pytest.raises(ValueError, match=r"\[N, 256, 256\] counts; received \[2, 3, 3\]"):
        harmonization.harmonization_maps(maps)


def test_agreement_has_the_three_scores():
    rng = np.random.default_rng(0)
    model, human = rng.normal(size=(2, 3, 224, 224)).astype(np.float32)
    found = harmonization.harmonization_agreement(model, human + model)
    for row in range(3):
        rho = stats.spearmanr(model[row].ravel(), (human + model)[row].ravel()).statistic
        assert found["spearman"][row] == pytest.approx(rho, abs=1e-12)
    np.testing.assert_array_equal(found["dice"], harmonization.dice_top(model, human + model))
    np.testing.assert_array_equal(found["iou"], harmonization.iou_top(model, human + model))
    nothing = harmonization.harmonization_agreement(model[:0], human[:0])
    assert all(len(values) == 0 for values in nothing.values())


def test_the_ceiling_is_that_works():
    assert harmonization.HARMONIZATION_CEILING == 0.6575315343478081


def published_preparation(counts):
    """Fel et al.'s steps with TensorFlow's own operations and a kernel written from its formula."""
    maps = tf.image.resize(counts[..., None].astype(np.float32), (64, 64), "bilinear")
    right, down = np.meshgrid(np.arange(-5, 5), np.arange(4, -6, -1))
    kernel = np.exp(-(right**2 + down**2) / (2 * 10**2))
    kernel = (kernel / kernel.sum()).astype(np.float32)[:, :, None, None]
    return tf.image.resize(tf.nn.conv2d(maps, kernel, 1, "SAME"), (224, 224), "bilinear")[..., 0]


def test_human_maps_equal_the_published_steps():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.02, (4, 256, 256)) * rng.integers(0, 255, (4, 256, 256))
    counts[0] = 0
    counts[0, :60, 200:] = 3  # touches two borders, and is not symmetric
    prepared = harmonization.harmonization_maps(counts)
    expected = published_preparation(counts).numpy()
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared, expected, atol=3e-6 * expected.max())
    np.testing.assert_array_equal(prepared == 0, expected == 0)


@pytest.mark.parametrize("side", [7, 14, 224, 300])
def test_maps_are_enlarged_as_tensorflow_does(side):
    maps = np.random.default_rng(0).random((2, side, side), np.float32)
    expected = tf.image.resize(maps[..., None], (224, 224), "bicubic", antialias=side > 224)
    np.testing.assert_allclose(harmonization.enlarge(maps), expected[..., 0], atol=5e-5)
