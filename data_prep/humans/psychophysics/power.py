"""What an experiment of a size can see: shares of simulated experiments with p < .05."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.observed import accuracy, exclude
from data_prep.humans.psychophysics.observers import straight
from data_prep.humans.psychophysics.resampling import holm, permute
from data_prep.humans.psychophysics.settings import Exclusions, Planted


@dataclasses.dataclass(frozen=True)
class Seen:
    """Shares of experiments with p < .05.

    Attributes:
        people: in both groups together.
        by_level: at each level, uncorrected.
        any_holm: at any level, after Holm.
    """

    people: int
    experiments: int
    by_level: list[float]
    any_holm: float


def run(
    planted: Planted,
    experiments: int,
    permutations: int,
    seed: int,
    progress: Callable[[Iterable], Iterator] = iter,
) -> Seen:
    """Simulates experiments of one size and tests each as the analysis does."""
    hits, any_holm = np.zeros(len(LEVEL_NAMES)), 0
    for number in progress(range(experiments)):
        seen, _ = exclude(straight(planted, seed * 100_000 + number), Exclusions())
        chance = np.random.default_rng([seed, number])
        p = permute(accuracy(seen, "dropped"), seen.in_b, chance, permutations).p
        hits += p < 0.05
        any_holm += bool((holm(p) < 0.05).any())
    shares = (hits / experiments).tolist()
    return Seen(planted.observers, experiments, shares, any_holm / experiments)
