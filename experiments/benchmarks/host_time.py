"""How long the device waits for the host, by --steps_per_loop, from a profile of real training.

    python experiments/benchmarks/host_time.py --json=host_time.json

Trains the tests' smallest network with GALA, through `train_and_evaluate` with
`--profile_steps`, on whatever `--tpu` or this machine offers, and reads the traces (xplane.pb; no
package beyond TensorFlow). The smallest network, because its steps are the shortest: the host's
share is an upper bound for any other.

    host    wall time between the calls to the device, in which Python logs and decides
    device  time in which at least one kernel of the network runs. On a GPU or TPU: on its own
            timeline. On a CPU, which is its own device: on TensorFlow's compute threads, inside
            of a call; waiting for input is no kernel. What is left of a call is dispatch, the
            collection of the input, and threads that other programs keep from running.

Both are measured over the same number of steps in every row, from the start of one call to the
start of a later one, so that there are as many gaps as calls. Tracing itself costs: it lengthens
calls (many events) more than gaps (few), so the true host share is somewhat larger than shown.
"""

import collections
import glob
import json
import re
import statistics
import sys
import tempfile
from pathlib import Path

from absl import flags, logging

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import small_data  # noqa: E402

from gala_tf import command  # noqa: E402
from gala_tf.training import profiling  # noqa: E402
from gala_tf.training.loop import train_and_evaluate  # noqa: E402

LOOPS = flags.DEFINE_list("loops", ["1", "10", "100"], "Values of --steps_per_loop.")
REPETITIONS = flags.DEFINE_integer("repetitions", 5, "Traces of every row.", lower_bound=1)
TPU = flags.DEFINE_string("tpu", "", "As of training.")
JSON = flags.DEFINE_string("json", "", "Where to write all measurements.")

WARM_UP = 10  # steps before the trace: the first call compiles, the second sets the pace
DEVICE_PLANE = re.compile(r"/device:(GPU|TPU):\d+$")
DEVICE_LINE = re.compile(r"^(Stream|stream|XLA Ops)")
CPU_LINE = re.compile(r"^tf_Compute/")
KERNEL = re.compile(r"[^:]:[A-Z_]\w*$")  # "conv1/convolution:_MklNativeConv2D", but not "A::B"
NOT_A_KERNEL = re.compile(r"Iterator|PartitionedCall|RemoteCall")


def events(plane, wanted_line, wanted_event=None) -> list[tuple[float, float]]:
    """(start, end) in seconds of the plane's events on lines, and of names, that match."""
    names = {key: meta.name for key, meta in plane.event_metadata.items()}
    found = []
    for line in plane.lines:
        if wanted_line and not wanted_line.search(line.name):
            continue
        for event in line.events:
            if wanted_event is None or wanted_event(names[event.metadata_id]):
                start = line.timestamp_ns * 1e-9 + event.offset_ps * 1e-12
                found.append((start, start + event.duration_ps * 1e-12))
    return sorted(found)


def covered(spans: list[tuple[float, float]], within: list[tuple[float, float]]) -> float:
    """Seconds of `within` (apart from each other, ascending) that some span covers."""
    total = 0.0
    for begin, end in within:
        reached = begin
        for start, stop in spans:  # ascending by start
            if start >= end:
                break
            if stop > reached:
                total += min(stop, end) - max(start, reached)
                reached = min(stop, end)
    return total


def is_kernel(name: str) -> bool:
    """Whether a CPU event is a computing operation of a graph."""
    return bool(KERNEL.search(name)) and not NOT_A_KERNEL.search(name)


def read_trace(path: str, steps: int) -> dict:
    """Shares of wall time from the first call of a trace, an xplane.pb, to the last one's start.

    `steps` training steps lie between the two.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(Path(path).read_bytes())
    host = next(plane for plane in space.planes if plane.name == "/host:CPU")
    # TraceMe appends its arguments: "training steps#step_num=10#".
    calls = events(host, None, lambda name: name.split("#")[0] == profiling.CALL)
    if len(calls) < 2:
        raise ValueError(f"{path} holds {len(calls)} calls; expected at least 2.")
    devices = [plane for plane in space.planes if DEVICE_PLANE.search(plane.name)]
    window = [(calls[0][0], calls[-1][0])]
    wall = window[0][1] - window[0][0]
    in_calls = sum(end - start for start, end in calls[:-1])
    if devices:
        busy = covered(events(devices[0], DEVICE_LINE), window)
    else:
        busy = covered(events(host, CPU_LINE, is_kernel), calls[:-1])
    return {
        "calls": len(calls) - 1,
        "wall_ms_a_step": 1e3 * wall / steps,
        "host_ms_a_step": 1e3 * (wall - in_calls) / steps,
        "host_share": 1 - in_calls / wall,
        "idle_share": 1 - busy / wall,
        "device": devices[0].name if devices else "CPU threads",
    }


def measure(data_dir: str, loop: int, steps: int) -> dict:
    """One trace: trains anew with --steps_per_loop=`loop`, and reads `steps` steps."""
    first, last = WARM_UP + 1, WARM_UP + steps + loop
    with tempfile.TemporaryDirectory() as model_dir:
        run_config = small_data.small_config(
            data_dir,
            model_dir,
            tpu=TPU.value,
            steps_per_loop=loop,
            profile_steps=(first, last),
            stop_after_steps=last,
            epochs=2.0 * last,  # no validation before the end
            eval_every_epochs=2.0 * last,
        )
        train_and_evaluate(run_config)
        (path,) = glob.glob(f"{model_dir}/plugins/profile/*/*.xplane.pb")
        return read_trace(path, steps)


def line(loop: int, rows: list[dict]) -> str:
    """A row as text: medians, and least to most."""
    words = []
    for name in ("wall_ms_a_step", "host_ms_a_step"):
        words.append(f"{statistics.median(row[name] for row in rows):>9.2f}")
    for name in ("host_share", "idle_share"):
        values = sorted(100 * row[name] for row in rows)
        words.append(f"{statistics.median(values):>8.1f}  ({values[0]:.1f} to {values[-1]:.1f})")
    return f"{loop:>14} {statistics.median(row['calls'] for row in rows):>6g} " + " ".join(words)


def main():
    """Measures the rows in turn, so that a busy machine disturbs all; prints a table."""
    import tensorflow as tf

    logging.set_verbosity(logging.WARNING)
    loops = [int(loop) for loop in LOOPS.value]
    rows = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as data_dir:
        small_data.build(Path(data_dir))
        for _ in range(REPETITIONS.value):
            for loop in loops:
                rows[loop].append(measure(data_dir, loop, max(loops)))
    device = rows[loops[0]][0]["device"]
    print(
        f"TensorFlow {tf.__version__}, device: {device}, {max(loops)} steps of 8 images a trace, "
        f"median of {REPETITIONS.value} traces (least to most)"
    )
    print(
        f"{'steps_per_loop':>14} {'calls':>6} {'ms/step':>9} {'host ms':>9} "
        f"{'host %':>8} {'':<16} {'device idle %':>13}"
    )
    for loop in loops:
        print(line(loop, rows[loop]))
    if JSON.value:
        facts = {"tensorflow": tf.__version__, "steps": max(loops), "rows": dict(rows)}
        Path(JSON.value).write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    command.run(main)
