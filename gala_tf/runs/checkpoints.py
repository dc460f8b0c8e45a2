"""Checkpoints that are either whole or not there.

    checkpoints/step-00001200/{variables.index, variables.data-..., complete.json}

`complete.json` is written last and names every file with its size: a directory without it was
never finished and is not a checkpoint. That holds on gs:// too, where a directory cannot be renamed
at once. TensorFlow keeps a checksum of every tensor, and the marker one of itself, so that damage
is found when reading.
"""

import contextlib
import json
import os
import re
import tempfile
import zlib

import tensorflow as tf
from absl import logging

from gala_tf.data import files

MARKER = "complete.json"
PREFIX = "variables"
PATTERN_SIGNS = "*?[]\\"  # what TensorFlow finds no checkpoint by


class Checkpoints:
    """The newest `keep` checkpoints under one directory, local or gs://.

    Older ones are deleted once a newer one is whole. `objects` is what is saved, by name: model,
    optimizer, tf.Variables.
    """

    def __init__(self, directory: str, keep: int, **objects):
        self.directory, self.keep = directory, keep
        self._checkpoint = tf.train.Checkpoint(**objects)

    def save(self, step: int, **facts) -> str:
        """Writes a checkpoint of `step`, then deletes what is too old; returns its path.

        `facts` are JSON values kept in `complete.json`, such as the validation accuracy. If it
        cannot be written, what there is of it is deleted, and the older ones stay.
        """
        path = os.path.join(self.directory, f"step-{step:08d}")
        if tf.io.gfile.exists(path):  # what a killed run left, or the same step again
            tf.io.gfile.rmtree(path)
        try:
            tf.io.gfile.makedirs(path)
            # Not a CheckpointManager, which has no marker of wholeness.
            self._checkpoint.write(os.path.join(path, PREFIX))
            sizes = {
                name: tf.io.gfile.stat(os.path.join(path, name)).length
                for name in sorted(tf.io.gfile.listdir(path))
            }
            for name in sizes:
                files.to_disk(os.path.join(path, name))
            _write_marker(path, {"step": step, "files": sizes, **facts})
        except (OSError, tf.errors.OpError):
            with contextlib.suppress(tf.errors.OpError):  # makes room, where a disk is full
                tf.io.gfile.rmtree(path)
            raise
        self._delete_old(newest=path)
        return path

    def amend(self, step: int, **facts) -> None:
        """Replaces the facts of the whole checkpoint of `step`; its values stay as they are."""
        path = os.path.join(self.directory, f"step-{step:08d}")
        sizes = _read_marker(os.path.join(path, MARKER))["files"]
        _write_marker(path, {"step": step, "files": sizes, **facts})

    def restore_newest(self) -> dict | None:
        """Restores the newest checkpoint that can be read; returns its facts, or None for none.

        One that is damaged is named in the log and left in place, and the one before it is taken.
        ValueError: there are checkpoints, and none can be read.
        """
        found = complete(self.directory)
        for path in _listed(self.directory):
            if not tf.io.gfile.exists(os.path.join(path, MARKER)):
                text = "%s has no %s: it was never finished, and is left out"
                logging.warning(text, path, MARKER)
        for path, facts in reversed(found):
            try:
                check_files(path, facts)
                # Not assert_consumed: what a checkpoint holds beyond the objects does no harm.
                _read(self._checkpoint, path).assert_existing_objects_matched()
                return facts
            except Exception as error:
                if not _is_damage(error):
                    raise
                logging.error(
                    "Checkpoint %s cannot be used, trying the one before: %s", path, error
                )
        if found:
            raise ValueError(
                f"{self.directory}: none of the {len(found)} checkpoints can be read (reasons "
                "above). If the network's flags changed, use another --model_dir."
            )
        return None

    def _delete_old(self, newest):
        whole = [path for path, _ in complete(self.directory)]
        # By age, except that what was just written stays: after a fall-back to an older
        # checkpoint, a damaged newer one must not push it out.
        keep = {newest, *[path for path in whole if path <= newest][-self.keep :]}
        for path in set(_listed(self.directory)) - keep:
            tf.io.gfile.rmtree(path)


