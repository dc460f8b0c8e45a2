"""Figs. 4A and 4B from run directories: images, networks and words brought together, a PNG written.

N images, S side of an image, K classes
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from gala_tf import visualize
from gala_tf.paper.figure4 import pictures
from gala_tf.paper.figure4.networks import (
    PAPER_LAYERS,
    Trained,
    choose_rows,
    gradient_maps,
    look,
    open_run,
    paper_layers,
)

JPEG_MAGIC = b"\xff\xd8\xff"
ENDINGS = (".jpg", ".jpeg")  # in any case


# --------------------------------------------------------------------------- 4A


def check_pair(first: Trained, second: Trained, data_dir: str) -> None:
    """ValueError unless two networks can be shown the same images and asked for the same classes.

    Args:
        data_dir: given by the user, or empty: the runs' own data set.
    """
    kinds = [run.trained_on.class_names for run in (first, second)]
    if kinds[0] != kinds[1]:
        here, there = (f"{len(names)}, beginning with {', '.join(names[:3])}" for names in kinds)
        raise ValueError(
            f"--model_dir={first.model_dir} was trained on other classes, or another order of "
            f"them, than --reference_dir={second.model_dir} ({here}; {there}): their answers "
            "cannot be compared. Give two runs on the same classes."
        )
    if first.trained_on != second.trained_on and not data_dir:
        raise ValueError(
            f"--model_dir={first.model_dir} was trained on another data set "
            f"({first.trained_on.name}, {first.run_config.data_dir}) than --reference_dir="
            f"{second.model_dir} ({second.trained_on.name}, {second.run_config.data_dir}), so a "
            "split held out of one may be known to the other. Give --data_dir and a --split that "
            "neither has seen."
        )
    for name in ("image_size", "crop_fraction"):
        here, there = (getattr(run.run_config, name) for run in (first, second))
        if here != there:
            raise ValueError(
                f"--{name} is {here} in --model_dir={first.model_dir} and {there} in "
                f"--reference_dir={second.model_dir}: they would not see the same pixels. Give "
                f"--{name}, which then holds for both."
            )


def draw_4a(
    model_dir: str,
    reference_dir: str,
    data_dir: str = "",
    split: str = "test",
    num_images: int = 8,
    output: str = "",
    overrides: Sequence[str] = (),
    seed: int = 0,
    samples: int = 50,
    noise: float = 0.15,
) -> str:
    """Draws Fig. 4A from two runs, the first in red, the second in blue; returns the PNG's path.

    Args:
        model_dir, reference_dir: the runs; in the paper GALA-ResNet-50 with and without maps.
        data_dir: a built data set of the runs' classes; default the one they were trained on.
        split: its name; images are spread evenly over those that have a human map.
        num_images: rows at most.
        output: default `figures/figure-4a-<split>.png` in `model_dir`.
        overrides: flags that differ from the runs', `--name=value` each.
        seed, samples, noise: of SmoothGrad, `explanations.smoothgrad`; both networks see the same
            noise.

    Raises:
        ValueError: no run, a network without attention maps, two that cannot be compared, no such
            split or an empty one, a damaged data set.
    """
    from gala_tf import evaluate
    from gala_tf.data import dataset_info, eval_pipeline

    _check_count(num_images)
    if data_dir:
        overrides = (f"--data_dir={data_dir}", *overrides)
    first, second = (open_run(directory, overrides) for directory in (model_dir, reference_dir))
    check_pair(first, second, data_dir)
    run_config, info = first.run_config, dataset_info.load_info(first.run_config.data_dir)
    evaluate.check_classes(first.trained_on, info, run_config.data_dir)
    geometry = evaluate.eval_geometry(run_config, first.sizes)
    rows = choose_rows(run_config, info, split, num_images, geometry)
    examples = eval_pipeline.read_examples(run_config.data_dir, info, split, rows, geometry)
    images, labels = examples["image"], examples["label"]
    names = first.name, second.name
    if names[0] == names[1]:  # two runs of one kind are known by their directories
        names = tuple(f"{run.name}, {_last_part(run.model_dir)}" for run in (first, second))
    sides = [
        _side(run, name, images, info.class_names)
        for run, name in zip((first, second), names, strict=True)
    ]
    gradients = [
        gradient_maps(run, images, labels, rows, seed=seed, samples=samples, noise=noise)
        for run in (first, second)
    ]
    picture = pictures.picture_a(
        images,
        np.where(examples["has_clickmap"][:, None, None] > 0, examples["clickmap"][..., 0], 0.0),
        pictures.gradient_difference(*gradients),
        *sides,
        captions=[
            f"true: {info.class_names[label]} ({split} image {row})"
            for label, row in zip(labels, rows, strict=True)
        ],
        notes=_notes_a((first, second), info, split, len(rows), seed, samples, noise),
    )
    output = output or os.path.join(model_dir, "figures", f"figure-4a-{split}.png")
    visualize.write_png(output, picture)
    return output


def _side(trained, name, images, class_names):
    """A network's columns: its maps under the paper's titles, and its answers."""
    layers = paper_layers(trained)
    titles = visualize.paper_titles(layers, trained.run_config)
    looks = look(trained, images, layers)
    return pictures.Side(
        name, {titles[layer]: looks.maps[layer] for layer in layers}, _answers(looks, class_names)
    )


def _answers(looks, class_names):
    return [
        f"said: {class_names[said]}, {100 * sure:.0f} %"
        for said, sure in zip(looks.prediction, looks.confidence, strict=True)
    ]


def _notes_a(runs, info, split, shown, seed, samples, noise):
    entry = info.require_split(split)
    chosen = " over those with a human map" if entry.with_clickmap else ""
    layers = paper_layers(runs[0])
    titles = visualize.paper_titles(layers, runs[0].run_config)
    shown_numbers = [titles[layer].split("\n")[0] for layer in layers]
    paper_numbers = [f"layer {number}" for number in PAPER_LAYERS]
    weights = "; ".join(
        f"{color}: {run.name}, best weights, step {run.step}"
        for color, run in zip(("red", "blue"), runs, strict=True)
    )
    return [
        f"{info.name}, {split}: {shown} of {entry.examples} images, spread evenly{chosen}; maps "
        f"blurred by {runs[0].run_config.clickmap_blur}. {weights}.",
        f"gradient Δ: SmoothGrad of the true class ({samples} samples, noise {100 * noise:g} % of "
        f"an image's range, seed {seed}), absolute values summed over colours, each network's "
        f"scaled to its {pictures.CLIP_PERCENTILE}th percentile; their difference from -1 to 1.",
        *(
            ["Layers: those that correspond to 27, 33 and 39 of the paper's ResNet-50."]
            if shown_numbers != paper_numbers
            else []
        ),
    ]


# --------------------------------------------------------------------------- 4B


def draw_4b(
    model_dir: str,
    images_dir: str = "",
    data_dir: str = "",
    split: str = "test",
    num_images: int = 12,
    output: str = "",
    overrides: Sequence[str] = (),
) -> str:
    """Draws Fig. 4B: a run's last attention layer on images of another data set, zero-shot.

    An image that is not square is cut as in evaluation: the central square, `--crop_fraction` of
    the short side. Attention is as fine as the layer's grid (14x14 at 224 pixels), drawn enlarged;
    a larger `--image_size` makes it finer, since the weights do not depend on it.

    Args:
        model_dir: the run.
        images_dir: a folder of JPEG files (not of folders), in the order of their names; or
        data_dir: a built data set, and its
        split. Its classes need not be those of the run.
        num_images: at most so many, spread evenly.
        output: default `figures/figure-4b.png` in `model_dir`.
        overrides: flags that differ from the run's, `--name=value` each.

    Returns:
        The path of the PNG.

    Raises:
        ValueError: no run, no attention maps, both or neither of `images_dir` and `data_dir`, no
            images, or one that cannot be read.
    """
    _check_count(num_images)
    if bool(images_dir) == bool(data_dir):
        raise ValueError(
            "--figure=4b needs either --images (a folder of JPEGs) or --data_dir (a built data "
            f"set). Received: --images={images_dir!r}, --data_dir={data_dir!r}."
        )
    if images_dir:
        paths = jpeg_paths(images_dir)  # refused before the network is built
    trained = open_run(model_dir, overrides)
    if images_dir:
        chosen = visualize.spread(np.ones(len(paths), bool), num_images)
        paths = [paths[place] for place in chosen]
        images = read_jpegs(paths, trained.run_config)
        titles, source = [os.path.basename(path) for path in paths], _last_part(images_dir)
        zero_shot = ", zero-shot"
    else:
        images, titles, info = _examples_of(trained, data_dir, split, num_images)
        source = f"{info.name}, {split}"
        zero_shot = "" if info == trained.trained_on else ", zero-shot"
    layer = list(trained.sizes)[-1]
    looks = look(trained, images, [layer])
    answers = _answers(looks, trained.trained_on.class_names)
    number = visualize.paper_titles([layer], trained.run_config)[layer].split("\n")[0]
    side, size = trained.sizes[layer], trained.run_config.image_size
    fraction = trained.run_config.crop_fraction
    notes = [
        f"{trained.name}, trained on {trained.trained_on.name} (best weights, step "
        f"{trained.step}), on {len(images)} images of {source}{zero_shot}.",
        f"{number} ({layer}): attention on {side}x{side}, enlarged bicubically. Images: central "
        f"square, {100 * fraction:g} % of the short side, at {size}x{size} pixels.",
    ]
    captions = [f"{title}; {answer}" for title, answer in zip(titles, answers, strict=True)]
    picture = pictures.picture_b(images, looks.maps[layer], captions, notes)
    output = output or os.path.join(model_dir, "figures", "figure-4b.png")
    visualize.write_png(output, picture)
    return output


def _examples_of(trained, data_dir, split, num_images):
    """Images [N, S, S, 3] of a data set of any classes, their class names, and its DatasetInfo."""
    from gala_tf import evaluate
    from gala_tf.data import dataset_info, eval_pipeline

    run_config = dataclasses.replace(trained.run_config, data_dir=data_dir)
    info = dataset_info.load_info(data_dir)
    geometry = evaluate.eval_geometry(run_config, trained.sizes)
    rows = choose_rows(run_config, info, split, num_images, geometry)
    examples = eval_pipeline.read_examples(run_config.data_dir, info, split, rows, geometry)
    titles = [f"true: {info.class_names[label]}" for label in examples["label"]]
    return examples["image"], titles, info


def jpeg_paths(directory: str) -> list[str]:
    """The JPEG files of a folder (local or gs://), sorted by name; ValueError if there is none."""
    import tensorflow as tf

    if not tf.io.gfile.isdir(directory):
        raise ValueError(f"--images={directory}: no such folder.")
    names = sorted(n for n in tf.io.gfile.listdir(directory) if n.lower().endswith(ENDINGS))
    if not names:
        raise ValueError(
            f"--images={directory}: no file there ends in {' or '.join(ENDINGS)}. Convert other "
            "formats to JPEG, or build a data set with `python -m data_prep.build_tfrecords`."
        )
    return [os.path.join(directory, name) for name in names]


def read_jpegs(paths: Sequence[str], run_config) -> np.ndarray:
    """JPEG files cut as in evaluation, [N, S, S, 3] uint8.

    An orientation in the file's EXIF data is ignored, as it is in training.

    Raises:
        ValueError: a file that is no JPEG, or a damaged one.
    """
    import tensorflow as tf

    from gala_tf.data import preprocessing

    images = []
    for path in paths:
        encoded = tf.io.read_file(path)
        if not encoded.numpy().startswith(JPEG_MAGIC):
            raise ValueError(
                f"{path} is no JPEG: it begins with {encoded.numpy()[:4]!r}, not "
                f"{JPEG_MAGIC!r}. Convert it, or move it out of the folder."
            )
        try:
            height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(encoded))
            window = preprocessing.center_window(height, width, run_config.crop_fraction)
            image = preprocessing.cut_image(encoded, window, run_config.image_size)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{path} cannot be read as a JPEG. It is damaged.") from error
        images.append(image.numpy())
    return np.stack(images)


def _check_count(num_images):
    if num_images < 1:
        raise ValueError(f"--num_images must be positive. Received: {num_images}.")


def _last_part(path):
    return os.path.basename(path.rstrip("/")) or path
