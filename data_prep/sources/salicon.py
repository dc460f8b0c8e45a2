"""SALICON (Jiang et al., CVPR 2015): where people moved a mouse that unblurred COCO images.

Three forms are published, of which --salicon_points takes one:

    json   annotations/fixations_train2014.json: an annotation a worker and image, {"image_id",
           "worker_id", "fixations": [[row, column], ...]}, counted from 1
    mat_fixations, mat_location
           fixations/{train,val}/<image's stem>.mat: gaze(n), a struct an observer, with location
           (the mouse), timestamp and fixations (inferred from it), each [x, y] from 1
    maps   maps/{train,val}/<image's stem>.png, or maps/<stem>.png: blurred already, so pass
           --clickmap_blur=none

with the images in images/, images/{train,val}/ or images/{train,val}2014/.

Order and base of the JSON pairs are those of the sample that its authors published with their
reader (NUS-VIP/salicon-api): of 10 images, all 480x640, 73,630 pairs in 1...480 and 1...640. Their
first reader took [x, y] from 0; it was corrected within days ("new format y,x"). Pairs outside the
image are an error there. In the MAT files of 2017 the mouse left the image: such points are moved
to the border, as pysaliency does, and said.

Workers are kept apart. Each fixation is painted as a square of --fixation_side pixels. SALICON's
own smoothing is a Gaussian of sigma 19, the default blur here. Measured on six images of that
sample against sigma 19 on exact points (relative L2, Spearman): side 1 .000 1.000, side 3 .002
1.000; and stored as 256x256 squares, blurred with sigma 10.1: side 1 .108 .981, side 3 .060 .996,
side 9 .055 .997. At that reduction 72 % of the points of side 1 fall between the pixels kept.
It has no labels. With COCO's instances files (--annotations) the label is the category of the
image's largest object, by the number that both give an image; images without an object are left
out. Without them there is one class, "unlabelled": classification means nothing then. The test
images have no published fixations, and are left out.
"""

import collections
import functools
import json
import os
import re
from collections.abc import Iterator

import numpy as np
from absl import logging

from data_prep.maps import count_maps, geometry, rasterise
from data_prep.readers import listing
from data_prep.readers.archives import mat_files
from data_prep.readers.coco.coco_json import find_files, split_of_name
from data_prep.readers.coco.coco_store import AnnotationStore, Kept
from data_prep.readers.images import image_files
from data_prep.readers.images.image_files import images_folder, read_image
from data_prep.readers.images.map_files import read_map
from data_prep.sources import Item, Source, SourceOptions
from data_prep.sources.coco import (
    check_size,
    folder_candidates,
    keep_object,
    leave_out_unlisted,
)
from gala_tf.data import files
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import BadMapError, Example

UNLABELLED = "unlabelled"
NO_LABEL = "COCO's instances have no object in them, hence no label"
NO_SPLIT = "they belong to the test set, or to none"
_FORMS = {
    "json": ("annotations/fixations_*.json",),
    "mat": ("fixations/train/*.mat", "fixations/val/*.mat"),
    "maps": ("maps/train/*.png", "maps/val/*.png", "maps/*.png"),
}


def load(options: SourceOptions) -> Source:
    """Finds the form, and reads the JSON files, if there are any, into a temporary database.

    ValueError: none of the forms, or several, is there; a file is malformed; a fixation of the JSON
    files lies outside its image; images or labels are not where they should be.
    """
    if options.fixation_side < 1:
        raise ValueError(f"--fixation_side must be at least 1, got {options.fixation_side}.")
    form, paths = _find(options)
    labels = Labels(options.annotations)
    if form == "json":
        items = _json_items(options.input_dir, paths, labels)
    else:
        items = _file_items(options.input_dir, paths, labels)
    return Source(
        class_names=labels.class_names,
        items=items,
        read=functools.partial(
            _READERS[form],
            options.input_dir,
            options.fixation_side,
            "location" if options.salicon_points == "mat_location" else "fixations",
        ),
        split_rule="SALICON's own: its train; validation is its val; its test has no fixations",
    )


