"""The statistics of a study, beside those that the paper prints of ClickMe. Arrays in, numbers out.

Chance is a Generator that comes in; the same rows and seed give the same page.
"""

import collections
import dataclasses
import datetime
import statistics
from collections.abc import Sequence

import numpy as np
from scipy import special

from data_prep.humans.game.played import Played

RESAMPLES = 2000
TOP = 200  # participants with the most rounds, of whom the paper asks whether they learn
MARGIN = 0.02  # of the share recognised: a difference smaller than that is none
DAY_MS = 86_400_000


@dataclasses.dataclass(frozen=True)
class Interval:
    """A share or mean with a 95 % interval; NaN where there is nothing to estimate."""

    estimate: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Learning:
    """Whether those who played most were recognised more often in their second half.

    Attributes:
        first, second: mean shares recognised.
        t, p: paired, two-sided; with `people` - 1 degrees of freedom.
        low, high: 95 % interval of second minus first.
        p_equivalent: two one-sided tests against +- `margin`; below 0.05: no difference that large.
    """

    people: int
    first: float
    second: float
    t: float
    p: float
    low: float
    high: float
    margin: float
    p_equivalent: float


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Every quantity of the page; shares are 0..1, times in ms."""

    participants: int
    rounds_per_participant: Interval
    median_rounds: float
    rounds_histogram: dict[str, int]
    maps: int
    unique_images: int
    bubbles: int
    bubbles_per_map: float
    participants_per_image: float
    images_histogram: dict[str, int]
    played_more_than_one: Interval
    skipped: float
    skip_reasons: dict[str, int]
    recognised: Interval
    learning: Learning
    contests: int
    first_day: str
    last_day: str
    rounds_per_day: dict[str, int]
    ends: dict[str, int]
    flags: dict[str, int]
    first_bubble_ms: dict[str, float]
    latency_ms: dict[str, float]
    recognised_by_class: dict[str, tuple[float, int]]


def measure(
    played: Sequence[Played],
    contests: int,
    latencies_ms: np.ndarray,
    rng: np.random.Generator,
) -> Statistics:
    """Statistics of closed rounds, in the order in which they closed.

    Raises:
      ValueError: nobody has closed a round.
    """
    if not played:
        raise ValueError("No round has been closed yet: there is nothing to count.")
    rounds_of = collections.Counter(row.participant for row in played)
    counts = np.array(sorted(rounds_of.values()))
    maps = [row for row in played if row.has_map]
    people_of = collections.Counter(row.image for row in maps)
    bubbles = sum(row.bubbles for row in played)
    days = collections.Counter(_day(row.closed_at) for row in played)
    skipped = [row for row in played if row.state == "skipped"]
    return Statistics(
        participants=len(rounds_of),
        rounds_per_participant=bootstrap(counts.astype(float), rng),
        median_rounds=float(np.median(counts)),
        rounds_histogram=_powers(counts),
        maps=len(maps),
        unique_images=len(people_of),
        bubbles=bubbles,
        bubbles_per_map=sum(row.bubbles for row in maps) / max(len(maps), 1),
        participants_per_image=len(maps) / max(len(people_of), 1),
        images_histogram=_capped(people_of.values()),
        played_more_than_one=bootstrap((counts > 1).astype(float), rng),
        skipped=len(skipped) / len(played),
        skip_reasons=_sorted(row.skip_reason or "other" for row in skipped),
        recognised=_recognised(played, rng),
        learning=learning(played),
        contests=contests,
        first_day=min(days),
        last_day=max(days),
        rounds_per_day=dict(sorted(days.items())),
        ends=_sorted(row.state for row in played),
        flags=_sorted(flag for row in played for flag in row.flags),
        first_bubble_ms=_quantiles([r.first_bubble_ms for r in played if r.first_bubble_ms]),
        latency_ms=_quantiles(latencies_ms),
        recognised_by_class=_by_class(played),
    )


# --------------------------------------------------------------------------- estimates


def bootstrap(values: np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES) -> Interval:
    """The mean of one value a participant, with a percentile interval over participants."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    means = np.array(
        [values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def ratio_bootstrap(
    wins: np.ndarray, counts: np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Interval:
    """sum(wins) / sum(counts); participants are drawn, and their rounds come along."""
    if not counts.sum():
        return Interval(float("nan"), float("nan"), float("nan"))
    drawn = rng.integers(0, len(counts), (resamples, len(counts)))
    totals = counts[drawn].sum(1)
    shares = wins[drawn].sum(1)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return Interval(float(wins.sum() / counts.sum()), float(low), float(high))


def learning(played: Sequence[Played], top: int = TOP, margin: float = MARGIN) -> Learning:
    """First against second half of each one's rounds in time, of those who played most.

    Only rounds that were recognised or timed out count; of an odd number the middle one is left
    out. People with fewer than two such rounds have no halves.
    """
    outcomes = collections.defaultdict(list)
    for row in played:
        if row.state in ("recognised", "timed_out"):
            outcomes[row.participant].append(row.state == "recognised")
    most = sorted(outcomes.items(), key=lambda one: (-len(one[1]), one[0]))[:top]
    halves = [
        (statistics.fmean(won[: len(won) // 2]), statistics.fmean(won[-(len(won) // 2) :]))
        for _, won in most
        if len(won) >= 2
    ]
    if len(halves) < 2:
        nothing = float("nan")
        return Learning(len(halves), *[nothing] * 6, margin, nothing)
    first, second = np.array(halves).T
    return _paired(first, second, margin)


def _paired(first, second, margin):
    differences = second - first
    count, mean = len(differences), differences.mean()
    error = differences.std(ddof=1) / count**0.5
    freedom = count - 1
    reach = special.stdtrit(freedom, 0.975) * error
    if error == 0:  # everybody's halves differ by the same amount
        t, p, equivalent = (
            (0.0, 1.0, 0.0) if mean == 0 else (np.inf, 0.0, float(abs(mean) > margin))
        )
    else:
        t = mean / error
        p = 2 * special.stdtr(freedom, -abs(t))
        equivalent = special.stdtr(freedom, (abs(mean) - margin) / error)
    return Learning(
        count,
        float(first.mean()),
        float(second.mean()),
        float(t),
        float(p),
        float(mean - reach),
        float(mean + reach),
        margin,
        float(equivalent),
    )


def _recognised(played, rng):
    """Of rounds that were played to an end: recognised, not timed out; drawn by participant."""
    wins, counts = collections.Counter(), collections.Counter()
    for row in played:
        if row.state in ("recognised", "timed_out"):
            counts[row.participant] += 1
            wins[row.participant] += row.state == "recognised"
    people = sorted(counts)
    return ratio_bootstrap(
        np.array([wins[one] for one in people], float),
        np.array([counts[one] for one in people], float),
        rng,
    )


def _by_class(played):
    """{class: (share recognised, rounds)}, hardest first."""
    found = collections.defaultdict(list)
    for row in played:
        if row.state in ("recognised", "timed_out"):
            found[row.label].append(row.state == "recognised")
    shares = {name: (statistics.fmean(won), len(won)) for name, won in found.items()}
    return dict(sorted(shares.items(), key=lambda one: (one[1][0], one[0])))


# --------------------------------------------------------------------------- counts


def _sorted(words):
    return dict(sorted(collections.Counter(words).items(), key=lambda one: (-one[1], one[0])))


def _powers(counts):
    """How many participants closed 1, 2-3, 4-7 ... rounds."""
    found, low = {}, 1
    while low <= max(counts):
        inside = int(((counts >= low) & (counts < 2 * low)).sum())
        found[str(low) if low == 1 else f"{low}-{2 * low - 1}"] = inside
        low *= 2
    return found


def _capped(counts, cap=10):
    """How many pictures have the maps of 1, 2 ... people; the last bin takes the rest."""
    found = collections.Counter(min(count, cap) for count in counts)
    names = {number: str(number) if number < cap else f"{cap} or more" for number in found}
    return {names[number]: found[number] for number in sorted(found)}


def _quantiles(values):
    if not len(values):
        return {}
    levels = (("median", 0.5), ("p95", 0.95), ("p99", 0.99))
    return {name: float(np.quantile(values, level)) for name, level in levels}


def _day(instant_ms):
    return datetime.datetime.fromtimestamp(instant_ms / 1000, datetime.UTC).date().isoformat()
