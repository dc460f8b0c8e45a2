"""One short feature of a tf.train.Example in a file, without reading the image beside it.

Listing a million images by their names must not read the images. An Example is, as a protocol
buffer, a list of entries in any order: the length of the entry, the feature's name, its value. So
entries can be skipped by their length.
https://protobuf.dev/programming-guides/encoding,
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto
"""

from typing import BinaryIO

from gala_tf.data.tfrecord_files import Span

WINDOW = 1024  # bytes read at a time; holds all features but the image
LONGEST = 64 * 1024  # of a value
_HEAD = 128  # of an entry: lengths and a name; longer names are not the one sought
_FIELD_1, _FIELD_2 = 0x0A, 0x12  # tags: field number, "a length and that many bytes follow"


def bytes_feature(file: BinaryIO, span: Span, name: str) -> bytes | None:
    """The first value of a bytes feature.

    Nothing is checked against the record's checksum, which would need all of it: that is for the
    one who reads the record.

    Args:
      file: open for reading; its position changes.
      span: of a record that holds a tf.train.Example.

    Returns:
      None if there is no such feature, it has no value, or the bytes are no Example.
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
