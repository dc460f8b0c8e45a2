"""Estimators of how far people's maps agree, with interval, null and p: pure functions of arrays.

Every estimator compares S pairs of maps of each image, and a map is the sum over some participants
(a rank correlation sees no difference between a sum and a mean). They differ in the pairs alone:

    two_participants  two participants drawn at random: one pair. Linsley et al. 2019, appendix,
                      "Inter-rater reliability of the ClickMe maps" (0.58; null 0.18)
    split_half        two halves of the participants, S times; then the Spearman-Brown formula
    leave_one_out     each participant against all the others: S is their number

Two images' maps, correlated likewise, are the null. So the unit of work is a block of images: its
[n, n] matrix holds the correlations of the left maps of image i with the right maps of image j. The
diagonal is what people agree on; off it is what any two images share, such as a liking for the
centre. Permutations exchange the right maps among the images of a block.

Dimension letters: N images, n of them in a block, S pairs an image, P participants, M pixels.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from gala_tf import metrics

BLOCK_IMAGES = 50  # each image then meets 49 others: the null's mean is far surer than from one
BLOCK_NUMBERS = 2**24  # of the maps held for one block: 134 MB in 64 bits

Pair = tuple[tuple[int, ...], tuple[int, ...]]  # participants of the left map, of the right map


class Estimator(NamedTuple):
    """One line of ESTIMATORS."""

    words: str  # its name wherever its value goes
    # (P, generator, number of splits) -> S pairs
    pairs: Callable[[int, np.random.Generator, int], list[Pair]]
    # Whether the mean correlation is that of half of the participants each
    spearman_brown: bool = False
    # Exchange maps only among images with as many participants. Sums over more people agree better:
    # exchanged between images of few and of many, they would agree less on average even where the
    # image plays no part, and p would be too small.
    among_equals: bool = True
    participants: int | None = None  # how many of an image it looks at; None: all of them


def two_participants(participants: int, rng: np.random.Generator, num_splits: int) -> list[Pair]:
    """Two different participants, in random order."""
    first, second = rng.permutation(participants)[:2]
    return [((int(first),), (int(second),))]


def split_halves(participants: int, rng: np.random.Generator, num_splits: int) -> list[Pair]:
    """`num_splits` random halves; all there are, each once, where those are no more.

    Of an odd number each split leaves one participant out: the formula is for equal halves.
    """
    people = [int(i) for i in rng.permutation(participants)]
    half = participants // 2
    every = list(itertools.islice(_halves(people, half), num_splits + 1))
    if len(every) <= num_splits:
        return every
    drawn = (rng.permutation(people).tolist() for _ in range(num_splits))
    return [(tuple(d[:half]), tuple(d[half : 2 * half])) for d in drawn]


def _halves(people, half):
    """Every pair of disjoint groups of `half` people, unordered, once."""
    for first in itertools.combinations(people, half):
        rest = [person for person in people if person not in first]
        for second in itertools.combinations(rest, half):
            if people.index(first[0]) < people.index(second[0]):
                yield first, second


def leave_one_out(participants: int, rng: np.random.Generator, num_splits: int) -> list[Pair]:
    """Each participant against all the others; nothing is drawn."""
    everyone = range(participants)
    return [((one,), tuple(other for other in everyone if other != one)) for one in everyone]


def as_they_come(participants: int, rng: np.random.Generator, num_splits: int) -> list[Pair]:
    """The first map against the second: of two data sets, not of two participants."""
    return [((0,), (1,))]


ESTIMATORS = {
    "two_participants": Estimator(
        "mean Spearman of two random participants per image",  # as `metrics.human_ceiling` says
        two_participants,
        among_equals=False,
        participants=2,
    ),
    "split_half": Estimator(
        "split-half: mean Spearman of the maps of two halves of each image's participants, "
        "Spearman-Brown corrected",
        split_halves,
        spearman_brown=True,
    ),
    "leave_one_out": Estimator(
        "leave-one-out: mean Spearman of each participant with the mean of the others",
        leave_one_out,
    ),
}
BETWEEN_DATA_SETS = Estimator(
    "mean Spearman of an image's maps in two data sets", as_they_come, among_equals=False
)


def blocks(participants: Sequence[int], estimator: Estimator, pixels: int) -> list[np.ndarray]:
    """Groups images for `block_correlations`: index arrays that cover all of them once.

    Args:
      participants: of each image, the images in random order.
      pixels: of a map as it is compared; large maps make small blocks.
    """
    participants = np.asarray(participants)
    limit = estimator.participants or participants.max(initial=0)
    looked_at = np.minimum(participants, limit)
    groups = looked_at if estimator.among_equals else np.zeros_like(looked_at)
    found = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        numbers = int(looked_at[members].max()) * pixels  # held of one image
        most = max(2, min(BLOCK_IMAGES, BLOCK_NUMBERS // numbers))
        found += np.array_split(members, -(-len(members) // most))
    return found


def block_correlations(
    maps: Sequence[Sequence[np.ndarray | None]], pairs: Sequence[Sequence[Pair]]
) -> np.ndarray:
    """Spearman of the left maps of image i with the right maps of image j, mean over S: [n, n].

    Args:
      maps: of each image and participant, [M], blurred; None for those that no pair names.
      pairs: of each image, S pairs, equally many for all.

    Returns float64 [n, n]; NaN where no pair is defined, since a map is constant.
    """
    n = len(maps)
    total, defined = np.zeros((n, n)), np.zeros((n, n))
    for step in zip(*pairs, strict=True):  # one of the S pairs of every image
        left, right = (
            _unit_ranks(
                [
                    sum(own[person] for person in pair[side])
                    for own, pair in zip(maps, step, strict=True)
                ]
            )
            for side in (0, 1)
        )
        correlation = left @ right.T
        finite = np.isfinite(correlation)
        total += np.where(finite, correlation, 0)
        defined += finite
    with np.errstate(invalid="ignore"):  # 0 / 0: not defined
        return total / defined


def _unit_ranks(maps):
    """Ranks [n, M] as vectors of mean 0 and length 1; NaN for a constant map."""
    ranks = np.stack([metrics.average_ranks(values) for values in maps])
    ranks -= (ranks.shape[1] + 1) / 2  # the mean of the ranks, ties or not
    length = np.sqrt((ranks * ranks).sum(1, keepdims=True))
    with np.errstate(invalid="ignore"):
        return ranks / length


def spearman_brown(half: float | np.ndarray) -> float | np.ndarray:
    """Reliability of all participants' map from that of a half: 2 r / (1 + r)."""
    return 2 * half / (1 + half)


