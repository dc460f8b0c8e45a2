"""Predictions on anyone's pictures, without a data set: class, confidence, and attention drawn.

N pictures, S side of the network's input, K classes, h w the grid of a map
"""

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from gala_tf import losses
from gala_tf.data import files, images, places, preprocessing
from gala_tf.evaluation import answers
from gala_tf.explain import endings, explanations, network_parts, saved_models
from gala_tf.layers import ClassLogits
from gala_tf.pictures import attention_grid
from gala_tf.runs import directory

TABLE, DRAWN = "predictions.csv", "attention"
COLUMNS = ("file", "class", "confidence", "problem")
# Pillow hands these to another program, or to the system: a stranger's file would choose it.
NEVER_READ = {"EPS", "WMF"}
# Whose mode "I", 32 bits, Pillow fills with 0...65,535. Others' range, and that of "F", is unknown.
SIXTEEN_BITS = {"PNG", "PPM"}
CROP_FRACTION = 0.875  # of evaluation, where no run says otherwise


class Model(NamedTuple):
    """A classifier and how pictures are made its input."""

    network: Any
    size: int  # S
    class_names: Sequence[str]
    crop_fraction: float
    kind: str  # of its class scores, `endings.score_kind`; empty: the first pictures tell


def predict(
    pictures: Sequence[str],
    model: str,
    output_dir: str = "",
    *,
    class_names: str = "",
    input_scaling: str = "none",
    image_size: int = 0,
    crop_fraction: float = 0.0,
    layers: Sequence[str] | None = None,
    batch_size: int = 32,
) -> list[dict]:
    """Predicts, prints or writes the table, draws attention; returns the table's rows.

    A picture that cannot be read gets a row that says why. Arguments are `gala_tf.predict`'s flags.

    ValueError: no picture, no such model, or names of other classes; before the work.
    """
    if output_dir:
        places.check_files(output_dir, [TABLE, DRAWN], TABLE, ",".join(COLUMNS))
    found = list_pictures(pictures)
    opened = open_model(model, class_names, image_size, crop_fraction)
    look = make_look(opened, input_scaling)
    rows: list[dict] = []
    drawn = 0
    with tqdm(total=len(found), desc="predicting", unit="picture") as bar:
        for names, pixels, problems in _batches(found, opened, batch_size):
            rows += problems
            if names:
                answer, maps = look(pixels)
                rows += _rows(names, answer, opened.class_names)
                if output_dir and maps:
                    shown = {n: maps[n] for n in attention_grid.choose_layers(maps, layers)}
                    drawn += _draw(output_dir, found, names, pixels, shown, rows[-len(names) :])
            bar.update(len(names) + len(problems))
    order = {name: place for place, name in enumerate(found)}
    rows.sort(key=lambda row: order[row["file"]])
    _report(rows, output_dir, drawn)
    return rows


# ------------------------------------------------------------------ pictures


def picture_endings() -> tuple[str, ...]:
    """What names end in of the formats that are looked for in folders."""
    Image.init()
    readable = set(Image.OPEN) - NEVER_READ
    known = Image.registered_extensions().items()
    return tuple(sorted(ending for ending, kind in known if kind in readable))


def list_pictures(pictures: Sequence[str]) -> list[str]:
    """Files as given, and those in folders, at any depth, sorted; ValueError if there is none."""
    if not pictures:
        raise ValueError(
            "name pictures or folders: python -m gala_tf.predict PHOTO.jpg --model=..."
        )
    found: list[str] = []
    for given in pictures:
        if os.path.isdir(given):
            inside = [
                os.path.join(folder, name)
                for folder, _, names in os.walk(given)
                for name in names
                if name.lower().endswith(picture_endings())
            ]
            if not inside:
                raise ValueError(f"{given}: no file in this folder has the ending of a picture.")
            found += sorted(inside)
        elif os.path.isfile(given):
            found.append(given)
        else:
            raise ValueError(f"{given}: no such file or folder.")
    return list(dict.fromkeys(found))


