"""Parity of bfloat16 and float16 with float32: the losses of quickstart's training, over seeds.

    python experiments/benchmarks/precision.py --json=precision.json --figure=precision.png

Every seed trains once in each precision, on the same batches from the same first weights, so that a
pair of curves parts by arithmetic alone: at first by its rounding, later because training enlarges
any difference. How far that goes by chance, a float32 run with weights disturbed by a millionth
shows. A single pair therefore says little; the mean difference over seeds is what a precision does.

A precision is called equal to float32 when the loss moves by less than one standard deviation
between float32's seeds, over the whole curve and at its end: two one-sided t tests at 5 %, that is,
90 % intervals of the paired difference inside that margin. An interval that is not inside does not
say that there is harm; one that leaves out zero says that there is a difference, if a small one.
Losses are the training loss of Eq. 1.

    all      mean loss of all steps
    end      mean loss of the last tenth of the steps
    skipped  updates that float16's loss scaling left out, of all seeds

Builds quickstart's data set on first use. An hour on two CPU cores; on a GPU where there is one.
--json keeps every run as it ends, and a second call goes on from there.
"""

import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gala_tf import command, config
from gala_tf.data import files
from gala_tf.distribution import strategy as strategies
from gala_tf.evaluation import significance
from gala_tf.training import checks

FLAGFILE = Path(__file__).resolve().parents[1] / "quickstart.flags"

STEPS = flags.DEFINE_integer("steps", 300, "Training steps of every run.", lower_bound=1)
SEEDS = flags.DEFINE_integer("seeds", 20, "Seeds that train in every precision.", lower_bound=2)
FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "The first of them.", lower_bound=0)
WINDOW = flags.DEFINE_integer("window", 20, "Steps of the figure's moving mean.", lower_bound=1)
NETWORK = flags.DEFINE_string("network_flags", "", "Further flags: '--data_dir=DIR ...'")
JSON = flags.DEFINE_string("json", "", "Where to keep all losses, and to go on from.")
FIGURE = flags.DEFINE_string("figure", "", "Where to draw the curves, a PNG.")

DISTURBANCE = 1e-6  # of a weight's value, standard deviation; float32 rounds to 6e-8
LEVEL = 0.90  # of intervals: two one-sided tests at 5 %
REFERENCE, DISTURBED = "float32", "float32, disturbed"
RUNS = (REFERENCE, "mixed_bfloat16", "mixed_float16", DISTURBED)


class Curve(NamedTuple):
    """A run's losses by step, [T], and how many updates were skipped."""

    loss: list[float]
    skipped: int


def train(run: str, seed: int, steps: int, network_flags: list[str]) -> Curve:
    """Trains some steps as `gala_tf.train` would; keeps each step's loss."""
    import keras
    import tensorflow as tf

    from gala_tf.training.session import build_session, training_batches

    keras.utils.clear_session()  # of the run before
    precision = REFERENCE if run == DISTURBED else run
    run_config = config.from_arguments(
        [f"--flagfile={FLAGFILE}", *network_flags, f"--precision={precision}", f"--seed={seed}"],
        "the benchmark",
    )
    info = checks.prepare_data(run_config)
    strategy = strategies.make_strategy()
    session = build_session(run_config, info, strategy)
    if run == DISTURBED:
        rng = np.random.default_rng(seed)
        for variable in session.network.trainable_variables:
            noise = rng.normal(scale=DISTURBANCE, size=variable.shape)
            variable.assign(variable.numpy() * (1 + noise))
    iterator = iter(
        training_batches(strategy, run_config, info, session.sizes, session.map_resize, step=0)
    )
    losses = []
    for _ in range(steps):
        vector, _, _ = session.train_steps(iterator, tf.constant(1))
        parts = session.layout.unpack(vector.numpy())
        losses.append(session.layout.named_scalars(parts)["loss"])
    # Of the optimizer inside the loss scaling, where there is one: it counts what it applied.
    inner = getattr(session.optimizer, "inner_optimizer", session.optimizer)
    return Curve(losses, steps - int(inner.iterations))


