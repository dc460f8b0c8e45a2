"""ILSVRC12's boxes as maps: from the CSV of process_bounding_boxes.py, or from the XML files.

    n00007846_64193.JPEG,0.0060,0.2620,0.7545,0.9940       a box a line: xmin ymin xmax ymax, 0...1

    Annotation/n01440764/n01440764_96.xml                  PASCAL VOC, boxes in pixels of <size>
    Annotations/CLS-LOC/{train/n01440764,val}/*.xml        Kaggle's layout

<size> is that of the picture people were shown, which is not always the file's: only fractions of
it mean anything. As in process_bounding_boxes.py they are clipped to the picture, and swapped back
where the minimum exceeds the maximum; boxes without extent are left out, and said so. All boxes of
an image count, whatever their <name>: many dogs have a name there where the WordNet id should be.
"""

import array
import os
import re
from xml.parsers import expat

import numpy as np
import tensorflow as tf
from absl import logging

from data_prep.maps import rasterise
from data_prep.readers import file_names, listing
from gala_tf.data.images import PILLOW_ERRORS, BadImageError, open_header, orientation, stored_size

MAX_XML_BYTES = 2**20  # of one image's; the largest have some 30 kB
_NAME_BYTES = 64
_WNID = re.compile(r"n\d{8}")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_BASES = {  # where annotations lie under the root that a user gives, by split
    "train": ("Annotation", "Annotations/CLS-LOC/train", "CLS-LOC/train", "train", ""),
    "validation": ("Annotations/CLS-LOC/val", "CLS-LOC/val", "val", "validation", ""),
}


class BoxCsv:
    """The CSV file, in memory: 80 bytes a box, 50 MB for all 615,299.

    ValueError: a line is no name and four ordered fractions.
    """

    def __init__(self, path: str):
        names, values = bytearray(), array.array("f")  # not lists: 600,000 lines
        with tf.io.gfile.GFile(path, "rb") as file:
            for number, line in enumerate(file, 1):
                with listing.one_row():
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace")
                    name, box = _parse_line(path, number, text)
                    names += name.ljust(_NAME_BYTES, b"\0")
                    values.extend(box)
        names = np.frombuffer(names, f"S{_NAME_BYTES}")
        order = np.argsort(names, kind="stable")
        self._names = names[order]
        self._boxes = np.array(values, np.float32).reshape(-1, 4)[order]

    def find(self, split: str, wnid: str, stem: str) -> list[list[float]] | None:
        """The boxes (xmin, ymin, xmax, ymax), as fractions, of an image by its stem; or None."""
        del split, wnid
        name = stem.encode()
        first = last = int(self._names.searchsorted(name))
        while last < len(self._names) and self._names[last] == name:
            last += 1
        # Four digits, as they were written, not the float32 nearest to them.
        return [[round(float(v), 4) for v in box] for box in self._boxes[first:last]] or None

    @property
    def described(self) -> str:
        return f"CSV, {len(self._boxes):,} boxes of {len(np.unique(self._names)):,} images"


class BoxTree:
    """A tree of XML files; lists a folder when it is first asked for an image of it.

    ValueError: no annotations where they are expected.
    """

    def __init__(self, root: str):
        self._root, self._bases, self._listed = root, {}, {}
        for split, bases in _BASES.items():
            for base in bases:
                folder = os.path.join(root, base)
                if tf.io.gfile.isdir(folder) and _holds_annotations(folder, split, base):
                    self._bases[split] = base
                    break
        if not self._bases:
            raise ValueError(
                f"--boxes={root!r} holds no annotations. Expected a CSV file, or a folder with "
                "Annotation/n.../*.xml or Annotations/CLS-LOC/{train/n...,val}/*.xml, unpacked."
            )

    def find(self, split: str, wnid: str, stem: str) -> str | None:
        """The image's XML file, relative to the root; None if it has none."""
        if split not in self._bases:
            return None
        base = self._bases[split]
        if split == "train" and (split, wnid) not in self._listed:
            self._listed.clear()  # train comes class by class: one folder's names are enough
        for folder in (wnid,) if split == "train" else (wnid, ""):
            if stem + ".xml" in self._names(split, folder):
                return os.path.join(base, folder, stem + ".xml")
        return None

    def _names(self, split, folder):
        if (split, folder) not in self._listed:
            path = os.path.join(self._root, self._bases[split], folder)
            there = file_names.listed(path) if tf.io.gfile.isdir(path) else ()
            self._listed[split, folder] = frozenset(there)
        return self._listed[split, folder]

    @property
    def described(self) -> str:
        return "XML of " + " and ".join(f"{split} ({b or '.'})" for split, b in self._bases.items())


