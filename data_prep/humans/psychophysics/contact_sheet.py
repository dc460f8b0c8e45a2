"""A sheet of the stimuli to look at, as in Fig. 2: an image a pair of lines, a level a column."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.manifest import Row

CELL, HEAD, LEFT = 112, 18, 150  # px
MOST_IMAGES = 24  # of a sheet; they are taken evenly from the list


def draw(folder: Path, rows: Sequence[Row]) -> None:
    """Writes contact_sheet.png."""
    images = list(dict.fromkeys(row.image for row in rows))
    images = images[:: max(1, -(-len(images) // MOST_IMAGES))]
    sources = list(dict.fromkeys(row.source for row in rows))
    path_of = {(row.image, row.source, row.level): row.path for row in rows}
    label_of = {row.image: f"{row.label}\n({row.side})" for row in rows}
    lines = [(image, source) for image in images for source in sources]
    sheet = Image.new("RGB", (LEFT + CELL * len(LEVEL_NAMES), HEAD + CELL * len(lines)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, level in enumerate(LEVEL_NAMES):
        pen.text((LEFT + column * CELL + 4, 3), f"{level} %".replace("full %", "full"), "black")
    for line, (image, source) in enumerate(lines):
        top = HEAD + line * CELL
        pen.text((4, top + 4), f"{Path(image).stem[-22:]}\n{label_of[image]}\n\n{source}", "black")
        for column, level in enumerate(LEVEL_NAMES):
            with Image.open(folder / path_of[image, source, level]) as stimulus:
                small = stimulus.convert("RGB").resize((CELL - 4, CELL - 4))
            sheet.paste(small, (LEFT + column * CELL, top))
    sheet.save(folder / "contact_sheet.png")
