"""Importance maps of the listed images, out of whatever holds them: `NAME:PLACE`.

NAME is what the group is called in data and figures. PLACE is recognised by what is there:

    a data set of build_tfrecords   the sum over its people; maps of squares are of the square
    a folder of SALICON             its fixations, or its maps (data_prep/sources/salicon.py)
    a .csv or .npz file of clicks   of the game or of ClickMe (data_prep/sources/clickme_clicks.py)
    another folder                  grey images or NPY arrays, named like the images
"""

import collections
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.humans.psychophysics.levels import FRAME
from data_prep.maps import count_maps, geometry
from data_prep.readers.images import map_files
from data_prep.sources import SourceOptions, load_source
from gala_tf.data import dataset_info
from gala_tf.data.schema import Example

NAME_SIGNS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Spec(NamedTuple):
    """A source of maps."""

    name: str
    place: Path


def parse(text: str, flag: str) -> Spec:
    """`clickme:SHARDS`; ValueError names the flag."""
    name, _, place = text.partition(":")
    if not name or not place or not set(name) <= NAME_SIGNS:
        raise ValueError(f"--{flag}={text!r}: expected NAME:PLACE, as clickme:my_shards.")
    if not os.path.exists(place):
        raise ValueError(f"--{flag}={text!r}: there is no {place!r}.")
    return Spec(name, Path(place))


def read_maps(
    spec: Spec, wanted: Mapping[str, tuple[int, int]], images: Path, click_frame: str
) -> dict[str, np.ndarray]:
    """Counts of the wanted images, on the square that people see: {key: int64 [256, 256]}.

    Args:
      wanted: what an image is called in this source -> (height, width) of its file as displayed.
      images: their folder, which clicks need.
      click_frame: what clicks count pixels of, as in `build_tfrecords`.

    ValueError: a map of other proportions than its image, two maps of one image, or one image for
    two. Images without a map are not in the result.
    """
    by_stem = collections.defaultdict(list)
    for key in wanted:
        by_stem[_stem(key)].append(key)
    found: dict[str, np.ndarray] = {}
    for name, read in _all_maps(spec, images, click_frame):
        keys = _fitting(by_stem.get(_stem(name), []), name)
        if len(keys) > 1:
            raise ValueError(f"{spec.place}: map {name!r} fits the images {keys}. Name them apart.")
        if not keys:
            continue
        if keys[0] in found:
            raise ValueError(
                f"{spec.place}: two maps fit the image {keys[0]!r}, one of them {name!r}. Say "
                "which in the list's columns map_a and map_b."
            )
        counts, of_square = read()
        found[keys[0]] = _on_square(counts, of_square, wanted[keys[0]], f"{spec.place}: {name}")
    return found


def _stem(name):
    return os.path.splitext(os.path.basename(name))[0]


def _fitting(keys, name):
    """Of images with the map's file name those whose folders agree furthest, from the file up."""

    def agreement(key):
        parts = zip(reversed(key.split("/")[:-1]), reversed(name.split("/")[:-1]), strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], parts))

    best = max(map(agreement, keys), default=0)
    return [key for key in keys if agreement(key) == best]


def _on_square(counts, of_square, size, where):
    if of_square and counts.shape[0] == counts.shape[1]:
        top, left, side = 0, 0, counts.shape[0]
    else:
        counts = count_maps.fit_map(counts, *size, where)  # refuses other proportions
        top, left, side = geometry.central_square(*size)
    rows = geometry.read_at_centres(counts.astype(np.int64), 0, FRAME, top, side)
    return geometry.read_at_centres(rows, 1, FRAME, left, side)


# --------------------------------------------------------------------------- forms


def _all_maps(spec, images, click_frame) -> Iterator[tuple]:
    """(name, a function that gives the counts [H, W] and whether they may be of the square)."""
    place = spec.place
    if place.is_file():
        if place.suffix.lower() not in (".csv", ".npz"):
            raise ValueError(f"{place}: expected clicks, .csv or .npz, or a folder.")
        yield from _of_source(
            "clickme_clicks",
            SourceOptions(input_dir=str(images), clicks_file=str(place), click_frame=click_frame),
        )
    elif (place / dataset_info.INFO_FILE).is_file():
        yield from _of_data_set(place)
    elif any(list(place.glob(pattern)) for pattern in ("annotations", "fixations", "maps/*.png")):
        yield from _of_source("salicon", SourceOptions(input_dir=str(place)))
    else:
        yield from _of_folder(place)


def _of_folder(place):
    for path in sorted(place.rglob("*")):
        if map_files.suffix(path.name) in map_files.MAP_SUFFIXES:
            name = path.relative_to(place).as_posix()
            yield name, lambda path=path: (map_files.read_map(str(path)).sum(0), False)


def _of_source(name, options):
    source = load_source(name, options)
    for item in source.items:
        yield item.image_id, lambda item=item: (_sum(source.read(item)), False)


def _sum(example: Example):
    maps: Iterable[np.ndarray] = example.participant_maps
    return np.sum([counts.astype(np.int64) for counts in maps], axis=0)


def _of_data_set(place):
    # Late: TensorFlow, which nothing else of the experiment needs.
    from gala_tf.data import records, tfrecord_files

    info = dataset_info.load_info(str(place))
    for split in info.splits.values():
        for shard in split.shards:
            for record in tfrecord_files.records(str(place / shard.file)):
                names = ("image/id", "clickmap/counts")
                image_id, png = (records.parse_example(record, names)[n].numpy() for n in names)
                if png:
                    yield (
                        image_id.decode(),
                        lambda png=png: (np.asarray(Image.open(io.BytesIO(png))), True),
                    )
