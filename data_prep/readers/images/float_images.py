"""Images stored as floats, whose range nobody wrote down: found from the values, and held to.

Of ClickMe's records one published reader normalises as if values lay in 0...1; three others take
the archive as 0...255. So a file's range is guessed from some of its images and checked on each.
"""

import numpy as np

from gala_tf.data.images import BadImageError

UNIT, BYTE = 1, 255  # the two ranges, by their upper end
_SLACK = 1.001  # float rounding above the upper end; less than half a grey level
_INFINITE = np.float32(np.inf).view(np.uint32)
_BYTE_PEAK = 32  # a photograph of 0...255 whose brightest value is darker tells nothing


def guess_range(values: np.ndarray, name: str) -> int | None:
    """UNIT or BYTE, or None if this image fits both (it is black) or is doubtful.

    BadImageError: not finite, negative, or above 255.
    """
    peak = _peak(values, name)
    if peak > BYTE * _SLACK:
        raise _outside(name, peak, "0...1 or 0...255")
    if peak >= _BYTE_PEAK:
        return BYTE
    return UNIT if peak <= UNIT * _SLACK and _has_fractions(values) else None


def to_uint8(values: np.ndarray, upper: int, name: str) -> np.ndarray:
    """Values of the range 0...upper as uint8 0...255, rounded to the nearest.

    `upper`: UNIT or BYTE.

    BadImageError: not finite, negative, above `upper`, or for BYTE fractions below 2, which would
    be an image of the other range turned black.
    """
    peak = _peak(values, name)
    if peak > upper * _SLACK:
        raise _outside(name, peak, f"0...{upper}, the range of the other images of this file")
    if upper == BYTE and 0 < peak < 2 and _has_fractions(values):
        raise BadImageError(
            f"{name}: the image has fractions up to {peak:g}, as if its range were 0...1; that of "
            "the other images of this file is 0...255. Fetch the file again, or leave it out."
        )
    # The slack leaves less than 256 after the half, so the cast, which cuts off, rounds.
    return (values * np.float32(BYTE / upper) + np.float32(0.5)).astype(np.uint8)


def _peak(values, name):
    # As integers, floats >= 0 keep their order, and infinite, NaN and negative ones lie above: one
    # look instead of two. (-0.0 also does, which the second look forgives.)
    top = values.view(np.uint32).max()
    if top < _INFINITE:
        return float(top.view(np.float32))
    low, high = float(values.min()), float(values.max())  # NaN goes through both
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0:
        raise BadImageError(
            f"{name}: image values must be finite and >= 0, of {values.size} "
            f"{int((~np.isfinite(values)).sum())} are not finite and {int((values < 0).sum())} "
            "negative. Fetch the file again, or leave this image out."
        )
    return high


def _outside(name, peak, expected):
    return BadImageError(
        f"{name}: the brightest value of the image is {peak:g}, expected {expected}. Is it the "
        "same release? Fetch the file again, or leave this image out."
    )


def _has_fractions(values):
    return bool((values != np.floor(values)).any())
