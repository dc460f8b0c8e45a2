"""How far people agree on where to look: the reliability of a data set's maps, its human ceiling.

    python -m data_prep.reliability DIR --num_workers=8
    python -m data_prep.reliability DIR --grid=14 --store=two_participants
    python -m data_prep.reliability DIR --other=DIR2 --match=stem

Reads finished shards. Each estimator's value comes with a bootstrap interval over images, a null
from different images, and a permutation p; estimators are described in `reliability_estimators.py`,
and each is another quantity, so that none is printed or stored without its name, blur and
resolution. --store writes one into dataset_info.json, where evaluation finds it. --other compares
the maps that two data sets hold of the same images, as the paper compares ClickMe with Clicktionary
(r = 0.59, 10 images).

The same flags give the same numbers, whatever --num_workers is. Cost, measured at 256x256 with
box:49 on a busy x86 core: about 10 ms for a map that is ranked, so 3 minutes for the paper's
estimator on 10,000 images, and half an hour for ten halvings of each.
"""

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator

from absl import flags

from data_prep.parallel import workers
from data_prep.raters import results as reliability_results
from data_prep.raters.estimators import BETWEEN_DATA_SETS, ESTIMATORS, Estimator, blocks, summarise
from gala_tf import command, metrics

FILES = {False: "reliability", True: "comparison"}  # with --other?


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares the flags of this command."""
    fv = {"flag_values": flag_values}
    flags.DEFINE_string("data_dir", "", "The data set; the first argument, too.", **fv)
    flags.DEFINE_list("splits", [], "Splits to read. Default: all.", **fv)
    flags.DEFINE_list("estimators", list(ESTIMATORS), "Which, of " + ", ".join(ESTIMATORS), **fv)
    flags.DEFINE_string(
        "blur",
        "",
        "Blur of a participant's map, pixels of the stored image: box:K, gaussian:K,SIGMA, disc:K "
        "or none. The paper: box:49 at 256x256. Default: the data set's own.",
        **fv,
    )
    flags.DEFINE_integer(
        "grid",
        0,
        "Compare sums over GRID x GRID cells of the central crop, as evaluation does at a layer's "
        "resolution. 0: every pixel of the stored frame.",
        **fv,
    )
    flags.DEFINE_float(
        "crop_fraction", 0.875, "With --grid: side of that crop / short side of the image.", **fv
    )
    flags.DEFINE_integer("max_images", 10_000, "At most so many, drawn by --seed (paper).", **fv)
    flags.DEFINE_integer("num_splits", 10, "Random halves of each image (split_half).", **fv)
    flags.DEFINE_integer("bootstrap", 2000, "Resamples of the images for an interval.", **fv)
    flags.DEFINE_integer("permutations", 999, "Exchanges of maps among images for p.", **fv)
    flags.DEFINE_integer("seed", 0, "Decides every draw.", **fv)
    flags.DEFINE_integer("num_workers", 1, "Processes; the numbers do not depend on it.", **fv)
    flags.DEFINE_string(
        "other", "", "A second data set: compare the two's maps of the same images instead.", **fv
    )
    flags.DEFINE_enum(
        "match",
        "id",
        ["id", "stem"],
        "With --other: the same image has the same image id, or the same id without directories "
        "and extension.",
        **fv,
    )
    flags.DEFINE_string(
        "store", "", "Estimator that becomes the human ceiling in dataset_info.json.", **fv
    )
    flags.DEFINE_string("output_dir", "", "Where results go. Default: DIR/reliability.", **fv)


def main() -> None:
    """Measures what the flags say, prints and writes it."""
    words = ["python", "-m", "data_prep.reliability", *sys.argv[1:]]
    print(reliability_results.format_table(run(flags.FLAGS, shlex.join(words))))


def run(flag_values: flags.FlagValues, command_line: str) -> dict:
    """Measures what the flags describe; writes results, figure and, if asked to, the ceiling.

    Returns:
      What the JSON file holds.

    Raises:
      ValueError: a flag is wrong, the data set is damaged, or it has no maps to compare.
    """
    from data_prep.raters.maps import View
    from gala_tf.data import dataset_info
    from gala_tf.data.files import write as write_file

    _check_flags(flag_values)
    info = dataset_info.load_info(flag_values.data_dir)
    view = View(flag_values.blur or info.clickmap_blur, flag_values.grid, flag_values.crop_fraction)
    with _workers(flag_values.num_workers) as run_all:
        measure = _between if flag_values.other else _within
        found, numbers = measure(flag_values, info, view, run_all)
    results = {
        "data_set": info.name,
        **numbers,
        **_settings(flag_values, view),
        "command": command_line,
        "estimators": {
            name: reliability_results.as_json(reliability, participants)
            | {
                "estimator": reliability_results.full_name(
                    ESTIMATORS.get(name, BETWEEN_DATA_SETS), view
                )
            }
            for name, (reliability, participants) in found.items()
        },
    }
    directory = flag_values.output_dir or os.path.join(flag_values.data_dir, "reliability")
    path = os.path.join(directory, FILES[bool(flag_values.other)])
    picture = reliability_results.draw({name: one for name, (one, _) in found.items()})
    write_file(path + ".png", picture)
    write_file(path + ".json", json.dumps(results, indent=1, allow_nan=False).encode() + b"\n")
    print(f"wrote {path}.json and {path}.png")
    if flag_values.store:
        reliability_results.store(flag_values.data_dir, results, flag_values.store)
    return results


def _check_flags(flag_values):
    """Errors that need no data."""
    from gala_tf.data import clickmaps

    if not flag_values.data_dir:
        raise ValueError("No data set: python -m data_prep.reliability DIR")
    unknown = sorted({*flag_values.estimators} - {*ESTIMATORS})
    if unknown or not flag_values.estimators:
        raise ValueError(
            f"--estimators={','.join(flag_values.estimators)}: expected some of "
            f"{', '.join(ESTIMATORS)}; unknown: {', '.join(unknown) or 'none, but none is given'}."
        )
    if flag_values.store and (flag_values.other or flag_values.store not in flag_values.estimators):
        raise ValueError(
            f"--store={flag_values.store} must be one of --estimators="
            f"{','.join(flag_values.estimators)}, without --other: what two data sets share is no "
            "ceiling of either."
        )
    for flag, least in (
        ("max_images", 2),
        ("num_splits", 1),
        ("bootstrap", 1),
        ("permutations", 0),
        ("num_workers", 1),
        ("grid", 0),
        ("seed", 0),
    ):
        if flag_values[flag].value < least:
            raise ValueError(f"--{flag} must be at least {least}, got {flag_values[flag].value}.")
    if flag_values.grid == 1:
        raise ValueError("--grid=1 leaves one number a map: nothing to rank. Use 2 or more.")
    if not 0 < flag_values.crop_fraction <= 1:
        raise ValueError(f"--crop_fraction must be in (0, 1], got {flag_values.crop_fraction}.")
    if flag_values["crop_fraction"].present and not flag_values.grid:
        raise ValueError("--crop_fraction is read with --grid only: give both or none.")
    if flag_values["match"].present and not flag_values.other:
        raise ValueError("--match is read with --other only: give both or none.")
    if flag_values["estimators"].present and flag_values.other:
        raise ValueError("--other compares sums over participants: leave --estimators out.")
    if flag_values.blur:
        clickmaps.parse_blur(flag_values.blur)


@contextlib.contextmanager
def _workers(count: int) -> Iterator:
    """A function (function, tasks) -> iterator over results in order, on `count` processes."""
    from tqdm import tqdm

    def with_bar(run):
        def run_all(function, tasks):
            words = function.__name__.replace("_", " ")
            return tqdm(run(function, tasks), words, len(tasks), mininterval=0.5)

        return run_all

    if count == 1:
        yield with_bar(map)
        return
    with workers.pool(count) as pool:
        yield with_bar(pool.map)


# --------------------------------------------------------------------------- measuring


def _within(flag_values, info, view, run_all):
    """{estimator: (Reliability, participants)} of one data set, and numbers about the sample."""
    from data_prep.raters import maps

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


def _between(flag_values, info, view, run_all):
    """The same of the maps of two data sets."""
    from data_prep.raters import maps
    from gala_tf.data import dataset_info

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
    from data_prep.raters import maps

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


def _settings(flag_values, view):
    return {
        "blur": view.blur,
        "grid": view.grid or None,
        "crop_fraction": view.crop_fraction if view.grid else None,
        "seed": flag_values.seed,
        "num_splits": flag_values.num_splits,
        "bootstrap": flag_values.bootstrap,
        "permutations": flag_values.permutations,
    }


def directory_first(arguments: list[str]) -> list[str]:
    """`... DIR --flags` as `... --data_dir=DIR --flags`."""
    program, *rest = arguments
    if rest and not rest[0].startswith("-"):
        rest[0] = f"--data_dir={rest[0]}"
    return [program, *rest]


if __name__ == "__main__":
    define_flags()
    sys.argv = directory_first(sys.argv)
    command.run(main)
