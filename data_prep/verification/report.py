"""What `data_prep.verify` writes and prints: faults.csv, contact sheets, statistics, a table."""

import io
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.readers import csv_rows
from data_prep.readers.imagenet import imagenet_classes
from data_prep.verification import (
    contact_sheet,
    dataset_statistics,
    findings,
    sheet_choice,
    statistics_page,
)
from data_prep.verification.findings import Fault, Near
from gala_tf.data import dataset_info, files

FAULTS = "faults.csv"
FILES = (
    FAULTS,
    "near_duplicates.csv",
    "statistics.json",
    "statistics.png",
    "statistics.md",
    "sheet_by_map_size.png",
    "sheet_suspicious.png",
    "exemplars.png",
    "sheet_by_class-01.png",
)
PRINTED = 20  # faults, and warnings, on the terminal; all of them are in the files
EXEMPLARS = (3, 6)  # rows, columns of Fig. 2A's picture
_SHEET = re.compile(r"sheet_(by_class-\d+|by_map_size|suspicious)\.png")
ANIMALS = 398  # of the 1000 classes of ILSVRC12, sorted by WordNet id, the first are animals


class Report(NamedTuple):
    """What `verify` found."""

    faults: int  # number of faults; 0: the data set is as it should be
    first: list[Fault]  # the first PRINTED of them
    warnings: list[str]  # what is no fault, but should be looked at
    summary: str  # a table of what the records hold
    output_dir: str  # where the files are


def write(
    data_dir: str,
    output_dir: str,
    info: dataset_info.DatasetInfo,
    store: sqlite3.Connection,
    mean_maps: Mapping[str, np.ndarray],
    near: list[Near],
    class_pages: int,
) -> Report:
    """Writes all files; returns what is to be printed.

    Args:
      mean_maps: split -> [G, G].
      near: pairs of pictures nearly the same, in two splits.
    """
    numbers = dataset_statistics.collect(store, info, mean_maps)
    summary = format_table(numbers)
    write_faults(output_dir, findings.all_faults(store))
    _write_near(output_dir, store, near)
    if class_pages:
        _draw(data_dir, output_dir, info, store, near, class_pages)
        for name, content in (
            ("statistics.json", json.dumps(numbers, indent=1, ensure_ascii=False) + "\n"),
            ("statistics.png", statistics_page.figure(numbers)),
            ("statistics.md", statistics_page.page(numbers, summary)),
        ):
            files.write(os.path.join(output_dir, name), content)
    first = [fault for fault, _ in zip(findings.all_faults(store), range(PRINTED), strict=False)]
    warnings = list(_warnings(store, numbers, near))
    return Report(findings.count(store, "faults"), first, warnings, summary, output_dir)


def _draw(data_dir, output_dir, info, store, near, class_pages):
    # Those of a run before: there may have been more of them.
    for path in files.matching("sheet_*.png", output_dir):
        if _SHEET.fullmatch(os.path.basename(path)):
            tf.io.gfile.remove(path)
    for name, page in _sheets(data_dir, info, store, near, class_pages):
        buffer = io.BytesIO()
        page.save(buffer, "PNG")
        files.write(os.path.join(output_dir, name), buffer.getvalue())


def write_faults(output_dir: str, faults: Iterable[Fault]) -> None:
    """`faults.csv`: file, record (empty: the file as a whole), reason."""
    csv_rows.write(os.path.join(output_dir, FAULTS), Fault._fields, faults)


def _write_near(output_dir, store, near):
    """`near_duplicates.csv`: pairs in two splits, and the bits of 255 in which codes differ."""
    head = ("bits", "file", "record", "image_id", "other_file", "other_record", "other_image_id")
    query = "SELECT file, record, image_id FROM records WHERE rowid = ?"

    def row(rowid):
        return store.execute(query, (rowid,)).fetchone()

    rows = ((pair.bits, *row(pair.first), *row(pair.second)) for pair in near)
    csv_rows.write(os.path.join(output_dir, "near_duplicates.csv"), head, rows)


