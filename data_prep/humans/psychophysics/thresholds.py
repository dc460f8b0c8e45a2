"""Psychometric curves: how much must be shown?

    P(x) = 0.5 + (0.5 - lapse) logistic((log10 x - a) / b)

of x per cent of the important pixels, by maximum likelihood. The full image is a level of its own:
it is not on this axis, and not in the fit. The grid is searched whole, for all resamples at once,
so nothing depends on a start.
"""

import functools

import numpy as np

from data_prep.humans.psychophysics.levels import LEVELS

LOG_LEVELS = np.log10(LEVELS)
A = np.linspace(-0.5, 3.0, 211)  # log10 of the middle: 0.3 % to 1000 %
B = np.geomspace(0.03, 1.0, 18)
LAPSES = np.linspace(0.0, 0.12, 9)
WANTED = 0.75
AT_ONCE = 200  # resamples, for memory's sake


@functools.cache
def _grid():
    """(a, b, lapse) of all curves [G] each, log P and log 1 - P [G, 11], and their 75 % points."""
    a, b, lapse = (part.ravel() for part in np.meshgrid(A, B, LAPSES, indexing="ij"))
    chance = _curve(LOG_LEVELS, a[:, None], b[:, None], lapse[:, None])
    chance = np.clip(chance, 1e-9, 1 - 1e-9)
    return (a, b, lapse), np.log(chance), np.log1p(-chance), point(a, b, lapse)


def _curve(x, a, b, lapse):
    return 0.5 + (0.5 - lapse) / (1 + np.exp(-np.clip((x - a) / b, -500, 500)))


def point(a: np.ndarray, b: np.ndarray, lapse: np.ndarray) -> np.ndarray:
    """log10 of the x at which P is 0.75."""
    share = (WANTED - 0.5) / (0.5 - lapse)
    return a + b * np.log(share / (1 - share))


def fit(right: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best curve of each row.

    Args:
      right, total: answers at each level but full [R, 11]; weights need not be whole.

    Returns (parameters a, b, lapse [R, 3]; the 75 % point in per cent [R]).
    """
    parameters, log_p, log_q, points = _grid()
    best = np.concatenate(
        [
            np.argmax(
                right[i : i + AT_ONCE] @ log_p.T + (total - right)[i : i + AT_ONCE] @ log_q.T, 1
            )
            for i in range(0, len(right), AT_ONCE)
        ]
    )
    found = np.stack([part[best] for part in parameters], 1)
    return found, 10 ** points[best]


def curve(percent: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """P of a fitted curve."""
    return _curve(np.log10(percent), *parameters)
