"""ClickMe as its authors released it: images and maps as raw floats.

    train-00000-of-01024 ... val-00000-of-00128 ...   the records gala_tpu trains on; val: no maps
    clickme_train.tfrecords  clickme_val...  clickme_test...     the archive, a file a split
    clickme_train.zip        clickme_val...  clickme_test...     <folder>/<number>.npz
    train/<number>.npz       or clickme_train/<number>.npz       the same, unpacked

A record holds `image`, little-endian float32 256x256x3 (224x224x3 in one variant: the length tells
which), `label`, and as a rule `heatmap`, float32 [side, side], `click_count` and `bbox`, four
integers (row0, col0, row1, col1), the maxima exclusive. An NPZ file has the first three, and
`clicks`. One revision of the archive also had `file_path`.

What the files do not say, and how it is read here:
* The range of image values, 0...1 or 0...255, is detected for each file and checked for each image
  (`data_prep/readers/images/float_images.py`). Pixels are rounded to 8 bits.
* No map is: no `heatmap`, an empty string, or all zeros with click_count = 0. That is what
  gala_tpu's mask, click_count > 0, leaves out. An empty map is all zeros with click_count > 0, or
  without a count. A map with marks is kept whatever the count: 0 then means unknown.
* Maps are sums over participants, so each is handed on as that of one. Whole numbers stay, others
  are scaled (`count_maps.as_counts`).
* Labels are 0-based by sorted WordNet id, as in the game that collected the maps; `label_order`
  says otherwise if a release differs.
* A record has no name. It is called <file>/<number>, and /<name of file_path> after that where
  there is one: the same image may come more than once, so the name alone would not do.
"""

import functools
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from data_prep.maps import count_maps
from data_prep.readers import file_names, listing
from data_prep.readers.archives import zip_files
from data_prep.readers.imagenet import imagenet_classes
from data_prep.readers.images import float_images
from data_prep.sources import Item, Source, SourceOptions, clickme, clickme_records
from gala_tf.data import tfrecord_files
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import Example

SPLITS = {"train": "train", "val": "validation", "test": "test"}
SAMPLE, MAX_SAMPLE = 8, 64  # images that decide a file's range; looked at for them

_LAYOUTS = {
    "records": re.compile(r"(train|val)-.+"),
    "archive": re.compile(r"clickme_(train|val|test)\.tfrecords"),
    "zips": re.compile(r"clickme_(train|val|test)\.zip"),
    "folders": re.compile(r"(?:clickme_)?(train|val|test)"),
}
_OF_TOTAL = re.compile(r"(.+)-(\d+)-of-(\d+)")
_NPZ = re.compile(r"(?:.*/)?(0|[1-9][0-9]{0,8})\.npz")


class _File(NamedTuple):
    layout: str
    path: str
    split: str


def load(options: SourceOptions) -> Source:
    """Finds out which of the four forms `input_dir` holds.

    ValueError: none of them or several, a missing shard, an unknown option.
    """
    imagenet_classes.to_label(1, options.label_order)  # an unknown order is an error now
    if options.record_maps not in ("heatmaps", "boxes"):
        raise ValueError(f"--record_maps={options.record_maps!r}: expected heatmaps or boxes.")
    files = _find(options.input_dir)
    names = ", ".join(dict.fromkeys(f"{os.path.basename(f.path)} = {f.split}" for f in files[:3]))
    return Source(
        class_names=imagenet_classes.class_names(),
        items=_items(files),
        read=functools.partial(_read, options.label_order, options.record_maps),
        place=_place,
        split_rule=f"the release's own, by file: {names}{', ...' if len(files) > 3 else ''}",
        human_ceiling=clickme.HUMAN_CEILING if options.record_maps == "heatmaps" else None,
    )


def _find(root: str) -> list[_File]:
    if not tf.io.gfile.isdir(root):
        raise ValueError(f"--input_dir={root!r} is not a folder; give the one of ClickMe's files.")
    there = file_names.listed(root)
    found: dict[str, list[_File]] = {}
    for name in there:
        for layout, pattern in _LAYOUTS.items():
            match = pattern.fullmatch(name)
            path = os.path.join(root, name)
            # A name with "-of-" is a shard's: a thousand questions to a bucket are saved.
            if match and (
                _OF_TOTAL.fullmatch(name) or tf.io.gfile.isdir(path) == (layout == "folders")
            ):
                found.setdefault(layout, []).append(_File(layout, path, SPLITS[match[1]]))
    if len(found) != 1:
        firsts = [os.path.basename(files[0].path) for files in found.values()]
        forms = (
            f"{' and '.join(firsts)}, different forms of the release" if firsts else "none of it"
        )
        raise ValueError(
            f"--input_dir={root!r} holds {forms}; expected one of: "
            "train-*-of-*, clickme_<split>.tfrecords, clickme_<split>.zip, <split>/<number>.npz. "
            "Each holds the same images: keep one kind in a folder. (train/train-0.tfrecords is "
            "--source=clickme_harmonization.)"
        )
    (layout, files), *_ = found.items()
    if layout == "records":
        _check_complete(root, [os.path.basename(file.path) for file in files])
    elif len({file.split for file in files}) < len(files):
        raise ValueError(
            f"--input_dir={root!r}: {[os.path.basename(f.path) for f in files]} hold one split "
            "twice. Keep one of them."
        )
    splits = ("train", "validation") if layout == "records" else SPLITS.values()
    missing = sorted(set(splits) - {file.split for file in files})
    if missing:
        logging.warning("%s: the release's %s is not there.", root, " and ".join(missing))
    return files


