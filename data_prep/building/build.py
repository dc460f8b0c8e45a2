"""One build, from flags to a data set: list, plan, make the missing shards, publish.

Nothing appears in --output_dir under its final name before all of it is made. What is finished
waits in the staging directory, where the same command, started again, goes on.
"""

import dataclasses
import json
import os

import tensorflow as tf
from absl import flags, logging

from data_prep import sources
from data_prep.building import encoding, finish, runners, shards, staging, summary
from data_prep.building import flags as build_flags
from data_prep.building import plan as build_plan
from data_prep.merging import match_report, merge
from data_prep.readers import listing
from data_prep.sources import SOURCES, SourceOptions
from data_prep.sources.splits import SPLITS
from gala_tf import command
from gala_tf.data import clickmaps, dataset_info, files, places

MAX_SQUARE = 8192  # pixels; 200 MB for each worker, and more than any network takes


def build(flag_values: flags.FlagValues, words: str) -> dataset_info.DatasetInfo:
    """Builds the data set that the flags describe, by the command `words`; returns its description.

    ValueError: a flag is wrong, the output is taken, or the material is at fault (see the source in
    question). Finished shards are kept for the next start.
    """
    check(flag_values)
    directory = os.path.join(flag_values.output_dir, staging.NAME)
    staging.check_output(flag_values.output_dir, flag_values.overwrite)
    # This source takes every folder there for a class, its own output's, too.
    for flag in ("input_dir", "maps_dir") if flag_values.source == "folder" else ():
        read = flag_values[flag].value
        places.check_outside(flag_values.output_dir, "output_dir", read, flag)
    match_report.check_output(flag_values.match_report)
    with listing.recorded() as listed:
        source = load_source(flag_values, directory)
        with staging.held(directory):
            return _build(flag_values, words, directory, source, listed)


def check(flag_values: flags.FlagValues) -> None:
    """ValueError if a flag is wrong; names flag, expectation, value and remedy."""
    name = flag_values.source
    if name not in SOURCES:
        raise ValueError(f"--source={name!r} is unknown; known sources: {', '.join(SOURCES)}.")
    if not flag_values.output_dir:
        raise ValueError("--output_dir is missing: say where the data set goes.")
    reads = merge.options_read(name, flag_values.maps_source)
    if "input_dir" in reads and not flag_values.input_dir:
        raise ValueError(f"--source={name} reads files: give their --input_dir.")
    for field in dataclasses.fields(SourceOptions):
        flag = field.name
        if flag_values[flag].present and flag not in reads and flag != "seed":
            users = [n for n in SOURCES if flag in merge.options_read(n, flag_values.maps_source)]
            raise ValueError(
                f"--{flag} means nothing to --source={name}; it is read by {', '.join(users)}. "
                "Leave it out."
            )
    for flag in ("num_shards", "num_eval_shards", "square_size", "clickmap_grid", "num_workers"):
        if flag_values[flag].value < 1:
            raise ValueError(f"--{flag} must be at least 1, got {flag_values[flag].value}.")
    if flag_values["square_size"].present and flag_values.image_storage != "square":
        raise ValueError("--square_size means nothing without --image_storage=square. Add it.")
    if flag_values.square_size > MAX_SQUARE:
        raise ValueError(
            f"--square_size must be at most {MAX_SQUARE}, got {flag_values.square_size}."
        )
    if flag_values.beam_options and flag_values.runner == "local":
        raise ValueError("--beam_options means nothing to --runner=local. Name a Beam runner.")
    try:
        clickmaps.parse_blur(build_flags.blur(flag_values))
    except ValueError as error:
        raise ValueError(f"--clickmap_blur: {error}") from error


