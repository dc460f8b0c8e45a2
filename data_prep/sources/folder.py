"""Your own images in class folders, with maps for all, some or none of them.

    input_dir/cat/a.jpg                          a class is a folder
    input_dir/cat/a.png  or  a.npy               its map, beside it; or
    maps_dir/cat/a.png   or  a.npy               in a parallel tree (--maps_dir)
    input_dir/cat/batch2/b.jpg                   folders in class folders are of that class

Images are JPEG, PNG, WebP, BMP, GIF or TIFF. With train/, validation/ (or val/) and test/ folders
above the class folders, the splits are those; otherwise images are dealt in proportion, by the
seed. Beside a photograph (JPEG or WebP) of equal stem another image is that one's map; alone, it
is an image, whose map can be an NPY file or lie in the parallel tree.

A map is a grey image (8 or 16 bits) or an NPY array [H, W] or [H, W, 1], or [P, H, W] with one map
a participant. Integers are counts. Fractions are scaled to whole numbers up to 65,535, which a loss
and a rank correlation do not notice. JPEG changes grey levels, so that zeros become small counts:
such maps are taken, and said. A map of another size than its image but of its proportions is
resampled; of other proportions it is an error.

What belongs to none of this is left out and named; so are links that lead nowhere.
"""

import collections
import functools
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from absl import logging

from data_prep.maps import count_maps, geometry
from data_prep.readers import file_names, listing
from data_prep.readers.images.image_files import PHOTOGRAPHS, is_image, suffix
from data_prep.readers.images.map_files import MAP_SUFFIXES, is_lossy, read_map
from data_prep.sources import Item, Source, SourceOptions, splits
from gala_tf.data import files
from gala_tf.data.schema import Example

# What systems keep beside people's files; what begins with "._" is such a file of a Mac's.
_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
LINKS = "links lead nowhere, or back up"


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
    if options.maps_dir and os.path.samefile(options.maps_dir, root):
        raise ValueError(
            f"--maps_dir={options.maps_dir!r} is --input_dir: images would be their own maps. Maps "
            "that lie beside their images need no --maps_dir."
        )
    tops = [name for name in _folders(root) if splits.of_folder(name)]
    others = [name for name in _folders(root) if name not in tops]
    if others and not any(_folders(os.path.join(root, name)) for name in tops):
        tops = []  # classes by such a name, as of trains
    if tops and others:
        raise ValueError(
            f"--input_dir={root!r} holds split folders {tops} and also {others[:5]}. Keep either "
            "split folders or class folders at the top, and move the others away."
        )
    found = _Found(options)
    items = [item for top in tops or [""] for item in found.under(top)]
    class_names = sorted({item.class_name for item in items})
    _check_levels(root, items)
    if not class_names:
        raise ValueError(
            f"--input_dir={root!r} holds no class folders with images. Expected "
            "<class>/<image>.jpg, or train/<class>/<image>.jpg beside validation/ and test/."
        )
    if tops:
        _check_trained(root, items, class_names)
        rule = f"as in the folders {', '.join(tops)}"
    else:
        by_class: dict[str, list[str]] = {}
        for item in items:
            by_class.setdefault(item.class_name, []).append(item.image)
        dealt = splits.assign_splits(by_class, options.split_proportions, options.seed)
        items = [item._replace(split=dealt[item.image]) for item in items]
        rule = splits.in_proportion(options)
    found.say(items)
    labels = {name: label for label, name in enumerate(class_names)}
    return Source(
        class_names=tuple(class_names),
        items=(
            Item(item.image, item.split, json.dumps([item.class_name, item.map_path]))
            for item in items
        ),
        read=functools.partial(_read, root, labels),
        split_rule=rule,
    )


def _hidden(name):
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def _say_hidden(path, is_folder, left_out):
    """Names what may have been meant: a folder or an image, but no such file of a Mac's."""
    name = os.path.basename(path)
    if not name.startswith("._") and (is_folder or suffix(name) in MAP_SUFFIXES):
        left_out["files or folders are hidden, or the system's"].append(path)


def _folders(path):
    there = (name for name in file_names.listed(path) if not _hidden(name))
    return [name for name in there if os.path.isdir(os.path.join(path, name))]


