"""What a merge could not join for certain: a CSV table, and a contact sheet of the doubtful pairs.

The sheet lies beside the table, with the ending .png: each row the picture of a map record, then
the image nearest to it, then the next, and how many bits of their hashes differ.
"""

import io
import os
from collections.abc import Iterable
from typing import NamedTuple

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from data_prep.merging import perceptual_hash
from data_prep.readers import csv_rows
from gala_tf.data import files, places

MAX_PAIRS = 60  # on the sheet
_TILE, _TEXT, _ACROSS = 128, 30, 3  # pixels a picture, pixels under it, pairs side by side


class Row(NamedTuple):
    """One map record that was not joined by a sure match. Unknown values are ""."""

    map_id: str
    best_image_id: str
    distance: int | str
    second_image_id: str
    second_distance: int | str
    correlation: float | str
    verdict: str
    joined: str  # "yes" or "no"


HEADS = (",".join(Row._fields),)  # by which an older table is known


class Pictures(NamedTuple):
    """A row of the table with its pictures: as `perceptual_hash.open_grey` gives them, or None."""

    row: Row
    of_map: Image.Image | None
    best: Image.Image | None
    second: Image.Image | None


def write_table(path: str, rows: Iterable[Row]) -> None:
    """Writes the CSV file; local or gs://."""
    cells = ([f"{v:.4f}" if isinstance(v, float) else v for v in row] for row in rows)
    csv_rows.write(path, Row._fields, cells)


def check_output(path: str) -> None:
    """ValueError if something else than an older report has the name of the table or the sheet."""
    if path:
        places.check_file(path, "match_report", HEADS)
        places.check_file(sheet_path(path), "match_report", (places.PNG_SIGNATURE,))


def signed() -> PngInfo:
    """What tells the sheet from other people's pictures."""
    info = PngInfo()
    info.add_text(*places.PNG_SIGNATURE.split("\0"))
    return info


def sheet_path(path: str) -> str:
    """Where the picture of doubtful pairs lies: beside the report."""
    return f"{os.path.splitext(path)[0]}.png"


def write_sheet(path: str, pairs: list[Pictures], frame: str) -> None:
    """Draws the first MAX_PAIRS as a PNG file.

    `frame`: of the images that is shown, as the maps' pictures are of it.
    """
    pairs = pairs[:MAX_PAIRS]
    down = -(-len(pairs) // _ACROSS)
    cell_width, cell_height = 3 * _TILE + 12, _TILE + _TEXT
    sheet = Image.new("L", (_ACROSS * cell_width, down * cell_height), 255)
    draw = ImageDraw.Draw(sheet)
    for number, (row, *pictures) in enumerate(pairs):
        left = number % _ACROSS * cell_width
        top = number // _ACROSS * cell_height
        captions = (
            (row.verdict, row.map_id),
            (f"{row.distance} bits", row.best_image_id),
            (f"{row.second_distance} bits", row.second_image_id),
        )
        for place, (picture, lines) in enumerate(zip(pictures, captions, strict=True)):
            x = left + place * (_TILE + 2)
            if picture is not None:
                box = perceptual_hash.frame_box(frame if place else "squash", *picture.size[::-1])
                sheet.paste(picture.resize((_TILE, _TILE), box=box), (x, top))
            for line, text in enumerate(lines):
                # Pillow's own font has no more than Latin letters.
                plain = str(text)[-20:].encode("ascii", "replace").decode()
                draw.text((x + 1, top + _TILE + 1 + 13 * line), plain, fill=0)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", pnginfo=signed())
    files.write(sheet_path(path), buffer.getvalue())
