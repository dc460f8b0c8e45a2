"""Records that cannot be read: finding all of them, and naming them.

tf.data names neither file nor record when it fails, and its `ignore_errors` drops records without
a count. So nothing is dropped while reading. When an error stops a run, the whole split is read
once more, record by record, and every bad one is named by shard, number and byte. `left_out` lets
a run go on without them.

If only the data of a record are altered, the next one can be found. If a length is, or the file
ends early, the rest of the file is lost.
"""

import collections
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from gala_tf.data import dataset_info, messages, records, tfrecord_files

LISTED = 5  # bad records in a message; all are in bad_records.json
# TensorFlow quotes a record that is no tf.train.Example as if its bytes were text.
UNDECODABLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)
GONE = "no such file"
BEHIND = "it lies behind the damage, where no record begins any more"
OUTSIDE = "its label {} lies outside 0...{}, the data set's classes"


class BadRecord(NamedTuple):
    """A record that cannot be used."""

    file: str  # name of the shard
    record: int  # number in the shard, from 0
    offset: int  # byte at which it begins; that of the damage where it is lost behind one
    reason: str


class BadRecordsError(ValueError):
    """A split has records that cannot be read: `.bad` are all of them."""

    def __init__(self, message: str, bad: list[BadRecord]):
        super().__init__(message)
        self.bad = bad


def find(data_dir: str, info: dataset_info.DatasetInfo, split: str) -> list[BadRecord]:
    """Reads and decodes a whole split; returns all records that cannot be used, in order.

    ValueError: a shard holds more records than the sidecar says, or another schema's: that is not
    damage, but another data set.
    """
    bad: list[tuple[int, int, int, str]] = []  # shard, number in it, byte, reason
    framed: list[tuple[str, list[tfrecord_files.Span]]] = []  # path and places, by shard
    for shard in info.require_split(split).shards:
        path = os.path.join(data_dir, shard.file)
        spans, end, reason = whole_records(path)
        if len(spans) > shard.examples:
            why = dataset_info.refusal(path, None, dataset_info.wrong_count(shard, len(spans)))
            raise ValueError(f"{why}. {dataset_info.remedy(info)}")
        reason = reason or dataset_info.wrong_count(shard, len(spans))  # cut between two records
        for number in range(len(spans), shard.examples):
            bad.append((len(framed), number, end, reason))
            reason = BEHIND if reason != GONE else GONE
        framed.append((path, spans))
    for (i, number), why in _unusable(framed, info).items():
        begins = framed[i][1][number].offset - tfrecord_files.HEADER.size
        bad.append((i, number, begins, why))
    return [
        BadRecord(os.path.basename(framed[shard][0]), number, begins, why)
        for shard, number, begins, why in sorted(bad)
    ]


def whole_records(path: str) -> tuple[list[tfrecord_files.Span], int, str | None]:
    """(places of the records that can be found, byte where that ends, why there, or None)."""
    if not tf.io.gfile.exists(path):
        return [], 0, GONE
    spans, reason = [], None
    try:
        for span in tfrecord_files.spans(path):
            spans.append(span)
    except tfrecord_files.DamagedFileError as error:
        altered = "fails its checksum" in str(error)
        reason = dataset_info.ALTERED if altered else dataset_info.CUT_OFF
    end = spans[-1].offset + spans[-1].length + tfrecord_files.FOOTER.size if spans else 0
    return spans, end, reason


def _data(path, spans) -> Iterator[bytes | None]:
    """The data of records; None for those that fail their checksum."""
    for span in spans:
        try:
            yield tfrecord_files.read(path, span)
        except tfrecord_files.DamagedFileError:
            yield None


def _unusable(framed, info):
    """{(shard, number): reason} of records that fail their checksum or cannot be decoded.

    `framed`: (path, places of its records) of every shard.
    """
    reasons, start = {}, (0, 0)
    sent: collections.deque[tuple[int, int]] = collections.deque()

    def sound():
        nonlocal sent
        own = sent = collections.deque()  # what was sent, and has not come back yet
        for shard in range(start[0], len(framed)):
            path, spans = framed[shard]
            first = start[1] if shard == start[0] else 0
            for number, data in enumerate(_data(path, spans[first:]), first):
                if data is None:
                    reasons[shard, number] = dataset_info.ALTERED
                else:
                    own.append((shard, number))
                    yield data

    # One data set for all: making one costs as much as decoding a hundred images.
    signature = tf.TensorSpec([], tf.string)
    decoded = tf.data.Dataset.from_generator(sound, output_signature=signature).map(
        _decode, num_parallel_calls=tf.data.AUTOTUNE
    )
    while True:
        try:
            for version, label, _ in decoded:
                shard, number = sent.popleft()
                if version != dataset_info.SCHEMA_VERSION:
                    why = dataset_info.wrong_version(int(version))
                    text = dataset_info.refusal(framed[shard][0], number, why)
                    raise ValueError(f"{text}. {dataset_info.remedy(info)}")
                if not 0 <= label < info.num_classes:
                    reasons[shard, number] = OUTSIDE.format(int(label), info.num_classes - 1)
            return reasons
        except UNDECODABLE as error:
            shard, number = sent.popleft()
            reasons[shard, number] = _reason(error)
            start = shard, number + 1


def _reason(error):
    """What a decoder says, without the names of graph nodes around it."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no tf.train.Example"
    text = messages.plain_message(error)
    return re.sub(r"^Error in user-defined function .* with iterator: \S+ ", "", text).rstrip(". ")


def _decode(serialized):
    """(schema version, label, size of the decoded image and map) of a record."""
    version = records.parse_example(serialized, ["schema_version"])["schema_version"]

    def decode_all():
        record = records.parse_example(serialized)
        height = tf.cast(record["image/height"], tf.int32)
        width = tf.cast(record["image/width"], tf.int32)
        # The whole image as a window: fails, too, where the file is smaller than recorded.
        window = tf.stack([0, 0, height, width])
        image = tf.io.decode_and_crop_jpeg(record["image/encoded"], window, channels=3)
        counts = records.decode_counts(record["clickmap/counts"], height, width)
        # The sizes are returned, or the decoding would be optimised away.
        return record["image/class/label"], tf.size(image) + tf.size(counts)

    # Another schema may lack what this one needs: its version is the better message.
    known = tf.equal(version, dataset_info.SCHEMA_VERSION)
    unknown = tf.constant(0, tf.int64), tf.constant(0)
    label, size = tf.cond(known, decode_all, lambda: unknown)
    return version, label, size


def describe(data_dir: str, info: dataset_info.DatasetInfo, bad: list[BadRecord]) -> str:
    """The first few of some bad records and the number of all, and what can be done."""
    lines = [
        f"{dataset_info.refusal(os.path.join(data_dir, one.file), one.record, one.reason)}; byte "
        f"{one.offset}"
        for one in bad[:LISTED]
    ]
    if len(bad) > LISTED:
        lines.append(f"and {len(bad) - LISTED} more")
    return f"{'. '.join(lines)}. {dataset_info.remedy(info)}"
