"""Where supervision pays: errors and gains against the number of images, and of maps; a figure."""

from pathlib import Path

import numpy as np
import runs as planned
from comparisons import Pair, Results, compare, errors

from gala_tf.evaluation import significance

COLORS = {"no maps": "#56B4E9", "gaze on U'": "#D55E00"}
SIZES, SHARES = (10, 25, 50), (16, 50)  # %, of images and of maps


def curve(results: Results, full: str, part: str, shares) -> list[tuple]:
    """[(share in %, errors)] of five seeds each; the last is the ten-seed row's first five."""
    points = [(s, errors(results.of(f"{part}-{s}"), results.images)) for s in shares]
    whole = errors(results.of(full), results.images)
    points.append((100, {key: e for key, e in whole.items() if key[1] in planned.FIVE}))
    return [(share, list(values.values())) for share, values in points]


def curves(results: Results) -> dict[str, dict[str, list]]:
    """{figure: {line: points}}."""
    none = errors(results.of("gala"), results.images)
    without = [e for key, e in none.items() if key[1] in planned.FIVE]
    return {
        "training images used, %": {
            "no maps": curve(results, "gala", "gala_images", SIZES),
            "gaze on U'": curve(results, "gala_activity", "gala_activity_images", SIZES),
        },
        "training images with gaze, %": {
            "gaze on U'": [
                (0, without), *curve(results, "gala_activity", "gala_activity_maps", SHARES)
            ],
        },
    }  # fmt: skip


def gains(results: Results) -> dict[str, list[tuple[int, Pair | None]]]:
    """{figure: [(share in %, gaze on U' minus no maps of as many images)]}, of five seeds each."""

    def pair(supervised, plain):
        rows = (results.of(name) for name in (supervised, plain))
        five = [{k: r for k, r in found.items() if k[1] in planned.FIVE} for found in rows]
        return compare(*five, results.images)

    whole = (100, pair("gala_activity", "gala"))
    sizes = [(s, pair(f"gala_activity_images-{s}", f"gala_images-{s}")) for s in SIZES]
    shares = [(s, pair(f"gala_activity_maps-{s}", "gala")) for s in SHARES]
    return {
        "training images used, %": [*sizes, whole],
        "training images with gaze, %": [*shares, whole],
    }


def _line(axis, points, **looks) -> None:
    """Draws [(share, interval)], a bar each; none for two runs, whose interval would hide all."""
    bars = [(i.mean - i.low, i.high - i.mean) if i.n > 2 else (0, 0) for _, i in points]
    axis.errorbar(
        [s for s, _ in points], [i.mean for _, i in points], yerr=np.nan_to_num(np.array(bars).T),
        fmt="o-", capsize=3, **looks,
    )  # fmt: skip


def draw(results: Results, networks: dict[str, str], path: Path) -> None:
    """Errors of the networks, {row: label}, a point a run; the two curves, gains below them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    above, below = curves(results), gains(results)
    figure, axes = pyplot.subplot_mosaic(
        [["networks", *above], ["networks", *map("gain {}".format, below)]],
        figsize=(12, 6), width_ratios=(1.3, 1, 1),
    )  # fmt: skip
    for place, name in enumerate(reversed(networks)):
        values = list(errors(results.of(name), results.images).values())
        if values:
            axes["networks"].plot(values, [place] * len(values), "o", color="0.6", markersize=4)
            axes["networks"].plot(np.mean(values), place, "|", color="black", markersize=14)
    axes["networks"].set_yticks(range(len(networks)), list(reversed(networks.values())))
    axes["networks"].set_xlabel("test error, %")
    for title, group in above.items():
        for label, points in group.items():
            points = [(s, significance.mean_interval_over_seeds(e)) for s, e in points if e]
            if points:
                _line(axes[title], points, color=COLORS[label], label=label)
                axes[title].legend(frameon=False)
        axes[title].set_ylabel("test error, %")
    for title, pairs in below.items():
        axis = axes[f"gain {title}"]
        axis.axhline(0, color="0.8")
        points = [(share, pair.difference) for share, pair in pairs if pair]
        if points:
            _line(axis, points, color="black")
        axis.set_xlim(axes[title].get_xlim())
        axis.set_xlabel(title)
        axis.set_ylabel("U' minus no maps, points")
    for axis in axes.values():
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
