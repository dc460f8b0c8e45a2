"""data_prep.sources.clickme_release: ClickMe as raw floats, in records and NPZ files."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from fake_trees import build, read
from faults.formats import clickme_release as formats

from data_prep.sources import SourceOptions, clickme_release
from gala_tf.data import records
from gala_tf.data.images import BadImageError, decode_image

SIDE = 256


def pixels(seed, side=SIDE):
    """uint8 [side, side, 3], a picture of its own for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return small.repeat(side // 8, 0).repeat(side // 8, 1)


def heatmap(side=SIDE, value=1):
    """Two where rows 10...13 and columns 20...29 are, else 0; row and column differ."""
    counts = np.zeros((side, side), np.float32)
    counts[10:14, 20:30] = 2 * value
    return counts


def record(seed, upper=255, **changes):
    image = pixels(seed, changes.pop("side", SIDE)).astype(np.float32) * np.float32(upper / 255)
    fields = {
        "image": image,
        "label": seed % 1000,
        "heatmap": heatmap(),
        "click_count": 5,
    } | changes
    return formats.record(**fields)


def archive(tmp_path, *records, split="train"):
    formats.write_records(str(tmp_path / f"clickme_{split}.tfrecords"), records)
    return tmp_path


def load(root, **options):
    return clickme_release.load(SourceOptions(input_dir=str(root), **options))


def examples(root, **options):
    source = load(root, **options)
    return [source.read(item) for item in source.items]


@pytest.mark.parametrize("upper", [1, 255])
def test_records_of_either_range_give_the_same_pixels(tmp_path, upper):
    root = archive(tmp_path, *(record(seed, upper) for seed in range(10)))
    found = examples(root)
    assert [e.image_id for e in found] == [f"clickme_train.tfrecords/{i}" for i in range(10)]
    assert [e.label for e in found] == list(range(10))
    for seed, example in enumerate(found):
        assert example.image.dtype == np.uint8
        np.testing.assert_array_equal(example.image, pixels(seed))
        assert example.clicks == 5 and example.split == "train"
        (counts,) = example.participant_maps
        assert counts.dtype.kind in "iu" and counts.sum() == 2 * 4 * 10
        np.testing.assert_array_equal(counts, heatmap())


def test_original_shards_of_training_and_validation(tmp_path):
    for number in range(2):
        path = str(tmp_path / f"train-{number:05d}-of-00002")
        formats.write_records(path, [record(number, 1, bbox=[10, 20, 14, 30])])
    image_and_label = formats.record(pixels(7) / np.float32(255), 7)
    formats.write_records(str(tmp_path / "val-00000-of-00001"), [image_and_label])
    source = load(tmp_path)
    found = [source.read(item) for item in source.items]
    assert [(e.image_id, e.split, len(e.participant_maps)) for e in found] == [
        ("train-00000-of-00002/0", "train", 1),
        ("train-00001-of-00002/0", "train", 1),
        ("val-00000-of-00001/0", "validation", 0),
    ]
    np.testing.assert_array_equal(found[2].image, pixels(7))
    assert len(source.class_names) == 1000 and source.class_names[0] == "tench"
    assert source.human_ceiling["value"] == 0.58
    assert set(source.human_ceiling) == {"value", "estimator", "source"}
    assert "val-00000-of-00001 = validation" in source.split_rule


def test_splits_of_the_archive_and_the_warning_for_a_missing_one(tmp_path, caplog):
    archive(tmp_path, record(0), split="val")
    archive(tmp_path, record(1), split="test")
    assert [e.split for e in examples(tmp_path)] == ["test", "validation"]
    assert "the release's train is not there" in caplog.text


def test_a_variant_of_224_pixels(tmp_path):
    side = 224
    (example,) = examples(archive(tmp_path, record(3, side=side, heatmap=heatmap(side))))
    assert example.image.shape == (224, 224, 3)
    assert example.participant_maps[0].shape == (224, 224)


@pytest.mark.parametrize(
    "fields, maps",
    [
        ({"heatmap": b""}, "none"),  # gala_tpu's default for a missing map
        ({"heatmap": None, "click_count": None}, "none"),
        ({"heatmap": 0 * heatmap(), "click_count": 0}, "none"),  # gala_tpu's mask leaves it out
        ({"heatmap": 0 * heatmap(), "click_count": 3}, "empty"),
        ({"heatmap": 0 * heatmap(), "click_count": None}, "empty"),
        ({"click_count": 0}, "marks"),
    ],
)
def test_no_map_is_not_an_empty_map(tmp_path, fields, maps):
    (example,) = examples(archive(tmp_path, record(1, **fields)))
    found = [counts.any() for counts in example.participant_maps]
    assert found == {"none": [], "empty": [False], "marks": [True]}[maps]
    assert example.clicks == (fields.get("click_count", 5) or 0)


def test_fractions_in_a_map_are_scaled_to_counts(tmp_path):
    values = heatmap(value=0.25)  # 0.5, the maximum
    values[0, 0] = 0.125
    (example,) = examples(archive(tmp_path, record(1, heatmap=values)))
    counts = example.participant_maps[0]
    assert counts.max() == counts[10, 20] == 65534 and counts[0, 0] in (16383, 16384)


@pytest.mark.parametrize("packed", [True, False])
def test_npz_zipped_and_unpacked(tmp_path, packed):
    folder = tmp_path / "work" / "clickme_val"
    for index in range(12):
        formats.write_npz(folder, index, pixels(index), heatmap(), index, 999 - index)
    if packed:
        os.makedirs(tmp_path / "in")
        formats.zip_folder(str(folder), str(tmp_path / "in" / "clickme_val.zip"))
    found = examples(tmp_path / ("in" if packed else "work"))
    assert sorted(e.image_id for e in found) == sorted(
        f"clickme_val{'.zip' if packed else ''}/{i}" for i in range(12)
    )
    for example in found:
        index = int(example.image_id.split("/")[1])
        np.testing.assert_array_equal(example.image, pixels(index))
        assert (example.label, example.clicks, example.split) == (999 - index, index, "validation")
        np.testing.assert_array_equal(example.participant_maps[0], heatmap())


def test_file_path_becomes_part_of_the_name_and_checks_the_label(tmp_path):
    records = [record(n, file_path=f"/media/n01440764/n01440764_{n}.JPEG", label=0) for n in (4, 4)]
    found = examples(archive(tmp_path, *records))
    assert [e.image_id for e in found] == [
        "clickme_train.tfrecords/0/n01440764_4.JPEG",
        "clickme_train.tfrecords/1/n01440764_4.JPEG",
    ]
    archive(tmp_path, record(1, file_path="n01440764_1.JPEG", label=1))
    with pytest.raises(ValueError, match="record 0.*its number in the order 'sorted_from_1'"):
        examples(tmp_path)
    archive(tmp_path, record(1, file_path="..\\..\\etc/a\nb", label=1))  # a name, never a path
    assert examples(tmp_path)[0].image_id == "clickme_train.tfrecords/0/ab"


def test_reading_travels_to_a_worker_and_listing_is_lazy_and_repeatable(tmp_path):
    root = archive(tmp_path, *(record(seed) for seed in range(3)))
    source, again = load(root), load(root)
    items = list(source.items)
    assert not isinstance(source.items, (list, tuple)) and items == list(again.items)
    assert all("\n" not in item.key for item in items)
    other = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(other(items[2]).image, source.read(items[2]).image)


def test_label_orders(tmp_path):
    root = archive(tmp_path, record(1, label=1000))
    assert examples(root, label_order="sorted_from_1")[0].label == 999
    with pytest.raises(ValueError, match="record 0.*1000.*--label_order=sorted_from_1"):
        examples(root)
    archive(tmp_path, record(1, label=0))
    with pytest.raises(ValueError, match="may be --label_order=sorted[.]"):
        examples(root, label_order="sorted_from_1")
    archive(tmp_path, record(1, label=1001))
    with pytest.raises(BadImageError, match="record 0.*1001 is in no order"):
        examples(root)
    with pytest.raises(ValueError, match="'alphabet' is unknown"):
        load(root, label_order="alphabet")


def test_boxes_as_maps(tmp_path):
    root = archive(
        tmp_path,
        record(0, bbox=[10, 20, 14, 30]),
        record(1, bbox=[0, 0, 0, 0]),  # the default: no box
        record(2, bbox=[12, 25, 12, 25]),  # gala_tpu draws at least one pixel
        formats.record(pixels(3), 3),
    )
    boxed, none, point, plain = examples(root, record_maps="boxes")
    np.testing.assert_array_equal(boxed.participant_maps[0], heatmap() > 0)
    assert none.participant_maps == plain.participant_maps == ()
    assert np.argwhere(point.participant_maps[0]).tolist() == [[12, 25]]
    assert load(root, record_maps="boxes").human_ceiling is None
    with pytest.raises(ValueError, match="--record_maps='masks'"):
        load(root, record_maps="masks")
    archive(tmp_path, record(0))
    with pytest.raises(ValueError, match="record 0.* no bbox"):
        examples(root, record_maps="boxes")


@pytest.mark.parametrize(
    "box, message",
    [
        ([10, 20, 14], "bbox"),
        ([14, 20, 10, 30], "row0 <= row1"),
        ([-1, 20, 10, 30], r"0\.\.\.256"),
        ([10, 20, 14, 257], r"0\.\.\.256"),
        ([100, 100, 110, 110], "touches no mark"),
        ([20, 10, 30, 14], "touches no mark"),  # columns before rows
    ],
)
def test_inconsistent_boxes(tmp_path, box, message):
    with pytest.raises(BadImageError, match=f"record 0.*{message}"):
        examples(archive(tmp_path, record(0, bbox=box)))


def spoiled(value):
    image = pixels(5).astype(np.float32)
    image[3, 4, 1] = value
    return {"image": image}


def spoiled_map(value):
    counts = heatmap()
    counts[3, 4] = value
    return {"heatmap": counts}


@pytest.mark.parametrize(
    "changes, message",
    [
        (spoiled(np.nan), "must be finite and >= 0"),
        (spoiled(np.inf), "must be finite and >= 0"),
        (spoiled(-1), "must be finite and >= 0"),
        (spoiled(256), "brightest value of the image is 256"),
        (spoiled_map(np.nan), "must be finite and >= 0"),
        (spoiled_map(-np.inf), "must be finite and >= 0"),
        (spoiled_map(-2), "must be finite and >= 0"),
        (spoiled_map(70000), "at most 65535"),
        ({"image": pixels(5) / np.float32(255)}, "as if its range were 0...1"),
        ({"image": bytes(786431)}, r"786431 bytes.*786432 \(256x256x3 float32\) or 602112"),
        ({"image": pixels(5)[..., :1]}, "262144 bytes"),
        ({"image": b"\xff\xd8\xff\xe0"}, "clickme_harmonization"),
        ({"heatmap": heatmap(224)}, "200704 bytes, expected 262144"),
        ({"click_count": -1}, "click_count is -1"),
        ({"label": -1}, "-1 is in no order"),
    ],
)
def test_a_damaged_record_is_named_and_can_be_skipped(tmp_path, changes, message):
    root = archive(tmp_path, *(record(seed) for seed in range(3)), record(3, **changes))
    source = load(root)
    *good, bad = source.items
    assert len([source.read(item) for item in good]) == 3
    with pytest.raises(BadImageError, match=rf"clickme_train.tfrecords', record 3.*{message}"):
        source.read(bad)


def test_a_bright_image_in_a_file_of_the_small_range(tmp_path):
    source = load(archive(tmp_path, *(record(seed, 1) for seed in range(9)), record(9, 255)))
    *good, bad = source.items
    assert source.read(good[0]).image.max() == pixels(0).max()
    with pytest.raises(BadImageError, match=r"record 9.*expected 0\.\.\.1, the range of"):
        source.read(bad)


def test_minus_zero_is_zero(tmp_path):
    image = pixels(1).astype(np.float32)
    image[0] = -0.0
    (example,) = examples(archive(tmp_path, record(1, image=image)))
    np.testing.assert_array_equal(example.image, image.astype(np.uint8))


def test_black_images_tell_no_range(tmp_path):
    black = [record(seed, image=np.zeros((SIDE, SIDE, 3), np.float32)) for seed in range(2)]
    assert examples(archive(tmp_path, *black, record(2, 1)))[0].image.max() == 0
    with pytest.raises(ValueError, match="first 2 images tell no range"):
        examples(archive(tmp_path, *black))
    with pytest.raises(
        ValueError, match=r"no common range: record 0 0\.\.\.1, record 1 0\.\.\.255"
    ):
        examples(archive(tmp_path, record(0, 1), record(1, 255)))
    overshoot = np.full((SIDE, SIDE, 3), 1.02, np.float32)  # neither range
    with pytest.raises(ValueError, match="first 1 images tell no range"):
        examples(archive(tmp_path, record(0, image=overshoot)))


def integers(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


@pytest.mark.parametrize(
    "serialized, message",
    [
        (b"\x0a\xff\xff", "no tf.train.Example"),
        (record(0, heatmap=b"", image=b"", label=0), "0 bytes"),
        (formats.record(pixels(0), 0, replaced={"image": integers(1)}), "is a int64_list"),
        (
            formats.record(pixels(0), 0, replaced={"label": integers(1, 2)}),
            "one value of feature 'label', got 2",
        ),
        (
            formats.record(pixels(0), 0, replaced={"label": integers()}),
            "one value of feature 'label', got 0",
        ),
    ],
    ids=["no Example", "empty image", "integer image", "two labels", "no label"],
)
def test_records_of_other_types(tmp_path, serialized, message):
    source = load(archive(tmp_path, record(1), serialized))
    _, bad = source.items
    with pytest.raises(BadImageError, match=f"record 1.*{message}"):
        source.read(bad)


def test_a_flipped_byte_and_a_truncated_file(tmp_path):
    root = archive(tmp_path, *(record(seed) for seed in range(2)))
    path = tmp_path / "clickme_train.tfrecords"
    data = bytearray(path.read_bytes())
    data[-500] ^= 1
    path.write_bytes(data)
    source = load(root)
    first, second = source.items
    source.read(first)
    with pytest.raises(BadImageError, match="record 1.*checksum"):
        source.read(second)
    path.write_bytes(data[:-1])
    with pytest.raises(BadImageError, match="clickme_train.tfrecords.*record 1"):
        list(load(root).items)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="holds no record"):
        list(load(root).items)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"image": pixels(0).astype(np.float64)}, "image"),
        ({"image": pixels(0)}, r"\|u1"),
        ({"heatmap": np.zeros((SIDE, SIDE, 1), np.float32)}, r"\(256, 256, 1\)"),
        ({"clicks": np.zeros(2, np.int32)}, "'clicks' must be one integer"),
        ({"label": np.float32(3)}, "'label' must be one integer"),
        ({"label": np.array({"a": 1}, object)}, "Python objects"),
        ({"label": None}, "not 'label'"),
    ],
)
def test_npz_files_of_other_contents(tmp_path, changes, message):
    formats.write_npz(tmp_path / "train", 0, pixels(0), heatmap(), 1, 1)
    arrays = {
        "image": pixels(1).astype(np.float32),
        "heatmap": heatmap(),
        "clicks": np.int64(1),
        "label": np.int64(1),
    } | changes
    np.savez(tmp_path / "train" / "1", **{k: v for k, v in arrays.items() if v is not None})
    source = load(tmp_path)
    _, bad = source.items
    with pytest.raises(BadImageError, match=rf"train/1\.npz'.*{message}"):
        source.read(bad)


