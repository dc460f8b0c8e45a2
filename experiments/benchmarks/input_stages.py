"""Our input pipeline, its limits, how far a record gets in it, and images stored in other ways."""

import tensorflow as tf
from input_data import BATCH, Data

from gala_tf import clickmaps, input_pipeline, preprocessing, records

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
    if function:
        dataset = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


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
    """(number, serialised record), endlessly, by one reader."""
    return tf.data.TFRecordDataset(data.paths).repeat().shuffle(SHUFFLE, seed=0).enumerate()


def _cut_maps(batch):
    grids = records.decode_blurred(batch[MAP], 64)
    return preprocessing.cut_clickmap(
        grids, batch["window"], batch["mirrored"], _shape(batch), MAP_SIDE, "bicubic"
    )


def stages(data: Data, crop: str) -> dict:
    """{how far: dataset}."""

    def parse(number, serialized):
        return {**records.parse_example(serialized, [*FEATURES, MAP]), "number": number}

    def draw(*element):
        record = parse(*element)
        seed = tf.stack([tf.constant(0, tf.int64), record["number"]])
        window = _window(crop, seed, _shape(record))
        return {**record, "window": window, "mirrored": preprocessing.random_flip(seed)}

    def decode(*element):
        record = draw(*element)
        jpeg = record.pop("image/encoded")
        return {**record, "image": tf.io.decode_and_crop_jpeg(jpeg, record["window"], **DECODING)}

    def resize(*element):
        record = draw(*element)
        resize = None if crop == "paper" else "bilinear"
        jpeg = record.pop("image/encoded")
        return {**record, "image": preprocessing.cut_image(jpeg, record["window"], SIDE, resize)}

    def small(stage):
        def function(*element):
            record = stage(*element)
            pixel = _one_pixel(record.pop("image")) if "image" in record else 0
            return {**record, "pixel": pixel}

        return function

    source = _shuffled(data)
    found = {
        "  read, shuffle": _batches(source),
        "  + parse": _batches(source, parse),
        "  + window, mirror flag": _batches(source, draw),
        "  + decode the window": _batches(source, small(decode)),
    }
    if crop == "inception":
        found["  + resize to 224"] = _batches(source, small(resize))
    whole = _batches(source, resize)
    found["  + copy into batches"] = whole
    found["  + maps, in batches"] = whole.map(
        lambda batch: {**batch, "clickmap": _cut_maps(batch)}, num_parallel_calls=1
    )
    return found


def stored_otherwise(data: Data, folder) -> dict:
    """Images decoded once and for all, 256x256x3 uint8: {where they are kept: dataset}."""

    def decode(serialized):
        record = records.parse_example(serialized, [*FEATURES, MAP])
        image = tf.io.decode_jpeg(record.pop("image/encoded"), **DECODING)
        return {**record, "image": tf.ensure_shape(image, [256, 256, 3])}

    def cut(number, record):
        seed = tf.stack([tf.constant(0, tf.int64), number])
        window = _window("paper", seed, _shape(record))
        corner, size = tf.concat([window[:2], [0]], 0), [SIDE, SIDE, 3]
        image = tf.slice(record["image"], corner, size)
        flag = preprocessing.random_flip(seed)
        return {**record, "image": image, "window": window, "mirrored": flag}

    def finish(dataset):
        batches = _batches(dataset.repeat().shuffle(SHUFFLE, seed=0).enumerate(), cut)
        return batches.map(
            lambda batch: {**batch, "clickmap": _cut_maps(batch)}, num_parallel_calls=1
        )

    def raw(serialized):
        features = {name: records.FEATURES[name] for name in [*FEATURES, MAP]}
        spec = {n: tf.io.FixedLenFeature(f.shape, f.dtype) for n, f in features.items()}
        record = tf.io.parse_single_example(serialized, spec)
        pixels = tf.io.decode_raw(record.pop("image/encoded"), tf.uint8)
        return {**record, "image": tf.reshape(pixels, [256, 256, 3])}

    _write_raw(folder / "raw.tfrecord", data)
    shards = tf.data.TFRecordDataset(data.paths)
    some = shards.take(data.distinct)  # that memory is asked for a few only
    return {
        "records cached in memory": _batches(
            some.cache().repeat().shuffle(SHUFFLE, seed=0).enumerate(),
            lambda number, record: cut(number, decode(record)),
        ).map(lambda batch: {**batch, "clickmap": _cut_maps(batch)}, num_parallel_calls=1),
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
