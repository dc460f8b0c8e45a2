"""Single participants' maps out of finished shards: sampled by seed, cut as evaluation cuts them.

Shards are read one a task, so that worker processes share them. What stays in memory is the PNG
files of the sampled images' maps, 1 to 2 kB each: it grows with the sample, not with the data set.
"""

import functools
import hashlib
import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.raters.estimators import BETWEEN_DATA_SETS, ESTIMATORS, block_correlations
from data_prep.readers.seeded import seeded_rank
from gala_tf.data import clickmaps, dataset_info, map_operators, records

PARTICIPANTS, SUM = "clickmap/by_participant", "clickmap/counts"


class StoredMap(NamedTuple):
    """A count map as its record holds it: PNG file, and the image's height and width in pixels."""

    png: bytes
    height: int
    width: int


class SampledImage(NamedTuple):
    """An image of the sample; `key` is its id, or its id's stem."""

    rank: bytes
    key: str
    image_id: str
    maps: tuple[StoredMap, ...]


class View(NamedTuple):
    """How a map is looked at, after its exact blur."""

    blur: str  # text for `clickmaps.parse_blur`, in pixels of the stored image
    grid: int  # h, for sums over h x h cells of the central square; 0 for every pixel of the frame
    crop_fraction: float  # side of that square / short side, as evaluation cuts it


class ShardTask(NamedTuple):
    """What one worker reads; see `read_shard`."""

    path: str
    examples: int
    feature: str
    seed: int
    limit: int
    by_stem: bool = False
    keys: np.ndarray | None = None


def key_of(image_id: str, by_stem: bool) -> str:
    """An image's name: its id, or that without directories and the last extension."""
    return os.path.splitext(image_id.rsplit("/", 1)[-1])[0] if by_stem else image_id


def key_hash(key: str) -> int:
    """64 bits of a name; a million names agree by chance with a probability of 3e-8."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")


def _parsed(task: ShardTask) -> Iterator[dict]:
    """The records of a shard, the features wanted; ValueError naming the one that is damaged."""
    names = ["image/id", "image/height", "image/width", task.feature]
    parse = functools.partial(records.parse_example, names=names)
    dataset = tf.data.TFRecordDataset(task.path).map(parse).prefetch(16)
    read = 0
    try:
        for record in dataset.as_numpy_iterator():
            yield record
            read += 1
    except tf.errors.OpError as error:
        raise ValueError(
            f"Record {read} of shard {task.path!r} cannot be read: "
            f"{error.message.splitlines()[0]} Copy the shard again, or build the data set again."
        ) from error
    if read != task.examples:
        raise ValueError(
            f"Shard {task.path!r} holds {read} records, expected {task.examples} "
            f"({dataset_info.INFO_FILE}). Copy it again, or build the data set again."
        )


def read_shard(task: ShardTask) -> list[SampledImage]:
    """The `limit` images of a shard that come first in the seeded order of their keys.

    Images count that have maps of two participants or more (feature PARTICIPANTS), or a map that is
    stored (SUM); and, where `keys` is given (sorted hashes), only those whose key is in it.
    ValueError: a damaged record, or another number of records than expected.
    """

    def eligible():
        for record in _parsed(task):
            stored = record[task.feature]
            pngs = [png for png in np.atleast_1d(stored) if png]
            if len(pngs) < (2 if task.feature == PARTICIPANTS else 1):
                continue
            image_id = record["image/id"].decode("utf-8")
            key = key_of(image_id, task.by_stem)
            if task.keys is not None and not _contains(task.keys, key_hash(key)):
                continue
            shape = int(record["image/height"]), int(record["image/width"])
            maps = tuple(StoredMap(png, *shape) for png in pngs)
            yield SampledImage(seeded_rank(key, task.seed), key, image_id, maps)

    return heapq.nsmallest(task.limit, eligible(), key=_order)


def _order(image):
    return image.rank, image.image_id


def _contains(hashes, value):
    place = np.searchsorted(hashes, np.uint64(value))
    return place < len(hashes) and int(hashes[place]) == value


def read_hashes(task: ShardTask) -> np.ndarray:
    """uint64 hashes of the keys of a shard's images that have a map."""
    hashes = [
        key_hash(key_of(record["image/id"].decode("utf-8"), task.by_stem))
        for record in _parsed(task)
        if record[task.feature]
    ]
    return np.array(hashes, np.uint64)


def shard_tasks(
    data_dir: str, info: dataset_info.DatasetInfo, splits: Sequence[str], **fields
) -> list:
    """One `ShardTask` for every shard of the splits; ValueError for a missing or damaged one."""
    return [
        ShardTask(path, shard.examples, **fields)
        for split in splits
        for path, shard in zip(
            dataset_info.check_shards(data_dir, info, split), info.splits[split].shards, strict=True
        )
    ]


