"""What the contact sheets show: records by class, by size of their map, and all that is suspicious.

Chosen by queries on what the checks found (`findings.py`); only what is shown is read again.
"""

import os
import sqlite3
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.verification import dataset_statistics, findings, map_checks
from data_prep.verification.alignment import ONE_COLOR
from data_prep.verification.contact_sheet import Triplet
from gala_tf.data import dataset_info, schema, tfrecord_files

CLASSES_PER_PAGE = 10
COLUMNS = 3
SHOWN = 6  # of each kind of suspicion, in lines of COLUMNS

# Of no fault, but worth a look: words, and the condition in SQL.
LARGE_AREA, TINY, ASPECT = 0.95, 32, 3
SUSPICIOUS = {
    "empty map": "participants > 0 AND NOT has_map",
    f"map covers more than {LARGE_AREA:.0%} of the image": f"area > {LARGE_AREA}",
    "all clicks at the border": "has_map AND border > 0.999",
    f"image smaller than {TINY} pixels": f"MIN(height, width) < {TINY}",
    f"image longer than {ASPECT} times its width": (
        f"MAX(height, width) > {ASPECT} * MIN(height, width)"
    ),
    "image of nearly one colour": f"spread < {ONE_COLOR}",
    "counts at the limit of 65,535": f"peak >= {schema.MAX_COUNT}",
}


class Chosen(NamedTuple):
    """Where a record lies, and what its caption says; a row of `findings`' table `records`."""

    file: str
    record: int
    offset: int
    length: int
    image_id: str
    label: int
    participants: int
    clicks: int
    area: float


_COLUMNS = ", ".join(Chosen._fields)


def _query(store, where, *values):
    return [Chosen._make(row) for row in store.execute(f"SELECT {_COLUMNS} {where}", values)]


def read_triplet(data_dir: str, info: dataset_info.DatasetInfo, chosen: Chosen) -> Triplet:
    """The record's picture and map, as far as they can be decoded."""
    name = info.class_names[chosen.label] if 0 <= chosen.label < info.num_classes else "no class"
    people = f"{chosen.participants} participant{'s' if chosen.participants != 1 else ''}"
    clicks = f", {chosen.clicks} clicks" if chosen.clicks else ""
    covers = f", covers {chosen.area:.0%}" if chosen.area else ""
    caption = (chosen.image_id, f"{name}: {people}{clicks}{covers}")
    path = os.path.join(data_dir, chosen.file)
    try:
        span = tfrecord_files.Span(chosen.offset, chosen.length)
        data = tfrecord_files.read(path, span, chosen.record)
        features = tf.train.Example.FromString(data).features.feature
        image = tf.io.decode_jpeg(features["image/encoded"].bytes_list.value[0], channels=3).numpy()
    except (tfrecord_files.DamagedFileError, tf.errors.OpError, IndexError):
        return Triplet(None, None, caption)
    if not chosen.participants:
        return Triplet(image, None, caption)
    png = features["clickmap/counts"].bytes_list.value[0]
    counts, reason = map_checks.decode_counts(png, image.shape[:2])
    return Triplet(image, counts, (caption[0], reason or caption[1]))


def by_class(
    store: sqlite3.Connection, info: dataset_info.DatasetInfo, pages: int
) -> Iterator[list]:
    """Pages of (title, chosen): a line a class, spread over all classes if there are many."""
    labels = [row[0] for row in store.execute("SELECT DISTINCT label FROM records ORDER BY label")]
    most = pages * CLASSES_PER_PAGE
    if len(labels) > most:
        labels = [
            labels[place] for place in np.linspace(0, len(labels) - 1, most).round().astype(int)
        ]
    lines = []
    for label in labels:
        images, maps = store.execute(
            "SELECT COUNT(*), SUM(has_map) FROM records WHERE label = ?", (label,)
        ).fetchone()
        # Images with maps first; of those, in an order that has nothing to do with their content.
        where = f"FROM records WHERE label = ? ORDER BY has_map DESC, digest LIMIT {COLUMNS}"
        name = info.class_names[label] if 0 <= label < info.num_classes else "no class"
        title = (name, f"label {label}", f"images {images:,}, maps {maps:,}")
        lines.append((title, _query(store, where, label)))
    for start in range(0, len(lines), CLASSES_PER_PAGE):
        yield lines[start : start + CLASSES_PER_PAGE]


def by_area(store: sqlite3.Connection) -> list:
    """(title, chosen) from the smallest to the largest map: at quantiles of the area covered."""
    maps = findings.count(store, "records", "has_map")
    lines = []
    for quantile in dataset_statistics.QUANTILES if maps else ():
        place = min(max(round(quantile * (maps - 1)) - COLUMNS // 2, 0), max(maps - COLUMNS, 0))
        where = f"FROM records WHERE has_map ORDER BY area, digest LIMIT {COLUMNS} OFFSET {place}"
        chosen = _query(store, where)
        words = {0: "smallest", 0.5: "median", 1: "largest"}
        title = words.get(quantile, f"{quantile:.0%} are smaller")
        area = chosen[len(chosen) // 2].area
        lines.append(((title, f"covers {area:.1%}"), chosen))
    return lines


def most_seen(store: sqlite3.Connection, where: str, count: int) -> list[Chosen]:
    """Records with the most participants; one a class as far as that goes."""
    query = f"""
        FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY label
                                           ORDER BY participants DESC, digest) AS place
              FROM records WHERE has_map AND {where})
        ORDER BY place, participants DESC, digest LIMIT {count}"""
    return _query(store, query)


def suspicious(store: sqlite3.Connection, near: list) -> list:
    """(title, chosen) of everything worth a look: faults that can be shown, then SUSPICIOUS."""
    lines = []
    faulty = "(file, record) IN (SELECT file, record FROM faults)"
    for words, condition in {"fault": faulty, **SUSPICIOUS}.items():
        total = findings.count(store, "records", condition)
        order = "file, record" if words == "fault" else "digest"
        where = f"FROM records WHERE {condition} ORDER BY {order} LIMIT {SHOWN}"
        _add(lines, words, total, _query(store, where))
    for pair in near[: SHOWN // 2]:
        both = _query(store, "FROM records WHERE rowid IN (?, ?)", pair.first, pair.second)
        title = ("nearly the same", "in two splits", f"{pair.bits} bits apart, {len(near):,} pairs")
        lines.append((title, both))
    return lines


def _add(lines, words, total, chosen):
    for start in range(0, len(chosen), COLUMNS):
        shown = chosen[start : start + COLUMNS]
        head = textwrap.wrap(words, 19) if not start else ("",)
        lines.append(((*head, f"{total:,} in all" if not start else ""), shown))
