"""ClickMe as published with the Harmonization paper (Fel et al. 2022): JPEG images, JPEG maps.

    train/train-0.tfrecords ... train/train-318.tfrecords     val/val-0.tfrecords ... val/val-17...
    clickme_train_0 ...  clickme_val_0 ...     the same, as its loader's downloads lie in a cache

A record holds `image`, a JPEG of 256x256x3, `heatmap`, a JPEG of 256x256x1, and `label`, 0-based by
sorted WordNet id. Its own loader reads shards 0...317 and 0...16, though its tests download 318 and
17: the last of each split is left out there. Here every shard is read; files carry no total, so a
hole in the numbers is an error, and fewer files than are known a warning.

The map is the decoded JPEG as it is, grey levels 0...255 in place of counts: the scale of each map
is lost, and zeros carry the ripples of the coding, here and there a count of 1 or 2. Nothing is cut
off, because no threshold tells a ripple from a mark. What the coding costs, on 60 simulated maps at
a crop of 224: Spearman with the exact map .957 (quality 95) or .938 (75); after a 49x49 box blur
.985 (75). Which quality was used is not known. `clickme_release` has exact maps. An empty heatmap
feature is no map. How many clicks a map holds is not in the records, so it is 0, unknown.

The published `val` became the test split: its authors made it from the files of the paper's test
set, as far as their older code tells, and report their scores on it. Validation images are held
out of train (`validation_fraction`), by the seed and the record's number; the release has no names
of images, so the builder's comparison of contents finds an image that came twice.
"""

import functools
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from data_prep.maps import count_maps, geometry
from data_prep.readers import listing
from data_prep.readers.examples.example_features import Fields
from data_prep.readers.imagenet import imagenet_classes
from data_prep.readers.seeded import seeded_rank
from data_prep.sources import Item, Source, SourceOptions, clickme
from gala_tf.data import files, tfrecord_files
from gala_tf.data.images import BadImageError, decode_image
from gala_tf.data.schema import Example

SIDE = 256
KNOWN_SHARDS = {"train": 319, "val": 18}
_LAYOUTS = ("{split}/{split}-{number}.tfrecords", "clickme_{split}_{number}")


class _File(NamedTuple):
    path: str
    name: str  # relative to input_dir
    split: str  # as published: train or val


def load(options: SourceOptions) -> Source:
    """Finds the shards; ValueError: no shards, a hole in their numbers, an unknown option."""
    fraction = options.validation_fraction
    if not 0 <= fraction < 1:
        raise ValueError(f"--validation_fraction must be in [0, 1), got {fraction}.")
    imagenet_classes.to_label(1, options.label_order)  # an unknown order is an error now
    files = _find(options.input_dir)
    return Source(
        class_names=imagenet_classes.class_names(),
        items=_items(files, fraction, options.seed),
        read=functools.partial(_read, options.label_order),
        place=_place,
        split_rule=(
            f"test = the release's val; validation = {fraction:g} of its train, by record, "
            f"seed {options.seed}"
        ),
        human_ceiling=clickme.HUMAN_CEILING,
    )


def _find(root: str) -> list[_File]:
    shards = []
    for split, known in KNOWN_SHARDS.items():
        names = []
        for layout in _LAYOUTS:
            found = files.matching(layout.format(split=split, number="*"), root)
            pattern = re.escape(layout).replace(r"\{split\}", split)
            pattern = re.compile(pattern.replace(r"\{number\}", r"(\d+)"))
            relative = (os.path.relpath(path, root).replace(os.sep, "/") for path in found)
            names += [(int(m[1]), m[0]) for m in map(pattern.fullmatch, relative) if m]
        if not names:
            logging.warning("%s: no %s shards; there should be %d.", root, split, known)
            continue
        numbers = [number for number, _ in sorted(names)]
        if numbers != list(range(len(numbers))):
            missing = sorted(set(range(numbers[-1])) - set(numbers))
            raise ValueError(
                f"--input_dir={root!r}: the {split} shards should be numbered 0, 1, 2 ... without "
                f"hole or double, got {len(numbers)} up to {numbers[-1]}; missing are "
                f"{missing[:5]}. Download those, or remove doubles."
            )
        if len(numbers) < known:
            logging.warning(
                "%s: %d %s shards; %d are known, up to number %d, which the original loader "
                "leaves out.", root, len(numbers), split, known, known - 1
            )  # fmt: skip
        shards += [_File(os.path.join(root, name), name, split) for _, name in sorted(names)]
    if not shards:
        raise ValueError(
            f"--input_dir={root!r} holds neither train/train-0.tfrecords nor clickme_train_0, nor "
            "val alike. Give the folder that contains train/ and val/."
        )
    return shards


def _items(files: list[_File], fraction: float, seed: int) -> Iterator[Item]:
    for file in files:
        with listing.one_row():
            if not tfrecord_files.file_size(file.path):
                raise ValueError(f"{file.path!r} holds no record. Download it again.")
            for number, span in enumerate(tfrecord_files.spans(file.path)):
                image_id = f"{file.name}/{number}"
                split = "test" if file.split == "val" else "train"
                # Its place in 0...1: below the fraction it is held out, without a list of all.
                rank = int.from_bytes(seeded_rank(image_id, seed)[:8], "big") / 2**64
                if split == "train" and rank < fraction:
                    split = "validation"
                yield Item(image_id, split, json.dumps([file.path, number, span]))


def _read(label_order: str, item: Item) -> Example:
    path, number, span = json.loads(item.key)
    name = f"{path!r}, record {number}"
    data = tfrecord_files.read(path, tfrecord_files.Span(*span), number)
    fields = Fields(data, name)
    image, heatmap = fields.bytes("image"), fields.bytes("heatmap", b"")
    _check_jpeg(image, f"{name}, image")
    example = Example(
        image_id=item.image_id,
        image=image,
        label=clickme.read_label(fields.integer("label"), label_order, name),
        split=item.split,
    )
    return count_maps.attach(
        example, lambda: (_counts(heatmap, f"{name}, heatmap"),) if heatmap else ()
    )


def _place(key: str) -> str:
    path, number, _ = json.loads(key)
    return f"{path!r}, record {number}"


def _check_jpeg(data, name):
    """From the head alone, so that nothing large is ever decoded."""
    if data[:2] != b"\xff\xd8":
        raise BadImageError(
            f"{name}: its {len(data)} bytes, first {data[:4].hex()}, are no JPEG file. Raw floats "
            "are --source=clickme_release; else download the file again."
        )
    size = geometry.displayed_size(data, name)
    if size != (SIDE, SIDE):
        raise BadImageError(
            f"{name}: {size[0]}x{size[1]} (height x width), expected {SIDE}x{SIDE}. Is it of "
            "another release?"
        )


def _counts(data, name):
    """The map's grey levels as counts: int64 [256, 256] in 0...255.

    By TensorFlow's default transform, as the release's own loader has them: a faster one than
    Pillow's, up to 10 grey levels away. On 40 simulated maps of 74 bubbles that moved an
    image's Spearman at 224x224 by .001 on average, by up to .005.
    """
    _check_jpeg(data, name)
    image = decode_image(data, name)  # whole, and grey
    if image.mode != "L":
        raise BadImageError(
            f"{name}: a JPEG of mode {image.mode}, expected one grey channel. Are image and "
            "heatmap exchanged?"
        )
    return tf.io.decode_jpeg(data)[..., 0].numpy().astype(np.int64)
