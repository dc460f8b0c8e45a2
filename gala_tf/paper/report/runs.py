"""Reads what runs left behind: the raw material of a report.

A run is a directory with `run.flags`. One without results of the split is unfinished: it is listed,
never left out in silence.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gala_tf import config
from gala_tf.data import dataset_info, files
from gala_tf.evaluation import per_image, significance
from gala_tf.runs import directory as run_directory
from gala_tf.runs import logs

SEED = 0  # of every permutation and resampling: the same runs give the same page
DEPTH = 5  # levels of directories below --runs that are searched
NEEDED = ("network", "split", "examples", "top1", "top5", "maps", "final_layer", "human_ceiling")


@dataclasses.dataclass(frozen=True)
class StoredRun:
    """What one run directory holds."""

    name: str  # the last parts of the directory's path, enough to tell it from other runs
    config: config.Config
    info: dataset_info.DatasetInfo  # that it was trained on
    split: str  # that its results are of
    results: dict | None  # of `results-<split>.json`; None: unfinished
    images: dict[str, Any] | None  # columns of `per_image-<split>.csv` (`per_image.load`)
    environment: list  # of `environment.json`, an entry a session of training; may be empty
    validation_top1: float | None  # of the best weights, 0..1; None if nothing was logged
    seconds: float | None  # of training without validation, from `metrics.jsonl`
    picture: bytes | None  # `figures/attention-<split>.png`
    missing: tuple[str, ...]  # names of files that are not there

    @property
    def data_set(self) -> str:
        """Eight hexadecimal digits that two data sets share only if they are the same shards."""
        shards = [
            (split, shard.file, shard.sha256)
            for split, part in sorted(self.info.splits.items())
            for shard in part.shards
        ]
        text = json.dumps([self.info.class_names, shards])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @functools.cached_property  # the page shows it in several places
    def map_intervals(self) -> dict[str, significance.Interval]:
        """{layer: its mean Spearman over images, bootstrapped}; {} without single images."""
        columns = self.images or {}
        scores = {layer: columns[per_image.SPEARMAN + layer] for layer in per_image.layers(columns)}
        return {
            layer: significance.bootstrap_interval(values[~np.isnan(values)], SEED)
            for layer, values in scores.items()
            if not np.all(np.isnan(values))
        }


def find_run_directories(patterns: Sequence[str]) -> list[str]:
    """Run directories that the patterns name, or that lie below such, each once, sorted.

    Directories are local or gs://; `*`, `?` and `[...]` are understood. ValueError: a pattern that
    matches nothing, or nothing with a run in it.
    """
    found = set()
    for pattern in files.joined([pattern.strip() for pattern in patterns]):
        pattern = pattern.rstrip("/")
        places = files.matching(pattern) if pattern else []
        runs = {run for place in places for run in _runs_below(place, DEPTH)}
        if not runs:
            what = "holds no run" if places else "does not exist"
            raise ValueError(
                f"--runs={pattern}: {what}. A run is a directory with {run_directory.FLAGS_FILE}, "
                "as `python -m gala_tf.train --model_dir=...` writes it."
            )
        found |= runs
    if not found:
        raise ValueError("--runs is empty: give run directories, or directories of them.")
    return sorted(found)


def _runs_below(place, depth):
    if tf.io.gfile.exists(os.path.join(place, run_directory.FLAGS_FILE)):
        return {place}
    if depth == 0 or not tf.io.gfile.isdir(place):
        return set()
    names = sorted(name.rstrip("/") for name in files.names(place))
    return {run for name in names for run in _runs_below(os.path.join(place, name), depth - 1)}


def read_runs(directories: Sequence[str], split: str = "") -> list[StoredRun]:
    """Every run, in the order of the directories.

    Without a `split`, results of `test` are read where a run's data set has it, else of
    `validation` (ILSVRC12: Tables 2 and 4). ValueError: a file that cannot be understood, or
    results of another data set than the run's.
    """
    names = short_names(directories)
    return [_read_run(place, names[place], split) for place in directories]


def short_names(directories: Sequence[str]) -> dict[str, str]:
    """{directory: its last parts}, as few as tell all apart: never a whole path of this machine."""
    parts = {place: place.rstrip("/").split("/") for place in directories}
    longest = max(map(len, parts.values()))
    for count in range(1, longest + 1):
        names = {place: "/".join(words[-count:]) for place, words in parts.items()}
        if len(set(names.values())) == len(names):
            break
    return names


def _read_run(place, name, split):
    run = run_directory.open_run(place)
    split = split or ("test" if "test" in run.info.splits else run.config.validation_split)
    if not split:
        raise ValueError(
            f"Run {name!r} was trained without a validation split, and its data set has no split "
            f"'test': name the split of its results, --split={'|'.join(sorted(run.info.splits))}."
        )
    if split not in run.info.splits:
        raise ValueError(
            f"--split={split}: the data set of run {name!r} has "
            f"{', '.join(sorted(run.info.splits))}."
        )
    results, images, environment, metrics, picture = wanted = (
        f"results-{split}.json",
        f"per_image-{split}.csv",
        run_directory.ENVIRONMENT_FILE,
        logs.FILE,
        f"figures/attention-{split}.png",
    )
    # The page names what is missing: a copy of a run may have its results alone.
    there = {file: files.exists(os.path.join(place, file)) for file in wanted}
    numbers = _read_json(os.path.join(place, results)) if there[results] else None
    if numbers is not None:
        check_results(numbers, os.path.join(place, results), run.info, split)
    with_images = numbers is not None and there[images]
    validation, seconds = read_metrics(place, run.config)
    return StoredRun(
        name=name,
        config=run.config,
        info=run.info,
        split=split,
        results=numbers,
        images=_read_images(os.path.join(place, images), numbers) if with_images else None,
        environment=_read_json(os.path.join(place, environment)) if there[environment] else [],
        validation_top1=validation,
        seconds=seconds,
        picture=_read(os.path.join(place, picture)) if there[picture] else None,
        missing=tuple(file for file in wanted if not there[file]),
    )


def _read(path):
    with files.open_binary(path) as file:
        return file.read()


def _read_json(path):
    try:
        return json.loads(_read(path)) or {}  # null would stand for no file
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is not JSON ({error}). Evaluate the run again, or leave it out of --runs."
        ) from error


def check_results(results, path: str, info: dataset_info.DatasetInfo, split: str) -> None:
    """ValueError unless results are those of a run's own data set, in the form of `scores`."""
    missing = [name for name in NEEDED if not isinstance(results, dict) or name not in results]
    if missing:
        raise ValueError(
            f"{path} has no {', '.join(missing)}: another program wrote it. Evaluate the run again "
            "with `python -m gala_tf.evaluate`."
        )
    expected = (info.name, split, info.require_split(split).examples)
    found = (results.get("data_set", info.name), results["split"], results["examples"])
    if found != expected:
        raise ValueError(
            f"{path} is of data set {found[0]!r}, split {found[1]!r}, {found[2]} images; the run's "
            f"own is {expected[0]!r}, {expected[1]!r}, {expected[2]}. Numbers of other images are "
            "not mixed with it; evaluate the run on its own data set."
        )


