"""The numbers of a data set, beside those that the paper prints for ClickMe (section 2.1, Fig. 5).

N images, M maps (one a participant and image), G side of the mean map
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_prep.verification import alignment, findings
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

    `mean_maps`: split -> mean of its maps, each of sum 1: [G, G].
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
        "contrast": store.execute("SELECT AVG(contrast) FROM records").fetchone()[0],
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
    total = findings.count(store, "records", where, *values)
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
