"""COCO's instances, or any detection data in its JSON format.

    annotations/instances_train2017.json    images, categories and objects (--annotations)
    annotations/instances_val2017.json
    train2017/*.jpg, val2017/*.jpg          or under images/

Classification wants one label an image, and COCO's have several objects: the label is the category
of the largest object (the file's `area`, else its box's; the smaller id of equals). The map counts
how many objects of that category cover each pixel (--coco_maps=masks|boxes); objects of other
categories are left out, since a map says where the labelled thing is. Crowds (`iscrowd`), outlines
of groups, decide no label and make no map. Images without an object have no label, and are left
out. Each of these is counted and said.

Splits are those that the files' names say (val becomes validation; the test set of COCO is not
annotated). If none of the names says one, images are dealt in proportion.
"""

import functools
import json
import math
import os
import re
from collections.abc import Iterator

from absl import logging

from data_prep.maps import count_maps, geometry, rasterise
from data_prep.readers import listing
from data_prep.readers.coco import masks
from data_prep.readers.coco.coco_json import find_files, split_of_name
from data_prep.readers.coco.coco_store import AnnotationStore, Kept, StoredImage
from data_prep.readers.images import image_files
from data_prep.readers.images.image_files import images_folder, read_image
from data_prep.sources import Item, Source, SourceOptions
from data_prep.sources.splits import dealt, in_proportion
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import Example


def load(options: SourceOptions) -> Source:
    """Reads the annotations into a temporary database; no image yet.

    ValueError: no annotations, malformed or contradictory ones, no categories, images that are not
    where they should be, or names of files of which only some say a split.
    """
    root = options.input_dir
    pattern = options.annotations or os.path.join(root, "annotations", "instances_*.json")
    paths = find_files(pattern, "COCO's instances JSON; --annotations names it")
    store = AnnotationStore()
    for path in paths:
        store.add(path, functools.partial(keep_object, shape=options.coco_maps))
    ids, class_names = store.class_names()
    if not ids:
        raise ValueError(f"{paths} list no categories, so there are no labels.")
    split_names = file_splits(paths)
    folders = [_folder(root, store, file) for file in range(len(paths))]
    leave_out_unlisted(root, store, folders)
    _report(store)
    return Source(
        class_names=class_names,
        items=_items(options, store, ids, split_names, folders),
        read=functools.partial(_read, root, options.coco_maps),
        split_rule=(
            "as the annotation files' names say: "
            + ", ".join(f"{os.path.basename(p)} {s}" for p, s in split_names.items())
            if split_names
            else in_proportion(options)
        ),
    )


def keep_object(annotation: dict, where: str, shape: str) -> Kept | None:
    """What is kept of an object: its category, area, and "masks" or "boxes"; None of a crowd.

    ValueError: no category, no box, no segmentation, or an area that is not a number >= 0.
    """
    if annotation.get("iscrowd"):
        return None
    category = annotation.get("category_id")
    if type(category) is not int or abs(category) >= 2**63:
        raise ValueError(
            f"{where}: category_id must be a whole number, got {category!r:.80}. Is this an "
            "instances file? Captions and keypoints are no objects."
        )
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_finite(edge) for edge in box):
        raise ValueError(f"{where}: bbox must be [x, y, width, height], got {box!r:.80}.")
    area = annotation.get("area", box[2] * box[3])
    if not _is_finite(area) or area < 0:
        raise ValueError(f"{where}: area must be a number >= 0, got {area!r:.80}.")
    if shape == "boxes":
        return Kept(category, area, box)
    if "segmentation" not in annotation:
        raise ValueError(f"{where} has no segmentation. Pass --coco_maps=boxes.")
    # An empty outline is met when its image is read, like others that are malformed.
    return Kept(category, area, annotation["segmentation"] or [])


def _is_finite(number):
    return type(number) in (int, float) and abs(number) < 1e15 and math.isfinite(number)


def file_splits(paths: list[str]) -> dict[str, str]:
    """Path -> split by the files' names; empty if no name says one; ValueError if only some do."""
    found = {path: split_of_name(path) for path in paths}
    silent = [path for path, split in found.items() if not split]
    if silent and len(silent) < len(paths):
        raise ValueError(
            f"The names of {silent} say no split (train, val or test), the others do: "
            f"{sorted(set(paths) - set(silent))}. Rename them, or give the ones or the others."
        )
    return {} if silent else found


