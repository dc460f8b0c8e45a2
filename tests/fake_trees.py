"""Fake trees of raw material for the tests of data_prep, and building and reading data sets."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags
from PIL import Image

from data_prep.building import build as builder
from data_prep.building import flags as build_flags
from data_prep.sources import SourceOptions
from gala_tf.data import dataset_info, records


def write_image(path, seed, height=24, width=32, mode="RGB", orientation=None):
    """A picture of its own for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image = Image.fromarray(pixels).resize((width, height)).convert(mode)
    image.save(path, exif=exif)


def write_map(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


def counts(seed=0, height=24, width=32):
    return np.random.default_rng(seed).integers(0, 5, (height, width), dtype=np.uint8)


def write_classes(root, each):
    """Three classes of `each` images; every other image has a map."""
    for c, name in enumerate(("ant", "bee", "cat")):
        for i in range(each):
            seed = 100 * c + i
            write_image(root / name / f"{i}.jpg", seed)
            if i % 2:
                write_map(root / name / f"{i}.png", counts(seed))
    return root


def digests(directory):
    """Name -> checksum of every file in a directory, in order."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(directory).iterdir())
        if path.is_file()
    }


def assert_travels(source, items, again):
    """`read` does in another process what it does here; listed `again`, the items are the same."""
    there = pickle.loads(pickle.dumps(source.read))
    for item in items.values():
        assert "\n" not in item.key
        np.testing.assert_array_equal(
            there(item).participant_maps, source.read(item).participant_maps
        )
    assert list(items.values()) == list(again.values())


def build(output_dir, *arguments, **options):
    """Runs the builder in this process; options are flags."""
    flag_values = flags.FlagValues()
    build_flags.define(flag_values)
    options = {"output_dir": output_dir, "clickmap_grid": 8} | options
    flag_values(["x", *arguments, *(f"--{name}={value}" for name, value in options.items())])
    return builder.build(flag_values, "the command")


def read(directory, info=None):
    """Split -> parsed records, in order, as NumPy."""
    info = info or dataset_info.load_info(str(directory))
    return {
        split: [
            {name: value.numpy() for name, value in records.parse_example(serialized).items()}
            for path in dataset_info.check_shards(str(directory), info, split)
            for serialized in tf.data.TFRecordDataset(path)
        ]
        for split in info.splits
    }


def options(root, **others):
    return SourceOptions(input_dir=str(root), **others)
