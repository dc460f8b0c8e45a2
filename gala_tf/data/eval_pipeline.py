"""A split for evaluation: every image once, exact maps, single images, and participants' maps.

What a batch holds is in `contracts.Batch`. Maps start from the integer counts and are computed in
float64, so that ties survive. Of several input pipelines (hosts), pipeline i of n reads the shards
i, i + n, ... of a split.
Dimension letters: B batch, N images, S side of the image, h side of the map, P participants.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from gala_tf.data import dataset_info, preprocessing, reading, records


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
    clickmap_shift=0.0,
    map_source="clickmaps",
    input_context=None,
):
    """A finite dataset that holds every image of a split once, padded to full batches.

    The central crop, and exact maps: sums of blurred integer counts over the cells of the target
    ("area"). Images come in the order of the pipeline's shards, and `image_index` says their
    place in the split. Every pipeline yields the same number of batches, and each of its replicas
    as many as the others, so that none runs dry before another: `eval_steps` steps in all.

    `batch_size` is one replica's; the rest as in `input_pipeline.View`. ValueError: an unknown
    choice or split, a missing or damaged shard.
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
        shape = height, width = reading.image_shape(record)
        window = preprocessing.center_window(height, width, crop_fraction)
        counts, blur = read_clickmap(record)
        clickmap = preprocessing.cut_clickmap(
            counts, window, False, shape, clickmap_size, "area", blur, "float64", clickmap_shift
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
    """Steps in which all pipelines, of `replicas` replicas each, have yielded a whole split."""
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


def read_examples(data_dir, info, split: str, places: Sequence[int], geometry: dict) -> dict:
    """What the evaluation pipeline yields for some places of a split, in their order.

    Args:
        places: in the split, 0..N-1.
        geometry: from `protocols.Paper`.

    Returns image [N, S, S, 3] uint8, label [N], clickmap [N, h, h, 1], has_clickmap [N], ...
    ValueError: a record that cannot be read.
    """
    wanted, found = set(map(int, places)), {}
    batch_size = min(64, info.require_split(split).examples)
    dataset = make_eval_dataset(data_dir, info, split, batch_size=batch_size, **geometry)
    with reading.named_records(data_dir, info, split):
        for batch in dataset:
            for number, index in enumerate(batch["image_index"].numpy().tolist()):
                if index in wanted:
                    found[index] = {name: part[number].numpy() for name, part in batch.items()}
            if len(found) == len(wanted):
                break
    examples = [found[int(place)] for place in places]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def participant_maps(
    data_dir, info, split, *, clickmap_size, clickmap_blur, crop_fraction=0.875, clickmap_shift=0.0
):
    """Exact maps of single participants, cut as `make_eval_dataset` cuts the sum of all.

    Returns a list over the images that two participants or more have seen, in the order of the
    split, of float32 arrays [P, h * h]: what `metrics.human_ceiling` takes. ValueError: an unknown
    split, a missing or damaged shard.
    """
    paths = dataset_info.check_shards(data_dir, info, split)

    def cut_all(serialized):
        names = ["image/height", "image/width", "clickmap/by_participant"]
        record = reading.parse(serialized, names, info.num_classes)
        shape = height, width = reading.image_shape(record)
        window = preprocessing.center_window(height, width, crop_fraction)

        def cut(png):  # [h, h, 1]
            counts, size = records.decode_counts(png, *shape), clickmap_size
            how = "area", clickmap_blur, "float64", clickmap_shift
            return preprocessing.cut_clickmap(counts, window, False, shape, size, *how)

        signature = tf.TensorSpec([clickmap_size, clickmap_size, 1], tf.float32)
        maps = tf.map_fn(cut, record["clickmap/by_participant"], fn_output_signature=signature)
        return tf.reshape(maps, [-1, clickmap_size**2])  # [P, h * h]

    dataset = tf.data.TFRecordDataset(paths).map(cut_all, num_parallel_calls=tf.data.AUTOTUNE)
    return [maps for maps in dataset.as_numpy_iterator() if len(maps) > 1]