@pytest.mark.parametrize("head", ["(" * 9000, "-" * 9000 + "1", "__import__('os').getpid()", ""])
def test_npz_files_whose_head_is_no_head(tmp_path, head):
    formats.write_npz(tmp_path / "train", 0, pixels(0), heatmap(), 1, 1)
    npy = b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head.encode()
    with zipfile.ZipFile(tmp_path / "train" / "1.npz", "w") as archive:
        archive.writestr("image.npy", npy)
    source = load(tmp_path)
    _, bad = source.items
    with pytest.raises(BadImageError, match=r"train/1\.npz': not the NPZ file expected"):
        source.read(bad)


def test_folders_that_are_not_a_release(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="holds none of it; expected one of: train-"):
        load(tmp_path)
    archive(tmp_path, record(0))
    formats.write_npz(tmp_path / "train", 0, pixels(0), heatmap(), 1, 1)
    with pytest.raises(ValueError, match="different forms of the release"):
        load(tmp_path)
    os.remove(tmp_path / "clickme_train.tfrecords")
    formats.write_npz(tmp_path / "clickme_train", 0, pixels(0), heatmap(), 1, 1)
    with pytest.raises(ValueError, match="one split twice"):
        load(tmp_path)


def test_missing_shards_and_numbers(tmp_path):
    shards = tmp_path / "shards"
    for name in ("train-00000-of-00003", "train-00002-of-00003"):
        formats.write_records(str(shards / name), [record(0)])
    with pytest.raises(ValueError, match=r"train has 2 of 3 files; missing are \[1\]"):
        load(shards)
    formats.write_records(str(shards / "train-00001-of-00003"), [record(0)])
    formats.write_records(str(shards / "train-00000-of-00001"), [record(0)])
    with pytest.raises(ValueError, match="several releases"):
        load(shards)
    for index in (0, 2):
        formats.write_npz(tmp_path / "npz" / "train", index, pixels(0), heatmap(), 1, 1)
    with pytest.raises(ValueError, match="has 2 files <number>.npz, the last 2.npz"):
        list(load(tmp_path / "npz").items)


