"""A data set of a few made-up images in seconds, through the builder's own encoder, and a network.

Four classes of coloured squares on noise; the map covers the square. Learnable, so that a test can
tell a network that trains from one that does not.
"""

import io

import numpy as np
from PIL import Image

from data_prep.building import encoding
from gala_tf import config
from gala_tf.data import dataset_info, schema, tfrecord_files

SIZE = 32
COLORS = np.array([[220, 40, 40], [40, 200, 40], [50, 70, 230], [220, 200, 40]])
COUNTS = {"train": 40, "validation": 12, "test": 13}

# The smallest network that has everything: every kind of layer, two gates, 14x14 and 7x7 maps.
FLAGS = dict(
    stage_blocks=(1, 1),
    stage_widths=(8, 8),
    stem="small",
    image_size=28,
    attention_units="all",
    clickmap_blur="box:5",
    map_loss_weight=1.0,
    epochs=3.0,
    global_batch_size=8,
    learning_rate_per_256=1.0,
    warmup_epochs=1.0,
    schedule="cosine",
    steps_per_loop=3,
    eval_every_epochs=1.0,
    shuffle_buffer=16,
)


def make_example(index, split):
    """One image with its square, and two participants' maps unless the index is a multiple of 5."""
    rng = np.random.default_rng([index, ["train", "validation", "test"].index(split)])
    label = int(rng.integers(len(COLORS)))
    pixels = rng.integers(60, 200, (SIZE, SIZE, 3))
    top, left = rng.integers(0, SIZE - 12, 2)
    pixels[top : top + 12, left : left + 12] = COLORS[label]
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    maps = []
    for shift in rng.integers(-2, 3, (2, 2)) if index % 5 else ():
        counts = np.zeros((SIZE, SIZE), np.int64)
        y, x = np.maximum([top, left] + shift, 0)
        counts[y : y + 12, x : x + 12] = rng.integers(1, 4)
        maps.append(counts)
    return schema.Example(f"{split}/{index}", file.getvalue(), label, tuple(maps), split=split)


def build(directory, counts=COUNTS, shards=3):
    """Writes the data set into `directory`; returns its `dataset_info.DatasetInfo`."""
    storage = encoding.Storage("original", 0, "box:5", 16)
    splits = {}
    for split, count in counts.items():
        encoded = [encoding.encode(make_example(i, split), storage) for i in range(count)]
        written = tuple(
            tfrecord_files.write_shard(
                str(directory / dataset_info.shard_name(split, shard, shards)),
                [item.serialized for item in encoded[shard::shards]],
            )
            for shard in range(shards)
        )
        splits[split] = dataset_info.Split(
            examples=count,
            with_clickmap=sum(item.has_clickmap for item in encoded),
            with_participants=sum(item.participants > 1 for item in encoded),
            classes=len({item.label for item in encoded}),
            shards=written,
        )
    return describe(
        directory,
        splits,
        name="squares",
        class_names=("red", "green", "blue", "yellow"),
        clickmap_grid=16,
    )


def describe(directory, splits, **changes):
    """Writes the sidecar of shards that a test made, and returns it; unsaid fields are as here."""
    fields = {
        "name": directory.name,
        "class_names": ("one",),
        "image": dataset_info.ImageGeometry("original", SIZE, SIZE, SIZE, SIZE),
        "clickmap_blur": "box:5",
        "clickmap_grid": 4,
        "human_ceiling": None,
        "split_rule": "by hand",
        "seed": 0,
        "command": "by hand",
        "tool_version": "test",
    }
    info = dataset_info.DatasetInfo(splits=splits, **(fields | changes))
    dataset_info.save_info(str(directory), info)
    return info


def small_config(data_dir, model_dir, **changes):
    """A Config that trains in seconds."""
    return config.Config(data_dir=str(data_dir), model_dir=str(model_dir), **{**FLAGS, **changes})


def flag_arguments(run_config):
    """The Config as command-line arguments."""
    return config.to_flagfile(run_config).splitlines()
