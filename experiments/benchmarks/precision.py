"""Loss curves in bfloat16 and float16 against float32: quickstart's network and data, some steps.

    python experiments/benchmarks/precision.py --json=precision.json --figure=precision.png

Runs of one seed see the same batches and begin with the same weights, so their curves part by
arithmetic alone: at first by its rounding, later because training enlarges any difference. How much
it does shows a run whose first weights are disturbed by a millionth, and how much matters shows
beside runs of other seeds, all in float32. Deviations are of the training loss of Eq. 1, in moving
means over some steps, from float32's first seed.

    end      mean loss of the last tenth of the steps
    begin    deviation from float32, of the first moving mean
    mean,    the same, of all moving means
    greatest
    skipped  updates that float16's loss scaling left out

Builds quickstart's data set on first use. Some minutes on two CPU cores; on a GPU where there is
one.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gala_tf import config, plan  # noqa: E402
from gala_tf import strategy as strategies  # noqa: E402

FLAGFILE = Path(__file__).resolve().parents[1] / "quickstart.flags"

STEPS = flags.DEFINE_integer("steps", 300, "Training steps of every run.", lower_bound=1)
SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds in float32, to compare with.", lower_bound=2)
WINDOW = flags.DEFINE_integer("window", 20, "Steps of a moving mean.", lower_bound=1)
NETWORK = flags.DEFINE_string(
    "network_flags", "", "Further flags of training: '--data_dir=DIR ...'"
)
JSON = flags.DEFINE_string("json", "", "Where to write all losses.")
FIGURE = flags.DEFINE_string("figure", "", "Where to draw the curves, a PNG.")


DISTURBANCE = 1e-6  # of a weight's value, standard deviation; float32 rounds to 6e-8
DISTURBED = "float32, disturbed"


class Curve(NamedTuple):
    """A run's losses by step, [T] each, and how many updates were skipped."""

    loss: np.ndarray
    map_loss: np.ndarray
    skipped: int


def runs(seeds: int) -> dict[str, dict]:
    """{name: flags that differ}, float32's first seed first."""
    found = {"float32": {"precision": "float32", "seed": 0}}
    for precision in ("mixed_bfloat16", "mixed_float16"):
        found[precision] = {"precision": precision, "seed": 0}
    found[DISTURBED] = {"precision": "float32", "seed": 0}
    for seed in range(1, seeds):
        found[f"float32, seed {seed}"] = {"precision": "float32", "seed": seed}
    return found


def train(changes: dict, steps: int, network_flags: list[str], disturbance: float = 0.0) -> Curve:
    """Trains some steps as `gala_tf.train` would; keeps each step's losses."""
    import tensorflow as tf

    from gala_tf.sessions import build_session, training_batches

    arguments = [f"--flagfile={FLAGFILE}", *network_flags]
    arguments += [f"--{name}={value}" for name, value in changes.items()]
    run_config = config.from_arguments(arguments, "the benchmark")
    info = plan.prepare_data(run_config)
    strategy = strategies.make_strategy()
    session = build_session(run_config, info, strategy)
    rng = np.random.default_rng(0)
    for variable in session.network.trainable_variables if disturbance else ():
        noise = rng.normal(scale=disturbance, size=variable.shape)
        variable.assign(variable.numpy() * (1 + noise))
    iterator = iter(
        training_batches(strategy, run_config, info, session.sizes, session.map_resize, step=0)
    )
    found = []
    for _ in range(steps):
        vector, _, _ = session.train_steps(iterator, tf.constant(1))
        scalars, _, _ = session.columns.split(vector.numpy())
        found.append((scalars["loss"], scalars["map_loss"]))
    loss, map_loss = np.array(found).T
    # Of the optimizer inside the loss scaling, where there is one: it counts what it applied.
    inner = getattr(session.optimizer, "inner_optimizer", session.optimizer)
    return Curve(loss, map_loss, steps - int(inner.iterations))


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Means of `window` values in a row: [T] -> [T - window + 1]; of all T, if they are fewer."""
    window = min(window, len(values))
    return np.convolve(values, np.full(window, 1 / window), mode="valid")


def deviations(curves: dict[str, Curve], window: int) -> dict[str, dict]:
    """{name: {"end", "begin", "mean", "greatest", "skipped"}}, from the first curve."""
    first = moving_mean(next(iter(curves.values())).loss, window)
    table = {}
    for name, curve in curves.items():
        difference = np.abs(moving_mean(curve.loss, window) - first)
        table[name] = {
            "end": float(curve.loss[-max(1, len(curve.loss) // 10) :].mean()),
            "begin": float(difference[0]),
            "mean": float(difference.mean()),
            "greatest": float(difference.max()),
            "skipped": curve.skipped,
        }
    return table


def verdict(table: dict[str, dict], name: str) -> str:
    """A precision's mean deviation beside the least of those between seeds."""
    others = [row["mean"] for key, row in table.items() if "seed" in key]
    own = table[name]["mean"]
    word = "below" if own < min(others) else "NOT below"
    return f"{name}: {own:.4f} from float32, {word} the {min(others):.4f} between two seeds"


def draw(curves: dict[str, Curve], window: int, path: str) -> None:
    """The moving means of the losses, and under them their deviation from float32's."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(7, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    first = moving_mean(next(iter(curves.values())).loss, window)
    for name, curve in curves.items():
        values = moving_mean(curve.loss, window)
        steps = np.arange(len(values)) + len(curve.loss) - len(values) + 1
        style = "--" if name.startswith("float32, ") else "-"
        above.plot(steps, values, style, label=name)
        below.plot(steps, np.abs(values - first), style)
    above.set_ylabel(f"loss, moving mean of {window} steps")
    above.legend()
    below.set_ylabel("deviation from float32")
    below.set_yscale("log")
    below.set_xlabel("step")
    figure.savefig(path, dpi=120)


def main(_) -> None:
    """Trains in turn; prints a table."""
    curves = {}
    for name, changes in runs(SEEDS.value).items():
        disturbance = DISTURBANCE if name == DISTURBED else 0.0
        curves[name] = train(changes, STEPS.value, NETWORK.value.split(), disturbance)
        print(f"trained: {name}", file=sys.stderr, flush=True)
    table = deviations(curves, WINDOW.value)
    print(f"{STEPS.value} steps, moving means of {WINDOW.value}; deviations from float32, seed 0")
    print(f"{'':<18}{'end':>9}{'begin':>10}{'mean':>10}{'greatest':>10}{'skipped':>9}")
    for name, row in table.items():
        print(
            f"{name:<18}{row['end']:>9.4f}"
            + "".join(f"{row[key]:>10.4f}" for key in ("begin", "mean", "greatest"))
            + f"{row['skipped']:>9}"
        )
    print(*(verdict(table, name) for name in table if name.startswith("mixed")), sep="\n")
    if JSON.value:
        losses = {
            name: {"loss": curve.loss.tolist(), "map_loss": curve.map_loss.tolist()}
            for name, curve in curves.items()
        }
        facts = {"steps": STEPS.value, "window": WINDOW.value, "table": table, "curves": losses}
        Path(JSON.value).write_text(json.dumps(facts, indent=1) + "\n")
    if FIGURE.value:
        draw(curves, WINDOW.value, FIGURE.value)


if __name__ == "__main__":
    app.run(main)
