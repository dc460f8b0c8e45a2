"""Files that nobody meets half written, tables, and JSON that any reader takes."""

import contextlib
import csv
import json
import math
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A name to write a file or a folder under, which is renamed to `path` at the end.

    Whatever fails on the way leaves `path` as it was, and nothing beside it.
    """
    path = Path(path)
    # A name of its own: threads and processes may write the same file at once.
    beside = path.with_name(f"{path.name}.{threading.get_native_id()}.writing")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside) if beside.is_dir() else beside.unlink()
        raise


def write(path: str | Path, content: bytes | str) -> None:
    """Writes a whole file; text as UTF-8."""
    with whole(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> int:
    """Writes a table row by row, as they come; how many."""
    count = 0
    with whole(path) as beside, open(beside, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def plain(cell: Any) -> Any:
    """A cell for what strangers typed: a spreadsheet takes it for text, never for a formula.

    What begins like a formula gets an apostrophe in front, as OWASP advises; other cells stay.
    """
    is_formula = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if is_formula else cell


def to_json(value: Any) -> str:
    """For people and programs: indented, and null for numbers that JSON does not know."""
    return json.dumps(_without_nan(value), indent=1, allow_nan=False) + "\n"


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
