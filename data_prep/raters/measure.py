"""Estimators applied to the maps of one data set, or of two that hold the same images."""

from collections.abc import Callable
from typing import Any

from absl import flags

from data_prep.raters import maps
from data_prep.raters.estimators import BETWEEN_DATA_SETS, ESTIMATORS, Estimator, blocks, summarise
from gala_tf import metrics
from gala_tf.data import dataset_info


def within(
    flag_values: flags.FlagValues,
    info: dataset_info.DatasetInfo,
    view: maps.View,
    run_all: Callable,
) -> tuple[dict[str, tuple], dict[str, Any]]:
    """{estimator: (Reliability, participants)} of one data set, and numbers about the sample."""
    splits = flag_values.splits or list(info.splits)
    eligible = sum(info.require_split(split).with_participants for split in splits)
    if not eligible:
        raise ValueError(
            f"Data set {info.name!r}, {', '.join(splits)}: no image has single maps of two "
            "participants or more, so how far people agree cannot be measured. Sources that keep "
            "participants apart have them; published for ClickMe: "
            f"{metrics.PAPER_HUMAN_CEILING}."
        )
    _check_frames(view, info)
    tasks = maps.shard_tasks(
        flag_values.data_dir,
        info,
        splits,
        feature=maps.PARTICIPANTS,
        seed=flag_values.seed,
        limit=flag_values.max_images,
    )
    images = maps.sample(tasks, run_all)
    found = {
        name: _measure(name, ESTIMATORS[name], images, flag_values, view, run_all)
        for name in flag_values.estimators
    }
    return found, {"splits": splits, "images_with_participants": eligible}


def between(
    flag_values: flags.FlagValues,
    info: dataset_info.DatasetInfo,
    view: maps.View,
    run_all: Callable,
) -> tuple[dict[str, tuple], dict[str, Any]]:
    """The same of the maps of two data sets."""
    other = dataset_info.load_info(flag_values.other)
    _check_frames(view, info, other)
    shared = {
        "feature": maps.SUM,
        "seed": flag_values.seed,
        "limit": flag_values.max_images,
        "by_stem": flag_values.match == "stem",
    }
    splits = flag_values.splits or list(info.splits)
    images, ambiguous = maps.matched(
        maps.shard_tasks(flag_values.data_dir, info, splits, **shared),
        maps.shard_tasks(flag_values.other, other, list(other.splits), **shared),
        run_all,
    )
    if not images:
        raise ValueError(
            f"No image with a map has the same {flag_values.match} in {info.name!r} "
            f"({flag_values.data_dir}) and {other.name!r} ({flag_values.other}); {ambiguous} names "
            "are shared by several images and were left out."
            + (" Try --match=stem." if flag_values.match == "id" else "")
        )
    estimator = BETWEEN_DATA_SETS
    found = _measure("between_data_sets", estimator, images, flag_values, view, run_all)
    numbers = {"other": other.name, "splits": splits, "match": flag_values.match}
    return {"between_data_sets": found}, {**numbers, "ambiguous_names": ambiguous}


def _check_frames(view, *infos):
    """Without a grid, maps are compared pixel by pixel; ValueError unless all have one size."""
    sides = {
        (side, text)
        for info in infos
        for text, low, high in (
            ("height", info.image.min_height, info.image.max_height),
            ("width", info.image.min_width, info.image.max_width),
        )
        for side in (low, high)
    }
    if view.grid or len(sides) == 2:
        return
    sizes = "; ".join(
        f"{info.name}: {info.image.min_height} to {info.image.max_height} high, "
        f"{info.image.min_width} to {info.image.max_width} wide"
        for info in infos
    )
    raise ValueError(
        f"Images differ in size ({sizes}), so maps of two images cannot be compared pixel by "
        "pixel, which the null needs. Give a common --grid, such as --grid=56; or build the data "
        "set with --image_storage=square, as the paper did at 256."
    )


def _measure(name, estimator: Estimator, images, flag_values, view, run_all):
    """(Reliability, participants' maps in the sample) of one estimator."""
    pixels = max(m.height * m.width for image in images for m in image.maps[:1])
    pixels = view.grid**2 if view.grid else pixels
    tasks = [
        maps.BlockTask(
            tuple(images[i] for i in block), name, view, flag_values.seed, flag_values.num_splits
        )
        for block in blocks([len(image.maps) for image in images], estimator, pixels)
    ]
    matrices = list(run_all(maps.correlate, tasks))
    reliability = summarise(
        matrices,
        estimator,
        seed=flag_values.seed,
        bootstrap=flag_values.bootstrap,
        permutations=flag_values.permutations,
    )
    return reliability, sum(len(image.maps) for image in images)