def test_members_of_a_zip_that_do_not_belong(tmp_path, caplog):
    formats.write_npz(tmp_path / "train", 0, pixels(0), heatmap(), 1, 1)
    (tmp_path / "train" / ".DS_Store").write_bytes(b"x")
    root = tmp_path / "in"
    os.makedirs(root)
    formats.zip_folder(str(tmp_path / "train"), str(root / "clickme_train.zip"))
    assert len(examples(root)) == 1 and "'train/.DS_Store' left out" in caplog.text
    (tmp_path / "train" / "readme.npz").write_bytes(b"x")
    formats.zip_folder(str(tmp_path / "train"), str(root / "clickme_train.zip"))
    with pytest.raises(ValueError, match="'train/readme.npz' is not <number>.npz"):
        examples(root)


def test_no_fault_in_a_zip_passes_unseen(tmp_path):
    for index in range(3):
        formats.write_npz(tmp_path / "train", index, pixels(index), heatmap(), 1, index)
    root = tmp_path / "in"
    os.makedirs(root)
    path = root / "clickme_train.zip"
    formats.zip_folder(str(tmp_path / "train"), str(path))
    whole, expected = path.read_bytes(), examples(root)
    rng, seen = np.random.default_rng(0), 0
    for fault in range(60):
        data = bytearray(whole)
        # Half of the faults in the directory, which is small, but decides what is read.
        first = len(data) - 400 if fault % 2 else 0
        place = int(rng.integers(first, len(data)))
        if fault % 5 == 0:
            del data[place:]
        else:
            data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            found = examples(root)
        except ValueError as error:
            assert "clickme_train.zip" in str(error), (fault, place)
            seen += 1
            continue
        # Bytes that carry nothing: dates, attributes, versions.
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.image, other.image)
            np.testing.assert_array_equal(one.participant_maps[0], other.participant_maps[0])
            assert one.label == other.label
    assert seen > 30