def _walk(root, top, left_out) -> Iterator[tuple[str, list[str]]]:
    """(folder, its files) below `root`, sorted; `left_out` takes in what is hidden or no place."""
    place = os.path.realpath(os.path.join(root, top)) + os.sep
    seen = set()
    for folder, folders, names in os.walk(os.path.join(root, top), followlinks=True):
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            if os.path.islink(path) and (
                # A link to where we are would give this class the images of all.
                place.startswith(os.path.realpath(path) + os.sep) or not os.path.exists(path)
            ):
                left_out[LINKS].append(path)
            elif _hidden(name):
                _say_hidden(path, name in folders, left_out)
            else:
                continue
            (folders if name in folders else names).remove(name)
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = file_names.readable(folder, folders)
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        yield "" if relative == "." else relative, file_names.readable(folder, names)


def _stem(path):
    """What an image and its map have in common; a Mac spells accents in two characters."""
    return files.composed(os.path.splitext(path)[0])


class _Found:
    """The files of a tree, and of its parallel tree of maps; knows what was left over."""

    def __init__(self, options):
        self._root, self._maps_dir = options.input_dir, options.maps_dir
        self._maps: dict[str, list[str]] = {}  # stem below maps_dir -> paths
        self._spellings = file_names.Spellings()
        self._left_out: dict[str, list[str]] = collections.defaultdict(list)  # why -> paths
        self._other = self._left_out["files are neither images nor maps"]
        self._lone: list[str] = []  # maps beside no image
        self._disputed: set[str] = set()  # of one image with several maps
        self._inner: dict[str, int] = {}  # folder in a class folder -> images
        if self._maps_dir:
            for folder, names in _walk(self._maps_dir, "", self._left_out):
                for name in names:
                    path = os.path.join(self._maps_dir, folder, name)
                    if suffix(name) in MAP_SUFFIXES and os.path.isfile(path):
                        self._maps.setdefault(_stem(f"{folder}/{name}"), []).append(path)
                    else:
                        self._other.append(path)

    def under(self, top) -> Iterator[_File]:
        """The images of all class folders below a split folder, or below the root ("")."""
        for class_name in _folders(os.path.join(self._root, top)):
            folder = os.path.join(top, class_name).replace(os.sep, "/")
            spelling = self._spellings.first(class_name)
            items = list(self._of_class(folder, spelling, splits.of_folder(top)))
            if not items:
                listing.fault(
                    f"Class folder {os.path.join(self._root, folder)!r} holds no JPEG or PNG "
                    "image, nor one of the other formats. Remove it, or fill it."
                )
            yield from items
        names = file_names.listed(os.path.join(self._root, top))
        for name in names:
            path = os.path.join(self._root, top, name)
            if not os.path.exists(path):
                self._left_out[LINKS].append(path)
            elif _hidden(name):
                _say_hidden(path, os.path.isdir(path), self._left_out)
            elif os.path.isfile(path):
                self._other.append(path)

    def _of_class(self, class_folder, class_name, split):
        for folder, names in _walk(self._root, class_folder, self._left_out):
            path = os.path.join(self._root, folder)
            stems: dict[str, list[str]] = {}
            for name in names:
                if suffix(name) in MAP_SUFFIXES and os.path.isfile(os.path.join(path, name)):
                    stems.setdefault(_stem(name), []).append(name)
                else:
                    self._other.append(os.path.join(path, name))
            items = [
                item
                for stem, names in sorted(stems.items())
                if (item := self._item(folder, stem, names, class_name, split))
            ]
            if items and folder != class_folder:
                self._inner[folder] = len(items)
            yield from items

    def _item(self, folder, stem, names, class_name, split):
        """The image of a stem with its map; None without an image."""
        path = os.path.join(self._root, folder)
        images = [name for name in names if suffix(name) in PHOTOGRAPHS]
        # Beside a photograph another image is its map, unless maps have a tree of their own.
        if not images or self._maps_dir:
            images += [n for n in names if is_image(n) and suffix(n) not in PHOTOGRAPHS]
        beside = [os.path.join(path, name) for name in names if name not in images]
        if not images:
            self._lone += beside
            return None
        maps = beside
        if self._maps_dir:
            self._lone += beside
            maps = self._maps.get(_stem(f"{folder}/{stem}.x"), [])
        if len(images) > 1 or len(maps) > 1:
            listing.fault(
                f"{path!r}: stem {stem!r} has images {images} and maps {maps}; expected one image "
                "and at most one map. Rename or remove the others."
            )
            self._disputed.update(maps)
            maps = []
        return _File(f"{folder}/{images[0]}", maps[0] if maps else None, class_name, split)

    def say(self, items) -> None:
        """Names what was left out; ValueError if there are maps, and not one fits an image."""
        used = {item.map_path for item in items} - {None}
        taken = used | self._disputed
        lone = self._lone + [p for paths in self._maps.values() for p in paths if p not in taken]
        if self._maps_dir and not lone and not taken:
            there = f"; it has {self._other[0]!r}" if self._other else ""
            raise ValueError(
                f"--maps_dir={self._maps_dir!r} holds no map, an NPY file or a grey image, best "
                f"PNG{there}. Convert them, or leave out the flag."
            )
        if lone and not taken:
            raise ValueError(
                f"Of {len(lone)} map files under {self._maps_dir or self._root!r} none belongs to "
                f"an image, for example {lone[0]!r}. Expected for example "
                f"{os.path.splitext(items[0].image)[0] + '.png'!r} or .npy there, for the image of "
                "that stem."
            )
        listing.leave_out("map files belong to no image", sorted(lone))
        for why, paths in self._left_out.items():
            listing.leave_out(why, sorted(paths))
        if self._inner:
            shown = ", ".join(f"{folder} ({count})" for folder, count in self._inner.items())
            logging.warning(
                "%d images lie in folders inside class folders, and are taken as of that class: "
                "%.500s",
                sum(self._inner.values()),
                shown,
            )
        lossy = sorted(path for path in used if is_lossy(path))
        if lossy:
            logging.warning(
                "%d maps are JPEG or WebP files, which change grey levels: zeros become small "
                "counts, ties are lost. Save them as PNG or NPY if you can. The first: %s",
                len(lossy),
                ", ".join(lossy[: listing.SHOWN]),
            )