def _find(options):
    """(form, its files)."""
    root = options.input_dir
    found = {}
    for form, patterns in _FORMS.items():
        paths = [path for pattern in patterns for path in files.matching(pattern, root)]
        if paths:
            found[form] = sorted(paths)
    form = options.salicon_points.split("_")[0]
    if form == "auto":
        if len(found) > 1:
            raise ValueError(
                f"--input_dir={root!r} holds fixations in the forms {', '.join(found)}. Choose "
                "one: --salicon_points=json, mat_fixations, mat_location or maps."
            )
        form = next(iter(found), "")
    if form not in found:
        patterns = ", ".join(p for name in _FORMS if form in ("", name) for p in _FORMS[name])
        raise ValueError(
            f"--input_dir={root!r} holds no {form or 'SALICON'} fixations. Expected {patterns} "
            "beside images/."
        )
    return form, found[form]


def _json_items(root, files, labels) -> Iterator[Item]:
    store = AnnotationStore()
    for path in files:
        store.add(path, _keep_fixations)
    if store.left_out:
        logging.warning("%d workers without a fixation are left out.", store.left_out)
    _check_inside(store)
    folders = [
        images_folder(root, folder_candidates(path), store.first_image(file), repr(path))
        if store.first_image(file)
        else ""
        for file, path in enumerate(files)
    ]
    leave_out_unlisted(root, store, folders)
    return _list_json(store, labels, folders)


def _keep_fixations(annotation, where):
    pairs = annotation.get("fixations")
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(place) is int and 0 < place < 1 << 31 for place in pair)
        for pair in pairs
    ):
        raise ValueError(
            f"{where}: fixations must be a list of [row, column], whole numbers counted from 1, "
            f"got {pairs!r:.80}. Files of saliency maps, and of other bases, are not read."
        )
    worker = annotation.get("worker_id", annotation["id"])
    if type(worker) not in (int, str):
        raise ValueError(f"{where}: worker_id must be a number or text, got {worker!r:.80}.")
    return Kept(None, None, [worker, pairs]) if pairs else None


def _check_inside(store):
    for image in store.images():
        for number, (_, pairs) in store.payloads(image):
            row, column = np.max(pairs, axis=0)
            if row > image.height or column > image.width:
                listing.fault(
                    f"{store.paths[image.file]!r}, annotation id {number}: fixations reach row "
                    f"{row} and column {column} of image id {image.id}, which has {image.height} "
                    f"rows and {image.width} columns. Pairs must be [row, column] from 1; are "
                    "these [x, y]?"
                )


def _list_json(store, labels, folders):
    left_out, kept = collections.defaultdict(list), 0  # why -> names
    for image in store.images():
        workers = list(store.payloads(image))
        split = split_of_name(store.paths[image.file]) or split_of_name(image.name)
        label = labels.of(image.id)
        if not workers:
            left_out["they have no fixations"].append(image.name)
        elif split not in ("train", "validation"):
            left_out[NO_SPLIT].append(image.name)
        elif label is None:
            left_out[NO_LABEL].append(image.name)
        else:
            name = "/".join(filter(None, (folders[image.file], image.name)))
            key = {
                "list": os.path.basename(store.paths[image.file]),
                "size": [image.height, image.width],
                "label": label,
                "workers": [payload for _, payload in workers],
            }
            kept += 1
            yield Item(name, split, json.dumps(key, separators=(",", ":")))
    _say(left_out)
    if not kept:
        raise ValueError(
            f"{store.paths}: no image is left. The lines above say what became of them."
        )


class Labels:
    """The label of an image by its number in COCO; without instances files 0, of all."""

    def __init__(self, annotations: str):
        self._store, self.class_names = None, (UNLABELLED,)
        if not annotations:
            logging.warning(
                "SALICON has no labels: all images get the class %r, and classification means "
                "nothing. --annotations=instances_train2014.json,instances_val2014.json of COCO "
                "gives labels.",
                UNLABELLED,
            )
            return
        self._store = AnnotationStore()
        for path in find_files(annotations, "COCO's instances JSON (--annotations)"):
            self._store.add(path, _keep_category)
        ids, self.class_names = self._store.class_names()
        if not ids:
            raise ValueError(f"--annotations={annotations!r} lists no categories.")
        self._index = {category: label for label, category in enumerate(ids)}

    def of(self, image_id: int) -> int | None:
        """None: the image has no object."""
        return 0 if self._store is None else self._index.get(self._store.category_of_id(image_id))


