"""What describes a data set: `dataset_info.json` beside its shards, and the names of the shards.

Training takes every count, class name and size from there; nothing about a data set is a constant
in code.
"""

import dataclasses
import json
import os
import re
import types
import typing
from collections.abc import Iterable
from typing import Any

from gala_tf.data import files, places

SCHEMA_VERSION = 1  # of the records (`schema.FEATURES`) and of this file's classes
INFO_FILE = places.DATASET_SIDECAR
BUILD_COMMAND = "python -m data_prep.build_tfrecords"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file: its name inside the data set, number of records, size in bytes, SHA-256 (hex)."""

    file: str
    examples: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Split:
    """One split; the order of `shards` and of the records in them is the order of the split."""

    examples: int  # number of records, the sum over its shards
    with_clickmap: int  # how many of them have a count map that is not all zero
    with_participants: int  # how many have maps of two participants or more (for the human ceiling)
    classes: int  # how many classes occur
    shards: tuple[Shard, ...]


@dataclasses.dataclass(frozen=True)
class ImageGeometry:
    """How images are stored: "original" (as they came) or "square" (short side, centre crop).

    Ranges are over all splits, in pixels; of a "square" data set all four are its side.
    """

    storage: str
    min_height: int
    max_height: int
    min_width: int
    max_width: int


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """All that is known about a data set without reading its records; `dataset_info.json`."""

    name: str
    class_names: tuple[str, ...]
    splits: dict[str, Split]
    image: ImageGeometry
    # What was applied before the small grid was made, such as "box:49"; in pixels of the stored
    # image
    clickmap_blur: str
    clickmap_grid: int  # G, the side of the small grid
    # {"value", "estimator", "source"} where the data set's authors published one, or
    # `data_prep.reliability` measured it (which adds how); else None
    human_ceiling: dict[str, Any] | None
    split_rule: str  # in words, how the splits were made
    seed: int
    command: str
    tool_version: str  # of the package and of the libraries that decide the bytes
    label_base: int = 0
    schema_version: int = SCHEMA_VERSION

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def simulated(self) -> bool:
        """Whether its maps are no people's: it is the built-in data set, under whatever name."""
        source = re.search(r"--?source(?:=| +)'?(\w+)", self.command)
        return (source[1] if source else self.name) == "quickstart"

    @property
    def map_origin(self) -> str:
        """The word that stands before "map" and "ceiling": human, or simulated."""
        return "simulated" if self.simulated else "human"

    def require_split(self, split: str, flag: str = "") -> Split:
        """The split of that name, which `flag` gave; ValueError listing those there are."""
        if split not in self.splits:
            given = f" (--{flag})" if flag else ""
            raise ValueError(
                f"Data set {self.name!r} has no split {split!r}{given}; it has "
                f"{sorted(self.splits)}."
            )
        return self.splits[split]


