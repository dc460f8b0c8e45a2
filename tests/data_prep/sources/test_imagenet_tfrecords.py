"""ILSVRC12 from TFRecords made before: classic shards of two writers, and TFDS's."""

import io
import json
import pickle
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from fake_trees import build, options, read
from faults.formats import imagenet_tfrecords as fmt

from data_prep.readers.examples import tfds_files
from data_prep.readers.imagenet import imagenet_classes
from data_prep.sources import imagenet_tfrecords as source
from gala_tf.data.images import BadImageError

WNIDS = list(imagenet_classes.wnids())
SYNSETS = [WNIDS[label] for label in (0, 1, 65, 999)]
# Classes of ILSVRC2012_val_00000001, 2 and 3, as every label list of these has them.
KNOWN = ["n01751748", "n09193705", "n02105855"]


def classic(root, rows=None, **others):
    """Train and validation as build_imagenet_data.py writes them; returns the rows."""
    rows = rows or fmt.rows(SYNSETS, each=3)
    known = fmt.rows(KNOWN, validation=True)
    fmt.build_imagenet_data(root, "train", rows, WNIDS, **others)
    fmt.build_imagenet_data(root, "validation", known, WNIDS, **others)
    return rows + known


def read_all(root, **others):
    loaded = source.load(options(root, **others))
    return {item.image_id: loaded.read(item) for item in loaded.items}


def check(examples, rows):
    assert examples.keys() == {row.filename for row in rows}
    for row in rows:
        example = examples[row.filename]
        assert example.image == row.image  # the JPEG file, byte for byte
        assert example.label == WNIDS.index(row.synset)
        assert example.split == ("validation" if "_val_" in row.filename else "train")
        assert example.image_id == row.filename


@pytest.mark.parametrize("threads", [1, 2])
def test_build_imagenet_data(tmp_path, threads, capsys):
    rows = classic(tmp_path, shards=4, threads=threads)
    check(read_all(tmp_path), rows)
    printed = capsys.readouterr().out
    assert "train: 12 images in 4 files; the whole of ILSVRC12 has 1,281,167" in printed


@pytest.mark.parametrize("folders", [False, True])
def test_imagenet_to_gcs(tmp_path, folders):
    train, validation = fmt.rows(SYNSETS, each=3), fmt.rows(KNOWN, validation=True)
    fmt.imagenet_to_gcs(tmp_path, train, validation, WNIDS, folders=folders)
    check(read_all(tmp_path), train + validation)


def test_a_short_last_file_and_empty_ones_behind_it_are_that_writers(tmp_path):
    """Five images, two a file: 2, 2, 1, 0; and one: 1, 0."""
    train, validation = fmt.rows(SYNSETS[:1], each=5), fmt.rows(KNOWN[:1], validation=True)
    fmt.imagenet_to_gcs(tmp_path, train, validation, WNIDS)
    check(read_all(tmp_path), train + validation)


def test_the_source_contract(tmp_path):
    classic(tmp_path)
    loaded = source.load(options(tmp_path))
    again = source.load(options(tmp_path))
    items = list(loaded.items)
    assert items == list(again.items)
    assert loaded.class_names == imagenet_classes.class_names()
    assert [item.split for item in items] == ["train"] * 12 + ["validation"] * 3
    assert json.loads(items[1].key)[0] == "train-00000-of-00002"
    assert json.loads(items[1].key)[3] == 1
    moved = pickle.loads(pickle.dumps(loaded.read))
    assert moved(items[-1]) == loaded.read(items[-1])
    assert len(pickle.dumps(loaded.read)) < 2000


def test_one_split_alone_will_do(tmp_path):
    rows = fmt.rows(SYNSETS)
    fmt.build_imagenet_data(tmp_path, "train", rows, WNIDS)
    check(read_all(tmp_path), rows)
    assert source.load(options(tmp_path)).split_rule.endswith("files: train")


