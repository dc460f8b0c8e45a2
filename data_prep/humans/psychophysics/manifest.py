"""The manifest of a set of stimuli: a line each, with checksums of what went in and came out."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

MANIFEST = "manifest.csv"


class Row(NamedTuple):
    """A line of the manifest."""

    source: str
    image: str
    label: str
    side: str
    training: int
    level: str
    path: str
    pixels_at_100: int
    pixels_shown: int
    share_of_image: float
    shift_y: int
    shift_x: int
    seed: int
    capture: float
    outline: float
    holes: float
    sha256: str
    image_sha256: str
    map_sha256: str
    version: str


def digest(*parts: str | bytes) -> str:
    """SHA-256 of all parts, one after the other."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
    return whole.hexdigest()


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """The manifest's lines as they stand, numbers where numbers are.

    ValueError: there is none, or it lacks columns.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"--stimuli={str(folder)!r} holds no {MANIFEST}: it is written when all stimuli are "
            "made. Run `python -m data_prep.psychophysics stimuli` to its end."
        )
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != Row._fields:
            raise ValueError(
                f"{path}: expected the columns {Row._fields}, got {reader.fieldnames}."
            )
        kinds = Row.__annotations__
        return [{name: kinds[name](value) for name, value in row.items()} for row in reader]


def check_unchanged(folder: Path, rows: Iterable[dict[str, Any]]) -> None:
    """ValueError naming the first stimulus that is not the manifest's."""
    for row in rows:
        path = folder / row["path"]
        if not path.is_file() or digest(path.read_bytes()) != row["sha256"]:
            what = "has changed since" if path.is_file() else "is missing from"
            raise ValueError(
                f"{path} {what} {folder / MANIFEST}. Nobody knows what people would see: run "
                "`python -m data_prep.psychophysics stimuli` again, under a new name of the study."
            )