class Kept:
    """The curves by run and seed, in a file too where one is named.

    ValueError: the file holds runs of other steps or other flags.
    """

    def __init__(self, path: str, steps: int, network_flags: str):
        self.path = Path(path) if path else None
        self.facts = {"steps": steps, "network_flags": network_flags}
        self.curves: dict[str, dict[int, Curve]] = {run: {} for run in RUNS}
        if self.path and self.path.exists():
            found = json.loads(self.path.read_text())
            there = {key: found.get(key) for key in self.facts}
            if there != self.facts:
                raise ValueError(
                    f"--json={path} holds runs of {there}; these are {self.facts}: name another"
                )
            for run, seeds in found["curves"].items():
                self.curves[run] = {int(seed): Curve(**curve) for seed, curve in seeds.items()}

    def save(self, table: dict | None = None) -> None:
        """Writes what there is, with the table once it is made."""
        if self.path:
            curves = {
                run: {seed: curve._asdict() for seed, curve in seeds.items()}
                for run, seeds in self.curves.items()
            }
            text = json.dumps({**self.facts, "table": table, "curves": curves})
            files.write(str(self.path), text + "\n")


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Means of `window` values in a row: [..., T] -> [..., T - window + 1]; of all T, if fewer."""
    window = min(window, values.shape[-1])
    return np.lib.stride_tricks.sliding_window_view(values, window, axis=-1).mean(-1)


def compare(losses: dict[str, np.ndarray]) -> dict[str, dict]:
    """{run: {"all" and "end"}} of losses [S, T] by run.

    The reference's entry holds its mean and the standard deviation between its seeds, the margin;
    the others' the `Interval` of their paired difference from it. ValueError: a loss that is not
    finite, which has no difference from another.
    """
    steps = losses[REFERENCE].shape[1]
    stages = {"all": steps, "end": max(1, steps // 10)}
    means = {
        run: {stage: values[:, -last:].mean(1) for stage, last in stages.items()}
        for run, values in losses.items()
    }
    first = means.pop(REFERENCE)
    table = {REFERENCE: {s: (float(v.mean()), float(v.std(ddof=1))) for s, v in first.items()}}
    for run, own in means.items():
        table[run] = {
            stage: significance.mean_interval_over_seeds(own[stage] - first[stage], LEVEL)
            for stage in stages
        }
    return table


def verdict(table: dict[str, dict], run: str) -> str:
    """Whether both of a run's intervals lie within the margin."""
    outside = []
    for stage, found in table[run].items():
        _, margin = table[REFERENCE][stage]
        if max(abs(found.low), abs(found.high)) >= margin:
            outside.append(f"{stage}: [{found.low:+.3f}, {found.high:+.3f}] against {margin:.3f}")
    if outside:
        return f"{run}: parity with float32 NOT shown ({'; '.join(outside)})"
    return f"{run}: as float32, within one standard deviation between seeds"


def draw(losses: dict[str, np.ndarray], window: int, path: str) -> None:
    """Mean curves over seeds, and under them the paired differences with their 90 % bands."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(7, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    smooth = {run: moving_mean(values, window) for run, values in losses.items()}
    first = smooth[REFERENCE]
    steps = np.arange(first.shape[1]) + losses[REFERENCE].shape[1] - first.shape[1] + 1
    margin = first.std(axis=0, ddof=1)
    below.fill_between(steps, -margin, margin, color="0.9", label="one SD between seeds")
    for run, values in smooth.items():
        (line,) = above.plot(steps, values.mean(0), "--" if run == DISTURBED else "-", label=run)
        if run != REFERENCE:
            bands = [
                significance.mean_interval_over_seeds(column, LEVEL)
                for column in (values - first).T
            ]
            mean, low, high, *_ = zip(*bands, strict=True)
            below.plot(steps, mean, line.get_linestyle(), color=line.get_color())
            below.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    below.axhline(0, color="black", linewidth=0.8)
    above.set_title(f"{len(first)} seeds, moving means of {window} steps")
    above.set_ylabel("training loss (Eq. 1)")
    above.legend()
    below.set_ylabel("difference from float32, 90 % interval")
    below.legend()
    below.set_xlabel("step")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Trains in turn, all of one seed before the next; prints a table."""
    kept = Kept(JSON.value, STEPS.value, NETWORK.value)
    seeds = range(FIRST_SEED.value, FIRST_SEED.value + SEEDS.value)
    left = [(seed, run) for seed in seeds for run in RUNS if seed not in kept.curves[run]]
    kept.save()  # a file that cannot be written says so now
    began = time.monotonic()
    for done, (seed, run) in enumerate(left, 1):
        kept.curves[run][seed] = train(run, seed, STEPS.value, NETWORK.value.split())
        kept.save()
        minutes = (time.monotonic() - began) / done * (len(left) - done) / 60
        print(f"seed {seed}, {run}: {minutes:.0f} min left", file=sys.stderr, flush=True)
    losses = {run: np.array([kept.curves[run][seed].loss for seed in seeds]) for run in RUNS}
    table = compare(losses)
    which = f"{STEPS.value} steps, seeds {seeds[0]}-{seeds[-1]}"
    print(f"{which}; differences from float32 of the same seed")
    print(f"{'':<20}{'all':^26}{'end':^26}{'skipped':>8}")
    for run, row in table.items():
        if run == REFERENCE:
            cells = [f"{mean:.3f}, SD {deviation:.3f}" for mean, deviation in row.values()]
        else:
            cells = [f"{own.mean:+.3f} [{own.low:+.3f}, {own.high:+.3f}]" for own in row.values()]
        skipped = sum(kept.curves[run][seed].skipped for seed in seeds)
        print(f"{run:<20}" + "".join(f"{cell:^26}" for cell in cells) + f"{skipped:>8}")
    print(*(verdict(table, run) for run in RUNS[1:]), sep="\n")
    kept.save(table)
    if FIGURE.value:
        draw(losses, WINDOW.value, FIGURE.value)


if __name__ == "__main__":
    command.run(main)
