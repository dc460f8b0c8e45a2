"""Finished shards for users of TensorFlow Datasets; needs the extra [tfds].

    import tensorflow_datasets as tfds
    import data_prep.tfds_builder  # makes the name known
    config = tfds.download.DownloadConfig(manual_dir="data/mine")  # a built data set
    dataset = tfds.load("gala_clickmaps", split="train",
                        download_and_prepare_kwargs={"download_config": config})

An example:

    image        uint8 [H, W, 3]       click_count  int64, 0: unknown
    clickmap     uint16 [H, W, 1]      has_map      bool
    label        int64, 0-based        bbox         float32 [0 or 1, 4]: ymin, xmin, ymax, xmax
    image_id     text                               of the map's extent, fractions

The JPEG bytes pass through unchanged; maps are the unblurred counts. TFDS keeps a copy of its own;
training reads the shards themselves (`gala_tf.data.input_pipeline`).
"""

import io
import os

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from gala_tf.data import dataset_info, records, tfrecord_files

_FEATURES = (
    "image/encoded image/height image/width image/id image/class/label "
    "clickmap/counts clickmap/box clickmap/clicks"
).split()


class GalaClickmaps(tfds.core.GeneratorBasedBuilder):
    """Images with human click maps, from shards that `data_prep.build_tfrecords` made."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is a data set that `python -m data_prep.build_tfrecords` made: shards and "
        "dataset_info.json."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Images with human click maps (counts of bubbles), Linsley et al. 2019.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "clickmap": tfds.features.Image(
                        shape=(None, None, 1), dtype=np.uint16, encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(),
                    "click_count": tfds.features.Scalar(np.int64),
                    "has_map": tfds.features.Scalar(np.bool_),
                    "bbox": tfds.features.Sequence(tfds.features.BBoxFeature()),
                    "image_id": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        data_dir = os.fspath(dl_manager.manual_dir)
        info = dataset_info.load_info(data_dir)
        self.info.features["label"].names = list(info.class_names)
        return {split: self._generate_examples(data_dir, info, split) for split in info.splits}

    def _generate_examples(self, data_dir, info, split):
        for path in dataset_info.check_shards(data_dir, info, split):
            for serialized in tfrecord_files.records(path):
                parsed = records.parse_example(serialized, _FEATURES)
                record = {name: tensor.numpy() for name, tensor in parsed.items()}
                image_id = record["image/id"].decode()
                yield image_id, _example(image_id, record)


def _example(image_id, record):
    """A record as TFDS wants it."""
    counts, box = record["clickmap/counts"], record["clickmap/box"]
    if counts:
        # Not the bytes: TensorFlow, asked for 16 bits, would multiply an 8-bit file's by 257.
        clickmap = np.asarray(Image.open(io.BytesIO(counts))).astype(np.uint16)
    else:
        clickmap = np.zeros((record["image/height"], record["image/width"]), np.uint16)
    return {
        "image": record["image/encoded"],
        "clickmap": clickmap[..., None],
        "label": int(record["image/class/label"]),
        "click_count": int(record["clickmap/clicks"]),
        "has_map": bool(counts),
        "bbox": [tfds.features.BBox(*map(float, box))] if box.any() else [],
        "image_id": image_id,
    }