class Reliability(NamedTuple):
    """What an estimator says of a data set; NaN where undefined."""

    value: float  # mean over images, Spearman-Brown corrected where the estimator is
    # 95 %, percentiles of a bootstrap over images; NaN for a single image
    interval: tuple[float, float]
    null: float  # the same number from maps of two different images, over all pairs within blocks
    p: float  # (1 + permutations with a mean at least as large) / (1 + permutations)
    images: int  # of which the value is the mean
    undefined: int  # images left out, a map being constant (empty, for instance)
    uncorrected: float  # the mean before the correction; equal to `value` where there is none
    values: np.ndarray  # [images] of each image, uncorrected
    null_values: np.ndarray  # of each image against one other, uncorrected


def summarise(
    matrices: Sequence[np.ndarray],
    estimator: Estimator,
    *,
    seed: int,
    bootstrap: int = 2000,
    permutations: int = 999,
) -> Reliability:
    """Value, interval, null and p from the matrices [n, n] of all blocks.

    The bootstrap takes images as independent: that one player's habits are in many of them, a data
    set without players' names cannot tell.
    """
    defined = [np.isfinite(np.diagonal(matrix)) for matrix in matrices]
    kept = [m[np.ix_(ok, ok)] for m, ok in zip(matrices, defined, strict=True)]
    undefined = int(sum((~ok).sum() for ok in defined))
    values = np.concatenate([np.diagonal(matrix) for matrix in kept])
    final = spearman_brown if estimator.spearman_brown else float
    nan = float("nan")
    if not len(values):
        nothing = np.zeros(0)
        return Reliability(nan, (nan, nan), nan, nan, 0, undefined, nan, nothing, nothing)
    mean = float(values.mean())
    low, high = _interval(values, bootstrap, np.random.default_rng([seed, 0]))
    across = np.concatenate([m[~np.eye(len(m), dtype=bool)] for m in kept])
    across = across[np.isfinite(across)]
    return Reliability(
        value=float(final(mean)),
        interval=(float(final(low)), float(final(high))),  # the correction is monotone
        null=float(final(across.mean())) if len(across) else nan,
        p=_permutation_p(kept, permutations, np.random.default_rng([seed, 1]), len(across)),
        images=len(values),
        undefined=undefined,
        uncorrected=mean,
        values=values,
        null_values=_neighbours(kept),
    )


def _interval(values, bootstrap, rng):
    """95 % of the mean, by percentiles of a bootstrap; NaN for a single image."""
    if len(values) < 2:
        return float("nan"), float("nan")
    return stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=bootstrap,
        batch=50,  # else it holds all resamples at once
        method="percentile",
        rng=rng,
    ).confidence_interval


def _permutation_p(matrices, permutations, rng, partners):
    """p of the mean of the diagonals, the columns of every block being permuted.

    Not `scipy.stats.permutation_test`: that exchanges samples freely, and would correlate the maps
    of every permutation anew. Here images meet within their block, whose correlations are known.
    """
    if not partners or not permutations:
        return float("nan")
    total, defined = np.zeros(permutations + 1), np.zeros(permutations + 1)
    for matrix in matrices:
        rows = np.arange(len(matrix))
        columns = np.tile(rows, (permutations + 1, 1))
        columns[1:] = rng.permuted(columns[1:], axis=1)  # row 0 stays: what was observed
        drawn = matrix[rows, columns]
        total += np.nansum(drawn, 1)
        defined += np.isfinite(drawn).sum(1)
    means = total / defined
    # Sums of the same numbers in another order differ in their last bits.
    return float((1 + (means[1:] >= means[0] - 1e-12).sum()) / (1 + permutations))


def _neighbours(matrices):
    """Every image's left map against the right one of the next image of its block."""
    found = [np.diagonal(np.roll(m, -1, axis=1)) for m in matrices if len(m) > 1]
    found = np.concatenate([*found, np.zeros(0)])
    return found[np.isfinite(found)]
