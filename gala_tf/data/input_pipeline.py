"""From shards to batches of training: an endless stream (evaluation's is `eval_pipeline`).

What a batch holds is in `contracts.Batch`. Training maps are cheap where they can be: if the blur
asked for is the stored one, the record's small blurred grid is read.

Of several input pipelines (hosts), pipeline i of n reads the shards i, i + n, ... of a split. They
keep pace, so an epoch is as long as the smallest pipeline: no image comes twice in it, and of the
larger ones some, drawn anew, are left out.
Dimension letters: B batch, S side of the image, h side of the map.
"""

import dataclasses
import os
from typing import NamedTuple

import tensorflow as tf

from gala_tf.data import clickmaps, dataset_info, preprocessing, reading
from gala_tf.data.contracts import Batch
from gala_tf.data.left_out import LeftOut, position

BLOCK = 64  # records that are parsed, and drawn windows for, by one call
PREFETCHED = 2  # batches, beside those that are being filled
FILES_AT_ONCE = 16  # shards read side by side: hides latency, mixes ahead of the shuffle buffer
ORDER_STREAM, AUGMENTATION_STREAM = 0, 1  # folded into the seed: an own source of bits for each
CROPS = ("paper", "inception", "center")


@dataclasses.dataclass(frozen=True)
class View:
    """What a training example shows of a stored image, and of its click map."""

    image_size: int  # S, pixels
    clickmap_size: int  # h, pixels
    clickmap_blur: clickmaps.Blur  # in pixels of the stored image
    clickmap_resize: str = "bicubic"  # or "bilinear" or "area"
    clickmap_shift: float = 0.0  # in cells, `map_operators.alignment_shift`
    map_source: str = "clickmaps"  # or "boxes": the blurred rectangle that spans each
    crop: str = "paper"  # one of CROPS; see `preprocessing`
    crop_fraction: float = 0.875  # side of the paper's and the central crop / short side
    flip: bool = True  # mirror half of the images, and their maps with them


@dataclasses.dataclass(frozen=True)
class Order:
    """Which examples come when, from where on."""

    seed: int = 0  # of order and augmentation
    shuffle_buffer: int = 10_000  # records (undecoded) among which the next one is drawn
    start_example: int = 0  # examples already taken, by all replicas of all pipelines together
    # Of all restarts so far, in order; the last one is read by, the others say where in its epoch
    # the run stood when each was made.
    left_out: tuple[LeftOut, ...] = ()

    def known(self) -> list[LeftOut]:
        """The lists made up to here: a run that fell back behind one will make it again."""
        return [one for one in self.left_out if one.start_example <= self.start_example]


