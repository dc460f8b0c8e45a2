"""Do the maps lie on their images? Statistics that a mirrored or shifted map would change.

People click on things, and things have edges: the map of an image follows its local contrast more
closely than the same map mirrored, turned upside down, or transposed (x and y exchanged) does, and
more closely than another image's map. All of them share the preference for the centre, so their
difference is what the alignment adds. It is small for one image and plain over thousands.
"""

import math
from typing import NamedTuple

import numpy as np

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
PLAIN = 3.0  # standard errors that make a difference worth a word


def local_contrast(pixels: np.ndarray) -> np.ndarray:
    """Mean absolute differences between neighbours of the green channel, uint8 [H, W, 3].

    Returns:
      float32 [n, n] over the whole image.
    """
    step = max(1, min(pixels.shape[:2]) // CONTRAST_SIDE)
    green = pixels[::step, ::step, 1].astype(np.int16)
    across, down = np.zeros_like(green), np.zeros_like(green)
    across[:, :-1] = np.abs(np.diff(green, axis=1))
    down[:-1] = np.abs(np.diff(green, axis=0))
    return cells(across + down)


def cells(values: np.ndarray) -> np.ndarray:
    """Means over n x n cells of whole pixels of [H, W]: float32 [n, n]."""
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
    small = cells(grid)
    return [correlation(turned, contrast) for turned in turns(small)]


def turns(small: np.ndarray) -> list[np.ndarray]:
    return [small, small[:, ::-1], small[::-1], small.T]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-12 else 0.0


def picture_code(image) -> bytes:
    """`perceptual_hash.code` of a Pillow image pressed into a square; b"" for one single colour."""
    from data_prep import perceptual_hash

    square = perceptual_hash.shrink(image.convert("L"), "squash", 64)
    return perceptual_hash.code(square).tobytes() if np.ptp(square) > 8 else b""


class Comparison(NamedTuple):
    """Aligned maps against turned ones.

    Attributes:
      turn: in words.
      mean: mean correlation of the turned maps with the contrast.
      difference: how much more the maps correlate as they are.
      error: standard error of that mean difference, over images.
    """

    turn: str
    mean: float
    difference: float
    error: float
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
