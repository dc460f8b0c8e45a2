"""Networks against each other, from the rows of their runs: errors, paired tests, power.

Errors are top-1, in %. Intervals are 95 %, Student's t over runs of other seeds and splits. Two
networks are compared run by run, of one seed and one split: over runs by the paired t test, over
images by permutation, an image's value being its mean over all runs that tested it.
"""

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import runs as planned
from scipy import special, stats

from gala_tf.evaluation import significance

POWER = 0.8
SEED = 0  # of permutations


class Pair(NamedTuple):
    """A network against another, run by run and image by image; errors in points."""

    runs: int
    difference: significance.Interval
    p_runs: float
    p_images: float
    detectable: float  # difference found with a probability of POWER, at 5 %, with so many runs
    map_score: significance.Interval  # difference of correlations, on the cells of the map
    map_score_aligned: significance.Interval  # the same with the map laid where the layer looks


def hits(row: dict, condition: str, count: int) -> np.ndarray:
    """Which test images a run got right, [count] of 0 and 1, in the order of their names."""
    bits = bytes.fromhex(row["correct_" + condition if condition else "correct"])
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).astype(float)


def errors(rows: dict, images: dict, condition: str = "") -> dict:
    """{(split, seed): error in %} of a network's runs."""
    return {
        key: 100 * (1 - hits(row, condition, len(images[key[0]])).mean())
        for key, row in rows.items()
    }


def compare(one: dict, other: dict, images: dict, condition: str = "") -> Pair | None:
    """`one` minus `other`, {(split, seed): row} each; None for fewer than two common runs."""
    keys = sorted(set(one) & set(other))
    if len(keys) < 2:
        return None
    difference, by_image = [], defaultdict(list)
    for key in keys:
        names = images[key[0]]
        of_images = hits(other[key], condition, len(names)) - hits(one[key], condition, len(names))
        difference.append(100 * of_images.mean())
        for name, value in zip(names, of_images, strict=True):
            by_image[name].append(value)
    means = np.array([np.mean(by_image[name]) for name in sorted(by_image)])
    n, deviation = len(keys), float(np.std(difference, ddof=1))
    quantiles = special.stdtrit(n - 1, 0.975) + special.stdtrit(n - 1, POWER)
    return Pair(
        n,
        significance.mean_interval_over_seeds(difference),
        float(stats.ttest_1samp(difference, 0).pvalue) if deviation else math.nan,
        significance.permutation_paired(means, np.zeros_like(means), SEED),
        float(quantiles) * deviation / math.sqrt(n),
        *(
            significance.mean_interval_over_seeds([one[k][score] - other[k][score] for k in keys])
            for score in ("map_score", "map_score_aligned")
        ),
    )


def holm(values: list[float]) -> list[float]:
    """p values corrected for their number, in the order given. Holm 1979."""
    corrected, highest = [math.nan] * len(values), 0.0
    order = sorted((i for i, p in enumerate(values) if not math.isnan(p)), key=values.__getitem__)
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * values[i]))
        corrected[i] = highest
    return corrected


class Results:
    """All rows, by network; and what the plan still wants."""

    def __init__(self, rows: dict, images: dict):
        self.images = images
        self.chosen = {row: planned.chosen_lambda(row, rows) for row in planned.CHOOSE}
        self.groups = defaultdict(dict)  # {(row, lambda): {(split, seed): row}}
        for row in rows.values():
            self.groups[row["row"], row["map_loss_weight"]][row["split"], row["seed"]] = row
        plan = planned.plan(rows)
        self.missing = [run for run in plan if run.name not in rows]
        self.planned = len(plan)
        self.wanted = defaultdict(set)
        for run in plan:
            self.wanted[run.row, run.map_loss_weight].add((run.split, run.seed))

    def of(self, row: str, map_loss_weight: float | None = None) -> dict:
        """A network's runs that the comparisons use: at the lambda of its plan, and no more.

        `map_loss_weight` asks for those at another lambda.
        """
        if map_loss_weight is not None:
            return self.groups.get((row, map_loss_weight), {})
        keys = [key for key in self.wanted if key[0] == row]
        if row in planned.CHOOSE:
            keys = [(row, self.chosen[row])]
            tested = {(seed % planned.datasets.SPLITS, seed) for seed in planned.FIFTEEN}
            found = self.groups.get(keys[0], {})
            return {key: found[key] for key in found if key in tested}
        return self.groups.get(keys[0], {}) if keys else {}
