"""Figures of a report, as PNG bytes. matplotlib is imported inside functions.

Lines are told apart by colour and by marker, so that figures read in grey, too. Bars are 95 %
intervals; faint dots are single runs. Where a figure's numbers have one seed, its bars are over
images (`report_statistics`).
"""

import functools
import io
import math

from gala_tf.paper.report import numbers as statistics

# Okabe and Ito's colours, apart for every kind of colour vision, in the order of report_rows.ROWS.
STYLES = {
    "resnet": ("#666666", "s"),
    "se": ("#E69F00", "D"),
    "gala": ("#56B4E9", "v"),
    "gala_clickmaps": ("#0072B2", "o"),
    "resnet_clickmaps": ("#CC79A7", "P"),
    "gala_boxes": ("#009E73", "^"),
}
OTHERS = (("#D55E00", "X"), ("#8B5A2B", "*"), ("#000000", "<"), ("#7B68EE", ">"), ("#4B8B3B", "h"))
RULE, NULL = "#999999", "#B03A2E"
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
MOST_CLASSES = 30  # one row each; above, the hardest and the easiest


def _styled(draw):
    """Draws under SETTINGS, whatever the user's matplotlibrc says."""

    @functools.wraps(draw)
    def wrapped(*arguments, **named):
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(SETTINGS)
            return draw(*arguments, **named)

    return wrapped


def line_styles(lines) -> list[tuple[str, str]]:
    """(colour, marker) of each line: its row's for the first of a row, others for the rest."""
    taken, others, styles = set(), 0, []
    for line in lines:
        if line.row in STYLES and line.row not in taken:
            styles.append(STYLES[line.row])
            taken.add(line.row)
        else:
            styles.append(OTHERS[others % len(OTHERS)])
            others += 1
    return styles


def map_axis(relative: bool) -> str:
    """What an axis of map scores says."""
    return "map score, % of human ceiling" if relative else "map score, Spearman"


@_styled
def figure7(sweep, floor, relative: bool, published=(), published_label="published") -> bytes:
    """Accuracy and map score against lambda (the paper's Fig. 7), beside each other.

    Values of lambda stand at equal steps, whatever their distances: sweeps span decades.

    Args:
        sweep: lines of GALA, one a lambda, in ascending order.
        floor: the ResNet-50 line, or None.
        relative: map scores in % of the human ceiling.
        published: (lambda, % of ceiling) of the paper's caption; drawn only if `relative`.
        published_label: what the legend calls them.
    """
    figure, (left, right) = _figure(10.5, 4.3, columns=2)
    published = list(published) if relative else []
    ticks = sorted({line.map_loss_weight for line in sweep} | {x for x, _ in published})
    x = [ticks.index(line.map_loss_weight) for line in sweep]
    accuracy = [_accuracy(line) for line in sweep]
    maps = [statistics.map_score(line, relative) for line in sweep]
    color, marker = STYLES["gala_clickmaps"]
    for line, place in zip(sweep, x, strict=True):
        _dots(left, place + 0.07, [100 * run.results["top1"] for run in line.runs], color)
        _dots(
            right, place + 0.07, [statistics.map_value(run, relative) for run in line.runs], color
        )
    _series(left, x, accuracy, color, marker, "GALA-ResNet-50")
    _series(right, x, maps, color, marker, "GALA-ResNet-50")
    if floor:
        _level(left, _accuracy(floor), STYLES["resnet"][0], "--", "ResNet-50")
        level = statistics.map_score(floor, relative)
        _level(right, level, STYLES["resnet"][0], "--", "ResNet-50")
    null = statistics.baseline(sweep, "null", relative)
    shuffled = null or statistics.baseline(sweep, "shuffled", relative)
    _level(right, shuffled, NULL, ":", f"{'people' if null else 'GALA'}, shuffled (null)")
    if relative:
        right.axhline(100, color="#222222", linewidth=1.2, label="human ceiling")
        right.set_ylim(min(0, right.get_ylim()[0]), max(105, right.get_ylim()[1]))
    for i, (weight, value) in enumerate(published):
        right.plot(ticks.index(weight), value, "D", markerfacecolor="none", color=RULE,
                   label="_" if i else published_label)  # fmt: skip
    left.set_ylim(0, 100)
    for axes, title in ((left, "top-1 accuracy, %"), (right, map_axis(relative))):
        axes.set_xticks(range(len(ticks)), [f"{value:g}" for value in ticks])
        axes.set_xlim(-0.5, len(ticks) - 0.5)
        axes.set_xlabel("lambda, weight of the map loss (steps not to scale)")
        axes.set_title(title)
    return _png(figure, right)


