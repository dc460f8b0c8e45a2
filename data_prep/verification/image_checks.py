"""The picture of one record: its header against the record, then decoded as training decodes it.

Sizes are read from headers before anything is decoded, so that a small file cannot claim a large
picture.
"""

import functools
import io
import struct

import numpy as np
import tensorflow as tf
from PIL import Image

from gala_tf.data import dataset_info
from gala_tf.data.images import PILLOW_ERRORS, orientation
from gala_tf.data.messages import plain_message

JPEG_FRAME = struct.Struct(">HHB")  # height, width, channels; after marker, length, precision


def decode(values: dict, info: dataset_info.DatasetInfo) -> tuple[np.ndarray | None, str]:
    """uint8 [H, W, 3], or None and why not."""
    data, shape = values["image/encoded"], (values["image/height"], values["image/width"])
    sizes = info.image
    ranges = (sizes.min_height, sizes.max_height), (sizes.min_width, sizes.max_width)
    if not all(low <= size <= high for size, (low, high) in zip(shape, ranges, strict=True)):
        return None, (
            f"image of {shape[0]}x{shape[1]} pixels (height x width), expected heights "
            f"{ranges[0][0]}...{ranges[0][1]} and widths {ranges[1][0]}...{ranges[1][1]} "
            f"({dataset_info.INFO_FILE})"
        )
    found = jpeg_shape(data)
    if found is None:
        return None, "the image is no JPEG file"
    if found[:2] != shape or found[2] not in (1, 3):
        return None, (
            f"the JPEG is {found[0]}x{found[1]} pixels (height x width) of {found[2]} channels, "
            f"expected {shape[0]}x{shape[1]} of 1 or 3"
        )
    if _is_turned(data):
        return None, "the JPEG has an EXIF orientation, which training ignores"
    try:
        return tf.io.decode_and_crop_jpeg(data, _window(shape), channels=3).numpy(), ""
    except tf.errors.InvalidArgumentError as error:
        return None, f"the JPEG cannot be decoded ({plain_message(error)})"


@functools.lru_cache(maxsize=512)
def _window(shape):
    return tf.constant([0, 0, *shape], tf.int32)


def jpeg_shape(data: bytes) -> tuple[int, int, int] | None:
    """Height, width, channels from a JPEG's frame header; None if it has none."""
    if not data.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # tables, arithmetic
            return JPEG_FRAME.unpack_from(data, place + 5)
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _is_turned(data):
    if data.find(b"Exif\0\0", 0, 65_536) < 0:
        return False
    try:
        return orientation(Image.open(io.BytesIO(data))) != 1
    except PILLOW_ERRORS:
        return False  # TensorFlow's decoder is the one that counts
