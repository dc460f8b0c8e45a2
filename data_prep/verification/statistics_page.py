"""The page of a data set's statistics: a Markdown text (`statistics.md.jinja`) and its figure."""

import io
from collections.abc import Mapping
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from data_prep.verification import alignment
from data_prep.verification.dataset_statistics import AREA_BINS, PAPER

BAR, ACCENT = "#4c6f91", "#c2542d"

# Markdown, so nothing is escaped; a name that is missing is an error, not an empty word.
TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("data_prep.verification", "."),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def page(statistics: Mapping[str, Any], summary: str) -> str:
    """The Markdown page; it shows `statistics.png`."""
    return TEMPLATES.get_template("statistics.md.jinja").render(
        statistics=statistics,
        summary=summary,
        beside_the_paper=_beside_the_paper(statistics),
        side=alignment.SIDE,
    )


def _beside_the_paper(statistics):
    """(words, here, in the paper) of each line."""
    here = statistics["all"]
    rows = [
        ("images with a map", here["with_clickmap"] + here["empty_maps"], PAPER["images"]),
        ("maps", here["maps"], PAPER["maps"]),
        ("maps an image, mean", here["maps_per_image"], PAPER["maps_per_image"]),
        ('clicks (paper: bubbles, "over 35M")', here["clicks"] or None, PAPER["bubbles"]),
        ("clicks a map, mean", here["clicks_per_map"], PAPER["clicks_per_map"]),
        ("classes", here["classes"], PAPER["classes"]),
        ("area of a map, median", here["area"].get("50%"), None),
        *(
            (
                f"{name}: images (paper: images and maps)",
                split["images"],
                PAPER["split_records"].get(name),
            )
            for name, split in statistics["splits"].items()
        ),
        *(
            (f"{name}: classes", split["classes"], PAPER["classes"])
            for name, split in statistics["splits"].items()
        ),
    ]
    return [(words, _number(ours), _number(paper)) for words, ours, paper in rows]


def _number(value):
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1%}" if value < 1 else f"{value:,.2f}"


def figure(statistics: Mapping[str, Any]) -> bytes:
    """PNG of the distributions: participants, clicks, areas, labels, and the mean map."""
    page = Figure(figsize=(13, 7.4), dpi=100, layout="constrained")
    axes = page.subplots(2, 3).ravel()
    _bars(axes[0], statistics["participants_per_image"], "participants", "Participants an image")
    _mark(axes[0], PAPER["maps_per_image"], "paper: mean 2.41 maps")
    clicks = statistics["clicks_per_map"]
    _bars(axes[1], clicks, "clicks", "Clicks a map (mean of an image's maps)")
    if clicks:
        _mark(axes[1], PAPER["clicks_per_map"], "paper: mean 74 bubbles")
    area = {100 * (bin + 0.5) / AREA_BINS: n for bin, n in statistics["area"].items()}
    _bars(axes[2], area, "% of the image's pixels with a count", "Area of maps", 100 / AREA_BINS)
    labels = sorted(statistics["images_per_label"].values(), reverse=True)
    _bars(axes[3], dict(enumerate(labels)), "classes, most frequent first", "Images a class", 1)
    _mean_map(axes[4], statistics)
    _alignment(axes[5], statistics)
    page.suptitle(f"{statistics['name']}: {statistics['all']['images']:,} images")
    buffer = io.BytesIO()
    page.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bars(axis, histogram, x, title, width=None):
    axis.set(title=title, xlabel=x, ylabel="images")
    axis.spines[["top", "right"]].set_visible(False)
    if not histogram:
        axis.text(0.5, 0.5, "not recorded", transform=axis.transAxes, ha="center", color="grey")
        axis.set(xticks=[], yticks=[])
        return
    values, images = list(histogram), list(histogram.values())
    if width is None and len(values) > 60:  # gather neighbours: a comb cannot be read
        images, edges = np.histogram(values, 50, weights=images)
        values, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    gap = 0.92 if len(values) <= 60 else 1  # many thin gaps make a pattern of their own
    axis.bar(values, images, width=gap * (width or 1), color=BAR)
    axis.yaxis.get_major_locator().set_params(integer=True)
    if width is None or width == 1:
        axis.xaxis.get_major_locator().set_params(integer=True)


def _mark(axis, value, words):
    axis.axvline(value, color=ACCENT, linewidth=1.5)
    axis.text(0.98, 0.95, words, transform=axis.transAxes, color=ACCENT, ha="right", va="top")


def _mean_map(axis, statistics):
    axis.set(title="Mean map, all splits", xticks=[], yticks=[])
    means = [np.array(mean) for mean in statistics["mean_map"].values()]
    if means:
        axis.imshow(np.mean(means, axis=0), cmap="inferno")
        y, x = statistics["all"]["center_of_mass"]
        side = len(means[0])
        axis.plot(x * side - 0.5, y * side - 0.5, "+", color="white", markersize=14)
        axis.set_xlabel(f"+ mean centre: {x:.2f} of the width, {y:.2f} of the height")


def _alignment(axis, statistics):
    axis.set(title="Correlation of maps with local contrast", xlabel="mean over images")
    axis.spines[["top", "right"]].set_visible(False)
    compared = statistics["alignment"]
    if not compared:
        axis.set(xticks=[], yticks=[])
        return
    names = ["as it is", *(c["turn"].replace(" (", "\n(") for c in compared)]
    values = [statistics["contrast"], *(c["mean"] for c in compared)]
    axis.barh(names, values, color=[ACCENT] + [BAR] * len(compared))
    axis.axvline(0, color="black", linewidth=0.8)
    axis.invert_yaxis()
