"""Builds a data set: a source -> TFRecord shards and dataset_info.json.

    python -m data_prep.build_tfrecords --source=folder --input_dir=my_images --output_dir=my_data

The source is listed into a plan, shards are made by the plan, and then moved to their place. The
same command gives the same bytes, with any number of workers; started again after it was stopped
or killed, it makes the shards that are missing. Nothing appears in --output_dir under its final
name before all of it is made, and dataset_info.json comes last.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import shlex
import sys
from collections.abc import Iterator

import numpy as np
from absl import flags, logging

from data_prep import sources
from data_prep.sources import SOURCES, SourceOptions
from data_prep.splits import SPLITS
from gala_tf import command

STAGING = ".building"
_MATCHES = "matches"  # in the staging directory: what a join by content has computed
# What may differ when a build goes on: finished shards do not depend on it.
_NOT_IN_FINGERPRINT = {
    "output_dir",
    "name",
    "overwrite",
    "on_bad_image",
    "on_duplicate",
    "num_workers",
    "runner",
    "beam_options",
}


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares the flags of this command; a function, since training has flags of equal names."""
    fv = {"flag_values": flag_values}
    # What to read.
    flags.DEFINE_string(
        "source",
        None,
        "Where images and maps come from: "
        + "; ".join(f"{name} = {entry.summary}" for name, entry in SOURCES.items())
        + ".",
        **fv,
    )
    for field in dataclasses.fields(SourceOptions):
        _define_option(field, fv)
    flags.DEFINE_enum(
        "on_bad_image",
        "fail",
        ["fail", "skip"],
        "What to do about an image that cannot be decoded.",
        **fv,
    )
    flags.DEFINE_enum(
        "on_duplicate",
        "error",
        ["error", "drop"],
        "What to do about the same picture in two splits; `drop` takes training's away.",
        **fv,
    )
    # What to write.
    flags.DEFINE_string("output_dir", None, "Where the data set goes (local or gs://).", **fv)
    flags.DEFINE_string("name", "", "Name of the data set; default: the source's.", **fv)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --output_dir.", **fv)
    flags.DEFINE_integer(
        "num_shards",
        8,
        "Files of the train split: at least one for each host that reads, and "
        "100 to 200 MB each for large sets (1024 for ILSVRC12).",
        **fv,
    )
    flags.DEFINE_integer("num_eval_shards", 8, "Files of each other split.", **fv)
    flags.DEFINE_enum(
        "image_storage",
        "original",
        ["original", "square"],
        "Keep images as they came, or their central square of --square_size. Square images are "
        "read several times faster.",
        **fv,
    )
    flags.DEFINE_integer("square_size", 256, "Side of `square` images, pixels (paper).", **fv)
    flags.DEFINE_string(
        "clickmap_blur",
        "",
        "Blur of the maps made ready for training, pixels of the stored "
        "image: box:K, gaussian:K,SIGMA, disc:K or none. Unblurred counts are kept as well. "
        "Default: " + ", ".join(f"{e.clickmap_blur} ({name})" for name, e in SOURCES.items()) + ".",
        **fv,
    )
    flags.DEFINE_integer("clickmap_grid", 64, "Side of the maps made ready for training.", **fv)
    # How to make it.
    flags.DEFINE_integer(
        "num_workers", 1, "Processes, a shard each; the bytes do not depend on it.", **fv
    )
    flags.DEFINE_string(
        "runner",
        "local",
        "`local`, or an Apache Beam runner (DirectRunner, DataflowRunner, SparkRunner, "
        "FlinkRunner; needs the extra [beam]). --input_dir and --output_dir must then be reachable "
        "from its machines.",
        **fv,
    )
    flags.DEFINE_multi_string(
        "beam_options", [], "An option for the Beam runner, such as --project=mine.", **fv
    )


