"""A data set of noise with click maps, and two of its batches again and again.

Reading and decoding are not part of a training step's time; what comes out of the real input
pipeline is, so that the step sees its shapes and types.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from data_prep.building import encoding  # noqa: E402
from gala_tf.data import dataset_info, schema, tfrecord_files

CLASSES = 1000


def build(directory: Path, images: int, side: int) -> dataset_info.DatasetInfo:
    """Writes one shard of square noise, each image with the map of one participant."""
    storage = encoding.Storage("original", 0, "box:49", 64)
    written, rng = [], np.random.default_rng(0)
    for i in range(images):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(file, "JPEG")
        counts = np.zeros((side, side), np.int64)
        y, x = rng.integers(0, side // 2, 2)
        counts[y : y + side // 2, x : x + side // 2] = 1
        label = int(rng.integers(CLASSES))
        example = schema.Example(f"train/{i}", file.getvalue(), label, (counts,), split="train")
        written.append(encoding.encode(example, storage).serialized)
    shard = tfrecord_files.write_shard(
        str(directory / dataset_info.shard_name("train", 0, 1)), written
    )
    split = dataset_info.Split(images, images, 0, CLASSES, (shard,))
    geometry = dataset_info.ImageGeometry("original", side, side, side, side)
    return save_info(directory, "noise", CLASSES, split, geometry)


def save_info(directory: Path, name: str, classes: int, split, image) -> dataset_info.DatasetInfo:
    """Writes and returns the sidecar of a data set with a `dataset_info.Split` to train on alone.

    `image` is a `dataset_info.ImageGeometry`.
    """
    info = dataset_info.DatasetInfo(
        name=name,
        class_names=tuple(f"class{i}" for i in range(classes)),
        splits={"train": split},
        image=image,
        clickmap_blur="box:49",
        clickmap_grid=64,
        human_ceiling=None,
        split_rule="all in train",
        seed=0,
        command="a benchmark",
        tool_version="benchmark",
    )
    dataset_info.save_info(str(directory), info)
    return info


def repeated(strategy, batches, count: int = 2):
    """An endless, distributed data set of the first `count` of some batches, kept in memory."""
    import tensorflow as tf

    iterator = iter(batches)
    kept = [next(iterator) for _ in range(count)]
    stacked = {name: tf.stack([batch[name] for batch in kept]) for name in kept[0]}
    dataset = tf.data.Dataset.from_tensor_slices(stacked).cache().repeat()
    return strategy.experimental_distribute_dataset(dataset)
