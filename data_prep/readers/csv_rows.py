"""CSV files: those of people, where a row that is none does not end the file; and ours."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf

from gala_tf.data.files import is_utf8


class BadRowError(ValueError):
    """A row that cannot be understood; the message names file and line."""


def rows(
    path: str, columns: Sequence[str], what: str = ""
) -> Iterator[tuple[int, dict[str, str] | BadRowError]]:
    """(line, column -> text) of a file, local or gs://; a bad row comes as an error, not raised.

    Args:
      columns: names that the first line must have, once each; it may have more.
      what: begins messages, as "Clicks ".

    ValueError: the first line is no header in UTF-8, or lacks a column.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        start = file.read(1 << 16)
        if b"\r" in start and b"\n" not in start:  # TensorFlow would drop these ends of lines
            raise ValueError(
                f"{what}{path!r}: its lines end as on old Macs, in a carriage return alone. Save "
                "it with the line ends of Unix or Windows."
            )
        file.seek(0)
        # Bytes that are no UTF-8 spoil their row, not those behind it.
        reader = csv.reader((line.decode("utf-8", "surrogateescape") for line in file), strict=True)
        header = _header(reader, path, columns, what)
        while True:
            line = reader.line_num + 1
            where = f"{what}{path!r}, line {line}"
            try:
                cells = next(reader, None)
            except csv.Error as error:
                cells = BadRowError(
                    f"{where}: not CSV: {error}. Quote fields that hold commas or quotes, and "
                    "double the quotes in them."
                )
            if cells is None:
                return
            if cells:
                yield line, cells if isinstance(cells, BadRowError) else _row(header, cells, where)


def write(path: str, head: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Writes a file, its folder if need be, row by row; local or gs://."""
    tf.io.gfile.makedirs(os.path.dirname(path) or ".")
    with tf.io.gfile.GFile(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _header(reader, path, columns, what):
    try:
        header = [name.strip().lstrip("\ufeff") for name in next(reader, [])]
    except csv.Error as error:
        raise ValueError(f"{what}{path!r}, line 1: not CSV: {error}. Save it anew.") from error
    if not all(map(is_utf8, header)):
        raise ValueError(f"{what}{path!r}, line 1: not UTF-8 text. Save the file as UTF-8.")
    missing = [name for name in columns if header.count(name) != 1]
    if missing and (other := _other_kind(",".join(header))):
        raise ValueError(f"{what}{path!r}, line 1: {other}.")
    if missing:
        raise ValueError(
            f"{what}{path!r}, line 1: columns {', '.join(missing)} must occur once each, it has "
            f"{header!r:.300}. Add a header, or rename yours."
        )
    return header


def _other_kind(text):
    """Why a first line is no header, and what to do, where that can be told."""
    if text.startswith("PK\3\4"):
        return "it is a spreadsheet or another zip file. Save it as CSV"
    if "\0" in text:
        return "not UTF-8 text. Save the file as UTF-8"
    if text.startswith("sep="):
        return "it names the separator, where the columns' names belong. Remove this line"
    for sign, name in {";": "semicolons", "\t": "tabs", "|": "bars"}.items():
        if sign in text:
            return f"{name} separate its columns, expected commas. Save it with commas"
    return ""


def _row(header, cells, where):
    if not all(map(is_utf8, cells)):
        return BadRowError(f"{where}: not UTF-8 text. Save the file as UTF-8.")
    if len(cells) != len(header):
        return BadRowError(
            f"{where}: {len(cells)} fields, the first line has {len(header)}. A field that holds "
            "commas must be quoted."
        )
    return dict(zip(header, cells, strict=True))
