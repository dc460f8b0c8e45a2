"""One frame for an image and its count maps.

Maps are resampled by taking the nearest pixel. A count says how many bubbles cover a place: it is
read off at the new pixel's centre, stays an integer and keeps its ties, and the blur that follows
averages over far more than half a pixel. The price: a map of marks thinner than a pixel of the
new frame loses some of them, so paint bubbles (`clicks.py`), not points, before shrinking.
"""

import dataclasses
import io

import numpy as np
from PIL import Image

from gala_tf.data import schema
from gala_tf.data.images import IMAGE_FORMATS, PILLOW_ERRORS, BadImageError


def displayed_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width of an image file as displayed, from its header alone.

    images.BadImageError: not an image. (Damage behind the header is not seen here.)
    """
    try:
        image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
        sideways = image.getexif().get(0x0112, 1) >= 5  # orientations 5...8 swap the axes
    except PILLOW_ERRORS as error:
        raise BadImageError(f"Image {name!r} cannot be opened: {error}.") from error
    return (image.width, image.height) if sideways else (image.height, image.width)


def nearest_pixels(out_size: int, start: float, extent: float) -> np.ndarray:
    """For each of `out_size` cells of [start, start + extent), the pixel at its centre: [out]."""
    return np.floor(start + (np.arange(out_size) + 0.5) * (extent / out_size)).astype(np.int64)


def resample_counts(counts: np.ndarray, height: int, width: int) -> np.ndarray:
    """A count map [H', W'] on a grid of [height, width] pixels, nearest pixel."""
    rows = nearest_pixels(height, 0, counts.shape[0])
    columns = nearest_pixels(width, 0, counts.shape[1])
    return counts[rows[:, None], columns]


def square_example(
    example: schema.Example, image: Image.Image, side: int
) -> tuple[schema.Example, Image.Image]:
    """The example with its central square of the short side, resized to side x side.

    The same as resizing the short side to `side` and cropping the centre, the usual preparation
    of ImageNet, which the authors' later matching of ClickMe images to originals also assumes.

    Returns the example, with maps to match, and the square image; both as they were if they fit.
    """
    if image.size == (side, side):
        return example, image  # a JPEG of the right size keeps its bytes
    short = min(image.size)
    left, top = (image.width - short) / 2, (image.height - short) / 2  # may be half a pixel
    square = image.resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + short, top + short)
    )
    rows, columns = nearest_pixels(side, top, short), nearest_pixels(side, left, short)
    maps = tuple(counts.take(rows, 0).take(columns, 1) for counts in example.participant_maps)
    return dataclasses.replace(example, participant_maps=maps), square
