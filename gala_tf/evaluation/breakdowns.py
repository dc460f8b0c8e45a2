"""Numbers by image, of one run or of several: error by class, calibration, accuracy by map score.

Each takes the columns of `per_image` of S runs that differ only in their seeds. Intervals are 95 %:
over seeds by Student's t, or, where there is one seed, over images by Wilson.

Dimension letters: N images, S seeds.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gala_tf.evaluation import per_image, significance
from gala_tf.evaluation.significance import Interval

QUANTILES = 5


def error_by_class(seeds: Sequence[Mapping]) -> dict[str, Interval]:
    """{class: top-1 error in %} of the columns of S runs on the same images, classes by name."""
    names = seeds[0]["class_name"]
    found = {}
    for name in sorted(set(names.tolist())):
        of_class = names == name
        wrong = [int((columns["rank"][of_class] >= 1).sum()) for columns in seeds]
        found[name] = significance.rate(wrong, int(of_class.sum()))
    return found


def calibration(seeds: Sequence[Mapping]) -> tuple[Interval, significance.CalibrationBins]:
    """(ECE in %, its mean over seeds; the bins of all seeds' images together)."""
    confidence = [columns["confidence"] for columns in seeds]
    correct = [columns["rank"] < 1 for columns in seeds]
    errors = [
        100 * significance.expected_calibration_error(*one)[0]
        for one in zip(confidence, correct, strict=True)
    ]
    _, bins = significance.expected_calibration_error(
        np.concatenate(confidence), np.concatenate(correct)
    )
    defined = [error for error in errors if not np.isnan(error)]
    if not defined:
        return Interval(np.nan, np.nan, np.nan, 0, "no image has a confidence"), bins
    return significance.percent_over_seeds(defined), bins


def final_map_score(columns: Mapping) -> np.ndarray:
    """[N] Spearman of the last layer's maps, which the paper scores; NaN where there is none."""
    layers = per_image.layers(columns)
    if not layers:
        return np.full(len(columns["rank"]), np.nan)
    return columns[per_image.SPEARMAN + layers[-1]]


def accuracy_by_map_score(seeds: Sequence[Mapping]) -> list[tuple[float, Interval, int]]:
    """Top-1 accuracy in fifths of the images by their map score, lowest first.

    Each run's images are sorted by its own maps. A fifth is (mean Spearman, accuracy in %, images
    of a run). Empty where a run has fewer than five images with a score.
    """
    fifths = []
    for columns in seeds:
        score = final_map_score(columns)
        images = np.flatnonzero(~np.isnan(score))
        images = images[np.argsort(score[images], kind="stable")]
        if len(images) < QUANTILES:
            return []
        fifths.append(
            [
                (score[part].mean(), int((columns["rank"][part] < 1).sum()), len(part))
                for part in np.array_split(images, QUANTILES)
            ]
        )
    found = []
    for parts in zip(*fifths, strict=True):  # one fifth of every seed
        scores, hits, counts = zip(*parts, strict=True)
        # Seeds differ in which images have a score, so each rate is of its own count.
        rates = [100 * hit / n for hit, n in zip(hits, counts, strict=True)]
        several = len(parts) > 1
        interval = (
            significance.percent_over_seeds(rates) if several else significance.rate(hits, *counts)
        )
        found.append((float(np.mean(scores)), interval, min(counts)))
    return found
