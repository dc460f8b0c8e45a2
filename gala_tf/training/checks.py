"""What is checked before anything costly: the data set, the hardware, what maps supervise."""

import dataclasses
import difflib
import os
import shlex
import subprocess
import sys

import tensorflow as tf
from absl import logging

from gala_tf import config
from gala_tf.data import clickmaps, dataset_info, files, left_out, places
from gala_tf.training import plan


def prepare_data(run_config: config.Config, hosts: int = 1) -> dataset_info.DatasetInfo:
    """The data set's sidecar, once its shards are known to be there; built first if it may be.

    Each of `hosts` machines does this for itself. ValueError: no data set, a damaged one, or one
    that contradicts the flags.
    """
    data_dir = run_config.data_dir
    if not data_dir:
        raise ValueError(
            "--data_dir is not set. Build a data set with `python -m data_prep.build_tfrecords` "
            "(README, 'Your own images and maps'), or start with "
            "--flagfile=experiments/quickstart.flags, which makes a small one."
        )
    _check_apart(run_config)
    elsewhere = run_config.tpu not in ("", "local")  # on a machine that sees no file of this one
    for name in ("data_dir", "model_dir"):
        if elsewhere and not getattr(run_config, name).startswith("gs://"):
            raise ValueError(
                f"--{name}={getattr(run_config, name)}: a TPU given by name reads and writes "
                "on its own machine, so it needs a gs:// path. On the TPU VM itself use "
                "--tpu=local, which takes local paths, too."
            )
    try:
        clickmaps.parse_blur(run_config.clickmap_blur)
    except ValueError as error:
        raise ValueError(f"--clickmap_blur: {error}") from error
    if run_config.build_data_with and not tf.io.gfile.exists(
        os.path.join(data_dir, dataset_info.INFO_FILE)
    ):
        _build(run_config, hosts)
    info = dataset_info.load_info(data_dir)
    _check_splits(run_config, info)
    splits = {run_config.train_split, run_config.validation_split, run_config.test_split}
    # What a run has found bad, and reads from copies, need not be as it was built.
    known = {file for one in left_out.load(run_config.model_dir) for file in one.copies}
    for split in sorted(splits - {""}):
        dataset_info.check_shards(data_dir, info, split, known)
    plan.examples_by_host(info, run_config.train_split, hosts)
    _check_maps_and_size(run_config, info)
    return info


REMEDIES = {
    "train_split": "Name one of these.",
    "validation_split": "Build the data set with one (--split_proportions=8,1,1, or images in "
    "folders train/ and validation/), name one of these, or train without: --validation_split= "
    "(empty); the last weights are the result then.",
    "test_split": "Name one of these, or leave the flag empty: nothing is evaluated after training "
    "then.",
}


def _check_apart(run_config):
    """ValueError where images would be trained on and judge the weights, too."""
    train, validation = run_config.train_split, run_config.validation_split
    test = run_config.test_split
    if train and train == validation:
        raise ValueError(
            f"--validation_split={validation} is --train_split: best/ would be chosen on images "
            "that were trained on. Name another, or train without: --validation_split= (empty); "
            "the last weights are the result then."
        )
    if train and train == test:
        raise ValueError(
            f"--test_split={test} is --train_split. Name another, or leave the flag empty; `python "
            f"-m gala_tf.evaluate --model_dir=... --split={test}` gives the error of training "
            "images."
        )
    if test and test == validation:
        logging.warning(
            "--test_split=%s is --validation_split: best/ is chosen on the very images of its "
            "test, so errors are optimistic. Table 4 is made so.",
            test,
        )


def _check_splits(run_config, info):
    for flag, remedy in REMEDIES.items():
        split = getattr(run_config, flag)
        if split not in info.splits and (split or flag == "train_split"):
            raise ValueError(
                f"--{flag}={split}: the data set in {run_config.data_dir} has no split {split!r}; "
                f"it has {', '.join(sorted(info.splits))}. {remedy}"
            )
        if split and not info.splits[split].examples:
            raise ValueError(f"--{flag}={split}: that split holds no image. {remedy}")


def _build(run_config, hosts):
    """Builds the data set as a command: the one place where training reaches for data_prep."""
    source, data_dir = run_config.build_data_with, run_config.data_dir
    flags = f"--source={source}", f"--output_dir={data_dir}"
    arguments = ["-m", "data_prep.build_tfrecords", *flags]
    if hosts > 1:
        raise ValueError(
            f"--data_dir={data_dir}: no data set there, and {hosts} machines would build it at "
            f"once. Build it first, on one: python {shlex.join(arguments)}"
        )
    command = shlex.join(["python", *arguments])
    _check_meant(data_dir, command)
    what = {"quickstart": "the built-in images with simulated maps"}
    print(
        f"--data_dir={data_dir}: no data set is there, so --build_data_with builds "
        f"{what.get(run_config.build_data_with, run_config.build_data_with)}: {command}",
        flush=True,
    )
    if subprocess.run([sys.executable, *arguments]).returncode:
        raise ValueError(
            f"--build_data_with={source}: building {data_dir} failed, for the reason above."
        )


