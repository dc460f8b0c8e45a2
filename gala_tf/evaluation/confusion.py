"""Which classes are taken for which: a matrix, where classes are few."""

from collections.abc import Mapping, Sequence

import numpy as np

from gala_tf.evaluation import plots

MOST_CLASSES = 30  # that a picture can name


def counts(columns: Mapping, classes: int) -> np.ndarray:
    """[K, K] images: rows are true classes, columns the answers."""
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (columns["label"], columns["prediction"]), 1)
    return matrix


@plots.styled
def write(path: str, columns: Mapping, class_names: Sequence[str], title: str) -> None:
    """Draws the matrix of one evaluation to a PNG; shades are shares of the true class."""
    matrix = counts(columns, len(class_names))
    side = 2.5 + 0.45 * len(class_names)
    figure, (axes,) = plots.new_figure(side + 1, side)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            ink = "white" if share[row, column] > 0.5 else plots.INK
            axes.text(column, row, f"{count}", ha="center", va="center", color=ink, fontsize=8)
    names = [name if len(name) <= 20 else name[:19] + "…" for name in class_names]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="answer", ylabel="true class", title=title)
    axes.spines[:].set_visible(False)
    plots.save(path, figure)
