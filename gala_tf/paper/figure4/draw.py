"""Figs. 4A and 4B from run directories: images, networks and words brought together, a PNG written.

N images, S side of an image, K classes
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from gala_tf.data import dataset_info
from gala_tf.evaluation import evaluate_run, naming
from gala_tf.explain import network_parts
from gala_tf.paper.figure4 import image_folder, networks, pictures
from gala_tf.pictures import attention_grid
from gala_tf.runs import directory


def check_pair(first: directory.OpenRun, second: directory.OpenRun, data_dir: str) -> None:
    """ValueError unless two networks can be shown the same images and asked for the same classes.

    `data_dir` is given by the user, or empty: the runs' own data set.
    """
    # Their order counts, too: an answer is a place in it.
    kinds = [run.info.class_names for run in (first, second)]
    if kinds[0] != kinds[1]:
        here, there = (f"{len(names)}, beginning with {', '.join(names[:3])}" for names in kinds)
        raise ValueError(
            f"--model_dir={first.model_dir} was trained on other classes, or another order of "
            f"them, than --reference_dir={second.model_dir} ({here}; {there}): their answers "
            "cannot be compared. Give two runs on the same classes."
        )
    if first.info != second.info and not data_dir:
        raise ValueError(
            f"--model_dir={first.model_dir} was trained on another data set "
            f"({first.info.name}, {first.config.data_dir}) than --reference_dir="
            f"{second.model_dir} ({second.info.name}, {second.config.data_dir}), so a "
            "split held out of one may be known to the other. Give --data_dir and a --split that "
            "neither has seen."
        )
    for name in ("image_size", "crop_fraction"):
        here, there = (getattr(run.config, name) for run in (first, second))
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
        output: default `figures/figure-4a-<split>.png` in `model_dir`.
        overrides: flags that differ from the runs', `--name=value` each.
        seed, samples, noise: of SmoothGrad, `explanations.smoothgrad`; both networks see the same
            noise.

    ValueError: no run, a network without attention maps, two that cannot be compared, no such split
    or an empty one, a damaged data set.
    """
    _check_count(num_images)
    if data_dir:
        overrides = (f"--data_dir={data_dir}", *overrides)
    first, second = runs = [
        networks.open_with_attention(place, overrides) for place in (model_dir, reference_dir)
    ]
    check_pair(first, second, data_dir)
    first.require_data()
    info = dataset_info.load_info(first.config.data_dir)
    evaluate_run.check_same_classes(first.info, info, first.config.data_dir)

    # One protocol for both: what differs in the picture is the networks alone.
    protocol = _protocol(first, first.config, info, split)
    places = networks.choose_places(protocol, num_images)
    examples = protocol.read(places)
    images, labels = examples["image"], examples["label"]
    gradients = [
        networks.gradient_maps(
            run.network, images, labels, places, seed=seed, samples=samples, noise=noise
        )
        for run in runs
    ]

    names = [naming.network_name(run.config) for run in runs]
    if names[0] == names[1]:  # two of one kind are known by their directories
        names = [
            f"{name}, {_last_part(run.model_dir)}" for name, run in zip(names, runs, strict=True)
        ]
    sides = []
    for run, name in zip(runs, names, strict=True):
        titles, found = _titles(run), networks.look(run.network, images)
        wrong = found.prediction != labels
        maps = {title: found.maps[layer] for layer, title in titles.items()}
        sides.append(pictures.Side(name, maps, _answers(found, info.class_names, wrong)))
    captions = [
        f"true: {info.class_names[label]} ({split} image {place})"
        for label, place in zip(labels, places, strict=True)
    ]
    picture = pictures.picture_a(
        images,
        np.where(examples["has_clickmap"][:, None, None] > 0, examples["clickmap"][..., 0], 0.0),
        pictures.gradient_difference(*gradients),
        *sides,
        captions=captions,
        notes=_notes_a(runs, info, split, len(places), seed, samples, noise),
        human_title=attention_grid.human_title(info),
    )
    return _write(picture, output or os.path.join(model_dir, "figures", f"figure-4a-{split}.png"))


def _titles(run):
    """{layer: title} of the layers that are drawn, as the paper numbers them."""
    layers = networks.paper_layers(list(network_parts.map_sizes(run.network)), run.config)
    return attention_grid.paper_titles(layers, run.config)


def _answers(predictions, class_names, wrong):
    """What a network said of each image; wrong answers are marked."""
    columns = predictions.prediction, predictions.confidence, wrong
    return [
        f"{'✗ ' if marked else ''}said: {class_names[said]}, {100 * sure:.0f} %"
        for said, sure, marked in zip(*columns, strict=True)
    ]