def _check_levels(root, items):
    """ValueError where the tree has classes and splits, or classes and their folder, reversed."""
    inner = collections.defaultdict(set)  # class -> folders in it, "" for its own images
    for item in items:
        # Below a split folder a class has its images, whatever its folders are called.
        if item.split is None:
            inner[item.class_name].add((item.image.split("/")[1:-1] or [""])[0])
    every = set().union(*inner.values())
    if len(every) > 1 and all(map(splits.of_folder, every)):
        name, split = min(inner), max(every)
        raise ValueError(
            f"--input_dir={root!r} has the splits {', '.join(sorted(every))} inside its class "
            f"folders. Put them above: {split}/{name}/, not {name}/{split}/."
        )
    if len(inner) == 1 and len(every) > 1 and "" not in every:
        above = os.path.join(root, *inner)
        raise ValueError(
            f"--input_dir={root!r} holds one folder, of which {', '.join(sorted(every)[:5])} would "
            f"be one class. Give --input_dir={above}."
        )


def _check_trained(root, items, class_names):
    trained = {item.class_name for item in items if item.split == "train"}
    untrained = [name for name in class_names if name not in trained]
    if trained and untrained:
        raise ValueError(
            f"--input_dir={root!r}: classes {untrained[:5]} occur outside train/ only. Class "
            "folders must have the same names in every split."
        )


def _read(root, labels, item) -> Example:
    class_name, map_path = json.loads(item.key)
    with open(os.path.join(root, item.image_id), "rb") as file:
        data = file.read()
    example = Example(
        image_id=item.image_id, image=data, label=labels[class_name], split=item.split
    )
    if map_path is None:
        return example
    return count_maps.attach(example, lambda: _maps(map_path, data, item.image_id))


def _maps(path, data, image_id):
    shape = geometry.displayed_size(data, image_id)
    maps = tuple(read_map(path))
    if maps[0].shape == shape:
        return maps
    fitted = tuple(count_maps.fit_map(counts, *shape, path) for counts in maps)
    logging.log_first_n(
        logging.WARNING,
        "%r is %dx%d, its image %dx%d (height x width): resampled to the nearest pixel. Further "
        "ones are not mentioned.",
        5,
        path,
        *maps[0].shape,
        *shape,
    )
    return fitted
