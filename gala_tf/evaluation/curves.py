"""Learning curves of a run, drawn from its `metrics.jsonl` at every validation."""

import os
from collections.abc import Sequence

import numpy as np

from gala_tf.evaluation import plots
from gala_tf.runs import logs

FILE = os.path.join("figures", "curves.png")
TRAIN, VALIDATION, PRIOR = "#0072B2", "#D55E00", "#999999"


def write(model_dir: str, title: str, validation_split: str) -> None:
    """Draws the run so far to figures/curves.png."""
    _write(os.path.join(model_dir, FILE), logs.read_metrics(model_dir), title, validation_split)


@plots.styled
def _write(path, lines, title, split):
    figure, axes = plots.new_figure(11, 7, columns=2, rows=2)
    figure.suptitle(title, fontsize=13)
    train = [line for line in lines if line["kind"] == "train"]
    validation = [line for line in lines if line["kind"] == split]
    loss, maps, accuracy, score = axes

    _line(loss, train, "loss", TRAIN, "whole (Eq. 1 and L2), training")
    _line(loss, train, "cross_entropy", TRAIN, "cross-entropy, training", dashes=":")
    _line(loss, validation, "cross_entropy", VALIDATION, f"cross-entropy, {split}", marker="o")
    loss.set(title="loss", yscale="log")
    _line(maps, train, "map_loss", TRAIN, "over all layers, training")
    maps.set_title("map loss")
    _line(accuracy, train, "top1", TRAIN, "training", scale=100)
    _line(accuracy, validation, "top1", VALIDATION, split, marker="o", scale=100)
    accuracy.set(title="top-1 accuracy, %", ylim=(0, 102))
    names = [name for name in validation[-1] if name.startswith("spearman/")] if validation else []
    if names:
        _line(score, validation, names[-1], VALIDATION, names[-1].split("/")[1], marker="o")
        _line(score, validation, "center_prior", PRIOR, "centre prior", dashes="--")
    score.set_title("map score of the last layer, Spearman")
    for one in axes:
        one.set_xlabel("step")
        one.grid(axis="y")
        if one.get_legend_handles_labels()[0]:
            one.legend()
        else:
            plots.message(one, "no maps in this split" if one is score else "nothing yet")
    plots.save(path, figure)


def _line(axes, lines: Sequence[dict], name, color, label, *, marker="", dashes="-", scale=1):
    found = [(line["step"], scale * line[name]) for line in lines if name in line]
    if found and any(value for _, value in found):
        steps, values = np.array(found).T
        axes.plot(steps, values, dashes, color=color, marker=marker, markersize=4, label=label)
