"""Records that cannot be read: finding all of them, naming them, and leaving them out.

tf.data names neither file nor record when it fails, and its `ignore_errors` drops records without
a count. So nothing is dropped while reading. When an error stops a run, the whole split is read
once more, record by record, and every bad one is named by shard, number and byte. To go on without
them, the good records of a bad shard are copied to the run directory and read from there: the same
on every restart, and nobody's data are touched.

A record in a TFRecord file is: length (uint64), its checksum (uint32), data, their checksum
(uint32), little-endian; https://www.tensorflow.org/tutorials/load_data/tfrecord. If only data are
altered, the next record can be found. If a length is, or the file ends early, the rest is lost.
"""

import collections
import dataclasses
import json
import os
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c
import tensorflow as tf

from gala_tf.data import dataset_info, files, messages, records

HEADER, FOOTER = struct.Struct("<QI"), struct.Struct("<I")
LISTED = 5  # bad records in a message; all are in bad_records.json
MOST = 0.1  # of a split that may be left out: more is a disk that is gone, not a bad record
FILE = "bad_records.json"
FOLDER = "good_records"  # of the run directory: copies of bad shards without their bad records
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


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """Bad records that training passes over from `start_example` on."""

    start_example: int  # examples that all replicas had taken when the list was made
    records: tuple[BadRecord, ...]
    copies: dict[str, tuple[str, int]]  # bad shard: path of its good records, their number


# --------------------------------------------------------------------------- finding


def find(data_dir: str, info: dataset_info.DatasetInfo, split: str) -> list[BadRecord]:
    """Reads and decodes a whole split; returns all records that cannot be used, in order.

    Raises:
        ValueError: a shard holds more records than the sidecar says, or another schema's: that is
            not damage, but another data set.
    """
    bad, framed = [], []
    for shard in info.require_split(split).shards:
        path = os.path.join(data_dir, shard.file)
        offsets, end, reason = _frames(path)
        if len(offsets) > shard.examples:
            why = dataset_info.refusal(path, None, dataset_info.wrong_count(shard, len(offsets)))
            raise ValueError(f"{why}. {dataset_info.remedy(info)}")
        reason = reason or dataset_info.wrong_count(shard, len(offsets))  # cut between two records
        for number in range(len(offsets), shard.examples):
            bad.append((len(framed), number, end, reason))
            reason = BEHIND if reason != GONE else GONE
        framed.append((path, offsets))
    bad += [(i, n, framed[i][1][n], why) for (i, n), why in _unusable(framed, info).items()]
    return [BadRecord(os.path.basename(framed[i][0]), *rest) for i, *rest in sorted(bad)]


def _open(path):
    # Locally Python's own file: TensorFlow's reads much more than is asked for after a seek.
    return open(path, "rb") if "://" not in path else tf.io.gfile.GFile(path, "rb")


def _frames(path):
    """(bytes at which whole records begin, byte where that ends, why it ends there or None)."""
    if not tf.io.gfile.exists(path):
        return [], 0, GONE
    size, offsets, offset = tf.io.gfile.stat(path).length, [], 0
    with _open(path) as file:
        while offset < size:
            file.seek(offset)
            header = file.read(HEADER.size)
            if len(header) < HEADER.size:
                return offsets, offset, dataset_info.CUT_OFF
            length, checksum = HEADER.unpack(header)
            if _masked_crc(header[:8]) != checksum:
                return offsets, offset, dataset_info.ALTERED
            end = offset + HEADER.size + length + FOOTER.size
            if end > size:
                return offsets, offset, dataset_info.CUT_OFF
            offsets.append(offset)
            offset = end
    return offsets, offset, None


def _read(path, offsets) -> Iterator[bytes | None]:
    """The data of the records at these bytes; None for those that fail their checksum."""
    with _open(path) as file:
        for offset in offsets:
            file.seek(offset)
            length, _ = HEADER.unpack(file.read(HEADER.size))
            data = file.read(length)
            whole = FOOTER.unpack(file.read(FOOTER.size))[0] == _masked_crc(data)
            yield data if whole else None


