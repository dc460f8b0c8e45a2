"""Streams and splits of twelve tiny images, known by their grey level, in three uneven shards."""

import dataclasses
import shutil
from dataclasses import fields

import numpy as np
import pytest
import tensorflow as tf
from grey_shards import (
    EMPTY_MAP,
    GEOMETRY,
    HEIGHT,
    NO_MAP,
    SHARDS,
    WIDTH,
    assert_equal,
    check_records,
    contexts,
    eval_dataset,
    exact_map,
    identity,
    participants,
    take,
    write_data_set,
)

from gala_tf import metrics
from gala_tf.data import (
    clickmaps,
    dataset_info,
    eval_pipeline,
    input_pipeline,
    reading,
    tfrecord_files,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    return str(directory), write_data_set(directory, SHARDS)


def train_dataset(data, batch_size=4, **changes):
    """`changes` are of `View`, of `Order`, or the rest of `make_train_dataset`'s arguments."""
    arguments = {"seed": 1, "shuffle_buffer": 3, "clickmap_resize": "bilinear", **GEOMETRY}
    arguments |= changes
    view, order = (
        kind(**{f.name: arguments.pop(f.name) for f in fields(kind) if f.name in arguments})
        for kind in (input_pipeline.View, input_pipeline.Order)
    )
    return input_pipeline.make_train_dataset(
        *data, arguments.pop("split", "train"), view, order, batch_size=batch_size, **arguments
    )


@pytest.fixture(scope="module")
def stream(data):
    """The first 140 examples of training, one by one: what others are compared with."""
    return take(train_dataset(data, 1), 140)


def part(stream, start, stop=None):
    return {name: values[start:stop] for name, values in stream.items()}


def test_train_batches_keep_the_contract(data):
    spec = {
        "image": tf.TensorSpec([4, 32, 32, 3], tf.uint8),
        "label": tf.TensorSpec([4], tf.int32),
        "clickmap": tf.TensorSpec([4, 8, 8, 1], tf.float32),
        "has_clickmap": tf.TensorSpec([4], tf.float32),
        "mirrored": tf.TensorSpec([4], tf.float32),
    }
    dataset = train_dataset(data)
    assert dataset.element_spec == spec
    batch = take(dataset, 12)
    index = identity(batch["image"])
    np.testing.assert_array_equal(batch["label"], index % 4)
    np.testing.assert_array_equal(batch["has_clickmap"], ~np.isin(index, NO_MAP + EMPTY_MAP))
    assert (batch["clickmap"] >= 0).all()
    sums = batch["clickmap"].sum((1, 2, 3))
    np.testing.assert_array_equal(sums > 0, batch["has_clickmap"])


@pytest.mark.parametrize("batch_size", [5, 30])  # 30: more than the split holds
def test_every_epoch_has_every_image_once_and_its_own_order(data, batch_size):
    index = identity(take(train_dataset(data, batch_size), 60 // batch_size)["image"])
    epochs = index.reshape(5, 12)
    assert (np.sort(epochs) == np.arange(12)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_the_stream_depends_on_its_seed_and_on_no_other(data, stream):
    expected = part(stream, 0, 36)
    tf.random.set_seed(1234)
    assert_equal(take(train_dataset(data), 9), expected)
    for seed in (0, 2**40):
        other = take(train_dataset(data, seed=seed), 9)
        assert (identity(other["image"]) != identity(expected["image"])).any()
        assert (other["clickmap"] != expected["clickmap"]).any()


@pytest.mark.parametrize(
    ("crop", "starts"),  # inside, at the ends, and across epochs; so of blocks
    [("paper", (1, 12, 63, 64, 131)), ("inception", (13, 70)), ("center", (127,))],
)
def test_restart_at_any_example_continues_bit_for_bit(data, stream, crop, starts):
    assert input_pipeline.BLOCK == 64
    whole = stream if crop == "paper" else take(train_dataset(data, 1, crop=crop), 140)
    for start in starts:
        rest = take(train_dataset(data, 1, crop=crop, start_example=start), 140 - start)
        assert_equal(rest, part(whole, start))


def test_batch_size_changes_nothing_but_the_cuts(data, stream):
    assert_equal(take(train_dataset(data, 7), 6), part(stream, 0, 42))


def test_the_same_image_is_cut_anew_in_each_epoch(data):
    batch = take(train_dataset(data, 12), 6)
    one = batch["clickmap"][identity(batch["image"]) == 8]
    assert len(np.unique(one, axis=0)) > 3  # of six draws, few may agree
    fixed = take(train_dataset(data, 12, crop="center", flip=False), 6)
    one = fixed["clickmap"][identity(fixed["image"]) == 8]
    assert len(np.unique(one, axis=0)) == 1
    mirrored = take(train_dataset(data, 12, crop="center"), 12)
    one = np.unique(mirrored["clickmap"][identity(mirrored["image"]) == 8], axis=0)
    assert len(one) == 2
    np.testing.assert_allclose(one[0], one[1][:, ::-1], rtol=1e-5)


@pytest.mark.parametrize("blur", ["box:5", "disc:3"])  # stored: cut in batches; and one by one
def test_the_map_is_mirrored_already_where_the_image_is_still_to_be(data, blur):
    blur = clickmaps.parse_blur(blur)
    dataset = train_dataset(data, 12, crop="center", clickmap_blur=blur)
    mirrored = take(dataset, 10)
    plain = take(train_dataset(data, 12, crop="center", clickmap_blur=blur, flip=False), 10)
    assert not plain["mirrored"].any()
    assert 40 < mirrored["mirrored"].sum() < 80  # of 120
    np.testing.assert_array_equal(mirrored["image"], plain["image"])
    flipped = mirrored["mirrored"][:, None, None, None] > 0
    expected = np.where(flipped, plain["clickmap"][:, :, ::-1], plain["clickmap"])
    np.testing.assert_allclose(mirrored["clickmap"], expected, rtol=1e-4, atol=1e-5)


def test_pipelines_read_their_own_shards_and_share_no_seed(data, stream):
    first, second = (take(train_dataset(data, 3, input_context=c), 3) for c in contexts(2))
    assert np.isin(identity(first["image"]), [*range(5), *SHARDS[2]]).all()
    np.testing.assert_array_equal(np.unique(identity(second["image"])), SHARDS[1])
    alone = take(train_dataset(data, 3, input_context=contexts(1)[0]), 4)
    assert_equal(alone, part(stream, 0, 12))


@pytest.mark.parametrize(("hosts", "epoch"), [(2, 3), pytest.param(3, 3, marks=pytest.mark.slow)])
def test_hosts_share_an_epoch_and_no_image_comes_twice_in_it(data, hosts, epoch):
    """Uneven shards: host 0 of 2 holds 9 images, host 1 holds 3, so an epoch is 3 of each."""
    seen = [
        identity(take(train_dataset(data, 1, input_context=c), 12 * epoch)["image"])
        for c in contexts(hosts)
    ]
    for number in range(12):
        together = [i for host in seen for i in host[number * epoch : (number + 1) * epoch]]
        assert len(set(together)) == hosts * epoch
    assert set(np.concatenate(seen)) == set(range(12))  # others are left out in each


@pytest.mark.slow
def test_restart_of_three_pipelines_inside_an_epoch(data):
    for start in (3, 21, 33):  # 1, 7 and 11 of each: inside the first, third and fourth epoch
        for context in contexts(3):
            whole = take(train_dataset(data, 1, input_context=context), 15)
            dataset = train_dataset(data, 1, input_context=context, start_example=start)
            rest = take(dataset, 15 - start // 3)
            assert_equal(rest, part(whole, start // 3))


def test_restart_of_several_pipelines_counts_their_examples_together(data):
    start = 26  # 13 of each: the second pipeline, of 3 images, is in its fifth epoch
    for context in contexts(2):
        whole = take(train_dataset(data, 1, input_context=context), 30)
        dataset = train_dataset(data, 1, input_context=context, start_example=start)
        rest = take(dataset, 30 - start // 2)
        assert_equal(rest, part(whole, start // 2))


def test_the_stored_grid_agrees_with_blurring_the_counts_anew(data):
    stored = take(train_dataset(data, 12), 2)
    # A gaussian this wide is flat within 1e-6: box:5 under a name that is not the stored one.
    flat = clickmaps.parse_blur("gaussian:5,3000")
    anew = take(train_dataset(data, 12, clickmap_blur=flat), 2)
    np.testing.assert_array_equal(stored["image"], anew["image"])
    has = stored["has_clickmap"] > 0
    np.testing.assert_array_equal(has, anew["has_clickmap"] > 0)
    a, b = (d["clickmap"][has].reshape(has.sum(), -1) for d in (stored, anew))
    assert (metrics.spearman(a, b) > 0.9).all()


@pytest.mark.parametrize("blur", ["box:5", pytest.param("disc:5", marks=pytest.mark.slow)])
def test_boxes_are_the_blurred_extent_of_the_counts(data, blur):
    blur = clickmaps.parse_blur(blur)
    batch = take(eval_dataset(data, 12, map_source="boxes", clickmap_blur=blur), 1)
    for index, clickmap in zip(identity(batch["image"]), batch["clickmap"], strict=True):
        expected = np.zeros((8, 8))
        if index not in NO_MAP + EMPTY_MAP:
            rows, columns = np.nonzero(np.sum(participants(index), axis=0))
            rectangle = np.zeros((HEIGHT, WIDTH), int)
            rectangle[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
            expected = exact_map(rectangle, blur)
        np.testing.assert_array_equal(clickmap[:, :, 0], expected)
    train = take(train_dataset(data, 12, map_source="boxes", clickmap_blur=blur), 1)
    assert train["has_clickmap"].sum() == 12 - len(NO_MAP + EMPTY_MAP)


def test_a_map_that_the_crop_misses_counts_as_none(data):
    # A window of 2 x 2 pixels often lies beside all bubbles.
    batch = take(train_dataset(data, 12, crop_fraction=0.05, clickmap_blur=clickmaps.NO_BLUR), 20)
    mapped = ~np.isin(identity(batch["image"]), NO_MAP + EMPTY_MAP)
    assert 0 < batch["has_clickmap"][mapped].mean() < 1
    assert not batch["clickmap"][batch["has_clickmap"] == 0].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_unfit_maps_are_zeroed_and_marked(bad):
    clickmap = tf.constant([[[bad], [0.0]]])
    record = {"image/class/label": tf.constant(0, tf.int64)}
    example = reading.example(None, record, clickmap)
    assert example["has_clickmap"] == 0
    np.testing.assert_array_equal(example["clickmap"], [[[0], [0]]])


def test_a_remote_file_system_is_read_as_a_local_one(data, stream):
    """Memory stands in for a bucket: TensorFlow alone knows its paths, as it does those of gs://."""
    directory, info = data
    bucket = "ram://bucket/tiny"
    tf.io.gfile.makedirs(bucket)
    for name in tf.io.gfile.listdir(directory):
        tf.io.gfile.copy(f"{directory}/{name}", f"{bucket}/{name}", overwrite=True)
    dataset_info.save_info(bucket, info)
    remote = (bucket, dataset_info.load_info(bucket))
    assert_equal(take(train_dataset(remote), 5), part(stream, 0, 20))
    assert_equal(take(eval_dataset(remote), -1), take(eval_dataset(data), -1))
    check_records(*remote, "train")
    assert eval_pipeline.image_ids(*remote, "train") == eval_pipeline.image_ids(*data, "train")


def test_fewer_shards_than_pipelines_is_an_error_with_a_remedy(data):
    for context in contexts(4):  # all refuse, or those with a shard would wait for the other
        with pytest.raises(ValueError, match="pipeline 3 of 4.*3 shards, expected at least 4"):
            train_dataset(data, input_context=context)


def test_unknown_choices_and_splits_are_named(data):
    with pytest.raises(ValueError, match="crop must be one of paper.*received 'random'"):
        train_dataset(data, crop="random")
    with pytest.raises(ValueError, match="map_source must be one of clickmaps.*received 'mask'"):
        eval_dataset(data, map_source="mask")
    with pytest.raises(ValueError, match="no split 'val'.*train"):
        train_dataset(data, split="val", batch_size=1)
    with pytest.raises(ValueError, match="resize of a map.*received 'nearest'"):
        train_dataset(data, clickmap_resize="nearest")


@pytest.fixture
def damaged(tmp_path):
    """A data set whose third record lost the end of its JPEG; sizes in the sidecar are right."""
    info = write_data_set(tmp_path, SHARDS[1:])
    path = str(tmp_path / info.splits["train"].shards[0].file)
    serialized = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    example = tf.train.Example.FromString(serialized[2])
    jpeg = example.features.feature["image/encoded"].bytes_list
    jpeg.value[0] = jpeg.value[0][:-200]
    shard = tfrecord_files.write_shard(path, [*serialized[:2], example.SerializeToString()])
    split = info.splits["train"]
    split = dataclasses.replace(split, shards=(shard, *split.shards[1:]))
    return str(tmp_path), dataclasses.replace(info, splits={"train": split})


def test_check_records_finds_the_record_that_stops_a_run(data, damaged):
    check_records(*data, "train")
    with pytest.raises(tf.errors.InvalidArgumentError):
        take(eval_dataset(damaged), -1)
    with pytest.raises(ValueError, match="Record 2 of shard .*train-00000-of-00002.*rebuild-me"):
        check_records(*damaged, "train")


def with_another_version(data, directory, *, without=()):
    """A copy in which the second record of the second shard claims schema version 7."""
    source, info = data
    shutil.copytree(source, directory)
    path = str(directory / info.splits["train"].shards[1].file)
    serialized = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    example = tf.train.Example.FromString(serialized[1])
    example.features.feature["schema_version"].int64_list.value[0] = 7
    for name in without:
        del example.features.feature[name]
    serialized[1] = example.SerializeToString()
    shard = tfrecord_files.write_shard(path, serialized)
    split = info.splits["train"]
    split = dataclasses.replace(split, shards=(split.shards[0], shard, *split.shards[2:]))
    return str(directory), dataclasses.replace(info, splits={"train": split})


def test_check_records_names_a_record_of_another_schema_version(data, tmp_path):
    # Another schema need not have what this one has.
    copy = with_another_version(data, tmp_path / "copy", without=["image/encoded"])
    with pytest.raises(ValueError, match="Record 1 of shard .*has schema_version 7, .* reads 1"):
        check_records(*copy, "train")


def test_a_record_of_another_schema_version_stops_a_run(data, tmp_path):
    """Although everything that this program reads is there."""
    copy = with_another_version(data, tmp_path / "copy")
    for dataset in (eval_dataset(copy), train_dataset(copy)):
        with (
            pytest.raises(ValueError, match="Record 1 of shard .*has schema_version 7"),
            reading.named_records(*copy, "train"),
        ):
            take(dataset, 20)


@pytest.mark.parametrize("cut, reason", [(5, dataset_info.CUT_OFF), (0, dataset_info.ALTERED)])
def test_check_records_says_how_a_file_is_damaged(data, tmp_path, cut, reason):
    directory, info = data
    shutil.copytree(directory, tmp_path / "copy")
    path = tmp_path / "copy" / info.splits["train"].shards[0].file
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content[: len(content) - cut])
    split = info.splits["train"]
    shard = dataclasses.replace(split.shards[0], bytes=len(content) - cut)
    split = dataclasses.replace(split, shards=(shard, *split.shards[1:]))
    info = dataclasses.replace(info, splits={"train": split})
    with pytest.raises(ValueError, match=f"Record 4 of shard .* cannot be read: {reason}"):
        check_records(str(tmp_path / "copy"), info, "train")


def test_a_shard_that_the_sidecar_does_not_list_is_refused(data, tmp_path):
    directory, info = data
    shutil.copytree(directory, tmp_path / "copy")
    (tmp_path / "copy" / "train-00009-of-00010.tfrecord").touch()
    with pytest.raises(ValueError, match="train-00009-of-00010.*it is not listed in dataset_info"):
        train_dataset((str(tmp_path / "copy"), info))


def test_a_shard_with_fewer_records_than_the_sidecar_says_stops_an_evaluation(data):
    directory, info = data
    split = info.splits["train"]
    shards = (dataclasses.replace(split.shards[0], examples=6), *split.shards[1:])
    info = dataclasses.replace(info, splits={"train": dataclasses.replace(split, shards=shards)})
    with pytest.raises(tf.errors.FailedPreconditionError, match="13 elements.*only 12"):
        take(eval_dataset((directory, info)), -1)
    with pytest.raises(ValueError, match="00000-of-00003.*holds 5 records, expected 6.*rebuild-me"):
        check_records(directory, info, "train")


def test_a_missing_shard_is_named_before_anything_is_read(data):
    directory, info = data
    with pytest.raises(ValueError, match="Shard .*no-such-dir.*no such file"):
        train_dataset((directory + "/no-such-dir", info))
