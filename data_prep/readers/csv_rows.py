"""CSV files: those of people, where a row that is none does not end the file; and ours."""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence

from gala_tf.data import files
from gala_tf.data.csv_head import column_names
from gala_tf.data.files import is_utf8


class BadRowError(ValueError):
    """A row that cannot be understood; the message names file and line."""


def rows(
    path: str, columns: Sequence[str], what: str = "", optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str] | BadRowError]]:
    """(line, column -> text) of a file, local or gs://; a bad row comes as an error, not raised.

    Args:
      columns: names that the first line must have, once each, in capitals or not.
      what: begins messages, as "Clicks ".
      optional: names that it may have; others are kept as they stand.

    ValueError: the first line is no header in UTF-8, or lacks a column.
    """
    with files.open_binary(path) as file:
        start = file.read(1 << 16)
        if b"\r" in start and b"\n" not in start:  # it would be one line
            raise ValueError(
                f"{what}{path!r}: its lines end as on old Macs, in a carriage return alone. Save "
                "it with the line ends of Unix or Windows."
            )
        # Behind a byte-order mark, where a quoted name would not begin with its quote.
        file.seek(len(codecs.BOM_UTF8) * start.startswith(codecs.BOM_UTF8))
        # Bytes that are no UTF-8 spoil their row, not those behind it.
        reader = csv.reader((line.decode("utf-8", "surrogateescape") for line in file), strict=True)
        header = _header(reader, path, columns, optional, what)
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
    with files.open_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _header(reader, path, columns, optional, what):
    try:
        header = column_names(next(reader, []), [*columns, *optional])
    except csv.Error as error:
        raise ValueError(f"{what}{path!r}, line 1: not CSV: {error}. Save it anew.") from error
    if not all(map(is_utf8, header)):
        raise ValueError(f"{what}{path!r}, line 1: not UTF-8 text. Save the file as UTF-8.")
    small = [name.lower() for name in header]
    doubtful = [name for name in optional if header.count(name) != 1 and name.lower() in small]
    missing = [name for name in columns if header.count(name) != 1] + doubtful
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
