"""The disk is full, or out of reach, while a run writes. On a real small disk where root may mount
one, else under a limit on the size of files."""

import contextlib
import errno
import functools
import os
import resource
import subprocess
import threading
import time

import tensorflow as tf
from absl import logging
from faults.failing import (
    FAILURE,
    HARMLESS,
    NAMED,
    REPORTED,
    WAITED,
    Kind,
    in_checkpoints,
    in_records,
)

from gala_tf.data import files, left_out
from gala_tf.resilience import full_disk
from gala_tf.runs import checkpoints, logs

LONG = "x" * 30_000


class Disk:
    """A small disk at `path`, which `fill` fills and `free` makes room on."""

    def __init__(self, path, kilobytes):
        self.path, self._limit = path, None
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)]
        self.mounted = subprocess.run(command, capture_output=True).returncode == 0

    def fill(self):
        if not self.mounted:
            self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, self._limit[1]))
            return
        with contextlib.suppress(OSError), open(self.path / "fill", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def free(self):
        if self._limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)
        with contextlib.suppress(OSError):
            (self.path / "fill").unlink()

    def close(self):
        self.free()
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=True)


@contextlib.contextmanager
def small_disk(folder, kilobytes=600):
    disk, retry = Disk(folder / "disk", kilobytes), full_disk.RETRY_SECONDS
    full_disk.RETRY_SECONDS = 0.1
    try:
        yield disk
    finally:
        full_disk.RETRY_SECONDS = retry
        disk.close()


def _try(write, directory, patience=0.0, hurried=lambda: False):
    """The message if it is not written, else None."""
    try:
        full_disk.keep_trying(write, "what a run writes", str(directory), patience, hurried)
    except full_disk.StorageError as error:
        return str(error)
    return None


def _freed_later(disk):
    threading.Timer(0.5, disk.free).start()


def _named(error, path):
    """Whether a message names the file system and what is free on it."""
    return error and "MB are free" in error and str(path) in error


def _checkpoint(keep, room, folder, rng):
    with small_disk(folder) as disk:
        state, values, place = in_checkpoints.states()[0], {}, disk.path / "checkpoints"
        saver = checkpoints.Checkpoints(
            str(place), keep, model=state.network, optimizer=state.optimizer
        )
        for step in (10, 20, 30):
            state.update()
            values[step] = state.values()
            if step == 30:
                disk.fill()
                if room:
                    _freed_later(disk)
                error = _try(lambda: saver.save(30), place, 30.0 if room else 0.0)
            else:
                saver.save(step)
        other = in_checkpoints.states()[1]
        fresh = checkpoints.Checkpoints(
            str(place), keep, model=other.network, optimizer=other.optimizer
        )
        facts, expected = fresh.restore_newest(), 30 if room else 20
        if facts["step"] != expected or not other.is_at(values[expected]):
            return FAILURE, f"restored {facts}"
        if room:
            return (FAILURE, error) if error else (WAITED, "saved when there was room")
        if os.path.exists(place / "step-00000030"):
            return FAILURE, "half of a checkpoint takes the room that is left"
        return (NAMED if _named(error, place) else FAILURE), str(error)


def _metrics(room, folder, rng):
    with small_disk(folder) as disk:
        log = logs.MetricLog(str(disk.path), 0)
        for step in (1, 2):
            log.write(step, "train", {"loss": 1.0})
        before = (disk.path / "metrics.jsonl").read_text()
        disk.fill()
        if room:
            _freed_later(disk)
        numbers = {f"{LONG}{i}": 1.0 for i in range(3)}  # more than the page that is its own
        error = _try(lambda: log.write(3, "train", numbers), disk.path, 30.0 if room else 0.0)
        after = (disk.path / "metrics.jsonl").read_text()
        steps = [line["step"] for line in logs.read_metrics(str(disk.path))]
        if room:
            return (WAITED, "") if not error and steps == [1, 2, 3] else (FAILURE, f"{steps}")
        if after != before:
            return FAILURE, f"half a line is left, of {len(after)} characters"
        return (NAMED if _named(error, disk.path) else FAILURE), str(error)


def _file(folder, rng):
    """run.flags, environment.json, complete.json, bad_records.json: all by `files.write`."""
    with small_disk(folder) as disk:
        path = disk.path / "run.flags"
        files.write(str(path), "the old one")
        disk.fill()
        error = _try(lambda: files.write(str(path), LONG), disk.path)
        if path.read_text() != "the old one" or (disk.path / "run.flags.writing").exists():
            return FAILURE, f"left: {os.listdir(disk.path)}"
        return (NAMED if _named(error, disk.path) else FAILURE), str(error)


