"""One record of the ClickMe release, fetched and checked; `clickme_release` has the format."""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.maps import count_maps, rasterise
from data_prep.readers.archives import npz_files, zip_files
from data_prep.readers.examples.example_features import Fields
from gala_tf.data import tfrecord_files
from gala_tf.data.images import BadImageError

SIDES = (256, 224)
MAX_NPZ_BYTES = 2 * 2**20  # the arrays take 1,048,576


class Place(NamedTuple):
    """Where a record lies: what a worker needs to fetch it."""

    layout: str
    path: str
    number: int
    span: tuple  # of tfrecord_files.Span, or of zip_files.Member; () for a file of its own


class Record(NamedTuple):
    """A record as stored, lengths and types checked."""

    image: np.ndarray  # float32 [side, side, 3]
    heatmap: np.ndarray | None  # float32 [side, side]
    clicks: int | None
    label: int
    box: tuple[int, ...]  # row0, col0, row1, col1; () if there is none
    file_path: str
    has_map_fields: bool  # False for records of image and label alone


def name_of(place: Place) -> str:
    """File and record, for messages."""
    if place.layout == "folders":
        return f"{os.path.join(place.path, f'{place.number}.npz')!r}"
    return f"{place.path!r}, record {place.number}"


def fetch(place: Place) -> Record:
    """Reads one record; BadImageError: damaged, or of other lengths or types than the release's."""
    name = name_of(place)
    if place.layout == "zips":
        member = zip_files.Member(*place.span)
        return _from_npz(zip_files.read(place.path, member, MAX_NPZ_BYTES), name)
    if place.layout == "folders":
        return _from_npz(_read_file(os.path.join(place.path, f"{place.number}.npz")), name)
    span = tfrecord_files.Span(*place.span)
    return _from_example(tfrecord_files.read(place.path, span, place.number), name)


def _read_file(path):
    size = tf.io.gfile.stat(path).length
    if size > MAX_NPZ_BYTES:
        raise BadImageError(
            f"{path!r} has {size} bytes, expected about 1,050,000. It does not belong there."
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read(size)


def _from_example(data, name):
    fields = Fields(data, name)
    image, heatmap = fields.bytes("image"), fields.bytes("heatmap", b"")
    side = next((side for side in SIDES if len(image) == 12 * side * side), None)
    if side is None:
        jpeg = image[:2] == b"\xff\xd8"
        hint = "; it is a JPEG file: --source=clickme_harmonization" if jpeg else ""
        raise BadImageError(
            f"{name}: the image has {len(image)} bytes{hint}. Expected "
            f"{' or '.join(f'{12 * s * s} ({s}x{s}x3 float32)' for s in SIDES)}."
        )
    if len(heatmap) not in (0, 4 * side * side):
        raise BadImageError(
            f"{name}: the heatmap has {len(heatmap)} bytes, expected {4 * side * side} "
            f"({side}x{side} float32, as its image), or none."
        )
    counts = fields.integers("click_count")
    return Record(
        image=np.frombuffer(image, "<f4").reshape(side, side, 3),
        heatmap=np.frombuffer(heatmap, "<f4").reshape(side, side) if heatmap else None,
        clicks=counts[0] if counts else None,
        label=fields.integer("label"),
        box=fields.integers("bbox"),
        file_path=fields.bytes("file_path", b"").decode("utf-8", "replace"),
        has_map_fields=bool(heatmap or counts),
    )


def _from_npz(data, name):
    pixels = SIDES[0] ** 2
    limits = {"image": 12 * pixels, "heatmap": 4 * pixels, "clicks": 8, "label": 8}
    arrays = npz_files.read_arrays(data, limits, name)
    image, heatmap = arrays["image"], arrays["heatmap"]
    kinds = [(array.dtype.str, array.shape) for array in (image, heatmap)]
    if kinds not in [[("<f4", (s, s, 3)), ("<f4", (s, s))] for s in SIDES]:
        raise BadImageError(
            f"{name}: image and heatmap are {kinds[0]} and {kinds[1]} (type, shape), expected "
            "float32 (256, 256, 3) and (256, 256). Is it of another data set?"
        )
    for key in ("clicks", "label"):
        if arrays[key].size != 1 or arrays[key].dtype.kind not in "iu":
            raise BadImageError(f"{name}: {key!r} must be one integer, got {arrays[key]!r}.")
    return Record(
        image=np.ascontiguousarray(image),
        heatmap=heatmap,
        clicks=int(arrays["clicks"].item()),
        label=int(arrays["label"].item()),
        box=(),
        file_path="",
        has_map_fields=True,
    )


def count_map(record: Record, record_maps: str, name: str) -> np.ndarray | None:
    """The count map of a record, integers [side, side]; None for no map (see `clickme_release`).

    `record_maps`: "heatmaps", or "boxes": 1 inside the record's bbox.

    BadImageError: values not finite or negative, a negative count, a bbox outside the image or
    apart from the heatmap. ValueError: a release without boxes, read for them.
    """
    if record.clicks is not None and record.clicks < 0:
        raise BadImageError(f"{name}: click_count is {record.clicks}, expected 0 or more.")
    counts = None
    if record.heatmap is not None:
        try:
            counts = count_maps.as_counts(record.heatmap[None], name)[0]
        except ValueError as error:
            raise BadImageError(str(error)) from error
        if record.clicks == 0 and not counts.any():
            counts = None
    box = _check_box(record, counts, name)
    if record_maps == "heatmaps":
        return counts
    if record.has_map_fields and not record.box:
        raise ValueError(
            f"{name} has a heatmap, but no bbox: --record_maps=boxes has nothing to read in this "
            "release. Use --record_maps=heatmaps."
        )
    if box is None:
        return None
    (row0, col0, row1, col1), side = box, len(record.image)
    return rasterise.rasterise_boxes([(col0, row0, col1, row1)], side, side)


def _check_box(record, counts, name):
    """row0, col0, row1, col1 with at least a pixel in it; None for none or the default of zeros."""
    if not any(record.box):
        return None
    side = len(record.image)
    if len(record.box) == 4:
        row0, col0, row1, col1 = record.box
        if 0 <= row0 <= row1 <= side and 0 <= col0 <= col1 <= side:
            # One more, in case that some writer meant the maxima to be inclusive.
            inside = slice(row0, row1 + 1), slice(col0, col1 + 1)
            if counts is None or not counts.any() or counts[inside].any():
                return row0, col0, max(row1, row0 + 1), max(col1, col0 + 1)
            raise BadImageError(
                f"{name}: its bbox {list(record.box)} (row0, col0, row1, col1) touches no mark of "
                "its heatmap. One of them is another image's: leave it out."
            )
    raise BadImageError(
        f"{name}: bbox {list(record.box)}, expected row0 <= row1 and col0 <= col1 in 0...{side}, "
        "as (row0, col0, row1, col1). Leave it out."
    )
