"""Click maps: which blur, exact blurred counts, and the box they span.

Everything a map goes through on its way from counts to a training target is linear, and all of it
except the disc blur is separable. So each axis is one small matrix, and a map is two products away:

    target [h, w] = rows [h, H] @ counts [H, W] @ columns [w, W]^T
    rows, columns = resample_matrix(...) @ blur_matrix(...)

This file is the NumPy half: the blur, exact sums of counts, and extents. `map_operators` has the
matrices of crop, flip and resize in TensorFlow.

Dimension letters: H W the stored map, h w the target, K the size of a blur; H comes before W.
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage
from scipy.linalg import toeplitz

_FORMS = "box:K, gaussian:K,SIGMA, disc:K or none (K odd, in pixels of the stored map)"


@dataclasses.dataclass(frozen=True)
class Blur:
    """A blur of a count map; side or diameter `size` and deviation `sigma` in stored pixels."""

    kind: str
    size: int = 1
    sigma: float = 0.0

    def __str__(self):
        """The text from which `parse_blur` makes an equal blur."""
        if self.kind == "none":
            return "none"
        return f"{self.kind}:{self.size}" + (f",{self.sigma}" if self.kind == "gaussian" else "")


NO_BLUR = Blur("none")


def parse_blur(text):
    """Reads "box:49", "gaussian:49,28", "disc:21" or "none".

    The paper blurs maps with "a 49x49 kernel" and gives no sigma; the kernel its authors released
    is flat within 0.65 %. Hence box:49 where the paper is followed. ValueError: another form, a
    size that is not odd and positive, a sigma that is not positive.
    """
    kind, _, numbers = text.partition(":")
    try:
        if kind == "gaussian":
            size, sigma = numbers.split(",")
            blur = Blur(kind, int(size), float(sigma))
            well_formed = 0 < blur.sigma < math.inf
        elif kind in ("box", "disc"):
            blur = Blur(kind, int(numbers))
            well_formed = True
        else:
            blur = NO_BLUR
            well_formed = text == "none"
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ValueError(f"A map blur must be {_FORMS}; received {text!r}.")
    if blur.size < 1 or blur.size % 2 == 0:
        raise ValueError(
            f"A map blur needs an odd, positive size, so that it has a centre; received {text!r}. "
            f"Use {_FORMS}."
        )
    return blur


def blur_taps(blur):
    """The weights of a separable blur along one axis, float64 [K]: box ones, gaussian of sum 1.

    ValueError: a disc, which is no product of two axes.
    """
    if blur.kind == "disc":
        raise ValueError(
            f"{blur} is not separable, so it has no taps along one axis; "
            "blur the map itself with blur_counts or blur_disc."
        )
    if blur.kind != "gaussian":
        return np.ones(blur.size)
    offsets = np.arange(blur.size) - blur.size // 2
    taps = np.exp(-0.5 * (offsets / blur.sigma) ** 2)
    return taps / taps.sum()


def blur_matrix(size, blur):
    """The blur along an axis of `size` pixels, zeros outside: float64 [size, size].

    ValueError: a disc, which is no product of two axes.
    """
    half = blur_taps(blur)[blur.size // 2 :]  # from the centre outwards
    return toeplitz(np.pad(half, (0, max(0, size - len(half))))[:size])


def disc_half_widths(size):
    """Half the width of each of the K rows of a disc: centres at most K // 2 from its centre."""
    radius = size // 2
    return [math.isqrt(radius**2 - dy**2) for dy in range(-radius, radius + 1)]


def _window_sums(counts, size, axis):
    """Sums of `size` neighbours (odd), zeros outside; exact: differences of int64 running sums."""
    length = counts.shape[axis]
    nothing = np.zeros_like(counts.take([0], axis))
    sums = np.concatenate([nothing, counts.cumsum(axis)], axis)  # [..., length + 1]: of the first n
    centres = np.arange(length)
    upto = sums.take(np.minimum(centres + size // 2 + 1, length), axis)
    before = sums.take(np.maximum(centres - size // 2, 0), axis)
    return upto - before


def blur_counts(counts, blur):
    """The exact blur of count maps, with zeros outside the image.

    Args:
        counts: integers or booleans [..., H, W].
        blur: a `Blur`.

    Returns [..., H, W]: int64 window sums for box and disc, the counts for none; float64 weighted
    means for gaussian. ValueError: counts that are not integers, whose sums would not be exact.
    """
    counts = np.asarray(counts)
    if counts.dtype.kind not in "iub" or counts.ndim < 2:
        raise ValueError(
            f"Count maps must be integers [..., H, W]; received {counts.dtype} "
            f"{list(counts.shape)}. Scale and round the maps to integers first."
        )
    counts = counts.astype(np.int64)
    if blur.kind == "none":
        return counts
    if blur.kind == "box":
        return _window_sums(_window_sums(counts, blur.size, -2), blur.size, -1)
    if blur.kind == "gaussian":
        rows = ndimage.convolve1d(counts * 1.0, blur_taps(blur), axis=-2, mode="constant")
        return ndimage.convolve1d(rows, blur_taps(blur), axis=-1, mode="constant")
    # A disc is a stack of row runs: running sums cost K additions a pixel, a convolution K^2.
    radius, height = blur.size // 2, counts.shape[-2]
    padded = np.pad(counts, [(0, 0)] * (counts.ndim - 2) + [(radius, radius), (0, 0)])
    return sum(
        _window_sums(padded[..., row : row + height, :], 2 * half + 1, -1)
        for row, half in enumerate(disc_half_widths(blur.size))
    )


def extent_box(counts):
    """The smallest rectangle that covers all counts > 0 of a map [H, W].

    Returns (ymin, xmin, ymax, xmax) in fractions of H and W, the maxima being the outer edges of
    the last pixels, so that a full map gives (0, 0, 1, 1); None for an empty map.
    """
    positive = np.asarray(counts) > 0
    height, width = positive.shape
    rows, columns = np.flatnonzero(positive.any(1)), np.flatnonzero(positive.any(0))
    if not rows.size:
        return None
    edges = rows[0] / height, columns[0] / width, (rows[-1] + 1) / height, (columns[-1] + 1) / width
    return tuple(map(float, edges))