def _masked_crc(data):
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _unusable(framed, info):
    """{(shard, number): reason} of records that fail their checksum or cannot be decoded.

    Args:
        framed: (path, bytes at which its records begin) of every shard.
    """
    reasons, start, sent = {}, (0, 0), collections.deque()

    def sound():
        nonlocal sent
        own = sent = collections.deque()  # what was sent, and has not come back yet
        for shard in range(start[0], len(framed)):
            path, offsets = framed[shard]
            if not offsets:  # the file may be gone
                continue
            first = start[1] if shard == start[0] else 0
            for number, data in enumerate(_read(path, offsets[first:]), first):
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


# --------------------------------------------------------------------------- naming


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


# --------------------------------------------------------------------------- leaving out


def check_share(info: dataset_info.DatasetInfo, split: str, bad: list[BadRecord]) -> None:
    """ValueError if so many records are bad that this is no longer the same data set."""
    examples = info.require_split(split).examples
    if len(bad) > MOST * examples:
        raise ValueError(
            f"{len(bad)} of {examples} records of split {split!r} cannot be read, the first: "
            f"{bad[0].file}, record {bad[0].record}: {bad[0].reason}. --on_bad_record=skip leaves "
            f"out at most {MOST:.0%}. Is the disk still there? {dataset_info.remedy(info)}"
        )


def leave_out(
    model_dir: str,
    data_dir: str,
    info: dataset_info.DatasetInfo,
    split: str,
    bad: list[BadRecord],
    start_example: int,
) -> tuple[LeftOut, ...]:
    """Copies the good records of bad shards to the run directory; returns all lists so far.

    Args:
        bad: all bad records of the split.
        start_example: from where the run goes on without them; lists of later restarts are void.

    Raises:
        ValueError: too many are bad (`check_share`).
    """
    check_share(info, split, bad)
    copies = {}
    for shard in info.splits[split].shards:
        own = {one.record for one in bad if one.file == shard.file}
        if not own:
            continue
        path = os.path.join(model_dir, FOLDER, f"{start_example:012d}", shard.file)
        count = shard.examples - len(own)
        if count:
            tf.io.gfile.makedirs(os.path.dirname(path))
            offsets, _, _ = _frames(os.path.join(data_dir, shard.file))
            good = [offset for number, offset in enumerate(offsets) if number not in own]
            with tf.io.TFRecordWriter(path) as writer:
                for data in _read(os.path.join(data_dir, shard.file), good):
                    writer.write(data)
            files.to_disk(path)
        copies[shard.file] = (path, count)
    earlier = [one for one in load(model_dir) if one.start_example < start_example]
    left_out = (*earlier, LeftOut(start_example, tuple(bad), copies))
    lists = [dataclasses.asdict(one) for one in left_out]
    files.write(os.path.join(model_dir, FILE), json.dumps(lists, indent=1))
    return left_out


def load(model_dir: str) -> tuple[LeftOut, ...]:
    """What a run has left out so far, a list for each time it found some; empty if nothing.

    Raises:
        ValueError: the file is damaged.
    """
    path = os.path.join(model_dir, FILE)
    if not tf.io.gfile.exists(path):
        return ()
    try:
        with tf.io.gfile.GFile(path) as file:
            return tuple(
                LeftOut(
                    one["start_example"],
                    tuple(BadRecord(*record) for record in one["records"]),
                    {name: (copy, count) for name, (copy, count) in one["copies"].items()},
                )
                for one in json.loads(file.read())
            )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}). It says which records the run leaves out; without it "
            "the run cannot go on as it began. Restore it, or use another --model_dir."
        ) from error


def count(left_out: tuple[LeftOut, ...], start_example: int) -> int:
    """How many records a run passes over that goes on from `start_example`."""
    made = [one for one in left_out if one.start_example <= start_example]
    return len(made[-1].records) if made else 0


def position(start_example: int, counts: list[int], starts: list[int]) -> tuple[int, int]:
    """Where a pipeline stands: (epochs finished, records of the next one already taken).

    Every list of bad records ends epochs of the old length and begins those of a new one, where the
    pipeline stood: no image is taken again because the number of images changed.

    Args:
        start_example: examples that the pipeline has yielded.
        counts: records of an epoch, without any list and then with each.
        starts: `start_example` of each list, ascending.
    """
    shift, examples = 0, counts[0]
    for start, count in zip(starts, counts[1:], strict=True):
        epoch, taken = divmod(start + shift, examples)
        shift = epoch * count + min(taken, count) - start
        examples = count
    return divmod(start_example + shift, examples)