def _read_images(path, results):
    """The per-image file's columns, once they are known to be of the same evaluation."""
    columns = per_image.load(path)
    layer, hits = results["final_layer"], columns["rank"] < 1
    matches = len(hits) == results["examples"] and abs(hits.mean() - results["top1"]) < 1e-9
    if not matches or (layer and per_image.SPEARMAN + layer not in columns):
        raise ValueError(
            f"{path} ({len(hits)} images, top-1 {hits.mean():.4f}) is of another evaluation than "
            f"the results beside it ({results['examples']} images, top-1 {results['top1']:.4f}, "
            f"final layer {layer}). Evaluate the run again: that writes both."
        )
    return columns


def read_metrics(place: str, run_config: config.Config) -> tuple[float | None, float | None]:
    """(highest validation top-1, seconds of training) of a run's log; None for what is not in it.

    The highest is that of the weights in `best/`, by which they were chosen.
    """
    validations, seconds, last = [], 0.0, 0
    for line in logs.read_metrics(place):
        if line["kind"] == run_config.validation_split and "top1" in line:
            validations.append(line["top1"])
        elif line["kind"] == "train" and "images_per_second" in line:
            images = (line["step"] - last) * run_config.global_batch_size
            seconds += images / line["images_per_second"]
            last = line["step"]
    return max(validations, default=None), seconds or None
