"""Builds a data set: a source -> TFRecord shards and dataset_info.json.

    python -m data_prep.build_tfrecords --source=folder --input_dir=my_images --output_dir=my_data

The same command gives the same bytes. Nothing appears in --output_dir under its final name before
all of it is written, and dataset_info.json comes last.
"""

import importlib.metadata
import os
import re
import shlex
import shutil
import sys
import tempfile

from absl import flags, logging

from data_prep import sources
from data_prep.sources import SOURCES
from data_prep.splits import PAPER_PROPORTIONS, SPLITS, ContentLedger
from gala_tf import command

STAGING = ".building"
_SHARD_FILE = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.tfrecord")


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
    flags.DEFINE_string("input_dir", "", "Root of the raw material, if the source has one.", **fv)
    flags.DEFINE_string(
        "maps_dir",
        "",
        "Root of a parallel tree of maps (folder). Empty: maps lie beside the images.",
        **fv,
    )
    flags.DEFINE_list(
        "split_proportions",
        [str(count) for count in PAPER_PROPORTIONS],
        "Train, validation, test: proportions on any scale, where the source fixes no splits "
        "(folder). Default: the paper's.",
        **fv,
    )
    flags.DEFINE_float(
        "validation_fraction", 0.1, "Part of the training images held out (tiny_imagenet).", **fv
    )
    flags.DEFINE_integer("seed", 0, "Decides splits, the order of records, and made-up data.", **fv)
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
        "100 to 200 MB each for large sets.",
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
    flags.DEFINE_integer(
        "num_workers", 1, "Processes that encode; the bytes do not depend on it.", **fv
    )


def main() -> None:
    """Builds what the flags say, and prints what there is now."""
    words = ["python", "-m", "data_prep.build_tfrecords", *sys.argv[1:]]
    print(format_table(build(flags.FLAGS, shlex.join(words))))


def _check_flags(flag_values):
    """Errors that need no data; ValueError names flag, expectation, value and remedy."""
    from gala_tf import clickmaps

    name = flag_values.source
    if name not in SOURCES:
        raise ValueError(f"--source={name!r} is unknown; known sources: {', '.join(SOURCES)}.")
    if not flag_values.output_dir:
        raise ValueError("--output_dir is missing: say where the data set goes.")
    reads = SOURCES[name].reads
    if "input_dir" in reads and not flag_values.input_dir:
        raise ValueError(f"--source={name} reads files: give their --input_dir.")
    for flag in ("input_dir", "maps_dir", "split_proportions", "validation_fraction"):
        if flag_values[flag].present and flag not in reads:
            users = [name for name, entry in SOURCES.items() if flag in entry.reads]
            raise ValueError(
                f"--{flag} means nothing to --source={name}; it is read by {', '.join(users)}. "
                "Leave it out."
            )
    for flag in ("num_shards", "num_eval_shards", "square_size", "clickmap_grid", "num_workers"):
        if flag_values[flag].value < 1:
            raise ValueError(f"--{flag} must be at least 1, got {flag_values[flag].value}.")
    clickmaps.parse_blur(_blur(flag_values))
    try:
        [float(part) for part in flag_values.split_proportions]
    except ValueError:
        raise ValueError(
            f"--split_proportions must be three numbers, got {flag_values.split_proportions}. "
            "Write them as --split_proportions=8,1,1."
        ) from None


# --------------------------------------------------------------------------- building


def build(flag_values: flags.FlagValues, command: str) -> "records.DatasetInfo":  # noqa: F821
    """Builds the data set that the flags describe, and returns its description.

    Raises:
      ValueError: a flag is wrong, the output is taken, or the material is at fault (see the
        source in question).
    """
    from gala_tf import records

    _check_flags(flag_values)
    output_dir = flag_values.output_dir
    _check_output(output_dir, flag_values.overwrite)
    source = sources.load_source(
        flag_values.source,
        sources.SourceOptions(
            input_dir=flag_values.input_dir,
            maps_dir=flag_values.maps_dir,
            split_proportions=tuple(float(part) for part in flag_values.split_proportions),
            validation_fraction=flag_values.validation_fraction,
            seed=flag_values.seed,
        ),
    )
    if len(set(source.class_names)) < len(source.class_names):
        raise ValueError(f"Class names must be unique, got {list(source.class_names)}.")
    staging = _make_staging(output_dir)
    try:
        splits, image = _write_records(flag_values, source, staging)
        info = records.DatasetInfo(
            name=flag_values.name or flag_values.source,
            class_names=source.class_names,
            splits=splits,
            image=image,
            clickmap_blur=_blur(flag_values),
            clickmap_grid=flag_values.clickmap_grid,
            human_ceiling=None,
            split_rule=source.split_rule,
            seed=flag_values.seed,
            command=command,
            tool_version=_tool_version(),
        )
        _publish(staging, output_dir, info)
    finally:
        shutil.rmtree(staging)
        if "://" not in output_dir and not os.listdir(output_dir):
            os.rmdir(output_dir)  # a build that failed leaves nothing behind
    return info


def _blur(flag_values):
    return flag_values.clickmap_blur or SOURCES[flag_values.source].clickmap_blur


