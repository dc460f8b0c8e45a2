"""tf.train.Examples that others wrote: one short feature, all features by name, boxes.

Published records differ in which features they have, and leave some out.
https://protobuf.dev/programming-guides/encoding,
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto
"""

from typing import BinaryIO

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from gala_tf.data.images import BadImageError
from gala_tf.data.tfrecord_files import Span

WINDOW = 1024  # bytes read at a time; holds all features but the image
LONGEST = 64 * 1024  # of a value
_HEAD = 128  # of an entry: lengths and a name; longer names are not the one sought
_FIELD_1, _FIELD_2 = 0x0A, 0x12  # tags: field number, "a length and that many bytes follow"
EDGES = ("xmin", "ymin", "xmax", "ymax")
DIGITS = 4  # that they had as text, before they became float32


def bytes_feature(file: BinaryIO, span: Span, name: str) -> bytes | None:
    """The first value of a bytes feature, without reading the image beside it.

    Listing a million images by their names must not read the images. An Example is, as a protocol
    buffer, a list of entries in any order: the length of the entry, the feature's name, its value.
    So entries can be skipped by their length. The record's checksum would need all of it and is not
    looked at: who reads the record checks it.

    Args:
      file: open for reading; its position changes.
      span: of a record that holds a tf.train.Example.

    Returns None if there is no such feature, it has no value, or the bytes are no Example.
    """
    try:
        return _search(_Window(file, span.offset + span.length), span.offset, name.encode())
    except IndexError:  # it ended where more should have come
        return None


class _Window:
    """A file by absolute position up to `end`; reads WINDOW bytes ahead."""

    def __init__(self, file, end):
        self._file, self.end = file, end
        self._start, self._data = 0, b""

    def at(self, position, count):
        """`count` bytes, fewer at the end."""
        count = max(0, min(count, self.end - position))
        if not self._start <= position <= position + count <= self._start + len(self._data):
            self._file.seek(position)
            ahead = min(max(count, WINDOW), self.end - position)
            self._start, self._data = position, self._file.read(ahead) if count else b""
        return self._data[position - self._start : position - self._start + count]


def _search(window, position, name):
    size, position = _length(window.at(position, _HEAD), 0, _FIELD_1, position)  # Features
    end = min(window.end, position + size)
    while position < end:
        head = window.at(position, _HEAD)
        size, entry = _length(head, 0, _FIELD_1, position)
        key_size, key = _length(head, entry - position, _FIELD_1, position)
        if key_size == len(name) and window.at(key, key_size) == name:
            value = window.at(key + key_size, min(entry + size - key - key_size, LONGEST))
            return _first_bytes(value)
        position = entry + size
    return None


def _first_bytes(value):
    """Of an entry's value: Feature, in it BytesList, in it the first bytes."""
    position = 0
    for tag in (_FIELD_2, _FIELD_1, _FIELD_1):
        size, position = _length(value, position, tag, 0)
    return value[position : position + size] if position + size <= len(value) else None


def _length(data, index, tag, base):
    """The length at data[index] behind `tag`, and the position behind it; data[0] is at `base`."""
    if data[index] != tag:
        raise IndexError("another tag")
    size = shift = 0
    while True:
        index += 1
        size |= (data[index] & 0x7F) << shift
        if data[index] < 0x80:
            return size, base + index + 1
        shift += 7


class Fields:
    """A serialised tf.train.Example: its features by name and type; errors name file and record.

    TensorFlow's own parser wants one fixed schema, and its errors name neither.

    BadImageError: `data` is no such message.
    """

    def __init__(self, data: bytes, name: str):
        self._name = name
        try:
            self._features = tf.train.Example.FromString(data).features.feature
        except DecodeError as error:
            raise BadImageError(
                f"{name}: its {len(data)} bytes are no tf.train.Example ({error}). Is it another "
                "kind of file? Else fetch it again."
            ) from error

    def bytes(self, key: str, default: bytes | None = None) -> bytes:
        """One string; `default` if the feature is absent or has no value.

        BadImageError: of another type or number; or absent, without a default.
        """
        values = self._values(key, "bytes_list")
        if not values and default is not None:
            return default
        return self._single(key, values)

    def integer(self, key: str) -> int:
        """One integer; BadImageError if there is none, or more."""
        return self._single(key, self._values(key, "int64_list"))

    def integers(self, key: str) -> tuple[int, ...]:
        """All integers of a feature, () if it is absent; BadImageError for another type."""
        return tuple(self._values(key, "int64_list"))

    def floats(self, key: str) -> list[float] | None:
        """All floats of a feature; None without it, which is not the same as none of them.

        BadImageError: of another type.
        """
        return list(self._values(key, "float_list")) if key in self._features else None

    def _values(self, key, kind):
        if key not in self._features:  # asking a map of messages for a key would make it
            return ()
        feature = self._features[key]
        found = feature.WhichOneof("kind")
        if found not in (None, kind):
            raise BadImageError(
                f"{self._name}: feature {key!r} is a {found}, expected a {kind}. Is it another "
                "source's record?"
            )
        return getattr(feature, kind).value

    def _single(self, key, values):
        if len(values) != 1:
            raise BadImageError(
                f"{self._name}: expected one value of feature {key!r}, got {len(values)}; the "
                f"record has {sorted(self._features)}. Is it another source's record?"
            )
        return values[0]


def box_fractions(data: bytes, where: str) -> list[list[float]]:
    """Boxes (xmin, ymin, xmax, ymax) of a record, as `imagenet_boxes.box_map` takes them.

    image/object/bbox/{xmin,xmax,ymin,ymax} of the classic ImageNet TFRecords: fractions of width
    and height, one value a box, clamped to 0...1 and put in order by their writer
    (tensorflow/models, research/slim/datasets/process_bounding_boxes.py). No values: nobody drew
    a box.

    ValueError: the record has no features for boxes, or not a valid box.
    """
    fields = Fields(data, where)
    edges = {edge: fields.floats(f"image/object/bbox/{edge}") for edge in EDGES}
    absent = [edge for edge, values in edges.items() if values is None]
    if absent:
        raise ValueError(
            f"{where}: no feature image/object/bbox/{absent[0]}, so no boxes: tensorflow/tpu's "
            "imagenet_to_gcs.py and TFDS leave them out. Build without --boxes, or from images and "
            "files of boxes (--source=imagenet)."
        )
    lengths = {edge: len(values) for edge, values in edges.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(
            f"{where}: image/object/bbox has {lengths} values, expected as many of each edge. "
            "Write the record again, or build without --boxes."
        )
    boxes = np.array([edges[edge] for edge in EDGES], np.float64).T.round(DIGITS)  # [M, 4]
    in_order = (boxes[:, :2] <= boxes[:, 2:]).all(1)
    good = in_order & (boxes >= 0).all(1) & (boxes <= 1).all(1)  # NaN fails every comparison
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f"{where}: box {first} (xmin, ymin, xmax, ymax) is {boxes[first].tolist()}, expected "
            "minima <= maxima, all in 0...1. Write the record again, or build without --boxes."
        )
    return boxes.tolist()
