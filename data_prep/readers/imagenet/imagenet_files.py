"""ILSVRC12's files as people keep them: class folders, tars, or a flat folder; listed in one order.

Nothing is unpacked (`tar_index`) and no image is read. The order is that of classes and names, so
that folders and tars give equal data sets.
"""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from data_prep.readers import file_names, listing
from data_prep.readers.archives import tar_index
from data_prep.readers.images.image_files import is_image

MAX_IMAGE_BYTES = 2**26  # the largest of ILSVRC12 has 15 MB
_TRAIN_TAR, _VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
_CLASS = re.compile(r"(n\d{8})(\.tar)?")


class Place(NamedTuple):
    """An image that was found."""

    wnid: str | None  # that of its folder or tar; None: it lies flat
    name: str  # of the file alone
    path: str  # of the file, or of the tar that holds it; relative to the root
    offset: int | None = None  # in the tar
    size: int = 0


class Layout(NamedTuple):
    """Where a split's images lie, and how."""

    split: str
    path: str  # relative to the root
    kind: str  # "class folders", "flat folder", "class tars" or "tar"


class Ignored(list):
    """Names of files that are no images; hidden ones need no word."""

    def append(self, name):
        if not os.path.basename(name).startswith("."):
            super().append(name)


def find_layouts(root: str) -> list[Layout]:
    """Where the training and the validation images lie below `root`, and in which form.

    ValueError: nowhere, a split in two places, or a folder of several forms.
    """
    if not tf.io.gfile.isdir(root):
        raise ValueError(f"--input_dir={root!r} is not a folder; give the one of ILSVRC12's files.")
    found = []
    for split, folders, tar in (
        ("train", ("train",), _TRAIN_TAR),
        ("validation", ("val", "validation"), _VAL_TAR),
    ):
        places = [f for f in folders if tf.io.gfile.isdir(os.path.join(root, f))]
        places += [tar] if tf.io.gfile.exists(os.path.join(root, tar)) else []
        if len(places) > 1:
            raise ValueError(
                f"--input_dir={root!r} holds the {split} images more than once: {places}. One of "
                "them may be incomplete: move all but one away."
            )
        found += [Layout(split, place, _kind(root, place)) for place in places]
    if not found:
        raise ValueError(
            f"--input_dir={root!r} holds neither train/ nor val/ (or validation/), neither "
            f"{_TRAIN_TAR} nor {_VAL_TAR}. Give the folder that does."
        )
    return found


def _kind(root, place):
    if place.endswith(".tar"):
        return "tar"
    names = file_names.listed(os.path.join(root, place))
    classes = [match for match in map(_CLASS.fullmatch, names) if match]
    flat = [name for name in names if is_image(name)]
    tars = [match for match in classes if match[2]]
    if bool(flat) + bool(tars) + (len(classes) > len(tars)) != 1:
        raise ValueError(
            f"{os.path.join(root, place)!r} should hold class folders n########, or a tar for each "
            f"class, or images, and only one of these; found {len(classes) - len(tars)}, "
            f"{len(tars)} and {len(flat)}. Folders named by numbers must be named by WordNet ids "
            "first: numbers have no order of their own."
        )
    return "flat folder" if flat else "class tars" if tars else "class folders"


def places(root: str, layout: Layout, ignored: Ignored) -> Iterable[Place]:
    """All images of a layout; the names of other files go to `ignored`.

    The order is that of classes and names, so that folders and tars give equal data sets. It takes
    the names of one class in memory; of validation, those of all 50,000.
    """
    found = _found(root, layout, ignored)
    return found if layout.split == "train" else sorted(found, key=lambda place: place.name)


def _found(root, layout, ignored):
    top = os.path.join(root, layout.path)
    if layout.kind == "tar":
        yield from _in_tar(root, layout.path, None, None, ignored)
        return
    for name in file_names.listed(top):
        match = _CLASS.fullmatch(name)
        if match and match[2]:
            yield from _in_tar(root, f"{layout.path}/{name}", None, match[1], ignored)
        elif match:
            for file in file_names.listed(os.path.join(top, name)):
                if is_image(file):
                    yield Place(match[1], file, f"{layout.path}/{name}/{file}")
                else:
                    ignored.append(f"{name}/{file}")
        elif is_image(name):
            yield Place(None, name, f"{layout.path}/{name}")
        else:
            ignored.append(name)


def _in_tar(root, path, inside, wnid, ignored):
    found: list[tar_index.TarEntry] = []
    with listing.one_row():
        found += tar_index.entries(os.path.join(root, path), inside)
    for entry in sorted(found):  # by name
        name = os.path.basename(entry.name)
        of_class = _CLASS.fullmatch(name)
        if of_class and of_class[2] and wnid is None:
            yield from _in_tar(root, path, entry, of_class[1], ignored)
        elif not is_image(name):
            ignored.append(name)
        elif entry.size > MAX_IMAGE_BYTES:
            listing.fault(
                f"{os.path.join(root, path)!r}: entry {entry.name!r} claims {entry.size} bytes, at "
                f"most {MAX_IMAGE_BYTES} make sense for an image. Use the original archive."
            )
        else:
            yield Place(wnid, name, path, entry.offset, entry.size)
