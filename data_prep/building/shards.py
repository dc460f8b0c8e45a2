"""One shard: its part of the plan -> a TFRecord file, and what is known about its records.

    train-00003-of-01024.tfrecord         the shard, under this name only when it is whole
    train-00003-of-01024.tfrecord.rows    then this: its size and checksum, and a line a record

A shard is finished where its rows are. Workers need nothing of each other.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import tensorflow as tf

from data_prep.building import encoding, plan
from data_prep.sources import Item
from gala_tf.data import dataset_info, schema, tfrecord_files
from gala_tf.data.images import BadImageError

PLAN = "plan"  # directory of the plan, in the staging directory
_ROWS = ".rows"


class Row(NamedTuple):
    """What the builder keeps in mind of a record; `digest` is hexadecimal, of the pixels."""

    image_id: str
    digest: str
    label: int
    height: int
    width: int
    participants: int
    has_clickmap: bool


class ShardContents(NamedTuple):
    """A finished shard: the file, its records, and why which images were left out."""

    shard: dataset_info.Shard
    rows: list[Row]
    bad: list[str]


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """All that is needed to make any shard of a build; picklable."""

    staging: str  # directory of the plan and of finished shards, local or gs://
    read: Callable[[Item], schema.Example]  # the source's
    storage: encoding.Storage
    shards: dict[str, int]  # split -> its number of shards
    classes: int  # number of classes, for the check of labels
    seed: int
    on_bad_image: str  # "fail" or "skip"

    def path(self, split: str, index: int) -> str:
        """Where a shard lies once it is whole."""
        name = dataset_info.shard_name(split, index, self.shards[split])
        return os.path.join(self.staging, name)

    def finished(self, split: str, index: int) -> bool:
        return tf.io.gfile.exists(self.path(split, index) + _ROWS)

    def make(self, split: str, index: int, progress: Callable[[], None] = lambda: None) -> None:
        """Makes a shard unless it is finished; calls `progress` after every image.

        ValueError: an image or its maps are at fault; the message names it.
        """
        if self.finished(split, index):
            return
        items = plan.shard_items(os.path.join(self.staging, PLAN), split, index, self.seed)
        rows, bad = [], []
        path = self.path(split, index)
        shard = write(path, self._records(items, rows, bad, progress))
        _save_rows(path + _ROWS, ShardContents(shard, rows, bad))

    def _records(self, items, rows, bad, progress) -> Iterator[bytes]:
        for item in items:
            try:
                encoded = self._encode(item)
            except BadImageError as error:
                if self.on_bad_image == "fail":
                    raise ValueError(
                        f"{error} Or pass --on_bad_image=skip to leave it out."
                    ) from error
                bad.append(str(error))
            else:
                rows.append(
                    Row(
                        item.image_id,
                        encoded.digest.hex(),
                        encoded.label,
                        encoded.height,
                        encoded.width,
                        encoded.participants,
                        encoded.has_clickmap,
                    )
                )
                yield encoded.serialized
            progress()

    def _encode(self, item):
        try:
            example = self.read(item)
        except FileNotFoundError as error:
            raise ValueError(
                f"{item.image_id!r} was there when the build was planned, and is gone: "
                f"{error.filename}. Put it back, or delete {self.staging!r} to start anew."
            ) from error
        if (example.image_id, example.split) != (item.image_id, item.split):
            raise ValueError(
                f"{item.image_id!r} ({item.split}) was listed, {example.image_id!r} "
                f"({example.split}) was read. Mend the source."
            )
        try:
            encoded = encoding.encode(example, self.storage)
        except ValueError as error:
            # The image may be one record of a large file, which only the source's key names.
            bad = isinstance(error, BadImageError)
            text = f"{error} The source lists it as {item.key:.300}."
            raise (BadImageError if bad else ValueError)(text) from error
        if encoded.label >= self.classes:
            raise ValueError(
                f"{item.image_id!r}: label {encoded.label}, but there are only {self.classes} "
                "classes, counted from 0. Mend the source."
            )
        return encoded

    def contents(self, split: str, index: int) -> ShardContents:
        """What a finished shard holds."""
        with tf.io.gfile.GFile(self.path(split, index) + _ROWS) as file:
            head = json.loads(file.readline())
            rows = [Row(*json.loads(line)) for line in file]
        return ShardContents(dataset_info.Shard(**head["shard"]), rows, head["bad"])


def write(path: str, serialized: Iterable[bytes]) -> dataset_info.Shard:
    """Writes a shard; into a bucket by way of a local file, so that it appears whole."""
    if "://" not in path:
        return tfrecord_files.write_shard(path, serialized)
    with tempfile.TemporaryDirectory() as local:
        file = os.path.join(local, os.path.basename(path))
        shard = tfrecord_files.write_shard(file, serialized)
        tf.io.gfile.copy(file, path, overwrite=True)
    return shard


def _save_rows(path, contents):
    head = {"shard": dataclasses.asdict(contents.shard), "bad": contents.bad}
    temporary = f"{path}.{os.getpid()}.writing"
    with tf.io.gfile.GFile(temporary, "w") as file:
        for line in (head, *contents.rows):
            file.write(json.dumps(line) + "\n")
    if "://" not in path:
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # where it is, its shard is taken for finished
    tf.io.gfile.rename(temporary, path, overwrite=True)
