"""Do the maps lie on their images? Statistics that a mirrored or shifted map would change.

People click on things, and things have edges: the map of an image follows its local contrast more
closely than the same map mirrored, turned upside down, or transposed (x and y exchanged) does, and
more closely than another image's map. All of them share the preference for the centre, so their
difference is what the alignment adds. It is small for one image and plain over thousands.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.merging import perceptual_hash

SIDE = 16  # n: places along each side at which map and contrast are compared
CONTRAST_SIDE = 64  # pixels left along the short side: finer contrast is noise
# The columns of `record_checks.Facts`, in this order: as it is, and turned.
TURNS = ("contrast", "contrast_mirrored", "contrast_upside_down", "contrast_transposed")
WRONG_TURNS = {
    "contrast_mirrored": "mirrored",
    "contrast_upside_down": "upside down",
    "contrast_transposed": "transposed (x and y exchanged)",
    "contrast_other": "of another image",
}
ONE_COLOR = 2.0  # standard deviation of pixels below which a picture shows nothing
PLAIN = 3.0  # standard errors that make a difference worth a word


def local_contrast(pixels: np.ndarray) -> np.ndarray:
    """Mean absolute differences between neighbours of the green channel, uint8 [H, W, 3].

    Returns float32 [n, n] over the whole image.
    """
    step = max(1, min(pixels.shape[:2]) // CONTRAST_SIDE)
    green = pixels[::step, ::step, 1].astype(np.int16)
    across, down = np.zeros_like(green), np.zeros_like(green)
    across[:, :-1] = np.abs(np.diff(green, axis=1))
    down[:-1] = np.abs(np.diff(green, axis=0))
    return cells(across + down)


def cells(values: np.ndarray) -> np.ndarray:
    """Means over n x n cells of whole pixels of [H, W]: float32 [n, n]."""
    height, width = values.shape
    if height % SIDE == 0 == width % SIDE:
        blocks = values.reshape(SIDE, height // SIDE, SIDE, width // SIDE)
        return blocks.mean((1, 3), dtype=np.float32)
    sums = values.astype(np.float32)
    for axis in (0, 1):
        size = values.shape[axis]
        edges = np.arange(SIDE + 1) * size // SIDE
        # Fewer pixels than cells: neighbouring cells share a pixel.
        starts = np.minimum(edges[:-1], size - 1)
        widths = np.maximum(np.diff(edges), 1)
        sums = np.add.reduceat(sums, starts, axis=axis) / np.expand_dims(widths, 1 - axis)
    return sums


def agreement(grid: np.ndarray, contrast: np.ndarray) -> list[float]:
    """Pearson correlations of a map [G, G] with the contrast [n, n], in the order of TURNS.

    A map or an image that is the same everywhere correlates with nothing: 0.
    """
    small, contrast = _centred(cells(grid)), _centred(contrast)
    return [
        float(np.vdot(turned, contrast)) for turned in (small, small[:, ::-1], small[::-1], small.T)
    ]


def _centred(values):
    """Of mean 0 and sum of squares 1; zeros if they are all the same."""
    values = values - values.mean()
    scale = math.sqrt(float(np.vdot(values, values)))
    return values / scale if scale > 1e-6 else np.zeros_like(values)


def picture_code(pixels: np.ndarray) -> tuple[bytes, float]:
    """`perceptual_hash.code` of a picture, uint8 [H, W, 3], pressed into a square.

    Of the green channel, thinned out first: a fraction of the time that grey takes. Returns the
    code, b"" for an image of nearly one colour; and the standard deviation of the small square's
    pixels, 0...128.
    """
    step = max(1, min(pixels.shape[:2]) // (2 * CONTRAST_SIDE))
    green = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step, 1]))
    square = perceptual_hash.shrink(green, "squash", 64)
    spread = float(square.std())
    return (perceptual_hash.code(square).tobytes() if spread >= ONE_COLOR else b""), spread


class Comparison(NamedTuple):
    """Aligned maps against turned ones."""

    turn: str  # in words
    mean: float  # mean correlation of the turned maps with the contrast
    difference: float  # how much more the maps correlate as they are
    error: float  # standard error of that mean difference, over images
    images: int

    @property
    def warning(self) -> str:
        """What to say if maps fit better turned than as they are; else ""."""
        if self.images < 30 or self.difference > -PLAIN * self.error:
            return ""
        return (
            f"maps fit the contrast of their images better {self.turn}: the mean correlation "
            f"is higher by {-self.difference:.3f} (standard error {self.error:.3f}, "
            f"{self.images:,} images). Look at the contact sheets; maps may lie askew."
        )


def compare(turn: str, images: int, mean: float, difference: float, square: float) -> Comparison:
    """A `Comparison` from the means of the turned correlation, the difference, and its square."""
    variance = max(square - difference**2, 0.0) * images / max(images - 1, 1)
    return Comparison(turn, mean, difference, math.sqrt(variance / max(images, 1)), images)