def folder_candidates(path: str) -> list[str]:
    """Where the images of an annotation file may lie: "train2017" of instances_train2017.json."""
    stem = os.path.splitext(os.path.basename(path))[0]
    part = stem.split("_", 1)[-1]
    short = re.match("[a-z]*", part).group()  # "train"
    parts = [name for name in (part, short) if name]
    return [*parts, *(f"images/{name}" for name in parts), "images", ""]


def _folder(root, store, file):
    path, first = store.paths[file], store.first_image(file)
    if first is None:
        raise ValueError(f"{path!r} lists no images.")
    return images_folder(root, folder_candidates(path), first, repr(path))


def leave_out_unlisted(root: str, store: AnnotationStore, folders: list[str]) -> None:
    """Says which images lie beside those that the files list, `folders` holding those of each."""
    for folder in sorted({folders[image.file] for image in store.images()}):
        files = [file for file, of_file in enumerate(folders) if of_file == folder]
        start = len(folder) + 1 if folder else 0
        others = tuple(f"{other}/" for other in folders if len(other) > len(folder))
        image_files.leave_out_unlisted(
            root,
            folder,
            lambda name, files=files, start=start, others=others: (
                name.startswith(others) or store.lists(name[start:], files)
            ),
        )


def _report(store):
    if store.left_out:
        logging.warning("%d crowds (iscrowd) decide no label and make no map.", store.left_out)
    bare = store.bare_images()
    if bare:
        logging.warning("%d images without an object are left out: they have no label.", len(bare))
        listing.note("images have no object, hence no label", bare)


def _items(options, store, ids, split_names, folders) -> Iterator[Item]:
    labels = {category: label for label, category in enumerate(ids)}
    images = ((image, store.largest(image)) for image in store.images())
    labelled = ((image, category) for image, category in images if category is not None)
    if split_names:
        for image, category in labelled:
            split = split_names[store.paths[image.file]]
            yield _item(store, image, category, labels, folders, split)
        return
    keys = (
        (
            f"{labels[category]:06d}",
            f"{folders[image.file]}/{image.name}",
            json.dumps([*image, category]),
        )
        for image, category in labelled
    )
    for key, split in dealt(keys, options.split_proportions, options.seed):
        *image, category = json.loads(key)
        yield _item(store, StoredImage(*image), category, labels, folders, split)


def _item(store, image, category, labels, folders, split):
    name = "/".join(filter(None, (folders[image.file], image.name)))
    key = {
        "list": os.path.basename(store.paths[image.file]),
        "size": [image.height, image.width],
        "label": labels[category],
        "objects": list(store.payloads(image, category)),
    }
    return Item(name, split, json.dumps(key, separators=(",", ":")))


def _read(root, shape, item: Item) -> Example:
    """Raises BadImageError: the image is missing, or of another size than listed; see `masks`."""
    key = json.loads(item.key)
    data = read_image(root, item.image_id, key["list"])
    size = check_size(data, item.image_id, key["size"], key["list"])
    example = Example(image_id=item.image_id, image=data, label=key["label"], split=item.split)
    return count_maps.attach(example, lambda: (_map(key, shape, *size),))


def check_size(data: bytes, name: str, listed, where: str) -> tuple[int, int]:
    """The image's displayed (height, width); BadImageError if the list says another."""
    size = geometry.displayed_size(data, name)
    if list(size) != list(listed):
        raise BadImageError(
            f"Image {name!r} is {size[0]}x{size[1]} (height x width, as displayed), but {where} "
            f"says {listed[0]}x{listed[1]}: its annotations would not fit. Fetch the image that "
            "was annotated."
        )
    return size


def _map(key, shape, height, width):
    boxes, total = [], 0
    for number, payload in key["objects"]:
        where = f"{key['list']}, annotation id {number}"
        if shape == "boxes":
            x, y, box_width, box_height = payload
            box = (x, y, x + box_width, y + box_height)
            boxes.append(masks.pixel_box(box, height, width, where))
        else:
            total = total + masks.object_mask(payload, height, width, where).astype("int32")
    return rasterise.rasterise_boxes(boxes, height, width) if shape == "boxes" else total
