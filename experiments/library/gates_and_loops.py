"""Trains what a table compares on the built-in data: gates, loops, and what maps supervise.

    python experiments/library/gates_and_loops.py --core=0 --jax_python=.venvs/fit/bin/python

A run is the quickstart with one gate, maps or none, a seed, and a loop: ours on TensorFlow, or
`keras.Model.fit` on JAX (`experiments/keras_fit.py`). Maps supervise the attention A, or the gated
output U' (`--map_target=activity`). What has a row in --results is done; the rest
runs, one after the other. `--jax_python` has both backends: pip install -e '.[cpu,jax,quickstart]'.
"""

import dataclasses
import json
import os
import resource
import subprocess
import sys
import time

import finished
import numpy as np
from absl import app, flags
from scipy import stats

LOOP, JAX_FIT = "loop", "jax_fit"


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a row of the table has trained, with several seeds."""

    gate: str  # --attention
    map_loss_weight: float
    how: str = LOOP  # or JAX_FIT
    map_target: str = "attention"  # or `activity`
    epochs: int = 72


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run of the quickstart's network."""

    kind: Kind
    seed: int

    @property
    def name(self) -> str:
        kind = self.kind
        other = f"/{kind.map_target}" if kind.map_target != Kind.map_target else ""
        longer = f"/{kind.epochs}-epochs" if kind.epochs != Kind.epochs else ""
        start = f"{kind.how}/{kind.gate}/lambda-{kind.map_loss_weight:g}"
        return f"{start}{other}{longer}/seed-{self.seed}"


COMPARED_LOOPS = (Kind("gala", 1), Kind("gala", 1, JAX_FIT))
OTHER_GATES = (Kind("gala_residual", 1), Kind("gala_residual", 0), Kind("gala", 0))
ON_ACTIVITY = tuple(Kind("gala", value, LOOP, "activity") for value in (1, 0.3, 3))
LONGER = (Kind("gala", 1, LOOP, "activity", 144), Kind("gala", 1, LOOP, "attention", 144))
KINDS = (*COMPARED_LOOPS, *OTHER_GATES, *ON_ACTIVITY, *LONGER)
RUNS = [Run(kind, seed) for seed in (0, 1, 2) for kind in (*COMPARED_LOOPS, *OTHER_GATES)]
RUNS += [Run(kind, seed) for seed in (3, 4) for kind in (*COMPARED_LOOPS, *OTHER_GATES)]
RUNS += [Run(kind, seed) for seed in (0, 1, 2) for kind in (*ON_ACTIVITY, *LONGER)]


def train(run: Run, options) -> dict:
    """Trains a run to its end; returns its row. RuntimeError: it failed."""
    model_dir = os.path.join(options.runs, run.name)
    os.makedirs(model_dir, exist_ok=True)
    kind, on_jax = run.kind, run.kind.how == JAX_FIT
    command = [
        *(("taskset", "-c", str(options.core)) if options.core >= 0 else ()),
        *((options.jax_python, "experiments/keras_fit.py") if on_jax else ()),
        *(() if on_jax else (sys.executable, "-m", "gala_tf.train")),
        "--flagfile=experiments/quickstart.flags", f"--data_dir={options.data_dir}",
        f"--model_dir={model_dir}", f"--seed={run.seed}", f"--attention={kind.gate}",
        f"--map_loss_weight={kind.map_loss_weight:g}", f"--map_target={kind.map_target}",
        f"--epochs={kind.epochs}",
    ]  # fmt: skip
    backend = {"KERAS_BACKEND": "jax" if on_jax else "tensorflow"}
    before, start = _cpu(), time.monotonic()
    log_path = os.path.join(model_dir, "train.log")
    with open(log_path, "ab") as log:
        done = subprocess.run(command, stdout=log, stderr=log, env={**os.environ, **backend})
    if done.returncode:
        raise RuntimeError(f"{run.name}: exit status {done.returncode}; see {log_path}")
    found = (result_of_fit if on_jax else result_of_loop)(model_dir)
    spent = {"cpu_seconds": round(_cpu() - before), "wall_seconds": round(time.monotonic() - start)}
    what = {**dataclasses.asdict(kind), "seed": run.seed}
    return {"name": run.name, **what, **found, **spent}


