"""The staging directory below --output_dir, where a build keeps what is finished."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator

import tensorflow as tf

from gala_tf.data import files, places

NAME = ".building"
_LEFT_OUT = os.path.join("plan", "left_out.json")  # beside the plan, which it belongs to
MATCHES = "matches"  # in there: what a join by content has computed
_BEGUN = "publishing"  # in there, once shards are moved out


def begun(staging: str) -> bool:
    """Whether a build was stopped while it moved its shards out of `staging`."""
    return tf.io.gfile.exists(os.path.join(staging, _BEGUN))


def begin(staging: str) -> None:
    """Leaves the note that `begun` looks for."""
    text = "finished shards are being moved to the directory above\n"
    files.write(os.path.join(staging, _BEGUN), text)


def check_output(output_dir: str, overwrite: bool) -> None:
    """ValueError if there is anything that is neither this build's own nor a data set to go."""
    if begun(os.path.join(output_dir, NAME)):
        return  # the shards there are this build's own
    places.check_build(output_dir, NAME, overwrite)


@contextlib.contextmanager
def held(staging: str) -> Iterator[None]:
    """The staging directory, held against a second build; removed if nothing in it is finished."""
    tf.io.gfile.makedirs(staging)
    with _lock(staging):
        try:
            yield
        except BaseException:
            names = {name.rstrip("/") for name in tf.io.gfile.listdir(staging)}
            if MATCHES not in names and not any(name.endswith(".rows") for name in names):
                tf.io.gfile.rmtree(staging)
                parent = os.path.dirname(staging)
                if not tf.io.gfile.listdir(parent):
                    tf.io.gfile.rmtree(parent)  # a build that made nothing leaves nothing behind
            raise


def keep_left_out(staging: str, listed: dict[str, list[str]]) -> dict[str, list[str]]:
    """Why -> names that the listing left out; of a build that goes on, those of its first start.

    What is listed while items run through is known to the start that made the plan alone.
    """
    path = os.path.join(staging, _LEFT_OUT)
    if tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path) as file:
            return json.load(file)
    files.write(path, json.dumps(listed))
    return listed


@contextlib.contextmanager
def _lock(staging):
    """Keeps other builds on this machine out; the system releases it if this one is killed."""
    if "://" in staging:
        yield  # buckets have no locks; two builds would write the same bytes
        return

    with open(os.path.join(staging, "lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"Another build is writing in {staging!r}. Wait for it, or stop it."
            ) from error
        yield
