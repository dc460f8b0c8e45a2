"""How processes that measure answer: `workers.Worker` in lines of JSON, loaders in one.

Nothing here needs a package, so that peers answer from environments of their own.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def answer(
    set_up: Callable[[], tuple[Callable, Callable]],
    describe: Callable[[], dict],
    peak_mib: Callable[[], float] | None = None,
) -> None:
    """Sets a network up, then runs so many steps a line of input, until the input ends.

    Call it when everything is imported: what memory holds until now is the imports'. `set_up` gives
    (run(count) -> seconds (wall, cpu), FLOPs() of a step, or None where nobody counts them);
    `describe` {"device", "versions"}. The first answer is facts; a line `flops` asks for those, at
    the end, because counting takes memory, too.
    """
    peak_mib = peak_mib or peak_of_process
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints must not answer

    def say(facts):
        print(json.dumps(facts), file=answers, flush=True)

    imports = peak_mib()
    run, count_flops = set_up()
    memory = {"imports": imports, "set_up": peak_mib() - imports}
    first = run(1)
    run(1)  # the second still fills caches
    say({"first_step_seconds": first[0], "mib": memory, **describe()})
    for line in sys.stdin:
        if line.strip() == "flops":
            say({"flops": count_flops and count_flops()})
        else:
            wall, cpu = run(int(line))
            say({"wall": wall / int(line), "cpu": cpu / int(line), "peak_mib": peak_mib()})


def answer_of_loader(batches: Iterator, batch: int, warm_up: int, images: int) -> None:
    """Prints CPU seconds a record of batches, after so many images that warm up."""
    for _ in range(warm_up // batch):
        next(batches)
    count = images // batch

    def read():
        for _ in range(count):
            next(batches)

    _, cpu = timed(read)
    print(json.dumps({"seconds_a_record": cpu / (count * batch)}))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU time of all threads) in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_of_process() -> float:
    """The most memory that this process had until now."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose ru_maxrss begins at what the parent had
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes on a Mac
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def cores() -> str:
    """The device that computes where there is no GPU."""
    return f"CPU, {len(os.sched_getaffinity(0))} core(s)"
