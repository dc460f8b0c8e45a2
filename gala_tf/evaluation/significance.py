"""Statistics of paired results: is one network better than another, and how sure is a number.

In float64, on the host. Results of two networks on the same images are paired, so that tests look
at each image's difference. Every test is two-sided. Undefined values (NaN) are refused: which
images enter a comparison is for the caller to say, and to count.

Dimension letters: N images, S seeds (networks trained alike), b calibration bins.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

PERMUTATIONS = 10_000  # the least p is 1 / 10,001; the standard error of p = 0.05 is 0.002
RESAMPLES = 10_000
MOST_RESAMPLED = 100_000  # images; the bootstrap of a mean over more is the normal interval
CHUNK_ELEMENTS = 2**22  # of a matrix of signs or draws: 32 MiB in float64


def mcnemar_exact(correct_a, correct_b) -> float:
    """Exact McNemar test that two classifiers err equally often: [N], [N] of 0 and 1 -> p.

    Images that one classifier gets right and the other wrong are heads or tails of a fair coin
    under the null; p is the two-sided binomial probability, 1 where they never differ. McNemar
    1947. ValueError: other shapes, other values, or no images.
    """
    a, b = _paired("mcnemar_exact", correct_a, correct_b)
    for name, values in (("correct_a", a), ("correct_b", b)):
        _check_truths("mcnemar_exact", name, values)
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


# Not scipy.stats.permutation_test: its p comes from other draws (0.035 apart in 10,000 flips), it
# loses ties that differ by rounding (it compares to within 2e-14 of the statistic, which may itself
# be nearly 0), and on 17,581 images it took 49 s where this takes 2.
def permutation_paired(a, b, seed: int, permutations: int = PERMUTATIONS) -> float:
    """Permutation test that two networks' values have equal means: [N], [N], finite -> p.

    Under the null each image's two values may be exchanged, which flips the sign of its difference.
    p = (1 + #{|sum of flipped differences| >= |sum|}) / (1 + permutations), never 0. Of networks of
    several seeds, the values are means over them: the null concerns the images drawn, given these
    trained networks, and says nothing of seeds not trained, for which see
    `mean_interval_over_seeds`. ValueError: other shapes, no images, or NaN.
    """
    a, b = _paired("permutation_paired", a, b)
    difference = a - b
    difference = difference[difference != 0]  # the others' flips change nothing
    # A flipped sum is twice the sum of the heads, minus all: half the products of one with signs.
    total, size = difference.sum(), np.abs(difference).sum()
    # Sums of the same numbers in another order differ by rounding, and must still count as equal.
    threshold = np.abs(total) - 1e-12 * size
    rng, at_least = np.random.default_rng(seed), 0
    step = _rows_at_a_time(len(difference))
    for start in range(0, permutations, step):
        coins = _coins(rng, min(step, permutations - start), difference)
        at_least += int((np.abs(2 * coins - total) >= threshold).sum())
    return (1 + at_least) / (1 + permutations)


def _coins(rng, rows, values):
    """Sums of random halves of `values` [N], each value in or out by a fair coin: [rows]."""
    width = -(-len(values) // 8)  # a byte holds eight coins
    coins = np.frombuffer(rng.bytes(rows * width), np.uint8).reshape(rows, width)
    return np.unpackbits(coins, axis=1, count=len(values)).astype(float) @ values


class Interval(NamedTuple):
    """A mean and its interval; low and high are NaN where n says nothing of the spread."""

    mean: float
    low: float
    high: float
    n: int  # values that the mean is over
    estimator: str  # in words, to be printed beside the numbers

    def scaled(self, factor: float) -> "Interval":
        """The interval in another unit."""
        low, high = sorted((self.low * factor, self.high * factor))
        return self._replace(mean=self.mean * factor, low=low, high=high)


def normal_interval(mean: float, standard_error: float, n: int, level: float = 0.95) -> Interval:
    """Of a mean over n images whose standard error is known."""
    half = statistics.NormalDist().inv_cdf((1 + level) / 2) * standard_error
    words = f"{100 * level:g} % normal interval from the standard error over {n} images"
    return Interval(mean, mean - half, mean + half, n, words)


def bootstrap_interval(
    values, seed: int, level: float = 0.95, resamples: int = RESAMPLES
) -> Interval:
    """Percentile bootstrap of the mean over images: [N] -> Interval. Efron 1979.

    Over more than MOST_RESAMPLED images, where the two agree and drawing takes minutes, it is the
    normal interval from the standard error, and says so. ValueError: no values, NaN, or another
    shape.
    """
    values = _vector("bootstrap_interval", values)
    n, mean = len(values), float(values.mean())
    estimator = f"{100 * level:g} % bootstrap over {n} images, {resamples} resamples"
    if n < 2:
        return Interval(mean, math.nan, math.nan, n, estimator)
    if n > MOST_RESAMPLED:
        return normal_interval(mean, float(stats.sem(values)), n, level)
    low, high = stats.bootstrap(
        (values,),
        np.mean,
        method="percentile",
        confidence_level=level,
        n_resamples=resamples,
        batch=_rows_at_a_time(n),  # else a matrix [resamples, N]: 1.4 GB for the paper's test set
        # Seeded: the same values give the same interval.
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(low), float(high), n, estimator)


def mean_interval_over_seeds(values, level: float = 0.95) -> Interval:
    """Student's t interval of the mean over networks trained alike: [S] -> Interval.

    It tells of seeds not trained, under the usual assumption of normal values. Student 1908.
    ValueError: no values, NaN, or another shape.
    """
    values = _vector("mean_interval_over_seeds", values)
    n, mean = len(values), float(values.mean())
    estimator = f"{100 * level:g} % Student t over {n} seeds"
    if n < 2:
        return Interval(mean, math.nan, math.nan, n, estimator)
    quantile = float(special.stdtrit(n - 1, (1 + level) / 2))
    half = quantile * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, estimator)


def binomial_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion; of none, NaN. Wilson 1927."""
    estimator = f"{100 * level:g} % Wilson interval over {n} images"
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0, estimator)
    low, high = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(low), float(high), int(n), estimator)


