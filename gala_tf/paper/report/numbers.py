"""Numbers of a line of a table: means and intervals over its seeds, paired tests against another.

A line is a `report_rows.Line`: S runs that differ only in their seeds. With two or more seeds an
interval is Student's t over them, so that it speaks of networks not yet trained. With one there is
no such interval: it is then over images, and says nothing of other seeds. `Interval.estimator` has
the words.

Dimension letters: N images, S seeds.
"""

import dataclasses
import statistics

import numpy as np

from gala_tf.evaluation import per_image, significance
from gala_tf.evaluation.significance import Interval

SEED = 0  # of every permutation and resampling: the same runs give the same page

# --------------------------------------------------------------------------- one line


def error(line, k: int) -> Interval:
    """Top-k error in %; k is 1 or 5. One seed: Wilson's interval over images."""
    values = [100 * (1 - run.results[f"top{k}"]) for run in line.runs]
    if len(values) > 1:
        return _percent(values)
    n = line.runs[0].results["examples"]
    return scaled(significance.binomial_interval(round(values[0] * n / 100), n), 100)


def has_ceiling(lines) -> bool:
    """Whether every run with maps knows its human ceiling; else maps are given as Spearman."""
    ceilings = [run.results["human_ceiling"] for line in lines for run in line.runs]
    return any(ceilings) and all(one["value"] for one in ceilings if one)


def map_score(line, relative: bool, layer: str | None = None) -> Interval | None:
    """Agreement of a layer's maps with people's; None if no run has a defined one.

    One seed: over images, bootstrapped where the run has its single images, else normal with the
    standard error. The ceiling is taken as known: its own error is not in the interval.

    Args:
        line: whose runs.
        relative: in % of the human ceiling; else the mean Spearman.
        layer: by default the final one, which the paper scores.
    """
    values = [map_value(run, relative, layer) for run in line.runs]
    defined = [value for value in values if value is not None]
    if len(defined) != 1:
        return significance.mean_interval_over_seeds(defined) if defined else None
    run = line.runs[values.index(defined[0])]
    layer = layer or run.results["final_layer"]
    numbers = run.results["maps"][layer]
    scale = defined[0] / numbers["spearman"] if numbers["spearman"] else 1.0
    if run.images is not None and per_image.SPEARMAN + layer in run.images:
        values = run.images[per_image.SPEARMAN + layer]
        values = values[~np.isnan(values)]
        return scaled(significance.bootstrap_interval(values, SEED), scale)
    half = statistics.NormalDist().inv_cdf(0.975) * (numbers["standard_error"] or np.nan)
    mean, n = numbers["spearman"], numbers["images"]
    words = f"95 % normal interval from the standard error over {n} images"
    return scaled(Interval(mean, mean - half, mean + half, n, words), scale)


def map_value(run, relative: bool, layer: str | None = None) -> float | None:
    """One run's map score, in % of the ceiling or as Spearman; None if it is not defined."""
    numbers = run.results["maps"].get(layer or run.results["final_layer"])
    if numbers is None:
        return None
    if not relative:
        return numbers["spearman"]
    fraction = numbers["fraction_of_ceiling"]
    return None if fraction is None else 100 * fraction


def baseline(lines, name: str, relative: bool) -> Interval | None:
    """`shuffled`, `center_prior` or `null` over all runs of the lines, in the unit of `map_score`.

    `null` is of people, as in Fig. 7: two participants of two different images. The centre prior
    and the null do not depend on the seed; their mean over runs is the number itself.
    """
    values = []
    for run in (run for line in lines for run in line.runs):
        final, ceiling = run.results["final_layer"], run.results["human_ceiling"]
        if not final:
            continue
        value = (ceiling if name == "null" else run.results["maps"][final]).get(name)
        if value is not None:
            values.append(100 * value / ceiling["value"] if relative else value)
    return significance.mean_interval_over_seeds(values) if values else None


def scaled(interval: Interval, factor: float) -> Interval:
    """The interval in another unit."""
    low, high = sorted((interval.low * factor, interval.high * factor))
    return interval._replace(mean=interval.mean * factor, low=low, high=high)


# --------------------------------------------------------------------------- two lines


@dataclasses.dataclass(frozen=True)
class Paired:
    """A line compared with the reference over the same N images; differences are line - reference.

    Attributes:
        images: N.
        seeds: (S of the line, S of the reference).
        top1: difference of the top-1 errors in points, bootstrapped over images, each image's
            errors averaged over seeds first.
        p_top1, p_top5: permutation test over images of the same averages.
        mcnemar: {seed: p} of the exact test of top-1, for seeds that both lines have.
        over_seeds: the same difference over these pairs of seeds, Student's t; None without two.
        maps, p_maps: difference of the per-image Spearman over `map_images` images, those with a
            defined one in every run; None if there are none.
    """

    images: int
    seeds: tuple[int, int]
    top1: Interval
    p_top1: float
    p_top5: float
    mcnemar: dict[int, float]
    over_seeds: Interval | None
    maps: Interval | None
    p_maps: float | None
    map_images: int


