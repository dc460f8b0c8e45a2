"""The whole measurement: flags checked, maps compared, results and figure written."""

import contextlib
import json
import os
from collections.abc import Iterator

from absl import flags
from tqdm import tqdm

from data_prep.parallel import workers
from data_prep.raters import measure, results
from data_prep.raters.estimators import BETWEEN_DATA_SETS, ESTIMATORS
from data_prep.raters.maps import View
from gala_tf.data import clickmaps, dataset_info, files, places

DRAWS = ("seed", "num_splits", "bootstrap", "permutations")
FILES = {False: "reliability", True: "comparison"}  # with --other?


def run(flag_values: flags.FlagValues, command_line: str) -> dict:
    """Measures what the flags describe; writes results, figure and, if asked to, the ceiling.

    Returns what the JSON file holds. ValueError: a flag is wrong, the data set is damaged, or it
    has no maps to compare.
    """
    _check_flags(flag_values)
    info = dataset_info.load_info(flag_values.data_dir)
    directory = flag_values.output_dir or os.path.join(flag_values.data_dir, "reliability")
    name = FILES[bool(flag_values.other)]
    begins = '{\n "data_set": '
    places.check_files(directory, [name + ".json", name + ".png"], name + ".json", begins)
    view = View(flag_values.blur or info.clickmap_blur, flag_values.grid, flag_values.crop_fraction)
    with workers_of(flag_values.num_workers) as run_all:
        compare = measure.between if flag_values.other else measure.within
        found, numbers = compare(flag_values, info, view, run_all)
    measured = {
        "data_set": info.name,
        **numbers,
        "blur": view.blur,
        "grid": view.grid or None,
        "crop_fraction": view.crop_fraction if view.grid else None,
        **{name: flag_values[name].value for name in DRAWS},
        "command": command_line,
        "estimators": {
            name: results.as_json(reliability, participants)
            | {"estimator": results.full_name(ESTIMATORS.get(name, BETWEEN_DATA_SETS), view)}
            for name, (reliability, participants) in found.items()
        },
    }
    path = os.path.join(directory, name)
    picture = results.draw({name: one for name, (one, _) in found.items()})
    files.write(path + ".png", picture)
    files.write(path + ".json", json.dumps(measured, indent=1, allow_nan=False).encode() + b"\n")
    print(f"wrote {path}.json and {path}.png")
    if flag_values.store:
        results.store(flag_values.data_dir, measured, flag_values.store)
    return measured


def _check_flags(flag_values):
    """Errors that need no data."""
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
    if flag_values.other and os.path.realpath(flag_values.other) == os.path.realpath(
        flag_values.data_dir
    ):
        raise ValueError(f"--other={flag_values.other} is the data set itself: name another.")
    if flag_values.blur:
        clickmaps.parse_blur(flag_values.blur)


@contextlib.contextmanager
def workers_of(count: int) -> Iterator:
    """A function (function, tasks) -> iterator over results in order, on `count` processes."""

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
