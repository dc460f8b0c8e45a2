"""What a listing leaves out and finds wrong: said at once, and kept for the end of the build.

Readers and sources call `leave_out` and `fault`; a build records what they say. Without a record
both act alone: a warning, an error.
"""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence

from absl import logging

SHOWN = 10  # names in a warning; a build writes the others into a file


class Lines:
    """Any number of lines, in a temporary file: a list of clicks may be wrong in each of them."""

    def __init__(self):
        self._count = 0
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")

    def append(self, line: str) -> None:
        self._file.seek(0, 2)
        self._file.write(json.dumps(line) + "\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        self._file.seek(0)
        return map(json.loads, self._file)


@dataclasses.dataclass
class Record:
    """What was said while a source was listed."""

    left_out: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # why -> names
    faults: Lines = dataclasses.field(default_factory=Lines)  # of a listing that goes on
    goes_on: bool = False  # whether faults are collected; else the first ends the listing


_records: list[Record] = []  # the innermost last


@contextlib.contextmanager
def recorded(goes_on: bool = False) -> Iterator[Record]:
    """Keeps what is said inside; with `goes_on`, faults end nothing."""
    record = Record(goes_on=goes_on)
    _records.append(record)
    try:
        yield record
    finally:
        _records.remove(record)


def leave_out(why: str, names: Sequence[str]) -> None:
    """Says that some of what was found goes into no record; nothing if there are no `names`.

    `why`: in words that follow a number, as "files are neither images nor maps".
    """
    if not names:
        return
    note(why, names)
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    logging.warning("%d %s; left out: %s", len(names), why, shown)


def note(why: str, names: Sequence[str]) -> None:
    """As `leave_out`, of what its source says in its own words."""
    if _records and names:
        _records[-1].left_out.setdefault(why, []).extend(names)


@contextlib.contextmanager
def one_row() -> Iterator[None]:
    """Around the reading of one row: where faults are collected, the next row follows."""
    try:
        yield
    except ValueError as error:
        if not (_records and _records[-1].goes_on):
            raise
        _records[-1].faults.append(str(error))


def fault(message: str) -> None:
    """An error of the raw material, a ValueError; returns only where faults are collected."""
    with one_row():
        raise ValueError(message)