def test_keys_are_json(tmp_path):
    (item,) = load(archive(tmp_path, record(0, 1))).items
    (layout, path, number, _), upper = json.loads(item.key)
    assert (layout, number, upper) == ("archive", 0, 1) and path.endswith(".tfrecords")


def test_through_the_builder(tmp_path):
    for split, seeds in (("train", range(6)), ("val", (6, 7)), ("test", (8, 9))):
        archive(tmp_path / "in", *(record(seed) for seed in seeds), split=split)
    archive(tmp_path / "in", record(0), record(1), record(2, **spoiled(np.nan)), record(3))
    inputs = {"source": "clickme_release", "input_dir": tmp_path / "in"}
    with pytest.raises(ValueError, match="record 2: image values must be finite"):
        build(tmp_path / "stopped", **inputs)
    build(tmp_path / "out", on_bad_image="skip", **inputs)
    found = read(tmp_path / "out")
    ids = {split: sorted(row["image/id"].decode() for row in found[split]) for split in found}
    assert ids == {
        "train": [f"clickme_train.tfrecords/{number}" for number in (0, 1, 3)],
        "validation": [f"clickme_val.tfrecords/{number}" for number in (0, 1)],
        "test": [f"clickme_test.tfrecords/{number}" for number in (0, 1)],
    }
    for row in [row for rows in found.values() for row in rows]:
        counts = records.decode_counts(row["clickmap/counts"], SIDE, SIDE)
        np.testing.assert_array_equal(counts, heatmap())
        image = np.asarray(decode_image(row["image/encoded"], "image"), np.float64)
        assert np.abs(image - pixels(row["image/class/label"])).mean() < 12  # JPEG
        assert row["clickmap/clicks"] == 5
