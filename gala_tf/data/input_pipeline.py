"""From shards to batches: an endless stream for training, and every image once for evaluation.

A batch is a dict of static shapes, every key always there:

    image         uint8   [B, S, S, 3]  pixels 0...255; the model normalises, on the device
    label         int32   [B]           0-based
    clickmap      float32 [B, h, h, 1]  >= 0, any scale; all zero where has_clickmap is 0
    has_clickmap  float32 [B]           0 for a missing, empty or non-finite map, else 1
    mirrored      float32 [B]           training only: 1 where image, but not clickmap, is still
                                        to be mirrored, by `preprocessing.mirror`, on the device
    is_real       float32 [B]           evaluation only: 0 for padding
    image_index   int32   [B]           evaluation only: place in the split, -1 for padding

Training maps are cheap where they can be: if the blur asked for is the stored one, the record's
small blurred grid is read. Evaluation and the human ceiling start from the integer counts and
compute in float64, so that ties survive.

Of several input pipelines (hosts), pipeline i of n reads the shards i, i + n, ... of a split. They
keep pace, so an epoch is as long as the smallest pipeline: no image comes twice in it, and of the
larger ones some, drawn anew, are left out.
Dimension letters: B batch, S side of the image, h side of the map, P participants.
"""

import os

import tensorflow as tf

from gala_tf.data import bad_records, dataset_info, preprocessing, reading, records

BLOCK = 64  # records that are parsed, and drawn windows for, by one call
PREFETCHED = 2  # batches, beside those that are being filled
FILES_AT_ONCE = 16  # shards read side by side: hides latency, mixes ahead of the shuffle buffer
ORDER_STREAM, AUGMENTATION_STREAM = 0, 1  # folded into the seed: an own source of bits for each
CROPS = ("paper", "inception", "center")


# --------------------------------------------------------------------------- training