def test_through_the_builder(tmp_path):
    """The JPEG files reach the new shards untouched."""
    rows = classic(tmp_path / "raw")
    build(tmp_path / "out", source="imagenet_tfrecords", input_dir=tmp_path / "raw")
    built = read(tmp_path / "out")
    found = {
        (split, record["image/id"].decode()): (record["image/encoded"], record["image/class/label"])
        for split, records in built.items()
        for record in records
    }
    assert found == {
        ("validation" if "_val_" in row.filename else "train", row.filename): (
            row.image,
            WNIDS.index(row.synset),
        )
        for row in rows
    }


def test_missing_files_are_listed(tmp_path):
    classic(tmp_path, shards=4)
    (tmp_path / "train-00001-of-00004").unlink()
    (tmp_path / "train-00003-of-00004").unlink()
    with pytest.raises(ValueError, match="lacks 2 of 8") as error:
        source.load(options(tmp_path))
    assert "train-00001-of-00004, train-00003-of-00004" in str(error.value)


def test_two_sets_in_one_folder(tmp_path):
    classic(tmp_path)
    fmt.build_imagenet_data(tmp_path, "train", fmt.rows(SYNSETS), WNIDS, shards=3)
    with pytest.raises(ValueError, match="sets of 2 and 3 files"):
        source.load(options(tmp_path))


def test_a_file_beyond_the_total(tmp_path):
    classic(tmp_path)
    (tmp_path / "train-00002-of-00002").write_bytes(b"")
    with pytest.raises(ValueError, match="train-00002-of-00002' is numbered beyond its total"):
        source.load(options(tmp_path))


@pytest.mark.parametrize("there", ["other-00000-of-00001", "train-0-of-1", None])
def test_nothing_of_the_kind(tmp_path, there):
    root = tmp_path / "raw"
    if there:
        root.mkdir()
        (root / there).write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds neither .* --source=imagenet"):
        source.load(options(root))


def test_the_empty_validation_files_of_imagenet_to_gcs(tmp_path):
    train, validation = fmt.rows(SYNSETS), fmt.rows(KNOWN, validation=True)
    fmt.imagenet_to_gcs(tmp_path, train, validation, WNIDS, validation_defect=True)
    with pytest.raises(ValueError, match="All 2 validation files") as error:
        source.load(options(tmp_path))
    assert "14 October 2021" in str(error.value) and "--source=imagenet" in str(error.value)
    for path in tmp_path.glob("validation-*"):
        path.unlink()
    check(read_all(tmp_path), train)


def test_all_train_files_empty(tmp_path):
    fmt.build_imagenet_data(tmp_path, "train", [], WNIDS)
    with pytest.raises(ValueError, match=r"All 2 train files .* found no images"):
        source.load(options(tmp_path))


@pytest.mark.parametrize("keep", [0, 2, 5])
@pytest.mark.parametrize("shard", [0, 1, 2])
def test_a_file_cut_between_two_records(tmp_path, shard, keep):
    """Only the other files tell: writers fill all equally, but for the last."""
    rows = fmt.rows(SYNSETS, each=6)
    fmt.build_imagenet_data(tmp_path, "train", rows, WNIDS, shards=3)
    path = tmp_path / f"train-{shard:05d}-of-00003"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert len(records) == 8
    fmt.write_records(path, records[:keep])
    if shard == 2 and keep:  # imagenet_to_gcs.py's last file has what is left
        assert len(read_all(tmp_path)) == 16 + keep
    else:
        with pytest.raises(BadImageError, match=f"{path.name}' holds {keep} records"):
            read_all(tmp_path)


def test_damaged_files_are_bad_images_with_a_name(tmp_path):
    classic(tmp_path)
    path = tmp_path / "train-00001-of-00002"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(BadImageError, match=path.name):
            read_all(tmp_path)
        path.write_bytes(whole[: int(rng.integers(1, len(whole)))])
        with pytest.raises(BadImageError, match=path.name):
            read_all(tmp_path)


