"""Tiny ImageNet in its own layout, with the boxes people drew as maps.

    wnids.txt                       one WordNet id a line: the classes
    words.txt                       id <tab> words
    train/<id>/images/*.JPEG        500 a class, 64x64
    train/<id>/<id>_boxes.txt       file xmin ymin xmax ymax
    val/images/*.JPEG               50 a class
    val/val_annotations.txt         file id xmin ymin xmax ymax

Coordinates of boxes are pixel indices, the maxima inclusive: of 5,500 boxes 2,643 have xmax = 63,
none 64, and some have equal ends. The images of `test` have no labels. So `val` becomes the test
split, and a part of `train`, chosen by the seed, the validation split.
"""

import functools
import json
import os
import re
from typing import NamedTuple

from data_prep.maps import count_maps, geometry, rasterise
from data_prep.readers import listing
from data_prep.readers.images import image_files
from data_prep.sources import Item, Source, SourceOptions, splits
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import BadMapError, Example


class _Annotation(NamedTuple):
    file: str  # relative to input_dir
    wnid: str
    box: tuple[int, int, int, int]  # xmin, ymin, xmax, ymax in pixels, the maxima inclusive
    where: str  # list and line, for messages


def load(options: SourceOptions) -> Source:
    """Reads the lists; images only one by one.

    ValueError: a list is missing or malformed, or the validation fraction is not in [0, 1).
    """
    root, fraction = options.input_dir, options.validation_fraction
    if not 0 <= fraction < 1:
        raise ValueError(f"--validation_fraction must be in [0, 1), got {fraction}.")
    wnids = _wnids(root)
    train, test = [], []
    for wnid in wnids:
        with listing.one_row():
            train += _train_annotations(root, wnid)
    with listing.one_row():
        test = _val_annotations(root, wnids)
    for part in ("train", "val"):
        listed = {annotation.file for annotation in train + test}
        image_files.leave_out_unlisted(root, part, listed.__contains__)
    listing.leave_out("images of test have no labels", list(image_files.below(root, "test")))
    by_class = {wnid: [a.file for a in train if a.wnid == wnid] for wnid in wnids}
    assigned = splits.assign_splits(by_class, (1 - fraction, fraction, 0), options.seed)
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    return Source(
        class_names=_class_names(root, wnids),
        items=(
            Item(a.file, assigned.get(a.file, "test"), json.dumps([a.wnid, a.box, a.where]))
            for a in train + test
        ),
        read=functools.partial(_read, root, labels),
        split_rule=(
            f"test = Tiny ImageNet's val; validation = {fraction} of its train, by image, class by "
            f"class, seed {options.seed}"
        ),
    )


def _read(root, labels, item) -> Example:
    wnid, box, where = json.loads(item.key)
    path = os.path.join(root, item.image_id)
    if not os.path.exists(path):
        raise BadImageError(f"{path!r} does not exist, but {where} lists it. Unpack both again.")
    with open(path, "rb") as file:
        data = file.read()
    example = Example(image_id=item.image_id, image=data, label=labels[wnid], split=item.split)
    return count_maps.attach(example, lambda: (_map(item.image_id, box, data, where),))


def _map(name, box, data, where):
    height, width = geometry.displayed_size(data, name)
    xmin, ymin, xmax, ymax = box
    if not (0 <= xmin <= xmax < width and 0 <= ymin <= ymax < height):
        raise BadMapError(
            f"{where}, {name!r}: box {tuple(box)} must be xmin <= xmax, ymin <= ymax, pixel "
            f"indices of an image {width} wide and {height} high. Correct its line."
        )
    return rasterise.rasterise_boxes([(xmin, ymin, xmax + 1, ymax + 1)], height, width)


def _read_lines(root, name):
    path = os.path.join(root, name)
    if not os.path.isfile(path):
        raise ValueError(
            f"--input_dir={root!r} is not Tiny ImageNet: {path!r} does not exist. Expected the "
            "unpacked tiny-imagenet-200 with wnids.txt, words.txt, train/ and val/."
        )
    with open(path, encoding="utf-8") as file:
        try:
            return [(n, line.rstrip("\n")) for n, line in enumerate(file, 1) if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path!r} is not UTF-8 text: {error}. Unpack it again.") from error


def _wnids(root):
    wnids = []
    for number, line in _read_lines(root, "wnids.txt"):
        wnid = line.strip()
        if re.fullmatch(r"n\d+", wnid) and wnid not in wnids:
            wnids.append(wnid)
        else:
            listing.fault(
                f"{os.path.join(root, 'wnids.txt')!r}, line {number}: expected a WordNet id, each "
                f"once, got {wnid!r:.80}. Unpack the file again."
            )
    return sorted(wnids)


def _parse(root, name, fields):
    """The lines of a list: `fields` of text, the first an image's name; four integers; where."""
    path, found = os.path.join(root, name), {}
    lines = _read_lines(root, name)
    if not lines:
        raise ValueError(f"{path!r} lists no image. Unpack it again.")
    for number, line in lines:
        with listing.one_row():
            parts, where = line.split(), f"{path!r}, line {number}"
            try:
                box = tuple(int(part) for part in parts[fields:])
            except ValueError:
                box = ()
            if len(box) != 4:
                raise ValueError(
                    f"{where}: expected {fields} name(s) and four integers xmin ymin xmax ymax, "
                    f"got {line!r:.200}. Unpack the file again."
                )
            image = image_files.relative_name(parts[0], where)
            if image in found:
                raise ValueError(f"{where}: {image!r} is listed twice. Unpack the file again.")
            found[image] = [image, *parts[1:fields]], box, where
    return list(found.values())


def _train_annotations(root, wnid):
    lines = _parse(root, f"train/{wnid}/{wnid}_boxes.txt", 1)
    return sorted(
        _Annotation(f"train/{wnid}/images/{file}", wnid, box, where)
        for (file,), box, where in lines
    )


def _val_annotations(root, wnids):
    lines = _parse(root, "val/val_annotations.txt", 2)
    for wnid in sorted({wnid for (_, wnid), _, _ in lines} - set(wnids)):
        listing.fault(
            f"{root!r}: val/val_annotations.txt has the class {wnid!r}, which wnids.txt lacks. "
            "Unpack both again from one archive."
        )
    return sorted(
        _Annotation(f"val/images/{file}", wnid, box, where)
        for (file, wnid), box, where in lines
        if wnid in wnids
    )


def _class_names(root, wnids):
    """The first of each class's words; with its id where two classes share it, as two "cranes"."""
    lines = _read_lines(root, "words.txt")
    words = dict(line.split("\t", 1) for _, line in lines if "\t" in line)
    for wnid in wnids:
        if wnid not in words:
            listing.fault(f"{root!r}: words.txt lacks {wnid}. Unpack it again.")
    first = [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]
    return tuple(
        name if first.count(name) == 1 else f"{name} ({wnid})"
        for name, wnid in zip(first, wnids, strict=True)
    )
