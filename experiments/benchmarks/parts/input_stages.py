"""Our input pipeline, its limits, how far a record gets in it, and images stored in other ways."""

import os

import tensorflow as tf
from parts.input_data import BATCH, Data

from gala_tf.data import clickmaps, input_pipeline, preprocessing, records, schema

SIDE, MAP_SIDE, FRACTION = 224, 14, 0.875
BLUR = clickmaps.parse_blur("box:49")
SHUFFLE = 512  # records; large enough to be filled once and for all before measuring begins
FEATURES = ["image/encoded", "image/height", "image/width", "image/class/label"]
MAP = "clickmap/blurred"
DECODING = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}  # as `preprocessing` decodes


def ours(data: Data, crop: str):
    """The training batches."""
    return input_pipeline.make_train_dataset(
        data.directory,
        data.info,
        "train",
        batch_size=BATCH,
        image_size=SIDE,
        clickmap_size=MAP_SIDE,
        clickmap_blur=BLUR,
        crop=crop,
        crop_fraction=FRACTION,
        shuffle_buffer=SHUFFLE,
    )


def _batches(dataset, function=None):
    """With as little beside the function as `input_pipeline` has."""
    if function:
        dataset = dataset.map(function, num_parallel_calls=os.cpu_count())
    dataset = dataset.batch(BATCH, drop_remainder=True).prefetch(input_pipeline.PREFETCHED)
    return dataset.with_options(input_pipeline.training_options())


def _one_pixel(image):
    """Decoded, but not copied into a batch."""
    return image[0, 0, 0]


def _in_memory(data):
    """The distinct JPEGs, endlessly."""
    jpegs = [records.parse_example(m, FEATURES)["image/encoded"].numpy() for m in data.messages()]
    return tf.data.Dataset.from_tensor_slices(jpegs).cache().repeat()


def decode_only(data: Data):
    """The limit."""
    return _batches(_in_memory(data), lambda x: _one_pixel(tf.io.decode_jpeg(x, **DECODING)))


def read_and_decode(data: Data):
    """The limit, from shards."""

    def decode(serialized):
        jpeg = records.parse_example(serialized, ["image/encoded"])["image/encoded"]
        return _one_pixel(tf.io.decode_jpeg(jpeg, **DECODING))

    return _batches(tf.data.TFRecordDataset(data.paths).repeat(), decode)


def _window(crop, seed, shape):
    if crop == "paper":
        return preprocessing.paper_window(seed, *shape, FRACTION)
    return preprocessing.inception_window(seed, *shape)


def _shape(record):
    return tuple(tf.cast(record[f"image/{side}"], tf.int32) for side in ("height", "width"))


def windows_only(data: Data, crop: str):
    """Decodes one window of each JPEG, drawn once."""

    def draw(number, serialized):
        record = records.parse_example(serialized, FEATURES)
        return record["image/encoded"], _window(crop, tf.stack([0, number]), _shape(record))

    drawn = tf.data.Dataset.from_tensor_slices(data.messages()).enumerate().map(draw)
    dataset = tf.data.Dataset.from_tensor_slices(
        tuple(map(list, zip(*drawn.as_numpy_iterator(), strict=True)))
    )
    return _batches(
        dataset.cache().repeat(),
        lambda x, w: _one_pixel(tf.io.decode_and_crop_jpeg(x, w, **DECODING)),
    )


def _shuffled(data):
    """Serialised records, endlessly, by one reader."""
    return tf.data.TFRecordDataset(data.paths).repeat().shuffle(SHUFFLE, seed=0)


def _cut_maps(batch):
    grids = records.decode_blurred(batch[MAP], 64)
    return preprocessing.cut_clickmap(
        grids, batch["window"], batch["mirrored"], _shape(batch), MAP_SIDE, "bicubic"
    )


def _parse(number, serialized):
    return {**records.parse_example(serialized, [*FEATURES, MAP]), "number": number}


def _drawn(serialized, crop):
    """Records, parsed and given windows (or seeds of theirs) in blocks, as ours are."""

    def draw(*block):
        record = _parse(*block)
        seed = tf.stack([tf.constant(0, tf.int64), record.pop("number")])
        if crop == "paper":
            record["window"] = preprocessing.paper_window(seed, *_shape(record), FRACTION)
        else:
            record["seed"] = preprocessing.split_seed(seed, BATCH)
        return {**record, "mirrored": preprocessing.random_flip(seed, [BATCH])}

    return _blocks(serialized).map(draw).unbatch()


