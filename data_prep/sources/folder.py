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

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import logging
from PIL import Image

from data_prep import geometry, splits
from data_prep.sources import Source, SourceOptions
from gala_tf.records import MAX_COUNT, PILLOW_ERRORS, BadImageError, Example

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_JPEG, _PNG, _NPY = {".jpg", ".jpeg"}, {".png"}, {".npy"}


class _Item(NamedTuple):
    image: str  # relative to input_dir, with "/"
    map_path: str | None
    class_name: str
    split: str | None


def load(options: SourceOptions) -> Source:
    """Lists the tree; reads images and maps only while `examples` runs.

    Raises:
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
        rule = (
            "train, validation, test in proportion "
            f"{', '.join(f'{p:g}' for p in options.split_proportions)}, by image, class by class, "
            f"seed {options.seed}"
        )
    _check_maps(options, items)
    items.sort(key=lambda item: -splits.SPLITS.index(item.split))  # test first; stable
    return Source(tuple(class_names), _examples(root, items, class_names), len(items), rule)


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
        items.append(_Item(f"{folder}/{images[0]}", maps[0] if maps else None, class_name, split))
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


def _examples(root, items, class_names) -> Iterator[Example]:
    labels = {name: label for label, name in enumerate(class_names)}
    resampled = 0
    for item in items:
        with open(os.path.join(root, item.image), "rb") as file:
            data = file.read()
        maps = ()
        if item.map_path is not None:
            try:
                shape = geometry.displayed_size(data, item.image)
            except BadImageError:
                pass  # the builder decodes every image, and reports or skips this one
            else:
                maps = tuple(read_map(item.map_path))
                if maps[0].shape != shape:
                    resampled += 1
                    logging.log_first_n(
                        logging.WARNING,
                        "%r is %dx%d, its image %dx%d (height x width): resampled "
                        "to the nearest pixel.",
                        5,
                        item.map_path,
                        *maps[0].shape,
                        *shape,
                    )
                    maps = tuple(fit_map(counts, *shape, item.map_path) for counts in maps)
        yield Example(
            image_id=item.image,
            image=data,
            label=labels[item.class_name],
            participant_maps=maps,
            split=item.split,
        )
    if resampled:
        logging.warning("%d maps had another size than their image and were resampled.", resampled)


def read_map(path: str) -> np.ndarray:
    """Reads a map file.

    Returns:
      Integers [P, H, W] >= 0; P = 1 for a single map.

    Raises:
      ValueError: not readable, not grey, wrong rank, negative, not finite, or counts whose sum
        over participants exceeds 65,535.
    """
    try:
        if _suffix(path) in _NPY:
            values = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                if image.mode not in ("1", "L", "I", "I;16", "I;16B"):
                    raise ValueError(f"it is an image of mode {image.mode!r}, not a grey one")
                values = np.asarray(image)
    except PILLOW_ERRORS as error:
        raise ValueError(
            f"Map {path!r} cannot be read: {error}. Expected a grey PNG or an NPY array. If it is "
            "no map but a second image, rename it."
        ) from error
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.size == 0 or values.dtype.kind not in "buif":
        raise ValueError(
            f"Map {path!r} has shape {values.shape} and dtype {values.dtype}, expected numbers "
            "[height, width], or [participants, height, width]. Save it anew."
        )
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(
            f"Map {path!r} must be finite and >= 0, got {values.min()}...{values.max()}. Shift or "
            "clip it first: 0 means that nobody looked there."
        )
    return _as_counts(values, path)


def _as_counts(values, path):
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        # Less half a unit a participant, so that rounding cannot lift the sum above MAX_COUNT.
        scale = (MAX_COUNT - len(values)) / values.sum(0, dtype=np.float64).max()
        return np.rint(values * scale).astype(np.int64)
    total = values.sum(0, dtype=np.float64).max()
    if total > MAX_COUNT:
        raise ValueError(
            f"Map {path!r}: counts sum to {total:.0f} over participants, at most {MAX_COUNT} can "
            "be kept. Divide them first."
        )
    return values.astype(np.int64)


def fit_map(counts: np.ndarray, height: int, width: int, path: str) -> np.ndarray:
    """The map [H', W'] on its image's pixels; ValueError if it has other proportions."""
    map_height, map_width = counts.shape
    # Sides are whole numbers: one of the two is within half a pixel of what proportion demands.
    off_width = abs(map_width - width * map_height / height)
    off_height = abs(map_height - height * map_width / width)
    if min(off_width, off_height) > 0.5:
        raise ValueError(
            f"Map {path!r} is {map_height}x{map_width}, its image {height}x{width} (height x "
            "width, as displayed): other proportions, so there is no telling which part of the "
            "image it covers. Make the map anew for the whole image."
        )
    return geometry.resample_counts(counts, height, width)
