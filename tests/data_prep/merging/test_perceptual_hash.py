"""The code of a picture: the same after what others do to pictures, far away for another."""

import io

import numpy as np
import pytest
from photographs import Resampling, central_square, jpeg, photograph, squashed
from PIL import Image

from data_prep.merging import perceptual_hash as ph
from gala_tf.data.images import BadImageError


def codes(data):
    return ph.frame_codes(data, "x")


def bits(a, b):
    return int(ph.hamming(a[None], b[None])[0, 0])


CROP, CROP224, SQUASH = range(3)


@pytest.mark.parametrize("size", [(150, 200), (200, 150), (375, 500), (90, 300)])
def test_a_picture_is_known_again_in_its_frame(size):
    picture = photograph(1, *size)
    own = codes(jpeg(picture))
    for resampling in (Resampling.BILINEAR, Resampling.BICUBIC, Resampling.NEAREST):
        square = central_square(picture, resampling=resampling)
        assert bits(codes(np.asarray(square))[SQUASH], own[CROP]) <= 32
        assert bits(codes(jpeg(square, 40))[SQUASH], own[CROP]) <= 32
    centre = central_square(picture).crop((16, 16, 240, 240))
    assert bits(codes(np.asarray(centre))[SQUASH], own[CROP224]) <= 32
    assert bits(codes(jpeg(squashed(picture)))[SQUASH], own[SQUASH]) <= 32
    # Rounding down, as .astype(uint8) of floats does, and grey files.
    lower = np.maximum(np.asarray(central_square(picture)), 1) - 1
    assert bits(codes(lower)[SQUASH], own[CROP]) <= 32
    assert bits(codes(jpeg(central_square(picture).convert("L")))[SQUASH], own[CROP]) <= 32


def test_other_pictures_are_far():
    found = np.stack([codes(jpeg(photograph(seed)))[CROP] for seed in range(40)])
    distances = ph.hamming(found, found)
    np.testing.assert_array_equal(np.diag(distances), 0)
    assert distances[~np.eye(40, dtype=bool)].min() > 72  # content_join.DOUBTFUL_DISTANCE


def test_a_code_has_255_balanced_bits():
    words = codes(jpeg(photograph(3)))[CROP]
    found = np.unpackbits(words.astype(">u8").view(np.uint8))
    assert words.dtype == np.uint64 and words.shape == (4,)
    assert found[0] == 0 and found.sum() == 127  # above the median of 255 numbers


def test_hamming_by_hand_with_and_without_numpy_2(monkeypatch):
    a = np.array([[0, 0, 0, 0], [2**64 - 1, 1, 0, 2**63]], np.uint64)
    b = np.array([[1, 2, 4, 8], [2**64 - 1, 0, 0, 0], [0, 0, 0, 2**63]], np.uint64)
    expected = [[4, 64, 1], [63 + 2 + 1 + 2, 2, 65]]
    np.testing.assert_array_equal(ph.hamming(a, b), expected)
    if hasattr(np, "bitwise_count"):
        monkeypatch.delattr(np, "bitwise_count")
        np.testing.assert_array_equal(ph.hamming(a, b), expected)
    other = np.random.default_rng(0).integers(0, 2**63, (5, 4)).astype(np.uint64)
    slow = [
        [sum((x ^ y).bit_count() for x, y in zip(i, j, strict=True)) for j in b.tolist()]
        for i in other.tolist()
    ]
    np.testing.assert_array_equal(ph.hamming(other, b), slow)


def test_orientation_is_obeyed():
    picture = photograph(5)
    turned, exif = picture.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # displayed after a quarter turn clockwise
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    assert bits(codes(buffer.getvalue())[CROP], codes(jpeg(picture))[CROP]) <= 16
    assert ph.open_grey(buffer.getvalue(), "x").size == ph.open_grey(jpeg(picture), "x").size


def test_cmyk_palette_and_alpha_are_taken():
    picture = photograph(6)
    own = codes(jpeg(picture))[CROP]
    assert bits(codes(jpeg(picture.convert("CMYK")))[CROP], own) <= 40  # a coarse conversion
    for mode in ("P", "RGBA", "L"):
        buffer = io.BytesIO()
        picture.convert(mode).save(buffer, "PNG")
        assert bits(codes(buffer.getvalue())[CROP], own) <= 32


def test_large_files_are_decoded_small():
    assert ph.open_grey(jpeg(photograph(0, 600, 800)), "x").size == (100, 75)
    assert ph.open_grey(jpeg(photograph(0, 60, 80)), "x").size == (80, 60)


def test_frames_by_hand():
    assert ph.frame_box("squash", 100, 300) == (0, 0, 300, 100)
    assert ph.frame_box("crop", 100, 301) == (100.5, 0, 200.5, 100)
    assert ph.frame_box("crop224", 256, 300) == (38, 16, 262, 240)


def sixteen_bits():
    buffer = io.BytesIO()
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"not an image", jpeg(photograph(1))[:900], sixteen_bits(), np.zeros((4, 4, 2), "u1")],
)
def test_damaged_images_are_named(data):
    with pytest.raises(BadImageError, match="'a/b.jpg'"):
        ph.frame_codes(data, "a/b.jpg")


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadImageError, match="decompression bomb"):
        codes(jpeg(photograph(1)))


def test_correlation():
    picture = photograph(2)
    grey = ph.open_grey(jpeg(picture), "x")
    same, other = central_square(picture).convert("L"), central_square(photograph(9)).convert("L")
    assert ph.correlation(grey, same, "crop") > 0.98
    assert ph.correlation(grey, squashed(picture).convert("L"), "squash") > 0.98
    assert ph.correlation(grey, other, "crop") < 0.9
    flat = Image.new("L", (50, 50), 7)
    assert ph.correlation(grey, flat, "crop") == 0
    assert ph.correlation(flat, flat, "crop") == 1
