"""A folder of images, for Fig. 4B: found, and cut as evaluation cuts those of a data set.

N images, S side of an image
"""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from gala_tf.data import files, images, preprocessing


def image_paths(directory: str) -> list[str]:
    """The image files of a folder (local or gs://), sorted by name; ValueError if there is none."""
    if not tf.io.gfile.isdir(directory):
        raise ValueError(f"--images={directory}: no such folder.")
    known = Image.registered_extensions().items()  # of the formats that a data set takes:
    endings = tuple(sorted(ending for ending, kind in known if kind in images.IMAGE_FORMATS))
    names = sorted(name for name in files.names(directory) if name.lower().endswith(endings))
    if wrong := files.unreadable(directory):
        logging.warning("%s: names that are no UTF-8 are left out: %s", directory, wrong)
    if not names:
        raise ValueError(
            f"--images={directory}: no file there ends in {', '.join(endings)}. Convert other "
            "formats to one of these; images in folders below are not looked for."
        )
    return [os.path.join(directory, name) for name in names]


def read_images(paths: Sequence[str], run_config) -> np.ndarray:
    """Image files cut as in evaluation, [N, S, S, 3] uint8; ValueError: a damaged or other file.

    As in a data set that is built of them: turned as their EXIF says, and what is no plain JPEG
    becomes one.
    """
    found = []
    for path in paths:
        data = tf.io.read_file(path).numpy()
        image = images.decode_image(data, path)
        window = preprocessing.center_window(image.height, image.width, run_config.crop_fraction)
        jpeg = images.to_jpeg(image, data)
        found.append(preprocessing.cut_image(jpeg, window, run_config.image_size).numpy())
    return np.stack(found)
