"""File names as people have them: composed or not, and in no known encoding at all.

A Mac writes "è" as a letter and an accent (NFD), all others as one character (NFC): names are
compared composed, and keep their own spelling. A name that is no UTF-8 can neither be written down
nor opened by TensorFlow: it is left out, and named.
"""

import os
from collections.abc import Iterator, Sequence

import tensorflow as tf

from data_prep.readers import listing
from gala_tf.data import files

NO_UTF8 = "names are no UTF-8 (rename them)"


def shown(name: str) -> str:
    """A name that is no UTF-8, as a screen and a file can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def listed(folder: str) -> list[str]:
    """Names in a folder, sorted, local or gs://; those that are no UTF-8 are said and left out."""
    if not files.is_local(folder):
        return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return readable(folder, os.listdir(folder))


def walk(root: str) -> Iterator[tuple[str, list[str]]]:
    """(folder, names of its files), as `tf.io.gfile.walk` but for names that are no UTF-8."""
    if not files.is_local(root):
        for folder, _, names in tf.io.gfile.walk(root):
            yield folder, names
        return
    for folder, folders, names in os.walk(root):
        folders[:] = readable(folder, folders)
        yield folder, readable(folder, names)


def readable(folder: str, names: Sequence[str]) -> list[str]:
    """Those names that are UTF-8, sorted; the others are said."""
    wrong = sorted(name for name in names if not files.is_utf8(name))
    listing.leave_out(NO_UTF8, [os.path.join(folder, shown(name)) for name in wrong])
    return sorted(filter(files.is_utf8, names))


class Spellings:
    """The first spelling of each name that comes, composed or not."""

    def __init__(self):
        self._first: dict[str, str] = {}

    def first(self, name: str) -> str:
        """The spelling in which this name came first."""
        return name if name.isascii() else self._first.setdefault(files.composed(name), name)


def on_disk(root: str, name: str) -> str:
    """The path of `name`, relative with "/", below `root`, as the disk spells it.

    Where there is none, the path of the name as it is.
    """
    path = os.path.join(root, name)
    if name.isascii() or not files.is_local(root) or os.path.exists(path):
        return path
    place = root
    for part in name.split("/"):
        step = os.path.join(place, part)
        if not os.path.lexists(step):
            there = os.listdir(place) if os.path.isdir(place) else []
            same = [
                one
                for one in there
                if files.is_utf8(one) and files.composed(one) == files.composed(part)
            ]
            if not same:
                return path
            step = os.path.join(place, same[0])
        place = step
    return place