def shard_name(split: str, index: int, count: int) -> str:
    """File name of a shard: shard_name("train", 0, 8) is "train-00000-of-00008.tfrecord"."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def save_info(data_dir: str, info: DatasetInfo, file: str = INFO_FILE) -> None:
    """Writes `dataset_info.json` last and atomically: where it is, the data set is complete.

    A run's copy is another `file` of its directory.
    """
    path = os.path.join(data_dir, file)
    text = json.dumps(dataclasses.asdict(info), indent=1, ensure_ascii=False) + "\n"
    files.write(path, text)


def load_info(data_dir: str, file: str = INFO_FILE) -> DatasetInfo:
    """Reads `dataset_info.json`, or a run's copy of it, another `file`.

    ValueError: no such file, not this schema version, or fields missing, unknown or inconsistent.
    """
    path = os.path.join(data_dir, file)
    if file == INFO_FILE and places.is_run(data_dir):
        raise ValueError(
            f"{data_dir!r} is a run's directory, no data set (it holds {places.RUN_FLAGS}, whose "
            "--data_dir names the data set that the run was trained on)."
        )
    if file != INFO_FILE and not files.exists(path):
        raise ValueError(
            f"{path!r} does not exist: it is the run's copy of its data set's {INFO_FILE}. Restore "
            "it, or copy that file there under this name."
        )
    if not files.exists(path):
        raise ValueError(
            f"No data set at {data_dir!r}: {path!r} does not exist. Build one with "
            f"`{BUILD_COMMAND} --source=... --output_dir={data_dir}`; that file is written last, "
            "so shards without it are an unfinished build."
        )
    with files.open_binary(path) as opened:
        text = opened.read()
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also of bytes that are not UTF-8
        raise ValueError(f"{path!r} is not JSON ({error}). Build the data set again.") from error
    found = fields.get("schema_version") if isinstance(fields, dict) else None
    if found != SCHEMA_VERSION:
        raise ValueError(
            f"{path!r} has schema_version {found!r}, this program reads {SCHEMA_VERSION}. Build "
            f"the data set again with `{BUILD_COMMAND}`, or use the program that wrote it."
        )
    info = _from_fields(DatasetInfo, fields, path)
    splits = {}
    for name, split in info.splits.items():
        split = _from_fields(Split, split, path)
        shards = tuple(_from_fields(Shard, shard, path) for shard in split.shards)
        total = sum(shard.examples for shard in shards)
        if total != split.examples:
            raise ValueError(
                f"{path!r}: split {name!r} claims {split.examples} examples, its shards {total}. "
                "The file was edited; build the data set again."
            )
        splits[name] = dataclasses.replace(split, shards=shards)
    image = _from_fields(ImageGeometry, info.image, path)
    class_names = tuple(map(str, info.class_names))
    return dataclasses.replace(info, splits=splits, image=image, class_names=class_names)


def _from_fields(cls, fields, path):
    expected = {field.name for field in dataclasses.fields(cls)}
    if not isinstance(fields, dict) or set(fields) != expected:
        got = sorted(fields) if isinstance(fields, dict) else type(fields).__name__
        raise ValueError(
            f"{path!r}: {cls.__name__} must have exactly the fields {sorted(expected)}, got {got}. "
            "Build the data set again."
        )
    for name, kind in typing.get_type_hints(cls).items():
        of = typing.get_origin(kind) or kind
        if of is types.UnionType:
            of = dict | None
        elif of is tuple or dataclasses.is_dataclass(of):  # as JSON has them
            of = list if of is tuple else dict
        if not isinstance(fields[name], of):
            raise ValueError(
                f"{path!r}: {cls.__name__}.{name} is {fields[name]!r:.80}, expected "
                f"{getattr(of, '__name__', of)}. The file was edited; build the data set again."
            )
    return cls(**fields)


def check_shards(
    data_dir: str, info: DatasetInfo, split: str, bad: Iterable[str] = ()
) -> list[str]:
    """Paths of a split's shards, in order, once every one is there with the size it should have.

    A TFRecord file cut at a record's end reads as a shorter file without an error, so that only
    the size in the sidecar finds it.

    `bad`: names of shards that are known not to be as they should, and are not looked at.

    ValueError: unknown split, a shard is missing or has another size, or there is one that the
    sidecar does not list.
    """
    paths = []
    for shard in info.require_split(split).shards:
        path = os.path.join(data_dir, shard.file)
        got = files.file_size(path) if files.exists(path) else None
        if got != shard.bytes and shard.file not in bad:
            raise ValueError(f"{refusal(path, None, wrong_size(shard, got))}. {remedy(info)}")
        paths.append(path)
    for file in unlisted_shards(data_dir, info):
        path = os.path.join(data_dir, file)
        raise ValueError(f"{refusal(path, None, UNLISTED)}. Remove it: it is of another build.")
    return paths


def unlisted_shards(data_dir: str, info: DatasetInfo) -> list[str]:
    """Names of TFRecord files in the directory that its sidecar does not know: two data sets."""
    known = {shard.file for split in info.splits.values() for shard in split.shards}
    names = files.names(data_dir)
    return sorted(name for name in names if name.endswith(".tfrecord") and name not in known)


# Reasons to refuse a shard or a record, in the same words wherever they are found.
CUT_OFF = "the file ends inside it"
ALTERED = "it fails its checksum"
UNLISTED = f"it is not listed in {INFO_FILE}"


def wrong_size(shard: Shard, got: int | None) -> str:
    """A shard of `got` bytes, or one that is not there (None)."""
    found = "no such file" if got is None else f"{got} bytes"
    return f"expected {shard.bytes} bytes ({INFO_FILE}), got {found}"


def wrong_count(shard: Shard, got: int) -> str:
    """A shard of `got` whole records."""
    return f"it holds {got} records, expected {shard.examples} ({INFO_FILE})"


def wrong_version(got: Any) -> str:
    """A record of another schema."""
    return f"it has schema_version {got}, this program reads {SCHEMA_VERSION}"


def refusal(path: str, record: int | None, reason: str) -> str:
    """The sentence that names shard, record (its number in the shard, from 0) and reason."""
    place = f"Shard {path!r}" if record is None else f"Record {record} of shard {path!r}"
    return f"{place} cannot be read: {reason}"


def remedy(info: DatasetInfo) -> str:
    """What to do about a shard that is not as it was built."""
    return f"Copy the file again, or build the data set again: {info.command}"
