"""Draws `breakdowns`, of one run or of several: error by class, calibration, accuracy by map score.

Needs only the columns of `per_image`, so that a figure can be made anew from the CSV alone. Bars
are 95 % intervals.
"""

import dataclasses
import functools
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gala_tf.data import files
from gala_tf.evaluation import breakdowns, per_image, significance

MOST_CLASSES = 30  # shown one by one; of more, the hardest and the easiest

INK, RULE, GRID, MEAN = "#202020", "#999999", "#e4e4e4", "#c0504d"
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclasses.dataclass(frozen=True)
class Series:
    """A network of a plot: the columns of its runs, which differ in their seeds alone."""

    label: str
    seeds: Sequence[Mapping]
    color: str = "#0072B2"
    marker: str = "o"


def styled(draw):
    """Draws under SETTINGS, whatever the user's matplotlibrc says."""

    @functools.wraps(draw)
    def wrapped(*arguments, **named):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(SETTINGS)
            return draw(*arguments, **named)

    return wrapped


@styled
def write(path: str, columns: Mapping, title: str) -> None:
    """Draws one run to a PNG, local or gs://."""
    save(path, draw(columns, title))


@styled
def draw(columns: Mapping, title: str) -> Figure:
    """All three plots of one run; the figure belongs to no window and no global state."""
    run = Series("", [columns])
    by_class = breakdowns.error_by_class(run.seeds)
    wide = len(by_class) <= 16  # else the classes need the height of two plots
    figure = Figure(figsize=(15, 5.6) if wide else (11, 10), layout="constrained")
    figure.suptitle(f"{title}: {len(columns['rank'])} images, intervals 95 % (Wilson)", fontsize=13)
    names = "classes", "calibration", "maps"
    mosaic = [names] if wide else [names[:2], names[::2]]
    widths = (1.15, 1, 1)[: len(mosaic[0])]
    axes: dict[str, Any] = figure.subplot_mosaic(mosaic, width_ratios=widths)
    for name in names[1:]:  # square, however many classes there are
        axes[name].set_box_aspect(1)
        axes[name].set_anchor("N")
    draw_error_by_class(axes["classes"], [run], [by_class])
    draw_calibration(axes["calibration"], run, breakdowns.calibration(run.seeds))
    axes["calibration"].set_title("calibration: accuracy against confidence")
    fifths = breakdowns.accuracy_by_map_score(run.seeds)
    draw_accuracy_by_map_score(axes["maps"], [run], [fifths])
    if wide:
        _level_with(axes["classes"], axes["calibration"])
    return figure


def _level_with(axes, other) -> None:
    """Gives a plot the height and baseline of another, whose square the layout made smaller."""
    # Only drawing makes the layout, which would undo what is set here, were it not switched off.
    axes.figure.draw_without_rendering()
    axes.figure.set_layout_engine("none")
    place, square = axes.get_position(), other.get_position()
    axes.set_position([place.x0, square.y0, place.width, square.height])


def draw_error_by_class(axes, series: Sequence[Series], by_class: Sequence[Mapping]) -> None:
    """Hardest class on top, by the mean over networks; of many, the hardest and the easiest."""
    shown, hidden = _shown_classes(by_class)
    images = Counter(series[0].seeds[0]["class_name"].tolist())
    height = 0.8 / len(series)
    for i, (one, found) in enumerate(zip(series, by_class, strict=True)):
        aside = (i - (len(series) - 1) / 2) * height  # networks of a class lie below each other
        places = [place for place, name in enumerate(shown) if name is not None]
        intervals = [found[shown[place]] for place in places]
        axes.errorbar(
            [interval.mean for interval in intervals],
            [place + aside for place in places],
            xerr=bars(intervals),
            fmt=one.marker,
            color=one.color,
            markersize=5,
            elinewidth=1.2,
            label=one.label,
        )
    for place in range(1, len(shown)):
        axes.axhline(place - 0.5, color=GRID, linewidth=0.8, zorder=0)
    words = [f"… {hidden} more …" if n is None else f"{_short(n)}  ({images[n]})" for n in shown]
    axes.set_yticks(range(len(shown)), words, fontsize=9 if len(shown) < 20 else 7.5)
    axes.set_ylim(max(len(shown), 2) - 0.5, -0.5)
    axes.set_xlim(-1, 101)
    axes.set_title("top-1 error by class, % (in brackets: images)")
    if len(series) == 1 and len(series[0].seeds) == 1:
        mean = 100 * (series[0].seeds[0]["rank"] > 0).mean()
        axes.axvline(mean, color=MEAN, linestyle="--", linewidth=1.2, zorder=1)
        axes.set_xlabel(f"dashed: all images, {mean:.1f} %")


