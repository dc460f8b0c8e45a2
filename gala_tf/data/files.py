"""Writing files so that a reader finds the old one or the new one, never half of either."""

import contextlib
import os


def write(path: str, content: str | bytes) -> None:
    """Writes `content` to `path`, local or gs://: beside it first, then by renaming.

    Directories that are missing are made. A local file is on the disk, not only in a cache, when
    this returns.
    """
    import tensorflow as tf

    tf.io.gfile.makedirs(os.path.dirname(path) or ".")
    beside, mode = path + ".writing", "wb" if isinstance(content, bytes) else "w"
    try:
        with tf.io.gfile.GFile(beside, mode) as file:
            file.write(content)
        to_disk(beside)
        tf.io.gfile.rename(beside, path, overwrite=True)
    except (OSError, tf.errors.OpError):
        with contextlib.suppress(tf.errors.OpError):  # makes room, where a disk is full
            tf.io.gfile.remove(beside)
        raise


def append(path: str, text: str) -> None:
    """Appends to a file, local or gs://; if that fails, nothing of it is left at the end."""
    import tensorflow as tf

    size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else 0
    try:
        with tf.io.gfile.GFile(path, "a") as file:
            file.write(text)
    except (OSError, tf.errors.OpError):
        if "://" not in path and os.path.exists(path):  # object stores write all or nothing
            os.truncate(path, size)
        raise


def to_disk(path: str) -> None:
    """Makes a local file survive a power cut; object stores do so by themselves."""
    if "://" not in path:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
