"""Twelve grey images in three shards, each known by its grey level, for tests of the pipelines."""

import io

import numpy as np
import small_data
import tensorflow as tf
from PIL import Image

from gala_tf.data import (
    bad_records,
    clickmaps,
    dataset_info,
    eval_pipeline,
    map_operators,
    records,
    schema,
    tfrecord_files,
)

HEIGHT, WIDTH, GRID = 40, 48, 10
SHARDS = ((0, 1, 2, 3, 4), (5, 6, 7), (8, 9, 10, 11))  # the images in each
NO_MAP, EMPTY_MAP, ONE_PARTICIPANT = (3, 7, 11), (4,), (5,)
BLUR = clickmaps.parse_blur("box:5")
GEOMETRY = {"image_size": 32, "clickmap_size": 8, "clickmap_blur": BLUR, "crop_fraction": 0.8}


def participants(index):
    """Count maps of image `index`: random bubbles, different for each participant."""
    if index in NO_MAP:
        return ()
    rng = np.random.default_rng(index)
    maps = np.zeros((1 if index in ONE_PARTICIPANT else 2 + index % 2, HEIGHT, WIDTH), np.uint8)
    for counts in maps if index not in EMPTY_MAP else ():
        for top, left in rng.integers(0, (HEIGHT - 6, WIDTH - 6), (9, 2)):
            counts[top : top + 6, left : left + 6] += 1
    return tuple(maps)


def encode(index):
    pixels = np.full((HEIGHT, WIDTH, 3), 20 * index + 10, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    maps = participants(index)
    example = schema.Example(f"image-{index}", file.getvalue(), index % 4, maps)
    if not maps:
        return records.encode_example(example)
    total = np.sum(maps, axis=0, dtype=np.int64)
    blurred = clickmaps.blur_counts(total, BLUR)
    cells = [map_operators.resample_matrix(n, GRID, 0, n, "area").numpy() for n in total.shape]
    grid = cells[0] @ blurred @ cells[1].T
    grid = np.rint(grid * 255 / max(grid.max(), 1)).astype(np.uint8)
    box = clickmaps.extent_box(total) or (0.0,) * 4
    return records.encode_example(example, blurred=grid, box=box)


def write_data_set(directory, shards):
    written = tuple(
        tfrecord_files.write_shard(
            str(directory / dataset_info.shard_name("train", number, len(shards))),
            map(encode, indices),
        )
        for number, indices in enumerate(shards)
    )
    examples = sum(shard.examples for shard in written)
    return small_data.describe(
        directory,
        {"train": dataset_info.Split(examples, 0, 0, 4, written)},
        class_names=("a", "b", "c", "d"),
        image=dataset_info.ImageGeometry("original", HEIGHT, HEIGHT, WIDTH, WIDTH),
        clickmap_grid=GRID,
        command="rebuild-me",
    )


def eval_dataset(data, batch_size=5, **changes):
    return eval_pipeline.make_eval_dataset(
        *data, "train", batch_size=batch_size, **{**GEOMETRY, **changes}
    )


def check_records(data_dir, info, split):
    """Decodes a whole split; the error that a run of it would end with."""
    if bad := bad_records.find(data_dir, info, split):
        raise ValueError(bad_records.describe(data_dir, info, bad))


def take(dataset, batches):
    """The first batches, joined: name -> array."""
    parts = list(dataset.take(batches).as_numpy_iterator())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def identity(images):
    """Which image each is, from its grey level."""
    return np.rint((images.mean((1, 2, 3)) - 10) / 20).astype(int)


def contexts(pipelines, replicas=1):
    total = pipelines * replicas
    return [tf.distribute.InputContext(pipelines, index, total) for index in range(pipelines)]


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def exact_map(counts, blur):
    """Blur, central 32 x 32 crop of the 40 x 48 image, sums of 4 x 4 blocks; in integers."""
    blurred = clickmaps.blur_counts(counts, blur)[4:36, 8:40]
    return blurred.reshape(8, 4, 8, 4).sum((1, 3))
