"""ILSVRC12's TFRecord files, classic or TFDS': which there are, and whether any is missing."""

import itertools
import os
import re
from typing import NamedTuple

import tensorflow as tf

from data_prep.readers import file_names
from data_prep.readers.examples import tfds_files
from data_prep.readers.imagenet import imagenet_classes
from gala_tf.data.tfrecord_files import DamagedFileError

WHOLE = {"train": 1_281_167, "validation": 50_000}  # images of ILSVRC12
SPLITS = tuple(WHOLE)
TFDS_NAME = "imagenet2012"
_SHARD = re.compile(r"(train|validation)-(\d{5})-of-(\d{5})$")


class Layout(NamedTuple):
    """What tells the two forms apart: names of features, and the order of labels."""

    image: str
    label: str
    file_name: str
    synset: str | None
    label_order: str


CLASSIC = Layout(
    "image/encoded", "image/class/label", "image/filename", "image/class/synset", "sorted_from_1"
)


TFDS = Layout("image", "label", "file_name", None, "sorted")


class Shard(NamedTuple):
    """A file of records that somebody else wrote."""

    file: str  # relative to the root
    split: str
    records: int | None  # if its maker wrote that down


def find(input_dir):
    """Root, layout and shards, those of a split in order."""
    prepared = tfds_files.find(input_dir, TFDS_NAME)
    if prepared is None:
        return input_dir, CLASSIC, _classic_shards(input_dir)
    labels = prepared.label_names
    if labels and labels != imagenet_classes.wnids():
        path = os.path.join(prepared.directory, tfds_files.LABELS_FILE)
        pairs = itertools.zip_longest(labels, imagenet_classes.wnids(), fillvalue="nothing")
        line, (got, wnid) = next((n, p) for n, p in enumerate(pairs, 1) if p[0] != p[1])
        raise ValueError(
            f"{path!r}, line {line}: {got:.80}, expected {wnid}: the 1000 WordNet ids of ILSVRC12, "
            "sorted. Labels of this data set mean something else; prepare imagenet2012 itself."
        )
    shards = [
        Shard(file.name, split, file.records)
        for split in SPLITS
        for file in prepared.splits.get(split, ())
    ]
    if not shards:
        raise ValueError(
            f"{prepared.directory!r} has the splits {sorted(prepared.splits)}, neither train nor "
            "validation. Give TFDS the archives of these, and prepare it again."
        )
    _check_complete(prepared.directory, shards)
    if "test" in prepared.splits:
        count = sum(file.records for file in prepared.splits["test"])
        print(f"imagenet_tfrecords: left out {count:,} images of test, which have no labels")
    return prepared.directory, TFDS, shards


def _check_complete(root, shards):
    folders = {os.path.dirname(shard.file) for shard in shards}
    there = {os.path.join(folder, name) for folder in folders for name in _list(root, folder)}
    missing = [shard.file for shard in shards if shard.file not in there]
    if missing:
        raise ValueError(
            f"{root!r} lacks {len(missing)} of {len(shards)} announced files: "
            f"{', '.join(missing[:20])}{', ...' if len(missing) > 20 else ''}. Copy them, too."
        )


def _list(root, folder):
    path = os.path.join(root, folder)
    return set(file_names.listed(path)) if tf.io.gfile.isdir(path) else set()


def _classic_shards(root) -> list[Shard]:
    shards = []
    for split in SPLITS:
        for folder in ("", split):  # imagenet_to_gcs.py writes into folders, uploads into one
            names = [m for name in _list(root, folder) if (m := _SHARD.match(name))]
            names = [m for m in names if m[1] == split]
            beyond = [m[0] for m in names if m[2] >= m[3]]  # five digits each
            if beyond:
                path = os.path.join(root, folder, min(beyond))
                raise ValueError(f"{path!r} is numbered beyond its total. Remove it.")
            totals = sorted({m[3] for m in names})
            if len(totals) > 1:
                raise ValueError(
                    f"{os.path.join(root, folder)!r} holds {split} files of sets of "
                    f"{' and '.join(str(int(total)) for total in totals)} files. Put each set "
                    "into a folder of its own."
                )
            if totals:
                announced = [f"{split}-{i:05d}-of-{totals[0]}" for i in range(int(totals[0]))]
                shards += [Shard(os.path.join(folder, file), split, None) for file in announced]
                break
    if not shards:
        raise ValueError(
            f"--input_dir={root!r} holds neither train-00000-of-01024, validation-00000-of-00128 "
            "and so on, itself or in train/ and validation/, nor imagenet2012 as TFDS prepares it: "
            f"{TFDS_NAME}/<version>/{tfds_files.INFO_FILE}. Raw images: --source=imagenet."
        )
    _check_complete(root, shards)
    return shards


def check_even(root, counts):
    """A file cut between two records looks whole; but both writers deal records out evenly.

    Counts differ by two at most with tensorflow/models; with tensorflow/tpu all are equal, but for
    the last one and, if there are few images, empty ones behind it.
    """
    files = list(counts)
    most = max(counts.values())
    filled = [file for file in files if counts[file]]
    if not filled:
        return  # `load` refuses that
    empty_at_end = len(files) - 1 - files.index(filled[-1])
    short = [file for file in files if most - counts[file] > 2]
    # N images in n files of c each, c as small as can be, leave fewer than n / c files empty.
    allowed = {filled[-1]}
    if empty_at_end * most < len(files):
        allowed.update(files[len(files) - empty_at_end :])
    short = [file for file in short if file not in allowed]
    if short:
        raise DamagedFileError(
            f"{os.path.join(root, short[0])!r} holds {counts[short[0]]} records, others up to "
            f"{most}. The writers of these files make them equal: {len(short)} were cut off. Copy "
            f"them again: {', '.join(short[:20])}{', ...' if len(short) > 20 else ''}"
        )
