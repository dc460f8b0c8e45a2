"""Fine-tunes a network that was trained on other classes, with and without GALA: errors by epoch.

    python experiments/library/fine_tuning.py --input_dir=tiny_imagenet10

Of ten classes of Tiny ImageNet a plain ResNet learns the first five. It then gets GALA behind the
units of stage 3, by `add_attention`, the paper's gate or the one that starts as the identity, and
learns the other five from a hundred images each. Each seed has a source network, a draw of images
and an order of its own. What was chosen before any run: all constants of this file. What has a row
in --results is done.
"""

import dataclasses
import math
import os
import time
from pathlib import Path

import finished
import keras
import numpy as np
from absl import app, flags
from PIL import Image

from gala_tf import models

SEEDS, RATES, EPOCHS, BATCH = (0, 1, 2), (0.01, 0.05), 10, 32
SOURCE_EPOCHS, SOURCE_RATE = 12, 0.05
TRAIN, VALIDATION = 100, 100  # images a class of those that the source network never saw
SIDE, CROP = 32, 28  # Tiny ImageNet's 64, halved: a run takes seconds
UNITS = r"stage3_block\d_conv3_bn"  # a unit's final activity, before the shortcut
RESNET = dict(stage_blocks=(1, 1, 6, 1), stage_widths=(16, 16, 24, 32), stem="small")


@dataclasses.dataclass(frozen=True)
class Run:
    """One fine-tuning; without a gate the network is as it was, but for its head."""

    gate: str  # none, gala, gala_residual
    start: str  # source: the network of the other classes; random: no such network
    rate: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.gate}/{self.start}/rate-{self.rate:g}/seed-{self.seed}"


RUNS = [
    Run(gate, "source", rate, seed)
    for seed in SEEDS
    for rate in RATES
    for gate in ("none", "gala", "gala_residual")
]
RUNS += [Run("none", "random", 0.05, seed) for seed in SEEDS]


# --------------------------------------------------------------------------- images


def read_class(folder: Path) -> np.ndarray:
    """A class' training images, uint8 [500, 32, 32, 3], by name."""
    files = sorted((folder / "images").iterdir())
    return np.stack([np.asarray(Image.open(file).convert("RGB").reduce(2)) for file in files])


def split(classes: list[np.ndarray], per_class: dict[str, int], seed: int) -> dict:
    """{part: (images, labels)} of parts with so many images a class, none in two."""
    rng = np.random.default_rng(seed)
    parts = {name: ([], []) for name in per_class}
    for label, images in enumerate(classes):
        order, start = rng.permutation(len(images)), 0
        for name, count in per_class.items():
            parts[name][0].append(images[order[start : start + count]])
            parts[name][1].append(np.full(count, label))
            start += count
    return {
        name: tuple(np.concatenate(one) for one in (images, labels))
        for name, (images, labels) in parts.items()
    }


def augmented(images: np.ndarray, rng) -> np.ndarray:
    """Random crops of 28 pixels, half of them mirrored, float32."""
    out = np.empty((len(images), CROP, CROP, 3), "float32")
    for i, image in enumerate(images):
        top, left = rng.integers(0, SIDE - CROP + 1, 2)
        cut = image[top : top + CROP, left : left + CROP]
        out[i] = cut[:, ::-1] if rng.random() < 0.5 else cut
    return out


def central(images: np.ndarray) -> np.ndarray:
    """The central CROP x CROP pixels, float32, 0...255: what validation sees."""
    edge = (SIDE - CROP) // 2
    return images[:, edge:-edge, edge:-edge].astype("float32")


# --------------------------------------------------------------------------- training