def _notes_a(runs, info, split, shown, seed, samples, noise):
    """What stands below Fig. 4A: where everything in it is from."""
    entry = info.require_split(split)
    chosen = f" over those with a {info.map_origin} map" if entry.with_clickmap else ""
    weights = "; ".join(
        f"{color}: {naming.network_name(run.config)}, best weights, step {run.step}"
        for color, run in zip(("red", "blue"), runs, strict=True)
    )
    notes = [
        f"{info.name}, {split}: {shown} of {entry.examples} images, spread evenly{chosen}; maps "
        f"blurred by {runs[0].config.clickmap_blur}. {weights}.",
        f"gradient Δ: SmoothGrad of the true class ({samples} samples, noise {100 * noise:g} % of "
        f"an image's range, seed {seed}), absolute values summed over colours, each network's "
        f"scaled to its {pictures.CLIP_PERCENTILE}th percentile; their difference from -1 to 1.",
    ]
    numbers = [title.split("\n")[0] for title in _titles(runs[0]).values()]
    if numbers != [f"layer {number}" for number in networks.PAPER_LAYERS]:
        notes.append("Layers: those that correspond to 27, 33 and 39 of the paper's ResNet-50.")
    return notes


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
        images_dir: a folder of JPEG files (not of folders), in the order of their names; or
        data_dir: a built data set, and its
        split. Its classes need not be those of the run.
        output: default `figures/figure-4b.png` in `model_dir`.
        overrides: flags that differ from the run's, `--name=value` each.

    Returns the path of the PNG. ValueError: no run, no attention maps, both or neither of
    `images_dir` and `data_dir`, no images, or one that cannot be read.
    """
    _check_count(num_images)
    if bool(images_dir) == bool(data_dir):
        raise ValueError(
            "--figure=4b needs either --images (a folder of images) or --data_dir (a built data "
            f"set). Received: --images={images_dir!r}, --data_dir={data_dir!r}."
        )
    if images_dir:
        paths = image_folder.image_paths(images_dir)  # refused before the network is built
    run = networks.open_with_attention(model_dir, overrides)
    if images_dir:
        chosen = attention_grid.spread(np.ones(len(paths), bool), num_images)
        paths = [paths[place] for place in chosen]
        images = image_folder.read_images(paths, run.config)
        titles, source = [os.path.basename(path) for path in paths], _last_part(images_dir)
        zero_shot = ", zero-shot"
    else:
        info = dataset_info.load_info(data_dir)
        here = dataclasses.replace(run.config, data_dir=data_dir)
        protocol = _protocol(run, here, info, split)
        examples = protocol.read(networks.choose_places(protocol, num_images))
        images = examples["image"]
        titles = [f"true: {info.class_names[label]}" for label in examples["label"]]
        source = f"{info.name}, {split}"
        zero_shot = "" if info == run.info else ", zero-shot"

    layer, side = list(network_parts.map_sizes(run.network).items())[-1]
    found = networks.look(run.network, images)
    # Their true classes may be none of the network's: no answer is wrong.
    answers = _answers(found, run.info.class_names, np.zeros(len(images), bool))
    number = attention_grid.paper_titles([layer], run.config)[layer].split("\n")[0]
    size, fraction = run.config.image_size, run.config.crop_fraction
    notes = [
        f"{naming.network_name(run.config)}, trained on {run.info.name} (best weights, step "
        f"{run.step}), on {len(images)} images of {source}{zero_shot}.",
        f"{number} ({layer}): attention on {side}x{side}, enlarged bicubically. Images: central "
        f"square, {100 * fraction:g} % of the short side, at {size}x{size} pixels.",
    ]
    captions = [f"{title}; {answer}" for title, answer in zip(titles, answers, strict=True)]
    picture = pictures.picture_b(images, found.maps[layer], captions, notes)
    return _write(picture, output or os.path.join(model_dir, "figures", "figure-4b.png"))


def _protocol(run, run_config, info, split):
    sizes = network_parts.map_sizes(run.network)
    return evaluate_run.paper_protocol(run_config, info, split, sizes)


def _write(picture, path):
    attention_grid.write_png(path, picture)
    return path


def _check_count(num_images):
    if num_images < 1:
        raise ValueError(f"--num_images must be positive. Received: {num_images}.")


def _last_part(path):
    return os.path.basename(path.rstrip("/")) or path
