"""Training records a second and core: our input pipeline against its limits, its stages and peers.

    python experiments/benchmarks/input.py --images=DIR_OF_JPEGS --json=input.json
    python experiments/benchmarks/parts/environments.py --only=torch,grain # once; without: left out

Everything is CPU time of one process on one core, all its threads together, per record; rows run in
turn, so that a busy machine disturbs all alike; shares are medians (least-greatest) over the turns
of the limit's time / the row's. There are two data sets of the same photographs with click maps:
256x256 JPEGs with the paper's crop, and the JPEGs as they came with the inception crop.

    decode        the limit: `tf.io.decode_jpeg` of each stored JPEG, in memory, and nothing else
    read, decode  the same, once the record is read from its shard: who trains must do that, too
    window        what is decoded in truth: `decode_and_crop_jpeg` of the windows that training cuts
    ours          `input_pipeline.make_train_dataset`, as training calls it
    + ...         how far a record gets, in our pipeline: each line holds those before it

`input_peers` says what the other rows are. The last part reads an epoch of `--epoch_records` and
looks at the memory of the process while it does.
"""

import functools
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from absl import flags
from parts import input_data, input_peers, input_stages, jpegs, tables

from gala_tf import command

IMAGES = flags.DEFINE_string("images", "", "Folder of JPEGs; default: scikit-image's photographs.")
RECORDS = flags.DEFINE_integer("records", 1000, "Records of a data set.", lower_bound=64)
BATCHES = flags.DEFINE_integer("batches", 12, "Batches of a measurement.", lower_bound=1)
REPETITIONS = flags.DEFINE_integer("repetitions", 5, "Measurements of every row.", lower_bound=1)
EPOCH = flags.DEFINE_integer("epoch_records", 20_000, "Records of the memory test; 0: none.")
CORE = flags.DEFINE_integer("core", 0, "Which core to run on, where the system can pin.")
ONLY = flags.DEFINE_list("only", [], "Crops to measure, of paper and inception; default: both.")
JSON = flags.DEFINE_string("json", "", "Where to write all measurements.")

WARM_UP = 4  # batches
IMAGES_A_SECOND = 3000  # what a v3-8 takes
TARGETS = (("decode", "our share of the limit", 0.85), ("release", "times the release's", 2.0))


def seconds_a_record(dataset) -> float:
    """CPU time of a record, once the pipeline runs; it is dropped afterwards, threads and all."""
    iterator = iter(dataset)
    for _ in range(WARM_UP):
        next(iterator)
    start = time.process_time()
    for _ in range(BATCHES.value):
        next(iterator)
    return (time.process_time() - start) / (BATCHES.value * input_data.BATCH)


def measure(rows: dict) -> dict[str, list[float]]:
    """{row: CPU seconds a record, one a turn}; a row is a dataset, or a function that measures."""
    found = {name: [] for name in rows}
    for _ in range(REPETITIONS.value):
        for name, row in rows.items():
            found[name].append(row() if callable(row) else seconds_a_record(row))
    return found


def rows_of(crop: str, data: input_data.Data, folder: Path) -> dict:
    """All rows that a crop has."""
    rows = {
        "decode": input_stages.decode_only(data),
        "read, decode": input_stages.read_and_decode(data),
        "window": input_stages.windows_only(data, crop),
        "ours": input_stages.ours(data, crop),
        **input_stages.stages(data, crop),
        **input_peers.keras_folder(folder),
    }
    if crop == "paper":
        rows |= input_peers.release(folder) | input_peers.harmonization(folder)
        rows |= input_stages.stored_otherwise(data, folder)
    images = WARM_UP * input_data.BATCH, BATCHES.value * input_data.BATCH
    return rows | input_peers.in_other_environments(folder / "jpegs", crop, *images)


def report(crop: str, found: dict[str, list[float]]) -> dict:
    """Prints a crop's table; returns its shares {row: {limit: (median, least, greatest)}}."""
    limits = ("decode", "read, decode", "window")
    print(f"\n{crop} crop{'':<27}{'us':>8} {'records/s':>10}", *(f"{f'{x} /':>19}" for x in limits))
    shares = {}
    for name, seconds in found.items():
        shares[name] = {
            limit: tables.spread([a / b for a, b in zip(found[limit], seconds, strict=True)])
            for limit in limits
        }
        median = statistics.median(seconds)
        columns = "".join(f"{shares[name][limit]!s:>20}" for limit in limits)
        print(f"{name:<37}{median * 1e6:>8.0f} {1 / median:>10,.0f}{columns}")
    for peer, words, target in TARGETS:
        if peer in found:
            ratio = tables.spread(
                [a / b for a, b in zip(found[peer], found["ours"], strict=True)]
            ).median
            print(tables.verdict(f"{crop}: {words}", ratio, target, at_least=True))
    cores = IMAGES_A_SECOND * statistics.median(found["ours"])
    print(
        f"{crop}: {IMAGES_A_SECOND:,} images/s (a v3-8) take {cores:.1f} such cores, by projection"
    )
    return shares


def memory_of_an_epoch(data: input_data.Data) -> dict:
    """Resident memory while two epochs are read; only after the first half are buffers full."""
    import psutil

    process, points = psutil.Process(), []
    total = 2 * data.examples // input_data.BATCH
    for number, _ in enumerate(input_stages.ours(data, "paper").take(total)):
        if number >= total // 2 and number % max(total // 100, 1) == 0:
            points.append((number * input_data.BATCH, process.memory_info().rss / 2**20))
    slope, _ = statistics.linear_regression(*zip(*points, strict=True))
    sizes = [size for _, size in points]
    growth = slope * data.examples
    print(
        f"\nmemory over an epoch of {data.examples:,} records: {min(sizes):.0f}-{max(sizes):.0f} "
        f"MiB, {growth:+.1f} MiB by the fitted line ({growth / max(sizes):+.1%})"
    )
    return {"records": data.examples, "points": points, "mib_an_epoch": growth}


def main() -> None:
    """Measures both crops, then memory; prints tables."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE.value})  # before TensorFlow counts cores
    else:
        print("this system does not pin processes: the threads run on all cores")
    import tensorflow as tf

    from gala_tf.distribution import strategy

    strategy.keep_freed_memory()  # as training does
    photographs = jpegs.load(IMAGES.value)
    results = {
        "tensorflow": tf.__version__,
        "machine": platform.processor() or platform.machine(),
        "images": IMAGES.value or "scikit-image",
        "crops": {},
    }
    print(f"TensorFlow {tf.__version__}; {len(photographs)} photographs; one core")
    with tempfile.TemporaryDirectory() as directory:
        build = functools.partial(input_data.build, photographs, Path(directory))
        for crop in ONLY.value or ("paper", "inception"):
            storage = "square" if crop == "paper" else "original"
            data = build(storage, RECORDS.value)
            folder = input_peers.write(Path(directory) / f"{storage}_peers", data)
            found = measure(rows_of(crop, data, folder))
            results["crops"][crop] = {"seconds": found, "shares": report(crop, found)}
        if EPOCH.value:
            results["memory"] = memory_of_an_epoch(build("square", EPOCH.value))
    if JSON.value:
        Path(JSON.value).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    command.run(main)