def train(network, parts: dict, rate: float, epochs: int, seed: int) -> dict:
    """Trains on cross-entropy alone; errors in % and entropies after each epoch, 0 the first."""
    images, labels = parts["train"]
    network = keras.Model(network.inputs[0], network.output["logits"])
    steps = epochs * math.ceil(len(images) / BATCH)
    network.compile(
        keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(rate, steps), momentum=0.9, nesterov=True
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rng = np.random.default_rng(seed)
    found: dict = {"errors": [], "cross_entropies": [], "train_losses": []}
    for epoch in range(epochs + 1):
        if epoch:
            order = rng.permutation(len(images))
            history = network.fit(
                augmented(images[order], rng), labels[order], batch_size=BATCH, shuffle=False,
                epochs=1, verbose=0,
            )  # fmt: skip
            found["train_losses"].append(round(history.history["loss"][0], 4))
        error, entropy = evaluate(network, *parts["validation"])
        found["errors"].append(error)
        found["cross_entropies"].append(entropy)
    return found


def evaluate(network, images, labels) -> tuple[float, float]:
    """(top-1 error in %, mean cross-entropy) of central crops."""
    logits = network.predict(central(images), batch_size=100, verbose=0)
    logits = np.asarray(logits, "float64")
    shifted = logits - logits.max(1, keepdims=True)
    entropy = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    error = 100 * (logits.argmax(1) != labels).mean()
    return round(float(error), 3), round(float(entropy.mean()), 4)


def new_network(classes: int, seed: int):
    keras.utils.set_random_seed(seed)
    return models.build_model(attention="none", image_size=CROP, num_classes=classes, **RESNET)


def source_network(path: str, old: dict, seed: int):
    """The network of the other classes, trained on first use; and its validation error."""
    if not os.path.exists(path):
        network = new_network(5, seed)
        found = train(network, old, SOURCE_RATE, SOURCE_EPOCHS, seed)
        print(f"source network, seed {seed}: errors {found['errors']}", flush=True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        network.save(f"{path}.part.keras")
        os.replace(f"{path}.part.keras", path)
    network = keras.saving.load_model(path, compile=False, safe_mode=True)
    head = keras.Model(network.inputs[0], network.output["logits"])
    return network, evaluate(head, *old["validation"])[0]


def fine_tune(run: Run, old: dict, new: dict, folder: str) -> dict:
    """A row: errors by epoch, and what the gate alone made of the old classes."""
    start = time.process_time()
    row = {"name": run.name, **dataclasses.asdict(run)}
    if run.start == "random":
        network = new_network(5, 100 + run.seed)
    else:
        source, row["old_error"] = source_network(f"{folder}/{run.seed}.keras", old, run.seed)
        start = time.process_time()  # the source network is of all runs of a seed
        keras.utils.set_random_seed(100 + run.seed)
        if run.gate == "none":
            network = _with_new_head(source)
        else:
            gated = models.add_attention(source, UNITS, run.gate)
            logits = keras.Model(gated.inputs[0], gated.output["logits"])
            row["old_error_with_gate"] = evaluate(logits, *old["validation"])[0]
            network = models.add_attention(source, UNITS, run.gate, classes=5)
    set_head(network, run.seed)
    row.update(train(network, new, run.rate, EPOCHS, run.seed))
    return row | {"cpu_seconds": round(time.process_time() - start)}


def _with_new_head(source):
    """As `add_attention` with another head, but without attention."""
    pooled = source.get_layer("logits").input
    logits = keras.layers.Dense(5, name="new_logits")(pooled)
    return keras.Model(source.inputs[0], {"logits": logits})


def set_head(network, seed: int) -> None:
    """Gives the head the initial weights that all networks of a seed have."""
    head = network.output["logits"]._keras_history.operation
    kernel = np.random.default_rng(seed).normal(0, head.kernel.shape[0] ** -0.5, head.kernel.shape)
    head.kernel.assign(kernel)
    head.bias.assign(np.zeros(head.bias.shape))


# --------------------------------------------------------------------------- table and figure


def groups(rows: dict) -> dict[tuple, list[dict]]:
    """{(gate, start, rate): rows of its seeds}."""
    found: dict = {}
    for run in RUNS:
        if run.name in rows:
            found.setdefault((run.gate, run.start, run.rate), []).append(rows[run.name])
    return found


def table(rows: dict) -> str:
    """Markdown: mean validation errors by epoch, and the last of each seed."""
    shown = (1, 2, 3, 5, EPOCHS)
    lines = [
        "| gate | start | rate | " + " | ".join(f"epoch {e}" for e in shown) + " | of each seed |",
        "|---" * (4 + len(shown)) + "|",
    ]
    for (gate, start, rate), found in groups(rows).items():
        errors = np.array([row["errors"] for row in found])
        means = " | ".join(f"{errors[:, e].mean():.1f}" for e in shown)
        last = ", ".join(f"{e:.1f}" for e in errors[:, -1])
        lines.append(f"| `{gate}` | {start} | {rate:g} | {means} | {last} |")
    before = [r for r in rows.values() if "old_error_with_gate" in r and r["rate"] == RATES[0]]
    lines += ["", "| gate | errors on the old classes, without and with it |", "|---|---|"]
    for gate in ("gala", "gala_residual"):
        pairs = [f"{r['old_error']:.1f} to {r['old_error_with_gate']:.1f}"
                 for r in before if r["gate"] == gate]  # fmt: skip
        lines.append(f"| `{gate}` | {', '.join(pairs)} |")
    return "\n".join(lines)


COLOURS = {"none": "0.35", "gala": "#D55E00", "gala_residual": "#0072B2"}
LABELS = {
    "none": "no attention",
    "gala": "GALA, the paper's gate",
    "gala_residual": "residual gate",
}


def draw(rows: dict, path: str) -> None:
    """A panel a rate: validation errors by epoch, thin lines the seeds, thick ones their mean."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(RATES), figsize=(9, 3.8), sharey=True)
    for (gate, start, rate), found in groups(rows).items():
        errors = np.array([row["errors"] for row in found])
        epochs = np.arange(1, EPOCHS + 1)
        style = dict(color=COLOURS[gate], linestyle=":" if start == "random" else "-")
        axis = axes[RATES.index(rate)]
        axis.plot(epochs, errors[:, 1:].T, linewidth=0.6, alpha=0.5, **style)
        label = "no attention, random weights" if start == "random" else LABELS[gate]
        axis.plot(epochs, errors[:, 1:].mean(0), linewidth=2.2, label=label, **style)
    for axis, rate in zip(axes, RATES, strict=True):
        axis.set(xlabel="epoch", title=f"learning rate {rate:g}")
        axis.spines[["top", "right"]].set_visible(False)
        if axis.lines:
            axis.legend(frameon=False)
    axes[0].set_ylabel("validation error, %")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main(_):
    """Trains what has no row."""
    options = flags.FLAGS
    rows = finished.load(options.results)
    names = (Path(options.input_dir) / "wnids.txt").read_text().split()
    classes = [read_class(Path(options.input_dir) / "train" / name) for name in names]
    for run in RUNS:
        if run.name in rows:
            continue
        old = split(classes[:5], {"validation": 50, "train": 450}, run.seed)
        new = split(classes[5:], {"validation": VALIDATION, "train": TRAIN}, run.seed)
        row = fine_tune(run, old, new, options.networks)
        finished.add(options.results, row)
        print(f"{run.name}: {row['errors']}, {row['cpu_seconds']} s of CPU", flush=True)


if __name__ == "__main__":
    flags.DEFINE_string("input_dir", "tiny_imagenet10", "Ten classes, as Tiny ImageNet lays them.")
    flags.DEFINE_string("networks", "runs/fine_tuning", "Where source networks are kept.")
    flags.DEFINE_string(
        "results", "experiments/library/fine_tuning.jsonl", "Rows of finished runs."
    )
    app.run(main)
