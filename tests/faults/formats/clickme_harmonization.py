"""Writes ClickMe's TFRecords of the Harmonization paper.

As the reader of serre-lab/Harmonization (harmonization/common/clickme_dataset.py) takes them: keys
image, heatmap (JPEG files of tf.io.encode_jpeg, 256x256x3 and 256x256x1) and label; files
train/train-{i}.tfrecords and val/val-{i}.tfrecords. Their writer was never published; the quality
of the JPEG files is TensorFlow's default.
"""

import os

import numpy as np
import tensorflow as tf


def jpeg(pixels, quality=95) -> bytes:
    """uint8 [H, W, 3] or [H, W, 1] as a JPEG file."""
    return tf.io.encode_jpeg(np.asarray(pixels, np.uint8), quality=quality).numpy()


def record(image: bytes, heatmap: bytes | None, label: int) -> bytes:
    """One serialised record; a heatmap of None leaves its key out."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    if heatmap is not None:
        features["heatmap"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[heatmap]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_shard(root, split, number, records):
    """<root>/<split>/<split>-<number>.tfrecords"""
    folder = os.path.join(root, split)
    os.makedirs(folder, exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(folder, f"{split}-{number}.tfrecords")) as writer:
        for serialized in records:
            writer.write(serialized)
