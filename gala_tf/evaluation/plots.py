"""Three plots of an evaluation's rows: error by class, calibration, accuracy against map score.

Drawn from the columns of `per_image`, so that a figure can be made anew from the CSV alone. Every
proportion has its 95 % Wilson interval, every plot its number of images.

    N images, K classes
"""

import io

import numpy as np

from gala_tf.data import files
from gala_tf.evaluation import per_image, significance

MOST_CLASSES = 30  # shown one by one; of more, the worst and the best
LEAST_IN_BIN, MOST_BINS = 20, 10  # images, and bins of the map score
CALIBRATION_BINS = 15  # Guo et al. 2017

INK, FAINT_INK, GRID, SHADE = "#202020", "#767676", "#e8e8e8", "#cfcfcf"
MAIN, OTHER = "#3b6ea8", "#c0504d"  # differ in lightness too


def write(path: str, columns: dict, title: str) -> None:
    """Draws `columns` ({name: [N]}, from `per_image`) to a PNG, local or gs://."""
    file = io.BytesIO()
    draw(columns, title).savefig(file, format="png", dpi=110)
    files.write(path, file.getvalue())


def draw(columns: dict, title: str):
    """The figure as a `matplotlib.figure.Figure`; belongs to no window and no global state."""
    from matplotlib.figure import Figure

    shown, _ = _class_rows(columns)
    wide = len(shown) <= 16  # else bars need the height of two plots
    figure = Figure(figsize=(15, 5.6) if wide else (11, 10), layout="constrained")
    figure.suptitle(
        f"{title}: {len(columns['rank'])} images, intervals 95 % (Wilson)", color=INK, fontsize=13
    )
    names = "classes", "calibration", "maps"
    rows = [names] if wide else [names[:2], names[::2]]
    found = figure.subplot_mosaic(rows, width_ratios=(1.15, 1, 1)[: len(rows[0])])
    classes, calibration, maps = (found[name] for name in names)
    for axes in (classes, calibration, maps):
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (calibration, maps):  # square, however many classes there are
        axes.set_box_aspect(1)
        axes.set_anchor("N")
    draw_error_by_class(classes, columns)
    draw_calibration(calibration, columns)
    draw_accuracy_by_map_score(maps, columns)
    return figure


# --------------------------------------------------------------------------- error by class


def error_by_class(columns: dict) -> list[tuple[str, significance.Interval]]:
    """(class name, top-1 error with its interval) of every class with an image, worst first."""
    found = []
    for label in np.unique(columns["label"]):
        rows = columns["label"] == label
        wrong = int((columns["rank"][rows] > 0).sum())
        interval = significance.binomial_interval(wrong, int(rows.sum()))
        found.append((str(columns["class_name"][rows][0]), interval))
    return sorted(found, key=lambda pair: -pair[1].mean)  # stable: ties in the classes' order


def _class_rows(columns):
    """What is shown: (name, interval) each, None for the classes left out; and how many those."""
    found = error_by_class(columns)
    hidden = max(0, len(found) - MOST_CLASSES)
    if not hidden:
        return found, 0
    half = MOST_CLASSES // 2
    return [*found[:half], None, *found[-half:]], hidden


def draw_error_by_class(axes, columns: dict) -> None:
    """Bars, worst class on top; of many classes the worst and the best."""
    shown, hidden = _class_rows(columns)
    names = []
    for row, pair in enumerate(shown):
        if pair is None:
            names.append(f"… {hidden} more …")
            continue
        name, (error, low, high, n, _) = pair
        names.append(f"{_short(name)}  ({n})")
        axes.barh(row, 100 * error, height=0.7, color=MAIN, alpha=0.55)
        axes.plot([100 * low, 100 * high], [row, row], color=INK, linewidth=1.2)
    mean = 100 * (columns["rank"] > 0).mean()
    axes.axvline(mean, color=OTHER, linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(names)), names, fontsize=9 if len(names) < 20 else 7.5)
    axes.set_ylim(max(len(names), 8) - 0.4, -0.6)  # a few bars do not fill the plot
    axes.set_xlim(0, 100)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"top-1 error, % (dashed: all images, {mean:.1f})")
    _title(axes, "Error by class", "in brackets: images of the class")


def _short(name, length=28):
    return name if len(name) <= length else name[: length - 1] + "…"


# --------------------------------------------------------------------------- calibration


