"""Writes ClickMe's releases as their writers did.

* Records: a tf.train.Example of raw float32 bytes (`tobytes` of little-endian arrays), as the
  readers of serre-lab/gala_tpu (imagenet_input.py) and of the archive
  (serre-lab/human_clickme_data_processing, convert_clickme_1.0.py) take them; that writer itself
  was never published.
* NPZ: `np.savez(<folder>/<index>, image=, heatmap=, clicks=, label=)` from the archive's records,
  clicks and label NumPy integers, as the authors' conversion does; then zipped.
"""

import os
import zipfile

import numpy as np
import tensorflow as tf


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _integers(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def record(
    image, label, heatmap=None, click_count=None, bbox=None, file_path=None, replaced=()
) -> bytes:
    """One serialised record.

    Args:
      image, heatmap: arrays, or bytes as they come.
      heatmap, click_count, bbox, file_path: None leaves the key out.
      replaced: key -> tf.train.Feature, for what no writer made.
    """
    features = {"image": _bytes(_raw(image)), "label": _integers(label)}
    if heatmap is not None:
        features["heatmap"] = _bytes(_raw(heatmap))
    if click_count is not None:
        features["click_count"] = _integers(click_count)
    if bbox is not None:
        features["bbox"] = _integers(*bbox)
    if file_path is not None:
        features["file_path"] = _bytes(file_path.encode())
    features |= dict(replaced)
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _raw(values):
    return values if isinstance(values, bytes) else np.asarray(values).astype("<f4").tobytes()


def write_records(path, records):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for serialized in records:
            writer.write(serialized)


def write_npz(folder, index, image, heatmap, clicks, label):
    """<folder>/<index>.npz with float32 arrays and NumPy's integers."""
    os.makedirs(folder, exist_ok=True)
    np.savez(
        os.path.join(folder, str(index)),
        image=np.asarray(image, np.float32),
        heatmap=np.asarray(heatmap, np.float32),
        clicks=np.int64(clicks),
        label=np.int64(label),
    )


def zip_folder(folder, path, method=zipfile.ZIP_DEFLATED):
    """The folder, entry for itself included, as `zip -r` does."""
    name = os.path.basename(folder)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(folder, f"{name}/")
        for entry in sorted(os.listdir(folder)):
            archive.write(os.path.join(folder, entry), f"{name}/{entry}")