@_styled
def layers(lines, numbers, relative: bool) -> bytes:
    """Map score of each layer with attention.

    Args:
        lines: of the tables.
        numbers: {layer name: the paper's number} of each line, in the same order.
        relative: as in `figure7`.
    """
    figure, (axes,) = _figure(8.2, 4.6)
    ticks = set()
    for i, (style, line, places) in enumerate(zip(line_styles(lines), lines, numbers, strict=True)):
        names = sorted(places, key=places.get)
        scores = [statistics.map_score(line, relative, name) for name in names]
        aside = 0.14 * (i - (len(lines) - 1) / 2)  # bars side by side
        _series(axes, [places[name] + aside for name in names], scores, *style, line.label)
        ticks.update(places.values())
    center = statistics.baseline(lines, "center_prior", relative)
    _level(axes, center, RULE, ":", "centre prior")
    if relative:
        axes.axhline(100, color="#222222", linewidth=1.2, label="human ceiling")
    axes.set_xticks(sorted(ticks))
    axes.set_xlabel("layer, in the paper's way of counting")
    axes.set_title(map_axis(relative))
    return _png(figure, axes)


@_styled
def classes(lines, by_class) -> tuple[bytes, int]:
    """Top-1 error of each class, hardest at the top, and how many of the classes are shown.

    Args:
        lines: of the tables.
        by_class: {class: Interval} of each line (`report_statistics.error_by_class`).
    """
    names = list(by_class[0])
    means = {name: sum(part[name].mean for part in by_class) for name in names}
    names.sort(key=lambda name: (-means[name], name))
    shown = names
    if len(names) > MOST_CLASSES:
        shown = names[: MOST_CLASSES // 2] + names[-(MOST_CLASSES // 2) :]
    step = 0.8 / len(lines)
    figure, (axes,) = _figure(8.2, 1.5 + len(shown) * max(0.34, 0.13 * len(lines)))
    for i, (style, line, part) in enumerate(zip(line_styles(lines), lines, by_class, strict=True)):
        y = [place + (i - (len(lines) - 1) / 2) * step for place in range(len(shown))]
        intervals = [part[name] for name in shown]
        axes.errorbar(
            [interval.mean for interval in intervals],
            y,
            xerr=_bars(intervals),
            fmt=style[1],
            color=style[0],
            markersize=5,
            elinewidth=1,
            label=line.label,
        )
    for place in range(1, len(shown)):
        axes.axhline(place - 0.5, color="#e4e4e4", linewidth=0.8)
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    if len(shown) < len(names):
        axes.axhline(len(shown) / 2 - 0.5, color="black", linewidth=1, linestyle="--")
    axes.set_xlim(-1, 101)
    axes.set_title("top-1 error by class, %")
    return _png(figure, axes), len(shown)


@_styled
def calibration(lines, tables) -> bytes:
    """A reliability diagram a line; `tables` are of `report_statistics.calibration`."""
    columns = min(3, len(lines))
    rows = math.ceil(len(lines) / columns)
    figure, panels = _figure(3.5 * columns, 3.4 * rows, columns, rows)
    for axes, style, line, (error, bins) in zip(
        panels, line_styles(lines), lines, tables, strict=False
    ):
        filled = bins.count > 0
        share = bins.count[filled] / bins.count.sum()
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        axes.plot(bins.confidence[filled], bins.accuracy[filled], color=style[0], linewidth=0.6)
        axes.scatter(bins.confidence[filled], bins.accuracy[filled], 10 + 400 * share,
                     color=style[0], alpha=0.75, linewidth=0)  # fmt: skip
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
        axes.set_title(line.label, fontsize=9)
        n = f"{len(line.runs)} × {line.runs[0].results['examples']:,} images"
        axes.text(0.04, 0.99, f"ECE {error.mean:.1f} %\n{n}", fontsize=9, va="top")
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy")
    for axes in panels[len(lines) :]:
        axes.set_visible(False)
    return _png(figure)


@_styled
def accuracy_and_maps(lines, fifths, relative: bool) -> bytes:
    """Left: runs, accuracy against map score. Right: images, accuracy in fifths by map score.

    Args:
        lines: of the tables.
        fifths: of `report_statistics.accuracy_by_map_score`, one list a line, empty where unknown.
        relative: as in `figure7`, of the left panel; the right one is in Spearman.
    """
    figure, (left, right) = _figure(10.5, 4.6, columns=2)
    for (color, marker), line, parts in zip(line_styles(lines), lines, fifths, strict=True):
        points = [
            (statistics.map_value(run, relative), 100 * run.results["top1"]) for run in line.runs
        ]
        points = [point for point in points if point[0] is not None]
        if points:
            left.plot(*zip(*points, strict=True), marker, color=color, label=line.label)
        if parts:
            score, accuracy, _ = zip(*parts, strict=True)
            _series(right, score, accuracy, color, marker, line.label)
    left.set_xlabel(map_axis(relative))
    right.set_xlabel("mean Spearman of a fifth of the test images")
    left.set_title("each run: top-1 accuracy, %")
    right.set_title("images by their map score: top-1 accuracy, %")
    return _png(figure, left)


# --------------------------------------------------------------------------- parts of figures


def _figure(width, height, columns=1, rows=1):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _png(figure, legend=None) -> bytes:
    """The figure as PNG without date or program; a legend below it, of what `legend` holds."""
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


def _accuracy(line):
    """Top-1 accuracy in %, from the error."""
    error = statistics.error(line, 1)
    return error._replace(mean=100 - error.mean, low=100 - error.high, high=100 - error.low)


def _bars(intervals):
    """Lengths below and above the means, [2][n]; 0 where there is no interval."""
    lows = [interval.mean - interval.low for interval in intervals]
    highs = [interval.high - interval.mean for interval in intervals]
    return [[max(0.0, x) if math.isfinite(x) else 0.0 for x in side] for side in (lows, highs)]


def _series(axes, x, intervals, color, marker, label):
    """Means joined by a line, with bars; undefined ones are left out of it."""
    pairs = [(place, part) for place, part in zip(x, intervals, strict=True) if part is not None]
    if not pairs:
        return
    x, intervals = zip(*pairs, strict=True)
    means = [interval.mean for interval in intervals]
    axes.errorbar(
        x,
        means,
        yerr=_bars(intervals),
        color=color,
        marker=marker,
        markersize=6,
        linewidth=1.6,
        elinewidth=1.2,
        ecolor=(color, 0.6),
        capsize=3,
        label=label,
    )


def _dots(axes, x, values, color):
    values = [value for value in values if value is not None]
    axes.plot([x] * len(values), values, "o", color=color, alpha=0.3, markersize=4, zorder=1,
              markeredgewidth=0)  # fmt: skip


def _level(axes, interval, color, style, label):
    """A horizontal line at a mean, with its interval as a band."""
    if interval is None:
        return
    axes.axhline(interval.mean, color=color, linestyle=style, linewidth=1.4, label=label)
    if math.isfinite(interval.low) and style == "--":
        axes.axhspan(interval.low, interval.high, color=color, alpha=0.12, linewidth=0)