def open_boxes(path: str) -> BoxCsv | BoxTree:
    """The boxes that --boxes names."""
    if tf.io.gfile.isdir(path):
        return BoxTree(path)
    if not tf.io.gfile.exists(path):
        raise ValueError(f"--boxes={path!r} does not exist. Give the CSV file or the XML's folder.")
    return BoxCsv(path)


def read_xml(path: str) -> list[list[float]]:
    """Boxes of a VOC annotation as fractions (xmin, ymin, xmax, ymax) of the picture shown.

    BadImageError: not readable, no annotation, or with a document type (which could define entities
    that expand without bound).
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            data = file.read(MAX_XML_BYTES + 1)
        if len(data) > MAX_XML_BYTES:
            raise ValueError(f"it has more than {MAX_XML_BYTES} bytes")
        found = _parse_xml(data)
        (width,), (height,) = found["width"], found["height"]
        corners = np.array([found[name] for name in _CORNERS], np.float64).T.reshape(
            -1, 4
        )  # [M, 4]
        sizes_fit = 0 < width < np.inf and 0 < height < np.inf  # false of NaN
        if not sizes_fit or not np.isfinite(corners).all():
            raise ValueError(f"the size is {width}x{height}, or a corner is no number")
    except (expat.ExpatError, ValueError, tf.errors.OpError) as error:
        raise BadImageError(
            f"Annotation {path!r} cannot be used: {error}. Expected one <size> with width and "
            "height, and xmin, ymin, xmax, ymax of every box. Unpack it again."
        ) from error
    return (corners / (width, height, width, height)).tolist()


def box_map(boxes: list[list[float]], image: bytes, name: str) -> np.ndarray | None:
    """How many boxes cover each pixel of an image.

    `boxes`: (xmin, ymin, xmax, ymax), fractions of the image as it is stored.

    Returns int64 [H, W] in the frame of the displayed image; every box covers a pixel at least.
    None if there is no box with an extent, or the image cannot be opened (decoding it will tell).
    """
    values = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, 1)
    low, high = np.minimum(values[:, :2], values[:, 2:]), np.maximum(values[:, :2], values[:, 2:])
    valid = (low < high).all(1)
    if not valid.all():
        logging.warning("%s: %d boxes without extent were left out.", name, (~valid).sum())
    if not valid.any():
        return None
    try:
        with open_header(image) as opened:
            size, turn = stored_size(opened), orientation(opened)
    except PILLOW_ERRORS:
        return None
    low = np.minimum(np.rint(low[valid] * size), np.array(size) - 1)
    high = np.maximum(np.rint(high[valid] * size), low + 1)
    pixels = np.concatenate([low, high], 1).astype(np.int64)
    return _turned(rasterise.rasterise_boxes(pixels, size[1], size[0]), turn)


def _turned(counts, turn):
    """As `images.load_upright` turns the image; boxes were drawn before anyone turned."""
    if turn in (5, 6, 7, 8):
        counts = counts.T
    rows = -1 if turn in (3, 4, 7, 8) else 1
    columns = -1 if turn in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(counts[::rows, ::columns])


def _holds_annotations(folder, split, base):
    there = file_names.listed(folder)
    by_class = any(_WNID.fullmatch(name) for name in there)
    flat = any(name.endswith(".xml") for name in there)
    return by_class if split == "train" else flat or (by_class and bool(base))


def _parse_line(path, number, line):
    parts = line.strip().split(",")
    try:
        xmin, ymin, xmax, ymax = box = [float(part) for part in parts[1:]]
        stem = os.path.splitext(parts[0])[0].encode("ascii")
        valid = 0 <= xmin <= xmax <= 1 and 0 <= ymin <= ymax <= 1  # false of NaN
    except ValueError:
        valid = False
    if not valid or not stem or len(stem) > _NAME_BYTES:
        raise ValueError(
            f"--boxes={path!r}, line {number}: expected name,xmin,ymin,xmax,ymax with fractions "
            f"0...1, as process_bounding_boxes.py writes them; got {line.strip()[:80]!r}."
        )
    return stem, box


def _parse_xml(data):
    """Tag -> its numbers, in order, of the size and the corners."""
    found = {name: [] for name in ("width", "height", *_CORNERS)}
    text = []
    parser = expat.ParserCreate()

    def refuse(*_):
        raise ValueError("it has a document type, which annotations have not")

    def end(tag):
        if tag in found:
            found[tag].append(float("".join(text)))
        text.clear()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda *_: text.clear()
    parser.CharacterDataHandler = text.append
    parser.EndElementHandler = end
    parser.Parse(data, True)
    if len({len(found[name]) for name in _CORNERS}) != 1:
        raise ValueError("its boxes have not all four corners")
    return found
