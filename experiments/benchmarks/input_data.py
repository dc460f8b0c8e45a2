"""Photographs with made-up click maps, as our shards: `input.py`'s data."""

import io
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_prep import clicks, quickstart  # noqa: E402
from data_prep.building import encoding  # noqa: E402
from gala_tf import records  # noqa: E402

BATCH = 64
SHARDS = 8
PARTICIPANTS, BUBBLES = 5, 74  # of a map; the paper: 472,946 maps of 196,499 images, 35 M bubbles


class Data(NamedTuple):
    """A data set of one split, `train`, that repeats its distinct images."""

    directory: str
    info: records.DatasetInfo
    distinct: int  # the first so many records, shard by shard in turn, are all there are

    @property
    def examples(self) -> int:
        """Records."""
        return self.info.splits["train"].examples

    @property
    def paths(self) -> list[str]:
        """Of its shards."""
        return records.check_shards(self.directory, self.info, "train")

    def messages(self) -> list[bytes]:
        """The distinct records, serialised."""
        import tensorflow as tf

        files = tf.data.Dataset.from_tensor_slices(self.paths)
        rows = files.interleave(tf.data.TFRecordDataset, cycle_length=SHARDS)
        return list(rows.take(self.distinct).as_numpy_iterator())


def photographs(folder: str) -> list[bytes]:
    """JPEG files of a folder; without one, of scikit-image's photographs, at ImageNet's size."""
    if folder:
        found = [p for p in sorted(Path(folder).iterdir()) if p.suffix.lower() in (".jpg", ".jpeg")]
        if not found:
            raise ValueError(f"--images={folder} holds no .jpg or .jpeg; expected photographs.")
        return [path.read_bytes() for path in found]
    files, rng = [], np.random.default_rng(0)
    names = [file for file, _ in quickstart.MATERIALS.values()] + list(quickstart.SCENES)
    for name in names * 4:
        image = Image.fromarray(quickstart.load_photograph(name))
        scale = max(500 / image.width, 375 / image.height) * rng.uniform(1, 1.3)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        buffer = io.BytesIO()
        image.crop((0, 0, 500, 375)).save(buffer, "JPEG", quality=95)
        files.append(buffer.getvalue())
    return files


def _encode(number, file, storage):
    image = records.decode_image(file, str(number))
    rng = np.random.default_rng(number)
    size = image.width, image.height
    maps = tuple(
        clicks.rasterise_bubbles(
            rng.normal(0, 5, (BUBBLES, 2)).cumsum(0) % size, 14, image.height, image.width
        )
        for _ in range(PARTICIPANTS)
    )
    return encoding.encode(records.Example(str(number), file, number, maps, split="train"), storage)


def build(photos: list[bytes], root: Path, storage: str, examples: int) -> Data:
    """Writes a data set of so many records: the photographs again and again.

    Args:
        photos: JPEG files.
        root: the data set's directory is made in it.
        storage: "original", or "square" for 256x256.
        examples: of the split.
    """
    directory = root / f"{storage}_{examples}"
    directory.mkdir()
    how = encoding.Storage(storage, 256, "box:49", 64)
    encoded = [_encode(number, file, how) for number, file in enumerate(photos)]
    shards = tuple(
        records.write_shard(
            str(directory / records.shard_name("train", shard, SHARDS)),
            (encoded[i % len(encoded)].serialized for i in range(shard, examples, SHARDS)),
        )
        for shard in range(SHARDS)
    )
    heights, widths = ([getattr(e, side) for e in encoded] for side in ("height", "width"))
    info = records.DatasetInfo(
        name="photographs",
        class_names=tuple(f"class{i}" for i in range(len(photos))),
        splits={"train": records.Split(examples, examples, examples, len(photos), shards)},
        image=records.ImageGeometry(storage, min(heights), max(heights), min(widths), max(widths)),
        clickmap_blur="box:49",
        clickmap_grid=64,
        human_ceiling=None,
        split_rule="all in train",
        seed=0,
        command="a benchmark",
        tool_version="benchmark",
    )
    records.save_info(str(directory), info)
    return Data(str(directory), info, min(len(photos), examples))