def test_a_damaged_record_leaves_the_others(tmp_path):
    rows = classic(tmp_path)
    path = tmp_path / "train-00000-of-00002"
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 1  # in the first record, which `load` tries
    path.write_bytes(damaged)
    loaded = source.load(options(tmp_path))
    bad, *good = loaded.items
    with pytest.raises(BadImageError, match="record 0, at byte 12: its data fail"):
        loaded.read(bad)
    assert len([loaded.read(item) for item in good]) == len(rows) - 1


def one(root, features):
    """A train file of one record with these features."""
    fmt.write_records(root / "train-00000-of-00001", [fmt.example(features)])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (lambda row: WNIDS.index(row.synset), "seem to be in the order 'sorted'"),
        (
            lambda row: next(
                n
                for n in range(1, 1001)
                if WNIDS[imagenet_classes.to_label(n, "devkit")] == row.synset
            ),
            "seem to be in the order 'devkit'",
        ),
        (lambda row: -1, "-1 stands for a missing label"),
        (lambda row: 1001, "No order known here"),
    ],
)
def test_labels_in_another_order(tmp_path, label, message):
    """Found by `load` already: training need not wait for a listing."""
    with pytest.raises(ValueError, match="train-00000-of-00002', record 0") as error:
        classic(tmp_path, label=label)
        source.load(options(tmp_path))
    assert message in str(error.value) and "n01440764_10.JPEG" in str(error.value)
    assert not isinstance(error.value, BadImageError)  # never to be skipped


def test_one_wrong_label_behind_the_first(tmp_path):
    rows = fmt.rows(SYNSETS, each=3)
    classic(tmp_path, rows, label=lambda row: 5 if row == rows[7] else WNIDS.index(row.synset) + 1)
    loaded = source.load(options(tmp_path))
    items = {item.image_id: item for item in loaded.items}
    with pytest.raises(ValueError, match="record 1 .*label 5, expected 1000 for n15075141"):
        loaded.read(items[rows[7].filename])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image/class/synset": fmt.text("n01443537")}, "file name says 'n01440764' and the syn"),
        ({"image/class/synset": fmt.text("n99999999")}, "one of the 1000 WordNet ids"),
        ({"image/class/label": None}, "-1 stands for a missing label"),
        ({"image/class/label": fmt.int64(1, 1)}, "-1 stands for a missing label"),
        ({"image/class/label": fmt.text("1")}, "'image/class/label' is a bytes_list"),
        ({"image/class/synset": None}, "'image/class/synset', got 0"),
        ({"image/encoded": None}, "'image/encoded', got 0"),
        ({"image/filename": None}, "'image/filename', got 0"),
    ],
)
def test_records_of_another_kind(tmp_path, change, message):
    """`load` tries the first, so that --on_bad_image=skip does not skip all of them."""
    (row,) = fmt.rows(SYNSETS[:1])
    features = fmt.models_features(row, 1) | change
    one(tmp_path, {key: value for key, value in features.items() if value is not None})
    with pytest.raises(ValueError, match="train-00000-of-00001', record 0") as error:
        source.load(options(tmp_path))
    assert message in str(error.value)


def test_no_example_at_all(tmp_path):
    fmt.write_records(tmp_path / "train-00000-of-00001", [b"\xff" * 50])
    with pytest.raises(ValueError, match=r"record 0: its 50 bytes are no tf\.train\.Example"):
        source.load(options(tmp_path))


def test_a_name_that_is_no_line_of_text_does_not_pass(tmp_path):
    (row,) = fmt.rows(SYNSETS[:1])
    one(tmp_path, fmt.models_features(row, 1) | {"image/filename": fmt.text(b"a\nb\xff")})
    (item,) = source.load(options(tmp_path)).items
    assert item.image_id == "train-00000-of-00001#0"


