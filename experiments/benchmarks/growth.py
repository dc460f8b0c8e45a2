"""How the cost of lists grows with their length: planning, verifying, reporting, by CPU time.

    python experiments/benchmarks/growth.py --millions=0.3,1.28,5 --json=growth.json

An exponent of 1 is linear: twice as long a list costs twice the time. It is the slope of log time
on log length over all lengths. Names are as ImageNet's, dealt to 1,024 shards. What is done with
each image by itself (decoding, hashing, writing) is left out: `data_prep.py` measures that.

    listing, planning, reading   the source's names; the plan of a build; the plan, shard by shard
    noting, comparing, counting  verify: a row an image, what no image shows by itself (names twice,
                                 pictures alike in two splits), and statistics
    reporting                    the report of one run from its file of rows by image
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import fake_runs  # noqa: E402
import numpy as np  # noqa: E402
from absl import flags  # noqa: E402

from gala_tf import command  # noqa: E402

MILLIONS = flags.DEFINE_list("millions", ["0.3", "1.28", "5"], "Lengths of the list, ascending.")
JSON = flags.DEFINE_string("json", "", "Where to write the rows.")
SHARDS = 1024
CLASSES = 1000


def names(count: int) -> Iterator:
    """Items of a source of so many images."""
    from data_prep.sources import Item

    for i in range(count):
        name = f"n{i % CLASSES:08d}/n{i % CLASSES:08d}_{i // CLASSES}.JPEG"
        yield Item(name, "train", f'["{name}", {i % CLASSES}]')


class Clock:
    """CPU seconds of each stage, as they end."""

    def __init__(self):
        self.seconds = {}

    def __call__(self, name: str, work):
        """The result of `work()`, and its time under `name`."""
        started = time.process_time()
        result = work()
        self.seconds[name] = time.process_time() - started
        return result


def plan(count: int, clock: Clock) -> None:
    """Listing alone, planning, and reading the plan again."""
    from data_prep.building import plan as build_plan

    with tempfile.TemporaryDirectory() as directory:
        clock("listing", lambda: sum(1 for _ in names(count)))
        made = clock(
            "planning",
            lambda: build_plan.make(f"{directory}/plan", names(count), {"train": SHARDS}, {}),
        )
        clock(
            "reading",
            lambda: [
                len(build_plan.shard_items(f"{directory}/plan", *shard, 0))
                for shard in made.all_shards()
            ],
        )


def facts(count: int) -> Iterator[tuple]:
    """Rows of `findings.add_facts`: one image in eight is of another split; all codes differ."""
    from data_prep.verification.record_checks import Facts

    rng = np.random.default_rng(0)
    for i, item in enumerate(names(count)):
        split = "validation" if i % 8 == 0 else "train"
        code = rng.bytes(32)
        found = Facts(
            item.image_id, i % CLASSES, 256, 341, code[:16], code, 3, 60, 1, 0.1, 4, 0.01, 0.5, 0.5,
            *rng.normal(0, 0.1, 4).tolist(), 60.0, 0.0,
        )  # fmt: skip
        yield (split, f"{split}-{i % SHARDS}", i // SHARDS, 100 * i, 100, *found)


def verify(count: int, clock: Clock) -> None:
    """What `dataset_checks.verify` does with the rows of all images."""
    from data_prep.verification import dataset_statistics, findings

    def compare():
        findings.add_faults(store, findings.repeated_ids(store))
        findings.add_faults(store, findings.across_splits(store))
        findings.nearly_across_splits(store)

    with tempfile.TemporaryDirectory() as directory:
        store = findings.open_store(f"{directory}/all.sqlite")
        clock("noting", lambda: findings.add_facts(store, facts(count)))
        clock("comparing", compare)
        clock("counting", lambda: dataset_statistics.collect(store, fake_runs.data_set(), {}))
        store.close()


def report(count: int, clock: Clock) -> None:
    """The page of a run; what the run's evaluation wrote is made before."""
    from gala_tf.paper.report import build

    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        fake_runs.write_run(run, info=fake_runs.data_set(images=count))
        clock("reporting", lambda: build.build([str(run)], f"{directory}/page"))


def exponent(lengths: list[float], seconds: list[float]) -> float:
    """The slope of log time on log length, by least squares."""
    x, y = [math.log(v) for v in lengths], [math.log(v) for v in seconds]
    centre_x, centre_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - centre_x) * (b - centre_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - centre_x) ** 2 for a in x)


def main() -> None:
    """Measures all lengths; prints seconds and exponents."""
    lengths = [float(text) for text in MILLIONS.value]
    rows = []
    for millions in lengths:
        clock = Clock()
        for work in (plan, verify, report):
            work(round(millions * 1e6), clock)
        seconds = clock.seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append({"millions": millions, "seconds": seconds, "peak_mib": peak})
        shown = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
        print(f"{millions:g} million: {shown}; at most {peak:.0f} MiB", flush=True)
    exponents = {
        stage: exponent(lengths, [row["seconds"][stage] for row in rows])
        for stage in rows[0]["seconds"]
    }
    print("exponents:", ", ".join(f"{stage} {value:.2f}" for stage, value in exponents.items()))
    if JSON.value:
        Path(JSON.value).write_text(json.dumps({"rows": rows, "exponents": exponents}, indent=1))


if __name__ == "__main__":
    command.run(main)
