"""Builds a data set: a source -> TFRecord shards and dataset_info.json.

    python -m data_prep.build_tfrecords --source=folder --input_dir=my_images --output_dir=my_data

The source is listed into a plan, shards are made by the plan, and then moved to their place. The
same command gives the same bytes, with any number of workers; started again after it was stopped
or killed, it makes the shards that are missing. Nothing appears in --output_dir under its final
name before all of it is made, and dataset_info.json comes last.
"""

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator

from absl import flags, logging

from data_prep import sources
from data_prep.building import flags as build_flags
from data_prep.sources.splits import SPLITS
from gala_tf import command

STAGING = ".building"
_MATCHES = "matches"  # in the staging directory: what a join by content has computed


def main() -> None:
    """Builds what the flags say, and prints what there is now."""
    from data_prep.building import summary

    words = ["python", "-m", "data_prep.build_tfrecords", *sys.argv[1:]]
    print(summary.format_table(build(flags.FLAGS, shlex.join(words))))


# --------------------------------------------------------------------------- building


def build(flag_values: flags.FlagValues, command: str) -> "dataset_info.DatasetInfo":  # noqa: F821
    """Builds the data set that the flags describe, and returns its description.

    Raises:
      ValueError: a flag is wrong, the output is taken, or the material is at fault (see the
        source in question). Finished shards are kept for the next start.
    """
    from data_prep.building import encoding, runners, shards
    from data_prep.building import plan as build_plan

    build_flags.check(flag_values)
    output_dir = flag_values.output_dir
    staging = os.path.join(output_dir, STAGING)
    _check_output(output_dir, flag_values.overwrite)
    source = _load_source(flag_values, staging)
    with _staging(staging):
        plan_dir = os.path.join(staging, shards.PLAN)
        plan = _unfinished_plan(plan_dir, flag_values)
        if plan is None:
            wanted = dict.fromkeys(SPLITS, flag_values.num_eval_shards)
            wanted["train"] = flag_values.num_shards
            plan = build_plan.make(
                plan_dir, source.items, wanted, build_flags.fingerprint(flag_values)
            )
        job = shards.ShardJob(
            staging=staging,
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
        )
        missing = [shard for shard in plan.all_shards() if not job.finished(*shard)]
        done = sum(plan.images.values()) - sum(plan.images_of(*shard) for shard in missing)
        if done:
            print(f"going on: {len(plan.all_shards()) - len(missing)} shards are finished")
        try:
            if flag_values.runner == runners.LOCAL:
                runners.run_local(
                    job, missing, flag_values.num_workers, sum(plan.images.values()), done
                )
            else:
                runners.run_beam(job, missing, flag_values.runner, flag_values.beam_options)
        except ValueError:
            _tell_what_is_kept(job, plan)
            raise
        return _publish(flag_values, command, source, plan, job)


def _load_source(flag_values, staging):
    from data_prep.merging import merge

    options = build_flags.source_options(flag_values)
    if options.maps_source:
        source = merge.load(
            flag_values.source,
            options,
            num_workers=flag_values.num_workers,
            # A bucket's staging directory cannot be used as files: such a build, started again,
            # computes its matches again.
            cache_dir=None if "://" in staging else os.path.join(staging, _MATCHES),
            on_bad_image=flag_values.on_bad_image,
        )
    else:
        source = sources.load_source(flag_values.source, options)
    if len(set(source.class_names)) < len(source.class_names):
        raise ValueError(f"Class names must be unique, got {list(source.class_names)}.")
    return source


def _unfinished_plan(plan_dir, flag_values):
    """The plan of a build that was stopped; None if there is none."""
    import tensorflow as tf

    from data_prep.building import plan as build_plan

    plan = build_plan.load(plan_dir)
    if plan is None:
        return None
    # As it would come from the file.
    wanted = json.loads(json.dumps(build_flags.fingerprint(flag_values)))
    differs = [
        f"{name} ({plan.fingerprint.get(name)!r} there, {wanted.get(name)!r} now)"
        for name in sorted(set(wanted) | set(plan.fingerprint))
        if wanted.get(name) != plan.fingerprint.get(name)
    ]
    if not differs:
        return plan
    if not flag_values.overwrite:
        raise ValueError(
            f"{os.path.dirname(plan_dir)!r} holds an unfinished build that differs in "
            f"{'; '.join(differs)}. Finish it with its own flags, or pass --overwrite to discard "
            "what it made."
        )
    tf.io.gfile.rmtree(os.path.dirname(plan_dir))
    tf.io.gfile.makedirs(os.path.dirname(plan_dir))
    return None


