"""ILSVRC12 as people have it: 1.28 million images of 1000 classes, no maps or boxes as maps.

    train/n01440764/*.JPEG            class folders; or train/n01440764.tar
    ILSVRC2012_img_train.tar          or the tar of a tar for each class, as downloaded
    val/n01440764/*.JPEG              sorted into class folders; or
    val/*.JPEG                        flat, or
    ILSVRC2012_img_val.tar            as downloaded: these two need a ground-truth file, unless all
                                      names hold a WordNet id: n01751748_sea_snake.JPEG,
                                      ILSVRC2012_val_00000001_n01751748.JPEG

Tars are read where they lie (`tar_index`), nothing is unpacked. Ground truth is --ground_truth or,
where it is needed, the first of the usual files under --input_dir (`imagenet_ground_truth`). Labels
are 0...999 by sorted WordNet id, and stay so where classes are missing. `val` is the validation
split; the images of ILSVRC12's test have no labels. An image has the same id, and a data set the
same records, whichever way they are kept.

Among the training files one is a PNG and 22 are CMYK, all named .JPEG. No name is listed here: the
bytes say so, and what is no RGB or grey JPEG is encoded anew when its record is made.

Boxes (`--boxes`, `imagenet_boxes`) become one map for each image that has some: how many cover a
pixel.
"""

import collections
import functools
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from data_prep.maps import count_maps
from data_prep.readers import file_names, listing
from data_prep.readers.archives import tar_index
from data_prep.readers.imagenet import imagenet_boxes, imagenet_classes
from data_prep.readers.imagenet import imagenet_ground_truth as ground_truth
from data_prep.readers.images.image_files import is_image
from data_prep.sources import Item, Source, SourceOptions
from gala_tf.data.files import file_size
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import Example

MAX_IMAGE_BYTES = 2**26  # the largest of ILSVRC12 has 15 MB
_TRAIN_TAR, _VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
_CLASS = re.compile(r"(n\d{8})(\.tar)?")
_FULL = {"train": 1_281_167, "validation": 50_000}


class _Place(NamedTuple):
    """An image that was found."""

    wnid: str | None  # that of its folder or tar; None: it lies flat
    name: str  # of the file alone
    path: str  # of the file, or of the tar that holds it; relative to the root
    offset: int | None = None  # in the tar
    size: int = 0


class _Layout(NamedTuple):
    split: str
    path: str  # relative to the root
    kind: str  # "class folders", "flat folder", "class tars" or "tar"


class _Ignored(list):
    """Names of files that are no images; hidden ones need no word."""

    def append(self, name):
        if not os.path.basename(name).startswith("."):
            super().append(name)


def load(options: SourceOptions) -> Source:
    """Finds out what lies where, and reads the lists; images are listed as `items` runs.

    Raises:
      ValueError: nothing of ILSVRC12 is there, a split is there twice, or validation images have no
        labels. While listing: a damaged tar, an unknown class, a label that contradicts what is
        known of its image, an image without a label.
    """
    root = options.input_dir
    layouts = _find_layouts(root)
    truth = _ground_truth(options, layouts)
    boxes = imagenet_boxes.open_boxes(options.boxes) if options.boxes else None
    for layout in layouts:
        print(f"imagenet: {layout.split} from {os.path.join(root, layout.path)} ({layout.kind})")
    if truth:
        print(f"imagenet: validation classes from {truth.path} ({truth.form})")
    if boxes:
        print(f"imagenet: boxes from {options.boxes} ({boxes.described})")
    return Source(
        class_names=imagenet_classes.class_names(),
        items=_items(root, layouts, truth, boxes, options.boxes),
        read=functools.partial(_read, root, options.boxes),
        split_rule="ILSVRC12's own: train, and its val as validation",
    )


def _find_layouts(root):
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
        found += [_Layout(split, place, _kind(root, place)) for place in places]
    if not found:
        raise ValueError(
            f"--input_dir={root!r} holds neither train/ nor val/ (or validation/), neither "
            f"{_TRAIN_TAR} nor {_VAL_TAR}. Give the folder that does."
        )
    return found


def _kind(root, place):
    if place.endswith(".tar"):
        return "tar"
    names = _listed(os.path.join(root, place))
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


def _ground_truth(options, layouts):
    validation = [layout for layout in layouts if layout.split == "validation"]
    path = options.ground_truth
    if path and not validation:
        raise ValueError(
            f"--ground_truth={path!r} is for validation images, and {options.input_dir!r} has none."
        )
    unsorted = bool(validation) and validation[0].kind in ("flat folder", "tar")
    path = path or (ground_truth.find_usual(options.input_dir) if unsorted else None)
    if path:
        return ground_truth.read_ground_truth(path, options.ground_truth_order)
    if unsorted and not _names_tell(options.input_dir, validation[0]):
        raise ValueError(
            f"The validation images ({validation[0].path}) lie unsorted, and their names do not "
            "tell their classes, so these come from a list: pass --ground_truth=FILE. Usual ones: "
            f"{', '.join(ground_truth.USUAL_FILES)}."
        )
    return None


def _names_tell(root, layout):
    """Whether all image names of an unsorted layout hold a WordNet id, as some tools add it."""
    names = [place.name for place in _found(root, layout, _Ignored())]
    return bool(names) and all(map(_wnid_in_name, names))


def _wnid_in_name(name):
    return imagenet_classes.wnid_in_name(os.path.splitext(name)[0])


# --------------------------------------------------------------------------- listing


