"""Your own images in class folders, with maps for all, some or none of them.

    input_dir/cat/a.jpg                          a class is a folder
    input_dir/cat/a.png  or  a.npy               its map, beside it; or
    maps_dir/cat/a.png   or  a.npy               in a parallel tree (--maps_dir)

Images are JPEG or PNG. With train/, validation/ (or val/) and test/ folders above the class
folders, the splits are those; otherwise images are dealt in proportion, by the seed.
Beside a JPEG of equal stem a PNG is that image's map; alone, a PNG is an image, whose map can be an
NPY file or lie in the parallel tree.

A map is a grey PNG (8 or 16 bits) or an NPY array [H, W], or [P, H, W] with one map a participant.
Integers are counts. Fractions are scaled to whole numbers up to 65,535, which a loss and a rank
correlation do not notice. A map of another size than its image but of its proportions is
resampled; of other proportions it is an error.
"""

import functools
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from absl import logging

from data_prep.maps import count_maps, geometry
from data_prep.readers.images.map_files import read_map
from data_prep.sources import Item, Source, SourceOptions, splits
from gala_tf.data.schema import Example

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_JPEG, _PNG, _NPY = {".jpg", ".jpeg"}, {".png"}, {".npy"}


class _File(NamedTuple):
    image: str  # relative to input_dir, with "/"
    map_path: str | None
    class_name: str
    split: str | None


def load(options: SourceOptions) -> Source:
    """Lists the tree, and keeps the list: of a million images, some hundred megabytes.

    ValueError: no classes, a class without images, ambiguous files, or maps that match nothing.
    """
    root = options.input_dir
    if not os.path.isdir(root):
        raise ValueError(f"--input_dir={root!r} is not a folder; give the one of class folders.")
    if options.maps_dir and not os.path.isdir(options.maps_dir):
        raise ValueError(f"--maps_dir={options.maps_dir!r} is not a folder.")
    tops = [name for name in _folders(root) if name in SPLIT_FOLDERS]
    if tops and len(tops) < len(_folders(root)):
        others = [name for name in _folders(root) if name not in SPLIT_FOLDERS]
        raise ValueError(
            f"--input_dir={root!r} holds split folders {tops} and also {others[:5]}. Keep either "
            "split folders or class folders at the top, and move the others away."
        )
    items = []
    for top in tops or [""]:
        for class_name in _folders(os.path.join(root, top)):
            folder = os.path.join(top, class_name).replace(os.sep, "/")
            items += _list_class(options, folder, class_name, SPLIT_FOLDERS.get(top))
    class_names = sorted({item.class_name for item in items})
    if not class_names:
        raise ValueError(
            f"--input_dir={root!r} holds no class folders. Expected <class>/<image>.jpg, or "
            "train/<class>/<image>.jpg beside validation/ and test/."
        )
    if tops:
        _check_trained(root, items, class_names)
        rule = f"as in the folders {', '.join(tops)}"
    else:
        items = _deal(items, options)
        rule = splits.in_proportion(options)
    _check_maps(options, items)
    labels = {name: label for label, name in enumerate(class_names)}
    return Source(
        class_names=tuple(class_names),
        items=_listed(items),
        read=functools.partial(_read, root, labels),
        split_rule=rule,
    )


# --------------------------------------------------------------------------- listing


def _folders(path):
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _list_class(options, folder, class_name, split):
    """The images of one class folder, each with the map that belongs to it."""
    path = os.path.join(options.input_dir, folder)
    stems: dict[str, list[str]] = {}
    for name in sorted(os.listdir(path)):
        if not name.startswith(".") and os.path.isfile(os.path.join(path, name)):
            stems.setdefault(os.path.splitext(name)[0], []).append(name)
    items = []
    for stem, names in sorted(stems.items()):
        images = [n for n in names if _suffix(n) in _JPEG]
        # Beside a JPEG a PNG is its map, unless maps have a tree of their own.
        if not images or options.maps_dir:
            images += [n for n in names if _suffix(n) in _PNG]
        if not images:
            continue
        if options.maps_dir:
            base = os.path.join(options.maps_dir, folder, stem)
            maps = [base + s for s in sorted(_PNG | _NPY) if os.path.isfile(base + s)]
        else:
            maps = [
                os.path.join(path, n)
                for n in names
                if n not in images and _suffix(n) in _PNG | _NPY
            ]
        if len(images) > 1 or len(maps) > 1:
            raise ValueError(
                f"{path!r}: stem {stem!r} has images {images} and maps {maps}; expected one image "
                "and at most one map. Rename or remove the others."
            )
        items.append(_File(f"{folder}/{images[0]}", maps[0] if maps else None, class_name, split))
    if not items:
        raise ValueError(
            f"Class folder {path!r} holds no JPEG or PNG image. Remove it, or fill it; folders "
            "inside class folders are not searched."
        )
    return items


def _check_trained(root, items, class_names):
    trained = {item.class_name for item in items if item.split == "train"}
    untrained = [name for name in class_names if name not in trained]
    if trained and untrained:
        raise ValueError(
            f"--input_dir={root!r}: classes {untrained[:5]} occur outside train/ only. Class "
            "folders must have the same names in every split."
        )


def _suffix(name):
    return os.path.splitext(name)[1].lower()


def _deal(items, options):
    by_class: dict[str, list[str]] = {}
    for item in items:
        by_class.setdefault(item.class_name, []).append(item.image)
    assigned = splits.assign_splits(by_class, options.split_proportions, options.seed)
    return [item._replace(split=assigned[item.image]) for item in items]


def _check_maps(options, items):
    """Maps of which not one fits are a mistake; a few that fit nothing are worth a word."""
    suffixes = _PNG | _NPY if options.maps_dir else _NPY  # beside images, a lone PNG is an image
    found = sum(
        _suffix(name) in suffixes
        for _, _, names in os.walk(options.maps_dir or options.input_dir)
        for name in names
    )
    used = sum(item.map_path is not None and _suffix(item.map_path) in suffixes for item in items)
    if found and not used:
        raise ValueError(
            f"Of {found} map files under {options.maps_dir or options.input_dir!r} none belongs to "
            f"an image. Expected for example {os.path.splitext(items[0].image)[0] + '.png'!r} or "
            ".npy there, for the image of that stem."
        )
    if found > used:
        logging.warning("%d map files belong to no image; they are left out.", found - used)


# --------------------------------------------------------------------------- reading


def _listed(items) -> Iterator[Item]:
    for item in items:
        yield Item(item.image, item.split, json.dumps([item.class_name, item.map_path]))


def _read(root, labels, item) -> Example:
    class_name, map_path = json.loads(item.key)
    with open(os.path.join(root, item.image_id), "rb") as file:
        data = file.read()
    return Example(
        image_id=item.image_id,
        image=data,
        label=labels[class_name],
        participant_maps=() if map_path is None else _maps(map_path, data, item.image_id),
        split=item.split,
    )


def _maps(path, data, image_id):
    shape = geometry.displayed_size(data, image_id)
    maps = tuple(read_map(path))
    if maps[0].shape == shape:
        return maps
    logging.log_first_n(
        logging.WARNING,
        "%r is %dx%d, its image %dx%d (height x width): resampled to the nearest pixel. Further "
        "ones are not mentioned.",
        5,
        path,
        *maps[0].shape,
        *shape,
    )
    return tuple(count_maps.fit_map(counts, *shape, path) for counts in maps)
