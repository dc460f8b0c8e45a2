"""One shard, read once from its first byte to its last; run by a process of its own."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.verification import alignment, findings, record_checks
from data_prep.verification.findings import Fault
from gala_tf.data import dataset_info, tfrecord_files

ROWS_AT_ONCE = 512  # kept in memory before they go to the file


class Job(NamedTuple):
    """A shard to check. `store`: path of the new `findings` file to fill."""

    data_dir: str
    split: str
    shard: dataset_info.Shard
    info: dataset_info.DatasetInfo  # its splits are not looked at
    blur_sample: int
    store: str


class Outcome(NamedTuple):
    """Beside the `findings` file: maps, each of sum 1, added up, float64 [G, G]; how many."""

    store: str
    split: str
    map_sum: np.ndarray
    maps: int


def check(job: Job, advance: Callable[[int], None] = lambda records: None) -> Outcome:
    """Reads the shard and writes all that was found into `job.store`.

    `advance`: told the number of records done since the last call.
    """
    store = findings.open_store(job.store)
    grid = job.info.clickmap_grid
    outcome = Outcome(job.store, job.split, np.zeros((grid, grid)), 0)
    path = os.path.join(job.data_dir, job.shard.file)
    found = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None
    if found != job.shard.bytes:
        reason = dataset_info.wrong_size(job.shard, found)
        findings.add_faults(store, [Fault(job.shard.file, None, reason)])
    if found is not None:
        with _local(path) as local:
            if found == job.shard.bytes:
                _check_digest(store, job.shard, local)
            outcome = _check_all(store, job, local, outcome, advance)
    store.commit()
    store.close()
    return outcome


@contextlib.contextmanager
def _local(path: str) -> Iterator[str]:
    """The file itself, or a copy while it lasts: a bucket is read once, from front to back."""
    if "://" not in path:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="verify-") as directory:
        copy = os.path.join(directory, os.path.basename(path))
        tf.io.gfile.copy(path, copy)
        yield copy


def _check_digest(store, shard, path):
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != shard.sha256:
        reason = (
            f"its SHA-256 is {digest[:12]}..., expected {shard.sha256[:12]}... "
            f"({dataset_info.INFO_FILE}): it was altered, or is of another data set"
        )
        findings.add_faults(store, [Fault(shard.file, None, reason)])


def _check_all(store, job, path, outcome, advance):
    """Every record, as far as they can be told apart."""
    file_name, rows, maps, neighbour, read = job.shard.file, [], 0, None, 0
    for read, (span, data, reason) in enumerate(_pieces(path), 1):
        faults = [reason] if reason else []
        if data is not None:
            inspection = record_checks.inspect(data, job.info, job.blur_sample)
            faults = inspection.reasons
            if inspection.facts:
                facts = inspection.facts
                if inspection.grid is not None:
                    outcome.map_sum[...] += inspection.grid
                    maps += 1
                    if neighbour is not None:
                        other = alignment.agreement(inspection.grid, neighbour)[0]
                        facts = facts._replace(contrast_other=other)
                neighbour = inspection.contrast
                rows.append((job.split, file_name, read - 1, *span, *facts))
        findings.add_faults(store, [Fault(file_name, read - 1, fault) for fault in faults])
        if len(rows) == ROWS_AT_ONCE:
            findings.add_facts(store, rows)
            rows.clear()
        advance(1)
    findings.add_facts(store, rows)
    if read and reason == dataset_info.CUT_OFF:
        read -= 1  # whole ones
    if not (read and reason == LOST) and read != job.shard.examples:
        count = dataset_info.wrong_count(job.shard, read)
        findings.add_faults(store, [Fault(file_name, read, count)])
    return outcome._replace(maps=maps)


LOST = f"{dataset_info.ALTERED}, so that those after it cannot be found"


def _pieces(path):
    """(span, data, reason) of every record; data is None where there is a reason against it."""
    spans = tfrecord_files.spans(path)
    while True:
        try:
            span = next(spans, None)
        except tfrecord_files.DamagedFileError as error:
            lost = "fails its checksum" in str(error)
            yield (0, 0), None, LOST if lost else dataset_info.CUT_OFF
            return
        if span is None:
            return
        try:
            data, reason = tfrecord_files.read(path, span), ""
        except tfrecord_files.DamagedFileError:
            data, reason = None, dataset_info.ALTERED
        yield span, data, reason
