"""Operators of maps against hand-computed numbers, NumPy, and TensorFlow's own resizes."""

import numpy as np
import pytest
import tensorflow as tf

from gala_tf.data import clickmaps, map_operators
from gala_tf.data.clickmaps import parse_blur


def random_counts(*shape, seed=0):
    return np.random.default_rng(seed).poisson(0.3, shape).astype(np.uint8)


@pytest.mark.parametrize("text", ["box:5", "box:49", "gaussian:7,2", "none"])
def test_blur_operator_equals_the_product_with_blur_matrix(text):
    blur = parse_blur(text)
    matrix = np.random.default_rng(0).normal(size=(4, 19))
    np.testing.assert_allclose(
        map_operators.blur_operator(tf.constant(matrix), blur),
        matrix @ clickmaps.blur_matrix(19, blur),
        atol=1e-12,
    )


@pytest.mark.parametrize("text", ["disc:1", "disc:3", "disc:21"])
def test_blur_disc_equals_blur_counts(text):
    counts, blur = random_counts(30, 17), parse_blur(text)
    blurred = map_operators.blur_disc(tf.constant(counts, tf.float64), blur)
    np.testing.assert_array_equal(blurred, clickmaps.blur_counts(counts, blur))


def test_a_disc_is_no_operator_of_one_axis():
    with pytest.raises(ValueError, match="disc:5 is not separable"):
        map_operators.blur_operator(tf.ones([2, 9]), parse_blur("disc:5"))


def resample(values, out_shape, window, method, flip=False, dtype="float64"):
    top, left, height, width = window
    rows = map_operators.resample_matrix(
        values.shape[0], out_shape[0], top, height, method, dtype=dtype
    )
    columns = map_operators.resample_matrix(
        values.shape[1], out_shape[1], left, width, method, flip, dtype=dtype
    )
    return (rows @ tf.constant(values, dtype) @ tf.transpose(columns)).numpy()


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize("out_shape", [(14, 14), (7, 5), (40, 50), (32, 24), (33, 11), (1, 1)])
def test_whole_image_equals_tensorflows_antialiased_resize(method, out_shape):
    values = np.random.default_rng(0).normal(size=(32, 24)).astype(np.float32)
    expected = tf.image.resize(values[:, :, None], out_shape, method, antialias=True)[:, :, 0]
    actual = resample(values, out_shape, (0, 0, 32, 24), method)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_bilinear_rows_by_hand():
    matrix = map_operators.resample_matrix(4, 2, 0, 4, "bilinear").numpy()
    # A cell centre at 1 and pixels at 0.5, 1.5, 2.5 under a triangle of half-width 2:
    # 3/4, 3/4, 1/4, and the tap at -0.5 (another 1/4) lies outside, so the sum is 7/4.
    np.testing.assert_allclose(matrix[0], np.array([3, 3, 1, 0]) / 7, atol=1e-7)
    np.testing.assert_allclose(matrix[1], matrix[0, ::-1], atol=1e-7)


def test_area_by_hand_with_whole_and_broken_windows():
    whole = map_operators.resample_matrix(6, 2, 1, 4, "area").numpy()
    np.testing.assert_array_equal(whole, [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]])
    broken = map_operators.resample_matrix(4, 2, 0.5, 3, "area").numpy()
    np.testing.assert_array_equal(broken, [[0.5, 1, 0, 0], [0, 0, 1, 0.5]])


def test_blur_and_area_of_counts_are_exact_integers_with_their_ties():
    counts = random_counts(64, 64) * 200
    blur = parse_blur("box:9")
    rows = map_operators.resample_matrix(64, 7, 4, 56, "area", dtype="float64")  # 8 pixels a cell
    rows = map_operators.blur_operator(rows, blur)
    folded = (rows @ tf.constant(counts, tf.float64) @ tf.transpose(rows)).numpy()
    blurred = clickmaps.blur_counts(counts, blur)[4:60, 4:60]
    expected = blurred.reshape(7, 8, 7, 8).sum((1, 3))
    np.testing.assert_array_equal(folded, expected)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
