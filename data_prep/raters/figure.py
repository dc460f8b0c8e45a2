"""One picture of a measurement: per-image correlations beside their null, a panel an estimator."""

import io
from collections.abc import Mapping

import numpy as np

from data_prep.raters.estimators import Reliability

BINS = np.linspace(-1, 1, 41)


def draw(found: Mapping[str, Reliability]) -> bytes:
    """A PNG file with one panel for each estimator, by name.

    Histograms are of single images before any Spearman-Brown correction; the dashed line is their
    mean and the band its 95 % interval, if there is no correction. Numbers in the title are
    corrected where the estimator is.
    """
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

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
