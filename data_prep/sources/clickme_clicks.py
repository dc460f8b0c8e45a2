"""Raw ClickMe clicks joined to the images they were made on; each participant's map kept apart.

    --clicks_file   CSV or NPZ, as `click_files.py` and `click_npz.py` describe
    --input_dir     <class>/<image>, or train/<class>/<image> beside validation/ (or val/), test/

Clicks belong to the image of equal file name, ending aside: ImageNet's names are unique. Where
yours are not, --click_path_prefix joins by whole paths. A class folder that is a WordNet id of
ImageNet gives the label by sorted id; if all classes are, there are 1000 of them, else the folders
are the classes, sorted by name. An image in no class folder takes the id in its file name, or that
of the folder it has in the file of clicks.

A map counts the bubbles of one submission, squares of 14 pixels of an image of short side 256
(section 2 of the paper), [x, y] being their centres. The records' total is the sum over
participants. The mean, which the published pipeline takes, is that sum divided by their number: one
factor an image, which neither a loss of normalised maps nor a rank correlation notices.

Frames (`click_frames`). ClickMe 2.0 gives pixels of the original ImageNet file ("native"); the game
itself (drewlinsley/dc_webapp), and the CO3D set, those of the 256x256 canvas: short side at 256,
centre cropped, as far as one can tell.

Clicks outside the image count as far as their bubbles reach into it; those that do not are left
out, negative ones like all others. Of native clicks that is known only once the image is read: the
reader then warns, naming the image. A person all of whose clicks are outside gives no map.
"""

import functools
import json
import os
import posixpath
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from data_prep.maps import geometry, rasterise
from data_prep.readers import file_names, listing
from data_prep.readers.clicks.click_files import read_csv
from data_prep.readers.clicks.click_frames import (
    bubble_pixels,
    check_frame,
    cut_to_square,
    to_displayed,
)
from data_prep.readers.clicks.click_npz import read_npz
from data_prep.readers.clicks.click_table import ClickTable, folder_wnid, touches
from data_prep.readers.imagenet import imagenet_classes
from data_prep.readers.images import image_files
from data_prep.sources import Item, Source, SourceOptions, splits
from gala_tf.data import files
from gala_tf.data.schema import Example

READERS = {".csv": read_csv, ".npz": read_npz}


def load(options: SourceOptions) -> Source:
    """Reads the clicks into a temporary database, filters them, and prints what that removed.

    ValueError: an option is out of range, a file is missing or malformed, two images share a name,
    an image has no class, nothing is left, or clicks do not fit their images.
    """
    _check(options)
    paths = _click_files(options.clicks_file)
    table = ClickTable()
    _list_images(table, options)
    key_of = functools.partial(_key, prefix=options.click_path_prefix)
    for path in paths:
        with listing.one_row():
            rows = READERS[image_files.suffix(path)](path)
            table.add_submissions(rows, key_of, options)
    table.filter(options)
    clicked = not options.include_unclicked
    if not table.count(clicked=True)[0]:
        raise ValueError(
            f"--clicks_file={options.clicks_file!r}: no submission is left on the images of "
            f"--input_dir={options.input_dir!r}. The lines above say what removed them."
        )
    unknown, example = table.count("class IS NULL", clicked=clicked)
    if unknown:
        raise ValueError(
            f"{unknown} images, for example {example!r}, are in no class folder, and neither name "
            "nor clicks give a WordNet id. Sort them into class folders below --input_dir."
        )
    check_frame(table, options)
    labels, class_names = _classes(table.class_names())
    items, rule = _items(table, options, labels, clicked)
    read = functools.partial(
        read_item,
        root=options.input_dir,
        frame=options.click_frame,
        bubble_side=options.bubble_side,
    )
    return Source(class_names, items, read, rule)


def _check(options):
    """ValueError if an option is out of range."""
    for name, least in (
        ("bubble_side", 1),
        ("min_clicks", 0),
        ("max_clicks", 0),
        ("min_participants", 1),
    ):
        if getattr(options, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(options, name)}.")
    if not 0 <= options.min_catch_score <= 1:
        raise ValueError(f"--min_catch_score must be in 0...1, got {options.min_catch_score}.")
    for name, values in (("click_frame", ("native", "256")), ("on_bad_row", ("error", "skip"))):
        if getattr(options, name) not in values:
            raise ValueError(f"--{name} is {getattr(options, name)!r}, expected one of {values}.")


def _click_files(pattern):
    if not pattern:
        raise ValueError("--clicks_file is missing: give the CSV or NPZ file of the clicks.")
    paths = sorted(files.matching(pattern), key=posixpath.basename)
    if not paths:
        raise ValueError(f"--clicks_file={pattern!r} does not exist, and as a pattern fits none.")
    for path in paths:
        if image_files.suffix(path) not in READERS or tf.io.gfile.isdir(path):
            raise ValueError(
                f"--clicks_file: {path!r} is not a file that ends in {' or '.join(READERS)}."
            )
    return paths