def _items(root, layouts, truth, boxes, boxes_path) -> Iterator[Item]:
    labels = {wnid: label for label, wnid in enumerate(imagenet_classes.wnids())}
    boxed = 0
    for layout in layouts:
        per_class, with_boxes, ignored = collections.Counter(), 0, _Ignored()
        for place in _places(root, layout, ignored):
            where = os.path.join(root, place.path)
            label = _label(place, truth if layout.split == "validation" else None, labels, where)
            stem = os.path.splitext(place.name)[0]
            wnid = imagenet_classes.wnids()[label]
            found = boxes.find(layout.split, wnid, stem) if boxes else None
            with_boxes += found is not None
            per_class[label] += 1
            middle = f"{wnid}/" if layout.split == "train" else ""
            key = [place.path, place.offset, place.size, label, found]
            yield Item(f"{layout.split}/{middle}{place.name}", layout.split, json.dumps(key))
        _report(layout, per_class, with_boxes, ignored, boxes)
        boxed += with_boxes
    if boxes and not boxed:
        raise ValueError(
            f"--boxes={boxes_path!r}: none of its boxes belongs to an image under --input_dir."
        )


def _label(place, truth, labels, where):
    """The label, by folder or ground truth, and checked against all that is known of the image."""
    if place.wnid is not None and place.wnid not in labels:
        raise ValueError(
            f"{where!r}: {place.wnid} is none of ILSVRC12's 1000 classes. Move it away, or use "
            "--source=folder, which takes any classes."
        )
    label = labels.get(place.wnid)
    if place.wnid is None and not truth:
        label = labels.get(_wnid_in_name(place.name))
    if truth:
        number = ground_truth.image_number(place.name)
        listed = -1 if number is None else int(truth.labels[number])
        if listed < 0 and label is None:
            raise ValueError(
                f"{where!r}: {place.name!r} is not in the ground truth {truth.path!r}, so that its "
                "class is unknown. Expected ILSVRC2012_val_XXXXXXXX.JPEG, all of them listed."
            )
        if label is not None and listed not in (-1, label):
            raise ValueError(
                f"{where!r}: {place.name!r} lies in {place.wnid}, but is of class "
                f"{imagenet_classes.wnids()[listed]} by {truth.path!r}. Sort the images again."
            )
        label = listed if label is None else label
    if label is None:
        raise ValueError(
            f"{where!r}: the class of {place.name!r} is unknown: it lies outside the class "
            "folders. Move it away, or into one."
        )
    try:
        imagenet_classes.check_known(os.path.splitext(place.name)[0], label)
    except ValueError as error:
        raise ValueError(f"{where!r}: {error}") from None
    return label


def _places(root, layout, ignored):
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
    for name in _listed(top):
        match = _CLASS.fullmatch(name)
        if match and match[2]:
            yield from _in_tar(root, f"{layout.path}/{name}", None, match[1], ignored)
        elif match:
            for file in _listed(os.path.join(top, name)):
                if is_image(file):
                    yield _Place(match[1], file, f"{layout.path}/{name}/{file}")
                else:
                    ignored.append(f"{name}/{file}")
        elif is_image(name):
            yield _Place(None, name, f"{layout.path}/{name}")
        else:
            ignored.append(name)


def _in_tar(root, path, inside, wnid, ignored):
    for entry in sorted(tar_index.entries(os.path.join(root, path), inside)):  # by name
        name = os.path.basename(entry.name)
        of_class = _CLASS.fullmatch(name)
        if of_class and of_class[2] and wnid is None:
            yield from _in_tar(root, path, entry, of_class[1], ignored)
        elif not is_image(name):
            ignored.append(name)
        elif entry.size > MAX_IMAGE_BYTES:
            raise ValueError(
                f"{os.path.join(root, path)!r}: entry {entry.name!r} claims {entry.size} bytes, at "
                f"most {MAX_IMAGE_BYTES} make sense for an image. Use the original archive."
            )
        else:
            yield _Place(wnid, name, path, entry.offset, entry.size)


def _report(layout, per_class, with_boxes, ignored, boxes):
    also = f", {with_boxes:,} with boxes" if boxes else ""
    print(
        f"imagenet: {layout.split}: {sum(per_class.values()):,} of ILSVRC12's "
        f"{_FULL[layout.split]:,} images, {len(per_class)} of 1000 classes{also}"
    )
    missing = [w for label, w in enumerate(imagenet_classes.wnids()) if label not in per_class]
    if missing:
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        print(
            f"imagenet: {layout.split}: no image of {len(missing)} classes: {shown}. "
            "Labels stay 0...999."
        )
    listing.leave_out(
        f"files of {layout.path} are no images", [f"{layout.path}/{name}" for name in ignored]
    )


def _listed(folder):
    return file_names.listed(folder)


# --------------------------------------------------------------------------- reading


def _read(root: str, boxes_path: str, item: Item) -> Example:
    path, offset, size, label, boxes = json.loads(item.key)
    path = os.path.join(root, path)
    if offset is None:
        offset, size = 0, file_size(path)
        if size > MAX_IMAGE_BYTES:
            raise BadImageError(f"{path!r} has more than {MAX_IMAGE_BYTES} bytes. Remove the file.")
    data = tar_index.read_entry(path, offset, size, item.image_id)
    example = Example(image_id=item.image_id, image=data, label=label, split=item.split)

    def maps():
        found = boxes
        if isinstance(found, str):
            found = imagenet_boxes.read_xml(os.path.join(boxes_path, found))
        counts = imagenet_boxes.box_map(found, data, item.image_id) if found else None
        return () if counts is None else (counts,)

    return count_maps.attach(example, maps)
