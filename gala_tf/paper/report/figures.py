"""Figures of a report, as blocks of its page.

Lines are told apart by colour and by marker, so that figures read in grey, too. Bars are 95 %
intervals; faint dots are single runs. Where a figure's numbers have one seed, its bars are over
images (`numbers`). Those by image are of `evaluation.plots`.
"""

import math

from gala_tf.evaluation import plots
from gala_tf.evaluation.plots import RULE, Series, draw_means, new_figure, png, styled
from gala_tf.paper.report import numbers
from gala_tf.paper.report.page import Figure

# Okabe and Ito's colours, apart for every kind of colour vision, in the order of published.ROWS.
STYLES = {
    "resnet": ("#666666", "s"),
    "se": ("#E69F00", "D"),
    "gala": ("#56B4E9", "v"),
    "gala_clickmaps": ("#0072B2", "o"),
    "resnet_clickmaps": ("#CC79A7", "P"),
    "gala_boxes": ("#009E73", "^"),
}
OTHERS = (("#D55E00", "X"), ("#8B5A2B", "*"), ("#000000", "<"), ("#7B68EE", ">"), ("#4B8B3B", "h"))
NULL, CEILING = "#B03A2E", "#222222"


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


def map_axis(lines, relative: bool) -> str:
    """What an axis of map scores says."""
    return f"map score, {numbers.map_unit(lines, relative)}"


@styled
def figure7(name, sweep, floor, relative: bool, published=(), published_label="") -> Figure:
    """Accuracy and map score against lambda (the paper's Fig. 7), beside each other.

    Args:
        name: of the file.
        sweep: lines of GALA, one a lambda, in ascending order.
        floor: the ResNet-50 line, or None.
        relative: map scores in % of the ceiling.
        published: (lambda, % of ceiling) of the paper's caption; drawn only if `relative`. The last
            one's lambda is a guess.
        published_label: what the legend calls them.
    """
    figure, (left, right) = new_figure(10.5, 4.3, columns=2)
    published = list(published) if relative else []
    # At equal steps, whatever their distances: sweeps span decades.
    ticks = sorted({line.map_loss_weight for line in sweep} | {x for x, _ in published})
    x = [ticks.index(line.map_loss_weight) for line in sweep]
    color, marker = STYLES["gala_clickmaps"]
    for line, place in zip(sweep, x, strict=True):
        _dots(left, place + 0.07, [100 * run.results["top1"] for run in line.runs], color)
        _dots(right, place + 0.07, [numbers.map_value(run, relative) for run in line.runs], color)
    maps = [numbers.map_score(line, relative) for line in sweep]
    draw_means(left, x, [_accuracy(line) for line in sweep], color, marker, "GALA-ResNet-50")
    draw_means(right, x, maps, color, marker, "GALA-ResNet-50")
    if floor:
        grey, _ = STYLES["resnet"]
        _level(left, _accuracy(floor), grey, "--", "ResNet-50")
        _level(right, numbers.map_score(floor, relative), grey, "--", "ResNet-50")
    null = numbers.baseline(sweep, "null", relative)
    shuffled = null or numbers.baseline(sweep, "shuffled", relative)
    info = sweep[0].runs[0].info
    origin = "simulated people" if info.simulated else "people"
    _level(right, shuffled, NULL, ":", f"{origin if null else 'GALA'}, shuffled (null)")
    if relative:
        right.axhline(100, color=CEILING, linewidth=1.2, label=numbers.ceiling_words(sweep))
        right.set_ylim(min(0, right.get_ylim()[0]), max(105, right.get_ylim()[1]))
    for i, (weight, value) in enumerate(published):
        right.plot(ticks.index(weight), value, "D", markerfacecolor="none", color=RULE,
                   label="_" if i else published_label)  # fmt: skip
    left.set_ylim(0, 100)
    for axes, title in ((left, "top-1 accuracy, %"), (right, map_axis(sweep, relative))):
        axes.set_xticks(range(len(ticks)), [f"{value:g}" for value in ticks])
        axes.set_xlim(-0.5, len(ticks) - 0.5)
        axes.set_xlabel("lambda, weight of the map loss (steps not to scale)")
        axes.set_title(title)
    caption = (
        "Figure 7. Left: top-1 accuracy. Right: map score of the final layer. Means with 95 % "
        "intervals over seeds (one seed: over images; n in the table below), faint dots single "
        "runs. Dashed: ResNet-50, its interval shaded. Dotted: the null, two participants of two "
        "different images; where no image has two, the networks' maps against other images' "
        f"{info.map_origin} maps."
    )
    if published:
        weight, value = published[-1]
        caption += (
            " Hollow: the numbers of the paper's caption, of ClickMe; it gives no lambda for "
            f"{value:.2f}, which is drawn at the chosen {weight}."
        )
    return Figure(name, png(figure, right), caption)


