"""How others read: the release's records, Harmonization's, a folder by Keras, Grain and PyTorch.

release          records of raw float32 image (256x256x3) and map, as serre-lab/gala_tpu reads them:
                 cropped at random, normalised, joined to 5 channels with the box, mirrored; without
                 the transposition for TPUs. Its blur runs on the device, and so is not here.
harmonization    256x256 JPEG of image and map, as serre-lab/Harmonization reads them: resized to
                 224 without a random crop; the map resized to 64, blurred, resized to 224
keras folder     `keras.utils.image_dataset_from_directory`: no random crop, no map
grain            `MapDataset` over the files with Pillow's decoder, uint8 out; the same crop, no map
torch folder     PyTorch's `DataLoader` over the files, with Pillow's decoder and with simplejpeg's
webdataset       the same of a tar of the files

Written anew from what those do, in today's TensorFlow.
"""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from parts import environments
from parts.input_data import BATCH, Data
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from faults.formats import clickme_harmonization, clickme_release  # noqa: E402

from gala_tf.data import records  # noqa: E402

FULL, SIDE = 256, 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HERE = Path(__file__).parent
TORCH_KINDS = [
    f"{source}-{by}" for source in ("folder", "webdataset") for by in ("pillow", "simplejpeg")
]


def write(folder: Path, data: Data) -> Path:
    """The same images and maps in the peers' formats; JPEGs in folders of classes and a tar."""
    released, harmonized = [], []
    for number, message in enumerate(data.messages()):
        record = records.parse_example(message)
        jpeg = record["image/encoded"].numpy()
        path = folder / "jpegs" / f"class{number % 4}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
        if data.info.image.storage != "square":
            continue
        counts = records.decode_counts(record["clickmap/counts"], FULL, FULL).numpy()
        picture = Image.open(io.BytesIO(jpeg))
        pixels = np.asarray(picture.convert("RGB"))
        if picture.mode != "RGB":  # Harmonization's reader takes three channels only
            jpeg = clickme_harmonization.jpeg(pixels)
        released.append(
            clickme_release.record(
                pixels.astype(np.float32) / 255,
                number % 4,
                counts[..., None].astype(np.float32),
                370,
                bbox=(10, 20, 200, 220),
            )
        )
        heatmap = (counts * (255 / max(counts.max(), 1))).astype(np.uint8)[..., None]
        harmonized.append(
            clickme_harmonization.record(jpeg, clickme_harmonization.jpeg(heatmap), number % 4)
        )
    with tarfile.open(folder / "jpegs" / "all.tar", "w") as tar:
        for path in sorted((folder / "jpegs").rglob("*.jpg")):
            tar.add(path, path.name)
    if released:
        clickme_release.write_records(folder / "release.tfrecord", released)
        clickme_harmonization.write_shard(folder, "train", 0, harmonized)
    return folder


def release(folder: Path) -> dict:
    """{name: dataset}."""
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "heatmap": tf.io.FixedLenFeature([], tf.string, ""),
        "click_count": tf.io.FixedLenFeature([], tf.int64),
        "bbox": tf.io.FixedLenFeature([4], tf.int64, [0] * 4),
    }

    def read(serialized):
        record = tf.io.parse_single_example(serialized, spec)
        top, left = tf.unstack(tf.random.uniform([2], 0, FULL - SIDE, tf.int32))

        def crop(pixels, channels):
            pixels = tf.reshape(pixels, [FULL, FULL, channels])
            return tf.image.crop_to_bounding_box(pixels, top, left, SIDE, SIDE)

        y, x, bottom, right = tf.unstack(tf.cast(record["bbox"], tf.int32))
        box = tf.pad(tf.ones([bottom - y, right - x]), [[y, FULL - bottom], [x, FULL - right]])
        image = crop(tf.io.decode_raw(record["image"], tf.float32), 3)
        heatmap = crop(tf.io.decode_raw(record["heatmap"], tf.float32), 1)
        image = (image - tf.constant(MEAN)) / tf.constant(DEVIATION)
        joined = tf.image.random_flip_left_right(tf.concat([image, crop(box, 1), heatmap], -1))
        return {
            "image": joined[..., :3],
            "bbox": joined[..., 3:4],
            "hm": joined[..., 4:],
            "ccount": tf.cast(record["click_count"], tf.int32),
            "label": tf.cast(record["label"], tf.int32),
        }

    dataset = tf.data.TFRecordDataset(str(folder / "release.tfrecord"), buffer_size=8 << 20)
    return {"release": _batches(dataset.repeat().shuffle(256), read)}


def harmonization(folder: Path) -> dict:
    """{name: dataset}."""
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string, ""),
        "heatmap": tf.io.FixedLenFeature([], tf.string, ""),
        "label": tf.io.FixedLenFeature([], tf.int64, 0),
    }
    steps = tf.range(-5.0, 5.0)
    taps = tf.exp(-(steps[:, None] ** 2 + steps[None, :] ** 2) / 200)  # 10x10, deviation 10
    kernel = (taps / tf.reduce_sum(taps))[:, :, None, None]

    def read(serialized):
        record = tf.io.parse_single_example(serialized, spec)
        image = tf.reshape(tf.io.decode_jpeg(record["image"]), [FULL, FULL, 3])
        heatmap = tf.reshape(tf.io.decode_jpeg(record["heatmap"]), [FULL, FULL, 1])
        heatmap = tf.image.resize(tf.cast(heatmap, tf.float32), [64, 64])
        heatmap = tf.nn.conv2d(heatmap[None], kernel, 1, "SAME")[0]
        return (
            tf.image.resize(tf.cast(image, tf.float32), [SIDE, SIDE]),
            tf.image.resize(heatmap, [SIDE, SIDE]),
            tf.one_hot(tf.cast(record["label"], tf.int32), 1000),
        )

    dataset = tf.data.TFRecordDataset(str(folder / "train" / "train-0.tfrecords"))
    return {"harmonization": _batches(dataset.repeat(), read)}


def _batches(dataset, function):
    dataset = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def keras_folder(folder: Path) -> dict:
    """{name with version: dataset}."""
    import keras

    dataset = keras.utils.image_dataset_from_directory(
        folder / "jpegs", image_size=(SIDE, SIDE), batch_size=None, seed=0, verbose=False
    )
    batches = dataset.repeat().batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return {f"keras {keras.__version__} folder, no maps": batches}


def in_other_environments(folder: Path, crop: str, warm_up: int, images: int) -> dict:
    """{name with version: function that measures}, a process each; says what is left out."""

    def run(environment, *arguments):
        loader = HERE / f"{environment}_loader.py"
        command = [environments.python_of(environment), str(loader), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def measures(environment, *kind):
        return lambda: run(environment, folder, crop, BATCH, warm_up, images, *kind)[
            "seconds_a_record"
        ]

    found = {}
    for environment, kinds in {"grain": [()], "torch": [(kind,) for kind in TORCH_KINDS]}.items():
        try:
            version = run(environment, "--version")["version"]
        except FileNotFoundError as missing:
            print(f"left out: {environment}: {missing}")
            continue
        for kind in kinds:
            found[" ".join((environment, version, *kind)) + ", no maps"] = measures(
                environment, *kind
            )
    return found
