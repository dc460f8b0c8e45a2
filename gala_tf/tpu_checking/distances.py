"""How far two programs' values are apart, as a share of what a step did to them.

    share of a variable = |new value here - new value there| / |new value there - old value|

by Euclidean norms over the variable, the farthest replica's. A share alone says little: where an
update nearly cancels, as those of a BN before another, roundings are much of it, and each step
amplifies what the one before it left. So each program is also compared with itself where only
roundings differ, and the farthest of these is the variable's yardstick.

Where even roundings are more than the whole update, a share tells nothing: such a variable is not
judged, and is counted. In bfloat16 these are some of GALA's single biases, whose gradient is a sum
of many terms that cancel.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

# Yardsticks that two programs may be apart: one draw of roundings is not the next.
FACTOR = 5.0
LEAST = 2e-5  # a share that is never at fault: some roundings of float32
DIGITS = 4.0  # of the last digit, by which a variable may move where no update reached it


@dataclasses.dataclass(frozen=True)
class Distance:
    """Of one variable, or one output."""

    name: str
    share: float  # inf: one side moved it, the other did not
    yardstick: float

    @property
    def judged(self) -> bool:
        """Whether its update is more than roundings; what is no number is judged in any case."""
        return self.yardstick < 1.0 or not np.isfinite(self.share)

    def excess(self, usual: float) -> float:
        """`share` by the largest that passes, so that above 1 is at fault.

        A variable's own yardstick may be small by chance: it counts as `usual`, the median, at
        least.
        """
        return self.share / max(FACTOR * max(self.yardstick, usual), LEAST)


@dataclasses.dataclass(frozen=True)
class Compared:
    """All variables after a step, or all outputs."""

    distances: tuple[Distance, ...]

    @property
    def usual(self) -> float:
        """The median yardstick."""
        return float(np.median([distance.yardstick for distance in self.distances]))

    @property
    def at_fault(self) -> list[Distance]:
        """Those beyond their yardsticks, the farthest first."""
        excess = {d: d.excess(self.usual) for d in self.distances}
        # NaN is at fault.
        broken = [d for d in self.distances if d.judged and not excess[d] <= 1.0]
        return sorted(broken, key=lambda d: -np.nan_to_num(excess[d], nan=np.inf))

    def summary(self) -> dict:
        """For the report."""
        shares = [d.share for d in self.distances]
        judged = [d for d in self.distances if d.judged] or self.distances
        farthest = max(judged, key=lambda d: np.nan_to_num(d.share, nan=np.inf))
        return {
            "worst": farthest.share,
            "worst_name": farthest.name,
            "worst_excess": max(d.excess(self.usual) for d in judged),
            "median": float(np.median(shares)),
            "yardstick_worst": max(d.yardstick for d in judged),
            "yardstick_median": self.usual,
            "not_judged": [d.name for d in self.distances if not d.judged],
            "at_fault": [dataclasses.asdict(distance) for distance in self.at_fault],
        }


def compare(names: Iterable[str], old, theirs, ours, themselves: list, ourselves: list) -> Compared:
    """Of values {name: an array a replica}.

    `old` is before the step or steps, `theirs` and `ours` are what two programs made of it;
    `themselves` and `ourselves` what each made of it with other roundings, so many times.
    """
    found = []
    for name in names:
        before, there = old[name], theirs[name]
        here = ours[name] if name in ours else before  # the program does not know it
        yardsticks = [
            *(_farthest(before, there, again[name]) for again in themselves),
            *(_farthest(before, here, again[name]) for again in ourselves if name in ours),
        ]
        found.append(Distance(name, _farthest(before, there, here), max(yardsticks, default=0.0)))
    return Compared(tuple(found))


class Means:
    """For outputs, in place of values before a step: each array's own mean.

    An output's share is then one of how much it varies over the batch.
    """

    def __init__(self, values):
        self._values = values

    def __getitem__(self, name):
        return [np.full(x.shape, np.mean(x, dtype=np.float64)) for x in self._values[name]]


def _farthest(before, there, here) -> float:
    """The share of the farthest replica."""
    if not len(before) == len(there) == len(here):
        return float("inf")
    return max(_share(*arrays) for arrays in zip(before, there, here, strict=True))


def _share(before, there, here):
    # The variable's last digit, which an update may be less than: moved or not is then chance.
    digit = np.linalg.norm(np.ravel(np.spacing(np.abs(np.asarray(before, np.float32)))))
    before, there, here = (np.asarray(x, np.float64) for x in (before, there, here))
    apart = np.linalg.norm(np.ravel(here - there))
    moved = np.linalg.norm(np.ravel(there - before))
    if apart == 0.0:
        return 0.0
    if moved:
        return float(apart / moved)
    return 1.0 if apart <= DIGITS * digit else float("inf")