def _build(flag_values, words, directory, source, listed):
    plan = _plan(flag_values, directory, source)
    left_out = staging.keep_left_out(directory, listed.left_out)
    summary.say_missing_splits(flag_values, source, plan)
    summary.say_classes(source.class_names)
    job = make_job(flag_values, directory, source, plan)
    missing = [shard for shard in plan.all_shards() if not job.finished(*shard)]
    try:
        _make(flag_values, plan, job, missing)
    except (ValueError, OSError):  # the material, or a full disk
        if kept := sum(job.finished(*shard) for shard in plan.all_shards()):
            logging.warning(
                "%d of %d shards are finished and kept in %r: the same command goes on from there.",
                kept,
                len(plan.all_shards()),
                job.staging,
            )
        raise
    return finish.publish(flag_values, words, source, plan, job, left_out)


def load_source(flag_values: flags.FlagValues, directory: str | None) -> sources.Source:
    """The source that the flags name, with the maps of another if they say so.

    `directory`: of staging; None to keep nothing, and to write no report.
    """
    options = command.from_flags(SourceOptions, flag_values)
    if options.maps_source:
        # A bucket's staging directory cannot be used as files: such a build, started again,
        # computes its matches again.
        local = directory and files.is_local(directory)
        source = merge.load(
            flag_values.source,
            options if directory else options.replace(match_report=""),
            num_workers=flag_values.num_workers,
            cache_dir=os.path.join(directory, staging.MATCHES) if local else None,
            on_bad_image=flag_values.on_bad_image,
        )
    else:
        source = sources.load_source(flag_values.source, options)
    if len(set(source.class_names)) < len(source.class_names):
        raise ValueError(f"Class names must be unique, got {list(source.class_names)}.")
    if wrong := [name for name in source.class_names if not files.is_utf8(name)]:
        raise ValueError(f"Class names must be text, got {wrong}, which is no UTF-8. Rename them.")
    return source


def shards_wanted(flag_values: flags.FlagValues) -> dict[str, int]:
    """Split -> shards, where there are as many images."""
    return dict.fromkeys(SPLITS, flag_values.num_eval_shards) | {"train": flag_values.num_shards}


def _plan(flag_values, directory, source):
    """The plan of the build that was stopped here, or a new one."""
    plan_dir = os.path.join(directory, shards.PLAN)
    fingerprint = build_flags.fingerprint(flag_values)
    plan = build_plan.load(plan_dir)
    if plan is not None:
        wanted = json.loads(json.dumps(fingerprint))  # as it would come from the file
        differs = [
            f"{name} ({plan.fingerprint.get(name)!r} there, {wanted.get(name)!r} now)"
            for name in sorted(set(wanted) | set(plan.fingerprint))
            if wanted.get(name) != plan.fingerprint.get(name)
        ]
        if not differs:
            return plan
        if not flag_values.overwrite:
            raise ValueError(
                f"{directory!r} holds an unfinished build that differs in {'; '.join(differs)}. "
                "Finish it with its own flags, or pass --overwrite to discard what it made."
            )
        tf.io.gfile.rmtree(directory)
        tf.io.gfile.makedirs(directory)
    return build_plan.make(plan_dir, source.items, shards_wanted(flag_values), fingerprint)


def make_job(
    flag_values: flags.FlagValues,
    directory: str,
    source: sources.Source,
    plan: build_plan.BuildPlan,
) -> shards.ShardJob:
    """All that a worker needs to know to make any shard."""
    return shards.ShardJob(
        staging=directory,
        read=source.read,
        storage=encoding.Storage(
            flag_values.image_storage,
            flag_values.square_size,
            build_flags.blur(flag_values),
            flag_values.clickmap_grid,
        ),
        shards=plan.shards,
        classes=len(source.class_names),
        seed=flag_values.seed,
        on_bad_image=flag_values.on_bad_image,
        on_bad_map=flag_values.on_bad_map,
        place=source.place,
    )


def _make(flag_values, plan, job, missing):
    """Makes the missing shards, here or in an Apache Beam pipeline."""
    images = sum(plan.images.values())
    done = images - sum(plan.images_of(*shard) for shard in missing)
    if done:
        print(f"going on: {len(plan.all_shards()) - len(missing)} shards are finished")
    if flag_values.runner == runners.LOCAL:
        runners.run_local(job, missing, flag_values.num_workers, images, done)
    else:
        runners.run_beam(job, missing, flag_values.runner, flag_values.beam_options)
