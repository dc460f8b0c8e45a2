"""What a measurement of reliability leaves: a table, a figure, the ceiling in a data set."""

import dataclasses
import functools
import io
import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure  # no pyplot: no window, no global state

from data_prep.raters.estimators import Estimator, Reliability
from data_prep.raters.maps import View
from gala_tf import metrics
from gala_tf.data import dataset_info

PUBLISHED_BETWEEN = 0.59  # ClickMe and Clicktionary, 10 images; Linsley et al. 2019, appendix

BINS = np.linspace(-1, 1, 41)  # of the figure's histograms


def full_name(estimator: Estimator, view: View) -> str:
    """As evaluation names its own ceilings (`gala_tf.evaluation.scores.find_ceilings`)."""
    frame = f"{view.grid}x{view.grid}" if view.grid else "every pixel"
    return f"{estimator.words}, {frame}, blur {view.blur}"


def as_json(reliability: Reliability, participants: int) -> dict:
    """Numbers without the arrays; JSON knows no NaN, so that becomes None."""
    numbers = reliability._asdict()
    del numbers["values"], numbers["null_values"]
    numbers["interval"] = [_defined(edge) for edge in reliability.interval]
    numbers = {name: _defined(number) for name, number in numbers.items()}
    return {**numbers, "participants": participants}


def _defined(number):
    return None if isinstance(number, float) and math.isnan(number) else number


def store(data_dir: str, results: dict, name: str) -> None:
    """Writes the result of an estimator into dataset_info.json as the human ceiling, atomically.

    ValueError: it is undefined.
    """
    one = results["estimators"][name]
    if one["value"] is None:
        raise ValueError(
            f"--store={name}: its value is undefined, all maps drawn being constant; nothing was "
            "stored."
        )
    settings = ("splits", "blur", "grid", "crop_fraction", "seed", "permutations")
    kept = ("value", "estimator", "interval", "null", "p", "images", "undefined", "participants")
    ceiling = {key: one[key] for key in kept[:2]}
    ceiling["source"] = f"this data set's participants: {results['command']}"
    ceiling |= {key: one[key] for key in kept[2:]} | {key: results[key] for key in settings}
    info = dataset_info.load_info(data_dir)  # as it is now, after what may have been an hour
    if info.human_ceiling:
        old = info.human_ceiling
        print(f"replaces the {info.map_origin} ceiling {old.get('value')}: {old.get('estimator')}")
    dataset_info.save_info(data_dir, dataclasses.replace(info, human_ceiling=ceiling))
    print(f"stored {name} as the {info.map_origin} ceiling in {dataset_info.INFO_FILE}")


def format_table(results: dict) -> str:
    """What was measured, for a screen."""
    lines = [
        f"{'estimator':<18}{'value':>7}   {'95 % interval':<16}{'null':>6}{'p':>8}{'images':>9}"
        f"{'undefined':>11}{'maps':>9}"
    ]
    cell = functools.partial(_cell, form=".3f")
    for name, one in results["estimators"].items():
        low, high = one["interval"]
        lines.append(
            f"{name:<18}{cell(one['value']):>7}   {cell(low) + ' - ' + cell(high):<16}"
            f"{cell(one['null']):>6}{_cell(one['p'], '.4f'):>8}{one['images']:>9,}"
            f"{one['undefined']:>11,}{one['participants']:>9,}"
        )
    lines += [f"  {name}: {one['estimator']}" for name, one in results["estimators"].items()]
    if "other" in results:
        lines.append(
            f"  published for ClickMe and Clicktionary: {PUBLISHED_BETWEEN} (10 images); names "
            f"shared by several images, left out: {results['ambiguous_names']}"
        )
    else:
        lines.append(
            f"  published for ClickMe, two_participants: {metrics.PAPER_HUMAN_CEILING}, null "
            f"{metrics.PAPER_NULL} (49x49 kernel; resolution not given)"
        )
    return "\n".join(lines)


def _cell(number, form):
    return "-" if number is None else format(number, form)


def draw(found: Mapping[str, Reliability]) -> bytes:
    """A PNG file with one panel for each estimator, by name.

    Histograms are of single images before any Spearman-Brown correction; the dashed line is their
    mean and the band its 95 % interval, if there is no correction. Numbers in the title are
    corrected where the estimator is.
    """
    figure = Figure(figsize=(4.5 * len(found), 3.4), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (name, one) in zip(panels, found.items(), strict=True):
        for values, color, label in (
            (one.null_values, "0.7", "two images"),
            (one.values, "tab:blue", "one image"),
        ):
            # Weights instead of densities: an empty sample draws an empty histogram.
            weights = np.full(len(values), 1 / max(1, len(values)))
            axes.hist(values, BINS, weights=weights, color=color, alpha=0.6, label=label)
        if one.value == one.uncorrected:
            axes.axvspan(*one.interval, color="tab:blue", alpha=0.25)
        axes.axvline(one.uncorrected, color="tab:blue", linestyle="--")
        low, high = one.interval
        axes.set_title(
            f"{name}: {one.value:.3f} ({low:.3f} - {high:.3f})\nnull {one.null:.3f}, p {one.p:.4f}"
            f", {one.images:,} images",
            fontsize=9,
        )
        axes.set_xlabel("Spearman's correlation of an image's maps", fontsize=8)
        axes.set_ylabel("fraction of images", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
