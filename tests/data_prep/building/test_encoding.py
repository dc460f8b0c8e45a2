"""Geometry of image and map at build time, and the blurred grid, against SciPy."""

import io

import numpy as np
import pytest
from fake_trees import counts, write_image
from PIL import Image
from scipy import ndimage

from data_prep.building import encoding
from data_prep.maps import geometry
from gala_tf.data import schema
from gala_tf.data.images import decode_image


def test_square_finds_the_same_place_in_image_and_map():
    """A white block on black, and its count map, stay on top of each other."""
    height, width = 300, 437
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[60:160, 150:260] = 255
    marked = (pixels[..., 0] > 0).astype(np.int64) * 3
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    example = schema.Example("a", buffer.getvalue(), 0, (marked,))
    square, image = geometry.square_example(example, decode_image(example.image, "a"), 128)
    seen = np.asarray(image)[..., 0] > 127
    (found,) = square.participant_maps
    assert found.shape == seen.shape == (128, 128)
    assert set(np.unique(found)) == {0, 3}
    # Scale 128/300, 68.5 columns cut off the left side.
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    assert abs(rows[0] - 60 * 128 / 300) <= 0.5 and abs(rows[-1] + 1 - 160 * 128 / 300) <= 0.5
    assert abs(columns[0] - 81.5 * 128 / 300) <= 0.5
    assert abs(columns[-1] + 1 - 191.5 * 128 / 300) <= 0.5
    assert (seen == (found > 0)).mean() > 0.995


def test_a_square_jpeg_of_the_right_size_is_left_alone(tmp_path):
    write_image(tmp_path / "a.jpg", 0, 64, 64)
    example = schema.Example("a", (tmp_path / "a.jpg").read_bytes(), 0)
    image = decode_image(example.image, "a")
    same, same_image = geometry.square_example(example, image, 64)
    assert same is example and same_image is image


def test_resampling_counts_up_and_down_again_is_exact():
    original = counts()
    larger = geometry.resample_counts(original, 72, 96)
    np.testing.assert_array_equal(larger, np.kron(original, np.ones((3, 3), int)))
    np.testing.assert_array_equal(geometry.resample_counts(larger, 24, 32), original)


@pytest.mark.parametrize("blur", ["none", "box:5", "gaussian:5,2", "disc:5"])
def test_blurred_grid_is_the_average_of_the_blurred_counts(blur):
    original = counts(height=24, width=32).astype(int)
    kernel = {
        "none": np.ones((1, 1)),
        "box:5": np.ones((5, 5)),
        "gaussian:5,2": np.exp(-np.add.outer(np.arange(-2, 3) ** 2, np.arange(-2, 3) ** 2) / 8),
        "disc:5": np.hypot(*np.mgrid[-2:3, -2:3]) <= 2,
    }[blur]
    blurred = ndimage.convolve(original.astype(float), kernel.astype(float), mode="constant")
    cells = blurred.reshape(8, 3, 8, 4).mean((1, 3))
    expected = cells * 255 / cells.max()
    grid = encoding.blurred_grid(original, blur, 8)
    assert grid.dtype == np.uint8 and grid.max() == 255
    assert np.abs(grid - expected).max() <= 0.5 + 1e-9
    assert not encoding.blurred_grid(np.zeros((5, 7), int), blur, 8).any()


@pytest.mark.parametrize("side", [20, 300])
def test_a_picture_is_known_by_its_pixels(side):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (side, side + 1, 3), dtype=np.uint8)
    digest = encoding.pixel_digest(Image.fromarray(pixels))
    for _ in range(50):
        other = pixels.copy()
        y, x = random.integers(side), random.integers(side + 1)
        other[y : y + 4, x : x + 4] ^= 64  # a spot somewhere
        assert encoding.pixel_digest(Image.fromarray(other)) != digest
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    assert encoding.pixel_digest(decode_image(buffer.getvalue(), "a")) == digest
    turned = Image.fromarray(np.ascontiguousarray(pixels[::-1]))
    assert encoding.pixel_digest(turned) != digest