def result_of_loop(model_dir: str) -> dict:
    """Test error in % and the final layer's map score, of what `gala_tf.train` wrote."""
    with open(os.path.join(model_dir, "results-test.json"), encoding="utf-8") as file:
        test = json.load(file)
    final = test["maps"][test["final_layer"]]
    numbers = {"error": 100 * (1 - test["top1"]), "map_score": final["spearman"]}
    return {name: round(number, 5) for name, number in numbers.items()}


def result_of_fit(model_dir: str) -> dict:
    """The same of what `experiments/keras_fit.py` wrote."""
    with open(os.path.join(model_dir, "results.json"), encoding="utf-8") as file:
        test = json.load(file)
    if test["backend"] != "jax":
        raise RuntimeError(f"{model_dir} was trained on {test['backend']}, not on JAX.")
    return {name: round(test[name], 5) for name in ("error", "map_score")}


def _cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --------------------------------------------------------------------------- table


def table(rows: dict[str, dict]) -> str:
    """Markdown: means with 95 % intervals (Student's t), and each seed's numbers."""
    lines = [
        "| gate | maps | lambda | epochs | loop | test error, % | map score | CPU seconds a run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        found = [rows[run.name] for run in RUNS if run.kind == kind and run.name in rows]
        if not found:
            continue
        maps = {"attention": "on A", "activity": "on U'"}[kind.map_target]
        weight = f"{kind.map_loss_weight:g}"
        errors, scores = ([row[key] for row in found] for key in ("error", "map_score"))
        lines.append(
            f"| `{kind.gate}` | {maps if kind.map_loss_weight else 'no'} "
            f"| {weight if kind.map_loss_weight else ''} | {kind.epochs} | {kind.how} "
            f"| {interval(errors, 1)}: {', '.join(f'{e:.1f}' for e in errors)} "
            f"| {interval(scores, 2)}: {', '.join(f'{s:.2f}' for s in scores)} "
            f"| {np.mean([row['cpu_seconds'] for row in found]):.0f} |"
        )
    return "\n".join(lines)


def interval(numbers, digits: int) -> str:
    """Mean [95 % interval], or the mean alone of one number."""
    mean, count = np.mean(numbers), len(numbers)
    if count < 2:
        return f"{mean:.{digits}f}"
    half = stats.t.ppf(0.975, count - 1) * np.std(numbers, ddof=1) / count**0.5
    return f"{mean:.{digits}f} [{mean - half:.{digits}f}, {mean + half:.{digits}f}]"


def main(_):
    """Trains what has no row."""
    options = flags.FLAGS
    rows = finished.load(options.results)
    failed = 0
    for run in RUNS:
        if run.name in rows or (run.kind.how == JAX_FIT and not options.jax_python):
            continue
        print(run.name, flush=True)
        try:
            row = train(run, options)
        except RuntimeError as error:
            print(f"FAILED: {error}", flush=True)
            failed += 1
            continue
        finished.add(options.results, row)
        print(f"  error {row['error']:.1f} %, map score {row['map_score']:.2f}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", "data/quickstart", "The built-in data; built on first use.")
    flags.DEFINE_string("runs", "runs/gates_and_loops", "Where runs go.")
    flags.DEFINE_string(
        "results", "experiments/library/gates_and_loops.jsonl", "Rows of finished runs."
    )
    flags.DEFINE_string("jax_python", "", "A Python with JAX and TensorFlow; without: no JAX runs.")
    flags.DEFINE_integer("core", -1, "Pin training to this core; -1: do not.")
    app.run(main)