def complete(directory: str) -> list[tuple[str, dict]]:
    """All whole checkpoints under `directory`, oldest first: (path, facts)."""
    found = []
    for path in _listed(directory):
        marker = os.path.join(path, MARKER)
        if not tf.io.gfile.exists(marker):
            continue
        try:
            found.append((path, _read_marker(marker)))
        except tf.errors.NotFoundError:
            pass  # the run goes on meanwhile, and has deleted what was too old
        except ValueError as error:
            logging.error("%s is damaged, so the checkpoint is left out: %s", marker, error)
    return found


def _listed(directory):
    """Paths of checkpoints, whole or not, oldest first; none where there is no directory."""
    if not tf.io.gfile.isdir(directory):
        return []
    names = sorted(name.rstrip("/") for name in files.names(directory))
    return [os.path.join(directory, name) for name in names if re.fullmatch(r"step-\d+", name)]


def _write_marker(path, facts):
    """Writes `complete.json` with a checksum: a flipped bit in a number is still JSON."""
    checksum = _checksum(facts)
    text = json.dumps({**facts, "checksum": checksum}, indent=1)
    files.write(os.path.join(path, MARKER), text)


def _read_marker(marker):
    """The facts of a `complete.json`; ValueError if it is damaged."""
    with tf.io.gfile.GFile(marker, "rb") as file:
        facts = json.loads(file.read())  # ValueError, too, of bytes that are not UTF-8
    if not isinstance(facts, dict) or not isinstance(facts.get("files"), dict):
        raise ValueError("it does not say which files there are")
    if facts.pop("checksum", None) != _checksum(facts):
        raise ValueError("it fails its checksum")
    if facts.get("step") != int(os.path.basename(os.path.dirname(marker)).removeprefix("step-")):
        raise ValueError(f"it is of step {facts.get('step')}")
    return facts


def _checksum(facts):
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())


def check_files(path: str, facts: dict) -> None:
    """ValueError naming the first file of a checkpoint that is missing or of another size."""
    for name, expected in facts["files"].items():
        file = os.path.join(path, name)
        got = tf.io.gfile.stat(file).length if tf.io.gfile.exists(file) else "no such file"
        if got != expected:
            raise ValueError(f"{file}: expected {expected} bytes, got {got}")


def read_weights(model, directory: str) -> dict:
    """Reads the newest checkpoint's weights into `model`, without an optimizer; returns its facts.

    ValueError: there is none, it is damaged, or it is of another network.
    """
    found = complete(directory)
    if not found:
        raise ValueError(
            f"{directory} holds no finished checkpoint. Train first, or point --model_dir at a run "
            "directory (the one that holds run.flags). If there is one, and it is damaged "
            "(reason above), the weights of the run's other directory may serve: best/ or "
            "checkpoints/, --checkpoint=best or newest."
        )
    path, facts = found[-1]
    check_files(path, facts)
    try:
        # Partial: what is there of an optimizer is not asked for.
        status = _read(tf.train.Checkpoint(model=model), path)
        status.expect_partial().assert_existing_objects_matched()
    except Exception as error:
        if not _is_damage(error):
            raise
        raise ValueError(
            f"{path} is damaged, or is a checkpoint of another network: {error}"
        ) from error
    return facts


def _read(checkpoint, path):
    """Reads a checkpoint's values; returns TensorFlow's status of what matched.

    TensorFlow takes the path as a pattern: of `run[1]` it finds nothing, and `run?` it may take
    from another run. So such a path is read through a link of a plain name.
    """
    if not files.is_local(path) or not set(path) & set(PATTERN_SIGNS):
        return checkpoint.read(os.path.join(path, PREFIX))
    with tempfile.TemporaryDirectory() as plain:
        link = os.path.join(plain, "checkpoint")
        os.symlink(os.path.abspath(path), link)
        return checkpoint.read(os.path.join(link, PREFIX))


def _is_damage(error: Exception) -> bool:
    """Whether an error of reading means that the checkpoint is damaged, or of another network.

    Not where the storage is out of reach for a while: that must stop the run, or a sound checkpoint
    would be taken for a damaged one, and deleted.
    """
    passing = (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.PermissionDeniedError,
        tf.errors.ResourceExhaustedError,
        tf.errors.UnauthenticatedError,
        tf.errors.UnavailableError,
    )
    damaged = (tf.errors.OpError, AssertionError, ValueError)
    return isinstance(error, damaged) and not isinstance(error, passing)
