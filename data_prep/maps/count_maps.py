"""Count maps: checked, made whole numbers, fitted to their image."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from data_prep.maps import geometry
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import MAX_COUNT, BadMapError, Example


class BadMapOfImageError(BadImageError, BadMapError):
    """A map that came with its image, from one record or one list.

    Either may be at fault: --on_bad_map=skip leaves out the map, --on_bad_image=skip both.
    """


def attach(example: Example, read_maps: Callable[[], Iterable[np.ndarray]]) -> Example:
    """The example with the maps that `read_maps` gives.

    BadMapError: as `read_maps` did; it carries the example without maps. NoImageError: likewise,
    since no map is at fault.
    """
    try:
        return dataclasses.replace(example, participant_maps=tuple(read_maps()))
    except BadMapError as error:
        error.example = example
        raise
    except geometry.NoImageError:
        raise
    except BadImageError as error:
        both = BadMapOfImageError(str(error))
        both.example = example
        raise both from error


def as_counts(values: np.ndarray, path: str) -> np.ndarray:
    """Numbers [P, H, W] as integers >= 0 whose sum over P is at most 65,535.

    Whole numbers stay as they are; fractions are scaled, all participants by one factor, which a
    scale-free loss and a rank correlation do not notice.

    BadMapError: not finite, negative, or whole numbers with a larger sum; `path` names the map.
    """
    if values.dtype.kind in "ub" and values.dtype.itemsize <= 2:
        values = values.astype(np.uint8) if values.dtype == bool else values
        if sum(int(counts.max()) for counts in values) <= MAX_COUNT:
            return values  # the usual case, and a quick one
    if len(values) == 1 and values.dtype.kind == "f":
        with np.errstate(
            invalid="ignore"
        ):  # NaN and whatever else does not fit becomes some number
            whole = values.astype(np.uint16)
        if (whole == values).all():  # which is then another; three times faster than to look first
            return whole.astype(np.int64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise BadMapError(
            f"Map {path!r} must be finite and >= 0, got {_range_in_words(values)}. Shift or clip "
            "it first: 0 means that nobody looked there."
        )
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        # Less half a unit a participant, so that rounding cannot lift the sum above MAX_COUNT.
        scale = (MAX_COUNT - len(values)) / values.sum(0, dtype=np.float64).max()
        return np.rint(values * scale).astype(np.int64)
    total = values.sum(0, dtype=np.float64).max()
    if total > MAX_COUNT:
        raise BadMapError(
            f"Map {path!r}: counts sum to {total:.12g} over participants, at most {MAX_COUNT} can "
            "be kept. Divide them first."
        )
    return values.astype(np.int64)


def _range_in_words(values):
    missing, infinite = np.isnan(values).sum(), np.isinf(values).sum()
    with np.errstate(invalid="ignore"):
        negative = (values < 0).sum()
    found = {"not a number (NaN)": missing, "infinite": infinite, "negative": negative}
    wrong = ", ".join(f"{count} {what}" for what, count in found.items() if count)
    finite = values[np.isfinite(values)]
    spread = f"{finite.min()}...{finite.max()}" if finite.size else "nothing finite"
    return f"{spread}: of {values.size} values {wrong}"


def fit_map(counts: np.ndarray, height: int, width: int, path: str) -> np.ndarray:
    """The map [H', W'] on its image's pixels; BadMapError if it has other proportions."""
    map_height, map_width = counts.shape
    # Sides are whole numbers: one of the two is within half a pixel of what proportion demands.
    off_width = abs(map_width - width * map_height / height)
    off_height = abs(map_height - height * map_width / width)
    if min(off_width, off_height) > 0.5:
        raise BadMapError(
            f"Map {path!r} is {map_height}x{map_width}, its image {height}x{width} (height x "
            "width, as displayed): other proportions, so there is no telling which part of the "
            "image it covers. Make the map anew for the whole image."
        )
    return geometry.resample_counts(counts, height, width)