def _shown_classes(by_class):
    """(names from the hardest to the easiest, None for those left out; how many these are)."""
    total = {name: sum(found[name].mean for found in by_class) for name in by_class[0]}
    names = sorted(total, key=lambda name: (-total[name], name))
    hidden, half = max(0, len(names) - MOST_CLASSES), MOST_CLASSES // 2
    return ([*names[:half], None, *names[-half:]], hidden) if hidden else (names, 0)


def _short(name, length=28):
    return name if len(name) <= length else name[: length - 1] + "…"


def draw_calibration(axes, one: Series, numbers) -> None:
    """A reliability diagram; a disc's area is its share of the images of all seeds."""
    error, bins = numbers
    total, filled = int(bins.images.sum()), bins.images > 0
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    if len(one.seeds) == 1:  # images of several seeds are the same ones, and not independent
        hits = np.rint(bins.accuracy[filled] * bins.images[filled]).astype(int)
        found = [significance.rate([h], n) for h, n in zip(hits, bins.images[filled], strict=True)]
        lows, highs = [i.low / 100 for i in found], [i.high / 100 for i in found]
        axes.vlines(bins.confidence[filled], lows, highs, color=one.color, linewidth=1)
    axes.plot(bins.confidence[filled], bins.accuracy[filled], color=one.color, linewidth=0.6)
    share = bins.images[filled] / max(total, 1)
    axes.scatter(bins.confidence[filled], bins.accuracy[filled], 10 + 400 * share, color=one.color,
                 alpha=0.75, linewidth=0)  # fmt: skip
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    axes.set_title(one.label, fontsize=9)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    value = "undefined" if math.isnan(error.mean) else f"{error.mean:.1f} %"
    words = f"ECE {value}\nn = {total:,}" + (
        f", {bins.undefined} left out" if bins.undefined else ""
    )
    words += f" ({len(one.seeds)} seeds)" if len(one.seeds) > 1 else ""
    axes.text(0.04, 0.99, words, fontsize=9, va="top")
    if not total:
        message(axes, "no image has a confidence")


def draw_accuracy_by_map_score(axes, series: Sequence[Series], fifths: Sequence[list]) -> None:
    """Are images whose map is like people's also recognised? Of the final layer's maps."""
    for one, parts in zip(series, fifths, strict=True):
        if parts:
            score, accuracy, _ = zip(*parts, strict=True)
            draw_means(axes, score, accuracy, one.color, one.marker, one.label)
    axes.set_title("images by their map score: top-1 accuracy, %")
    axes.set_xlabel("mean Spearman of a fifth of the test images")
    if len(series) > 1:
        return
    columns, layers = series[0].seeds[0], per_image.layers(series[0].seeds[0])
    n = int((~np.isnan(breakdowns.final_map_score(columns))).sum())
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"mean Spearman of a fifth of n = {n} images\n{layers[-1] if layers else ''}")
    if not fifths[0]:
        message(axes, f"{'fewer than five images have' if n else 'no image has'} a map score")


def new_figure(width, height, columns=1, rows=1) -> tuple[Figure, list]:
    """A figure of inches, and its axes row by row."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def save(path: str, figure: Figure) -> None:
    """Writes a figure as PNG, local or gs://."""
    files.write(path, png(figure))


def png(figure: Figure, legend=None) -> bytes:
    """The figure as PNG without date or program; a legend below it, of what the axes hold."""
    if legend is not None:
        handles, labels = legend.get_legend_handles_labels()
        # Networks first; levels, which are plain lines, behind them.
        order = sorted(range(len(labels)), key=lambda i: not hasattr(handles[i], "has_xerr"))
        figure.legend(
            [handles[i] for i in order],
            [labels[i] for i in order],
            loc="outside lower center",
            ncols=min(len(labels), 3),
        )
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130, metadata={"Software": None})
    return file.getvalue()


def bars(intervals) -> list[list[float]]:
    """Lengths below and above the means, [2][n]; 0 where there is no interval."""
    lows = [interval.mean - interval.low for interval in intervals]
    highs = [interval.high - interval.mean for interval in intervals]
    return [[max(0.0, x) if math.isfinite(x) else 0.0 for x in side] for side in (lows, highs)]


def draw_means(axes, x, intervals, color, marker, label) -> None:
    """Means joined by a line, with bars; undefined ones (None) are left out of it."""
    pairs = [(place, part) for place, part in zip(x, intervals, strict=True) if part is not None]
    if not pairs:
        return
    x, intervals = zip(*pairs, strict=True)
    axes.errorbar(
        x,
        [interval.mean for interval in intervals],
        yerr=bars(intervals),
        color=color,
        marker=marker,
        markersize=6,
        linewidth=1.6,
        elinewidth=1.2,
        ecolor=(color, 0.6),
        capsize=3,
        label=label,
    )


def message(axes, text: str) -> None:
    """Writes in the middle of axes why there is nothing in them."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color=INK, transform=axes.transAxes)
