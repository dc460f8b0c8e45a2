"""Image files as people have them: odd tags, transparency, frames, more formats."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from data_prep.maps.geometry import displayed_size
from data_prep.merging.perceptual_hash import open_grey
from data_prep.readers.imagenet.imagenet_boxes import box_map
from data_prep.verification import image_checks
from gala_tf.data import images

# Type and value of an orientation tag -> whether the picture is turned by it.
ODD = {
    "zero": (3, 1, b"\0\0", False),
    "nine": (3, 1, b"\x09\0", False),
    "65535": (3, 1, b"\xff\xff", False),
    "long 6": (4, 1, b"\6\0\0\0", True),
    "text": (2, 2, b"6\0", False),
    "bytes": (7, 1, b"\6", False),
    "rational": (5, 1, struct.pack("<II", 6, 1), False),
    "signed -6": (8, 1, struct.pack("<h", -6), False),
    "float": (11, 1, struct.pack("<f", 6), False),
    "no value": (3, 0, b"", False),
    "six": (3, 1, b"\6\0", True),
}


def _exif(*tags):
    """A little-endian EXIF block of tags (number, type, count, value)."""
    body = extra = b""
    start = 8 + 2 + 12 * len(tags) + 4
    for tag, kind, count, value in tags:
        if len(value) > 4:
            value, extra = struct.pack("<I", start + len(extra)), extra + value
        body += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + body + b"\0\0\0\0" + extra


def _picture(size=(60, 40)):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


def _file(kind, exif=b"", image=None, **how):
    buffer = io.BytesIO()
    (image or _picture()).save(buffer, kind, exif=exif, **how)
    return buffer.getvalue()


def _tiff(kind, count, value):
    """A 6x4 TIFF, uncompressed, with any orientation tag."""
    pixels = np.arange(72, dtype=np.uint8).tobytes()
    short = struct.Struct("<H").pack
    tags = [(256, 3, 1, short(6)), (257, 3, 1, short(4)), (258, 3, 1, short(8))]
    tags += [(259, 3, 1, short(1)), (262, 3, 1, short(2)), (273, 4, 1, struct.pack("<I", 400))]
    tags += [(274, kind, count, value), (277, 3, 1, short(3)), (278, 3, 1, short(4))]
    tags += [(279, 4, 1, struct.pack("<I", 72)), (284, 3, 1, short(1))]
    return _exif(*tags)[6:].ljust(400, b"\0") + pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("name", ODD)
def test_an_orientation_is_a_number_of_1_to_8_or_nothing(kind, name):
    """Image, size, boxes and hash agree on the frame; odd tags neither turn nor stop it."""
    *tag, turned = ODD[name]
    data = _tiff(*tag) if kind == "TIFF" else _file(kind, _exif((0x0112, *tag)))
    image = images.decode_image(data, "x")
    height, width = (4, 6) if kind == "TIFF" else (40, 60)
    assert (image.height, image.width) == ((width, height) if turned else (height, width))
    assert displayed_size(data, "x") == (image.height, image.width)
    assert box_map([[0, 0, 1, 1]], data, "x").shape == (image.height, image.width)
    grey = open_grey(data, "x")
    assert (grey.height > grey.width) == turned
    stored = images.to_jpeg(image, data)
    assert not image_checks._is_turned(stored) or name in ("no value",)
    with Image.open(io.BytesIO(stored)) as again:
        assert again.size == image.size


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_tiff_turns_as_other_files_do(turn):
    upright = np.asarray(images.decode_image(_tiff(3, 1, b"\1\0"), "x"))
    turned = images.decode_image(_tiff(3, 1, bytes([turn, 0])), "x")
    png = _file("PNG", _exif((0x0112, 3, 1, bytes([turn, 0]))), Image.fromarray(upright))
    np.testing.assert_array_equal(turned, images.decode_image(png, "x"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_tags_beside_an_orientation_are_left_alone(kind):
    """Writing them anew, as Pillow does, refused 267 of 685 sound pictures."""
    rng = np.random.default_rng(0)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
    for tag in (0x10E, 0x11A, 0x131, 0x8769, 0x8825, 0x2BC, 0x100, 0x111):
        for form, size in sizes.items():
            value = bytes(rng.integers(1, 100, 2 * size, dtype=np.uint8))
            exif = _exif((0x0112, 3, 1, b"\6\0"), (tag, form, 2, value))
            assert images.decode_image(_file(kind, exif), "x").size == (40, 60), (tag, form)


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_exif_that_is_cut_off_stops_nothing(cut):
    exif = _exif((0x0112, 3, 1, b"\6\0"))[: 6 + cut]
    plain = _file("JPEG")
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    image = images.decode_image(data, "x")
    assert displayed_size(data, "x") == (image.height, image.width)


def test_a_phone_s_picture_of_two_is_its_first():
    second = Image.new("RGB", (60, 40), "blue")
    data = _file("MPO", _exif((0x0112, 3, 1, b"\6\0")), save_all=True, append_images=[second])
    assert images.decode_image(data, "x").size == (40, 60)
    assert displayed_size(data, "x") == (60, 40)
    assert images.remarks(data) == ["of several frames the first is the picture"]
    with pytest.raises(images.BadImageError):
        images.decode_image(data[:900], "x")


@pytest.mark.parametrize("kind, mode", [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA")])
def test_transparent_pixels_show_white_whatever_they_hide(kind, mode):
    seen = []
    for hidden in (0, 99, np.random.default_rng(0).integers(0, 256, (16, 16, 3))):
        pixels = np.zeros((16, 16, 4), np.uint8)
        pixels[..., :3] = hidden
        pixels[4:12, 4:12] = 10, 10, 10, 255
        image = Image.fromarray(pixels).convert(mode)
        data = _file(
            kind, image=image, **({"lossless": True, "exact": True} if kind == "WEBP" else {})
        )
        seen.append(np.asarray(images.decode_image(data, "x")))
        assert (seen[-1][0, 0] == 255).all() and (seen[-1][8, 8] == 10).all()
        assert images.remarks(data) == ["transparent pixels show white"]
        grey = np.asarray(open_grey(data, "x"))
        assert grey[0, 0] == 255
    assert all((image == seen[0]).all() for image in seen)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_colour_that_counts_as_transparent_shows_white(mode):
    image = Image.new(mode, (8, 8), 0)
    data = _file("PNG", image=image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert (np.asarray(images.decode_image(data, "x")) == 255).all()
    opaque = _file("PNG", image=image)
    assert (np.asarray(images.decode_image(opaque, "x")) == 0).all()


def test_an_animation_is_its_first_frame():
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        how = {"lossless": True} if kind == "WEBP" else {}
        first.save(buffer, kind, save_all=True, append_images=[second], **how)
        image = images.decode_image(buffer.getvalue(), "x")
        assert np.asarray(image)[0, 0].tolist() == [255, 0, 0], kind
        assert images.remarks(buffer.getvalue()) == ["of several frames the first is the picture"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_every_format_is_read_and_stored_as_jpeg(kind):
    data = _file(kind)
    image = images.decode_image(data, "x")
    assert image.mode == "RGB" and image.size == (60, 40)
    stored = images.to_jpeg(image, data)
    assert stored.startswith(b"\xff\xd8") and images.remarks(data) == []
    assert (stored == data) == (kind == "JPEG")


def test_profile_resolution_and_comment_change_nothing_and_are_not_stored():
    plain, odd = _file("PNG"), _file("PNG", icc_profile=b"odd", dpi=(1, 900), gamma=9.0)
    np.testing.assert_array_equal(images.decode_image(plain, "x"), images.decode_image(odd, "x"))
    image = images.decode_image(odd, "x")
    image.info["comment"] = b"x" * 70_000  # more than a JPEG file can hold
    assert images.to_jpeg(image) == images.to_jpeg(images.decode_image(plain, "x"))


def test_cmyk_is_stored_as_rgb():
    data = _file("JPEG", image=_picture().convert("CMYK"))
    image = images.decode_image(data, "x")
    assert image.mode == "RGB" and images.to_jpeg(image, data) != data
    off = np.abs(np.asarray(image, int) - np.asarray(_picture(), int))
    assert off.mean() < 12  # JPEG's own loss


def test_what_follows_the_end_of_a_picture_is_no_matter():
    for kind in ("JPEG", "PNG"):
        data = _file(kind)
        np.testing.assert_array_equal(
            images.decode_image(data + b"and more", "x"), images.decode_image(data, "x")
        )


def test_a_side_longer_than_jpeg_allows_is_a_bad_image_and_named():
    image = images.decode_image(_file("PNG", image=Image.new("L", (66_000, 2))), "strip")
    with pytest.raises(images.BadImageError, match=r"'strip.png' is 2x66000 .*at most 65,500"):
        images.to_jpeg(image, None, "strip.png")


def test_no_message_shows_a_python_object():
    for data in (b"", b"no image", _file("PNG")[:40], _file("WEBP")[:30], _file("TIFF")[:20]):
        for look in (images.decode_image, displayed_size, open_grey):
            with pytest.raises(images.BadImageError) as caught:
                look(data, "cat/a.jpg")
            assert "cat/a.jpg" in str(caught.value) and " at 0x" not in str(caught.value)
