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
from gala_tf.data.images import BadImageError, remarks
from gala_tf.data.schema import BadMapError

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


@dataclasses.dataclass(frozen=True)
class Said:
    """What a shard's images gave occasion to say, a line each.

    Attributes:
      bad: images that were left out, and why.
      bad_maps: maps that were left out, and why; their images stayed.
      remarks: of images that stayed, what is not stored of them.
      faults: what else would end a build; only of a dry run, which goes on.
    """

    bad: list[str] = dataclasses.field(default_factory=list)
    bad_maps: list[str] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)


class ShardContents(NamedTuple):
    """A finished shard: the file, its records, and what there is to say."""

    shard: dataset_info.Shard
    rows: list[Row]
    said: Said


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """All that is needed to make any shard of a build; picklable."""

    staging: str  # directory of the plan and of finished shards, local or gs://
    read: Callable[[Item], schema.Example]  # the source's
    storage: encoding.Storage
    shards: dict[str, int]  # split -> its number of shards
    classes: int  # number of classes, for the check of labels
    seed: int
    on_bad_image: str  # "fail" or "skip"; `on_bad_map` too
    on_bad_map: str = "fail"
    place: Callable[[str], str] | None = None  # key -> file and record, for messages
    dry: bool = False  # images are only looked at: no shard is written, and faults end nothing

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
        rows, said = [], Said()
        path = self.path(split, index)
        serialized = self._records(items, rows, said, progress)
        if self.dry:
            lengths = [len(record) for record in serialized]
            shard = dataset_info.Shard(os.path.basename(path), len(lengths), sum(lengths), "")
        else:
            shard = write(path, serialized)
        _save_rows(path + _ROWS, ShardContents(shard, rows, said))

    def _records(self, items, rows, said, progress) -> Iterator[bytes]:
        for item in items:
            if encoded := self._encoded(item, said):
                digest, *facts, serialized = encoded
                rows.append(Row(item.image_id, digest.hex(), *facts))
                yield serialized
            progress()

    def _encoded(self, item, said):
        """One record; None for an image that is left out, which is then said."""
        try:
            return self._without_bad_map(item, said)
        except BadImageError as error:
            if self.on_bad_image == "fail":
                raise ValueError(f"{error} Or pass {_remedies(error)}.") from error
            said.bad.append(str(error))
        except BadMapError as error:
            raise ValueError(f"{error} Or pass {_remedies(error)}.") from error
        except ValueError as error:
            if not self.dry:
                raise
            said.faults.append(str(error))
        return None

    def _without_bad_map(self, item, said):
        """The record of an image; without its map, if that is bad and may be left out."""
        example = None
        try:
            example = self._read(item)
            encoded = self._encode(item, example)
        except BadMapError as error:
            example = error.example or example
            if self.on_bad_map == "fail" or example is None:
                raise
            bare = dataclasses.replace(example, participant_maps=(), clicks=0)
            encoded = self._encode(item, bare)  # first: the image may be bad as well
            said.bad_maps.append(f"{item.image_id}: {error}")
        said.remarks.extend(f"{item.image_id}: {remark}" for remark in remarks(example.image))
        return encoded

    def _read(self, item):
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
        return example

    def _encode(self, item, example):
        try:
            encoded = encoding.encode(example, self.storage)
        except ValueError as error:
            if not self.place:
                raise
            # The image is one record of a large file, which only the source's key names.
            kinds = (k for k in (BadImageError, BadMapError) if isinstance(error, k))
            raise next(kinds, ValueError)(f"{error} It is {self.place(item.key)}.") from error
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
        return ShardContents(dataset_info.Shard(**head["shard"]), rows, Said(**head["said"]))


def _remedies(error):
    """The flags that leave out what is at fault."""
    found = []
    if isinstance(error, BadMapError):
        found.append("--on_bad_map=skip to keep the image without its map")
    if isinstance(error, BadImageError):
        found.append("--on_bad_image=skip to leave it out")
    return ", or ".join(found)


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
    head = {key: dataclasses.asdict(getattr(contents, key)) for key in ("shard", "said")}
    temporary = f"{path}.{os.getpid()}.writing"
    with tf.io.gfile.GFile(temporary, "w") as file:
        for line in (head, *contents.rows):
            file.write(json.dumps(line) + "\n")
    if "://" not in path:
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # where it is, its shard is taken for finished
    tf.io.gfile.rename(temporary, path, overwrite=True)
