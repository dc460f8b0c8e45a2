"""A shard goes bad after training has begun to read it."""

import dataclasses
import functools
import hashlib
import shutil
import tempfile
from pathlib import Path

import small_data
import tensorflow as tf
from faults.failing import COUNTED, FAILURE, NAMED, Kind, empty, flip_a_bit, remove

from gala_tf.data import (
    bad_records,
    clickmaps,
    dataset_info,
    input_pipeline,
    left_out,
    reading,
    tfrecord_files,
)

SHARD = 1  # of the training split's
EXAMPLES, SHARDS = 60, 12  # 5 records each: less than the tenth that may be left out
BEGUN = 7  # examples taken before the damage
VIEW = input_pipeline.View(28, 7, clickmaps.parse_blur("box:5"), crop="center", flip=False)


@functools.cache
def data_set():
    folder = Path(tempfile.mkdtemp(prefix="records-"))
    return folder, small_data.build(folder, {"train": EXAMPLES}, SHARDS)


def forget():
    """Removes the data set."""
    if data_set.cache_info().currsize:
        shutil.rmtree(data_set()[0], ignore_errors=True)
        data_set.cache_clear()
        images.cache_clear()


def batches(folder, info, **others):
    order = input_pipeline.Order(**{"shuffle_buffer": 8, **others})
    return input_pipeline.make_train_dataset(str(folder), info, "train", VIEW, order, batch_size=1)


def digests(dataset, count):
    """What the images of single-image batches are, in order."""
    return [hashlib.md5(b["image"].numpy()).hexdigest() for b in dataset.take(count)]


@functools.cache
def images():
    """{(shard, record): digest} of the undamaged data set."""
    folder, info = data_set()
    found = {}
    for shard in info.splits["train"].shards:
        split = dataset_info.Split(shard.examples, 0, 0, 0, (shard,))
        rest = dataset_info.Split(0, 0, 0, 0, info.splits["train"].shards)  # so that all are listed
        only = dataclasses.replace(info, splits={"train": split, "rest": rest})
        in_order = digests(batches(folder, only, shuffle_buffer=1), shard.examples)
        found |= {(shard.file, number): digest for number, digest in enumerate(in_order)}
    return found


def span(path, record):
    """(first byte of a record, first byte of the next)."""
    spans, end, _ = bad_records.whole_records(str(path))
    begins = [span.offset - tfrecord_files.HEADER.size for span in spans]
    return [*begins, end][record : record + 2]


def in_data(path, rng):
    start, end = span(path, 2)
    flip_a_bit(path, rng, start + 12, end - 4)


def in_length(path, rng):
    start, _ = span(path, 2)
    flip_a_bit(path, rng, start, start + 12)


def in_checksum(path, rng):
    _, end = span(path, 2)
    flip_a_bit(path, rng, end - 4, end)


def inside(path, rng):
    start, end = span(path, 3)
    path.write_bytes(path.read_bytes()[: int(rng.integers(start + 1, end))])


def between(path, rng):
    path.write_bytes(path.read_bytes()[: span(path, 3)[0]])


def rewritten(edit):
    """Record 1 is another one, whose checksums are right; `edit` takes its map of features."""

    def damage(path, rng):
        data = [d.numpy() for d in tf.data.TFRecordDataset(str(path))]
        example = tf.train.Example.FromString(data[1])
        new = edit(example.features.feature, rng)
        data[1] = new if isinstance(new, bytes) else example.SerializeToString()
        with tf.io.TFRecordWriter(str(path)) as writer:
            for one in data:
                writer.write(one)

    return damage


def _set_label(value):
    return lambda features, rng: features["image/class/label"].int64_list.value.__setitem__(
        0, value
    )


def _noise_image(features, rng):
    features["image/encoded"].bytes_list.value[0] = rng.bytes(500)


