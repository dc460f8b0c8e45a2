"""The plan of a build: which image goes to which shard. It is on disk before an image is read.

The number of an image in its split decides its shard (dealt like cards, so that a source that
lists class after class still puts every class in every shard), and its name and the seed decide
its place there. Neither depends on timing: every shard is a function of the plan and of the raw
material alone, whoever makes it, and whenever. A build that was killed goes on from its plan.

    plan/train-00003.items     one JSON line an image: [image_id, key]
    plan/plan.json             written last: fingerprint of the flags, images and shards a split
"""

import array
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from data_prep.readers import listing
from data_prep.readers.seeded import seeded_rank
from data_prep.sources import Item, splits
from gala_tf.data.files import is_utf8
from gala_tf.data.files import write as write_file

FLUSH_ITEMS = 100_000  # kept in memory before they are written
_SUMMARY = "plan.json"


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """What `plan.json` holds."""

    fingerprint: dict[str, Any]  # name -> value of all that decides the bytes
    images: dict[str, int]  # of each split that has any, in the order of `splits.SPLITS`
    shards: dict[str, int]  # of each of those

    def all_shards(self) -> list[tuple[str, int]]:
        """(split, index) of every shard; those of training first, since they are the largest."""
        return [(split, index) for split, count in self.shards.items() for index in range(count)]

    def images_of(self, split: str, index: int) -> int:
        """How many images a shard was dealt."""
        return len(range(index, self.images[split], self.shards[split]))


def make(
    directory: str, items: Iterable[Item], shards_wanted: dict[str, int], fingerprint: dict
) -> BuildPlan:
    """Lists a source once, and writes the plan.

    Args:
      directory: of the plan, local or gs://; what lies there is replaced.
      shards_wanted: split -> shards; a split of fewer images gets as many shards as images.

    ValueError: the source listed nothing, a name twice, or an unknown split.
    """
    if tf.io.gfile.exists(directory):
        tf.io.gfile.rmtree(directory)
    # Listed into a local directory: a bucket's objects cannot be appended to.
    with tempfile.TemporaryDirectory() as local:
        digests = array.array("Q")  # 8 bytes an image
        images = _deal(local, items, shards_wanted, digests)
        if not images:
            raise ValueError(
                "The source lists no image. Check its folder, and what its options leave out."
            )
        shards = {split: min(count, shards_wanted[split]) for split, count in images.items()}
        plan = BuildPlan(fingerprint, images, shards)
        _check_names(local, plan, digests)
        tf.io.gfile.makedirs(directory)
        copy = tf.io.gfile.copy if "://" in directory else shutil.copyfile
        for split, index in plan.all_shards():
            name = _items_file(split, index)
            copy(os.path.join(local, name), os.path.join(directory, name))
    text = json.dumps(dataclasses.asdict(plan), indent=1)
    write_file(os.path.join(directory, _SUMMARY), text)
    return plan


def load(directory: str) -> BuildPlan | None:
    """The plan in a directory; None if there is none, or only part of one."""
    path = os.path.join(directory, _SUMMARY)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return BuildPlan(**json.load(file))


def shard_items(directory: str, split: str, index: int, seed: int) -> list[Item]:
    """The images of one shard, in the order in which it holds them."""
    items = [
        Item(image_id, split, key)
        for image_id, key in _lines(os.path.join(directory, _items_file(split, index)))
    ]
    return sorted(items, key=lambda item: seeded_rank(item.image_id, seed))


def _deal(directory, items, shards_wanted, digests):
    """Writes the items files, and digests of names; split -> images, of splits that have any."""
    images = dict.fromkeys(splits.SPLITS, 0)
    waiting: dict[str, list[str]] = {}
    held = 0
    for item in items:
        if not is_utf8(item.image_id):
            name = item.image_id.encode(errors="backslashreplace").decode()
            listing.fault(f"The name of the image '{name}' is no UTF-8. Rename it.")
            continue
        if item.split not in images:
            raise ValueError(
                f"{item.image_id!r}: split must be one of {', '.join(splits.SPLITS)}, got "
                f"{item.split!r}. Mend the source."
            )
        file = _items_file(item.split, images[item.split] % shards_wanted[item.split])
        waiting.setdefault(file, []).append(json.dumps([item.image_id, item.key]) + "\n")
        digests.append(_digest(item.image_id))
        images[item.split] += 1
        held += 1
        if held >= FLUSH_ITEMS:
            _append(directory, waiting)
            held = 0
    _append(directory, waiting)
    return {split: count for split, count in images.items() if count}


def _append(directory, waiting):
    # Opened to append and closed again: a thousand files open at once exceed common limits.
    for name, lines in waiting.items():
        with open(os.path.join(directory, name), "a", encoding="utf-8") as file:
            file.writelines(lines)
    waiting.clear()


def _check_names(directory, plan, digests):
    """No two images of one name, whose `digests` are of all names.

    Names are read again only where two digests are equal, which those of different names are not
    but by chance.
    """
    ordered = np.sort(np.frombuffer(digests, np.uint64))
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not twice:
        return
    seen = set()
    for split, index in plan.all_shards():
        for name, _ in _lines(os.path.join(directory, _items_file(split, index))):
            if _digest(name) not in twice:
                continue
            if name in seen:
                listing.fault(
                    f"Two examples are called {name!r}; image_id must be unique. Mend the "
                    "source, or remove one of the two."
                )
            seen.add(name)


def _digest(name):
    """8 bytes of a name, as a number: Python's own hash differs from process to process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def _lines(path) -> Iterator[list[str]]:
    with tf.io.gfile.GFile(path) as file:
        for line in file:
            yield json.loads(line)


def _items_file(split, index):
    return f"{split}-{index:05d}.items"
