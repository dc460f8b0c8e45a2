"""Polygons, run lengths and boxes as pixels, against shapes drawn by hand."""

import numpy as np
import pytest
from faults.formats import coco as written

from data_prep.readers.coco import masks
from gala_tf.data.images import BadImageError


def drawn(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


@pytest.mark.parametrize(
    "polygon, expected",
    [
        ([1, 1, 4, 1, 4, 3, 1, 3], drawn("......", ".###..", ".###..", "......")),
        # Centres decide: 0.5 and 1.5 lie inside 0.4 ... 2.4, and 2.5 does not.
        ([0.4, 0.4, 2.4, 0.4, 2.4, 2.4, 0.4, 2.4], drawn("##....", "##....", "......", "......")),
        ([0, 0, 4, 0, 0, 4], drawn("###...", "##....", "#.....", "......")),
        # Winding the other way, and a corner at the height of centres.
        ([0, 4, 4, 0, 0, 0], drawn("###...", "##....", "#.....", "......")),
        ([3, 0.5, 6, 2.5, 3, 4, 0, 2.5], drawn("......", ".###..", "######", "..##..")),
        # Reaching out on all sides.
        ([-9, -9, 99, -9, 99, 99, -9, 99], drawn(*["######"] * 4)),
        ([7, 0, 9, 0, 9, 4], drawn(*["......"] * 4)),
        # A frame in one line: what it winds around twice is outside.
        (
            [0, 0, 6, 0, 6, 4, 0, 4, 0, 1, 5, 1, 5, 3, 0, 3],
            drawn("######", ".....#", ".....#", "######"),
        ),
        ([1, 1, 1, 1, 1, 1], drawn(*["......"] * 4)),
    ],
)
def test_polygons(polygon, expected):
    np.testing.assert_array_equal(masks.fill_polygon(polygon, 4, 6, "a"), expected)


def test_polygons_agree_with_the_crossing_rule_pixel_by_pixel():
    random = np.random.default_rng(0)
    for _ in range(20):
        corners = random.uniform(-3, 15, (random.integers(3, 12), 2))
        found = masks.fill_polygon(corners.ravel().tolist(), 11, 13, "a")
        for row, column in np.ndindex(11, 13):
            x, y, inside = column + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
                if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                    inside = not inside
            assert found[row, column] == inside


def test_shapes_that_share_an_edge_share_no_pixel():
    left, right = [0, 0, 2.5, 0, 2.5, 4, 0, 4], [2.5, 0, 6, 0, 6, 4, 2.5, 4]
    total = sum(masks.fill_polygon(p, 4, 6, "a").astype(int) for p in (left, right))
    np.testing.assert_array_equal(total, np.ones((4, 6)))


def test_polygons_of_one_object_are_united():
    square, hidden = [0, 0, 2, 0, 2, 2, 0, 2], [1, 0, 3, 0, 3, 2, 1, 2]
    mask = masks.object_mask([square, hidden], 2, 4, "a")
    np.testing.assert_array_equal(mask, drawn("###.", "###."))


@pytest.mark.parametrize(
    "segmentation, message",
    [
        ([[0, 0, 1, 1, 2]], r"even number of coordinates.*\[0, 0, 1, 1, 2\]"),
        ([[0, 0, 1, 1]], "at least six"),
        ([[0, 0, 1, 1, 2, float("nan")]], "not finite"),
        ([[0, 0, 1, 1, 2, float("inf")]], "not finite"),
        ([[0, 0, 1, 1, 2, "x"]], "even number"),
        ([[0, 0, 1, 1, 2, 10**400]], "even number"),
        ([[[0, 0], [1, 1], [2, 2]]], "even number"),
        ([7], "even number"),
        ([], r"list of polygons or an object.*\[\]"),
        (None, "list of polygons or an object"),
        ([[0, -1e9, 1, 1e9] * 20_000 + [0, 0]], "crosses .* no outline"),
    ],
)
def test_outlines_that_make_no_sense(segmentation, message, monkeypatch):
    monkeypatch.setattr(masks, "MAX_CROSSINGS", 10_000)
    with pytest.raises(BadImageError, match=f"file, annotation id 7: .*{message}"):
        masks.object_mask(segmentation, 4, 6, "file, annotation id 7")


def test_run_lengths_go_down_the_columns():
    mask = masks.object_mask({"size": [3, 2], "counts": [1, 2, 1, 1, 1]}, 3, 2, "a")
    np.testing.assert_array_equal(mask, drawn("..", "##", "#."))
    # A run of no zeros first.
    mask = masks.object_mask({"size": [2, 1], "counts": [0, 2]}, 2, 1, "a")
    np.testing.assert_array_equal(mask, drawn("#", "#"))


def test_compressed_run_lengths():
    # By hand: 5 is "5"; 100 = 3 * 32 + 4 is chr(48 + 4 + 32), chr(48 + 3); 16 needs a second group,
    # since the fifth bit is the sign; the fourth is 4 - 100 = -3 * 32: chr(48 + 32), chr(48 + 29).
    text = "5" + "T3" + "`0" + "PM"
    assert masks.decompress_counts(text, "a") == [5, 100, 16, 4]
    assert written.compressed([5, 100, 16, 4]) == text


def test_run_lengths_of_random_masks_come_back():
    random = np.random.default_rng(1)
    for density in (0, 0.01, 0.3, 0.9, 1):
        mask = random.random((37, 53)) < density
        for as_text in (False, True):
            found = masks.object_mask(written.rle(mask, as_text), 37, 53, "a")
            np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(
    "rle, message",
    [
        ({"size": [3, 2], "counts": [1, 2, 1, 1]}, "add up to 5, expected 6 = 3 x 2"),
        ({"size": [3, 2], "counts": [10**30]}, "add up to 1000.*expected 6"),
        ({"size": [3, 2], "counts": [7, -1]}, r"whole numbers >= 0, got \[7, -1\]"),
        ({"size": [3, 2], "counts": [3.0, 3.0]}, "whole numbers"),
        ({"size": [3, 2], "counts": [True, 5]}, "whole numbers"),
        ({"size": [3, 2], "counts": None}, "whole numbers >= 0, got None"),
        ({"size": [3, 2]}, "whole numbers >= 0, got None"),
        ({"size": [10**9, 10**9], "counts": [10**18]}, r"size \[1000000000.*expected \[3, 2\]"),
        ({"size": [2, 3], "counts": [6]}, r"size \[2, 3\], expected \[3, 2\]"),
        ({"counts": [6]}, "size None"),
        ({"size": [3, 2], "counts": "é"}, "'é' after 0 numbers"),
        ({"size": [3, 2], "counts": "5T"}, "end inside a number"),
        ({"size": [3, 2], "counts": "o" * 99}, "not COCO's coding"),
        ({"size": [3, 2], "counts": "O"}, r"whole numbers >= 0, got \[-1\]"),
    ],
)
def test_run_lengths_that_make_no_sense(rle, message):
    with pytest.raises(BadImageError, match=f"f, annotation id 7: .*{message}"):
        masks.object_mask(rle, 3, 2, "f, annotation id 7")


@pytest.mark.parametrize(
    "box, expected",
    [
        ((1, 1, 3, 2), (1, 1, 3, 2)),
        ((0.4, 0.6, 2.5, 2.6), (0, 1, 2, 3)),  # centres 0.5, 1.5; 1.5, 2.5
        ((-5, -5, 99, 99), (0, 0, 6, 4)),
        ((2.6, 1, 3.4, 2), (3, 1, 4, 2)),  # no centre: the pixel of its middle, 3.0
        ((6 - 1e-9, 1, 6, 2), (5, 1, 6, 2)),
        ((0, 0, 0, 0), (0, 0, 1, 1)),
    ],
)
def test_boxes_cover_the_pixels_whose_centres_they_hold(box, expected):
    assert masks.pixel_box(box, 4, 6, "a") == expected


@pytest.mark.parametrize(
    "box, message",
    [
        ((6, 0, 7, 1), "wholly outside its image, 6 wide and 4 high"),
        ((0, 4, 1, 5), "wholly outside"),
        ((-2, 0, 0, 1), "wholly outside"),
        ((0, -2, 1, -1), "wholly outside"),
        ((3, 0, 2, 1), "maxima not below"),
        ((0, 0, float("nan"), 1), "finite"),
    ],
)
def test_boxes_that_make_no_sense(box, message):
    with pytest.raises(BadImageError, match=f"line 3: .*{message}"):
        masks.pixel_box(box, 4, 6, "line 3")