def _key(path, prefix):
    """What a click's path and an image's have in common; None outside of the prefix."""
    path, prefix = files.composed(path.replace("\\", "/")), files.composed(prefix)
    if prefix:
        prefix = prefix.rstrip("/") + "/"
        if not path.startswith(prefix):
            return None
        path = path.removeprefix(prefix)
    else:
        path = posixpath.basename(path)
    return posixpath.splitext(path)[0] if image_files.suffix(path) in image_files.SUFFIXES else path


def _list_images(table, options):
    root = options.input_dir
    if not root or not tf.io.gfile.isdir(root):
        raise ValueError(f"--input_dir={root!r} is not a folder; give the one of the images.")
    classes, other = file_names.Spellings(), []
    for folder, there in file_names.walk(root):
        relative = posixpath.relpath(folder.rstrip("/"), root.rstrip("/")) + "/"
        relative = "" if relative == "./" else relative
        for name in there:
            if image_files.is_image(name):
                path = relative + name
                key = posixpath.splitext(path if options.click_path_prefix else name)[0]
                of_class = _class(path) and classes.first(_class(path))
                with listing.one_row():
                    table.add_image(files.composed(key), path, of_class, _split(path), options.seed)
            elif not name.startswith("."):
                other.append(os.path.join(folder, name))
    given = {os.path.abspath(path) for path in _click_files(options.clicks_file)}
    other = sorted(path for path in other if os.path.abspath(path) not in given)
    listing.leave_out("files beside the images are no images", other)
    number, example = table.count(clicked=False)
    if not number:
        endings = ", ".join(sorted(image_files.SUFFIXES))
        raise ValueError(f"--input_dir={root!r} holds no images, files that end in {endings}.")
    if len(table.splits()) > 1 and None in table.splits():
        other = table.count("split IS NULL", clicked=False)[1]
        raise ValueError(
            f"--input_dir={root!r} holds split folders, and also {other!r}. Keep either split "
            "folders or class folders at the top, and move the others away."
        )


def _split(path):
    folders = path.split("/")[:-1]
    return splits.of_folder(folders[0]) if folders else None


def _class(path):
    """A WordNet id among the folders; else the first folder below the split; else by file name."""
    folders = path.split("/")[:-1]
    if folders and splits.of_folder(folders[0]):
        folders = folders[1:]
    if folders:
        return folder_wnid(path) or folders[0]
    return imagenet_classes.known_wnid(posixpath.splitext(posixpath.basename(path))[0])


def _classes(folders):
    """Folder -> label, and the class names."""
    by_wnid = imagenet_classes.labels_by_wnid()
    if set(folders) <= by_wnid.keys():
        return by_wnid, imagenet_classes.class_names()
    return {name: label for label, name in enumerate(folders)}, tuple(folders)


def _items(table, options, labels, clicked):
    """The items, and in words how their splits came about."""
    if None not in table.splits():
        folders = ", ".join(sorted(table.splits()))
        images = ((image, image.split) for image in table.images(clicked=clicked))
        return _list(images, labels), f"as in the folders: {folders}"
    dealt = splits.deal(table.images(clicked=clicked), options.split_proportions)
    return _list(dealt, labels), splits.in_proportion(options)


def _list(images, labels) -> Iterator[Item]:
    by_wnid = labels is imagenet_classes.labels_by_wnid()
    for image, split in images:
        label = labels[image.class_name]
        if by_wnid:
            stem = posixpath.splitext(posixpath.basename(image.path))[0]
            imagenet_classes.check_known(stem, label)
        head = json.dumps({"path": image.path, "label": label})
        # The clicks are JSON already: a million of them need not be read to be written again.
        yield Item(image.path, split, f'{head[:-1]}, "clicks": {image.clicks}}}')


def read_item(item: Item, root: str, frame: str, bubble_side: int) -> Example:
    """Reads an image and paints the clicks that its item carries.

    BadImageError: the image is missing, empty, or no image.
    """
    key = json.loads(item.key)
    data = image_files.read_image(root, key["path"], "the listing of --input_dir")
    height, width = geometry.displayed_size(data, key["path"])
    side = bubble_pixels(bubble_side, height, width)
    maps, placed, outside = [], 0, 0
    for points in key["clicks"]:
        points = np.asarray(points, np.float64).reshape(-1, 2)
        if frame == "256":
            points = to_displayed(points, height, width)
        inside = np.asarray([touches(x, y, side, height, width) for x, y in points], bool)
        outside += len(points) - int(inside.sum())
        if inside.any():
            counts = rasterise.rasterise_bubbles(points[inside], side, height, width)
            maps.append(cut_to_square(counts) if frame == "256" else counts)
            placed += int(inside.sum())
    if outside:
        logging.warning(
            "%r: %d of %d clicks lie outside the image and are left out; %d of %d people have "
            "clicks on it.",
            key["path"],
            outside,
            outside + placed,
            len(maps),
            len(key["clicks"]),
        )
    return Example(
        image_id=item.image_id,
        image=data,
        label=key["label"],
        participant_maps=tuple(maps),
        clicks=placed,
        split=item.split,
    )