def _good_records(folder, rng):
    """The copies of good records do not fit."""
    data, error = in_records._read_on(folder, rng, in_records.in_data)
    _, info = in_records.data_set()
    with small_disk(folder) as disk:
        disk.fill()
        arguments = (str(disk.path), str(data), info, "train", error.bad, 0)
        text = _try(lambda: left_out.leave_out(*arguments), disk.path)
        if (disk.path / left_out.FILE).exists():
            return FAILURE, "the list is there, the records are not"
        return (NAMED if _named(text, disk.path) else FAILURE), str(text)


def _tensorboard(folder, rng):
    """Its events do not fit; metrics.jsonl, which is the record, does."""
    lines, old, error = [], tf.summary.create_file_writer, logging.error

    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "events: No space left on device")

    try:
        tf.summary.create_file_writer = full
        logging.error = lambda text, *args: lines.append(text % args)
        logs.MetricLog(str(folder), 0).write(1, "train", {"loss": 1.0})
    finally:
        tf.summary.create_file_writer, logging.error = old, error
    whole = [line["step"] for line in logs.read_metrics(str(folder))] == [1]
    return (REPORTED if whole and "No space left" in lines[0] else FAILURE), " ".join(lines)


def _removed(folder, rng):
    """Someone removes the directory of checkpoints: the next one makes it again."""
    state = in_checkpoints.states()[0]
    saver = checkpoints.Checkpoints(str(folder / "c"), 3, model=state.network)
    saver.save(10)
    subprocess.run(["rm", "-r", str(folder / "c")], check=True)
    saver.save(20)
    steps = [facts["step"] for _, facts in checkpoints.complete(str(folder / "c"))]
    return (HARMLESS if steps == [20] else FAILURE), ""


def _raising(error, times, folder, rng):
    """A storage that fails some times, then works."""
    left = [error] * times

    def write():
        if left:
            raise left.pop()

    retry, full_disk.RETRY_SECONDS = full_disk.RETRY_SECONDS, 0.05
    try:
        text = _try(write, folder, 20.0 if times < 5 else 0.2)
    finally:
        full_disk.RETRY_SECONDS = retry
    return (WAITED, "") if text is None else (NAMED, text)


def _hurried(folder, rng):
    """SIGTERM comes while the run waits for room: it must not wait on."""
    with small_disk(folder) as disk:
        disk.fill()
        began = time.monotonic()
        text = _try(
            lambda: files.write(str(disk.path / "f"), LONG),
            disk.path,
            600.0,
            lambda: time.monotonic() > began + 0.5,
        )
        if time.monotonic() > began + 20:
            return FAILURE, "it waited on"
        return (NAMED if _named(text, disk.path) else FAILURE), str(text)


FAULTS = {
    "disk full: rolling checkpoint": Kind(functools.partial(_checkpoint, 3, False), (NAMED,)),
    "disk full: best/": Kind(functools.partial(_checkpoint, 1, False), (NAMED,)),
    "disk full for a while: rolling": Kind(functools.partial(_checkpoint, 3, True), (WAITED,)),
    "disk full for a while: best/": Kind(functools.partial(_checkpoint, 1, True), (WAITED,)),
    "disk full: metrics.jsonl": Kind(functools.partial(_metrics, False), (NAMED,)),
    "disk full for a while: metrics": Kind(functools.partial(_metrics, True), (WAITED,)),
    "disk full: run.flags": Kind(_file, (NAMED,)),
    "disk full: copies of good records": Kind(_good_records, (NAMED,)),
    "disk full: TensorBoard events": Kind(_tensorboard, (REPORTED,)),
    "disk full, then SIGTERM": Kind(_hurried, (NAMED,)),
    "directory of checkpoints removed": Kind(_removed, (HARMLESS,)),
    "storage out of reach for a while": Kind(
        functools.partial(_raising, tf.errors.UnavailableError(None, None, "try again"), 3),
        (WAITED,),
    ),
    "storage out of reach": Kind(
        functools.partial(_raising, tf.errors.UnavailableError(None, None, "try again"), 99),
        (NAMED,),
    ),
    "input/output error": Kind(
        functools.partial(_raising, OSError(errno.EIO, "Input/output error"), 99), (NAMED,)
    ),
    "no permission": Kind(
        functools.partial(_raising, PermissionError(errno.EACCES, "Permission denied"), 99),
        (NAMED,),
    ),
}
