"""The end of a build: repeated pictures out, shards to their place, the data set described."""

import tensorflow as tf
from absl import flags

from data_prep.building import duplicates, plan, publishing, shards, summary
from data_prep.building import flags as build_flags
from data_prep.sources import Source
from gala_tf.data import dataset_info


def publish(
    flag_values: flags.FlagValues,
    command: str,
    source: Source,
    planned: plan.BuildPlan,
    job: shards.ShardJob,
) -> dataset_info.DatasetInfo:
    """Moves the finished shards to their place, and describes them; removes the staging directory.

    ValueError: a picture is in two splits, an image is damaged, or nothing is left.
    """
    found = _repeated(flag_values, planned, job)
    left_out = {name for name, *_ in found.across}
    bad, written = _bad_and_written(planned, job, left_out)
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
    for split, index in planned.all_shards():
        if split not in written:
            continue  # all its images were left out: it is no split, and its shards nobody's
        contents = job.contents(split, index)
        shard = publishing.move(contents, job.staging, flag_values.output_dir, left_out)
        tally = tallies.setdefault(split, summary.Tally(len(source.class_names)))
        tally.add(shard, [row for row in contents.rows if row.image_id not in left_out])
    info = _describe(flag_values, command, source, tallies)
    summary.say_coverage(tallies, source.class_names)
    dataset_info.save_info(flag_values.output_dir, info)  # last: who finds it finds all the rest
    tf.io.gfile.rmtree(job.staging)
    return info


def _repeated(flag_values, planned, job):
    """The duplicates; ValueError if some lie in two splits and none may be dropped."""

    def rows(split):
        for index in range(planned.shards[split]):
            yield from job.contents(split, index).rows

    found = duplicates.find(rows, planned.images)
    if found.across and flag_values.on_duplicate == "error":
        name, split, keeper, keeper_split = found.across[0]
        raise ValueError(
            f"{name!r} ({split}) and {keeper!r} ({keeper_split}) show the same picture"
            f"{f', and {len(found.across) - 1} more pairs do' if len(found.across) > 1 else ''}: "
            "evaluating on a training image would flatter the network. Remove one of them, or "
            f"pass --on_duplicate=drop to leave out the one in {split}."
        )
    return found


def _bad_and_written(planned, job, left_out):
    """(what is said of damaged images, the splits in which an image is left)."""
    bad, written = [], set()
    for split, index in planned.all_shards():
        contents = job.contents(split, index)
        bad += contents.bad
        if any(row.image_id not in left_out for row in contents.rows):
            written.add(split)
    return bad, written


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
