"""COCO's JSON files, element by element.

The format (cocodataset.org/#format-data): one object with the arrays "images", "annotations" and
"categories" among others. The train file of 2017 has 450 MB and becomes several GB as Python's
objects, so it is never held whole: memory is one element and a window of text, whatever the
file's size.
"""

import codecs
import json
import os
import re
from collections.abc import Iterator

import tensorflow as tf

from data_prep.readers import listing
from gala_tf.data import files

CHUNK = 1 << 20  # bytes read at a time
MAX_ELEMENT = 1 << 26  # characters of one element; COCO's largest outline has some 10,000
_SPACE = re.compile(r"[ \t\r\n]*")
_PARTS = {"train": "train", "val": "validation", "test": "test"}


def split_of_name(name: str) -> str:
    """The split that a file's name says: train, val or test in it; "" if none or several."""
    found = set(re.findall("|".join(_PARTS), os.path.basename(name)))
    return _PARTS[found.pop()] if len(found) == 1 else ""


def find_files(patterns: str, what: str) -> list[str]:
    """Files of comma-separated paths or glob patterns, sorted; ValueError if one has no match."""
    paths: set[str] = set()
    for pattern in files.joined([part.strip() for part in patterns.split(",")]):
        if not pattern:
            continue
        found = files.matching(pattern)
        if not found:
            raise ValueError(f"{pattern!r} does not exist. Expected {what}.")
        if folders := [path for path in found if tf.io.gfile.isdir(path)]:
            raise ValueError(f"{folders[0]!r} is a folder. Expected {what}.")
        paths.update(found)
    return sorted(paths)


# Why not ijson (3.6): its two backends and Python's json read differently. yajl2_c turns a lone
# surrogate into "?" without a word, both refuse NaN and a byte order mark wherever they stand, one
# refuses whole numbers beyond 64 bits, and neither bounds the length of a string.


class _Window:
    """A part of a JSON file's text, moved forwards; it grows while an element does not fit."""

    def __init__(self, file, path):
        self._file, self._path = file, path
        self._text, self._at, self._before, self._ended = "", 0, 0, False
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._json = json.JSONDecoder()

    def _fail(self, why):
        raise ValueError(
            f"{self._path!r} is no JSON file in COCO's format: near character "
            f"{self._before + self._at}: {why}. Download or write it again."
        )

    def _more(self):
        """Reads on; False at the end of the file."""
        if self._ended:
            return False
        # As much again as is held, so that a long element is tried few times.
        data = self._file.read(max(CHUNK, len(self._text) - self._at))
        self._ended = not data
        try:
            text = self._decode(data, self._ended)
        except UnicodeDecodeError as error:
            self._fail(f"not UTF-8 ({error.reason})")
        self._before += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        return True

    def peek(self):
        """The next character that is not white space; "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character):
        found = self.peek() == character
        self._at += found
        return found

    def expect(self, character):
        if not self.take(character):
            found = self.peek()
            self._fail(f"expected {character!r}, got {found!r}" if found else "the file ends")

    def value(self):
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
                # A number at the window's edge may go on behind it.
                if self._text[end : end + 1] in tuple(" \t\r\n,]}:"):
                    self._at = end
                    return value
                why = f"{self._text[end]!r} after a value"
            except IndexError:
                why = "the file ends inside a value"
            except json.JSONDecodeError as error:
                why = error.msg
            except (ValueError, RecursionError) as error:  # a number or a nesting without bounds
                self._fail(str(error))
            if len(self._text) - self._at > MAX_ELEMENT:
                self._fail(f"a value of more than {MAX_ELEMENT} characters, or: {why}")
            if not self._more():
                self._fail(why)

    def array(self):
        """The values of an array, one by one."""
        self.expect("[")
        if self.take("]"):
            return
        while True:
            yield self.value()
            if not self.take(","):
                break
        self.expect("]")


def elements(path: str, keys: tuple[str, ...]) -> Iterator[tuple[str, dict]]:
    """The elements of the arrays `keys` of a JSON object, in the file's order; local or gs://.

    ValueError: missing, not UTF-8, not JSON, cut off, no object at the top, or elements that are no
    objects.
    """
    if not tf.io.gfile.exists(path):
        raise ValueError(f"{path!r} does not exist. Expected a JSON file in COCO's format.")
    with tf.io.gfile.GFile(path, "rb") as file:
        window = _Window(file, path)
        window.expect("{")
        more = not window.take("}")
        while more:
            key = window.value()
            window.expect(":")
            if window.peek() != "[":
                window.value()
            else:
                for number, element in enumerate(window.array()):
                    if key not in keys:
                        continue
                    if isinstance(element, dict):
                        yield key, element
                    else:
                        listing.fault(
                            f"{path!r}: {key}[{number}] must be an object, got {element!r:.80}."
                        )
            more = window.take(",")
            if not more:
                window.expect("}")
