"""Evaluation's input: every image once, exact maps, and participants' maps."""

import numpy as np
import pytest
import tensorflow as tf
from grey_shards import (
    BLUR,
    EMPTY_MAP,
    SHARDS,
    assert_equal,
    contexts,
    eval_dataset,
    exact_map,
    identity,
    participants,
    take,
    write_data_set,
)

from gala_tf import metrics
from gala_tf.data import eval_pipeline


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    return str(directory), write_data_set(directory, SHARDS)


@pytest.mark.parametrize(
    ("pipelines", "replicas", "batch_size"),
    # Of five pipelines two have no shard; a batch of 50 holds more than the split.
    [(1, 1, 12), (1, 2, 5), (2, 1, 1), (2, 2, 50), (5, 1, 4)],
)
def test_every_image_is_evaluated_once(data, pipelines, replicas, batch_size):
    steps = eval_pipeline.eval_steps(data[1], "train", batch_size, pipelines, replicas)
    seen = []
    for context in contexts(pipelines, replicas):
        dataset = eval_dataset(data, batch_size, input_context=context)
        assert dataset.cardinality() == steps * replicas
        batch = take(dataset, -1)
        assert len(batch["label"]) == steps * replicas * batch_size
        real = batch["is_real"] > 0
        np.testing.assert_array_equal(batch["image_index"][~real], -1)
        for name in ("image", "label", "clickmap", "has_clickmap"):
            assert not batch[name][~real].any()
        np.testing.assert_array_equal(identity(batch["image"][real]), batch["image_index"][real])
        seen.extend(batch["image_index"][real])
    assert sorted(seen) == list(range(12))


def test_eval_steps_by_hand(data):
    assert eval_pipeline.eval_steps(data[1], "train", 5) == 3  # 12 images
    assert eval_pipeline.eval_steps(data[1], "train", 4, pipelines=2) == 3  # 5 + 4 and 3
    assert eval_pipeline.eval_steps(data[1], "train", 4, pipelines=2, replicas=2) == 2


def test_eval_batches_keep_the_contract_and_maps_are_exact(data):
    dataset = eval_dataset(data, 12)
    assert dataset.element_spec == {
        "image": tf.TensorSpec([12, 32, 32, 3], tf.uint8),
        "label": tf.TensorSpec([12], tf.int32),
        "clickmap": tf.TensorSpec([12, 8, 8, 1], tf.float32),
        "has_clickmap": tf.TensorSpec([12], tf.float32),
        "is_real": tf.TensorSpec([12], tf.float32),
        "image_index": tf.TensorSpec([12], tf.int32),
    }
    batch = take(dataset, 1)
    np.testing.assert_array_equal(batch["image_index"], np.arange(12))  # in the split's order
    for index, clickmap in enumerate(batch["clickmap"]):
        maps = participants(index)
        expected = exact_map(np.sum(maps, axis=0, dtype=int), BLUR) if maps else np.zeros((8, 8))
        np.testing.assert_array_equal(clickmap[:, :, 0], expected)
    assert_equal(take(eval_dataset(data, 12), 1), batch)


def test_image_ids_name_the_images_by_index(data):
    ids = eval_pipeline.image_ids(*data, "train")
    assert ids == [f"image-{index}" for index in range(12)]


def test_participant_maps_are_exact_and_feed_the_human_ceiling(data):
    maps = eval_pipeline.participant_maps(
        *data, "train", clickmap_size=8, clickmap_blur=BLUR, crop_fraction=0.8
    )
    several = [index for index in range(12) if len(participants(index)) > 1]
    assert len(maps) == len(several)
    for index, image in zip(several, maps, strict=True):
        expected = [exact_map(counts, BLUR).ravel() for counts in participants(index)]
        np.testing.assert_array_equal(image, expected)
    ceiling = metrics.human_ceiling(maps, seed=0)
    assert (ceiling["images"], ceiling["undefined"]) == (len(several) - 1, len(EMPTY_MAP))
