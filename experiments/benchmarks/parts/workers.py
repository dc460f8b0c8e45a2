"""Processes that each hold one network and run training steps when told to.

What is compared runs in turn, a few steps each, so that a busy machine disturbs all alike; each in
a process of its own, so that peak memory is that of one network.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from absl import flags
from parts import tables

HERE = Path(__file__).parent


class Worker:
    """A process with one network, ready to run: its first steps are done when it is made.

    `spec` are arguments of `make_steps` of that worker; `python` is that of its environment.
    RuntimeError: the process died; its last words are above the message.
    """

    def __init__(
        self, name: str, worker: str = "step_worker.py", python: str = sys.executable, **spec
    ):
        self.name = name
        self._process = subprocess.Popen(
            [python, str(HERE / worker), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
        )
        # What it says of itself: `first_step_seconds`, `mib`, `device`, `versions`.
        self.facts = self._answer()

    def run(self, steps: int) -> dict:
        """{"wall", "cpu": seconds a step; "peak_mib"}: so many steps, and the peak until now."""
        print(steps, file=self._process.stdin, flush=True)
        return self._answer()

    def flops(self) -> int | None:
        """Of a step, where its worker counts them."""
        print("flops", file=self._process.stdin, flush=True)
        return self._answer()["flops"]

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended with {self._process.wait()}.")
        return json.loads(line)


def compare(specs: dict[str, dict], steps: int, repetitions: int) -> dict[str, dict]:
    """Runs networks in turn, `steps` each, for so many rounds over all of them.

    Of {name: arguments of `Worker`}: {name: its facts, "flops", and "rounds": what `Worker.run`
    said in each}.
    """
    workers = []
    try:
        for name, spec in specs.items():
            workers.append(Worker(name, **spec))  # one after another: starting costs all cores
            seconds = workers[-1].facts["first_step_seconds"]
            print(f"ready: {name} (first step {seconds:.0f} s)", file=sys.stderr, flush=True)
        results = {worker.name: {**worker.facts, "rounds": []} for worker in workers}
        for i in range(repetitions):
            for worker in workers:
                results[worker.name]["rounds"].append(worker.run(steps))
            print(f"round {i + 1} of {repetitions}", file=sys.stderr, flush=True)
        for worker in workers:
            results[worker.name]["flops"] = worker.flops()
    finally:
        for worker in workers:
            worker.close()
    return results


def define_flags(batch: int = 8, image_size: int = 224) -> None:
    """The flags that benchmarks of a training step share."""
    flags.DEFINE_integer("batch", batch, "Images a step.", lower_bound=1)
    flags.DEFINE_integer("image_size", image_size, "Side of the images, pixels.", lower_bound=16)
    flags.DEFINE_integer("steps", 2, "Steps of a measurement.", lower_bound=1)
    flags.DEFINE_integer("repetitions", 5, "Measurements of every network.", lower_bound=1)
    flags.DEFINE_string("network_flags", "", "Further flags of ours: '--depth=18 ...'")
    flags.DEFINE_string("json", "", "Where to write all measurements.")


def shared_spec() -> dict:
    """What `define_flags` says, as arguments of a worker."""
    return {
        "batch": flags.FLAGS.batch,
        "image_size": flags.FLAGS.image_size,
        "flags": flags.FLAGS.network_flags.split(),
    }


def report(results: dict[str, dict], peers: dict[str, str]) -> dict[str, dict]:
    """Prints what was measured and its table, writes --json; returns the table's rows."""
    facts = next(iter(results.values()))
    found = {pair: None for own in results.values() for pair in own["versions"].items()}
    versions = ", ".join(f"{name} {version}" for name, version in found)
    table, by = tables.rows(results, peers), tables.clock(results)
    print(
        f"{facts['device']}; {versions}\n"
        f"batch {flags.FLAGS.batch}, {flags.FLAGS.image_size} px; {flags.FLAGS.repetitions} "
        f"repetitions of {flags.FLAGS.steps} steps, in turn; ratios of {by} time\n"
        f"{tables.text(table)}"
    )
    if flags.FLAGS.json:
        everything = {"clock": by, "rows": table, "networks": results}
        Path(flags.FLAGS.json).write_text(json.dumps(everything, indent=1) + "\n")
    return table