def _define_option(field, fv):
    """The flag of one field of SourceOptions, by the type of its default."""
    readers = ", ".join(name for name, entry in SOURCES.items() if field.name in entry.reads)
    help_text = field.metadata["help"] + (f" (read by {readers})" if readers else "")
    if field.metadata["choices"]:
        choices = list(field.metadata["choices"])
        flags.DEFINE_enum(field.name, field.default, choices, help_text, **fv)
    elif isinstance(field.default, tuple):
        flags.DEFINE_list(field.name, [str(part) for part in field.default], help_text, **fv)
    else:
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[type(field.default)]
        define(field.name, field.default, help_text, **fv)


def main() -> None:
    """Builds what the flags say, and prints what there is now."""
    words = ["python", "-m", "data_prep.build_tfrecords", *sys.argv[1:]]
    print(format_table(build(flags.FLAGS, shlex.join(words))))


# --------------------------------------------------------------------------- flags


def _check_flags(flag_values):
    """Errors that need no data; ValueError names flag, expectation, value and remedy."""
    from data_prep import merge
    from gala_tf import clickmaps

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
    if flag_values.beam_options and flag_values.runner == "local":
        raise ValueError("--beam_options means nothing to --runner=local. Name a Beam runner.")
    clickmaps.parse_blur(_blur(flag_values))


def source_options(flag_values: flags.FlagValues) -> SourceOptions:
    """The options of sources, as the flags give them."""
    values = {}
    for field in dataclasses.fields(SourceOptions):
        value = flag_values[field.name].value
        if isinstance(field.default, tuple):
            value = _numbers(field.name, value)
        values[field.name] = value
    return SourceOptions(**values)


def _numbers(flag, words):
    try:
        return tuple(float(word) for word in words)
    except ValueError:
        raise ValueError(
            f"--{flag} must be numbers, got {words}. Write them as --{flag}=8,1,1."
        ) from None


def _blur(flag_values):
    maps_from = flag_values.maps_source or flag_values.source
    return flag_values.clickmap_blur or SOURCES[maps_from].clickmap_blur


def _fingerprint(flag_values):
    """All that decides the bytes of the shards."""
    declared = flags.FlagValues()
    define_flags(declared)
    found = {name: flag_values[name].value for name in sorted(set(declared) - _NOT_IN_FINGERPRINT)}
    return found | {"clickmap_blur": _blur(flag_values), "tool_version": _tool_version()}


def _tool_version():
    """Of everything that decides the bytes."""
    names = (
        "gala_tf",
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-tpu",
        "pillow",
        "numpy",
        "scipy",
        "scikit-image",
    )
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a checkout, or another build of TensorFlow
    return ", ".join(found)


# --------------------------------------------------------------------------- building


