"""Bubbles and boxes as count maps, against slices of an array with a wide margin."""

import numpy as np
import pytest

from data_prep.maps import rasterise


def test_bubbles_are_squares_around_their_centre():
    bubbles = [[5, 2]]  # x = 5, y = 2
    expected = np.zeros((6, 9), int)
    expected[1:4, 4:7] = 1
    np.testing.assert_array_equal(rasterise.rasterise_bubbles(bubbles, 3, 6, 9), expected)
    expected[:] = 0
    expected[0:4, 3:7] = 1  # even sides: pixels 5 - 2 ... 5 + 1, as the game's slices
    np.testing.assert_array_equal(rasterise.rasterise_bubbles(bubbles, 4, 6, 9), expected)
    single = rasterise.rasterise_bubbles([[5.9, 2.1]], 1, 6, 9)
    assert single[2, 5] == single.sum() == 1


def test_bubbles_are_counted_and_cut_at_the_border():
    rng = np.random.default_rng(0)
    bubbles = rng.uniform(-12, 40, (200, 2))
    height, width, side = 20, 30, 7
    expected = np.zeros((height + 200, width + 200), int)  # a wide margin instead of cutting
    for x, y in bubbles:
        left, top = int(np.floor(x - 3)) + 100, int(np.floor(y - 3)) + 100
        expected[top : top + side, left : left + side] += 1
    np.testing.assert_array_equal(
        rasterise.rasterise_bubbles(bubbles, side, height, width), expected[100:120, 100:130]
    )


def test_no_and_far_bubbles_give_an_empty_map():
    assert not rasterise.rasterise_bubbles([], 14, 5, 6).any()
    assert not rasterise.rasterise_bubbles([[1e30, -1e30]], 14, 5, 6).any()
    assert rasterise.rasterise_boxes([], 5, 6).shape == (5, 6)


def test_boxes_add_up():
    expected = np.zeros((5, 6), int)
    expected[1:3, 2:4] += 1
    expected[0:5, 3:6] += 1
    np.testing.assert_array_equal(
        rasterise.rasterise_boxes([(2, 1, 4, 3), (3, -2, 9, 9), (4, 4, 4, 5)], 5, 6), expected
    )


@pytest.mark.parametrize(
    "bubbles, side, message",
    [
        ([[1, 2, 3]], 14, r"\[M, 2\].*\(1, 3\)"),
        ([[1, 2], [3, np.nan]], 14, "bubble 1 is .*nan.*finite"),
        ([[1, 2]], 0, "at least 1 pixel, got 0"),
    ],
)
def test_bubbles_that_make_no_sense(bubbles, side, message):
    with pytest.raises(ValueError, match=message):
        rasterise.rasterise_bubbles(bubbles, side, 5, 6)


@pytest.mark.parametrize(
    "boxes, message",
    [
        ([(1, 2, 3)], r"\[M, 4\].*\(1, 3\)"),
        ([(0.5, 1, 2, 3)], "integers.*float64"),
        ([(0, 0, 1, 1), (3, 0, 2, 1)], r"box 1 is \[3, 0, 2, 1\]: expected xmin <= xmax"),
    ],
)
def test_boxes_that_make_no_sense(boxes, message):
    with pytest.raises(ValueError, match=message):
        rasterise.rasterise_boxes(boxes, 5, 6)


def test_few_and_many_boxes_are_counted_alike(monkeypatch):
    random = np.random.default_rng(0)
    corners = random.integers(-10, 60, (200, 2))
    boxes = np.concatenate([corners, corners + random.integers(0, 30, (200, 2))], 1)
    few = rasterise.rasterise_boxes(boxes, 40, 50)
    monkeypatch.setattr(rasterise, "FEW_BOXES", 0)
    np.testing.assert_array_equal(few, rasterise.rasterise_boxes(boxes, 40, 50))
    assert few.max() > 5