def _blocks(serialized):
    return serialized.batch(BATCH, drop_remainder=True).enumerate()


def _with_window(record):
    if "seed" in record:
        record["window"] = preprocessing.inception_window(record.pop("seed"), *_shape(record))
    return record


def stages(data: Data, crop: str) -> dict:
    """{how far: dataset}."""

    def decode(record):
        jpeg = record.pop("image/encoded")
        window = _with_window(record)["window"]
        return tf.io.decode_and_crop_jpeg(jpeg, window, **DECODING), record

    def small(stage):
        def function(record):
            image, record = stage(record)
            return _one_pixel(image), record

        return function

    source = _shuffled(data)
    drawn, resize = _drawn(source, crop), _resize(crop)
    found = {
        "  read, shuffle": _batches(source),
        "  + parse": _blocks(source).map(_parse).prefetch(input_pipeline.PREFETCHED),
        "  + window, mirror flag": _batches(drawn, _with_window),
        "  + decode the window": _batches(drawn, small(decode)),
    }
    if crop == "inception":
        found["  + resize to 224"] = _batches(drawn, small(resize))
    found["  + copy into batches"] = _batches(drawn, resize)
    found["  + maps"] = found["  + copy into batches"].map(_with_maps)
    return found


def _resize(crop):
    how = None if crop == "paper" else "bilinear"

    def resize(record):
        jpeg = record.pop("image/encoded")
        return preprocessing.cut_image(jpeg, _with_window(record)["window"], SIDE, how), record

    return resize


def _with_maps(image, batch):
    return image, batch, _cut_maps(batch)


def stored_otherwise(data: Data, folder) -> dict:
    """Images decoded once and for all, 256x256x3 uint8: {where they are kept: dataset}."""

    def decode(serialized):
        record = records.parse_example(serialized, [*FEATURES, MAP])
        image = tf.io.decode_jpeg(record.pop("image/encoded"), **DECODING)
        return {**record, "image": tf.ensure_shape(image, [256, 256, 3])}

    def cut(number, record):
        seed = tf.stack([tf.constant(0, tf.int64), number])
        record["window"] = preprocessing.paper_window(seed, *_shape(record), FRACTION)
        corner, size = tf.concat([record["window"][:2], [0]], 0), [SIDE, SIDE, 3]
        record["mirrored"] = preprocessing.random_flip(seed)
        return tf.slice(record.pop("image"), corner, size), record

    def finish(dataset):
        shuffled = dataset.repeat().shuffle(SHUFFLE, seed=0).enumerate()
        return _batches(shuffled, cut).map(_with_maps)

    def raw(serialized):
        features = {name: schema.FEATURES[name] for name in [*FEATURES, MAP]}
        spec = {n: tf.io.FixedLenFeature(f.shape, f.dtype) for n, f in features.items()}
        record = tf.io.parse_single_example(serialized, spec)
        pixels = tf.io.decode_raw(record.pop("image/encoded"), tf.uint8)
        return {**record, "image": tf.reshape(pixels, [256, 256, 3])}

    _write_raw(folder / "raw.tfrecord", data)
    shards = tf.data.TFRecordDataset(data.paths)
    some = shards.take(data.distinct)  # that memory is asked for a few only
    return {
        "records cached in memory": _batches(
            _drawn(some.cache().repeat().shuffle(SHUFFLE, seed=0), "paper"), _resize("paper")
        ).map(_with_maps),
        "pixels cached in memory (197 kB)": finish(some.map(decode).cache()),
        "pixels in a snapshot (197 kB)": finish(
            some.map(decode).snapshot(str(folder / "snapshot"), compression=None)
        ),
        "pixels in records (197 kB)": finish(
            tf.data.TFRecordDataset(str(folder / "raw.tfrecord")).map(
                raw, num_parallel_calls=tf.data.AUTOTUNE
            )
        ),
    }


def _write_raw(path, data):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in data.messages():
            example = tf.train.Example.FromString(message)
            jpeg = example.features.feature["image/encoded"].bytes_list
            jpeg.value[0] = tf.io.decode_jpeg(jpeg.value[0], **DECODING).numpy().tobytes()
            writer.write(example.SerializeToString())
