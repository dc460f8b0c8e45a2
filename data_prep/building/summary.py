"""What a build wrote and left out: counted for dataset_info.json, and said to the user."""

import collections
import os
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from absl import flags, logging

from data_prep.building.duplicates import Duplicates
from data_prep.building.plan import BuildPlan
from data_prep.building.shards import Row, Said
from data_prep.readers import listing
from data_prep.sources import SOURCES, Source, SourceOptions
from data_prep.sources.splits import SPLITS, in_proportion
from gala_tf import command
from gala_tf.data import dataset_info, files

LEFT_OUT = "left_out.txt"


class Tally:
    """Counts what went into a split."""

    def __init__(self, classes: int):
        self.shards = []
        self.examples = self.with_clickmap = self.with_participants = 0
        self.classes = np.zeros(classes, np.int64)
        self.heights, self.widths = (2**31, 0), (2**31, 0)  # least, greatest

    def add(self, shard: dataset_info.Shard, rows: Iterable[Row]) -> None:
        """Counts a shard as it was published, and the rows that are left in it."""
        self.shards.append(shard)
        self.examples += shard.examples
        for row in rows:
            self.with_clickmap += row.has_clickmap
            self.with_participants += row.participants > 1
            self.classes[row.label] += 1
            self.heights = min(self.heights[0], row.height), max(self.heights[1], row.height)
            self.widths = min(self.widths[0], row.width), max(self.widths[1], row.width)

    def split(self) -> dataset_info.Split:
        """What dataset_info.json says of the split."""
        return dataset_info.Split(
            examples=self.examples,
            with_clickmap=self.with_clickmap,
            with_participants=self.with_participants,
            classes=int(np.count_nonzero(self.classes)),
            shards=tuple(self.shards),
        )


def image_geometry(storage: str, blur: str, tallies: Iterable[Tally]) -> dataset_info.ImageGeometry:
    """How large the images came out; warns where a blur in pixels covers more of some."""
    heights = min(t.heights[0] for t in tallies), max(t.heights[1] for t in tallies)
    widths = min(t.widths[0] for t in tallies), max(t.widths[1] for t in tallies)
    geometry = dataset_info.ImageGeometry(storage, *heights, *widths)
    varied = heights[0] < heights[1] or widths[0] < widths[1]
    if varied and blur != "none" and any(t.with_clickmap for t in tallies):
        logging.warning(
            "Images differ in size, so that the blur %s covers more of a small one. The paper "
            "blurs at 256x256: --image_storage=square does.",
            blur,
        )
    return geometry


def say_missing_splits(flag_values: flags.FlagValues, source: Source, planned: BuildPlan) -> None:
    """Warns, before anything is built, of splits that will be empty, and says what to give."""
    missing = [split for split in SPLITS if split not in planned.images]
    images = sum(planned.images.values())
    options = command.from_flags(SourceOptions, flag_values)
    if source.split_rule.startswith(in_proportion(options)):  # a merge says more behind it
        shares = dict(zip(SPLITS, options.split_proportions, strict=True))
        share_words = ",".join(f"{share:g}" for share in shares.values())
        _say_missing(
            [split for split in missing if not shares[split]],
            f"--split_proportions={share_words} leaves it empty",
            _TRAINING_WITHOUT,
        )
        thirds = "--split_proportions=1,1,1 gives each a third"
        tenths = "--split_proportions=8,1,1 gives a tenth to each of validation and test"
        _say_missing(
            [split for split in missing if shares[split]],
            f"{images} images are too few for --split_proportions={share_words}",
            thirds if images < 10 else tenths,
        )
        return
    if flag_values["split_proportions"].present:
        logging.warning("--split_proportions means nothing here: splits are %s.", source.split_rule)
    missing = [split for split in missing if split == "validation"]
    if "validation_fraction" not in SOURCES[flag_values.source].reads:
        why = f"the splits are the source's own ({source.split_rule})"
        _say_missing(missing, why, _TRAINING_WITHOUT)
    elif fraction := options.validation_fraction:
        why = f"{images} images are too few for --validation_fraction={fraction:g} of train"
        _say_missing(missing, why, "--validation_fraction=0.5 gives half of train to validation")
    else:
        _say_missing(missing, "--validation_fraction is 0", _TRAINING_WITHOUT)


def say_classes(names: Sequence[str]) -> None:
    """Warns of classes that nobody meant: one alone, or several that a slip of the pen made."""
    if len(names) == 1:
        logging.warning("There is one class, %r: nothing to tell apart.", names[0])
    alike = collections.defaultdict(list)
    for name in names:
        alike[" ".join(name.casefold().split())].append(name)
    for twins in alike.values():
        if len(twins) > 1:
            logging.warning("Classes differ in capitals or spaces alone: %r.", twins)


_TRAINING_WITHOUT = (
    "Training then needs --validation_split= and --test_split= of splits that are there; without a "
    "name after the sign it validates on none, and the last weights are the result"
)


def _say_missing(splits, why, remedy):
    if splits:
        logging.warning("No image falls into split %s: %s. %s.", " or ".join(splits), why, remedy)


def say_left_out(found: Duplicates, said: Said) -> None:
    """Warns of what is left out, and of what is not stored of the images that stay."""
    _warn("damaged images were left out", said.bad)
    _warn("maps cannot be used and were left out; their images stay", said.bad_maps)
    _warn("images are not stored in all that they are", said.remarks)
    _warn("images were left out, their picture being in another split", found.lines)
    if found.repeated:
        logging.warning("%d images repeat another of their split; they are kept.", found.repeated)
    _warn("of these are of two classes, one of them wrong", found.contradictory)


def by_reason(listed: dict[str, list[str]], said: Said, found: Duplicates) -> dict[str, list[str]]:
    """Why, in words that follow a number -> what is left out, a line each."""
    reasons = {
        **listed,
        "images are damaged": said.bad,
        "maps cannot be used; their images stay": said.bad_maps,
        "images show a picture that is in another split": found.lines,
    }
    return {why: lines for why, lines in reasons.items() if lines}


def write_left_out(
    output_dir: str, listed: dict[str, list[str]], said: Said, found: Duplicates
) -> None:
    """Counts on the screen what was left out, by reason, and names all of it in a file.

        left_out.txt    # 2 files are neither images nor maps
                        my_images/cat/notes.doc
                        my_images/readme.md

    The file lies beside the shards, and is not there if nothing was left out.
    """
    path = os.path.join(output_dir, LEFT_OUT)
    left_out = by_reason(listed, said, found)
    if not left_out:
        if tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)  # of the data set that was here before
        return
    blocks = ("\n".join((f"# {len(lines)} {why}", *lines, "")) for why, lines in left_out.items())
    files.write(path, "\n".join(blocks))
    print(f"left out (all names: {path}):")
    for why, lines in left_out.items():
        print(f"  {len(lines):,} {why}")


def say_coverage(tallies: dict[str, Tally], class_names: Sequence[str]) -> None:
    """Warns of classes that a split lacks; the paper's three splits have all 1,000."""
    for split, tally in tallies.items():
        absent = [name for name, n in zip(class_names, tally.classes, strict=True) if not n]
        if absent:
            _warn(f"of {len(class_names)} classes do not occur in split {split}", absent)


def _warn(what, lines):
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[: listing.SHOWN])
        more = "\n  ..." if len(lines) > listing.SHOWN else ""
        logging.warning("%d %s:%s%s", len(lines), what, shown, more)


def format_table(info: dataset_info.DatasetInfo) -> str:
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
