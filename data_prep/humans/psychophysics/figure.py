"""Fig. 2B: accuracy over what is shown, a line a group, with S.E.M. and stars."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from data_prep.humans.psychophysics import thresholds
from data_prep.humans.psychophysics.levels import FULL, LEVEL_NAMES

matplotlib.rcParams["svg.hashsalt"] = "rapid categorisation"  # the same bytes again
COLOURS = ("#1f5fb4", "#c8342b")  # the paper's blue and red
LEFT_OUT = slice(1, 7)  # of the paper's panel: 1.6 to 15.8 %
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def draw(found: dict[str, Any], note: str) -> Figure:
    """The paper's levels at the left, all of them with the fitted curves at the right."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.3))
    papers = [n for n in range(len(LEVEL_NAMES)) if n not in range(*LEFT_OUT.indices(99))]
    _panel(panels[0], found, papers, "The paper's levels")
    _panel(panels[1], found, list(range(len(LEVEL_NAMES))), "All levels, fitted curves")
    for group, colour in zip(found["thresholds"]["groups"], COLOURS, strict=True):
        percent = np.geomspace(1, 100, 200)
        fitted = thresholds.curve(percent, np.array([group["a"], group["b"], group["lapse"]]))
        x = (np.log10(percent)) * 5  # five levels a decade
        panels[1].plot(x, 100 * fitted, color=colour, alpha=0.35, lw=3)
    panels[0].set_ylabel("accuracy, % (mean over people, S.E.M.)")
    panels[0].legend(loc="lower right", frameon=False)
    if note:
        figure.text(0.5, 0.99, note, ha="center", va="top", fontsize=9, color="#a03000")
        figure.get_layout_engine().set(rect=(0, 0, 1, 0.95))
    return figure


def _panel(axes, found, places, title):
    rows = [found["levels"][place] for place in places]
    for index, (name, colour) in enumerate(zip(found["groups"], COLOURS, strict=True)):
        mean = 100 * np.array([row["mean"][index] for row in rows])
        error = 100 * np.array([row["sem"][index] for row in rows])
        label = f"{name} (n = {found['people'][index]})"
        axes.errorbar(
            range(len(rows)), mean, error, color=colour, marker="o", capsize=3, label=label
        )
    for x, row in enumerate(rows):
        stars = next((text for limit, text in STARS if row["p"] < limit), "")
        axes.text(x, 100 * max(row["mean"]) + 5, stars, ha="center")
    axes.axhline(50, color="grey", lw=0.8, ls=":")
    axes.set_xticks(range(len(rows)), ["Full" if r["level"] == FULL else r["level"] for r in rows])
    axes.set_xlabel("% of the important pixels shown")
    axes.set_ylim(40, 108)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
