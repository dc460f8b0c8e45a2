"""The numbers of a data set, beside those that the paper prints for ClickMe (section 2.1, Fig. 5).

N images, M maps (one a participant and image), G side of the mean map
"""

import io
import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from data_prep.verification import alignment
from data_prep.verification.alignment import Comparison
from gala_tf.data import dataset_info

# Section 2.1 and section 4.1. What the paper does not print is not here.
PAPER = {
    "images": 196_499,
    "maps": 472_946,
    "bubbles": 35_000_000,  # "over 35M"
    "maps_per_image": 472_946 / 196_499,
    "clicks_per_map": 35_000_000 / 472_946,
    "classes": 1_000,
    "split_records": {"train": 329_036, "validation": 17_841, "test": 17_581},
}
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
AREA_BINS = 40


def collect(
    store: sqlite3.Connection, info: dataset_info.DatasetInfo, mean_maps: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """All statistics, as JSON takes them.

    Args:
      store: a filled `findings` file.
      mean_maps: split -> mean of its maps, each of sum 1: [G, G].
    """
    return {
        "name": info.name,
        "all": _numbers(store, info, "1"),
        "splits": {
            name: _numbers(store, info, "split = ?", name)
            | {"missing_classes": _missing(store, info, name)}
            for name in info.splits
        },
        "participants_per_image": _histogram(store, "participants", "1"),
        "clicks_per_map": _histogram(
            store, "CAST(ROUND(1.0 * clicks / participants) AS INT)", "participants AND clicks"
        ),
        "clicks_per_image": _histogram(store, "clicks", "clicks"),
        "area": _histogram(
            store, f"MIN(CAST(area * {AREA_BINS} AS INT), {AREA_BINS - 1})", "has_map"
        ),
        "images_per_label": _histogram(store, "label", "1"),
        "mean_map": {name: np.round(mean, 8).tolist() for name, mean in mean_maps.items()},
        "alignment": [comparison._asdict() for comparison in comparisons(store)],
        "contrast": _mean(store, "contrast", "contrast IS NOT NULL"),
        "paper": PAPER,
    }


def _numbers(store, info, where, *values):
    columns = (
        "COUNT(*)",
        "TOTAL(has_map)",
        "TOTAL(participants)",
        "TOTAL(participants > 0 AND NOT has_map)",
        "TOTAL(participants > 1)",
        "TOTAL(clicks)",
        "TOTAL(CASE WHEN clicks THEN participants END)",
        "COUNT(DISTINCT label)",
        "AVG(center_y)",
        "AVG(center_x)",
    )
    row = store.execute(
        f"SELECT {', '.join(columns)} FROM records WHERE {where}", values
    ).fetchone()
    images, with_map, maps, empty, several, clicks, clicked, classes, *center = row
    return {
        "images": images,
        "with_clickmap": int(with_map),
        "maps": int(maps),
        "empty_maps": int(empty),
        "with_participants": int(several),
        "maps_per_image": maps / (with_map + empty) if with_map + empty else None,
        "clicks": int(clicks),
        "clicks_per_map": clicks / clicked if clicked else None,
        "classes": classes,
        "center_of_mass": center,
        "area": _quantiles(store, "area", f"has_map AND {where}", *values),
        "images_per_class": _spread(store, where, *values),
        "height": _quantiles(store, "height", where, *values),
        "width": _quantiles(store, "width", where, *values),
    }


def _quantiles(store, column, where, *values):
    """At QUANTILES; sorted by SQLite, not in memory."""
    total = store.execute(f"SELECT COUNT(*) FROM records WHERE {where}", values).fetchone()[0]
    query = f"SELECT {column} FROM records WHERE {where} ORDER BY {column} LIMIT 1 OFFSET ?"
    return {
        f"{quantile:.0%}": store.execute(
            query, (*values, round(quantile * (total - 1)))
        ).fetchone()[0]
        for quantile in (QUANTILES if total else ())
    }


def _spread(store, where, *values):
    query = f"SELECT COUNT(*) FROM records WHERE {where} GROUP BY label ORDER BY 1"
    counts = [row[0] for row in store.execute(query, values)]
    return (
        {"least": counts[0], "median": counts[len(counts) // 2], "most": counts[-1]}
        if counts
        else {}
    )


def _histogram(store, expression, where):
    """Value -> images; as many entries as there are values."""
    query = f"SELECT {expression} AS v, COUNT(*) FROM records WHERE {where} GROUP BY v ORDER BY v"
    return {int(value): images for value, images in store.execute(query)}


def _mean(store, column, where):
    return store.execute(f"SELECT AVG({column}) FROM records WHERE {where}").fetchone()[0]


def _missing(store, info, split):
    """Names of the classes that have no image in the split."""
    query = "SELECT DISTINCT label FROM records WHERE split = ?"
    found = {row[0] for row in store.execute(query, (split,))}
    return [name for label, name in enumerate(info.class_names) if label not in found]


def comparisons(store: sqlite3.Connection) -> list[Comparison]:
    """Maps as they are against maps turned; see `alignment.py`."""
    found = []
    for column, words in alignment.WRONG_TURNS.items():
        query = f"""
            SELECT COUNT(*), AVG({column}), AVG(contrast - {column}),
                   AVG((contrast - {column}) * (contrast - {column}))
            FROM records WHERE contrast IS NOT NULL AND {column} IS NOT NULL"""
        images, *means = store.execute(query).fetchone()
        if images:
            found.append(alignment.compare(words, images, *means))
    return found


# --------------------------------------------------------------------------- figure


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


BAR, ACCENT = "#4c6f91", "#c2542d"


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


# --------------------------------------------------------------------------- page


def page(statistics: Mapping[str, Any], summary: str) -> str:
    """The Markdown page; it shows `statistics.png`."""
    lines = [
        f"# {statistics['name']}: statistics",
        "",
        "Written by `python -m data_prep.verify`. All numbers are in `statistics.json`.",
        "",
        "```",
        summary,
        "```",
        "",
        "![distributions](statistics.png)",
        "",
        "## Beside the paper",
        "",
        "The paper's numbers are those of the whole ClickMe data set; they should agree only if "
        "this is that data set. A *map* is what one participant drew on one image.",
        "",
        *_beside_the_paper(statistics),
        "",
        "Not in the records, so not compared: the number of participants (1,235) and of images "
        "that each of them played (380). The paper's Fig. 5 is drawn here as *participants an "
        'image* (its caption) and *clicks a map* (its axis is labelled "bubbles"); it prints no '
        "numbers. Fig. 2A and Fig. 6 are `exemplars.png`.",
        "",
        "## Splits",
        "",
        *_splits(statistics),
        "",
        "## Do maps lie on their images?",
        "",
        *_alignment_words(statistics),
    ]
    return "\n".join(lines) + "\n"


def _beside_the_paper(statistics):
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
    return ["| | here | paper |", "|---|---:|---:|"] + [
        f"| {words} | {_number(ours)} | {_number(paper)} |" for words, ours, paper in rows
    ]


def _number(value):
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1%}" if value < 1 else f"{value:,.2f}"


def _splits(statistics):
    lines = [
        "| split | images | with a map | empty maps | two participants or more | images a class "
        "(least, median, most) | classes without an image |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, split in statistics["splits"].items():
        spread, missing = split["images_per_class"], split["missing_classes"]
        names = f"{len(missing):,}: {', '.join(missing[:5])}{' ...' * (len(missing) > 5)}"
        counts = ", ".join(f"{value:,}" for value in spread.values())
        lines.append(
            f"| {name} | {split['images']:,} | {split['with_clickmap']:,} | "
            f"{split['empty_maps']:,} | {split['with_participants']:,} | "
            f"{counts} | {names if missing else 'none'} |"
        )
    return lines


def _alignment_words(statistics):
    if not statistics["alignment"]:
        return ["There are no maps."]
    lines = [
        "Correlation of each map with its image's local contrast on a grid of "
        f"{alignment.SIDE}x{alignment.SIDE}, mean over images: {statistics['contrast']:.3f}. Maps "
        "that lie on their images correlate more as they are than turned, or than another image's.",
        "",
        "| map | correlation | less than as it is by | standard error | images |",
        "|---|---:|---:|---:|---:|",
    ]
    for c in statistics["alignment"]:
        lines.append(
            f"| {c['turn']} | {c['mean']:.3f} | {c['difference']:+.3f} | {c['error']:.3f} | "
            f"{c['images']:,} |"
        )
    return lines
