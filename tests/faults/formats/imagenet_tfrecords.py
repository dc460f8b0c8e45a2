"""ILSVRC12 as TFRecords, as three writers make them.

* `build_imagenet_data`: tensorflow/models, research/slim/datasets/build_imagenet_data.py.
* `imagenet_to_gcs`: tensorflow/tpu, tools/datasets/imagenet_to_gcs.py; with `validation_defect`,
  as it was from 23 October 2020 (c8f7747) to 14 October 2021 (7fe1551).
* `tfds_imagenet2012`: tensorflow_datasets 4.9.10, imagenet2012 5.1.0, file format tfrecord: the
  names, the order, the files' lengths and the JSON were compared with its own output, which a test
  does again where it is installed.

All are small, with few shards; only the writers' own order of the records (random) is not kept.
"""

import hashlib
import io
import json
import math
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image


class Row(NamedTuple):
    """An image; boxes are (xmin, ymin, xmax, ymax) as fractions of width and height."""

    filename: str
    synset: str
    image: bytes
    boxes: tuple[tuple[float, float, float, float], ...] = ()


def jpeg(seed, height=24, width=32, **save):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(buffer, "JPEG", **save)
    return buffer.getvalue()


def rows(synsets, validation=False, each=1, boxes=()):
    """Rows of equal numbers of each synset, all with the same boxes."""
    made = []
    for number in range(each * len(synsets)):
        synset = synsets[number % len(synsets)]
        name = f"ILSVRC2012_val_{number + 1:08d}" if validation else f"{synset}_{number + 10}"
        image = jpeg(number + 1000 * validation, 24 + number % 3, 32)
        made.append(Row(f"{name}.JPEG", synset, image, tuple(boxes)))
    return made


def int64(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def example(features):
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString()


def gcs_features(row, label):
    """Those of imagenet_to_gcs.py."""
    with Image.open(io.BytesIO(row.image)) as image:
        width, height = image.size
    return {
        "image/height": int64(height),
        "image/width": int64(width),
        "image/colorspace": text("RGB"),
        "image/channels": int64(3),
        "image/class/label": int64(label),
        "image/class/synset": text(row.synset),
        "image/format": text("JPEG"),
        "image/filename": text(os.path.basename(row.filename)),
        "image/encoded": text(row.image),
    }


def models_features(row, label, human="the words"):
    """Those of build_imagenet_data.py; boxes one list an edge, empty without boxes."""
    xmin, ymin, xmax, ymax = zip(*row.boxes, strict=True) if row.boxes else ((),) * 4
    return gcs_features(row, label) | {
        "image/class/text": text(human),
        "image/object/bbox/xmin": floats(xmin),
        "image/object/bbox/xmax": floats(xmax),
        "image/object/bbox/ymin": floats(ymin),
        "image/object/bbox/ymax": floats(ymax),
        "image/object/bbox/label": int64(*[label] * len(row.boxes)),
    }


def write_records(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def build_imagenet_data(directory, name, rows, synsets, shards=2, threads=1, label=None):
    """Files `name`-%05d-of-%05d.

    Args:
      synsets: all classes in the order of the labels file; labels count from 1.
      label: row -> label, for tests of wrong ones.
    """
    label = label or (lambda row: synsets.index(row.synset) + 1)
    spacing = np.linspace(0, len(rows), threads + 1).astype(int)
    for thread in range(threads):
        per_thread = shards // threads
        ranges = np.linspace(spacing[thread], spacing[thread + 1], per_thread + 1).astype(int)
        for s in range(per_thread):
            path = directory / f"{name}-{thread * per_thread + s:05d}-of-{shards:05d}"
            chunk = rows[ranges[s] : ranges[s + 1]]
            write_records(path, [example(models_features(row, label(row))) for row in chunk])


def imagenet_to_gcs(
    directory,
    train,
    validation,
    synset_labels,
    shards=(4, 2),
    validation_defect=False,
    folders=False,
):
    """Both splits.

    Args:
      synset_labels: of synset_labels.txt. Labels count from 1 over all synsets there and in train.
      folders: as in its local directory, not as uploaded.
    """
    synsets = sorted({*synset_labels, *(row.synset for row in train)})
    validation = [] if validation_defect else validation
    for split, rows, count in (("train", train, shards[0]), ("validation", validation, shards[1])):
        chunk = math.ceil(len(rows) / count)
        for shard in range(count):
            folder = directory / split if folders else directory
            write_records(
                folder / f"{split}-{shard:05d}-of-{count:05d}",
                [
                    example(gcs_features(row, synsets.index(row.synset) + 1))
                    for row in rows[shard * chunk : (shard + 1) * chunk]
                ],
            )


TFDS_FEATURES = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "image": {
                "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
                "image": {
                    "shape": {"dimensions": ["-1", "-1", "3"]},
                    "dtype": "uint8",
                    "encodingFormat": "jpeg",
                },
            },
            "label": {
                "pythonClassName": (
                    "tensorflow_datasets.core.features.class_label_feature.ClassLabel"
                ),
                "classLabel": {"numClasses": "1000"},
            },
            "file_name": {
                "pythonClassName": "tensorflow_datasets.core.features.text_feature.Text",
                "text": {},
            },
        }
    },
}


def tfds_imagenet2012(data_dir, splits, synsets, shards=2, label=None, file_format="tfrecord"):
    """A data_dir of TFDS; returns the directory of the version.

    Args:
      splits: "train", "validation", "test" -> rows.
      synsets: all 1000, sorted.
      label: row -> label, for tests of wrong ones. In "test" it is always -1.
    """
    label = label or (lambda row: synsets.index(row.synset))
    directory = data_dir / "imagenet2012" / "5.1.0"
    directory.mkdir(parents=True)
    described = []
    for split, rows in splits.items():
        # The order of the records: MD5 of the key, salted by the split's name.
        rows = sorted(rows, key=lambda r: hashlib.md5((split + r.filename).encode()).hexdigest())
        ends = [round(len(rows) * (i + 1) / shards) for i in range(shards)]
        size, lengths = 0, []
        for index, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            records = [
                example(
                    {
                        "file_name": text(row.filename),
                        "image": text(row.image),
                        "label": int64(-1 if split == "test" else label(row)),
                    }
                )
                for row in rows[start:end]
            ]
            name = f"imagenet2012-{split}.{file_format}-{index:05d}-of-{shards:05d}"
            write_records(directory / name, records)
            size += sum(map(len, records))
            lengths.append(str(len(records)))
        described.append(
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": split,
                "numBytes": str(size),
                "shardLengths": lengths,
            }
        )
    info = {
        "citation": "@article{ILSVRC15, ...}",
        "description": "ILSVRC 2012, commonly known as 'ImageNet' ...",
        "fileFormat": file_format,
        "location": {"urls": ["https://image-net.org/"]},
        "moduleName": "tensorflow_datasets.datasets.imagenet2012.imagenet2012_dataset_builder",
        "name": "imagenet2012",
        "releaseNotes": {"5.1.0": "Added test split."},
        "splits": described,
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "version": "5.1.0",
    }
    (directory / "dataset_info.json").write_text(json.dumps(info, indent=2, sort_keys=True))
    features = json.dumps(TFDS_FEATURES, indent=4, sort_keys=True)
    (directory / "features.json").write_text(features)
    (directory / "label.labels.txt").write_text("\n".join(synsets) + "\n")
    return directory
