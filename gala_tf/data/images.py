"""Image files as they are stored: decoded completely, checked, turned upright, made JPEG.

What a record may hold is what TensorFlow's decoder takes, in training, without an error.
"""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

JPEG_QUALITY = 95  # of images that must be re-encoded; those that are fine keep their own bytes


class BadImageError(ValueError):
    """An image that cannot be decoded or stored; the message names it and says what to do."""


# What image files may be, whatever their names say. Pillow knows many more, among them PostScript,
# which it hands to Ghostscript: reading a stranger's data set would run a stranger's program.
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")

# What Pillow raises for broken files of its various formats.
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_image(source: str | io.BytesIO) -> Image.Image:
    """Opens an image file of IMAGE_FORMATS, its pixels not yet decoded.

    Raises one of PILLOW_ERRORS: not such a file, or a PNG that fails one of its checksums.
    """
    image = Image.open(source, formats=IMAGE_FORMATS)
    if image.format == "PNG":
        image.verify()  # decoding compares no checksum of pixels, so that altered ones would pass
        if isinstance(source, io.BytesIO):
            source.seek(0)
        image = Image.open(source, formats=IMAGE_FORMATS)
    return image


def decode_image(data: bytes | np.ndarray, name: str) -> Image.Image:
    """Decodes an image file completely, and turns it as its EXIF orientation says.

    Pixels, instead of a file, are taken as they are. Returns a Pillow image of mode "RGB" or "L"
    (8-bit); `.format` is None if it was converted or turned. BadImageError: truncated, corrupted,
    not an image, or more than 8 bits a channel.
    """
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8 or data.size == 0 or data.shape[2:] not in ((), (3,)):
            raise BadImageError(
                f"Image {name!r}: pixels must be uint8 [H, W, 3] or [H, W], got {data.dtype} "
                f"{list(data.shape)}. Convert them in the source."
            )
        return Image.fromarray(data)
    try:
        image = open_image(io.BytesIO(data))
        if image.format == "JPEG" and not _has_end(data):
            raise OSError("its JPEG data are cut off or altered, they have no end marker")
        image.load()  # open() reads only the header; a truncated file fails here
        if image.mode[0] not in "IF":
            if image.getexif().get(0x0112, 1) != 1:  # 0x0112: orientation, 1: as stored
                image = ImageOps.exif_transpose(image)
            return image if image.mode in ("RGB", "L") else image.convert("RGB")
    except PILLOW_ERRORS as error:
        raise BadImageError(
            f"Image {name!r} ({len(data)} bytes) cannot be decoded: {error}. Expected a whole JPEG "
            "or PNG file. Fetch the file again or remove it."
        ) from error
    # I, I;16, F: Pillow's conversion to RGB would clip, silently.
    raise BadImageError(
        f"Image {name!r} has mode {image.mode!r}, expected 8 bits a channel. Convert it to an "
        "8-bit JPEG or PNG file."
    )


_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # stuffed 0xff and restarts are none


def _has_end(jpeg):
    """Whether a JPEG's markers lead to the one that ends it, as TensorFlow's decoder demands.

    Pillow fills what is missing with grey, and does not say so.
    """
    position = 0
    while match := _MARKER.search(jpeg, position):
        position, marker = match.end(), jpeg[match.end() - 1]
        if marker == 0xD9:
            return True
        if marker not in (0x01, 0xD8):  # all others have a length
            position += int.from_bytes(jpeg[position : position + 2], "big")
    return False


def to_jpeg(image: Image.Image, data: bytes | np.ndarray | None = None) -> bytes:
    """The JPEG file to store for `image`, a result of `decode_image(data, ...)`.

    `data` itself when it is a JPEG file that needed no conversion (nothing is lost), else a new
    encoding: decode_and_crop_jpeg fails on PNG, and CMYK or turned JPEGs would come out wrong.
    """
    if isinstance(data, bytes) and image.format == "JPEG":
        return data
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
