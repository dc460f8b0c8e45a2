"""The statistics of an experiment: from trials to numbers, each with its n, error and test.

All choices are in the settings; groups are called a and b, in the order of the study.
"""

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy import stats

from data_prep.humans.psychophysics import description, logistic_gee, thresholds
from data_prep.humans.psychophysics.levels import FULL, LEVEL_NAMES, LEVELS
from data_prep.humans.psychophysics.observed import (
    POLICIES,
    Observed,
    accuracy,
    exclude,
    scored,
)
from data_prep.humans.psychophysics.resampling import (
    draw_again,
    holm,
    interval,
    permute,
    two_way_interval,
    weighted_means,
)
from data_prep.humans.psychophysics.settings import Choices, Exclusions

MASKED = len(LEVELS)  # levels but full


def analyse(seen: Observed, rules: Exclusions, choices: Choices, seed: int) -> dict[str, Any]:
    """Everything that the page says, as plain numbers.

    ValueError: a group has fewer than two people left.
    """
    kept, counts = exclude(seen, rules)
    sizes = [int((~kept.in_b).sum()), int(kept.in_b.sum())]
    if min(sizes) < 2:
        raise ValueError(
            f"After exclusions the groups have {sizes[0]} and {sizes[1]} people; two each are "
            f"needed. Left out: {counts}."
        )
    chance = np.random.default_rng([seed, 0])
    levels = by_level(kept, choices, chance)
    return {
        "groups": list(kept.groups),
        "people": sizes,
        "exclusions": counts,
        "levels": levels,
        "policies": {policy: _means(kept, policy) for policy in POLICIES},
        "other_timing": other_timing(seen, rules, choices, seed),
        "ceiling": ceiling(kept, choices, chance),
        "gee": _regressions(kept),
        "thresholds": group_thresholds(kept, choices, chance),
        "image_thresholds": image_thresholds(kept),
        "sensitivity": description.sensitivity(kept),
        "response_times": description.response_times(kept),
        "classes": description.classes(kept),
        "shares": description.shares(kept),
        "share_at_level": description.share_at_level(kept),
    }


# --------------------------------------------------------------------------- levels


def by_level(seen: Observed, choices: Choices, chance: np.random.Generator) -> list[dict]:
    """Fig. 2B: mean over people +- S.E.M., the difference with interval, p and Holm's p."""
    values = accuracy(seen, "dropped")
    tested = permute(values, seen.in_b, chance, choices.permutations)
    adjusted = holm(tested.p)
    draws = [
        weighted_means(of, draw_again(len(of), chance, choices.resamples))
        for of in (values[~seen.in_b], values[seen.in_b])
    ]
    low, high = interval(draws[0] - draws[1])
    rows = []
    for place, level in enumerate(LEVEL_NAMES):
        groups = [values[which, place] for which in (~seen.in_b, seen.in_b)]
        groups = [of[~np.isnan(of)] for of in groups]
        rows.append(
            {
                "level": level,
                "mean": [float(of.mean()) for of in groups],
                "sem": [float(of.std(ddof=1) / np.sqrt(len(of))) for of in groups],
                "people": [len(of) for of in groups],
                "above_chance_p": [_above_chance(of) for of in groups],
                "difference": float(tested.difference[place]),
                "interval": [float(low[place]), float(high[place])],
                "p": float(tested.p[place]),
                "p_holm": float(adjusted[place]),
                "p_floor": 1 / (tested.count + (not tested.exact)),
            }
        )
    return rows


def _above_chance(values):
    """One-sided t test against one half; people who all score alike have no spread to test by."""
    if len(values) < 2 or values.std() == 0:
        return float("nan")
    return float(stats.ttest_1samp(values, 0.5, alternative="greater").pvalue)


