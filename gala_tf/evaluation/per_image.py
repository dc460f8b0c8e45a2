"""One row an image of an evaluation, as CSV: further statistics need no second run.

    from gala_tf.evaluation import per_image
    columns = per_image.load("RUN/per_image-test.csv")
    errors = columns["rank"] > 0

Written by evaluation beside `results-<split>.json`, under the same rule of names. Rows are in the
order of the split, so that files of two networks on one split are paired row by row
(`require_same_images`). Numbers are written in full: means of columns are those of the results.

    image_id, label, class_name        the image, its true class and that class' name
    prediction                         the class with the largest logit
    rank                               classes ranked at or above the true one; 0 is a hit
    cross_entropy                      nats
    confidence                         largest softmax probability
    has_clickmap                       1 or 0; what follows is empty for 0
    spearman/LAYER                     of the layer's map with the human map, on the layer's grid
    center_prior                       of minus the distance to the centre with the human map, on
                                       the last layer's grid
    clickmap_sum                       of the human map, over the crop that was evaluated

An empty cell is an undefined number (NaN): no human map, a constant map, a network that diverged.
"""

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from gala_tf import metrics
from gala_tf.data import files
from gala_tf.data.csv_head import column_names
from gala_tf.evaluation import naming, scores

TEXT = ("image_id", "class_name")
WHOLE = ("label", "prediction", "rank")
TRUTH = ("has_clickmap",)
REQUIRED = (*TEXT, *WHOLE, "cross_entropy", "confidence", *TRUTH)
OTHERS = ("center_prior", "clickmap_sum")
HEADS = (",".join(TEXT),)  # by which a table of ours is known
SPEARMAN = "spearman/"


def columns_of(predictions, image_ids: Sequence[str], class_names: Sequence[str]) -> dict:
    """{column: array [N]} of an evaluation.

    ValueError: more or fewer names than images.
    """
    if len(image_ids) != len(predictions.label):
        raise ValueError(
            f"Expected a name for each of the {len(predictions.label)} images evaluated; received "
            f"{len(image_ids)}."
        )
    with_map = predictions.has_clickmap
    human = predictions.clickmap[with_map]

    def spread(values):  # [images with a map] -> [N]
        column = np.full(len(with_map), np.nan)
        column[with_map] = values
        return column

    columns = {
        "image_id": np.asarray(image_ids, object),
        "label": predictions.label,
        "class_name": np.asarray([class_names[label] for label in predictions.label], object),
        "prediction": predictions.prediction,
        "rank": predictions.rank,
        "cross_entropy": predictions.cross_entropy.astype("float64"),
        "confidence": predictions.confidence.astype("float64"),
        "has_clickmap": with_map,
    }
    for name, maps in predictions.maps.items():
        model, blocks = maps[with_map], scores.block_sum(human, maps.shape[1])
        flat = len(model), maps.shape[1] * maps.shape[2]
        correlation = metrics.spearman(model.reshape(flat), blocks.reshape(flat))
        columns[SPEARMAN + name] = spread(correlation)
    if predictions.maps:  # the last layer's, from the loop
        prior = np.broadcast_to(metrics.center_prior(*maps.shape[1:]).ravel(), flat)
        columns["center_prior"] = spread(metrics.spearman(prior, blocks.reshape(flat)))
    columns["clickmap_sum"] = spread(human.sum((1, 2), dtype="float64"))
    return columns


def layers(columns: Mapping) -> list[str]:
    """Names of the layers whose maps are scored, first to last."""
    return [name.removeprefix(SPEARMAN) for name in columns if name.startswith(SPEARMAN)]


def path_of(model_dir: str, split: str, numbers: Mapping) -> str:
    """The file's path in a run directory; `numbers` are those of the results."""
    return os.path.join(model_dir, f"per_image-{naming.result_name(split, numbers)}.csv")


def write(path: str, columns: Mapping) -> None:
    """Writes {column: array [N]} to `path`, local or gs://, whole or not at all."""
    texts = [[_cell(value) for value in np.asarray(column)] for column in columns.values()]
    file = io.StringIO(newline="")
    table = csv.writer(file, lineterminator="\n")
    table.writerow(columns)
    table.writerows(zip(*texts, strict=True))
    files.write(path, file.getvalue().encode("utf-8"))


def _cell(value):
    """A value as text that reads back as the same value; NaN is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.bool_):
        return str(int(value))
    if isinstance(value, np.integer):
        return str(value)
    value = float(value)
    return "" if math.isnan(value) else repr(value)


def load(path: str) -> dict[str, np.ndarray]:
    """Reads a file that `write` wrote: {column: array [N]}, in its order of columns.

    Columns are object (text), int64, bool or, all others, float64 with NaN for empty cells.
    ValueError: no file, a column is missing, or a line cannot be read.
    """
    if not tf.io.gfile.exists(path):
        raise ValueError(
            f"No file {path}. `python -m gala_tf.evaluate --model_dir=... --split=...` writes it."
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")  # as a spreadsheet saves it
        header, *lines = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}. Evaluate again.") from error
    header = column_names(header, (*REQUIRED, *OTHERS))
    missing = [name for name in REQUIRED if name not in header]
    if missing or len(set(header)) < len(header):
        raise ValueError(
            f"{path}: expected columns {', '.join(REQUIRED)}, each once; "
            + (f"{', '.join(missing)} missing." if missing else "one is there twice.")
            + " Evaluate again."
        )
    for number, line in enumerate(lines, 2):  # as spreadsheets count: the header is row 1
        if len(line) != len(header):
            raise ValueError(
                f"{path}, row {number}: expected {len(header)} cells, received {len(line)}. The "
                "file is damaged; evaluate again."
            )
    parts = zip(*lines, strict=True) if lines else [()] * len(header)
    return {name: _column(path, name, cells) for name, cells in zip(header, parts, strict=True)}


def _column(path, name, cells):
    if name in TEXT:
        return np.array(cells, object)
    whole = name in WHOLE or name in TRUTH
    try:
        values = np.array(
            [int(cell) if whole else float(cell or "nan") for cell in cells],
            np.int64 if whole else np.float64,
        )
    except ValueError as error:
        kind = "whole numbers" if whole else "numbers or nothing"
        raise ValueError(
            f"{path}: column {name} must hold {kind} ({error}). The file is damaged; evaluate "
            "again."
        ) from error
    return values > 0 if name in TRUTH else values


def require_same_images(tables: Mapping[str, Mapping]) -> None:
    """ValueError unless tables, {path: columns}, hold the same images in the same order."""
    paths = list(tables)
    for path in paths[1:]:
        one, other = tables[paths[0]], tables[path]
        same = all(np.array_equal(one[name], other[name]) for name in ("image_id", "label"))
        if not same:
            raise ValueError(
                f"{path} is of other images, labels, or another order, than {paths[0]} "
                f"({len(other['image_id'])} and {len(one['image_id'])} images): they cannot be "
                "compared image by image. Evaluate both on one split of one data set."
            )
