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
from collections.abc import Iterator

import tensorflow as tf

from data_prep.maps import count_maps
from data_prep.readers import listing
from data_prep.readers.archives import tar_index
from data_prep.readers.imagenet import (
    imagenet_boxes,
    imagenet_classes,
    imagenet_files,
    imagenet_shards,
)
from data_prep.readers.imagenet import imagenet_ground_truth as ground_truth
from data_prep.readers.imagenet.imagenet_files import Ignored, find_layouts, places
from data_prep.sources import Item, Source, SourceOptions
from gala_tf.data.files import file_size
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import Example


def load(options: SourceOptions) -> Source:
    """Finds out what lies where, and reads the lists; images are listed as `items` runs.

    ValueError: nothing of ILSVRC12 is there, a split is there twice, or validation images have no
    labels. While listing: a damaged tar, an unknown class, a label that contradicts what is known
    of its image, an image without a label.
    """
    root = options.input_dir
    layouts = find_layouts(root)
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
        place=_place,
    )


def _ground_truth(options, layouts):
    def names_tell(layout):
        """Whether all image names of an unsorted layout hold a WordNet id, as some tools add it."""
        names = [place.name for place in places(options.input_dir, layout, Ignored())]
        return bool(names) and all(map(_wnid_in_name, names))

    validation = [layout for layout in layouts if layout.split == "validation"]
    path = options.ground_truth
    if path and not validation:
        raise ValueError(
            f"--ground_truth={path!r} is for validation images, and {options.input_dir!r} has none."
        )
    unsorted = bool(validation) and validation[0].kind in ("flat folder", "tar")
    if path and (not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path)):
        raise ValueError(f"--ground_truth={path!r} does not exist, or is a folder. Give the list.")
    if unsorted and not path:
        usual = (os.path.join(options.input_dir, name) for name in ground_truth.USUAL_FILES)
        path = next(filter(tf.io.gfile.exists, usual), "")
    if path:
        return ground_truth.read_ground_truth(path, options.ground_truth_order)
    if unsorted and not names_tell(validation[0]):
        raise ValueError(
            f"The validation images ({validation[0].path}) lie unsorted, and their names do not "
            "tell their classes, so these must come from a list: pass --ground_truth=FILE. Usual "
            f"ones: {', '.join(ground_truth.USUAL_FILES)}."
        )
    return None


def _wnid_in_name(name):
    return imagenet_classes.wnid_in_name(os.path.splitext(name)[0])


def _items(root, layouts, truth, boxes, boxes_path) -> Iterator[Item]:
    boxed = 0
    for layout in layouts:
        per_class, with_boxes, ignored = collections.Counter(), 0, Ignored()
        for place in places(root, layout, ignored):
            where = os.path.join(root, place.path)
            of_validation = layout.split == "validation"
            if of_validation and place.wnid is None and not truth:
                place = place._replace(wnid=_wnid_in_name(place.name))
            label = None
            with listing.one_row():
                label = _label(place, truth if of_validation else None, where)
            if label is None:
                continue
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


def _label(place, truth, where):
    """The label, by folder or ground truth, and checked against all that is known of the image."""
    labels = imagenet_classes.labels_by_wnid()
    if place.wnid is not None and place.wnid not in labels:
        raise ValueError(
            f"{where!r}: {place.wnid} is none of ILSVRC12's 1000 classes. Move it away, or use "
            "--source=folder, which takes any classes."
        )
    label = labels.get(place.wnid)
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


def _report(layout, per_class, with_boxes, ignored, boxes):
    also = f", {with_boxes:,} with boxes" if boxes else ""
    print(
        f"imagenet: {layout.split}: {sum(per_class.values()):,} of ILSVRC12's "
        f"{imagenet_shards.WHOLE[layout.split]:,} images, {len(per_class)} of 1000 classes{also}"
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


def _place(key):
    path, offset, *_ = json.loads(key)
    return f"the file {path!r}" if offset is None else f"in {path!r}, from byte {offset} on"


def _read(root: str, boxes_path: str, item: Item) -> Example:
    path, offset, size, label, boxes = json.loads(item.key)
    path = os.path.join(root, path)
    if offset is None:
        offset, size = 0, file_size(path)
        most = imagenet_files.MAX_IMAGE_BYTES
        if size > most:
            raise BadImageError(f"{path!r} has more than {most} bytes. Remove the file.")
    data = tar_index.read_entry(path, offset, size, item.image_id)
    example = Example(image_id=item.image_id, image=data, label=label, split=item.split)

    def maps():
        found = boxes
        if isinstance(found, str):
            found = imagenet_boxes.read_xml(os.path.join(boxes_path, found))
        counts = imagenet_boxes.box_map(found, data, item.image_id) if found else None
        return () if counts is None else (counts,)

    return count_maps.attach(example, maps)