def _half_image(features, rng):
    value = features["image/encoded"].bytes_list.value
    value[0] = value[0][: len(value[0]) // 2]


def _taller(features, rng):
    features["image/height"].int64_list.value[0] *= 3


def _no_label(features, rng):
    del features["image/class/label"]


def _another_schema(features, rng):
    features["schema_version"].int64_list.value[0] = 7


def _one_more(path, rng):
    data = [d.numpy() for d in tf.data.TFRecordDataset(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in [*data, data[0]]:
            writer.write(one)


# name: (damage, records that it costs, seeds)
DAMAGES = {
    "a bit of the data flips": (in_data, {2}, 3),
    "a bit of a length flips": (in_length, {2, 3, 4}, 2),
    "a bit of a checksum flips": (in_checksum, {2}, 1),
    "cut inside a record": (inside, {3, 4}, 1),
    "cut between records": (between, {3, 4}, 1),
    "empty": (empty, {0, 1, 2, 3, 4}, 1),
    "missing": (remove, {0, 1, 2, 3, 4}, 1),
    "record is noise": (rewritten(lambda features, rng: rng.bytes(800)), {1}, 1),
    "image is noise": (rewritten(_noise_image), {1}, 1),
    "image cut off": (rewritten(_half_image), {1}, 1),
    "image smaller than recorded": (rewritten(_taller), {1}, 1),
    "label -1": (rewritten(_set_label(-1)), {1}, 1),
    "label beyond the classes": (rewritten(_set_label(4)), {1}, 1),
    "no label": (rewritten(_no_label), {1}, 1),
}


def _read_on(folder, rng, damage):
    """Damages a copy while it is read; (its folder, the error that came of it)."""
    source, info = data_set()
    data = folder / "data"
    shutil.copytree(source, data)
    dataset = batches(data, info)  # which has looked at all files
    damage(data / info.splits["train"].shards[SHARD].file, rng)
    try:
        with reading.named_records(str(data), info, "train"):
            digests(dataset, 2 * EXAMPLES)
    except ValueError as error:
        return data, error
    return data, None


def _damaged(damage, lost, skip, folder, rng):
    """What comes of damage that costs the records `lost`."""
    _, info = data_set()
    file = info.splits["train"].shards[SHARD].file
    data, error = _read_on(folder, rng, damage)
    text = str(error)
    if not isinstance(error, bad_records.BadRecordsError):
        return FAILURE, text
    if not (file in text and "Record" in text and "byte" in text):
        return FAILURE, f"it names too little: {text}"
    if {(one.file, one.record) for one in error.bad} != {(file, number) for number in lost}:
        return FAILURE, f"expected {sorted(lost)}, found {error.bad}"
    return _without(folder / "run", data, info, error.bad) if skip else (NAMED, text)


def _without(run, data, info, bad):
    """Goes on without bad records; compares the images with those that must be left."""
    lists = left_out.leave_out(str(run), str(data), info, "train", bad, BEGUN)
    good = sorted(d for place, d in images().items() if place not in {(b[0], b[1]) for b in bad})
    rest = len(good) - BEGUN  # of the first epoch
    two = digests(batches(data, info, left_out=lists, start_example=BEGUN), rest + len(good))
    if sorted(two[rest:]) != good or len(set(two[:rest])) != rest or not set(two) <= set(good):
        return FAILURE, "other images than the good ones, or some of them twice"
    loaded = left_out.load(str(run))
    for later in (9, len(two) - 5):
        rest_of = batches(data, info, left_out=loaded, start_example=BEGUN + later)
        if digests(rest_of, len(two) - later) != two[later:]:
            return FAILURE, "another order after a restart"
    return COUNTED, f"{left_out.count(loaded, BEGUN)} left out; {bad[0].reason}"


def _refused(damage, words, folder, rng):
    """Not damage, but another data set: refused even where bad records are left out."""
    _, error = _read_on(folder, rng, damage)
    text = str(error)
    refused = isinstance(error, ValueError) and not isinstance(error, bad_records.BadRecordsError)
    return (NAMED if refused and words in text else FAILURE), text


def _too_many(folder, rng):
    """Two shards of twelve are gone."""
    _, info = data_set()
    other = info.splits["train"].shards[4].file

    def damage(path, rng):
        path.unlink()
        (path.parent / other).unlink()

    data, error = _read_on(folder, rng, damage)
    try:
        left_out.leave_out(str(folder / "run"), str(data), info, "train", error.bad, 0)
    except ValueError as refusal:
        return (NAMED if "Is the disk still there" in str(refusal) else FAILURE), str(refusal)
    return FAILURE, "a sixth of the data set was left out"


FAULTS = {
    f"shard, {policy}: {name}": Kind(
        functools.partial(_damaged, damage, lost, policy == "skip"),
        (COUNTED if policy == "skip" else NAMED,),
        seeds,
    )
    for policy in ("fail", "skip")
    for name, (damage, lost, seeds) in DAMAGES.items()
} | {
    "shard: record of another schema": Kind(
        functools.partial(_refused, rewritten(_another_schema), "schema_version 7"), (NAMED,)
    ),
    "shard: one record more than listed": Kind(
        functools.partial(_refused, _one_more, "holds 6 records, expected 5"), (NAMED,)
    ),
    "shard, skip: a sixth of the split is gone": Kind(_too_many, (NAMED,)),
}
