"""ILSVRC12 as TFRecords that somebody made before; the JPEG files in them pass through untouched.

Classic shards, of tensorflow/models (research/slim/datasets/build_imagenet_data.py) or of
tensorflow/tpu (tools/datasets/imagenet_to_gcs.py), in one folder or in train/ and validation/:

    train-00000-of-01024         image/{height,width,colorspace,channels,format,filename,encoded},
    validation-00000-of-00128    image/class/{label,synset}; labels 1...1000 by sorted WordNet id.
                                 tensorflow/models also image/class/text, and
                                 image/object/bbox/{xmin,xmax,ymin,ymax,label}, edges in 0...1

TensorFlow Datasets' imagenet2012, prepared as tfrecord files (`readers/tfds_files.py`): image,
label 0...999 by sorted WordNet id, file_name. Its test split has no labels and is left out.

Which of the two it is shows in the files. Every record's label is checked against its WordNet id
and its file's name.
"""

import functools
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from data_prep.maps import count_maps
from data_prep.readers import file_names
from data_prep.readers.examples import example_features, tfds_files
from data_prep.readers.examples.example_features import Fields
from data_prep.readers.imagenet import imagenet_boxes, imagenet_classes
from data_prep.readers.imagenet.imagenet_ground_truth import checked_label
from data_prep.sources import Item, Source, SourceOptions
from gala_tf.data import tfrecord_files
from gala_tf.data.files import file_size, open_binary
from gala_tf.data.schema import Example
from gala_tf.data.tfrecord_files import DamagedFileError, Span

IN_RECORDS = "in_records"  # the value of --boxes
WHOLE = {"train": 1_281_167, "validation": 50_000}  # images of ILSVRC12
SPLITS = tuple(WHOLE)
TFDS_NAME = "imagenet2012"

_SHARD = re.compile(r"(train|validation)-(\d{5})-of-(\d{5})$")


class _Layout(NamedTuple):
    """What tells the two forms apart: names of features, and the order of labels."""

    image: str
    label: str
    file_name: str
    synset: str | None
    label_order: str


_CLASSIC = _Layout(
    "image/encoded",
    "image/class/label",
    "image/filename",
    "image/class/synset",
    "sorted_from_1",
)
_TFDS = _Layout("image", "label", "file_name", None, "sorted")


class _Shard(NamedTuple):
    file: str  # relative to the root
    split: str
    records: int | None  # if its maker wrote that down


def load(options: SourceOptions) -> Source:
    """Finds the shards, and tries the first record of each split.

    Raises:
      ValueError: no such files, some missing, all of a split empty, a data set of TFDS in another
        file format, no boxes in the records where they are wanted, labels of another order.
    """
    if options.boxes not in ("", IN_RECORDS):
        raise ValueError(
            f"--boxes={options.boxes!r}: --source=imagenet_tfrecords takes boxes from its records "
            f"only: --boxes={IN_RECORDS}, or none. For files of boxes use --source=imagenet."
        )
    root, layout, shards = _find(options.input_dir)
    read = functools.partial(_read, root, layout, bool(options.boxes))
    for split in SPLITS:
        _try_first_record(root, layout, [s for s in shards if s.split == split], read)
    found = ", ".join(split for split in SPLITS if any(s.split == split for s in shards))
    return Source(
        class_names=imagenet_classes.class_names(),
        items=_items(root, layout, shards),
        read=read,
        place=_place,
        split_rule=f"ILSVRC12's own, by the records' files: {found}",
    )


# --------------------------------------------------------------------------- finding files


def _find(input_dir):
    """Root, layout and shards, those of a split in order."""
    prepared = tfds_files.find(input_dir, TFDS_NAME)
    if prepared is None:
        return input_dir, _CLASSIC, _classic_shards(input_dir)
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
        _Shard(file.name, split, file.records)
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
    return prepared.directory, _TFDS, shards


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


def _classic_shards(root) -> list[_Shard]:
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
                shards += [_Shard(os.path.join(folder, file), split, None) for file in announced]
                break
    if not shards:
        raise ValueError(
            f"--input_dir={root!r} holds neither train-00000-of-01024, validation-00000-of-00128 "
            "and so on, itself or in train/ and validation/, nor imagenet2012 as TFDS prepares it: "
            f"{TFDS_NAME}/<version>/{tfds_files.INFO_FILE}. Raw images: --source=imagenet."
        )
    _check_complete(root, shards)
    return shards