def _sheets(data_dir, info, store, near, class_pages) -> Iterator[tuple]:
    """(file name, Pillow image) of every sheet; one is in memory at a time."""

    def draw(title, subtitle, choice):
        lines = [
            contact_sheet.Line(
                line_title, [sheet_choice.read_triplet(data_dir, info, chosen) for chosen in row]
            )
            for line_title, row in choice
        ]
        return contact_sheet.draw(f"{info.name}: {title}", subtitle, lines)

    explained = "image, its map on the scale of its own largest count, both together"
    for number, choice in enumerate(sheet_choice.by_class(store, info, class_pages), 1):
        yield (
            f"sheet_by_class-{number:02d}.png",
            draw(f"by class, page {number}", explained, choice),
        )
    choice = sheet_choice.by_area(store)
    yield "sheet_by_map_size.png", draw("by size of the map", explained, choice)
    choice = sheet_choice.suspicious(store, near)
    yield "sheet_suspicious.png", draw("everything suspicious", explained, choice)
    yield "exemplars.png", _exemplars(data_dir, info, store)


def _exemplars(data_dir, info, store):
    """Images as opaque as they were clicked (Fig. 2A), of the images that most people saw."""
    rows, columns = EXEMPLARS
    kinds = {"images that most participants saw": "1"}
    if info.class_names in (imagenet_classes.class_names(), imagenet_classes.wnids()):
        kinds = {"animals": f"label < {ANIMALS}", "non-animals": f"label >= {ANIMALS}"}
    groups = []
    for words, where in kinds.items():
        chosen = sheet_choice.most_seen(store, where, rows * columns // len(kinds))
        groups.append((words, [sheet_choice.read_triplet(data_dir, info, one) for one in chosen]))
    return contact_sheet.draw_revealed(f"{info.name}: exemplars, as in Fig. 2A", groups, columns)


def _warnings(store, numbers, near):
    """What is no fault, but should be looked at."""
    for comparison in dataset_statistics.comparisons(store):
        if comparison.warning:
            yield comparison.warning
    for words, condition in sheet_choice.SUSPICIOUS.items():
        found = findings.count(store, "records", condition)
        if found:
            yield f"{found:,} records: {words} (sheet_suspicious.png)"
    query = "SELECT COUNT(*) - COUNT(DISTINCT split || hex(digest)) FROM records"
    (repeated,) = store.execute(query).fetchone()
    if repeated:
        yield f"{repeated:,} records repeat a picture of their own split"
    if near:
        yield (
            f"{len(near):,} pairs of pictures are nearly the same, in two splits "
            "(near_duplicates.csv)"
        )
    for name, split in numbers["splits"].items():
        missing = split["missing_classes"]
        if missing:
            shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            yield f"split {name!r} has no image of {len(missing):,} classes: {shown}"


def format_table(numbers: dict) -> str:
    """What the records hold, a line a split."""
    head = ("split", "images", "with map", "empty", "maps/image", "clicks/map", "classes", "area")
    lines = [("{:<11}" + "{:>11}" * 7).format(*head)]
    for name, split in [*numbers["splits"].items(), ("all", numbers["all"])]:
        per_image, per_map = split["maps_per_image"], split["clicks_per_map"]
        area = split["area"].get("50%")
        cells = (
            f"{split['images']:,}",
            f"{split['with_clickmap']:,}",
            f"{split['empty_maps']:,}",
            "-" if per_image is None else f"{per_image:.2f}",
            "-" if per_map is None else f"{per_map:.1f}",
            f"{split['classes']:,}",
            "-" if area is None else f"{area:.1%}",
        )
        lines.append(f"{name:<11}" + "".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


def format_report(report: Report) -> str:
    """The faults or the table, and where to look."""
    lines = []
    for fault in report.first:
        place = fault.file if fault.record is None else f"{fault.file}, record {fault.record}"
        lines.append(f"{place}: {fault.reason}")
    if report.faults > len(report.first):
        lines.append(f"... and {report.faults - len(report.first):,} more")
    if report.faults:
        path = os.path.join(report.output_dir, "faults.csv")
        lines.append(f"{_faults(report.faults)}; all of them: {path}")
    if report.summary:
        lines += [report.summary, *(f"look: {warning}" for warning in report.warnings)]
        lines.append(f"sheets and statistics: {report.output_dir}")
    lines.append(f"{_faults(report.faults)}: do not train on it" if report.faults else "no faults")
    return "\n".join(lines)


def _faults(number):
    return f"{number:,} fault{'s' * (number != 1)}"
