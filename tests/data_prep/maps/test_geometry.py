"""Image and maps keep one frame, to the pixel, whatever the sides' excess and ratio."""

import numpy as np
import pytest
from PIL import Image

from data_prep.maps import geometry
from gala_tf.data.schema import Example


def _squared(height, width, counts, side=256):
    pixels = np.repeat((counts * 255).astype(np.uint8)[..., None], 3, 2)
    example = Example("a", pixels, 0, (counts,))
    square, image = geometry.square_example(example, Image.fromarray(pixels), side)
    return square.participant_maps[0], np.asarray(image, float)[..., 0] / 255


@pytest.mark.parametrize("excess", [0, 1, 85, 86])
@pytest.mark.parametrize("tall", [False, True])
def test_a_short_side_of_the_square_s_is_cut_exactly(excess, tall):
    shape = (256 + excess, 256) if tall else (256, 256 + excess)
    counts = np.random.default_rng(0).integers(0, 2, shape)
    kept, image = _squared(*shape, counts)
    np.testing.assert_array_equal(kept, image)


@pytest.mark.parametrize("short", [341, 384, 512, 513, 640, 768, 1024])
def test_no_ratio_shifts_a_map_to_one_side(short):
    """Blobs' centres, on average; pixels always taken at one side are 0.25 off or more."""
    offsets = []
    for seed in range(24):
        top, left = np.random.default_rng(seed).integers(short // 4, short // 2, 2)
        counts = np.zeros((short, short + 1), np.int64)
        counts[top : top + 61, left : left + 61] = 1
        kept, image = _squared(*counts.shape, counts)
        for axis in (0, 1):
            places = np.arange(256)
            centre = [(m.sum(1 - axis) @ places) / m.sum() for m in (kept, image)]
            offsets.append(centre[0] - centre[1])
    assert kept.dtype.kind == "i"
    assert abs(np.mean(offsets)) < 0.1
    assert np.abs(offsets).max() < 0.51


def test_a_centre_between_two_pixels_reads_the_larger():
    counts = np.array([[0, 1, 0, 0, 2, 3, 0, 0]])
    np.testing.assert_array_equal(geometry.resample_counts(counts, 1, 4), [[1, 0, 3, 0]])
