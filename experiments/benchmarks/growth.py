"""How the cost of lists grows with their length: planning a build, by CPU time.

    python experiments/benchmarks/growth.py --millions=0.3,1.28,5 --json=growth.json

An exponent of 1 is linear: twice as long a list costs twice the time. It is the slope of log time
on log length, between each two lengths and over all. Names are as ImageNet's, dealt to 1,024
shards. Nothing is decoded: what a build does with each image is in `data_prep.py`.
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

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


def plan(count: int) -> dict[str, float]:
    """CPU seconds of listing alone, of planning, and of reading the plan again."""
    from data_prep.building import plan as build_plan

    seconds = {}

    def clock(name, work):
        started = time.process_time()
        result = work()
        seconds[name] = time.process_time() - started
        return result

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
    return seconds


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
        seconds = plan(round(millions * 1e6))
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