def build(flag_values: flags.FlagValues, command: str) -> "records.DatasetInfo":  # noqa: F821
    """Builds the data set that the flags describe, and returns its description.

    Raises:
      ValueError: a flag is wrong, the output is taken, or the material is at fault (see the
        source in question). Finished shards are kept for the next start.
    """
    from data_prep import build_plan, encoding, runners, shards

    _check_flags(flag_values)
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
            plan = build_plan.make(plan_dir, source.items, wanted, _fingerprint(flag_values))
        job = shards.ShardJob(
            staging=staging,
            read=source.read,
            storage=encoding.Storage(
                flag_values.image_storage,
                flag_values.square_size,
                _blur(flag_values),
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
    from data_prep import merge

    options = source_options(flag_values)
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

    from data_prep import build_plan

    plan = build_plan.load(plan_dir)
    if plan is None:
        return None
    wanted = json.loads(json.dumps(_fingerprint(flag_values)))  # as it would come from the file
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

    from data_prep import duplicates, publishing
    from gala_tf import records

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
    _report(found, bad)
    if not written:
        raise ValueError(f"--source={flag_values.source} gave no image that could be written.")
    publishing.clear(job.staging, flag_values.output_dir)
    tallies = {}
    for split, index in plan.all_shards():
        if split not in written:
            continue  # all its images were left out: it is no split, and its shards nobody's
        contents = job.contents(split, index)
        shard = publishing.move(contents, job.staging, flag_values.output_dir, left_out)
        tally = tallies.setdefault(split, _Tally(len(source.class_names)))
        tally.add(shard, [row for row in contents.rows if row.image_id not in left_out])
    info = records.DatasetInfo(
        name=flag_values.name or flag_values.source,
        class_names=source.class_names,
        splits={split: tally.split() for split, tally in tallies.items()},
        image=_image_geometry(flag_values, tallies.values()),
        clickmap_blur=_blur(flag_values),
        clickmap_grid=flag_values.clickmap_grid,
        human_ceiling=source.human_ceiling,
        split_rule=source.split_rule,
        seed=flag_values.seed,
        command=command,
        tool_version=_tool_version(),
    )
    _report_coverage(tallies, source.class_names)
    records.save_info(flag_values.output_dir, info)
    tf.io.gfile.rmtree(job.staging)
    return info


class _Tally:
    """Counts what went into a split."""

    def __init__(self, classes):
        self.shards = []
        self.examples = self.with_clickmap = self.with_participants = 0
        self.classes = np.zeros(classes, np.int64)
        self.heights, self.widths = (2**31, 0), (2**31, 0)  # least, greatest

    def add(self, shard, rows):
        self.shards.append(shard)
        self.examples += shard.examples
        for row in rows:
            self.with_clickmap += row.has_clickmap
            self.with_participants += row.participants > 1
            self.classes[row.label] += 1
            self.heights = min(self.heights[0], row.height), max(self.heights[1], row.height)
            self.widths = min(self.widths[0], row.width), max(self.widths[1], row.width)

    def split(self):
        from gala_tf import records

        return records.Split(
            examples=self.examples,
            with_clickmap=self.with_clickmap,
            with_participants=self.with_participants,
            classes=int(np.count_nonzero(self.classes)),
            shards=tuple(self.shards),
        )


def _image_geometry(flag_values, tallies):
    from gala_tf import records

    heights = min(t.heights[0] for t in tallies), max(t.heights[1] for t in tallies)
    widths = min(t.widths[0] for t in tallies), max(t.widths[1] for t in tallies)
    geometry = records.ImageGeometry(flag_values.image_storage, *heights, *widths)
    varied = heights[0] < heights[1] or widths[0] < widths[1]
    if varied and _blur(flag_values) != "none" and any(t.with_clickmap for t in tallies):
        logging.warning(
            "Images differ in size, so that the blur %s covers more of a small one. The paper "
            "blurs at 256x256: --image_storage=square does.",
            _blur(flag_values),
        )
    return geometry


# --------------------------------------------------------------------------- reports


def _report(found, bad):
    _warn("damaged images were left out", bad)
    _warn(
        "images were left out, their picture being in another split",
        [f"{name} ({split}) = {keeper} ({there})" for name, split, keeper, there in found.across],
    )
    if found.repeated:
        logging.warning("%d images repeat another of their split; they are kept.", found.repeated)


def _report_coverage(tallies, class_names):
    for split, tally in tallies.items():
        absent = [name for name, n in zip(class_names, tally.classes, strict=True) if not n]
        if absent:
            _warn(f"of {len(class_names)} classes do not occur in split {split}", absent)


def _warn(what, lines):
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[:20])
        more = "\n  ..." if len(lines) > 20 else ""
        logging.warning("%d %s:%s%s", len(lines), what, shown, more)


def format_table(info: "records.DatasetInfo") -> str:  # noqa: F821
    """What was built, a line a split."""
    head = f"{'split':<11} {'images':>9} {'with maps':>9} {'classes':>9} {'shards':>6} {'MB':>9}"
    lines = [head]
    for name, split in info.splits.items():
        megabytes = sum(shard.bytes for shard in split.shards) / 1e6
        classes = f"{split.classes}/{info.num_classes}"
        lines.append(
            f"{name:<11} {split.examples:>9,} {split.with_clickmap:>9,} {classes:>9} "
            f"{len(split.shards):>6} {megabytes:>9,.1f}"
        )
    return "\n".join(lines)


# --------------------------------------------------------------------------- files


def _check_output(output_dir, overwrite):
    import tensorflow as tf

    from data_prep import publishing

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
    define_flags()
    command.run(main)