def _tell_what_is_kept(job, plan):
    kept = sum(job.finished(*shard) for shard in plan.all_shards())
    if kept:
        logging.warning(
            "%d of %d shards are finished and kept in %r: the same command goes on from there.",
            kept,
            len(plan.all_shards()),
            job.staging,
        )


def _publish(flag_values, command, source, plan, job):
    """Moves the finished shards to their place, and describes them."""
    import tensorflow as tf

    from data_prep.building import duplicates, publishing, summary
    from gala_tf.data import dataset_info

    def rows(split):
        for index in range(plan.shards[split]):
            yield from job.contents(split, index).rows

    found = duplicates.find(rows, plan.images)
    if found.across and flag_values.on_duplicate == "error":
        name, split, keeper, keeper_split = found.across[0]
        raise ValueError(
            f"{name!r} ({split}) and {keeper!r} ({keeper_split}) show the same picture"
            f"{f', and {len(found.across) - 1} more pairs do' if len(found.across) > 1 else ''}: "
            "evaluating on a training image would flatter the network. Remove one of them, or "
            f"pass --on_duplicate=drop to leave out the one in {split}."
        )
    left_out = {name for name, *_ in found.across}
    bad, written = [], set()
    for split, index in plan.all_shards():
        contents = job.contents(split, index)
        bad += contents.bad
        if any(row.image_id not in left_out for row in contents.rows):
            written.add(split)
    if bad and flag_values.on_bad_image == "fail":
        raise ValueError(
            f"{len(bad)} damaged images were left out when this build was begun, the first: "
            f"{bad[0]} Pass --on_bad_image=skip to finish it without them, or delete "
            f"{job.staging!r} to start anew."
        )
    summary.say_left_out(found, bad)
    if not written:
        raise ValueError(f"--source={flag_values.source} gave no image that could be written.")
    publishing.clear(job.staging, flag_values.output_dir)
    tallies = {}
    for split, index in plan.all_shards():
        if split not in written:
            continue  # all its images were left out: it is no split, and its shards nobody's
        contents = job.contents(split, index)
        shard = publishing.move(contents, job.staging, flag_values.output_dir, left_out)
        tally = tallies.setdefault(split, summary.Tally(len(source.class_names)))
        tally.add(shard, [row for row in contents.rows if row.image_id not in left_out])
    info = dataset_info.DatasetInfo(
        name=flag_values.name or flag_values.source,
        class_names=source.class_names,
        splits={split: tally.split() for split, tally in tallies.items()},
        image=summary.image_geometry(
            flag_values.image_storage, build_flags.blur(flag_values), tallies.values()
        ),
        clickmap_blur=build_flags.blur(flag_values),
        clickmap_grid=flag_values.clickmap_grid,
        human_ceiling=source.human_ceiling,
        split_rule=source.split_rule,
        seed=flag_values.seed,
        command=command,
        tool_version=build_flags.tool_version(),
    )
    summary.say_coverage(tallies, source.class_names)
    dataset_info.save_info(flag_values.output_dir, info)
    tf.io.gfile.rmtree(job.staging)
    return info


# --------------------------------------------------------------------------- files


def _check_output(output_dir, overwrite):
    import tensorflow as tf

    from data_prep.building import publishing

    if overwrite or not tf.io.gfile.exists(output_dir):
        return
    if publishing.begun(os.path.join(output_dir, STAGING)):
        return  # the shards there are this build's own
    if publishing.holds_data_set(output_dir):
        raise ValueError(
            f"--output_dir={output_dir!r} already holds a data set. Choose another, or pass "
            "--overwrite to replace it."
        )


@contextlib.contextmanager
def _staging(staging) -> Iterator[None]:
    """The staging directory, held against a second build; removed if nothing in it is finished."""
    import tensorflow as tf

    tf.io.gfile.makedirs(staging)
    with _lock(staging):
        try:
            yield
        except BaseException:
            names = {name.rstrip("/") for name in tf.io.gfile.listdir(staging)}
            if _MATCHES not in names and not any(name.endswith(".rows") for name in names):
                tf.io.gfile.rmtree(staging)
                parent = os.path.dirname(staging)
                if not tf.io.gfile.listdir(parent):
                    tf.io.gfile.rmtree(parent)  # a build that made nothing leaves nothing behind
            raise


@contextlib.contextmanager
def _lock(staging):
    """Keeps other builds on this machine out; the system releases it if this one is killed."""
    if "://" in staging:
        yield  # buckets have no locks; two builds would write the same bytes
        return
    import fcntl

    with open(os.path.join(staging, "lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"Another build is writing in {staging!r}. Wait for it, or stop it."
            ) from error
        yield


if __name__ == "__main__":
    build_flags.define()
    command.run(main)