def percent_over_seeds(values: Sequence[float]) -> Interval:
    """Student's t over seeds of numbers in %, as far as it lies in 0...100 %."""
    interval = mean_interval_over_seeds(values)
    return interval._replace(low=max(interval.low, 0.0), high=min(interval.high, 100.0))


def rate(successes: Sequence[int], n: int) -> Interval:
    """A proportion in %, of counts out of n images, one a seed.

    Over seeds, Student's t; for one seed over images, Wilson's.
    """
    if len(successes) > 1:
        return percent_over_seeds([100 * count / n for count in successes])
    return binomial_interval(successes[0], n).scaled(100)


class CalibrationBins(NamedTuple):
    """Bins (low, high] of confidence, all [b]; means are NaN where a bin is empty."""

    low: np.ndarray
    high: np.ndarray
    images: np.ndarray  # how many
    confidence: np.ndarray  # their mean
    accuracy: np.ndarray  # the fraction of them that is right
    undefined: int  # images whose confidence is NaN; in no bin


def expected_calibration_error(confidence, correct, bins: int = 15):
    """How far confidence is from accuracy, 0...1, and the bins: [N], [N] -> (float, bins).

    Bins of equal width, (m/b, (m + 1)/b]; the error is the mean of |accuracy - confidence| over
    bins, weighted with their images. Guo et al. 2017, "On Calibration of Modern Neural Networks",
    eq. 3. Confidence is the largest softmax probability; where it is NaN, the image is in no bin,
    and counted. NaN if no image is left. ValueError: other shapes, or values out of range.
    """
    name = "expected_calibration_error"
    confidence, correct = _paired(name, confidence, correct, finite=False)
    _check_truths(name, "correct", correct)
    defined = ~np.isnan(confidence)
    confidence, correct = confidence[defined], correct[defined]
    if ((confidence < 0) | (confidence > 1)).any():
        raise ValueError(
            f"{name}: confidence must be a probability, 0...1; received "
            f"{confidence.min():g}...{confidence.max():g}. Give softmax outputs, not logits."
        )
    edges = np.arange(bins + 1) / bins
    # Equal to an upper edge is below it; 0 belongs to the first bin.
    place = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0: an empty bin
        mean = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, correct, bins) / count
    table = CalibrationBins(edges[:-1], edges[1:], count, mean, accuracy, int((~defined).sum()))
    if not len(confidence):
        return math.nan, table
    filled = count > 0
    gaps = np.abs(accuracy - mean)[filled]
    return float((gaps * count[filled]).sum() / len(confidence)), table


def _vector(function, values, finite=True):
    values = np.asarray(values, float)
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"{function} takes an array [N], N > 0; received shape {list(values.shape)}."
        )
    bad = int((~np.isfinite(values)).sum())
    if finite and bad:
        raise ValueError(
            f"{function}: {bad} of {len(values)} values are not finite. Leave these images out of "
            "all that is compared, and say how many remain."
        )
    return values


def _paired(function, a, b, finite=True):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        raise ValueError(
            f"{function} compares two arrays [N] of the same images; received shapes "
            f"{list(a.shape)} and {list(b.shape)}."
        )
    return _vector(function, a, finite), _vector(function, b, finite)


def _check_truths(function, name, values):
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{function}: {name} must be True or False (1 or 0) for each image.")


def _rows_at_a_time(columns):
    """How many rows a matrix of that many columns may have to stay within CHUNK_ELEMENTS."""
    return max(1, CHUNK_ELEMENTS // max(1, columns))