def test_boxes_become_maps_if_wanted(tmp_path):
    """Of 24 x 32 pixels: columns 8...15 and rows 6...11; and all of it."""
    boxes = ((0.25, 0.25, 0.5, 0.5), (0.0, 0.0, 1.0, 1.0))
    row = fmt.rows(SYNSETS[:1], boxes=boxes)[0]
    fmt.build_imagenet_data(tmp_path, "train", [row, *fmt.rows(SYNSETS[1:])], WNIDS)
    assert all(e.participant_maps == () for e in read_all(tmp_path).values())
    found = read_all(tmp_path, boxes="in_records")
    expected = np.ones((24, 32), np.int64)
    expected[6:12, 8:16] = 2
    (counts,) = found.pop(row.filename).participant_maps
    np.testing.assert_array_equal(counts, expected)
    assert all(e.participant_maps == () for e in found.values())  # nobody drew one there


def test_boxes_turn_with_the_picture(tmp_path):
    """EXIF 6: displayed turned clockwise, so the upper left quarter comes to the upper right."""
    exif = fmt.Image.Exif()
    exif[0x0112] = 6
    image = fmt.jpeg(0, 24, 32, exif=exif)
    row = fmt.Row("n01440764_1.JPEG", "n01440764", image, ((0.0, 0.0, 0.5, 0.5),))
    fmt.build_imagenet_data(tmp_path, "train", [row], WNIDS, shards=1)
    (example,) = read_all(tmp_path, boxes="in_records").values()
    expected = np.zeros((32, 24), np.int64)
    expected[:16, 12:] = 1
    np.testing.assert_array_equal(example.participant_maps[0], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xmin": fmt.floats([0.6])}, "box 0 .* is [0.6, 0.1, 0.5, 0.5]"),
        ({"xmax": fmt.floats([1.5])}, "expected minima <= maxima, all in 0...1"),
        ({"ymin": fmt.floats([float("nan")])}, "expected minima <= maxima"),
        ({"ymax": fmt.floats([])}, "'ymax': 0"),
        ({"ymax": fmt.int64(1)}, "is a int64_list"),
        ({"ymax": None}, "no feature image/object/bbox/ymax"),
    ],
)
def test_boxes_that_are_none(tmp_path, change, message):
    (row,) = fmt.rows(SYNSETS[:1], boxes=[(0.1, 0.1, 0.5, 0.5)])
    features = fmt.models_features(row, 1)
    features |= {f"image/object/bbox/{edge}": value for edge, value in change.items()}
    one(tmp_path, {key: value for key, value in features.items() if value is not None})
    read_all(tmp_path)  # without --boxes they do not matter
    with pytest.raises(ValueError, match="train-00000-of-00001', record 0") as error:
        source.load(options(tmp_path, boxes="in_records"))
    assert message.replace(" .* ", " (xmin, ymin, xmax, ymax) ") in str(error.value)


def test_boxes_where_there_can_be_none(tmp_path):
    fmt.imagenet_to_gcs(tmp_path, fmt.rows(SYNSETS), fmt.rows(KNOWN, validation=True), WNIDS)
    with pytest.raises(ValueError, match="leave them out. Build without --boxes"):
        source.load(options(tmp_path, boxes="in_records"))
    with pytest.raises(ValueError, match="--boxes='boxes.csv': .*--source=imagenet"):
        source.load(options(tmp_path, boxes="boxes.csv"))


def tfds_splits():
    return {
        "train": fmt.rows(SYNSETS, each=3),
        "validation": fmt.rows(KNOWN, validation=True),
        "test": [
            fmt.Row(f"test/ILSVRC2012_test_{n:08d}.JPEG", "", fmt.jpeg(90 + n)) for n in (1, 2)
        ],
    }


@pytest.mark.parametrize("level", ["data_dir", "name", "version"])
def test_tfds(tmp_path, level, capsys):
    splits = tfds_splits()
    directory = fmt.tfds_imagenet2012(tmp_path, splits, WNIDS)
    root = {"data_dir": tmp_path, "name": directory.parent, "version": directory}[level]
    check(read_all(root), splits["train"] + splits["validation"])
    assert "left out 2 images of test, which have no labels" in capsys.readouterr().out


