"""A count map that covers a part of an image, laid back into the image's own frame.

Maps of 256x256 are of the central square of the short side, or of 224 of its 256 pixels, or of the
whole image pressed into a square: `perceptual_hash.FRAMES`. Each pixel of the image takes the count
at its centre; what the map does not cover is 0.
"""

import numpy as np

from data_prep.maps import count_maps, geometry

_EIGHTHS = {"crop": 8, "crop224": 7}  # of the short side; 224 of 256 pixels are 7 of 8


def lay(counts: np.ndarray, height: int, width: int, frame: str, name: str) -> np.ndarray:
    """The map in the frame of the whole image.

    `geometry.square_example` of the result, at the map's side, is the "crop" map again, exactly, if
    the image's short side is no shorter than the map's.

    Args:
      counts: integers [H', W'].
      height: of the image as displayed, pixels; `width` too.
      frame: of the map, if it is square. One that is not is of the whole image.
      name: of the map, for errors.

    Returns:
      Integers [height, width]; `counts` itself if it has that shape already and all of the frame.

    Raises:
      ValueError: the map is not square, and of other proportions than the image.
    """
    if counts.shape[0] != counts.shape[1]:
        return count_maps.fit_map(counts, height, width, name)
    if frame == "squash" or (frame == "crop" and height == width):
        if counts.shape == (height, width):
            return counts
        return geometry.resample_counts(counts, height, width)
    rows, first_row = _covered(height, min(height, width), _EIGHTHS[frame], len(counts))
    columns, first_column = _covered(width, min(height, width), _EIGHTHS[frame], len(counts))
    laid = np.zeros((height, width), counts.dtype)
    laid[first_row : first_row + len(rows), first_column : first_column + len(columns)] = counts[
        rows[:, None], columns
    ]
    return laid


def _covered(size, short, eighths, side):
    """Map pixel for each covered image pixel along one axis, and the first of these."""
    # In whole numbers, since margins of 1/16 put pixel centres exactly on edges of map pixels;
    # there the map pixel before the edge is taken.
    middle = 2 * ((size - short) // 2) + short  # of the central square, in half pixels
    numerator = (8 * (2 * np.arange(size, dtype=np.int64) + 1 - middle) + eighths * short) * side
    pixels = (numerator - 1) // (2 * eighths * short)  # ceil(numerator / denominator) - 1
    inside = np.flatnonzero((pixels >= 0) & (pixels < side))
    return pixels[inside], int(inside[0])