@pytest.mark.parametrize("window", [(0, 0, 20, 20), (3, 1, 12, 17), (0.25, 2.5, 9.5, 11.25)])
def test_flip_mirrors_the_target(method, window):
    values = np.random.default_rng(0).normal(size=(20, 20))
    plain = resample(values, (5, 6), window, method)
    mirrored = resample(values, (5, 6), window, method, flip=True)
    np.testing.assert_allclose(mirrored, plain[:, ::-1], atol=1e-12)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_rows_sum_to_one_and_keep_a_ramp(method):
    matrix = map_operators.resample_matrix(64, 7, 12.5, 31.0, method, dtype="float64").numpy()
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    # Linear interpolation weights reproduce positions: the cell centres, away from the borders.
    centres = 12.5 + (np.arange(7) + 0.5) * 31 / 7
    np.testing.assert_allclose(matrix @ (np.arange(64) + 0.5), centres, atol=0.06)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
def test_a_shift_looks_towards_the_targets_first_cell_also_in_the_mirror(method, flip):
    """A quarter of a cell of 8 pixels: 2 pixels up, of the mirrored map where it is mirrored."""
    values = np.random.default_rng(0).normal(size=64)
    seen = values[::-1] if flip else values
    shifted = map_operators.resample_matrix(64, 4, 16, 32, method, flip, "float64", shift=0.25)
    plain = map_operators.resample_matrix(64, 4, 14, 32, method, False, "float64").numpy()
    np.testing.assert_allclose(shifted.numpy() @ values, plain @ seen, atol=1e-12)


def test_alignment_shift_by_hand():
    """Cells of 16 pixels look 7.5 pixels up and left of their middle."""
    assert map_operators.alignment_shift("receptive_field", 14, 224) == 7.5 / 16
    assert map_operators.alignment_shift("receptive_field", 7, 56) == 3.5 / 8
    assert map_operators.alignment_shift("receptive_field", 32, 32) == 0
    assert map_operators.alignment_shift("grid", 14, 224) == 0
    with pytest.raises(ValueError, match="one of grid, receptive_field; received 'left'"):
        map_operators.alignment_shift("left", 14, 224)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
def test_whole_window_of_equal_size_is_the_identity(method):
    matrix = map_operators.resample_matrix(9, 9, 0, 9, method)
    np.testing.assert_allclose(matrix, np.eye(9), atol=1e-6)


def test_resample_matrix_takes_tensors_of_run_time_size_in_a_graph():
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)] * 3 + [tf.TensorSpec([], tf.bool)])
    def build(size, start, extent, flip):
        matrix = map_operators.resample_matrix(size, 4, start, extent, "bicubic", flip)
        return map_operators.blur_operator(matrix, parse_blur("box:3"))

    expected = map_operators.resample_matrix(20, 4, 3, 13, "bicubic", True) @ tf.constant(
        clickmaps.blur_matrix(20, parse_blur("box:3")), tf.float32
    )
    np.testing.assert_allclose(build(20, 3, 13, True), expected, atol=1e-6)


def test_resample_matrix_refuses_an_unknown_method():
    with pytest.raises(ValueError, match=r"area.*bicubic.*bilinear.*received 'nearest'"):
        map_operators.resample_matrix(4, 2, 0, 4, "nearest")


@pytest.mark.parametrize("shape", [(256, 256), (63, 500), (10, 7)])
def test_box_map_gives_the_pixels_of_the_extent_back_from_float32(shape):
    rng = np.random.default_rng(0)
    for _ in range(50):
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        bottom, right = rng.integers(top, shape[0]) + 1, rng.integers(left, shape[1]) + 1
        rectangle = np.zeros(shape, int)
        rectangle[top:bottom, left:right] = 1
        box = tf.constant(clickmaps.extent_box(rectangle), tf.float32)
        np.testing.assert_array_equal(map_operators.box_map(box, *shape), rectangle)


def test_box_map_of_no_box_is_empty():
    assert not tf.reduce_any(map_operators.box_map(tf.zeros(4), 8, 8) > 0)
