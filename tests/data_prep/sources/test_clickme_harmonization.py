"""data_prep.sources.clickme_harmonization: ClickMe as JPEG images and JPEG maps."""

import io
import os
import pickle

import numpy as np
import pytest
import tensorflow as tf
from fake_trees import build, read
from faults.formats import clickme_harmonization as formats
from PIL import Image

from data_prep.sources import SourceOptions, clickme_harmonization
from gala_tf.data.images import BadImageError

SIDE = 256


def picture(seed, side=SIDE):
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return formats.jpeg(small.repeat(side // 8, 0).repeat(side // 8, 1))


def grey(value=200):
    counts = np.zeros((SIDE, SIDE, 1), np.uint8)
    counts[40:60, 100:140] = value
    return counts


def record(seed, **changes):
    fields = {"image": picture(seed), "heatmap": formats.jpeg(grey()), "label": seed % 1000}
    return formats.record(**(fields | changes))


def load(root, **options):
    return clickme_harmonization.load(SourceOptions(input_dir=str(root), **options))


def examples(root, **options):
    source = load(root, **options)
    return [source.read(item) for item in source.items]


def test_every_shard_is_read_in_the_order_of_its_number(tmp_path, caplog):
    for number in range(12):
        formats.write_shard(tmp_path, "train", number, [record(number)])
    formats.write_shard(tmp_path, "val", 0, [record(12), record(13)])
    source = load(tmp_path, validation_fraction=0)
    found = [source.read(item) for item in source.items]
    assert [e.image_id for e in found] == [
        *(f"train/train-{number}.tfrecords/0" for number in range(12)),
        "val/val-0.tfrecords/0",
        "val/val-0.tfrecords/1",
    ]
    assert [e.label for e in found] == list(range(14))
    assert [e.split for e in found] == ["train"] * 12 + ["test"] * 2
    assert found[3].image == picture(3) and found[3].clicks == 0  # bytes as they came
    assert len(source.class_names) == 1000 and source.human_ceiling["value"] == 0.58
    assert "12 train shards; 319 are known, up to number 318" in caplog.text
    assert "1 val shards; 18 are known, up to number 17" in caplog.text


def test_the_last_known_shards_are_read_without_a_warning(tmp_path, caplog):
    for split, known in clickme_harmonization.KNOWN_SHARDS.items():
        for number in range(known):
            formats.write_shard(tmp_path, split, number, [b""])
    items = [item.image_id for item in load(tmp_path).items]
    assert len(items) == 319 + 18
    assert "train/train-318.tfrecords/0" in items and "val/val-17.tfrecords/0" in items
    assert "known" not in caplog.text


def test_validation_is_a_seeded_part_of_train(tmp_path):
    formats.write_shard(tmp_path, "train", 0, [b""] * 2000)
    formats.write_shard(tmp_path, "val", 0, [b""] * 3)

    def splits(**options):
        return [item.split for item in load(tmp_path, **options).items]

    held = splits(validation_fraction=0.1)
    assert 150 < held.count("validation") < 250 and held[-3:] == ["test"] * 3
    assert held == splits(validation_fraction=0.1) != splits(validation_fraction=0.1, seed=1)
    assert splits(validation_fraction=0).count("validation") == 0
    with pytest.raises(ValueError, match="validation_fraction"):
        load(tmp_path, validation_fraction=1)


def test_the_map_is_the_decoded_jpeg_ripples_and_all(tmp_path):
    data = formats.jpeg(grey(), quality=75)
    formats.write_shard(tmp_path, "train", 0, [record(0, heatmap=data)])
    (example,) = examples(tmp_path)
    (counts,) = example.participant_maps
    assert counts.dtype == np.int64 and counts.shape == (SIDE, SIDE)
    # As the release's loader decodes it; Pillow's transform is a more exact one.
    np.testing.assert_array_equal(counts, tf.io.decode_jpeg(data).numpy()[..., 0])
    accurate = np.asarray(Image.open(io.BytesIO(data)), int)
    assert 0 < np.abs(counts - accurate).max() < 4
    marked = grey()[..., 0] > 0
    assert counts[marked].min() > 150 and counts[~marked].max() < 40
    assert (counts[~marked] > 0).any()  # the ripples: kept


def test_no_heatmap_and_a_black_one(tmp_path):
    records = [record(0, heatmap=None), record(1, heatmap=b"")]
    black = formats.jpeg(grey(0))
    formats.write_shard(tmp_path, "train", 0, [*records, record(2, heatmap=black)])
    absent, blank, empty = examples(tmp_path)
    assert absent.participant_maps == blank.participant_maps == ()
    assert len(empty.participant_maps) == 1 and not empty.participant_maps[0].any()


def test_files_as_the_original_loader_caches_them(tmp_path):
    for split in ("train", "val"):
        formats.write_shard(tmp_path, split, 0, [record(0)])
        (tmp_path / split / f"{split}-0.tfrecords").rename(tmp_path / f"clickme_{split}_0")
    assert [e.image_id for e in examples(tmp_path)] == ["clickme_train_0/0", "clickme_val_0/0"]


def test_reading_travels_to_a_worker(tmp_path):
    formats.write_shard(tmp_path, "train", 0, [record(0)])
    source = load(tmp_path)
    (item,) = source.items
    other = pickle.loads(pickle.dumps(source.read))(item)
    assert other.image == source.read(item).image and "\n" not in item.key


def test_holes_and_nothing(tmp_path, caplog):
    with pytest.raises(ValueError, match="neither train/train-0.tfrecords nor clickme_train_0"):
        load(tmp_path)
    formats.write_shard(tmp_path, "val", 1, [record(0)])
    with pytest.raises(ValueError, match=r"val shards.*missing are \[0\]"):
        load(tmp_path)
    formats.write_shard(tmp_path, "val", 0, [record(0)])
    load(tmp_path)
    assert "no train shards" in caplog.text
    formats.write_shard(tmp_path, "val", 0, [])
    with pytest.raises(ValueError, match="val-0.tfrecords' holds no record"):
        list(load(tmp_path).items)
    (tmp_path / "clickme_val_1").write_bytes(b"")
    with pytest.raises(ValueError, match="hole or double, got 3 up to 1"):
        load(tmp_path)


def large_jpeg():
    buffer = io.BytesIO()
    Image.new("L", (9000, 9000)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"image": picture(0, 224)}, "image: 224x224"),
        ({"image": b""}, "image: its 0 bytes"),
        ({"image": bytes(786432)}, "clickme_release"),
        ({"image": b"\xff\xd8\xff"}, "cannot be opened"),
        ({"heatmap": formats.jpeg(grey())[:400]}, "heatmap.*cannot be decoded"),
        ({"heatmap": large_jpeg()}, "heatmap: 9000x9000"),  # refused before it is decoded
        ({"heatmap": picture(0)}, "mode RGB"),
        ({"label": 1000}, "--label_order=sorted_from_1"),
        ({"label": -1}, "no order"),
    ],
)
def test_damage_is_named(tmp_path, changes, message):
    formats.write_shard(tmp_path, "train", 0, [record(0), record(1, **changes)])
    source = load(tmp_path)
    good, bad = source.items
    source.read(good)
    with pytest.raises(ValueError, match=f"train-0.tfrecords.*record 1.*{message}") as caught:
        source.read(bad)
    # A wrong order is the user's to mend, not an image to skip.
    assert isinstance(caught.value, BadImageError) == (changes.get("label") != 1000)


def test_records_of_other_keys(tmp_path):
    empty = tf.train.Example().SerializeToString()
    formats.write_shard(tmp_path, "train", 0, [empty])
    with pytest.raises(BadImageError, match="one value of feature 'image', got 0"):
        examples(tmp_path)
    with open(tmp_path / "train" / "train-0.tfrecords", "r+b") as file:
        file.truncate(os.path.getsize(file.name) - 1)
    with pytest.raises(BadImageError, match="train-0.tfrecords.*record 0"):
        examples(tmp_path)


def test_through_the_builder(tmp_path):
    formats.write_shard(tmp_path / "in", "train", 0, [record(seed) for seed in range(20)])
    formats.write_shard(tmp_path / "in", "val", 0, [record(20)])
    build(tmp_path / "out", source="clickme_harmonization", input_dir=tmp_path / "in")
    found = read(tmp_path / "out")
    assert sum(map(len, found.values())) == 21 and len(found["test"]) == 1