def _means(seen, policy):
    values = accuracy(seen, policy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of levels without trials: NaN
        return [np.nanmean(values[which], 0).tolist() for which in (~seen.in_b, seen.in_b)]


def other_timing(seen: Observed, rules: Exclusions, choices: Choices, seed: int) -> dict[str, Any]:
    """The comparison by the other rule for trials of bad timing: kept, or left out."""
    kept, _ = exclude(seen, dataclasses.replace(rules, keep_bad_timing=not rules.keep_bad_timing))
    chance = np.random.default_rng([seed, 1])
    p = permute(accuracy(kept, "dropped"), kept.in_b, chance, choices.permutations).p
    return {
        "bad_timing": "left out" if rules.keep_bad_timing else "kept",
        "trials": len(kept.person),
        "mean": _means(kept, "dropped"),
        "p": p.tolist(),
    }


def ceiling(seen: Observed, choices: Choices, chance: np.random.Generator) -> list[dict]:
    """The lowest level from which on accuracy is the full image's within the margin, a group.

    One-sided equivalence: the 5 % quantile of the bootstrapped difference is above -margin, there
    and at every level above.
    """
    values, found = accuracy(seen, "dropped"), []
    full = LEVEL_NAMES.index(FULL)
    for which in (~seen.in_b, seen.in_b):
        of = values[which] - values[which, full, None]
        draws = weighted_means(of, draw_again(len(of), chance, choices.resamples))
        bound = np.nanquantile(draws, 0.05, axis=0)
        within = bound > -choices.margin
        within[full] = True  # equal to itself
        from_here = np.logical_and.accumulate(within[::-1])[::-1]
        place = int(np.flatnonzero(from_here)[0])
        share = seen.share_of_image[(seen.level == place) & which[seen.person]]
        found.append(
            {
                "level": LEVEL_NAMES[place],
                "share_of_image": float(share.mean()) if len(share) else None,
                "bounds": bound.tolist(),
            }
        )
    return found


# --------------------------------------------------------------------------- regression


def _regressions(seen):
    """Group x log10 level, of masked images, clustered by person and by image."""
    score = scored(seen, "dropped")
    used = seen.stored & ~np.isnan(score) & (seen.level < MASKED)
    log_level = np.log10(np.array(LEVELS))[seen.level[used]]
    in_a = (~seen.in_b)[seen.person[used]].astype(float)
    design = np.stack([np.ones(used.sum()), in_a, log_level, in_a * log_level], 1)
    names = ("constant", f"group {seen.groups[0]}", "log10 level", "group x log10 level")
    found = {}
    for cluster in ("person", "image"):
        try:
            fit = logistic_gee.fit(design, score[used], getattr(seen, cluster)[used])
        except ValueError as error:
            found[cluster] = {"failed": str(error)}
            continue
        found[cluster] = {
            "clusters": fit.clusters,
            "coefficients": [
                {"name": name, "estimate": float(b), "error": float(se), "p": float(p)}
                for name, b, se, p in zip(names, fit.estimate, fit.error, fit.p, strict=True)
            ],
        }
    return found


# --------------------------------------------------------------------------- thresholds


def _right_and_total(seen, by, size):
    """Right answers and answers at each masked level, of each person or image [size, 11]."""
    used = seen.stored & ~np.isnan(seen.correct) & (seen.level < MASKED)
    cell = by[used] * MASKED + seen.level[used]
    shape = (size, MASKED)
    total = np.bincount(cell, minlength=size * MASKED).reshape(shape)
    right = np.bincount(cell, seen.correct[used], size * MASKED).reshape(shape)
    return right, total.astype(float)


def group_thresholds(
    seen: Observed, choices: Choices, chance: np.random.Generator
) -> dict[str, Any]:
    """75 % points of both groups and their ratio.

    Intervals twice: over people, for these images; and over people and images, since the images are
    a sample, too. Both groups see the same images, so that an image is drawn for both.
    """
    count, images = choices.resamples, len(seen.images)
    drawn_images = draw_again(images, chance, count)
    of_people = _right_and_total(seen, seen.person, len(seen.people))
    found, draws = [], []
    for which in (~seen.in_b, seen.in_b):
        by_person = [of[which] for of in of_people]
        part = seen.only(which[seen.person])
        by_image = _right_and_total(part, part.image, images)
        sums = [of.sum(0) for of in by_image]
        parameters, points = thresholds.fit(*(of[None] for of in sums))
        drawn_people = draw_again(int(which.sum()), chance, count)
        drawn = tuple(
            np.log10(thresholds.fit(*pair)[1])
            for pair in (
                [drawn_people @ of for of in by_person],
                [drawn_images @ of for of in by_image],
                _draw_trials(*sums, chance, count),
            )
        )
        draws.append(drawn)
        low, high = 10 ** np.array(interval(drawn[0]))
        both = two_way_interval(np.log10(points[0]), drawn, min(which.sum(), images))
        names = ("a", "b", "lapse")
        found.append(
            {
                "threshold": float(points[0]),
                "interval": [float(low), float(high)],
                "interval_people_and_images": [float(10**end) for end in both],
            }
            | {name: float(value) for name, value in zip(names, parameters[0], strict=True)}
        )
    of_ratio = tuple(b - a for a, b in zip(*draws, strict=True))
    ratio = found[1]["threshold"] / found[0]["threshold"]
    low, high = 10 ** np.array(interval(of_ratio[0]))
    clusters = min(seen.in_b.sum(), (~seen.in_b).sum(), images)
    both = two_way_interval(np.log10(ratio), of_ratio, clusters)
    return {
        "groups": found,
        "ratio_b_to_a": ratio,
        "ratio_interval": [float(low), float(high)],
        "ratio_interval_people_and_images": [float(10**end) for end in both],
    }


def _draw_trials(right, total, chance, count):
    """(right, total) [count, 11] of as many trials, drawn with replacement from all levels."""
    cells = np.concatenate([right, total - right])
    drawn = chance.multinomial(int(total.sum()), cells / cells.sum(), size=count)
    right, wrong = np.split(drawn.astype(float), 2, axis=1)
    return right, right + wrong


def image_thresholds(seen: Observed) -> list[dict]:
    """75 % points of single images, a group: their median and quartiles."""
    found = []
    for which in (~seen.in_b, seen.in_b):
        part = seen.only(which[seen.person])
        right, total = _right_and_total(part, part.image, len(part.images))
        _, points = thresholds.fit(right, total)
        low, middle, high = np.quantile(points, [0.25, 0.5, 0.75])
        found.append(
            {"images": len(points), "median": float(middle), "quartiles": [float(low), float(high)]}
        )
    return found
