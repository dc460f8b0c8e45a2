"""The end of a build: repeated pictures out, shards to their place, the data set described.

It may be killed and started again. The order: an old data set's description is removed, then its
shards; a note of that is left; then each shard is moved; `dataset_info.json` comes last, and then
the staging directory goes. Where the description is, the data set is whole.
"""

import dataclasses
import os
import re
from collections.abc import Set

import tensorflow as tf
from absl import flags

from data_prep.building import duplicates, plan, shards, staging, summary
from data_prep.building import flags as build_flags
from data_prep.sources import Source
from data_prep.sources.splits import SPLITS
from gala_tf.data import dataset_info, tfrecord_files

_SHARD_FILE = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.tfrecord")


def publish(
    flag_values: flags.FlagValues,
    command: str,
    source: Source,
    planned: plan.BuildPlan,
    job: shards.ShardJob,
    left_out_listed: dict[str, list[str]],
) -> dataset_info.DatasetInfo:
    """Moves the finished shards to their place, and describes them; removes the staging directory.

    `left_out_listed`: why -> names that the listing left out. ValueError: a picture is in two
    splits, an image is damaged, or nothing is left.
    """
    found = repeated(planned, job)
    _refuse_repeated(flag_values, found)
    left_out = {name for name, *_ in found.across}
    said, written = said_and_written(planned, job, left_out)
    for flag, what, lines in (
        ("on_bad_image", "damaged images", said.bad),
        ("on_bad_map", "bad maps", said.bad_maps),
    ):
        if lines and flag_values[flag].value == "fail":
            raise ValueError(
                f"{len(lines)} {what} were left out when this build was begun, the first: "
                f"{lines[0]} Pass --{flag}=skip to finish it without them, or delete "
                f"{job.staging!r} to start anew."
            )
    summary.say_left_out(found, said)
    if not written:
        raise ValueError(f"--source={flag_values.source} gave no image that could be written.")
    clear(job.staging, flag_values.output_dir)
    tallies = {}
    for split, index in planned.all_shards():
        if split not in written:
            continue  # all its images were left out: it is no split, and its shards nobody's
        contents = job.contents(split, index)
        shard = move(contents, job.staging, flag_values.output_dir, left_out)
        tally = tallies.setdefault(split, summary.Tally(len(source.class_names)))
        tally.add(shard, [row for row in contents.rows if row.image_id not in left_out])
    info = _describe(flag_values, command, source, tallies)
    summary.say_coverage(tallies, source.class_names)
    summary.write_left_out(flag_values.output_dir, left_out_listed, said, found)
    dataset_info.save_info(flag_values.output_dir, info)  # last: who finds it finds all the rest
    tf.io.gfile.rmtree(job.staging)
    return info


def repeated(planned: plan.BuildPlan, job: shards.ShardJob) -> duplicates.Duplicates:
    """The pictures that come more than once."""

    def rows(split):
        for index in range(planned.shards[split]):
            yield from job.contents(split, index).rows

    return duplicates.find(rows, planned.images)


def _refuse_repeated(flag_values, found):
    if found.across and flag_values.on_duplicate == "error":
        name, split, keeper, keeper_split = found.across[0]
        raise ValueError(
            f"{name!r} ({split}) and {keeper!r} ({keeper_split}) show the same picture"
            f"{f', and {len(found.across) - 1} more pairs do' if len(found.across) > 1 else ''}: "
            "evaluating on a training image would flatter the network. Remove one of them, or "
            f"pass --on_duplicate=drop to leave out the one in {split}."
        )


def said_and_written(
    planned: plan.BuildPlan, job: shards.ShardJob, left_out: Set[str]
) -> tuple[shards.Said, set[str]]:
    """What all shards gave occasion to say, and the splits in which an image is left."""
    said, written = shards.Said(), set()
    for split, index in planned.all_shards():
        contents = job.contents(split, index)
        for field in dataclasses.fields(said):
            getattr(said, field.name).extend(getattr(contents.said, field.name))
        if any(row.image_id not in left_out for row in contents.rows):
            written.add(split)
    return said, written


def clear(directory: str, output_dir: str) -> None:
    """Removes an old data set, once; from here on, until the new one is there, no data set is."""
    if staging.begun(directory):
        return
    shards_there = filter(_SHARD_FILE.fullmatch, tf.io.gfile.listdir(output_dir))
    for name in (dataset_info.INFO_FILE, *shards_there):
        if tf.io.gfile.exists(path := os.path.join(output_dir, name)):
            tf.io.gfile.remove(path)
    staging.begin(directory)


def move(
    contents: shards.ShardContents, directory: str, output_dir: str, left_out: Set[str]
) -> dataset_info.Shard:
    """Puts one shard in its place, without the images in `left_out`; safe to repeat."""
    name = contents.shard.file
    source, target = os.path.join(directory, name), os.path.join(output_dir, name)
    keep = [row.image_id not in left_out for row in contents.rows]
    if not all(keep):
        kept = (r for r, k in zip(tfrecord_files.records(source), keep, strict=True) if k)
        return shards.write(target, kept)
    if tf.io.gfile.exists(source):
        tf.io.gfile.rename(source, target, overwrite=True)
    size = tf.io.gfile.stat(target).length if tf.io.gfile.exists(target) else None
    if size != contents.shard.bytes:
        raise ValueError(
            f"Shard {target!r} was made with {contents.shard.bytes} bytes and has "
            f"{'vanished' if size is None else f'{size} now'}. Delete {directory!r} to start anew."
        )
    return contents.shard


def _describe(flag_values, command, source, tallies):
    """What dataset_info.json will say."""
    blur = build_flags.blur(flag_values)
    return dataset_info.DatasetInfo(
        name=flag_values.name or flag_values.source,
        class_names=source.class_names,
        splits={split: tally.split() for split, tally in tallies.items()},
        image=summary.image_geometry(flag_values.image_storage, blur, tallies.values()),
        clickmap_blur=blur,
        clickmap_grid=flag_values.clickmap_grid,
        human_ceiling=source.human_ceiling,
        split_rule=source.split_rule,
        seed=flag_values.seed,
        command=command,
        tool_version=build_flags.tool_version(),
    )
