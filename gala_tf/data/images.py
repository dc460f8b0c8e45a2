"""Image files as they are stored: decoded completely, checked, turned upright, made JPEG.

What a record may hold is what TensorFlow's decoder takes, in training, without an error.
"""

import functools
import io
import re
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

JPEG_QUALITY = 95  # of images that must be re-encoded; those that are fine keep their own bytes
JPEG_MAX_SIDE = 65_500  # pixels; what libjpeg can write and read
GROUND = (255, 255, 255)  # what shows through transparent pixels: the paper of a web page
ORIENTATION = 0x0112  # the tag, in EXIF and in TIFF


class BadImageError(ValueError):
    """An image that cannot be decoded or stored; the message names it and says what to do."""


# What image files may be, whatever their names say. Pillow knows many more, among them PostScript,
# which it hands to Ghostscript: reading a stranger's data set would run a stranger's program.
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")

# Endings of their files' names, in small letters; a file's content decides what it is.
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
)

# What Pillow raises for broken files of its various formats: nearly anything.
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def reason(error: BaseException) -> str:
    """What Pillow says of a broken file, without the Python objects that it names in its place."""
    if isinstance(error, UnidentifiedImageError):
        return f"cannot identify it as one of {', '.join(IMAGE_FORMATS)}"
    text = re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "the file", str(error))
    return text.rstrip(". ") or type(error).__name__


_Turn = Image.Transpose
_TURNS = {  # orientation -> what makes the picture upright
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """The orientation that an opened image's tags give: 1...8; 1, as stored, if they say nothing.

    Nothing is what other numbers, texts and fractions say, and tags that cannot be read: the
    pixels are sound whatever stands beside them.
    """
    try:
        with _without_warnings():
            value = image.getexif().get(ORIENTATION)
    except Exception:  # of many kinds: tags are a format of their own, often damaged
        return 1
    return value if type(value) is int and value in _TURNS else 1


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened image's pixels as they lie in its file."""
    # Pillow exchanges the sides of a TIFF by its orientation on opening it, and keeps these aside.
    return getattr(image, "_tile_size", image.size)


def displayed_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an opened image once it is upright."""
    width, height = stored_size(image)
    return (width, height) if orientation(image) >= 5 else (height, width)  # 5...8 swap the sides


def load_upright(image: Image.Image) -> Image.Image:
    """Decodes an opened image, and turns its pixels upright; no tag is read but the orientation.

    `ImageOps.exif_transpose` writes all tags anew, and fails on odd ones.
    """
    turn = orientation(image)
    if image.format != "TIFF":
        image.load()
        return image.transpose(_TURNS[turn]) if turn > 1 else image
    tags = image.getexif()
    for tag in list(tags):  # or Pillow would turn the picture itself, with all tags
        del tags[tag]
    image.load()
    return image.transpose(_TURNS[turn]) if turn > 1 else image.copy()  # either has its own size


# Pillow warns of odd tags, and names neither the file nor anything that one could do.
_without_warnings = functools.partial(warnings.catch_warnings, action="ignore")


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


def open_header(data: bytes) -> Image.Image:
    """Opens an image file for its size and tags alone; raises one of PILLOW_ERRORS."""
    with _without_warnings():
        return Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)


def decode_image(data: bytes | np.ndarray, name: str) -> Image.Image:
    """Decodes an image file completely, and turns it as its EXIF orientation says.

    Pixels, instead of a file, are taken as they are. Of an animation the first frame is the
    picture. What is transparent shows GROUND. Colour profiles, gamma and resolution are ignored,
    as every reader of ImageNet ignores them.

    Returns a Pillow image of mode "RGB" or "L" (8-bit); `.format` is None if it was converted or
    turned. BadImageError: truncated, corrupted, not an image, or grey of more than 8 bits.
    """
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8 or data.size == 0 or data.shape[2:] not in ((), (3,)):
            raise BadImageError(
                f"Image {name!r}: pixels must be uint8 [H, W, 3] or [H, W], got {data.dtype} "
                f"{list(data.shape)}. Convert them in the source."
            )
        return Image.fromarray(data)
    try:
        with _without_warnings():
            image = open_image(io.BytesIO(data))
            if image.format in ("JPEG", "MPO") and not _has_end(data):
                raise OSError("its JPEG data are cut off or altered, they have no end marker")
            image = load_upright(image)  # open() reads only the header; a truncated file fails here
            if image.mode[0] not in "IF":
                return opaque(image)
    except PILLOW_ERRORS as error:
        raise BadImageError(
            f"Image {name!r} ({len(data)} bytes) cannot be decoded: {reason(error)}. Expected a "
            "whole JPEG or PNG file. Fetch the file again or remove it."
        ) from error
    # I, I;16, F: Pillow's conversion to RGB would clip, silently.
    raise BadImageError(
        f"Image {name!r} has mode {image.mode!r}, expected 8 bits a channel. Convert it to an "
        "8-bit JPEG or PNG file."
    )


def is_transparent(image: Image.Image) -> bool:
    """Whether an image has an alpha channel, or a colour that counts as transparent."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def opaque(image: Image.Image) -> Image.Image:
    """RGB or L; transparent pixels show GROUND, so that what is hidden below them never counts."""
    if is_transparent(image):
        above = image.convert("RGBA")
        ground = Image.new("RGBA", above.size, (*GROUND, 255))
        return Image.alpha_composite(ground, above).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def remarks(data: bytes | np.ndarray) -> list[str]:
    """What is not stored of an image file that `decode_image` takes, in words; often nothing."""
    if isinstance(data, np.ndarray):
        return []
    if data.startswith(b"\xff\xd8") and b"MPF\0" not in data[:65_536]:
        return []  # most images: a JPEG of one picture
    found = []
    try:
        with _without_warnings(), Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            if is_transparent(image):
                found.append("transparent pixels show white")
            if image.mode in ("RGB", "RGBA", "LA") and _bits(image, data) > 8:
                found.append("of more than 8 bits a channel the upper 8 are kept")
            if getattr(image, "n_frames", 1) > 1:
                found.append("of several frames the first is the picture")
    except PILLOW_ERRORS:
        pass  # the pixels were decoded: what cannot be read is no frame
    return found


def _bits(image, data):
    if image.format == "PNG":
        return data[24]
    return max(image.tag_v2.get(258, (8,))) if image.format == "TIFF" else 8


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


def to_jpeg(image: Image.Image, data: bytes | np.ndarray | None = None, name: str = "") -> bytes:
    """The JPEG file to store for `image`, a result of `decode_image(data, ...)`.

    `data` itself when it is a JPEG file that needed no conversion (nothing is lost), else a new
    encoding: decode_and_crop_jpeg fails on PNG, and CMYK or turned JPEGs would come out wrong.
    BadImageError: a side is longer than a JPEG file can have.
    """
    if isinstance(data, bytes) and image.format == "JPEG":
        return data
    if max(image.size) > JPEG_MAX_SIDE:
        raise BadImageError(
            f"Image {name!r} is {image.height}x{image.width} pixels (height x width); a JPEG file "
            f"has at most {JPEG_MAX_SIDE:,} a side. Cut it or shrink it, or remove it."
        )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, comment=b"")  # or a GIF's would be kept
    return buffer.getvalue()
