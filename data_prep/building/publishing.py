"""From finished shards in the staging directory to a data set; may be killed and started again.

The order: an old data set's description is removed, then its shards; a note of that is left; then
each shard is moved; `dataset_info.json` comes last, and then the staging directory goes. Where the
description is, the data set is whole.
"""

import os
import re
from collections.abc import Set

import tensorflow as tf

from data_prep.building import shards
from data_prep.sources.splits import SPLITS
from gala_tf.data import dataset_info, tfrecord_files

_SHARD_FILE = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.tfrecord")
_BEGUN = "publishing"


def begun(staging: str) -> bool:
    """Whether a build was stopped while it moved its shards out of `staging`."""
    return tf.io.gfile.exists(os.path.join(staging, _BEGUN))


def clear(staging: str, output_dir: str) -> None:
    """Removes an old data set, once; from here on, until the new one is there, no data set is."""
    if begun(staging):
        return
    for name in sorted(
        _data_set_files(output_dir), key=lambda name: name != dataset_info.INFO_FILE
    ):
        tf.io.gfile.remove(os.path.join(output_dir, name))
    with tf.io.gfile.GFile(os.path.join(staging, _BEGUN), "w") as file:
        file.write("finished shards are being moved to the directory above\n")


def move(
    contents: shards.ShardContents, staging: str, output_dir: str, left_out: Set[str]
) -> dataset_info.Shard:
    """Puts one shard in its place, without the images in `left_out`; safe to repeat."""
    name = contents.shard.file
    source, target = os.path.join(staging, name), os.path.join(output_dir, name)
    keep = [row.image_id not in left_out for row in contents.rows]
    if not all(keep):
        kept = (r for r, k in zip(tfrecord_files.records(source), keep, strict=True) if k)
        return shards.write(target, kept)
    if tf.io.gfile.exists(source):
        tf.io.gfile.rename(source, target, overwrite=True)
    size = tf.io.gfile.stat(target).length if tf.io.gfile.exists(target) else None
    if size != contents.shard.bytes:
        raise ValueError(
            f"Shard {target!r} was made with {contents.shard.bytes} bytes and has "
            f"{'vanished' if size is None else f'{size} now'}. Delete {staging!r} to start anew."
        )
    return contents.shard


def _data_set_files(output_dir):
    return [
        name
        for name in tf.io.gfile.listdir(output_dir)
        if name == dataset_info.INFO_FILE or _SHARD_FILE.fullmatch(name)
    ]
