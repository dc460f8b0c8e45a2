"""The sources a data set can be built from, and how to add one.

A source is a module with one function:

    load(options: SourceOptions) -> Source

It checks that the raw material is what it should be, without reading every image, and returns class
names, the list of images, and how one of them is read. The contract:

* `items` lists without reading images, and without keeping the list: it is a generator. The same
  options give the same items in the same order: sort what a directory lists.
* `read(item)` gives one `gala_tf.data.schema.Example`. It runs in worker processes, in any order,
  so it is picklable (a module's function, or a `functools.partial` of one), light (it travels to
  every worker), and needs nothing but the item's `key` and the raw material.
* `image_id` is unique, and what errors will call the example.
* `image` is the file's bytes as they came, or pixels. The builder decodes, turns, checks, encodes.
* `participant_maps` are integer counts in the frame of the displayed image (EXIF applied).
* Wrong input raises ValueError, and names the file, what was expected, what was found and what to
  do. A damaged image raises `gala_tf.data.images.BadImageError`: --on_bad_image=skip leaves it out.
  Maps are read by `count_maps.attach`, so that --on_bad_map=skip can leave out a bad one.
* What a listing leaves out it says by `data_prep.readers.listing`, and what it can go on after.

To add a source: write the module, and add its line to SOURCES. Options that it shares with others
are in `options.py`. Nothing else changes.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from data_prep.sources.options import SourceOptions
from gala_tf.data.schema import Example

__all__ = ["SOURCES", "Item", "Source", "SourceEntry", "SourceOptions", "load_source"]


class Item(NamedTuple):
    """One image of a source, listed but not read."""

    image_id: str  # unique in the data set, one line of text; a relative path serves best
    split: str  # "train", "validation" or "test"
    key: str  # one line of text by which `read` finds image, label and maps; JSON if it has parts


class Source(NamedTuple):
    """A source, loaded."""

    class_names: tuple[str, ...]  # index = label
    items: Iterable[Item]  # may be run through once
    read: Callable[[Item], Example]  # Item -> Example; picklable
    split_rule: str  # in words, how the splits were made
    # {"value", "estimator", "source"} if the authors of the maps published one
    human_ceiling: dict[str, Any] | None = None
    # An item's key -> its file and record in words, where `image_id` does not say them; picklable
    place: Callable[[str], str] | None = None


class SourceEntry(NamedTuple):
    """One line of SOURCES."""

    summary: str  # for --help
    reads: tuple[str, ...]  # options that it takes beside the seed
    clickmap_blur: str  # suits its images' size, as `gala_tf.data.clickmaps.parse_blur` reads it


SOURCES = {
    "quickstart": SourceEntry(
        "the built-in data set: nothing to download",
        reads=(),
        clickmap_blur="box:13",  # the paper's 49 of 256 pixels, at 64
    ),
    "folder": SourceEntry(
        "your own images in class folders, maps as PNG or NPY files of equal stem",
        reads=("input_dir", "maps_dir", "split_proportions"),
        clickmap_blur="box:49",
    ),
    "tiny_imagenet": SourceEntry(
        "Tiny ImageNet as downloaded, its human-drawn boxes as maps",
        reads=("input_dir", "validation_fraction"),
        clickmap_blur="none",  # a box is already an area
    ),
    "salicon": SourceEntry(
        "SALICON: JSON, MAT or PNG; labels, if wanted, from COCO's instances",
        reads=("input_dir", "annotations", "salicon_points", "fixation_side"),
        clickmap_blur="gaussian:115,19",  # its authors' sigma, at 640x480
    ),
    "coco": SourceEntry(
        "COCO instances: an image's label is its largest object's, its map those objects",
        reads=("input_dir", "annotations", "coco_maps", "split_proportions"),
        clickmap_blur="none",  # masks and boxes are already areas
    ),
    "boxes": SourceEntry(
        "images and a CSV of boxes",
        reads=("input_dir", "annotations", "box_units", "split_proportions"),
        clickmap_blur="none",
    ),
    "clickme_release": SourceEntry(
        "ClickMe as its authors released it: raw float records, the archive, or NPZ zips",
        reads=("input_dir", "label_order", "record_maps"),
        clickmap_blur="box:49",
    ),
    "clickme_harmonization": SourceEntry(
        "ClickMe as JPEG images and JPEG maps, of the Harmonization paper",
        reads=("input_dir", "label_order", "validation_fraction"),
        clickmap_blur="box:49",
    ),
    "clickme_clicks": SourceEntry(
        "raw clicks, CSV or NPZ, on your ImageNet or other images; participants kept apart",
        reads=(
            "input_dir",
            "clicks_file",
            "click_path_prefix",
            "click_frame",
            "bubble_side",
            "min_catch_score",
            "exclude_mobile",
            "first_submission_only",
            "min_clicks",
            "max_clicks",
            "min_participants",
            "include_unclicked",
            "on_bad_row",
            "split_proportions",
        ),
        clickmap_blur="box:49",
    ),
    "imagenet_tfrecords": SourceEntry(
        "ILSVRC12 in the classic TFRecords, or as TFDS prepared it; boxes in the records as maps",
        reads=("input_dir", "boxes"),
        clickmap_blur="none",  # a box is already an area
    ),
    "imagenet": SourceEntry(
        "ILSVRC12: folders or tars as downloaded; boxes, if wanted, as maps",
        reads=("input_dir", "ground_truth", "ground_truth_order", "boxes"),
        clickmap_blur="none",  # a box is already an area
    ),
}


def load_source(name: str, options: SourceOptions) -> Source:
    """Loads a source by its name in SOURCES; ValueError listing them if there is none."""
    if name not in SOURCES:
        raise ValueError(f"--source={name!r} is unknown; known sources: {', '.join(SOURCES)}.")
    # Imported only when it is asked for, so that no source burdens another.
    return importlib.import_module(f"data_prep.sources.{name}").load(options)