def _check_meant(data_dir, command):
    """ValueError where a data set is probably not wanted, but one that the name was mistyped of."""
    if not files.is_local(data_dir):
        return
    parent, name = os.path.split(os.path.abspath(data_dir))
    there = os.listdir(parent) if os.path.isdir(parent) else []
    near = [n for n in difflib.get_close_matches(name, there, 3, 0.8) if n != name]
    near = [n for n in near if places.is_data_set(os.path.join(parent, n))]
    if near:
        why = f"{os.path.join(os.path.dirname(data_dir), near[0])} beside it is one: is it meant?"
    elif not os.path.isdir(os.path.dirname(parent) if not os.path.isabs(data_dir) else parent):
        why = f"nor is the folder {parent}. Is the name mistyped?"
    else:
        return
    raise ValueError(
        f"--data_dir={data_dir}: no data set is there, and {why} A built-in one is made there by: "
        f"{command}"
    )


def _check_maps_and_size(run_config, info):
    split = info.require_split(run_config.train_split)
    if run_config.map_loss_weight > 0 and not split.with_clickmap:
        raise ValueError(
            f"--map_loss_weight={run_config.map_loss_weight}, but no image of split "
            f"{run_config.train_split!r} in {run_config.data_dir} has a click map. Build the data "
            "set with maps, or train without: --map_loss_weight=0."
        )
    _, *sides = dataclasses.astuple(info.image)  # after its storage: least and greatest
    cut = info.image.min_height * run_config.crop_fraction
    one_size = len(set(sides)) == 1  # images of many sizes are meant to be resized
    if one_size and not cut / 2 <= run_config.image_size <= 2 * cut:
        square = round(run_config.image_size / run_config.crop_fraction)
        raise ValueError(
            f"--image_size={run_config.image_size} contradicts {run_config.data_dir}, whose images "
            f"give crops of {cut:.0f} px (--crop_fraction={run_config.crop_fraction}): they would "
            f"be resized more than twofold. Set --image_size to about {cut:.0f}, or build the data "
            f"set for this size: --image_storage=square --square_size={square}."
        )


def check_place(run_config: config.Config, place: dict, facts: dict) -> None:
    """ValueError if a run resumes on hardware that computes something else.

    Batch statistics are of one replica's images, every host has its own order of its own shards,
    and maps are resized otherwise on a TPU.
    """
    changed = {name: (facts[name], value) for name, value in place.items() if facts[name] != value}
    if changed and not run_config.allow_flag_changes:
        listed = "; ".join(f"{name}: was {old}, is {new}" for name, (old, new) in changed.items())
        raise ValueError(
            f"The run in --model_dir={run_config.model_dir} began on other hardware ({listed}), "
            "and would go on differently here. Use the same, or --allow_flag_changes if this is "
            "meant."
        )


def check_jit_compile(run_config: config.Config, replicas: int) -> None:
    """ValueError if `--jit_compile` cannot be, or need not."""
    if run_config.jit_compile and run_config.tpu:
        raise ValueError(
            f"--jit_compile with --tpu={run_config.tpu}: a TPU's steps are always compiled; leave "
            "the flag away."
        )
    if run_config.jit_compile and replicas > 1:
        raise ValueError(
            f"--jit_compile with {replicas} replicas: TensorFlow cannot compile a step that sums "
            "gradients over devices. Leave the flag away, or show the program one device "
            "(CUDA_VISIBLE_DEVICES=0)."
        )


def supervised_sizes(network, run_config: config.Config) -> dict[str, int]:
    """{layer: map side in pixels} of the volumes that maps supervise; empty without supervision.

    ValueError: maps should supervise attention, and there is none with an extent in space; or
    `--map_units` names no unit that has any; or maps aligned with receptive fields should supervise
    grids of several sizes.
    """
    if run_config.map_loss_weight == 0:
        return {}
    volumes = network.output[run_config.map_target]
    sizes = {name: volume.shape[1] for name, volume in volumes.items()}
    if not sizes or min(sizes.values()) < 2:
        raise ValueError(
            f"--map_loss_weight={run_config.map_loss_weight} with "
            f"--attention={run_config.attention}: there is no attention with an extent in space "
            "that maps could supervise. Use --map_target=activity, or --attention=gala, or "
            "--map_loss_weight=0."
        )
    chosen = {}
    for part in run_config.map_units.split(","):
        found = [n for n in sizes if part == "all" or f"{n}_".startswith(f"{part.strip()}_")]
        if not found:
            raise ValueError(
                f"--map_units={run_config.map_units}: {part!r} is neither `all` nor a stage or a "
                f"unit with something to supervise, which have {', '.join(sizes)}."
            )
        chosen.update((name, sizes[name]) for name in found)
    chosen = {name: size for name, size in sizes.items() if name in chosen}  # first to last
    if run_config.map_alignment != "grid" and len(set(chosen.values())) > 1:
        raise ValueError(
            f"--map_alignment={run_config.map_alignment} shifts all maps alike, and the supervised "
            f"volumes have grids of {sorted(set(chosen.values()))} cells. Choose units of one "
            "stage by --map_units."
        )
    return chosen
