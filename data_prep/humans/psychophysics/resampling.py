"""Comparisons of two groups of people by permutation and bootstrap; arrays and a Generator in.

People are what is drawn: their trials stay together.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy import stats

TIE = 1e-12  # as SciPy: sums of the same numbers in another order are equal


class Permuted(NamedTuple):
    """A two-sided permutation test of each column.

    Attributes:
        difference: mean of a less mean of b [L].
        p: [L].
        count: permutations, all there are if `exact`.
    """

    difference: np.ndarray
    p: np.ndarray
    count: int
    exact: bool


def permute(
    values: np.ndarray, in_b: np.ndarray, chance: np.random.Generator, count: int = 10_000
) -> Permuted:
    """Exchanges people's groups.

    Args:
      values: one number a person and column [P, L]; NaN: none.
      in_b: [P].

    p = (k + 1) / (n + 1) of n drawn, so it is never 0; k / n where all n were looked at.
    """
    people, of_b = len(in_b), int(in_b.sum())
    exact = math.comb(people, of_b) <= count
    if exact:
        labels = np.zeros((math.comb(people, of_b), people), bool)
        for row, places in enumerate(itertools.combinations(range(people), of_b)):
            labels[row, list(places)] = True
    else:
        labels = chance.permuted(np.tile(in_b, (count, 1)), axis=1)
    observed = _differences(values, in_b[None])[0]
    null = _differences(values, labels)
    beyond = (np.abs(null) >= np.abs(observed) - TIE).sum(0)
    p = beyond / len(labels) if exact else (beyond + 1) / (len(labels) + 1)
    return Permuted(observed, np.where(np.isnan(observed), np.nan, p), len(labels), exact)


def _differences(values, labels):
    """Mean of a less mean of b, for each assignment [N, P]: [N, L]."""
    there = ~np.isnan(values)
    filled, weights = np.where(there, values, 0.0), labels.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        in_b = weights @ filled / (weights @ there)
        in_a = (filled.sum(0) - weights @ filled) / (there.sum(0) - weights @ there)
    return in_a - in_b


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjustment for several tests; NaN stay."""
    adjusted, tested = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    running = 0.0
    for rank, place in enumerate(tested[np.argsort(p[tested], kind="stable")]):
        running = max(running, min(1.0, (len(tested) - rank) * p[place]))
        adjusted[place] = running
    return adjusted


def draw_again(size: int, chance: np.random.Generator, count: int) -> np.ndarray:
    """How often each of so many people or images is drawn, with replacement: [count, size]."""
    return chance.multinomial(size, np.full(size, 1 / size), size=count).astype(float)


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means of columns over people drawn so often: [N, L] of [P, L] and [N, P]."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ np.where(there, values, 0.0) / (weights @ there)


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles over the first axis."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def two_way_interval(
    estimate: float, draws: tuple[np.ndarray, np.ndarray, np.ndarray], clusters: int
) -> tuple[float, float]:
    """95 % interval of a number whose people and images are both samples.

    Variances by people and by images add up, less that of single trials, which is in both (Cameron,
    Gelbach and Miller 2011); Student's t.

    Args:
      draws: resampled by people, by images and by trials [N] each.
      clusters: the smaller number of people or images.
    """
    people, images, trials = (_spread(one) ** 2 for one in draws)
    error = np.sqrt(max(people + images - trials, people, images))
    half = stats.t.ppf(0.975, clusters - 1) * error
    return estimate - half, estimate + half


def _spread(draws):
    """Half of what the middle 68 % span: a standard deviation that single draws do not move."""
    low, high = np.quantile(draws, stats.norm.cdf([-1, 1]))
    return (high - low) / 2
