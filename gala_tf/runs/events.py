"""TensorBoard's event files, cut back to the checkpoint that a run resumes at.

A process that dies leaves steps that will be made again; beside the new ones, curves would run
back. They are cut out of its files, for every reader of these; and a TensorBoard that watches the
run is told to forget them, by a session's start.
"""

import os
import time

import tensorflow as tf
from absl import logging

from gala_tf.data import files, tfrecord_files

PREFIX = "events.out.tfevents."
IMAGE = "attention"  # of a validation, without its split's name


def cut(model_dir: str, step: int, again: str = "") -> None:
    """Removes events after `step`, and those of `step` itself of the kind `again`.

    A file's end that a kill damaged goes, too. Files that need no cut are not touched.
    """
    names = files.names(model_dir) if files.exists(model_dir) else []
    for name in sorted(names):
        if not name.startswith(PREFIX) or name.endswith(".writing"):
            continue
        path = os.path.join(model_dir, name)
        if tf.io.gfile.isdir(path):
            continue
        kept, dropped = [], 0
        try:
            for record in tfrecord_files.records(path):
                if _stays(tf.compat.v1.Event.FromString(record), step, again):
                    kept.append(record)
                else:
                    dropped += 1
        except tfrecord_files.DamagedFileError as error:
            # What lies behind the damage cannot be found: nothing marks where a record begins.
            logging.warning("TensorBoard misses the end of a file: %s", error)
            dropped += 1
        if dropped:
            beside = path + ".writing"
            with tf.io.TFRecordWriter(beside) as writer:
                for record in kept:
                    writer.write(record)
            tf.io.gfile.rename(beside, path, overwrite=True)


def _stays(event, step, again):
    if event.step > step:
        return False
    if not again or event.step < step or not event.HasField("summary"):
        return True
    return not any(
        value.tag == IMAGE or value.tag.startswith(f"{again}/") for value in event.summary.value
    )


def begin_session(writer, step: int) -> None:
    """Tells whoever watches that what it saw of `step` and later is no more: SessionLog START."""
    start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    event = tf.compat.v1.Event(wall_time=time.time(), step=step, session_log=start)
    # tf.summary has no function for an event that is no summary.
    tf.raw_ops.ImportEvent(writer=writer._resource, event=event.SerializeToString())