def compare(line, reference) -> Paired:
    """Paired tests of a line against the reference; all their runs have per-image results.

    The tests are two-sided, over images: they speak of other images for these trained networks,
    not of other seeds, for which see `over_seeds`.
    """
    wrong = {
        k: [_stack(part, lambda run, k=k: run.images["rank"] >= k) for part in (line, reference)]
        for k in (1, 5)
    }
    top1 = 100 * (wrong[1][0].mean(0) - wrong[1][1].mean(0))  # [N]
    ours, theirs = ({run.config.seed: run for run in part.runs} for part in (line, reference))
    common = sorted(ours.keys() & theirs.keys())
    mcnemar, per_seed = {}, []
    for seed in common:
        a, b = (runs[seed].images["rank"] < 1 for runs in (ours, theirs))
        mcnemar[seed] = significance.mcnemar_exact(a, b)
        per_seed.append(100 * (b.mean() - a.mean()))
    maps = [_stack(part, _final_spearman) for part in (line, reference)]  # [S, N]
    defined = ~np.isnan(np.concatenate(maps)).any(0)
    maps = [part[:, defined] for part in maps]
    any_maps = defined.any()
    return Paired(
        images=len(top1),
        seeds=(len(line.runs), len(reference.runs)),
        top1=significance.bootstrap_interval(top1, SEED),
        p_top1=significance.permutation_over_seeds(*wrong[1], SEED),
        p_top5=significance.permutation_over_seeds(*wrong[5], SEED),
        mcnemar=mcnemar,
        over_seeds=significance.mean_interval_over_seeds(per_seed) if len(per_seed) > 1 else None,
        maps=significance.bootstrap_interval(maps[0].mean(0) - maps[1].mean(0), SEED)
        if any_maps
        else None,
        p_maps=significance.permutation_over_seeds(*maps, SEED) if any_maps else None,
        map_images=int(defined.sum()),
    )


def _stack(line, column):
    return np.stack([np.asarray(column(run), float) for run in line.runs])  # [S, N]


def _final_spearman(run):
    layer = run.results["final_layer"]
    return (
        run.images[per_image.SPEARMAN + layer]
        if layer
        else np.full(len(run.images["rank"]), np.nan)
    )


# --------------------------------------------------------------------------- per-image summaries


def error_by_class(line) -> dict[str, Interval]:
    """{class: top-1 error in %}, classes by name; over seeds, or Wilson's over images for one."""
    names = line.runs[0].images["class_name"]
    found = {}
    for name in sorted(set(names.tolist())):
        rows = names == name
        wrong = [int((run.images["rank"][rows] >= 1).sum()) for run in line.runs]
        found[name] = _rates(wrong, int(rows.sum()))
    return found


def _percent(values):
    """Student's t over seeds, as far as it lies in 0...100 %."""
    interval = significance.mean_interval_over_seeds(values)
    return interval._replace(low=max(interval.low, 0.0), high=min(interval.high, 100.0))


def _rates(successes, n):
    """Interval in % of counts out of n, one a seed."""
    if len(successes) > 1:
        return _percent([100 * count / n for count in successes])
    return scaled(significance.binomial_interval(successes[0], n), 100)


def calibration(line):
    """(ECE in %, as an Interval, and the bins of all seeds' images together)."""
    errors = []
    for run in line.runs:
        value, _ = significance.expected_calibration_error(
            run.images["confidence"], run.images["rank"] < 1
        )
        errors.append(100 * value)
    confidence = np.concatenate([run.images["confidence"] for run in line.runs])
    correct = np.concatenate([run.images["rank"] < 1 for run in line.runs])
    _, bins = significance.expected_calibration_error(confidence, correct)
    return _percent(errors), bins


QUANTILES = 5


def accuracy_by_map_score(line) -> list[tuple[float, Interval, int]]:
    """Top-1 accuracy in fifths of the images by their final layer's Spearman, lowest first.

    Each run's images are sorted by its own maps. Returns (mean Spearman, accuracy in %, images of
    a run) a fifth; empty where a run has no map scores, or fewer than five.
    """
    fifths = []
    for run in line.runs:
        score = _final_spearman(run)
        rows = np.flatnonzero(~np.isnan(score))
        rows = rows[np.argsort(score[rows], kind="stable")]
        if len(rows) < QUANTILES:
            return []
        fifths.append(
            [
                (score[part].mean(), int((run.images["rank"][part] < 1).sum()), len(part))
                for part in np.array_split(rows, QUANTILES)
            ]
        )
    found = []
    for parts in zip(*fifths, strict=True):  # one fifth of every seed
        scores, hits, counts = zip(*parts, strict=True)
        if len(parts) > 1:
            rates = [100 * hit / n for hit, n in zip(hits, counts, strict=True)]
            interval = _percent(rates)
        else:
            interval = _rates(hits, counts[0])
        found.append((float(np.mean(scores)), interval, min(counts)))
    return found
