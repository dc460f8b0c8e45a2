"""Reading a split: which shards, how a record is parsed and its map read, what names a bad record.

What training (`input_pipeline`) and evaluation (`eval_pipeline`) share.
"""

import contextlib

import tensorflow as tf

from gala_tf.data import bad_records, clickmaps, dataset_info, map_operators, preprocessing, records
from gala_tf.data.contracts import Batch

MAP_SOURCES = ("clickmaps", "boxes")
IMAGE_FEATURES = ("image/encoded", "image/height", "image/width", "image/class/label")


@contextlib.contextmanager
def named_records(data_dir, info, split, left_out=()):
    """While it lasts, an error of reading a split becomes one that names shard and record.

    `left_out`: a `left_out.LeftOut` a restart so far; what the last one lists is not read anyhow.
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


def shards(data_dir, info, split, bad=()):
    """A split's files, in order: [(path, place of its first example in the split, examples)].

    Shards named in `bad` need not be as the sidecar says. ValueError: an unknown split, a missing
    or damaged shard.
    """
    found, start = [], 0
    paths = dataset_info.check_shards(data_dir, info, split, bad)
    for path, shard in zip(paths, info.splits[split].shards, strict=True):
        found.append((path, start, shard.examples))
        start += shard.examples
    return found


def pipeline_numbers(input_context):
    """Index of this pipeline, number of pipelines, replicas that each of them feeds."""
    if input_context is None:
        return 0, 1, 1
    pipelines = input_context.num_input_pipelines
    replicas = input_context.num_replicas_in_sync // pipelines
    return input_context.input_pipeline_id, pipelines, replicas


def clickmap_reader(info, map_source, blur, exact=False):
    """How a map is read: (names of the features that hold it, function of a record).

    function(record) -> (map [H, W] or [B, G, G], the blur still due of the `blur` asked for).
    `exact`: from integer counts in any case, not from the small blurred grid. ValueError: an
    unknown map source.
    """
    check_choice("map_source", map_source, MAP_SOURCES)
    if map_source == "boxes":
        return ["clickmap/box"], lambda record: (
            map_operators.box_map(record["clickmap/box"], *image_shape(record)),
            blur,
        )
    if not exact and blur == clickmaps.parse_blur(info.clickmap_blur):
        return ["clickmap/blurred"], lambda record: (
            records.decode_blurred(record["clickmap/blurred"], info.clickmap_grid),
            clickmaps.NO_BLUR,
        )
    return ["clickmap/counts"], lambda record: (
        records.decode_counts(record["clickmap/counts"], *image_shape(record)),
        blur,
    )


def parse(serialized, names, classes):
    """Features of a record, or of records [B], once schema version and label are found to fit.

    A label outside would be a loss that means nothing, or NaN, depending on the device.
    tf.errors.InvalidArgumentError: one is not; `named_records` says of which record.
    """
    record = records.parse_example(serialized, [*names, "schema_version"])
    sound = tf.equal(record.pop("schema_version"), dataset_info.SCHEMA_VERSION)
    if "image/class/label" in record:
        label = record["image/class/label"]
        sound &= (label >= 0) & (label < classes)
    check = tf.debugging.Assert(
        tf.reduce_all(sound), ["not the schema version, or not a label, expected"]
    )
    with tf.control_dependencies([] if check is None else [check]):
        return {name: tf.identity(tensor) for name, tensor in record.items()}


def resize_method(info, crop, crop_fraction, image_size):
    """How to bring windows to `image_size` pixels: "bilinear", or None if all are of that size."""
    sizes = info.image
    if (
        crop != "inception"
        and (sizes.min_height, sizes.min_width) == (sizes.max_height, sizes.max_width)
        and preprocessing.fixed_side(sizes.min_height, sizes.min_width, crop_fraction) == image_size
    ):
        return None
    return "bilinear"


def image_shape(record):
    """(height, width) of the stored image, int32 tensors: scalars, or [B]."""
    return tf.cast(record["image/height"], tf.int32), tf.cast(record["image/width"], tf.int32)


def example(image, record, clickmap) -> Batch:
    """The entries that batches of training and evaluation share, of one example or of a batch.

    `clickmap`, float32 [..., h, h, 1], may still be empty, negative or not finite.
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


def check_choice(name, value, choices):
    """Raises ValueError if an argument is none of its choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; received {value!r}.")