def edit(directory, **changes):
    path = directory / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_tfds_in_another_file_format(tmp_path):
    fmt.tfds_imagenet2012(tmp_path, tfds_splits(), WNIDS, file_format="array_record")
    with pytest.raises(ValueError, match="prepared as array_record, .*tfds convert_format"):
        source.load(options(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "imagenet_resized"}, "describes the TFDS data set 'imagenet_resized'"),
        ({"schema_version": 1}, "data_prep has built already"),
        ({"splits": [{"name": "train"}]}, "KeyError: 'shardLengths'"),
        ({"splits": [{"name": "train", "shardLengths": ["x"]}]}, "ValueError"),
        ({"splits": "train"}, "AttributeError"),
        ({"splits": [{"name": "../a", "shardLengths": ["1"]}]}, "is not a name of a split"),
        (
            {"splits": [{"name": "train", "shardLengths": ["1"], "filepathTemplate": "{X}"}]},
            "files are named '{X}'",
        ),
        ({"splits": [{"name": "test", "shardLengths": ["1"]}]}, "neither train nor validation"),
        ({"splits": [{"name": "train", "shardLengths": ["1"] * 3}]}, "lacks 3 of 3"),
    ],
)
def test_tfds_described_otherwise(tmp_path, changes, message):
    directory = fmt.tfds_imagenet2012(tmp_path, tfds_splits(), WNIDS)
    edit(directory, **changes)
    with pytest.raises(ValueError) as error:
        source.load(options(tmp_path))
    assert message in str(error.value)


def test_tfds_damaged_description(tmp_path):
    directory = fmt.tfds_imagenet2012(tmp_path, tfds_splits(), WNIDS)
    for content, message in (
        (b"{", "is not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "JSON object"),
        (b"[" * 200_000, "not JSON"),
    ):
        (directory / "dataset_info.json").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            source.load(options(tmp_path))


def test_tfds_before_5_knew_no_template_and_no_formats(tmp_path):
    splits = tfds_splits()
    directory = fmt.tfds_imagenet2012(tmp_path, splits, WNIDS)
    info = json.loads((directory / "dataset_info.json").read_text())
    del info["fileFormat"]
    for split in info["splits"]:
        del split["filepathTemplate"]
    (directory / "dataset_info.json").write_text(json.dumps(info))
    (directory / "label.labels.txt").unlink()
    assert len(read_all(tmp_path)) == 15


def test_tfds_versions(tmp_path):
    directory = fmt.tfds_imagenet2012(tmp_path, tfds_splits(), WNIDS)
    (directory.parent / "incomplete.AQPSQ6_5.1.1").mkdir()  # beside a finished one: no matter
    source.load(options(tmp_path))
    shutil.copytree(directory, directory.parent / "5.0.0")
    with pytest.raises(ValueError, match=r"the versions 5\.0\.0, 5\.1\.0 .*Name one"):
        source.load(options(tmp_path))
    shutil.rmtree(directory.parent / "5.0.0")
    shutil.rmtree(directory)
    with pytest.raises(ValueError, match=r"incomplete\.AQPSQ6_5\.1\.1' is an unfinished"):
        source.load(options(tmp_path))
    (directory.parent / "incomplete.AQPSQ6_5.1.1").rmdir()
    assert tfds_files.find(str(tmp_path), "imagenet2012") is None


def test_tfds_other_label_names(tmp_path):
    """imagenet_resized has this list in the devkit's order."""
    order = sorted(WNIDS, key=lambda wnid: wnid != "n02119789")
    fmt.tfds_imagenet2012(tmp_path, tfds_splits(), order)
    with pytest.raises(ValueError, match="line 1: n02119789, expected n01440764"):
        source.load(options(tmp_path))


def test_tfds_lost_records(tmp_path):
    directory = fmt.tfds_imagenet2012(tmp_path, tfds_splits(), WNIDS)
    path = directory / "imagenet2012-train.tfrecord-00001-of-00002"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    fmt.write_records(path, records[:-1])
    with pytest.raises(BadImageError, match="00001-of-00002' holds 5 records, expected 6"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (lambda row: WNIDS.index(row.synset) + 1, "seem to be in the order 'sorted_from_1'"),
        (lambda row: -1, "-1 stands for a missing label"),
    ],
)
def test_tfds_labels_in_another_order(tmp_path, label, message):
    fmt.tfds_imagenet2012(tmp_path, tfds_splits(), WNIDS, label=label)
    with pytest.raises(ValueError, match=message):
        source.load(options(tmp_path))


