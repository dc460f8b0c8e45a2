"""Files, local or gs://: opened, listed, and written so that a reader never finds half of one.

Local files are left to Python. TensorFlow fetches 512 KiB wherever one seeks: locally that made
listing records 12 times slower, reading those of 110 kB 3.5 times; and a walk through a tar would
read most of it.
"""

import contextlib
import glob
import os
import unicodedata
from collections.abc import Iterator, Sequence
from typing import IO, BinaryIO


def _tensorflow():
    # Late: only gs:// needs it, and commands that read local files answer before it has loaded.
    import tensorflow as tf

    return tf


def is_local(path: str) -> bool:
    """Whether Python's own functions can open `path`; else it is a bucket's."""
    return "://" not in path


def open_binary(path: str, buffering: int = -1) -> BinaryIO:
    """A file to read bytes from; `buffering` as of Python's `open`, for local files."""
    if is_local(path):
        return open(path, "rb", buffering=buffering)
    return _tensorflow().io.gfile.GFile(path, "rb")


def file_size(path: str) -> int:
    """Size in bytes."""
    return os.path.getsize(path) if is_local(path) else _tensorflow().io.gfile.stat(path).length


def exists(path: str) -> bool:
    """Whether there is a file or a directory of that name."""
    return os.path.exists(path) if is_local(path) else _tensorflow().io.gfile.exists(path)


def names(directory: str) -> list[str]:
    """What lies in a directory, without the directory's own name, in any order.

    Local names that are no UTF-8, which neither JSON nor TensorFlow can hold, are left out.
    """
    if not is_local(directory):
        return _tensorflow().io.gfile.listdir(directory)
    return [name for name in os.listdir(directory) if is_utf8(name)]


def unreadable(directory: str) -> str:
    """The names that `names` leaves out, as a screen can hold them; empty where there is none."""
    there = os.listdir(directory) if is_local(directory) else []
    return ", ".join(sorted(ascii(name)[1:-1] for name in there if not is_utf8(name)))


def composed(name: str) -> str:
    """The name as it is compared with others: a Mac writes "è" as a letter and an accent."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_utf8(name: str) -> bool:
    """Whether a name, as Python lists it, can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def joined(words: Sequence[str]) -> list[str]:
    """Words that commas parted, put together again where that is the name of something local."""
    found, rest = [], list(words)
    while rest:
        for count in range(len(rest), 0, -1):
            text = os.path.expanduser(",".join(rest[:count]))
            if count == 1 or os.path.lexists(text):
                found.append(text)
                del rest[:count]
                break
    return found


def matching(pattern: str, root: str = "") -> list[str]:
    """Paths that a pattern with `*`, `?` or `[...]` matches, sorted; what exists is no pattern.

    Part by part: of `data[v2]/*.json` the first is a folder of that name, where there is one.

    `root`: directory that the pattern is relative to, taken as it is.
    """
    if not is_local(root or pattern):
        return sorted(_tensorflow().io.gfile.glob(os.path.join(root, pattern)))
    places = [root or ("/" if pattern.startswith("/") else "")]
    for part in [part for part in pattern.split("/") if part]:
        places = [path for place in places for path in _inside(place, part)]
    return sorted(places)


def _inside(place, part):
    path = os.path.join(place, part)
    if os.path.lexists(path) or not glob.has_magic(part):
        return [path] if os.path.exists(path) else []
    return glob.glob(os.path.join(glob.escape(place), part) if place else part)


def write(path: str, content: str | bytes) -> None:
    """Writes `content` to `path`: beside it first, then by renaming. Text becomes UTF-8.

    Directories that are missing are made. A local file is on the disk, not only in a cache, when
    this returns.
    """
    data, beside = _bytes(content), path + ".writing"
    if is_local(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            with naming(beside), open(beside, "wb") as file:
                file.write(data)
            to_disk(beside)
            os.replace(beside, path)
        except OSError:
            with contextlib.suppress(OSError):  # makes room, where a disk is full
                os.remove(beside)
            raise
        return
    tf = _tensorflow()
    try:
        with tf.io.gfile.GFile(beside, "wb") as file:
            file.write(data)
        tf.io.gfile.rename(beside, path, overwrite=True)
    except (OSError, tf.errors.OpError):
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(beside)
        raise


@contextlib.contextmanager
def open_text(path: str) -> Iterator[IO[str]]:
    """A file to write text to as it comes; its directory is made."""
    if not is_local(path):
        with _tensorflow().io.gfile.GFile(path, "w") as file:
            yield file
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with naming(path), open(path, "w", encoding="utf-8", newline="") as file:
        yield file


def append(path: str, text: str) -> None:
    """Appends to a file; if that fails, nothing of it is left at the end."""
    if not is_local(path):  # object stores write all or nothing
        with _tensorflow().io.gfile.GFile(path, "a") as file:
            file.write(text)
        return
    size = os.path.getsize(path) if os.path.exists(path) else 0
    try:
        with naming(path), open(path, "ab") as file:
            file.write(_bytes(text))
    except OSError:
        if os.path.exists(path):
            os.truncate(path, size)
        raise


def to_disk(path: str) -> None:
    """Makes a local file survive a power cut; object stores do so by themselves."""
    if is_local(path):
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _bytes(content):
    return content if isinstance(content, bytes) else content.encode("utf-8")


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Names the file in errors: Python does when it cannot be opened, not when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise
