"""A folder of JPEG files, for Fig. 4B: found, and cut as evaluation cuts images.

N images, S side of an image
"""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from gala_tf.data import files, preprocessing

JPEG_MAGIC = b"\xff\xd8\xff"
ENDINGS = (".jpg", ".jpeg")  # in any case


def jpeg_paths(directory: str) -> list[str]:
    """The JPEG files of a folder (local or gs://), sorted by name; ValueError if there is none."""
    if not tf.io.gfile.isdir(directory):
        raise ValueError(f"--images={directory}: no such folder.")
    names = sorted(n for n in files.names(directory) if n.lower().endswith(ENDINGS))
    if not names:
        raise ValueError(
            f"--images={directory}: no file there ends in {' or '.join(ENDINGS)}. Convert other "
            "formats to JPEG, or build a data set with `python -m data_prep.build_tfrecords`."
        )
    return [os.path.join(directory, name) for name in names]


def read_jpegs(paths: Sequence[str], run_config) -> np.ndarray:
    """JPEG files cut as in evaluation, [N, S, S, 3] uint8.

    An orientation in the file's EXIF data is ignored, as it is in training.

    Raises:
        ValueError: a file that is no JPEG, or a damaged one.
    """
    images = []
    for path in paths:
        encoded = tf.io.read_file(path)
        if not encoded.numpy().startswith(JPEG_MAGIC):
            raise ValueError(
                f"{path} is no JPEG: it begins with {encoded.numpy()[:4]!r}, not "
                f"{JPEG_MAGIC!r}. Convert it, or move it out of the folder."
            )
        try:
            height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(encoded))
            window = preprocessing.center_window(height, width, run_config.crop_fraction)
            image = preprocessing.cut_image(encoded, window, run_config.image_size)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{path} cannot be read as a JPEG. It is damaged.") from error
        images.append(image.numpy())
    return np.stack(images)
