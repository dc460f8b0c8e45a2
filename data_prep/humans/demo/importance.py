"""Which parts of a picture a network needs: how much it loses when a patch is hidden."""

from collections.abc import Callable

import numpy as np

from data_prep.humans.demo.photographs import FRAME

PATCH, STRIDE = 32, 16  # px; 225 patches, some 2 s a picture with the built-in network
GREY = (124, 116, 104)  # ImageNet's mean
BATCH = 8


def occlusion(
    probability: Callable[[np.ndarray], np.ndarray],
    pixels: np.ndarray,
    patch: int = PATCH,
    stride: int = STRIDE,
) -> np.ndarray:
    """Occlusion importance (Zeiler & Fergus 2014): float64 [256, 256], >= 0, in nats.

    Args:
      probability: of the picture's class, of pictures uint8 [B, 256, 256, 3]: [B].
      pixels: uint8 [256, 256, 3].

    A pixel's importance is the mean drop of the log-probability over the grey patches that hide it.
    Log, since the probability of a picture that is certain hardly moves; drops below 0 count as 0.
    """
    corners = [(y, x) for y in _starts(patch, stride) for x in _starts(patch, stride)]
    whole = _log(probability(pixels[None]))[0]
    drops, covered = np.zeros((FRAME, FRAME)), np.zeros((FRAME, FRAME))
    for first in range(0, len(corners), BATCH):
        some = corners[first : first + BATCH]
        views = np.repeat(pixels[None], len(some), 0)
        for view, (y, x) in zip(views, some, strict=True):
            view[y : y + patch, x : x + patch] = GREY
        for drop, (y, x) in zip(whole - _log(probability(views)), some, strict=True):
            drops[y : y + patch, x : x + patch] += max(drop, 0.0)
            covered[y : y + patch, x : x + patch] += 1
    return drops / np.maximum(covered, 1)


def _starts(patch, stride):
    """Where patches begin; the last ends at the frame's end."""
    return [*range(0, FRAME - patch, stride), FRAME - patch]


def _log(probabilities):
    return np.log(np.maximum(np.asarray(probabilities, float), 1e-12))
