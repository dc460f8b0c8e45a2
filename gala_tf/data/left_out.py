"""Training on without records that cannot be read: which they are, and what is read instead.

The good records of a bad shard are copied to the run directory and read from there: the same on
every restart, and nobody's data are touched. Every restart that found bad records has a list of
its own in `bad_records.json`, because a run must read, up to each, what it read before.
"""

import dataclasses
import json
import os

import tensorflow as tf

from gala_tf.data import dataset_info, files, tfrecord_files
from gala_tf.data.bad_records import BadRecord, whole_records

FILE = "bad_records.json"
FOLDER = "good_records"  # of the run directory: copies of bad shards without their bad records
MOST = 0.1  # of a split that may be left out: more is a disk that is gone, not a bad record


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """Bad records that training passes over from `start_example` on."""

    start_example: int  # examples that all replicas had taken when the list was made
    records: tuple[BadRecord, ...]
    copies: dict[str, tuple[str, int]]  # bad shard: path of its good records, their number


def check_share(info: dataset_info.DatasetInfo, split: str, bad: list[BadRecord]) -> None:
    """ValueError if so many records are bad that this is no longer the same data set."""
    examples = info.require_split(split).examples
    if len(bad) > MOST * examples:
        raise ValueError(
            f"{len(bad)} of {examples} records of split {split!r} cannot be read, the first: "
            f"{bad[0].file}, record {bad[0].record}: {bad[0].reason}. --on_bad_record=skip leaves "
            f"out at most {MOST:.0%}. Is the disk still there? {dataset_info.remedy(info)}"
        )


def leave_out(
    model_dir: str,
    data_dir: str,
    info: dataset_info.DatasetInfo,
    split: str,
    bad: list[BadRecord],
    start_example: int,
) -> tuple[LeftOut, ...]:
    """Copies the good records of bad shards to the run directory; returns all lists so far.

    `bad` are all bad records of the split. The run goes on without them from `start_example`; lists
    of later restarts are void. ValueError: too many are bad (`check_share`).
    """
    check_share(info, split, bad)
    copies = {}
    for shard in info.splits[split].shards:
        own = {one.record for one in bad if one.file == shard.file}
        if not own:
            continue
        path = os.path.join(model_dir, FOLDER, f"{start_example:012d}", shard.file)
        count = shard.examples - len(own)
        if count:
            tf.io.gfile.makedirs(os.path.dirname(path))
            source = os.path.join(data_dir, shard.file)
            spans, _, _ = whole_records(source)
            with tf.io.TFRecordWriter(path) as writer:
                for number, span in enumerate(spans):
                    if number not in own:
                        writer.write(tfrecord_files.read(source, span, number))
            files.to_disk(path)
        copies[shard.file] = (path, count)
    earlier = [one for one in load(model_dir) if one.start_example < start_example]
    left_out = (*earlier, LeftOut(start_example, tuple(bad), copies))
    lists = [dataclasses.asdict(one) for one in left_out]
    files.write(os.path.join(model_dir, FILE), json.dumps(lists, indent=1))
    return left_out


def load(model_dir: str) -> tuple[LeftOut, ...]:
    """What a run has left out so far, a list for each time it found some; empty if nothing.

    ValueError: the file is damaged.
    """
    path = os.path.join(model_dir, FILE)
    if not tf.io.gfile.exists(path):
        return ()
    try:
        with tf.io.gfile.GFile(path) as file:
            return tuple(
                LeftOut(
                    one["start_example"],
                    tuple(BadRecord(*record) for record in one["records"]),
                    {
                        name: (_here(model_dir, copy), count)
                        for name, (copy, count) in one["copies"].items()
                    },
                )
                for one in json.loads(file.read())
            )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}). It says which records the run leaves out; without it "
            "the run cannot go on as it began. Restore it, or use another --model_dir."
        ) from error


def _here(model_dir, copy):
    """A copy's path below the run directory as it is named now: it may have been moved since."""
    return os.path.join(model_dir, FOLDER, *copy.split("/")[-2:])


def count(left_out: tuple[LeftOut, ...], start_example: int) -> int:
    """How many records a run passes over that goes on from `start_example`."""
    made = [one for one in left_out if one.start_example <= start_example]
    return len(made[-1].records) if made else 0


def position(start_example: int, counts: list[int], starts: list[int]) -> tuple[int, int]:
    """Where a pipeline stands: (epochs finished, records of the next one already taken).

    Every list of bad records ends epochs of the old length and begins those of a new one, where the
    pipeline stood: no image is taken again because the number of images changed.

    `start_example` counts what this pipeline has yielded; `counts` are the records of an epoch,
    first without any list, then with each; `starts` is the `start_example` of each list, ascending.
    """
    shift, examples = 0, counts[0]
    for start, count in zip(starts, counts[1:], strict=True):
        epoch, taken = divmod(start + shift, examples)
        shift = epoch * count + min(taken, count) - start
        examples = count
    return divmod(start_example + shift, examples)