def test_tfds_validation_labels_are_checked_where_they_are_known(tmp_path):
    rows = [row._replace(synset="n01440764") for row in fmt.rows(KNOWN, validation=True)]
    fmt.tfds_imagenet2012(tmp_path, {"validation": rows}, WNIDS)
    with pytest.raises(ValueError, match=r"label 0, expected \d+ for n\d+, 'sorted'"):
        source.load(options(tmp_path))
    shutil.rmtree(tmp_path / "imagenet2012")
    other = [fmt.Row("ILSVRC2012_val_00000100.JPEG", "n01440764", fmt.jpeg(0))]
    fmt.tfds_imagenet2012(tmp_path, {"validation": other}, WNIDS, shards=1)
    check(read_all(tmp_path), other)


def test_tfds_train_names_must_tell_the_class(tmp_path):
    rows = [fmt.Row("picture.JPEG", "n01440764", fmt.jpeg(0))]
    fmt.tfds_imagenet2012(tmp_path, {"train": rows}, WNIDS, shards=1)
    with pytest.raises(ValueError, match="does not tell its class"):
        source.load(options(tmp_path))


def test_the_fixture_is_what_tfds_writes(tmp_path):
    """Prepares three tiny archives with TFDS itself, where it is installed."""
    tfds = pytest.importorskip("tensorflow_datasets")
    splits = tfds_splits()
    manual = tmp_path / "manual"
    manual.mkdir()
    with tarfile.open(manual / "ILSVRC2012_img_train.tar", "w") as train:
        for synset in SYNSETS:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for row in splits["train"]:
                    if row.synset == synset:
                        add(tar, row.filename, row.image)
            add(train, f"{synset}.tar", inner.getvalue())
    for split, short in (("validation", "val"), ("test", "test")):
        with tarfile.open(manual / f"ILSVRC2012_img_{short}.tar", "w") as tar:
            for row in splits[split]:
                add(tar, row.filename, row.image)
    try:
        builder = tfds.builder("imagenet2012", data_dir=str(tmp_path / "theirs"))
        builder.download_and_prepare(
            file_format="tfrecord",
            download_config=tfds.download.DownloadConfig(manual_dir=str(manual), num_shards=2),
        )
    except ImportError as error:  # of what it needs, it imports some only now
        pytest.skip(f"TFDS lacks a library: {error}")
    # TFDS's own list says what the validation images are, by their place in the archive.
    named = builder.info.features["label"].int2str
    theirs = read_all(tmp_path / "theirs")
    splits["validation"] = [
        row._replace(synset=named(theirs[row.filename].label)) for row in splits["validation"]
    ]
    assert [row.synset for row in splits["validation"]] == KNOWN
    check(theirs, splits["train"] + splits["validation"])
    ours = fmt.tfds_imagenet2012(tmp_path / "ours", splits, WNIDS)
    compare_directories(tmp_path / "theirs" / "imagenet2012" / "5.1.0", ours)


def add(tar, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def compare_directories(theirs, ours):
    assert {path.name for path in theirs.iterdir()} == {path.name for path in ours.iterdir()}
    for path in theirs.glob("*.tfrecord-*"):
        # Not the bytes: in a protocol buffer the order of a map is arbitrary.
        left, right = (
            [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
            for file in (path, ours / path.name)
        )
        assert left == right
    for name in ("features.json", "label.labels.txt"):
        assert (theirs / name).read_text() == (ours / name).read_text()
    left, right = (json.loads((d / "dataset_info.json").read_text()) for d in (theirs, ours))
    for prose in ("citation", "description", "releaseNotes"):
        del left[prose], right[prose]
    assert left == right
