"""A whole data set verified: every shard, then what no single record shows, then the report."""

import concurrent.futures
import dataclasses
import os
import tempfile

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep.parallel import workers
from data_prep.verification import findings, report, shard_checks
from data_prep.verification.findings import Fault
from data_prep.verification.report import Report
from gala_tf.data import dataset_info, places


def verify(
    data_dir: str,
    output_dir: str = "",
    *,
    num_workers: int = 1,
    blur_sample: int = 16,
    class_pages: int = 5,
    sheets: bool = True,
) -> Report:
    """Reads every record once, and writes sheets, statistics and the list of faults.

    ValueError: a number below 1.
    """
    numbers = {"num_workers": num_workers, "blur_sample": blur_sample, "class_pages": class_pages}
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}.")
    output_dir = output_dir or os.path.join(data_dir, "verify")
    _check_places(data_dir, output_dir)
    try:
        info = dataset_info.load_info(data_dir)
        check_names(info)
    except ValueError as error:
        # Nothing can be read without it. (Where there is no directory, none is made.)
        fault = Fault(dataset_info.INFO_FILE, None, str(error))
        if tf.io.gfile.isdir(data_dir):
            report.write_faults(output_dir, [fault])
        return Report(1, [fault], [], "", output_dir)
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        store = findings.open_store(os.path.join(scratch, "all.sqlite"))
        mean_maps = _check_shards(data_dir, info, store, scratch, num_workers, blur_sample)
        near = _check_across(data_dir, info, store)
        verdict = report.write(
            data_dir, output_dir, info, store, mean_maps, near, class_pages if sheets else 0
        )
        store.close()
    return verdict


def _check_places(data_dir, output_dir):
    """ValueError for a directory that holds no data set at all, or files of others in the way."""
    if os.path.isfile(data_dir):
        raise ValueError(f"{data_dir!r} is a file. Give the directory of the data set.")
    there = places.contents(data_dir)
    if places.is_run(data_dir, there):
        dataset_info.load_info(data_dir)  # says what it is
    if there and not any(name == dataset_info.INFO_FILE or ".tfrecord" in name for name in there):
        raise ValueError(
            f"{data_dir!r} holds {places.describe(there)}, and no data set. Give the directory "
            f"with {dataset_info.INFO_FILE}."
        )
    places.check_files(output_dir, report.FILES, report.FAULTS, ",".join(Fault._fields))


def check_names(info: dataset_info.DatasetInfo) -> None:
    """ValueError if the sidecar names files outside of its directory, or one twice."""
    names = [shard.file for split in info.splits.values() for shard in split.shards]
    for name in names:
        if os.path.basename(name) != name or "\\" in name or name in ("", ".", ".."):
            raise ValueError(
                f"{dataset_info.INFO_FILE} names the shard {name!r}, which is no file name"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"{dataset_info.INFO_FILE} names a shard twice: {sorted(names)[:10]} ...")


def _check_shards(data_dir, info, store, scratch, num_workers, blur_sample):
    """Fills `store`; split -> mean map."""

    promise = dataclasses.replace(info, splits={})  # it travels to every worker
    jobs = [
        shard_checks.Job(
            data_dir, split, shard, promise, blur_sample, os.path.join(scratch, shard.file)
        )
        for split, entry in info.splits.items()
        for shard in entry.shards
    ]
    sums = {split: np.zeros((info.clickmap_grid,) * 2) for split in info.splits}
    maps = dict.fromkeys(info.splits, 0)
    for outcome in _run(jobs, num_workers, sum(split.examples for split in info.splits.values())):
        findings.join(store, outcome.store)
        os.remove(outcome.store)
        sums[outcome.split] += outcome.map_sum
        maps[outcome.split] += outcome.maps
    return {split: sums[split] / maps[split] for split in info.splits if maps[split]}


def _run(jobs, num_workers, total):
    """Outcomes in the order of the jobs, so that the report does not depend on timing."""

    with tqdm(total=total, desc="verify", unit=" records", mininterval=0.5) as progress:
        if num_workers == 1:
            for job in jobs:
                yield shard_checks.check(job, progress.update)
        else:
            yield from _run_in_processes(jobs, min(num_workers, len(jobs)), progress)


def _run_in_processes(jobs, num_workers, progress):
    counter = workers.CONTEXT.Value("q", 0)
    with workers.pool(num_workers, _start_worker, (counter,)) as pool:
        # A few ahead, not all: what is found must not pile up before it is joined.
        waiting, jobs = [], iter(jobs)
        while True:
            while len(waiting) < 2 * num_workers and (job := next(jobs, None)) is not None:
                waiting.append(pool.submit(_check_in_worker, job))
            if not waiting:
                break
            while not waiting[0].done():
                concurrent.futures.wait(waiting[:1], timeout=0.5)
                progress.update(counter.value - progress.n)
            yield waiting.pop(0).result()
        progress.update(counter.value - progress.n)


_counter = None


def _start_worker(counter):
    """One thread a process: there is a process a core."""
    global _counter
    _counter = counter

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _check_in_worker(job):
    def advance(records):
        with _counter.get_lock():
            _counter.value += records

    return shard_checks.check(job, advance)


def _check_across(data_dir, info, store):
    """Faults that no single record shows; pairs that are nearly the same, in two splits."""
    unlisted = dataset_info.unlisted_shards(data_dir, info)
    findings.add_faults(store, [Fault(name, None, dataset_info.UNLISTED) for name in unlisted])
    findings.add_faults(store, findings.repeated_ids(store))
    findings.add_faults(store, findings.across_splits(store))
    findings.add_faults(store, list(findings.against_sidecar(store, info)))
    store.commit()
    return findings.nearly_across_splits(store)
