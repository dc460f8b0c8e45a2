"""The sources a data set can be built from, and how to add one.

A source is a module with one function:

    load(options: SourceOptions) -> Source

which looks at the raw material without reading every image, and returns class names, a count, the
splitting rule in words, and an iterator of `gala_tf.records.Example`. The contract:

* The same options give the same examples in the same order: sort what a directory lists.
* Every example says its split, and its `image_id` (unique) is what errors will call it.
* `image` is the file's bytes as they came. The builder decodes, turns, checks and re-encodes it.
* `participant_maps` are integer counts in the frame of the displayed image (EXIF applied).
* Examples of the test split come first, then validation, then train: where the same picture is met
  twice, the later one is dropped, so that training loses it.
* What the user can mend is a ValueError that names file, expectation, finding and remedy.

To add a source: write the module, and add one line to SOURCES. Nothing else changes.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gala_tf.records import Example


@dataclass(frozen=True)
class SourceOptions:
    """What the command line tells a source; `SourceEntry.reads` names those it takes.

    Attributes:
      input_dir: root of the raw material.
      maps_dir: root of a parallel tree of maps; "": maps lie beside their images.
      split_proportions: of train, validation and test; any scale.
      validation_fraction: of the training images, where a source fixes only train and test.
      seed: decides splits, and whatever else is drawn.
    """

    input_dir: str = ""
    maps_dir: str = ""
    split_proportions: tuple[float, float, float] = (1.0, 0.0, 0.0)
    validation_fraction: float = 0.0
    seed: int = 0


class Source(NamedTuple):
    """A source, loaded: `examples` can be run through once; `count`, if known, gives an ETA."""

    class_names: tuple[str, ...]
    examples: Iterator[Example]
    count: int | None
    split_rule: str


class SourceEntry(NamedTuple):
    """One line of SOURCES.

    Attributes:
      module: imported only when the source is asked for, so that none burdens another.
      summary: for --help.
      reads: options that it takes beside the seed.
      clickmap_blur: suits its images' size, as `gala_tf.clickmaps.parse_blur` reads it.
    """

    module: str
    summary: str
    reads: tuple[str, ...]
    clickmap_blur: str


SOURCES = {
    "quickstart": SourceEntry(
        "data_prep.sources.quickstart",
        "the built-in data set: nothing to download",
        reads=(),
        clickmap_blur="box:13",  # the paper's 49 of 256 pixels, at 64
    ),
    "folder": SourceEntry(
        "data_prep.sources.folder",
        "your own images in class folders, maps as PNG or NPY files of equal stem",
        reads=("input_dir", "maps_dir", "split_proportions"),
        clickmap_blur="box:49",
    ),
    "tiny_imagenet": SourceEntry(
        "data_prep.sources.tiny_imagenet",
        "Tiny ImageNet as downloaded, its human-drawn boxes as maps",
        reads=("input_dir", "validation_fraction"),
        clickmap_blur="none",  # a box is already an area
    ),
    # Further sources (ILSVRC12, ClickMe in its published forms, SALICON, ...): one line each.
}


def load_source(name: str, options: SourceOptions) -> Source:
    """Loads a source by its name in SOURCES; ValueError listing them if there is none."""
    if name not in SOURCES:
        raise ValueError(f"--source={name!r} is unknown; known sources: {', '.join(SOURCES)}.")
    return importlib.import_module(SOURCES[name].module).load(options)