def _keep_category(annotation, where):
    kept = keep_object(annotation, where, "boxes")
    return kept and kept._replace(payload=True)


def _say(left_out):
    for why, names in left_out.items():
        logging.warning("%d images are left out: %s.", len(names), why)
        listing.note(f"images, since {why}", names)


def _read_json(root, side, field, item: Item) -> Example:
    key = json.loads(item.key)
    data = read_image(root, item.image_id, key["list"])
    size = check_size(data, item.image_id, key["size"], key["list"])
    people: dict = {}
    for worker, pairs in key["workers"]:
        people.setdefault(worker, []).extend(pairs)  # a worker who saw the image twice is one
    points = [np.asarray(pairs)[:, ::-1] - 1 for pairs in people.values()]
    return _example(item, data, key["label"], tuple(_paint(points, side, *size)), points)


def _file_items(root, files, labels) -> Iterator[Item]:
    first: dict[str, str] = {}  # split -> its first file
    for path in files:
        first.setdefault(_file_split(path), path)
    folders = {
        split: images_folder(
            root, folder_candidates(part + "2014"), _stem(first[split]) + ".jpg", first[split]
        )
        for split, part in (("train", "train"), ("validation", "val"))
        if split in first
    }
    stems = {_stem(path) for path in files}
    for folder in sorted(set(folders.values())):
        image_files.leave_out_unlisted(root, folder, lambda name: _stem(name) in stems)
    return _list_files(root, files, labels, folders)


def _list_files(root, files, labels, folders):
    left_out = collections.defaultdict(list)  # why -> names
    for path in files:
        split, numbers = _file_split(path), re.findall(r"\d+", _stem(path))
        label = labels.of(int(numbers[-1][:18]) if numbers else -1)
        if split not in folders:
            left_out[NO_SPLIT].append(path)
        elif label is None:
            left_out[NO_LABEL].append(path)
        else:
            key = {"file": os.path.relpath(path, root), "label": label}
            yield Item(f"{folders[split]}/{_stem(path)}.jpg", split, json.dumps(key))
    _say(left_out)


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _file_split(path):
    """By the folder, else by the name, as COCO_train2014_000000000009."""
    return split_of_name(os.path.basename(os.path.dirname(path))) or split_of_name(path)


def _read_mat(root, side, field, item: Item) -> Example:
    key = json.loads(item.key)
    path = os.path.join(root, key["file"])
    data = read_image(root, item.image_id, key["file"])
    height, width = geometry.displayed_size(data, item.image_id)
    points = [pairs for pairs in mat_files.read_gaze(path, field) if len(pairs)]
    # From 1; a fraction belongs to the pixel that it has reached.
    points = [np.floor(pairs - 1) for pairs in points]
    inside = [np.clip(pairs, 0, [width - 1, height - 1]) for pairs in points]
    moved = sum(int((a != b).any(1).sum()) for a, b in zip(points, inside, strict=True))
    if moved:
        logging.log_first_n(
            logging.WARNING,
            "%r: %d of %d points lie outside the image, %d wide and %d high; they are moved to "
            "its border. (Said of five images a process.)",
            5,
            path,
            moved,
            sum(map(len, points)),
            width,
            height,
        )
    return _example(item, data, key["label"], tuple(_paint(inside, side, height, width)), inside)


def _read_maps(root, side, field, item: Item) -> Example:
    key = json.loads(item.key)
    path = os.path.join(root, key["file"])
    data = read_image(root, item.image_id, key["file"])
    size = geometry.displayed_size(data, item.image_id)

    def maps():
        try:
            return [count_maps.fit_map(counts, *size, path) for counts in read_map(path)]
        except BadMapError as error:  # there is nothing of an image but its map
            raise BadImageError(str(error)) from error

    return count_maps.attach(_example(item, data, key["label"], (), []), maps)


_READERS = {"json": _read_json, "mat": _read_mat, "maps": _read_maps}


def _paint(points, side, height, width):
    """A count map of each observer's pixels [N, 2], whole (x, y) from 0."""
    for pixels in points:
        yield rasterise.rasterise_bubbles(pixels + 0.5, side, height, width)


def _example(item, data, label, maps, points):
    return Example(
        image_id=item.image_id,
        image=data,
        label=label,
        participant_maps=maps,
        clicks=sum(map(len, points)),
        split=item.split,
    )
