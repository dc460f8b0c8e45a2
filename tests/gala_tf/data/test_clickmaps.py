"""Maps against hand-computed numbers and SciPy."""

import numpy as np
import pytest
from scipy import ndimage

from gala_tf.data import clickmaps
from gala_tf.data.clickmaps import Blur, parse_blur

BLURS = ["box:1", "box:5", "gaussian:5,1.5", "disc:1", "disc:5", "none"]


def random_counts(*shape, seed=0):
    return np.random.default_rng(seed).poisson(0.3, shape).astype(np.uint8)


def kernel_2d(blur):
    """The blur as one 2-D kernel, pixel by pixel from its definition."""
    r = blur.size // 2
    dy, dx = np.mgrid[-r : r + 1, -r : r + 1]
    if blur.kind == "gaussian":
        kernel = np.exp(-(dy**2 + dx**2) / (2 * blur.sigma**2))
        return kernel / kernel.sum()
    return (dy**2 + dx**2 <= r**2).astype(float) if blur.kind == "disc" else np.ones(dy.shape)


@pytest.mark.parametrize(
    ("text", "blur"),
    [
        ("box:49", Blur("box", 49)),
        ("gaussian:49,28", Blur("gaussian", 49, 28.0)),
        ("disc:21", Blur("disc", 21)),
        ("none", Blur("none")),
    ],
)
def test_parse_blur_reads_every_form_and_prints_it_back(text, blur):
    assert parse_blur(text) == blur
    assert parse_blur(str(blur)) == blur


@pytest.mark.parametrize(
    "text",
    ["", "box", "box:", "box:4.5", "box:3,1", "gaussian:5", "gaussian:5,0", "gaussian:5,nan",
     "gaussian:5,inf", "disc:x", "none:3", "median:3", "Box:3"],
)  # fmt: skip
def test_parse_blur_refuses_other_forms_and_lists_the_known_ones(text):
    with pytest.raises(ValueError, match="must be box:K.*received") as error:
        parse_blur(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["box:0", "box:48", "disc:-3", "gaussian:2,1"])
def test_parse_blur_refuses_sizes_without_a_centre(text):
    with pytest.raises(ValueError, match="odd, positive size.*" + text):
        parse_blur(text)


def test_blur_counts_of_one_click():
    counts = np.zeros((5, 5), int)
    counts[0, 2] = 3  # at the edge: what falls outside is lost
    box = np.zeros((5, 5), int)
    box[0:2, 1:4] = 3
    np.testing.assert_array_equal(clickmaps.blur_counts(counts, parse_blur("box:3")), box)
    disc = np.zeros((5, 5), int)
    disc[0, 1:4] = disc[1, 2] = 3  # radius 1: a plus sign
    np.testing.assert_array_equal(clickmaps.blur_counts(counts, parse_blur("disc:3")), disc)


@pytest.mark.parametrize("text", [*BLURS, "box:31", "disc:31", "gaussian:31,7"])
def test_blur_counts_equals_a_direct_convolution(text):
    blur = parse_blur(text)
    counts = random_counts(2, 17, 23)  # smaller than the largest kernels
    expected = [ndimage.convolve(c * 1.0, kernel_2d(blur), mode="constant") for c in counts]
    blurred = clickmaps.blur_counts(counts, blur)
    np.testing.assert_allclose(blurred, expected, rtol=1e-12, atol=1e-12)
    assert blurred.dtype == (np.float64 if blur.kind == "gaussian" else np.int64)


def test_blur_counts_does_not_overflow_small_dtypes_and_takes_masks():
    full = np.full((60, 60), 255, np.uint8)
    assert clickmaps.blur_counts(full, parse_blur("box:49"))[30, 30] == 255 * 49 * 49
    assert clickmaps.blur_counts(full > 0, parse_blur("box:3"))[0, 0] == 4


def test_blur_counts_refuses_floats():
    with pytest.raises(ValueError, match=r"must be integers.*float64 \[4, 4\].*round"):
        clickmaps.blur_counts(np.zeros((4, 4)), parse_blur("box:3"))


@pytest.mark.parametrize("text", ["box:1", "box:5", "box:49", "gaussian:5,1.5", "none"])
def test_blur_matrix_on_both_axes_equals_blur_counts(text):
    blur = parse_blur(text)
    counts = random_counts(17, 23)
    product = clickmaps.blur_matrix(17, blur) @ counts @ clickmaps.blur_matrix(23, blur).T
    np.testing.assert_allclose(product, clickmaps.blur_counts(counts, blur), rtol=1e-12)


def test_box_matrix_is_a_band_of_ones():
    expected = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    np.testing.assert_array_equal(clickmaps.blur_matrix(4, parse_blur("box:3")), expected)


def test_disc_has_no_matrix():
    with pytest.raises(ValueError, match="disc:5 is not separable"):
        clickmaps.blur_matrix(9, parse_blur("disc:5"))


def test_extent_box_by_hand():
    counts = np.zeros((10, 20), int)
    assert clickmaps.extent_box(counts) is None
    counts[2, 5] = counts[4, 15] = 1
    assert clickmaps.extent_box(counts) == (0.2, 0.25, 0.5, 0.8)
    assert clickmaps.extent_box(np.ones((3, 7))) == (0, 0, 1, 1)