def sample(tasks: Sequence[ShardTask], run: Callable) -> list[SampledImage]:
    """The images of all shards that come first in the seeded order, in that order.

    `run`: (function, tasks) -> iterator over results, such as `map`.
    """
    chosen = []
    for found in run(read_shard, tasks):
        chosen = heapq.nsmallest(tasks[0].limit, [*chosen, *found], key=_order)
    return chosen


def matched(one: Sequence[ShardTask], other: Sequence[ShardTask], run: Callable):
    """A sample of the images that two data sets share; `maps` are that of `one`, that of `other`.

    Returns (images, number of keys left out since an image of either data set shares them with
    another).
    """
    # The keys of the smaller data set, 8 bytes each, are all that is ever held of a whole one.
    swap = sum(task.examples for task in one) < sum(task.examples for task in other)
    small, large = (one, other) if swap else (other, one)
    limit = large[0].limit
    hashes = np.unique(np.concatenate([*run(read_hashes, small), np.zeros(0, np.uint64)]))
    # One more than wanted: else the cut could hide the second image of the last key.
    from_large = sample([task._replace(keys=hashes, limit=limit + 1) for task in large], run)
    wanted = np.unique(np.array([key_hash(image.key) for image in from_large], np.uint64))
    tables = [_by_key(from_large)]
    rest = [task._replace(keys=wanted, limit=limit + 1) for task in small]
    tables.append(_by_key(sample(rest, run)))
    first, second = reversed(tables) if swap else tables
    images, ambiguous = [], 0
    for key, found in first.items():
        if key not in second:
            continue
        if len(found) > 1 or len(second[key]) > 1:
            ambiguous += 1
            continue
        images.append(found[0]._replace(maps=(found[0].maps[0], second[key][0].maps[0])))
    return images[:limit], ambiguous


def _by_key(images):
    table = {}
    for image in images:
        table.setdefault(image.key, []).append(image)
    return table


def look(stored: StoredMap, view: View, image_id: str) -> np.ndarray:
    """One map, decoded, blurred and cut: [M], as evaluation sees it where the view is the same.

    Box and disc sums are integers, and so are their sums over cells of whole pixels: equal values
    stay equal, on which a rank correlation depends. ValueError: a map that is no PNG file, or not
    of its image's size.
    """
    height, width = stored.height, stored.width
    try:
        counts = records.decode_counts(stored.png, height, width).numpy()
    except tf.errors.OpError as error:
        raise ValueError(
            f"A map of image {image_id!r} ({len(stored.png)} bytes) is no PNG file of "
            f"{height}x{width} pixels: {error.message.splitlines()[0]} Build the data set again."
        ) from error
    blurred = clickmaps.blur_counts(counts, clickmaps.parse_blur(view.blur))
    if not view.grid:
        return blurred.ravel()
    rows, columns = _cells(height, width, view.grid, view.crop_fraction)
    cut = rows @ blurred.astype(np.float64) @ columns.T
    # As in `preprocessing.cut_clickmap`: where cells are no whole pixels, this joins the sums that
    # are equal but for the last bit of their arithmetic.
    return cut.astype(np.float32).ravel()


@functools.lru_cache(maxsize=256)
def _cells(height, width, grid, crop_fraction):
    """[h, H] and [h, W]: the overlap of cells with pixels; of `preprocessing.center_window`."""
    short = min(height, width)
    side = max(1, int(np.rint(np.float32(short) * np.float32(crop_fraction))))
    return tuple(
        map_operators.resample_matrix(
            size, grid, (size - side) // 2, side, "area", dtype="float64"
        ).numpy()
        for size in (height, width)
    )


class BlockTask(NamedTuple):
    """A block of images for one worker; see `correlate`."""

    images: tuple[SampledImage, ...]
    estimator: str
    view: View
    seed: int
    num_splits: int


def correlate(task: BlockTask) -> np.ndarray:
    """The matrix of a block (`block_correlations`); draws depend on seed and key of an image."""
    estimator = ESTIMATORS.get(task.estimator, BETWEEN_DATA_SETS)
    maps, pairs = [], []
    for image in task.images:
        bits = seeded_rank(f"{task.estimator}/{image.key}", task.seed)
        rng = np.random.default_rng(int.from_bytes(bits, "little"))
        drawn = estimator.pairs(len(image.maps), rng, task.num_splits)
        named = {person for pair in drawn for side in pair for person in side}
        pairs.append(drawn)
        maps.append(
            [
                look(stored, task.view, image.image_id) if i in named else None
                for i, stored in enumerate(image.maps)
            ]
        )
    return block_correlations(maps, pairs)
