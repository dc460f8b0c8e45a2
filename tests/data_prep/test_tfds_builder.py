"""The TFDS builder: the library's own test case, and what comes out against the shards."""

import numpy as np
import pytest
import tensorflow as tf

tfds = pytest.importorskip("tensorflow_datasets", reason="the extra [tfds] is not installed")

pytest.importorskip("dill", reason="dill, which tensorflow_datasets.testing needs, is missing")

import small_data  # noqa: E402
from fake_trees import read  # noqa: E402

from data_prep import tfds_builder  # noqa: E402
from gala_tf.data import dataset_info, records  # noqa: E402


class GalaClickmapsTest(tfds.testing.DatasetBuilderTestCase):
    """The library's contract: registered, deterministic, unique keys, shapes as declared."""

    DATASET_CLASS = tfds_builder.GalaClickmaps
    SPLITS = {}  # noqa: RUF012 - filled below, from the data set
    SKIP_CHECKSUMS = True
    SKIP_TF1_GRAPH_MODE = True

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = cls.make_data_set()
        info = dataset_info.load_info(str(cls.EXAMPLE_DIR))
        cls.SPLITS = {name: split.examples for name, split in info.splits.items()}
        super().setUpClass()

    @classmethod
    def make_data_set(cls):
        import tempfile
        from pathlib import Path

        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        directory = Path(cls.temporary.name)
        small_data.build(directory)
        return directory


def test_examples_are_those_of_the_shards(data_dir, tmp_path):
    builder = tfds_builder.GalaClickmaps(data_dir=str(tmp_path))
    config = tfds.download.DownloadConfig(manual_dir=str(data_dir))
    builder.download_and_prepare(download_config=config)
    info = dataset_info.load_info(str(data_dir))
    assert tuple(builder.info.features["label"].names) == info.class_names
    expected = {row["image/id"].decode(): row for row in read(data_dir)["train"]}
    found = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert {example["image_id"].decode() for example in found} == set(expected)
    for example in found:
        row = expected[example["image_id"].decode()]
        shape = (row["image/height"], row["image/width"])
        assert example["label"] == row["image/class/label"]
        assert example["click_count"] == row["clickmap/clicks"]
        assert example["has_map"] == (row["clickmap/counts"] != b"")
        image = tf.io.decode_jpeg(row["image/encoded"], channels=3)
        np.testing.assert_array_equal(example["image"], image)
        counts = records.decode_counts(row["clickmap/counts"], *shape)
        np.testing.assert_array_equal(example["clickmap"][..., 0], counts)
        if row["clickmap/box"].any():
            np.testing.assert_allclose(example["bbox"], [row["clickmap/box"]])
        else:
            assert len(example["bbox"]) == 0


def test_a_directory_without_a_data_set_is_named(tmp_path):
    builder = tfds_builder.GalaClickmaps(data_dir=str(tmp_path / "out"))
    config = tfds.download.DownloadConfig(manual_dir=str(tmp_path))
    with pytest.raises(ValueError, match="No data set at"):
        builder.download_and_prepare(download_config=config)
