"""Opening files to read from, local or gs://."""

import os
from typing import BinaryIO


def open_binary(path: str, buffering: int = -1) -> BinaryIO:
    """A file to read bytes from; for local ones Python's own, for gs:// TensorFlow's.

    TensorFlow fetches 512 KiB wherever one seeks. Locally that made listing records 12 times
    slower, reading those of 110 kB 3.5 times; and a walk through a tar would read most of it.

    Args:
      buffering: as of Python's `open`, of a local file.
    """
    if "://" not in path:
        return open(path, "rb", buffering=buffering)
    import tensorflow as tf

    return tf.io.gfile.GFile(path, "rb")


def file_size(path: str) -> int:
    """Size in bytes of a local or gs:// file."""
    if "://" not in path:
        return os.path.getsize(path)
    import tensorflow as tf

    return tf.io.gfile.stat(path).length