def make_train_dataset(
    data_dir: str,
    info: dataset_info.DatasetInfo,
    split: str,
    view: View,
    order: Order,
    *,
    batch_size: int,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """An endless dataset of training batches, of one replica's `batch_size` each.

    What it yields depends on these arguments alone, not on the program's global seed. Epochs follow
    each other without a gap: each image comes once an epoch, and a batch may hold the end of one
    epoch and the beginning of the next. Restarted at `order.start_example` it goes on, bit for bit,
    as if it had never stopped; the records skipped on the way are read but not decoded. ValueError:
    an unknown choice or split, a missing or damaged shard, a split without examples, fewer shards
    than pipelines.
    """
    reading.check_choice("crop", view.crop, CROPS)
    pipeline, pipelines, _ = reading.pipeline_numbers(input_context)
    shards, counts = _own_shards(data_dir, info, split, order.known(), pipeline, pipelines)
    start = _Start.of(order, counts, pipelines)
    stream = _fold_in(_fold_in((order.seed, 0), AUGMENTATION_STREAM), start.base)
    examples = _Examples(info, view, stream, pipeline, pipelines)
    return (
        _shuffled_epochs(shards, order.seed, start.epoch, order.shuffle_buffer, counts[-1])
        .skip(start.taken)  # ahead of all decoding
        .batch(BLOCK, drop_remainder=True)
        .enumerate(start.block)
        .map(examples.draw)
        .unbatch()
        .skip(start.used)
        .map(examples.cut, num_parallel_calls=os.cpu_count())  # nearly all of the work
        .batch(batch_size, drop_remainder=True)  # static shapes; an endless stream has no remainder
        .map(examples.finish)
        .prefetch(PREFETCHED)
        .with_options(training_options())
    )


class _Start(NamedTuple):
    """Where in its stream of records a pipeline begins."""

    base: int  # example from which blocks are counted: the last restart without some records
    epoch: int
    taken: int  # records of that epoch that earlier blocks have read
    block: int
    used: int  # records of that block that are already trained on

    @classmethod
    def of(cls, order, counts, pipelines):
        """`counts`: records of an epoch, without any list of what is left out, and with each."""
        starts = [one.start_example // pipelines for one in order.known()]
        base = starts[-1] if starts else 0
        # Blocks are read whole, so that what is drawn does not depend on where in one the
        # training stops.
        block, used = divmod(order.start_example // pipelines - base, BLOCK)
        epoch, taken = position(base + block * BLOCK, counts, starts)
        return cls(base, epoch, taken, block, used)


class _Examples:
    """From serialised records to a batch, in three stages: draw, cut, finish."""

    def __init__(self, info, view, stream, pipeline, pipelines):
        self.view, self.classes = view, info.num_classes
        self.stream = stream  # seed [2] of augmentation
        self.pipeline, self.pipelines = pipeline, pipelines
        self.map_features, self.read_clickmap = reading.clickmap_reader(
            info, view.map_source, view.clickmap_blur
        )
        self.resize = reading.resize_method(info, view.crop, view.crop_fraction, view.image_size)
        # Stored grids are all of one size: a batch of them is cut at once, at a fraction of the
        # cost.
        self.maps_in_batches = self.map_features == ["clickmap/blurred"]

    def draw(self, number, serialized):
        """Records [BLOCK] parsed, with a window and a mirror flag each.

        In blocks, because such small operations cost as much for one record as for many.
        """
        view = self.view
        # Numbered among the blocks of all pipelines: no two share a seed.
        seed = _fold_in(self.stream, number * self.pipelines + self.pipeline)
        names = [*reading.IMAGE_FEATURES, *self.map_features]
        record = reading.parse(serialized, names, self.classes)
        height, width = reading.image_shape(record)
        if view.crop == "paper":
            record["window"] = preprocessing.paper_window(seed, height, width, view.crop_fraction)
        elif view.crop == "inception":  # TensorFlow draws it image by image, in `cut`
            record["seed"] = preprocessing.split_seed(seed, BLOCK)
        else:
            record["window"] = preprocessing.center_window(height, width, view.crop_fraction)
        flips = preprocessing.random_flip(seed, [BLOCK]) if view.flip else tf.zeros([BLOCK], bool)
        record["mirrored"] = flips
        return record

    def cut(self, record):
        """(image uint8 [S, S, 3], the rest of what `finish` needs) of one record."""
        if self.view.crop == "inception":
            record["window"] = preprocessing.inception_window(
                record.pop("seed"), *reading.image_shape(record)
            )
        encoded = record.pop("image/encoded")
        image = preprocessing.cut_image(
            encoded, record["window"], self.view.image_size, self.resize
        )
        if not self.maps_in_batches:
            record["clickmap"] = self._cut_clickmap(record)
            kept = ("image/class/label", "mirrored", "clickmap")  # of one shape in all records
            record = {name: record[name] for name in kept}
        return image, record

    def finish(self, image, record) -> Batch:
        """A batch."""
        in_batches = self.maps_in_batches
        clickmap = self._cut_clickmap(record) if in_batches else record["clickmap"]
        mirrored = tf.cast(record["mirrored"], tf.float32)
        return {**reading.example(image, record, clickmap), "mirrored": mirrored}

    def _cut_clickmap(self, record):
        """float32 [h, h, 1] of one record, or [B, h, h, 1] of a batch."""
        counts, blur = self.read_clickmap(record)
        return preprocessing.cut_clickmap(
            counts,
            record["window"],
            record["mirrored"],
            reading.image_shape(record),
            self.view.clickmap_size,
            self.view.clickmap_resize,
            blur,
            shift=self.view.clickmap_shift,
        )


def training_options() -> tf.data.Options:
    """How the stages of training run."""
    found = tf.data.Options()
    # Images are copied into their batch by the threads that decode them.
    found.experimental_optimization.map_and_batch_fusion = True
    # It measures every stage for every record, which took 2 % of the time.
    found.autotune.enabled = False
    return found


def _own_shards(data_dir, info, split, left_out, pipeline, pipelines):
    """What a pipeline reads, and the records of an epoch of it: without any list, and with each.

    Returns ([(path, number of records)], [number of records of an epoch]). ValueError: a missing or
    damaged shard, or a pipeline, this one or another, has none.
    """
    copies = left_out[-1].copies if left_out else {}
    whole = reading.shards(data_dir, info, split, copies)
    by_pipeline = [
        [sum(n for _, n in _reading(whole[i::pipelines], one)) for one in (None, *left_out)]
        for i in range(pipelines)
    ]
    counts = [min(column) for column in zip(*by_pipeline, strict=True)]  # of an epoch, in each
    if not min(counts):  # of any: so that all hosts refuse, and none waits for another
        empty = next(i for i, column in enumerate(by_pipeline) if not min(column))
        raise ValueError(
            f"Split {split!r} in {data_dir!r} leaves input pipeline {empty} of {pipelines} "
            f"without an example: it has {len(info.splits[split].shards)} shards, expected at "
            f"least {pipelines} that are not empty. Build the data set with more shards, or train "
            "on fewer hosts."
        )
    return _reading(whole[pipeline::pipelines], left_out[-1] if left_out else None), counts


def _shuffled_epochs(shards, seed, first_epoch, shuffle_buffer, length):
    """Serialised records of epoch after epoch, each in an order given by (seed, epoch).

    Args:
        shards: (path, number of records) of each.
        length: records of an epoch; those beyond are left out, others in each epoch.
    """
    total, at_once = sum(count for _, count in shards), min(FILES_AT_ONCE, len(shards))
    paths, counts = (tf.constant(column) for column in zip(*shards, strict=True))

    def read_shard(index):
        # A file cut between two records reads as a shorter one, without an error.
        count = tf.cast(tf.gather(counts, index), tf.int64)
        known = tf.data.experimental.assert_cardinality(count)
        return tf.data.TFRecordDataset(tf.gather(paths, index)).apply(known)

    def epoch(number):
        # Dataset.shuffle mixes in the seed of the graph, by default the program's global seed. This
        # fixes it, in the graph of this function only. (Not 0: TensorFlow would then ask whether
        # the shuffle's seed is 0 too, in Python, of a tensor.)
        tf.random.set_seed(1)
        epoch_seed = _fold_in(_fold_in((seed, 0), ORDER_STREAM), number)
        order = tf.random.experimental.stateless_shuffle(tf.range(len(shards)), epoch_seed)
        # Drawn, because the first of the folded seed's two numbers is the same for all epochs.
        shuffle_seed = tf.random.stateless_uniform([], epoch_seed, 0, 2**31 - 1, tf.int64)
        dataset = tf.data.Dataset.from_tensor_slices(order).interleave(
            read_shard, cycle_length=at_once, num_parallel_calls=at_once, deterministic=True
        )
        if length < total:  # not the last ones: the shuffle buffer would always leave out the same
            ranks = tf.random.experimental.stateless_shuffle(
                tf.range(total), _fold_in(epoch_seed, 1)
            )
            kept = dataset.enumerate().filter(lambda i, _: tf.gather(ranks, i) < length)
            dataset = kept.map(lambda _, serialized: serialized)
        return dataset.shuffle(shuffle_buffer, shuffle_seed, reshuffle_each_iteration=False)

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch)


def _reading(shards, left_out):
    """(path, number of records) of what is read instead of (path, start, number) shards."""
    copies = left_out.copies if left_out else {}
    read = [copies.get(os.path.basename(path), (path, count)) for path, _, count in shards]
    return [(path, count) for path, count in read if count]


def _fold_in(seed, number):
    """A new seed [2] from a seed and a number, both int64."""
    return tf.random.experimental.stateless_fold_in(
        tf.cast(seed, tf.int64), tf.cast(number, tf.int64)
    )