def _try_first_record(root, layout, shards, read):
    """So that what is wrong with all records is known before a million is listed."""
    if not shards:
        return
    split = shards[0].split
    paths = [os.path.join(root, shard.file) for shard in shards]
    path = next((path for path in paths if file_size(path)), None)
    if path is None:
        raise ValueError(
            f"All {len(shards)} {split} files in {root!r} are empty"
            + (
                ". tensorflow/tpu's imagenet_to_gcs.py wrote such files between 23 October 2020 "
                "and 14 October 2021: it looked for validation/*/.JPEG. Write them again with "
                "another version of it, or build from the images (--source=imagenet)."
                if split == "validation" and layout is _CLASSIC
                else ": their writer found no images. Write or copy them again."
            )
            + " To go on without them, move them away."
        )
    shard = shards[paths.index(path)]
    try:
        read(next(_items(root, layout, [shard._replace(records=None)])))
    except DamagedFileError as error:
        logging.warning("%s", error)  # one record tells nothing about the others


# --------------------------------------------------------------------------- listing


def _items(root, layout, shards) -> Iterator[Item]:
    for split in SPLITS:
        counts = {}
        for shard in shards:
            if shard.split == split:
                counts[shard.file] = 0
                for item in _items_of(root, layout, shard):
                    counts[shard.file] += 1
                    yield item
                _check_records(root, shard, counts[shard.file])
        if layout is _CLASSIC and counts:
            _check_even(root, counts)
        if counts:
            total = sum(counts.values())
            part = "" if total == WHOLE[split] else f"; the whole of ILSVRC12 has {WHOLE[split]:,}"
            print(f"imagenet_tfrecords: {split}: {total:,} images in {len(counts)} files{part}")


def _items_of(root, layout, shard):
    path = os.path.join(root, shard.file)
    with open_binary(path) as file:
        for record, span in enumerate(tfrecord_files.spans(path)):
            name = example_features.bytes_feature(file, span, layout.file_name)
            key = json.dumps([shard.file, *span, record])
            yield Item(_image_id(name, shard, record), shard.split, key)


def _image_id(name, shard, record):
    """The recorded file name; its place if there is none, or a damaged one: reading will tell."""
    text = (name or b"").decode("utf-8", "replace")
    if text and text.isprintable() and "\ufffd" not in text:
        return text
    return f"{shard.file}#{record}"


def _check_records(root, shard, count):
    if shard.records is not None and count != shard.records:
        raise DamagedFileError(
            f"{os.path.join(root, shard.file)!r} holds {count} records, expected {shard.records} "
            f"({tfds_files.INFO_FILE}). It was cut off, or exchanged; copy it again."
        )


def _check_even(root, counts):
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


# --------------------------------------------------------------------------- reading


def _read(root, layout, boxes, item) -> Example:
    file, offset, length, record = json.loads(item.key)
    path = os.path.join(root, file)
    data = tfrecord_files.read(path, Span(offset, length), record)
    fields = Fields(data, f"{path!r}, record {record}")
    name = fields.bytes(layout.file_name).decode("utf-8", "replace")
    where = f"{path!r}, record {record} ({name})"
    image = fields.bytes(layout.image)
    example = Example(
        image_id=item.image_id,
        image=image,
        label=_label(fields, layout, item.split, name, where),
        split=item.split,
    )

    def maps():
        found = example_features.box_fractions(data, where) if boxes else []
        counts = imagenet_boxes.box_map(found, image, where) if found else None
        return () if counts is None else (counts,)

    return count_maps.attach(example, maps)


def _place(key: str) -> str:
    file, _, _, record = json.loads(key)
    return f"{file!r}, record {record}"


def _label(fields, layout, split, name, where):
    numbers = fields.integers(layout.label)
    evidence = {}
    if wnid := imagenet_classes.known_wnid(os.path.splitext(os.path.basename(name))[0]):
        evidence["file name"] = wnid
    elif split == "train" and layout.synset is None:
        raise ValueError(
            f"{where}: the file's name does not tell its class, expected the form "
            "n01440764_10026.JPEG. So its label cannot be checked; prepare the data set again."
        )
    if layout.synset:
        evidence["synset"] = fields.bytes(layout.synset).decode("utf-8", "replace")
    # Their readers take -1 for a missing label.
    number = numbers[0] if len(numbers) == 1 else -1
    return checked_label(number, layout.label_order, evidence, where)
