"""Photographs with made-up click maps, as our shards: `input.py`'s data."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from parts.made_up_data import save_info

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from data_prep.building import encoding  # noqa: E402
from data_prep.maps import rasterise
from gala_tf.data import dataset_info, schema, tfrecord_files
from gala_tf.data.images import decode_image

BATCH = 64
SHARDS = 8
PARTICIPANTS, BUBBLES = 5, 74  # of a map; the paper: 472,946 maps of 196,499 images, 35 M bubbles


class Data(NamedTuple):
    """A data set of one split, `train`, that repeats its distinct images."""

    directory: str
    info: dataset_info.DatasetInfo
    distinct: int  # the first so many records, shard by shard in turn, are all there are

    @property
    def examples(self) -> int:
        """Records."""
        return self.info.splits["train"].examples

    @property
    def paths(self) -> list[str]:
        """Of its shards."""
        return dataset_info.check_shards(self.directory, self.info, "train")

    def messages(self) -> list[bytes]:
        """The distinct records, serialised."""
        import tensorflow as tf

        files = tf.data.Dataset.from_tensor_slices(self.paths)
        rows = files.interleave(tf.data.TFRecordDataset, cycle_length=SHARDS)
        return list(rows.take(self.distinct).as_numpy_iterator())


def _encode(number, file, storage):
    image = decode_image(file, str(number))
    rng = np.random.default_rng(number)
    size = image.width, image.height
    maps = tuple(
        rasterise.rasterise_bubbles(
            rng.normal(0, 5, (BUBBLES, 2)).cumsum(0) % size, 14, image.height, image.width
        )
        for _ in range(PARTICIPANTS)
    )
    return encoding.encode(schema.Example(str(number), file, number, maps, split="train"), storage)


def build(photos: list[bytes], root: Path, storage: str, examples: int) -> Data:
    """Writes a data set of so many records: the photographs, JPEG files, again and again.

    Its directory is made in `root`; `storage` is "original", or "square" for 256x256.
    """
    directory = root / f"{storage}_{examples}"
    directory.mkdir()
    how = encoding.Storage(storage, 256, "box:49", 64)
    encoded = [_encode(number, file, how) for number, file in enumerate(photos)]
    shards = tuple(
        tfrecord_files.write_shard(
            str(directory / dataset_info.shard_name("train", shard, SHARDS)),
            (encoded[i % len(encoded)].serialized for i in range(shard, examples, SHARDS)),
        )
        for shard in range(SHARDS)
    )
    heights, widths = ([getattr(e, side) for e in encoded] for side in ("height", "width"))
    sides = min(heights), max(heights), min(widths), max(widths)
    image = dataset_info.ImageGeometry(storage, *sides)
    split = dataset_info.Split(examples, examples, examples, len(photos), shards)
    info = save_info(directory, "photographs", len(photos), split, image)
    return Data(str(directory), info, min(len(photos), examples))
