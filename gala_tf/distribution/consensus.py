"""What the workers of a cluster must agree on, and what is said when one of them is lost.

Every function is called by all workers at the same place, and does nothing where a single process
drives all replicas (one machine, or any number of TPU hosts). Values travel as JSON.
"""

import contextlib
import functools
import hashlib
import json
import time
from typing import Any

import numpy as np
import tensorflow as tf

from gala_tf.distribution import cluster

DIRECTORY_SECONDS = 90.0  # a network file system may show a new file a minute late


class LostWorkerError(RuntimeError):
    """Another worker is gone, and training cannot go on without it."""


class Silent:
    """Stands on other workers for what writes on the chief: takes every call, and does nothing."""

    def __getattr__(self, name):
        return lambda *_, **__: None


def is_chief(strategy) -> bool:
    """Whether this process is the one that writes files."""
    group = _group(strategy)
    return group is None or group.place == 0


def is_alone(strategy) -> bool:
    """Whether this process drives all replicas itself."""
    return _group(strategy) is None


def exchange(strategy, value: Any) -> list:
    """The values of all workers, in the order of their places; returns when all have called it."""
    if _group(strategy) is None:
        return [value]
    gather = _make_gather(strategy)
    mine = np.frombuffer(json.dumps(value).encode(), np.uint8)
    # float32, which holds bytes exactly: every collective implementation takes it.
    lengths = gather(tf.constant([float(len(mine))])).numpy().astype(int)
    joined = gather(tf.constant(mine.astype(np.float32))).numpy()
    parts = np.split(joined.astype(np.uint8), np.cumsum(lengths)[:-1])
    return [json.loads(part.tobytes().decode()) for part in parts]


def agree(strategy, facts: dict[str, Any], remedy: str) -> None:
    """ValueError, on all workers, unless all bring the same `facts`; names what differs, and where.

    `facts` is {what: JSON value}; `remedy`, a sentence, says what to do.
    """
    # Who raised alone would leave the others waiting in their next collective: so all see all.
    everywhere = exchange(strategy, facts)
    if all(theirs == everywhere[0] for theirs in everywhere):
        return
    group = _group(strategy)
    differing = []
    for name in sorted(set().union(*everywhere)):
        values = [theirs.get(name) for theirs in everywhere]
        if any(value != values[0] for value in values):
            listed = (f"{v!r} on {group.describe(i)}" for i, v in enumerate(values))
            differing.append(f"{name}: {', '.join(listed)}")
    raise ValueError(f"The workers do not agree on {'; '.join(differing)}. {remedy}")


def agree_on_directory(strategy, path: str, seconds: float = DIRECTORY_SECONDS) -> None:
    """ValueError, on all workers, unless the file that the chief wrote to `path` reaches them all.

    `path` is in the run directory, and written before the chief calls this; a worker waits so many
    `seconds` for it.
    """
    written = exchange(strategy, _digest(path) if is_chief(strategy) else None)[0]
    if written is None:  # a single process
        return
    end = time.monotonic() + seconds
    while not (seen := _digest(path) == written) and time.monotonic() < end:
        time.sleep(min(1.0, seconds / 10))
    agree(
        strategy,
        {f"seeing the chief's {path}": seen},
        "--model_dir must be one directory for all of them: on a shared file system, or gs://.",
    )


def leave(strategy) -> None:
    """Waits for all workers to be done: who ends earlier would look lost to the others."""
    exchange(strategy, "done")
    # TensorFlow asks for the peers' health now and then, in a thread. Asking one that has ended
    # while Python shuts down aborts the process.
    stop = getattr(strategy.extended, "_check_health_thread_should_stop", None)
    if stop is not None:
        stop.set()


@contextlib.contextmanager
def named_losses():
    """While it lasts, an error that means a lost worker says so, and what to do.

    LostWorkerError: from TensorFlow's error, where there are several workers.
    """
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
    ) as error:
        group = cluster.from_environment()
        if group is None:
            raise
        text = str(error)
        # "/job:worker/replica:0/task:1"; TensorFlow says which only where it knows.
        gone = [
            group.describe(i)
            for i, name in enumerate(group.task_names)
            if i != group.place and "/job:{}/replica:0/task:{}\n".format(*name.split()) in text
        ]
        raise LostWorkerError(
            f"{', '.join(gone) or 'another worker'} is lost, and {group.describe(group.place)} "
            "cannot go on alone. Look at the end of its output for the reason, then start the same "
            "command on all machines again: the run resumes from its newest checkpoint. TensorFlow "
            f"says: {_reason(text)}"
        ) from error


@functools.cache
def _make_gather(strategy):
    """A function: vector of any length -> the vectors of all workers, one after the other."""
    # Traced once: without an own graph, TensorFlow would make one a call.
    return tf.function(
        lambda vector: strategy.gather(vector, axis=0),
        input_signature=[tf.TensorSpec([None], tf.float32)],
    )


def _group(strategy):
    """The Cluster of a strategy that spans several processes, else None."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return cluster.from_environment()
    return None


def _digest(path):
    """A hash of a file's bytes; None if it is not there."""
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _reason(text):
    """The line of TensorFlow's message that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "Collective ops is aborted" in line or "unhealthy" in line]
    return (telling or lines or [""])[0][:300]
