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

import contextlib
import os

import tensorflow as tf

from gala_tf import bad_records, clickmaps, preprocessing, records

BLOCK = 64  # records that are parsed, and drawn windows for, by one call
PREFETCHED = 2  # batches, beside those that are being filled
FILES_AT_ONCE = 16  # shards read side by side: hides latency, mixes ahead of the shuffle buffer
ORDER_STREAM, AUGMENTATION_STREAM = 0, 1  # folded into the seed: an own source of bits for each
CROPS = ("paper", "inception", "center")
MAP_SOURCES = ("clickmaps", "boxes")
IMAGE_FEATURES = ("image/encoded", "image/height", "image/width", "image/class/label")


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
        info: its `records.DatasetInfo`.
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
    _check_choice("crop", crop, CROPS)
    map_features, read_clickmap = _clickmap_reader(info, map_source, clickmap_blur)
    pipeline, pipelines, _ = _context_numbers(input_context)
    # Those that lie ahead, of a run that restarts before them, will be found again.
    left_out = [one for one in left_out if one.start_example <= start_example]
    shards, counts = _own_shards(data_dir, info, split, left_out, pipeline, pipelines)
    starts = [one.start_example // pipelines for one in left_out]
    # Blocks are counted from the last restart, and read whole: what is drawn does not depend on
    # where in a block training stops.
    base = starts[-1] if starts else 0
    block, used = divmod(start_example // pipelines - base, BLOCK)
    epoch, taken = bad_records.position(base + block * BLOCK, counts, starts)

    resize = _resize_method(info, crop, crop_fraction, image_size)
    stream = _fold_in(_fold_in((seed, 0), AUGMENTATION_STREAM), base)
    # Stored grids are all of one size: a batch of them is cut at once, at a fraction of the cost.
    in_batches = map_features == ["clickmap/blurred"]

    def cut_clickmap(record):
        counts, blur = read_clickmap(record)
        return preprocessing.cut_clickmap(
            counts,
            record["window"],
            record["mirrored"],
            _image_shape(record),
            clickmap_size,
            clickmap_resize,
            blur,
        )

    def draw(number, serialized):  # [BLOCK]: an operation costs as much for one as for many
        # Numbered among the blocks of all pipelines: no two share a seed.
        block_seed = _fold_in(stream, number * pipelines + pipeline)
        record = _parse(serialized, [*IMAGE_FEATURES, *map_features], info.num_classes)
        if crop == "paper":
            record["window"] = preprocessing.paper_window(
                block_seed, *_image_shape(record), crop_fraction
            )
        elif crop == "inception":  # drawn image by image
            record["seed"] = preprocessing.split_seed(block_seed, BLOCK)
        else:
            record["window"] = preprocessing.center_window(*_image_shape(record), crop_fraction)
        flips = preprocessing.random_flip(block_seed, [BLOCK])
        record["mirrored"] = flips if flip else tf.zeros_like(flips)
        return record

    def cut(record):
        if crop == "inception":
            record["window"] = preprocessing.inception_window(
                record.pop("seed"), *_image_shape(record)
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
        return {**_example(image, record, clickmap), "mirrored": mirrored}

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
    # It measures every stage for every record, to arrive at about the numbers that are given here.
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
    whole = _shards(data_dir, info, split, copies)
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
    total = sum(count for _, count in shards)
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
            cycle_length=min(FILES_AT_ONCE, len(shards)),
            num_parallel_calls=min(FILES_AT_ONCE, len(shards)),
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
    map_features, read_clickmap = _clickmap_reader(info, map_source, clickmap_blur, exact=True)
    resize = _resize_method(info, "center", crop_fraction, image_size)
    pipeline, pipelines, replicas = _context_numbers(input_context)
    shards = _shards(data_dir, info, split)[pipeline::pipelines]
    paths, starts, counts = zip(*shards, strict=True) if shards else ((), (), ())

    def prepare(index, serialized):
        record = _parse(serialized, [*IMAGE_FEATURES, *map_features], info.num_classes)
        shape = _image_shape(record)
        window = preprocessing.center_window(*shape, crop_fraction)
        counts, blur = read_clickmap(record)
        clickmap = preprocessing.cut_clickmap(
            counts, window, False, shape, clickmap_size, "area", blur, "float64"
        )
        image = preprocessing.cut_image(record["image/encoded"], window, image_size, resize)
        return {
            **_example(image, record, clickmap),
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
        info: a `records.DatasetInfo`.
        split: name of a split.
        batch_size: of one replica.
    """
    counts = [shard.examples for shard in info.require_split(split).shards]
    most = max(sum(counts[pipeline::pipelines]) for pipeline in range(pipelines))
    return -(-most // (batch_size * replicas))


def image_ids(data_dir, info, split):
    """The names of a split's images; `image_index` counts in this list. Reads the whole split."""
    paths = records.check_shards(data_dir, info, split)
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
    paths = records.check_shards(data_dir, info, split)

    def cut_all(serialized):
        names = ["image/height", "image/width", "clickmap/by_participant"]
        record = _parse(serialized, names, info.num_classes)
        shape = _image_shape(record)
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


# --------------------------------------------------------------------------- both


def check_records(data_dir, info, split):
    """Decodes every image and count map of a split.

    Raises:
        bad_records.BadRecordsError: a ValueError that names shard, record and byte.
        ValueError: the shards are not those that the sidecar describes.
    """
    bad = bad_records.find(data_dir, info, split)
    if bad:
        raise bad_records.BadRecordsError(bad_records.describe(data_dir, info, bad), bad)


@contextlib.contextmanager
def named_records(data_dir, info, split, left_out=()):
    """While it lasts, an error of reading a split becomes one that names shard and record.

    Args:
        left_out: `bad_records.LeftOut` of what is not read anyhow.

    Raises:
        bad_records.BadRecordsError: a ValueError; `.bad` are all bad records of the split. An error
            that reading it once more does not reproduce is raised as it came.
    """
    try:
        yield
    except (
        *bad_records.UNDECODABLE,
        tf.errors.DataLossError,
        tf.errors.FailedPreconditionError,  # fewer records than there should be
        tf.errors.NotFoundError,
    ) as error:
        print(f"a record of split {split!r} cannot be read; looking for it in {data_dir} ...")
        bad = bad_records.find(data_dir, info, split)
        known = {(r.file, r.record) for one in left_out[-1:] for r in one.records}
        new = [one for one in bad if (one.file, one.record) not in known]
        if not new:
            raise
        text = bad_records.describe(data_dir, info, new)
        raise bad_records.BadRecordsError(text, bad) from error


def _shards(data_dir, info, split, bad=()):
    """(path, place of its first example in the split, number of examples) of every shard.

    `bad` are names of shards that need not be as the sidecar says.
    """
    shards, start = [], 0
    paths = records.check_shards(data_dir, info, split, bad)
    for path, shard in zip(paths, info.splits[split].shards, strict=True):
        shards.append((path, start, shard.examples))
        start += shard.examples
    return shards


def _context_numbers(input_context):
    """Index of this pipeline, number of pipelines, replicas that each of them feeds."""
    if input_context is None:
        return 0, 1, 1
    pipelines = input_context.num_input_pipelines
    replicas = input_context.num_replicas_in_sync // pipelines
    return input_context.input_pipeline_id, pipelines, replicas


def _clickmap_reader(info, map_source, blur, exact=False):
    """The features a map is read from, and a function: record -> (map [H, W], blur still due)."""
    _check_choice("map_source", map_source, MAP_SOURCES)
    if map_source == "boxes":
        return ["clickmap/box"], lambda record: (
            clickmaps.box_map(record["clickmap/box"], *_image_shape(record)),
            blur,
        )
    if not exact and blur == clickmaps.parse_blur(info.clickmap_blur):
        return ["clickmap/blurred"], lambda record: (
            records.decode_blurred(record["clickmap/blurred"], info.clickmap_grid),
            clickmaps.NO_BLUR,
        )
    return ["clickmap/counts"], lambda record: (
        records.decode_counts(record["clickmap/counts"], *_image_shape(record)),
        blur,
    )


def _parse(serialized, names, classes):
    """Features of a record, or of records [B], once schema version and label are found to fit.

    A label outside would be a loss that means nothing, or NaN, depending on the device.

    Raises:
        tf.errors.InvalidArgumentError: one is not; `named_records` says of which record.
    """
    record = records.parse_example(serialized, [*names, "schema_version"])
    sound = tf.equal(record.pop("schema_version"), records.SCHEMA_VERSION)
    if "image/class/label" in record:
        label = record["image/class/label"]
        sound &= (label >= 0) & (label < classes)
    check = tf.debugging.Assert(
        tf.reduce_all(sound), ["not the schema version, or not a label, expected"]
    )
    with tf.control_dependencies([] if check is None else [check]):
        return {name: tf.identity(tensor) for name, tensor in record.items()}


def _resize_method(info, crop, crop_fraction, image_size):
    """How to bring windows to `image_size`; None if they are all of that size."""
    sizes = info.image
    if (
        crop != "inception"
        and (sizes.min_height, sizes.min_width) == (sizes.max_height, sizes.max_width)
        and preprocessing.fixed_side(sizes.min_height, sizes.min_width, crop_fraction) == image_size
    ):
        return None
    return "bilinear"


def _image_shape(record):
    """(height, width) of the stored image, int32 tensors: scalars, or [B]."""
    return tf.cast(record["image/height"], tf.int32), tf.cast(record["image/width"], tf.int32)


def _example(image, record, clickmap):
    """The entries that training and evaluation share, of one example or of a batch.

    `clickmap` [..., h, h, 1] may still be unfit.
    """
    clickmap = tf.maximum(clickmap, 0.0)  # bicubic kernels undershoot
    pixels = [-3, -2, -1]
    usable = tf.reduce_all(tf.math.is_finite(clickmap), pixels, keepdims=True)
    usable &= tf.reduce_any(clickmap > 0, pixels, keepdims=True)
    return {
        "image": image,
        "label": tf.cast(record["image/class/label"], tf.int32),
        "clickmap": tf.where(usable, clickmap, tf.zeros_like(clickmap)),
        "has_clickmap": tf.cast(tf.squeeze(usable, pixels), tf.float32),
    }


def _fold_in(seed, number):
    """A new seed [2] from a seed and a number, both int64."""
    return tf.random.experimental.stateless_fold_in(
        tf.cast(seed, tf.int64), tf.cast(number, tf.int64)
    )


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; received {value!r}.")
