"""The images of an experiment, as a CSV file lists them, and the square that people see of them.

    image,label,side,role,map_a,map_b
    zebra_1.jpg,zebra,target,,,
    couch_9.jpg,couch,distractor,training,,

`side` is target or distractor; `role` is empty, or `training` for images that come in the training
alone; `map_a` and `map_b` name the image's maps in the two sources, where they have other names.
"""

import collections
import csv
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.humans.psychophysics.levels import FRAME
from data_prep.maps import geometry
from gala_tf.data.csv_head import column_names
from gala_tf.data.images import decode_image
from gala_tf.data.schema import Example

SIDES = ("target", "distractor")
ROLES = ("", "training")
COLUMNS = ("image", "label", "side")
OPTIONAL = ("role", "map_a", "map_b")


class Picture(NamedTuple):
    """One line of the list."""

    name: str  # path below the folder of images
    label: str
    side: str
    training: bool
    maps: tuple[str, str]  # what it is called in the two map sources

    @property
    def folder(self) -> str:
        """Its name as a folder: letters, digits and dashes, unique in a list."""
        return re.sub(r"[^A-Za-z0-9-]+", "_", os.path.splitext(self.name)[0])


def read_list(path: Path, per_class: int) -> list[Picture]:
    """The list, checked; in its order, which lists of trials follow.

    Args:
      per_class: so many images each label must have, training apart; 0: any number.

    ValueError: a column, a value, an image that occurs twice, too few or too many of a class.
    """
    if not path.is_file():
        raise ValueError(f"--image_list={str(path)!r}: no such file. Expected a CSV: {COLUMNS}...")
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        rows.fieldnames = column_names(rows.fieldnames or (), [*COLUMNS, *OPTIONAL])
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: it lacks the columns {missing}; found {rows.fieldnames}.")
        pictures = [_picture(f"{path}, line {rows.line_num}", row) for row in rows]
    _check_unique(path, pictures)
    _check_classes(path, [one for one in pictures if not one.training], per_class)
    return pictures


def _picture(where, row):
    role = (row.get("role") or "").strip()
    if row["side"] not in SIDES:
        raise ValueError(f"{where}: side is {row['side']!r}, expected {' or '.join(SIDES)}.")
    if role not in ROLES:
        raise ValueError(f"{where}: role is {role!r}, expected training, or nothing.")
    if not row["image"] or not row["label"]:
        raise ValueError(f"{where}: image and label must not be empty.")
    maps = tuple((row.get(f"map_{which}") or row["image"]).strip() for which in "ab")
    return Picture(row["image"], row["label"], row["side"], role == "training", maps)


def _check_unique(path, pictures):
    for name, count in collections.Counter(one.folder for one in pictures).items():
        if count > 1:
            same = [one.name for one in pictures if one.folder == name]
            raise ValueError(
                f"{path}: {same} would share one folder of stimuli, {name!r}. Each image may occur "
                "once: people see an image once. Rename files that differ in signs alone."
            )


def _check_classes(path, pictures, per_class):
    counts = collections.Counter(one.label for one in pictures)
    sides = collections.defaultdict(set)
    for one in pictures:
        sides[one.label].add(one.side)
    both = [label for label, found in sides.items() if len(found) > 1]
    if both:
        raise ValueError(f"{path}: {both} are targets and distractors; a label has one side.")
    if {one.side for one in pictures} != set(SIDES):
        raise ValueError(f"{path}: expected targets and distractors, each at least once.")
    wrong = [f"{label}: {n}" for label, n in sorted(counts.items()) if per_class not in (0, n)]
    if wrong:
        raise ValueError(
            f"{path}: expected {per_class} images of each label, got {', '.join(wrong)}. Add or "
            "remove images, or say --images_per_class (0: any number)."
        )


def square(data: bytes, name: str, colour: str) -> np.ndarray:
    """Short side to 256, central square: uint8 [256, 256, 3], or [256, 256, 1] of `gray`.

    gala_tf.data.images.BadImageError: not a whole image file.
    """
    image = decode_image(data, name).convert("RGB" if colour == "rgb" else "L")
    _, image = geometry.square_example(Example(name, b"", 0), image, FRAME)
    return np.asarray(image).reshape(FRAME, FRAME, -1)


def to_image(pixels: np.ndarray) -> Image.Image:
    """uint8 [H, W, 1 or 3] as Pillow has it."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