def _write_records(flag_values, source, staging):
    """All shards, in the staging directory; the splits and the geometry of what was written."""
    from tqdm import tqdm

    from data_prep import encoding
    from data_prep.shards import ShardWriter
    from gala_tf import records

    storage = encoding.Storage(
        flag_values.image_storage,
        flag_values.square_size,
        _blur(flag_values),
        flag_values.clickmap_grid,
    )
    ledger = ContentLedger(flag_values.on_duplicate)
    bad = []
    tallies = {split: _Tally() for split in SPLITS}
    writers = {
        split: ShardWriter(
            staging,
            split,
            flag_values.num_shards if split == "train" else flag_values.num_eval_shards,
            flag_values.seed,
        )
        for split in SPLITS
    }
    results = encoding.encode_all(source.examples, storage, flag_values.num_workers)
    for result in tqdm(results, flag_values.source, source.count, unit=" images", mininterval=0.5):
        try:
            encoded = result()
        except records.BadImageError as error:
            if flag_values.on_bad_image == "fail":
                raise ValueError(f"{error} Or pass --on_bad_image=skip to leave it out.") from error
            bad.append(str(error))
            continue
        _check_encoded(encoded, source.class_names)
        if ledger.admit(encoded.image_id, encoded.split, encoded.digest):
            tallies[encoded.split].add(encoded)
            writers[encoded.split].add(encoded.image_id, encoded.serialized)
    _report(ledger, bad)
    splits = {
        split: tallies[split].finish(writer.finish())
        for split, writer in writers.items()
        if writer.examples
    }
    if not splits:
        raise ValueError(f"--source={flag_values.source} gave no image that could be written.")
    return splits, _image_geometry(flag_values, tallies.values())


def _check_encoded(encoded, class_names):
    if encoded.split not in SPLITS:
        raise ValueError(
            f"{encoded.image_id!r}: split must be one of {', '.join(SPLITS)}, got "
            f"{encoded.split!r}. Mend the source."
        )
    if encoded.label >= len(class_names):
        raise ValueError(
            f"{encoded.image_id!r}: label {encoded.label}, but there are only {len(class_names)} "
            "classes, counted from 0. Mend the source."
        )


class _Tally:
    """Counts what goes into a split."""

    def __init__(self):
        self.with_clickmap = self.with_participants = 0
        self.classes, self.sizes = set(), set()

    def add(self, encoded):
        self.with_clickmap += encoded.has_clickmap
        self.with_participants += encoded.participants > 1
        self.classes.add(encoded.label)
        self.sizes.add((encoded.height, encoded.width))

    def finish(self, shards):
        from gala_tf import records

        return records.Split(
            examples=sum(shard.examples for shard in shards),
            with_clickmap=self.with_clickmap,
            with_participants=self.with_participants,
            classes=len(self.classes),
            shards=shards,
        )


def _image_geometry(flag_values, tallies):
    from gala_tf import records

    heights, widths = zip(*set().union(*(tally.sizes for tally in tallies)), strict=True)
    geometry = records.ImageGeometry(
        flag_values.image_storage, min(heights), max(heights), min(widths), max(widths)
    )
    varied = len(set(heights)) > 1 or len(set(widths)) > 1
    if varied and _blur(flag_values) != "none" and any(t.with_clickmap for t in tallies):
        logging.warning(
            "Images differ in size, so that the blur %s covers more of a small one. The paper "
            "blurs at 256x256: --image_storage=square does.",
            _blur(flag_values),
        )
    return geometry


def _report(ledger, bad):
    for kind, lines in (
        ("damaged images were left out", bad),
        (
            "images were left out, their picture being in another split",
            [f"{name} = {earlier}" for name, earlier in ledger.dropped],
        ),
    ):
        if lines:
            shown = "".join(f"\n  {line}" for line in lines[:20])
            logging.warning(
                "%d %s:%s%s", len(lines), kind, shown, "\n  ..." if len(lines) > 20 else ""
            )
    if ledger.repeated:
        logging.warning("%d images repeat another of their split; they are kept.", ledger.repeated)


def _tool_version():
    """Of everything that decides the bytes."""
    names = ("gala_tf", "tensorflow", "tensorflow-cpu", "pillow", "numpy")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a checkout, or the other build of TensorFlow
    return ", ".join(found)


# --------------------------------------------------------------------------- files


def _check_output(output_dir, overwrite):
    import tensorflow as tf

    from gala_tf import records

    if not tf.io.gfile.exists(output_dir):
        return
    names = tf.io.gfile.listdir(output_dir)
    if not overwrite and any(n == records.INFO_FILE or _SHARD_FILE.fullmatch(n) for n in names):
        raise ValueError(
            f"--output_dir={output_dir!r} already holds a data set. Choose another, or pass "
            "--overwrite to replace it."
        )
    if STAGING in {name.rstrip("/") for name in names}:
        raise ValueError(
            f"{os.path.join(output_dir, STAGING)!r} exists: another build is writing there, or one "
            "was killed. If none is running, delete that folder and start again."
        )


def _make_staging(output_dir):
    """A local directory to write in; on the same disk as the output where that is local."""
    if "://" in output_dir:
        return tempfile.mkdtemp(prefix="build_tfrecords-")
    staging = os.path.join(output_dir, STAGING)
    os.makedirs(staging)  # exclusive, so that two builds cannot write into each other
    return staging


def _publish(staging, output_dir, info):
    import tensorflow as tf

    from gala_tf import records

    tf.io.gfile.makedirs(output_dir)
    # An old description goes first: from here on, until the new one is there, no data set is.
    old = [
        name
        for name in tf.io.gfile.listdir(output_dir)
        if name == records.INFO_FILE or _SHARD_FILE.fullmatch(name)
    ]
    for name in sorted(old, key=lambda name: name != records.INFO_FILE):
        tf.io.gfile.remove(os.path.join(output_dir, name))
    for split in info.splits.values():
        for shard in split.shards:
            # rename does not go from a local disk to a bucket; there, an object appears whole.
            move = tf.io.gfile.copy if "://" in output_dir else os.replace
            move(os.path.join(staging, shard.file), os.path.join(output_dir, shard.file))
    records.save_info(output_dir, info)


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


if __name__ == "__main__":
    define_flags()
    command.run(main)
