"""One frame for an image and its count maps, in whole pixels.

The central square begins at a whole pixel of the image: where the excess is odd, the right or the
lower margin is the wider by one. Image, maps and clicks take their square from `central_square`.

Maps are resampled by reading them at the centre of each new pixel. A count says how many bubbles
cover a place, so it stays an integer and keeps its ties, and the blur that follows averages over
far more than a pixel. A centre that lies exactly between two pixels, as all do where sides are
halved, reads the larger of both: taking always the second shifted such maps by half a pixel. The
price: a map of marks thinner than a pixel of the new frame loses some of them, so paint bubbles
(`rasterise.py`), not points, before shrinking.
"""

import dataclasses

import numpy as np
from PIL import Image

from gala_tf.data import images, schema


class NoImageError(images.BadImageError):
    """A file that is no image, whatever lists or maps say of it."""


def displayed_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width of an image file as displayed, from its header alone.

    NoImageError: it is none. (Damage behind the header is not seen here.)
    """
    try:
        return images.displayed_size(images.open_header(data))
    except images.PILLOW_ERRORS as error:
        raise NoImageError(
            f"Image {name!r} cannot be opened: {images.reason(error)}. Fetch the file again or "
            "remove it."
        ) from error


def central_square(height: int, width: int) -> tuple[int, int, int]:
    """Top, left and side of an image's central square, whole pixels."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side


def read_at_centres(
    counts: np.ndarray, axis: int, out_size: int, start: int, extent: int
) -> np.ndarray:
    """A count map read along an axis at the centres of `out_size` cells of [start, start + extent).

    In whole numbers, since the rounding of a float would decide between two pixels.
    """
    places = (2 * np.arange(out_size) + 1) * extent  # of centres, less start, in 1 / (2 out_size)
    after = places // (2 * out_size)
    read = counts.take(start + after, axis)
    between = (places % (2 * out_size) == 0) & (after > 0)
    if not between.any():
        return read
    before = counts.take(start + after - between, axis)
    return np.maximum(read, before)


def resample_counts(counts: np.ndarray, height: int, width: int) -> np.ndarray:
    """A count map [H', W'] on a grid of [height, width] pixels."""
    rows = read_at_centres(counts, 0, height, 0, counts.shape[0])
    return read_at_centres(rows, 1, width, 0, counts.shape[1])


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
    top, left, short = central_square(image.height, image.width)
    square = image.resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + short, top + short)
    )
    maps = tuple(
        read_at_centres(read_at_centres(counts, 0, side, top, short), 1, side, left, short)
        for counts in example.participant_maps
    )
    return dataclasses.replace(example, participant_maps=maps), square
