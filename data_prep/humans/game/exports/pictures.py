"""The pictures that have maps, in class folders: what `build_tfrecords --input_dir` takes."""

import os
import shutil
from pathlib import Path

import sqlalchemy as sa

from data_prep.humans.game.exports.choosing import Choice, Left, painted


def write(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """A folder with `<class>/<file>`, linked to the originals where that is possible.

    Raises:
      ValueError: two pictures of a class have one file name; clicks find theirs by it.
    """
    placed: dict[Path, str] = {}
    for row, _ in painted(connection, choice, left):
        place = Path(path) / (row.wnid or row.label.replace("/", "_")) / os.path.basename(row.path)
        if place in placed:
            if placed[place] != row.path:
                raise ValueError(
                    f"{placed[place]!r} and {row.path!r} would both be {place.name!r} in one class "
                    "folder. Rename one of them."
                )
            continue
        placed[place] = row.path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(row.path, place)
        except OSError:  # another disk, or one without links
            shutil.copyfile(row.path, place)
    os.makedirs(path, exist_ok=True)
    return len(placed)