def _check_complete(root, names):
    totals: dict[tuple[str, int], set[int]] = {}
    for match in filter(None, map(_OF_TOTAL.fullmatch, names)):
        totals.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    for (prefix, total), numbers in totals.items():
        missing = sorted(set(range(total)) - numbers)
        if missing:
            raise ValueError(
                f"--input_dir={root!r}: {prefix} has {len(numbers)} of {total} files; missing are "
                f"{missing[:5]}{' ...' if len(missing) > 5 else ''}. Fetch them."
            )
    if len({prefix for prefix, _ in totals}) < len(totals):
        raise ValueError(
            f"--input_dir={root!r} holds files of several releases: {sorted(totals)} (name, number "
            "of files). Keep one."
        )


def _items(files: Iterable[_File]) -> Iterator[Item]:
    for file in files:
        with listing.one_row():
            places = iter(_places(file))
            head, upper, named = _look_at(file.path, places)
            for place in itertools.chain(head, places):
                base = os.path.basename(file.path)
                image_id = f"{base}/{place.number}{_stored_name(place) if named else ''}"
                yield Item(image_id, file.split, json.dumps([place, upper]))


def _places(file: _File) -> Iterator[clickme_records.Place]:
    """The records of a file, in order."""
    if file.layout == "zips":
        yield from _places_in_zip(file)
    elif file.layout == "folders":
        for number in _numbers_in_folder(file.path):
            yield clickme_records.Place(file.layout, file.path, number, ())
    else:
        for number, span in enumerate(tfrecord_files.spans(file.path)):
            yield clickme_records.Place(file.layout, file.path, number, tuple(span))


def _places_in_zip(file):
    count, largest = 0, -1
    for member in zip_files.members(file.path):
        match = _NPZ.fullmatch(member.name)
        if match:
            count, largest = count + 1, max(largest, int(match[1]))
            yield clickme_records.Place(file.layout, file.path, int(match[1]), tuple(member))
        elif "__MACOSX" in member.name or os.path.basename(member.name).startswith("."):
            logging.warning("%s: %r left out.", file.path, member.name)
        elif not member.name.endswith("/"):
            raise ValueError(
                f"{file.path!r}: member {member.name!r} is not <number>.npz; expected nothing "
                "else. Download the file again, or pack it without that."
            )
    _check_numbers(file.path, count, largest)


def _numbers_in_folder(path):
    there = file_names.listed(path)
    matches = map(_NPZ.fullmatch, there)
    # Eight bytes a file: of the names themselves nothing is kept.
    numbers = np.fromiter((int(match[1]) for match in matches if match), np.int64)
    if len(numbers) < len(there):
        others = len(there) - len(numbers)
        logging.warning("%s: %d entries are not <number>.npz; left out.", path, others)
    _check_numbers(path, len(numbers), int(numbers.max(initial=-1)))
    return np.sort(numbers).tolist()


def _check_numbers(path, count, largest):
    if count != largest + 1:
        raise ValueError(
            f"{path!r} has {count} files <number>.npz, the last {largest}.npz; expected each of "
            f"0...{largest} once. Unpack or download it again."
        )


def _look_at(path, places):
    """The first places, the range of the images there, and whether records have a `file_path`."""
    head, votes, first_error, named = [], {}, None, False
    for place in itertools.islice(places, MAX_SAMPLE):
        head.append(place)
        try:
            record = clickme_records.fetch(place)
            upper = float_images.guess_range(record.image, clickme_records.name_of(place))
        except BadImageError as error:  # `read` will say so again, where it can be skipped
            first_error = first_error or error
            continue
        named = named or bool(record.file_path)
        if upper:
            votes.setdefault(upper, []).append(place)
        if sum(map(len, votes.values())) == SAMPLE:
            break
    if not head:
        raise ValueError(f"{path!r} holds no record. Fetch it again, or remove it.")
    ranked = sorted(votes, key=lambda upper: len(votes[upper]), reverse=True)
    # One against many is that image's fault, which `read` will name.
    if ranked and (len(ranked) == 1 or len(votes[ranked[0]]) > len(votes[ranked[1]])):
        return head, ranked[0], named
    if ranked:
        one, other = (f"record {votes[upper][0].number} 0...{upper}" for upper in ranked)
        why = f"have no common range: {one}, {other}"
    else:
        why = f"tell no range, 0...1 or 0...255 (first error: {first_error})"
    raise ValueError(
        f"{path!r}: its first {len(head)} images {why}. Expected photographs. Fetch the file "
        "again, or leave it out."
    ) from first_error


def _stored_name(place):
    """A slash and the base name of `file_path`, one line; nothing if the record has none."""
    try:
        file_path = clickme_records.fetch(place).file_path
    except BadImageError:
        return ""
    base = "".join(c for c in re.split(r"[/\\]", file_path)[-1] if c.isprintable())
    return f"/{base}" if base else ""


def _read(label_order: str, record_maps: str, item: Item) -> Example:
    fields, upper = json.loads(item.key)
    place = clickme_records.Place(*fields)
    name, record = clickme_records.name_of(place), clickme_records.fetch(place)
    example = Example(
        image_id=item.image_id,
        image=float_images.to_uint8(record.image, upper, name),
        label=clickme.read_label(record.label, label_order, name, record.file_path),
        clicks=max(record.clicks or 0, 0),
        split=item.split,
    )

    def maps():
        counts = clickme_records.count_map(record, record_maps, name)
        return () if counts is None else (counts,)

    return count_maps.attach(example, maps)


def _place(key: str) -> str:
    return clickme_records.name_of(clickme_records.Place(*json.loads(key)[0]))