def make_train_dataset(
    data_dir,
    info,
    split,
    *,
    batch_size,
    image_size,
    clickmap_size,
    clickmap_blur,
    clickmap_resize="bicubic",
    map_source="clickmaps",
    crop="paper",
    crop_fraction=0.875,
    flip=True,
    seed=0,
    start_example=0,
    shuffle_buffer=10_000,
    left_out=(),
    input_context=None,
):
    """An endless dataset of training batches.

    What it yields depends on these arguments alone, not on the program's global seed. Epochs
    follow each other without a gap: each image comes once an epoch, and a batch may hold the end
    of one epoch and the beginning of the next. Restarted at `start_example` it goes on, bit for
    bit, as if it had never stopped; the records skipped on the way are read but not decoded.

    Args:
        data_dir: the directory of the shards.
        info: its `dataset_info.DatasetInfo`.
        split: name of a split.
        batch_size: B, of one replica.
        image_size: S, pixels.
        clickmap_size: h, pixels.
        clickmap_blur: a `clickmaps.Blur`, in pixels of the stored image.
        clickmap_resize: "bilinear", "bicubic" or "area".
        map_source: "clickmaps", or "boxes" for the blurred rectangle that spans each.
        crop: "paper", "inception" or "center"; see `preprocessing`.
        crop_fraction: side of the paper's and of the central crop / short side of the image.
        flip: mirror half of the images, and their maps with them.
        seed: of order and augmentation.
        start_example: examples already taken, by all replicas of all pipelines together.
        shuffle_buffer: records (undecoded) among which the next one is drawn.
        left_out: `bad_records.LeftOut` of all restarts so far, in order; the last one is read by,
            the others say where in its epoch the run stood when each was made.
        input_context: a `tf.distribute.InputContext`; None is a single pipeline.

    Raises:
        ValueError: an unknown choice or split, a missing or damaged shard, a split without
            examples, fewer shards than pipelines.
    """
    reading.check_choice("crop", crop, CROPS)
    map_features, read_clickmap = reading.clickmap_reader(info, map_source, clickmap_blur)
    pipeline, pipelines, _ = reading.pipeline_numbers(input_context)
    # Those that lie ahead, of a run that restarts before them, will be found again.
    left_out = [one for one in left_out if one.start_example <= start_example]
    shards, counts = _own_shards(data_dir, info, split, left_out, pipeline, pipelines)
    starts = [one.start_example // pipelines for one in left_out]
    # Blocks are counted from the last restart, and read whole: what is drawn does not depend on
    # where in a block training stops.
    base = starts[-1] if starts else 0
    block, used = divmod(start_example // pipelines - base, BLOCK)
    epoch, taken = bad_records.position(base + block * BLOCK, counts, starts)

    resize = reading.resize_method(info, crop, crop_fraction, image_size)
    stream = _fold_in(_fold_in((seed, 0), AUGMENTATION_STREAM), base)
    # Stored grids are all of one size: a batch of them is cut at once, at a fraction of the cost.
    in_batches = map_features == ["clickmap/blurred"]

    def cut_clickmap(record):
        counts, blur = read_clickmap(record)
        return preprocessing.cut_clickmap(
            counts,
            record["window"],
            record["mirrored"],
            reading.image_shape(record),
            clickmap_size,
            clickmap_resize,
            blur,
        )

    def draw(number, serialized):  # [BLOCK]: an operation costs as much for one as for many
        # Numbered among the blocks of all pipelines: no two share a seed.
        block_seed = _fold_in(stream, number * pipelines + pipeline)
        names = [*reading.IMAGE_FEATURES, *map_features]
        record = reading.parse(serialized, names, info.num_classes)
        shape = reading.image_shape(record)
        if crop == "paper":
            record["window"] = preprocessing.paper_window(block_seed, *shape, crop_fraction)
        elif crop == "inception":  # drawn image by image
            record["seed"] = preprocessing.split_seed(block_seed, BLOCK)
        else:
            record["window"] = preprocessing.center_window(*shape, crop_fraction)
        flips = preprocessing.random_flip(block_seed, [BLOCK]) if flip else tf.zeros([BLOCK], bool)
        record["mirrored"] = flips
        return record

    def cut(record):
        if crop == "inception":
            record["window"] = preprocessing.inception_window(
                record.pop("seed"), *reading.image_shape(record)
            )
        encoded = record.pop("image/encoded")
        image = preprocessing.cut_image(encoded, record["window"], image_size, resize)
        if not in_batches:
            record["clickmap"] = cut_clickmap(record)
            kept = ("image/class/label", "mirrored", "clickmap")  # of one shape in all records
            record = {name: record[name] for name in kept}
        return image, record

    def finish(image, record):
        clickmap = cut_clickmap(record) if in_batches else record["clickmap"]
        mirrored = tf.cast(record["mirrored"], tf.float32)
        return {**reading.example(image, record, clickmap), "mirrored": mirrored}

    return (
        _shuffled_epochs(shards, seed, epoch, shuffle_buffer, counts[-1])
        .skip(taken)  # ahead of all decoding
        .batch(BLOCK, drop_remainder=True)
        .enumerate(block)
        .map(draw)
        .unbatch()
        .skip(used)
        .map(cut, num_parallel_calls=os.cpu_count())  # nearly all of the work
        .batch(batch_size, drop_remainder=True)  # static shapes; an endless stream has no remainder
        .map(finish)
        .prefetch(PREFETCHED)
        .with_options(training_options())
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

    Returns:
        ([(path, number of records)], [number of records of an epoch]).

    Raises:
        ValueError: a missing or damaged shard, or a pipeline, this one or another, has none.
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
            read_shard,
            cycle_length=at_once,
            num_parallel_calls=at_once,
            deterministic=True,
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


# --------------------------------------------------------------------------- evaluation


def make_eval_dataset(
    data_dir,
    info,
    split,
    *,
    batch_size,
    image_size,
    clickmap_size,
    clickmap_blur,
    crop_fraction=0.875,
    map_source="clickmaps",
    input_context=None,
):
    """A finite dataset that holds every image of a split once, padded to full batches.

    The central crop, and exact maps: sums of blurred integer counts over the cells of the target
    ("area"). Images come in the order of the pipeline's shards, and `image_index` says their
    place in the split. Every pipeline yields the same number of batches, and each of its replicas
    as many as the others, so that none runs dry before another: `eval_steps` steps in all.

    Args: as for `make_train_dataset`.

    Raises:
        ValueError: an unknown choice or split, a missing or damaged shard.
    """
    map_features, read_clickmap = reading.clickmap_reader(
        info, map_source, clickmap_blur, exact=True
    )
    resize = reading.resize_method(info, "center", crop_fraction, image_size)
    pipeline, pipelines, replicas = reading.pipeline_numbers(input_context)
    shards = reading.shards(data_dir, info, split)[pipeline::pipelines]
    paths, starts, counts = zip(*shards, strict=True) if shards else ((), (), ())

    def prepare(index, serialized):
        names = [*reading.IMAGE_FEATURES, *map_features]
        record = reading.parse(serialized, names, info.num_classes)
        shape = reading.image_shape(record)
        window = preprocessing.center_window(*shape, crop_fraction)
        counts, blur = read_clickmap(record)
        clickmap = preprocessing.cut_clickmap(
            counts, window, False, shape, clickmap_size, "area", blur, "float64"
        )
        image = preprocessing.cut_image(record["image/encoded"], window, image_size, resize)
        return {
            **reading.example(image, record, clickmap),
            "is_real": 1.0,
            "image_index": tf.cast(index, tf.int32),
        }

    real = (
        tf.data.Dataset.from_tensor_slices(
            (tf.constant(paths, tf.string), tf.constant(starts, tf.int64))
        )
        .flat_map(lambda path, start: tf.data.TFRecordDataset(path).enumerate(start))
        .apply(tf.data.experimental.assert_cardinality(sum(counts)))  # else the padding is wrong
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    )
    empty = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), real.element_spec)
    padding = tf.data.Dataset.from_tensors({**empty, "image_index": tf.constant(-1)})
    batches = replicas * eval_steps(info, split, batch_size, pipelines, replicas)
    return (
        real.concatenate(padding.repeat(batches * batch_size - sum(counts)))
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def eval_steps(info, split, batch_size, pipelines=1, replicas=1):
    """Steps in which all pipelines, each feeding `replicas` replicas, have yielded a whole split.

    Args:
        info: a `dataset_info.DatasetInfo`.
        split: name of a split.
        batch_size: of one replica.
    """
    counts = [shard.examples for shard in info.require_split(split).shards]
    most = max(sum(counts[pipeline::pipelines]) for pipeline in range(pipelines))
    return -(-most // (batch_size * replicas))


def image_ids(data_dir, info, split):
    """The names of a split's images; `image_index` counts in this list. Reads the whole split."""
    paths = dataset_info.check_shards(data_dir, info, split)
    dataset = tf.data.TFRecordDataset(paths).map(
        lambda serialized: records.parse_example(serialized, ["image/id"])["image/id"]
    )
    return [name.decode("utf-8") for name in dataset.as_numpy_iterator()]


def participant_maps(data_dir, info, split, *, clickmap_size, clickmap_blur, crop_fraction=0.875):
    """Exact maps of single participants, cut as `make_eval_dataset` cuts the sum of all.

    Returns:
        A list over the images that two participants or more have seen, in the order of the split,
        of float32 arrays [P, h * h]: what `metrics.human_ceiling` takes.

    Raises:
        ValueError: an unknown split, a missing or damaged shard.
    """
    paths = dataset_info.check_shards(data_dir, info, split)

    def cut_all(serialized):
        names = ["image/height", "image/width", "clickmap/by_participant"]
        record = reading.parse(serialized, names, info.num_classes)
        shape = reading.image_shape(record)
        window = preprocessing.center_window(*shape, crop_fraction)

        def cut(png):  # [h, h, 1]
            counts = records.decode_counts(png, *shape)
            return preprocessing.cut_clickmap(
                counts, window, False, shape, clickmap_size, "area", clickmap_blur, "float64"
            )

        signature = tf.TensorSpec([clickmap_size, clickmap_size, 1], tf.float32)
        maps = tf.map_fn(cut, record["clickmap/by_participant"], fn_output_signature=signature)
        return tf.reshape(maps, [-1, clickmap_size**2])  # [P, h * h]

    dataset = tf.data.TFRecordDataset(paths).map(cut_all, num_parallel_calls=tf.data.AUTOTUNE)
    return [maps for maps in dataset.as_numpy_iterator() if len(maps) > 1]


def _fold_in(seed, number):
    """A new seed [2] from a seed and a number, both int64."""
    return tf.random.experimental.stateless_fold_in(
        tf.cast(seed, tf.int64), tf.cast(number, tf.int64)
    )