@styled
def layers(name, lines, places_of, relative: bool) -> Figure:
    """Map score of each layer with attention; `places_of`: {layer: the paper's number} a line."""
    figure, (axes,) = new_figure(8.2, 4.6)
    ticks = set()
    styles = line_styles(lines)
    for i, (style, line, places) in enumerate(zip(styles, lines, places_of, strict=True)):
        names = sorted(places, key=places.get)
        scores = [numbers.map_score(line, relative, name) for name in names]
        aside = 0.14 * (i - (len(lines) - 1) / 2)  # bars side by side
        draw_means(axes, [places[name] + aside for name in names], scores, *style, line.label)
        ticks.update(places.values())
    center = numbers.baseline(lines, "center_prior", relative)
    _level(axes, center, RULE, ":", "centre prior")
    if relative:
        axes.axhline(100, color=CEILING, linewidth=1.2, label=numbers.ceiling_words(lines))
    axes.set_xticks(sorted(ticks))
    axes.set_xlabel("layer, in the paper's way of counting")
    axes.set_title(map_axis(lines, relative))
    caption = (
        "Map scores by layer. GALA: its attention; SE: gated activity; ResNet: activity of the "
        "same units. Means with 95 % intervals over seeds (one seed: over images)."
    )
    return Figure(name, png(figure, axes), caption)


@styled
def classes(name, lines, by_class) -> Figure:
    """Top-1 error of each class; `by_class`: of `breakdowns.error_by_class`, one a line."""
    total = len(by_class[0])
    shown = min(total, plots.MOST_CLASSES)
    figure, (axes,) = new_figure(8.2, 1.5 + shown * max(0.34, 0.13 * len(lines)))
    plots.draw_error_by_class(axes, series_of(lines), by_class)
    caption = (
        "Top-1 error by class. Hardest first, by the mean over networks; bars are 95 % intervals "
        "over seeds (one seed: over images)."
    )
    if total > shown:
        caption += f" The {shown // 2} hardest and easiest of {total} classes."
    return Figure(name, png(figure, axes), caption)


@styled
def calibration(name, lines, tables) -> Figure:
    """A reliability diagram a line; `tables` are of `breakdowns.calibration`."""
    columns = min(3, len(lines))
    rows = math.ceil(len(lines) / columns)
    figure, panels = new_figure(3.5 * columns, 3.4 * rows, columns, rows)
    for axes, one, found in zip(panels, series_of(lines), tables, strict=False):
        plots.draw_calibration(axes, one, found)
    for axes in panels[len(lines) :]:
        axes.set_visible(False)
    caption = (
        "Calibration. Accuracy against confidence in 15 bins, images of all seeds together; a "
        "disc's area is its share of the images. ECE: expected calibration error, mean over seeds."
    )
    return Figure(name, png(figure), caption)


@styled
def accuracy_and_maps(name, lines, fifths, relative: bool) -> Figure:
    """Left: runs, accuracy against map score. Right: images, accuracy in fifths by map score.

    The right panel is in Spearman, whatever `relative` says; `fifths` are of
    `breakdowns.accuracy_by_map_score`, one list a line, empty where unknown.
    """
    figure, (left, right) = new_figure(10.5, 4.6, columns=2)
    series = series_of(lines)
    for one, line in zip(series, lines, strict=True):
        points = [
            (numbers.map_value(run, relative), 100 * run.results["top1"]) for run in line.runs
        ]
        points = [point for point in points if point[0] is not None]
        if points:
            left.plot(*zip(*points, strict=True), one.marker, color=one.color, label=one.label)
    plots.draw_accuracy_by_map_score(right, series, fifths)
    left.set_xlabel(map_axis(lines, relative))
    left.set_title("each run: top-1 accuracy, %")
    caption = (
        "Accuracy against map score. Left: each run. Right: images sorted by their final layer's "
        "map score, in fifths; accuracy with 95 % intervals over seeds (one seed: over images)."
    )
    return Figure(name, png(figure, left), caption)


def series_of(lines) -> list[Series]:
    """The lines, all of whose runs have their images, as `plots` draws them."""
    return [
        Series(line.label, [run.images for run in line.runs], *style)
        for line, style in zip(lines, line_styles(lines), strict=True)
    ]


def _accuracy(line):
    """Top-1 accuracy in %, from the error."""
    error = numbers.error(line, 1)
    return error._replace(mean=100 - error.mean, low=100 - error.high, high=100 - error.low)


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