def draw_calibration(axes, columns: dict) -> None:
    """Accuracy against confidence in bins of equal width, with the calibration error."""
    correct = columns["rank"] < 1
    error, bins = significance.expected_calibration_error(
        columns["confidence"], correct, CALIBRATION_BINS
    )
    total = bins.count.sum()
    if total:
        axes.plot([0, 1], [0, 1], color=FAINT_INK, linestyle=":", linewidth=1.2)
        width = 1 / CALIBRATION_BINS
        axes.bar(bins.low, bins.count / total, width, align="edge", color=SHADE)
        filled = bins.count > 0
        hits = np.rint(bins.accuracy[filled] * bins.count[filled]).astype(int)
        _intervals(axes, bins.confidence[filled], hits, bins.count[filled])
    else:
        _message(axes, "no image has a confidence")
    value = "undefined" if np.isnan(error) else f"{error:.3f}"
    left_out = f", {bins.undefined} left out: no confidence" if bins.undefined else ""
    _title(
        axes,
        f"Calibration: expected error {value}",
        f"{CALIBRATION_BINS} bins of equal width, n = {total}{left_out}",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence")
    axes.set_ylabel("accuracy (grey: fraction of the images)")


# --------------------------------------------------------------------------- map score


def accuracy_by_map_score(score, correct):
    """Accuracy in quantile bins of the map score: [N], [N] -> list of (scores [n], hits, n).

    Images without a score (NaN) are left out. As many bins as hold LEAST_IN_BIN images each, at
    most MOST_BINS. Equal scores share a bin, so that bins may be of different sizes.
    """
    defined = ~np.isnan(score)
    score, correct = score[defined], correct[defined]
    if not len(score):
        return []
    bins = int(np.clip(len(score) // LEAST_IN_BIN, 1, MOST_BINS))
    edges = np.unique(np.quantile(score, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, score, side="right")
    rows = [place == number for number in np.unique(place)]
    return [(score[row], int(correct[row].sum()), int(row.sum())) for row in rows]


def draw_accuracy_by_map_score(axes, columns: dict) -> None:
    """Are images whose map is like people's also recognised? Of the last layer with a map."""
    layers = per_image.layers(columns)
    score = columns[per_image.SPEARMAN + layers[-1]] if layers else np.full(1, np.nan)
    correct = columns["rank"] < 1 if layers else np.zeros(1, bool)
    bins = accuracy_by_map_score(score, correct)
    axes.set(ylim=(0, 1.02), ylabel="top-1 accuracy")
    if not bins:
        _title(axes, "Accuracy against map score", "n = 0")
        _message(axes, "no image has a map score")
        axes.set_xticks([])
        return
    hits, counts = (np.array([part[i] for part in bins]) for i in (1, 2))
    middle = np.array([part.mean() for part, _, _ in bins])
    for (part, _, _), height in zip(bins, hits / counts, strict=True):
        axes.plot([part.min(), part.max()], [height, height], color=MAIN, alpha=0.4, linewidth=4)
    _intervals(axes, middle, hits, counts)
    n, mean = counts.sum(), hits.sum() / counts.sum()
    axes.axhline(mean, color=OTHER, linestyle="--", linewidth=1.2)
    axes.set_ylabel(f"top-1 accuracy (dashed: all, {mean:.3f})")
    axes.set_xlabel(f"Spearman with the human map, {layers[-1]}")
    size = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()}–{counts.max()}"
    _title(
        axes,
        "Accuracy against map score",
        f"quantile bins of {size} images: mean and range, n = {n}",
    )


# --------------------------------------------------------------------------- both


def _title(axes, title, below):
    axes.set_title(title, fontsize=11, color=INK, pad=20)
    axes.annotate(
        below,
        (0.5, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=FAINT_INK,
    )


def _intervals(axes, x, hits, counts):
    """Points with their Wilson intervals."""
    found = [
        significance.binomial_interval(int(h), int(n)) for h, n in zip(hits, counts, strict=True)
    ]
    mean, low, high = (
        np.array([getattr(i, name) for i in found]) for name in ("mean", "low", "high")
    )
    axes.vlines(x, low, high, color=MAIN, linewidth=1.4)
    axes.plot(x, mean, "o", color=MAIN, markersize=5, clip_on=False)


def _message(axes, text):
    axes.text(0.5, 0.5, text, ha="center", va="center", color=INK, transform=axes.transAxes)
