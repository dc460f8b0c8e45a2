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
import json
import os
from collections.abc import Iterator

from absl import logging

from data_prep.maps import count_maps
from data_prep.readers import listing
from data_prep.readers.examples import example_features, tfds_files
from data_prep.readers.examples.example_features import Fields
from data_prep.readers.imagenet import imagenet_boxes, imagenet_classes
from data_prep.readers.imagenet.imagenet_ground_truth import checked_label
from data_prep.readers.imagenet.imagenet_shards import CLASSIC, SPLITS, WHOLE, check_even, find
from data_prep.sources import Item, Source, SourceOptions
from gala_tf.data import tfrecord_files
from gala_tf.data.files import file_size, open_binary
from gala_tf.data.schema import Example
from gala_tf.data.tfrecord_files import DamagedFileError, Span

IN_RECORDS = "in_records"  # the value of --boxes


def load(options: SourceOptions) -> Source:
    """Finds the shards, and tries the first record of each split.

    ValueError: no such files, some missing, all of a split empty, a data set of TFDS in another
    file format, no boxes in the records where they are wanted, labels of another order.
    """
    if options.boxes not in ("", IN_RECORDS):
        raise ValueError(
            f"--boxes={options.boxes!r}: --source=imagenet_tfrecords takes boxes from its records "
            f"only: --boxes={IN_RECORDS}, or none. For files of boxes use --source=imagenet."
        )
    root, layout, shards = find(options.input_dir)
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
                if split == "validation" and layout is CLASSIC
                else ": their writer found no images. Write or copy them again."
            )
            + " To go on without them, move them away."
        )
    shard = shards[paths.index(path)]
    try:
        read(next(_items(root, layout, [shard._replace(records=None)])))
    except DamagedFileError as error:
        logging.warning("%s", error)  # one record tells nothing about the others


def _items(root, layout, shards) -> Iterator[Item]:
    for split in SPLITS:
        counts = {}
        for shard in shards:
            if shard.split == split:
                counts[shard.file] = 0
                with listing.one_row():
                    for item in _items_of(root, layout, shard):
                        counts[shard.file] += 1
                        yield item
                    if shard.records not in (None, counts[shard.file]):
                        raise DamagedFileError(
                            f"{os.path.join(root, shard.file)!r} holds {counts[shard.file]} "
                            f"records, expected {shard.records} ({tfds_files.INFO_FILE}). It was "
                            "cut off, or exchanged; copy it again."
                        )
        if layout is CLASSIC and counts:
            with listing.one_row():
                check_even(root, counts)
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
