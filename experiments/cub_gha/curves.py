"""Where supervision pays: the error against the number of images, and of maps; and the figure."""

from pathlib import Path

import numpy as np
import runs as planned
from comparisons import Results, errors

from gala_tf.evaluation import significance

COLORS = {"no maps": "#56B4E9", "gaze on U'": "#D55E00"}


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
    sizes, shares = (10, 25, 50), (16, 50)
    return {
        "training images used, %": {
            "no maps": curve(results, "gala", "gala_images", sizes),
            "gaze on U'": curve(results, "gala_activity", "gala_activity_images", sizes),
        },
        "training images with gaze, %": {
            "gaze on U'": [
                (0, without), *curve(results, "gala_activity", "gala_activity_maps", shares)
            ],
        },
    }  # fmt: skip


def draw(results: Results, networks: dict[str, str], path: Path) -> None:
    """Errors of the networks, {row: label}, a point a run; and the two curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), width_ratios=(1.3, 1, 1))
    for place, name in enumerate(reversed(networks)):
        values = list(errors(results.of(name), results.images).values())
        if values:
            axes[0].plot(values, [place] * len(values), "o", color="0.6", markersize=4)
            axes[0].plot(np.mean(values), place, "|", color="black", markersize=14)
    axes[0].set_yticks(range(len(networks)), list(reversed(networks.values())))
    axes[0].set_xlabel("test error, %")
    for axis, (title, group) in zip(axes[1:], curves(results).items(), strict=True):
        for label, points in group.items():
            points = [(s, significance.mean_interval_over_seeds(e)) for s, e in points if e]
            if points:
                bars = [(i.mean - i.low, i.high - i.mean) for _, i in points]
                axis.errorbar(
                    [s for s, _ in points], [i.mean for _, i in points],
                    yerr=np.nan_to_num(np.array(bars).T), fmt="o-", color=COLORS[label],
                    label=label, capsize=3,
                )  # fmt: skip
                axis.legend(frameon=False)
        axis.set_xlabel(title)
        axis.set_ylabel("test error, %")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
