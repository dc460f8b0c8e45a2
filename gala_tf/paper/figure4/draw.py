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
from gala_tf.paper.figure4 import jpegs, networks, pictures
from gala_tf.pictures import attention_grid
from gala_tf.runs import directory

# --------------------------------------------------------------------------- 4A


def check_pair(first: directory.OpenRun, second: directory.OpenRun, data_dir: str) -> None:
    """ValueError unless two networks can be shown the same images and asked for the same classes.

    Args:
        data_dir: given by the user, or empty: the runs' own data set.
    """
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
    _check_count(num_images)
    if data_dir:
        overrides = (f"--data_dir={data_dir}", *overrides)
    first, second = (
        networks.open_with_attention(run, overrides) for run in (model_dir, reference_dir)
    )
    check_pair(first, second, data_dir)
    first.require_data()
    info = dataset_info.load_info(first.config.data_dir)
    evaluate_run.check_same_classes(first.info, info, first.config.data_dir)
    protocol = evaluate_run.paper_protocol(
        first.config, info, split, network_parts.map_sizes(first.network)
    )
    places = networks.choose_places(protocol, num_images)
    examples = protocol.read(places)
    images, labels = examples["image"], examples["label"]
    sides = [
        _side(run, name, images, info.class_names)
        for run, name in zip((first, second), _names(first, second), strict=True)
    ]
    gradients = [
        networks.gradient_maps(
            run.network, images, labels, places, seed=seed, samples=samples, noise=noise
        )
        for run in (first, second)
    ]
    picture = pictures.picture_a(
        images,
        np.where(examples["has_clickmap"][:, None, None] > 0, examples["clickmap"][..., 0], 0.0),
        pictures.gradient_difference(*gradients),
        *sides,
        captions=[
            f"true: {info.class_names[label]} ({split} image {place})"
            for label, place in zip(labels, places, strict=True)
        ],
        notes=_notes_a((first, second), info, split, len(places), seed, samples, noise),
    )
    output = output or os.path.join(model_dir, "figures", f"figure-4a-{split}.png")
    attention_grid.write_png(output, picture)
    return output


def _names(first, second):
    """The networks in the paper's words; two of one kind are known by their directories."""
    names = tuple(naming.network_name(run.config) for run in (first, second))
    if names[0] == names[1]:
        return tuple(f"{names[0]}, {_last_part(run.model_dir)}" for run in (first, second))
    return names


def _side(run, name, images, class_names):
    """A network's columns: its maps under the paper's titles, and its answers."""
    layers = _drawn_layers(run)
    titles = attention_grid.paper_titles(layers, run.config)
    found = networks.look(run.network, images)
    return pictures.Side(
        name, {titles[layer]: found.maps[layer] for layer in layers}, _answers(found, class_names)
    )


def _drawn_layers(run):
    return networks.paper_layers(list(network_parts.map_sizes(run.network)), run.config)


def _answers(predictions, class_names):
    return [
        f"said: {class_names[said]}, {100 * sure:.0f} %"
        for said, sure in zip(predictions.prediction, predictions.confidence, strict=True)
    ]


def _notes_a(runs, info, split, shown, seed, samples, noise):
    entry = info.require_split(split)
    chosen = " over those with a human map" if entry.with_clickmap else ""
    layers = _drawn_layers(runs[0])
    titles = attention_grid.paper_titles(layers, runs[0].config)
    shown_numbers = [titles[layer].split("\n")[0] for layer in layers]
    paper_numbers = [f"layer {number}" for number in networks.PAPER_LAYERS]
    weights = "; ".join(
        f"{color}: {naming.network_name(run.config)}, best weights, step {run.step}"
        for color, run in zip(("red", "blue"), runs, strict=True)
    )
    return [
        f"{info.name}, {split}: {shown} of {entry.examples} images, spread evenly{chosen}; maps "
        f"blurred by {runs[0].config.clickmap_blur}. {weights}.",
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
        paths = jpegs.jpeg_paths(images_dir)  # refused before the network is built
    run = networks.open_with_attention(model_dir, overrides)
    if images_dir:
        chosen = attention_grid.spread(np.ones(len(paths), bool), num_images)
        paths = [paths[place] for place in chosen]
        images = jpegs.read_jpegs(paths, run.config)
        titles, source = [os.path.basename(path) for path in paths], _last_part(images_dir)
        zero_shot = ", zero-shot"
    else:
        images, titles, info = _examples_of(run, data_dir, split, num_images)
        source = f"{info.name}, {split}"
        zero_shot = "" if info == run.info else ", zero-shot"
    layer, side = list(network_parts.map_sizes(run.network).items())[-1]
    found = networks.look(run.network, images)
    answers = _answers(found, run.info.class_names)
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
    output = output or os.path.join(model_dir, "figures", "figure-4b.png")
    attention_grid.write_png(output, picture)
    return output


def _examples_of(run, data_dir, split, num_images):
    """Images [N, S, S, 3] of a data set of any classes, their captions, and its DatasetInfo."""
    info = dataset_info.load_info(data_dir)
    run_config = dataclasses.replace(run.config, data_dir=data_dir)
    sizes = network_parts.map_sizes(run.network)
    protocol = evaluate_run.paper_protocol(run_config, info, split, sizes)
    examples = protocol.read(networks.choose_places(protocol, num_images))
    titles = [f"true: {info.class_names[label]}" for label in examples["label"]]
    return examples["image"], titles, info


def _check_count(num_images):
    if num_images < 1:
        raise ValueError(f"--num_images must be positive. Received: {num_images}.")


def _last_part(path):
    return os.path.basename(path.rstrip("/")) or path
