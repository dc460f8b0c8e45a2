"""The types in `contracts` say what really passes between the rooms."""

import keras
import numpy as np
import pytest

from gala_tf import models
from gala_tf.data import clickmaps, contracts, dataset_info, input_pipeline


@pytest.fixture(scope="module")
def batch(data_dir):
    info = dataset_info.load_info(str(data_dir))
    view = input_pipeline.View(16, 2, clickmaps.parse_blur("none"))
    order = input_pipeline.Order(shuffle_buffer=2)
    split = str(data_dir), info, "train"
    dataset = input_pipeline.make_train_dataset(*split, view, order, batch_size=2)
    return next(iter(dataset))


def test_a_batch_of_training(batch):
    assert set(batch) <= set(contracts.Batch.__annotations__)
    assert contracts.Batch.__required_keys__ | {"mirrored"} == set(batch)


def test_a_networks_outputs():
    network = models.build_model(
        stage_blocks=(1, 1, 1, 1), stage_widths=(4, 4, 4, 4), image_size=32, num_classes=3
    )
    outputs = network(np.zeros([2, 32, 32, 3], np.float32), training=False)
    assert set(outputs) == set(contracts.Outputs.__annotations__)
    assert keras.ops.shape(outputs["logits"]) == (2, 3)
    (name,) = outputs["attention"]
    assert name == "stage3_block1_gala" and "stage3_block1" in outputs["activity"]
