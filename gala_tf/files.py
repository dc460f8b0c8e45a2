"""Writing files so that a reader finds the old one or the new one, never half of either."""

import os


def write(path: str, content: str | bytes) -> None:
    """Writes `content` to `path`, local or gs://: beside it first, then by renaming.

    Directories that are missing are made. A local file is on the disk, not only in a cache, when
    this returns.
    """
    import tensorflow as tf

    tf.io.gfile.makedirs(os.path.dirname(path) or ".")
    with tf.io.gfile.GFile(path + ".writing", "wb" if isinstance(content, bytes) else "w") as file:
        file.write(content)
    to_disk(path + ".writing")
    tf.io.gfile.rename(path + ".writing", path, overwrite=True)


def to_disk(path: str) -> None:
    """Makes a local file survive a power cut; object stores do so by themselves."""
    if "://" not in path:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
