"""Numbers of a line of a table: means and intervals over its seeds, paired tests against another.

A line is a `lines.Line`: S runs that differ only in their seeds. With two or more seeds an
interval is Student's t over them, so that it speaks of networks not yet trained. With one there is
no such interval: it is then over images, and says nothing of other seeds. `Interval.estimator` has
the words.

Dimension letters: N images, S seeds.
"""

import dataclasses

import numpy as np

from gala_tf.evaluation import breakdowns, significance
from gala_tf.evaluation.significance import Interval
from gala_tf.paper.report.runs import SEED


def error(line, k: int) -> Interval:
    """Top-k error in %; k is 1 or 5. One seed: Wilson's interval over images."""
    values = [100 * (1 - run.results[f"top{k}"]) for run in line.runs]
    if len(values) > 1:
        return significance.percent_over_seeds(values)
    n = line.runs[0].results["examples"]
    return significance.rate([round(values[0] * n / 100)], n)


def has_ceiling(lines) -> bool:
    """Whether every run with maps knows its ceiling; else maps are given as Spearman."""
    ceilings = [run.results["human_ceiling"] for line in lines for run in line.runs]
    return any(ceilings) and all(one["value"] for one in ceilings if one)


def ceiling_words(lines) -> str:
    """What the ceiling of these lines' maps is called: simulated maps have none of people's."""
    origins = {run.info.map_origin for line in lines for run in line.runs}
    return f"{' and '.join(sorted(origins)) or 'human'} ceiling"


def map_unit(lines, relative: bool) -> str:
    """The unit of map scores, for columns and axes."""
    return f"% of {ceiling_words(lines)}" if relative else "Spearman"


def map_score(line, relative: bool, layer: str | None = None) -> Interval | None:
    """How a layer's maps correlate with the data's; None if no run has a defined score.

    `relative`: in % of the human ceiling; else the mean Spearman. By default of the final layer,
    which the paper scores. One seed: over images, bootstrapped where the run has its single images,
    else normal with the standard error. The ceiling is taken as known: its own error is not in the
    interval.
    """
    values = [map_value(run, relative, layer) for run in line.runs]
    defined = [value for value in values if value is not None]
    if len(defined) != 1:
        return significance.mean_interval_over_seeds(defined) if defined else None
    run = line.runs[values.index(defined[0])]
    layer = layer or run.results["final_layer"]
    numbers = run.results["maps"][layer]
    scale = defined[0] / numbers["spearman"] if numbers["spearman"] else 1.0
    if layer in run.map_intervals:
        return run.map_intervals[layer].scaled(scale)
    deviation = numbers["standard_error"] or np.nan
    return significance.normal_interval(numbers["spearman"], deviation, numbers["images"]).scaled(
        scale
    )


def map_value(run, relative: bool, layer: str | None = None) -> float | None:
    """One run's map score, in % of the ceiling or as Spearman; None if it is not defined."""
    numbers = run.results["maps"].get(layer or run.results["final_layer"])
    if numbers is None:
        return None
    if not relative:
        return numbers["spearman"]
    fraction = numbers["fraction_of_ceiling"]
    return None if fraction is None else 100 * fraction


def map_images(line, layer: str | None = None) -> set[int]:
    """How many images a layer's map score is a mean over; more than one where runs differ."""
    found = (run.results["maps"].get(layer or run.results["final_layer"]) for run in line.runs)
    return {numbers["images"] for numbers in found if numbers is not None}


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


@dataclasses.dataclass(frozen=True)
class Paired:
    """A line compared with the reference on the same N images; differences are line - reference."""

    images: int  # N
    seeds: tuple[int, int]  # S of the line, S of the reference
    # Of the top-1 errors, in points, over images, each image's errors averaged over seeds first.
    top1: Interval  # bootstrap
    p_top1: float  # permutation test
    p_top5: float | None  # None where no network is ever wrong by top-5, as with five classes
    mcnemar: dict[int, float]  # {seed: p} of the exact test of top-1, for seeds that both have
    over_seeds: Interval | None  # over these pairs of seeds, Student's t; None without two
    # Of the per-image Spearman over the images that have one in every run; None if none has.
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
    maps = [
        _stack(part, lambda run: breakdowns.final_map_score(run.images))
        for part in (line, reference)
    ]  # [S, N]
    # A mean over seeds must be of the same seeds for every image.
    defined = ~np.isnan(np.concatenate(maps)).any(0)
    maps = [part[:, defined] for part in maps]
    any_maps, difference = defined.any(), maps[0].mean(0) - maps[1].mean(0)
    return Paired(
        images=len(top1),
        seeds=(len(line.runs), len(reference.runs)),
        top1=significance.bootstrap_interval(top1, SEED),
        p_top1=_permutation(wrong[1]),
        p_top5=_permutation(wrong[5]) if np.any(np.concatenate(wrong[5])) else None,
        mcnemar=mcnemar,
        over_seeds=significance.mean_interval_over_seeds(per_seed) if len(per_seed) > 1 else None,
        maps=significance.bootstrap_interval(difference, SEED) if any_maps else None,
        p_maps=_permutation(maps) if any_maps else None,
        map_images=int(defined.sum()),
    )


def _permutation(pair):
    """p of [S, N] and [S', N]: each image counts once, by its means over the seeds."""
    return significance.permutation_paired(*(values.mean(0) for values in pair), SEED)


def _stack(line, column):
    return np.stack([np.asarray(column(run), float) for run in line.runs])  # [S, N]