def read_picture(path: str, size: int, crop_fraction: float) -> np.ndarray:
    """A picture cut as in evaluation, uint8 [S, S, 3]; of 16-bit grey the upper 8 bits.

    BadImageError: it cannot be decoded.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as opened:
            # MPO is what phones call a JPEG with a second picture.
            known = opened.format in (*images.IMAGE_FORMATS, "MPO") and opened.mode[0] not in "IF"
            pixels = data if known else _pixels(opened)
    except images.PILLOW_ERRORS as error:
        raise images.BadImageError(
            f"{path}: {images.reason(error).split(' as one of')[0]}"
        ) from error
    image = images.decode_image(pixels, path)
    window = preprocessing.center_window(image.height, image.width, crop_fraction)
    return preprocessing.cut_image(images.to_jpeg(image, pixels, path), window, size).numpy()


def _pixels(opened):
    """An opened picture that no data set takes: upright, opaque, uint8 [H, W, 3] or [H, W]."""
    kind = opened.format
    image = images.load_upright(opened)
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in SIXTEEN_BITS):
        return (np.asarray(image).astype(int) >> 8).clip(0, 255).astype(np.uint8)
    if image.mode[0] in "IF":
        raise ValueError(
            f"its pixels are numbers of 32 bits (mode {image.mode!r} of {kind}), and what is white "
            "cannot be known. Convert it to 8 or 16 bits"
        )
    return np.asarray(images.opaque(image))


def _formats():
    Image.init()
    return [kind for kind in Image.OPEN if kind not in NEVER_READ]


def _batches(found, model, batch_size) -> Iterator[tuple[list[str], np.ndarray, list[dict]]]:
    """(names, pixels [N, S, S, 3], rows of what could not be read) of as many files at a time."""
    for start in range(0, len(found), batch_size):
        names, pixels, problems = [], [], []
        for path in found[start : start + batch_size]:
            try:
                pixels.append(read_picture(path, model.size, model.crop_fraction))
                names.append(path)
            except (OSError, ValueError) as error:
                problems.append({"file": path, "problem": " ".join(str(error).split())})
        yield names, np.array(pixels, np.uint8), problems


# ------------------------------------------------------------------ the model


def open_model(
    model: str, class_names: str = "", image_size: int = 0, crop_fraction: float = 0.0
) -> Model:
    """A run's network with its best weights, or a `.keras` file; ValueError: neither."""
    own: Sequence[str] = ()
    if os.path.isdir(model):
        run = directory.open_run(model, weights="best")
        network, own = run.network, run.info.class_names
        crop_fraction = crop_fraction or run.config.crop_fraction
    else:
        network = saved_models.load_model(model)
        heads = [layer for layer in network.layers if isinstance(layer, ClassLogits)]
        own = heads[0].class_names if heads else ()
    size = saved_models.input_size(network, image_size)
    outputs = network(tf.zeros([1, size, size, 3]), training=False)
    classes = network_parts.class_scores(outputs).shape[1]
    names = _read_names(class_names, classes) if class_names else own
    names = names or [str(i) for i in range(classes)]
    kind = endings.score_kind(network)
    return Model(network, size, names, crop_fraction or CROP_FRACTION, kind)


def _read_names(path, classes):
    with open(path, encoding="utf-8-sig") as file:
        names = file.read().splitlines()
    if len(names) != classes:
        raise ValueError(
            f"--class_names={path} has {len(names)} lines, one a class, and the model tells "
            f"{classes} classes apart."
        )
    return names


def make_look(model: Model, input_scaling: str):
    """look(pixels [N, S, S, 3]) -> ({"prediction", "confidence"} [N], {layer: [N, h, w]})."""

    @tf.function(reduce_retracing=True)
    def run(images):
        outputs = model.network(images, training=False)
        try:
            volumes = explanations.attention_volumes(outputs)
        except ValueError:  # no attention
            volumes = {}
        maps = {name: losses.column_norm(volume)[..., 0] for name, volume in volumes.items()}
        return network_parts.class_scores(outputs), maps

    dtype = endings.coarsest_dtype(model.network)
    kind = model.kind

    def look(pixels):
        nonlocal kind
        scores, maps = run(saved_models.scale_input(pixels, input_scaling))
        # Once for all pictures: those of a later batch may look like the other kind.
        kind = kind or endings.kind_of_numbers(scores, dtype)
        nothing = np.zeros(len(pixels), int)
        return (
            answers.on_host(scores.numpy(), nothing, kind, dtype),
            {name: maps[name].numpy() for name in maps},
        )

    return look


# ------------------------------------------------------------------ results


def _rows(names, answer, class_names):
    pairs = zip(names, answer["prediction"], answer["confidence"], strict=True)
    return [{"file": n, "class": class_names[p], "confidence": float(c)} for n, p, c in pairs]


def _draw(output_dir, found, names, pixels, maps, rows) -> int:
    """Writes a PNG of each picture; returns how many."""
    top = os.path.commonpath([os.path.dirname(os.path.abspath(name)) for name in found])
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        picture = attention_grid.network_row(
            pixels[i],
            {layer: volume[i] for layer, volume in maps.items()},
            f"{row['class']} ({100 * row['confidence']:.0f} %)",
        )
        inside = os.path.relpath(os.path.abspath(name), top)
        attention_grid.write_png(os.path.join(output_dir, DRAWN, f"{inside}.png"), picture)
    return len(names)


def _report(rows, output_dir, drawn):
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    for row in rows:
        shown = f"{row['confidence']:.4f}" if "confidence" in row else ""
        table.writerow(row | {"confidence": shown})
    unread = sum("problem" in row for row in rows)
    if unread:
        print(f"{unread} of {len(rows)} files cannot be read: column `problem`", file=sys.stderr)
    if not output_dir:
        print(text.getvalue(), end="")
        return
    path = os.path.join(output_dir, TABLE)
    files.write(path, text.getvalue())
    print(f"wrote {path}: {len(rows) - unread} predictions")
    if drawn:
        print(f"wrote {drawn} pictures in {os.path.join(output_dir, DRAWN)}")
    elif rows:
        print("no pictures: the model returns no attention map")
