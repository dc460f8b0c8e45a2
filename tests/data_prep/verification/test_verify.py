"""`data_prep.verify` names every fault, and training refuses such a data set in the same words."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from grey_shards import check_records
from small_data import make_example

from data_prep.building import encoding
from data_prep.verification import dataset_checks, findings, shard_checks
from gala_tf.data import dataset_info, records, tfrecord_files

SHARD = "train-00001-of-00003.tfrecord"


@pytest.fixture
def copy(data_dir, tmp_path):
    """A copy of the small data set, to be damaged."""
    directory = tmp_path / "copy"
    shutil.copytree(data_dir, directory)
    return directory


def faults(directory, **options):
    """All faults as (file, record, reason), from the file that users get."""
    options = {"blur_sample": 1, "sheets": False} | options
    report = dataset_checks.verify(str(directory), **options)
    lines = (directory / "verify" / "faults.csv").read_text().splitlines()
    assert lines[0] == "file,record,reason"
    assert report.faults == len(report.first)  # few here
    return [tuple(fault) for fault in report.first]


def serialized_records(directory, file=SHARD):
    return list(tfrecord_files.records(str(directory / file)))


def rewrite(directory, serialized, file=SHARD):
    """A shard with other records, and a sidecar that agrees with it as a file."""
    shard = tfrecord_files.write_shard(str(directory / file), serialized)
    info = dataset_info.load_info(str(directory))
    split = info.splits["train"]
    shards = tuple(shard if old.file == file else old for old in split.shards)
    total = sum(one.examples for one in shards)
    split = dataclasses.replace(split, shards=shards, examples=total)
    info = dataclasses.replace(info, splits={**info.splits, "train": split})
    dataset_info.save_info(str(directory), info)
    return info


def change(directory, number, edit):
    """Record `number` of SHARD edited as a tf.train.Example; checksums and sidecar agree."""
    serialized = serialized_records(directory)
    example = tf.train.Example.FromString(serialized[number])
    edit(example.features.feature)
    serialized[number] = example.SerializeToString(deterministic=True)
    return rewrite(directory, serialized)


def test_a_sound_data_set_has_no_faults_and_a_table(data_dir, tmp_path):
    report = dataset_checks.verify(str(data_dir), str(tmp_path / "out"), blur_sample=1)
    assert (report.faults, report.first) == (0, [])
    assert [line.split()[:3] for line in report.summary.splitlines()[1:]] == [
        ["train", "40", "32"],
        ["validation", "12", "9"],
        ["test", "13", "10"],
        ["all", "65", "51"],
    ]
    names = sorted(os.listdir(tmp_path / "out"))
    assert names == [
        "exemplars.png",
        "faults.csv",
        "near_duplicates.csv",
        "sheet_by_class-01.png",
        "sheet_by_map_size.png",
        "sheet_suspicious.png",
        "statistics.json",
        "statistics.md",
        "statistics.png",
    ]
    assert (tmp_path / "out" / "faults.csv").read_text() == "file,record,reason\n"
    numbers = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert numbers["all"]["maps"] == 2 * 51
    assert numbers["participants_per_image"] == {"0": 14, "2": 51}
    assert numbers["splits"]["train"]["images"] == 40


@pytest.mark.slow
def test_the_command_exits_with_1_and_prints_file_record_and_reason(copy):
    data = bytearray((copy / SHARD).read_bytes())
    data[-10] ^= 1
    (copy / SHARD).write_bytes(data)
    command = [sys.executable, "-m", "data_prep.verify", str(copy), "--num_workers=1", "--nosheets"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1, result.stderr[-2000:]
    assert f"{SHARD}, record 12: {dataset_info.ALTERED}" in result.stdout
    assert "2 faults" in result.stdout and "faults.csv" in result.stdout


def refused(directory, split="train"):
    """Training's words about a split, or ""."""
    info = dataset_info.load_info(str(directory))
    try:
        dataset_info.check_shards(str(directory), info, split)  # before training
        check_records(str(directory), info, split)  # while training
    except ValueError as error:
        return str(error)
    return ""


def spans(directory):
    return list(tfrecord_files.spans(str(directory / SHARD)))


def with_size(directory):
    """The sidecar takes the shard as it is now: only its records can tell."""
    info = dataset_info.load_info(str(directory))
    split = info.splits["train"]
    size = os.path.getsize(directory / SHARD)
    shards = tuple(
        dataclasses.replace(s, bytes=size) if s.file == SHARD else s for s in split.shards
    )
    split = dataclasses.replace(split, shards=shards)
    dataset_info.save_info(
        str(directory), dataclasses.replace(info, splits={**info.splits, "train": split})
    )


@pytest.mark.parametrize(
    "extra, reason", [(0, ""), (7, dataset_info.CUT_OFF), (60, dataset_info.CUT_OFF)]
)
def test_a_truncated_shard(copy, extra, reason):
    end = spans(copy)[3].offset + spans(copy)[3].length + 4
    os.truncate(copy / SHARD, end + extra)  # behind record 3, in the head of 4, inside of 4
    found = faults(copy)
    words = "holds 4 records, expected 13 (dataset_info.json)"
    assert found[0][:2] == (SHARD, None) and f"got {end + extra} bytes" in found[0][2]
    assert found[1:] == [(SHARD, 4, reason)] * bool(reason) + [(SHARD, 4, f"it {words}")]
    assert found[0][2] in refused(copy)
    with_size(copy)
    assert f"cannot be read: {reason or found[-1][2]}" in refused(copy)


def test_a_flipped_byte_in_the_data_and_in_a_length(copy):
    data = bytearray((copy / SHARD).read_bytes())
    data[spans(copy)[5].offset + 20] ^= 4
    (copy / SHARD).write_bytes(data)
    found = faults(copy)
    assert [fault[:2] for fault in found] == [(SHARD, None), (SHARD, 5)]
    assert "SHA-256" in found[0][2] and found[1][2] == dataset_info.ALTERED
    assert f"Record 5 of shard {str(copy / SHARD)!r} cannot be read: {found[1][2]}" in refused(copy)
    data[spans(copy)[2].offset - 12] ^= 4
    (copy / SHARD).write_bytes(data)
    found = faults(copy)
    assert found[1][:2] == (SHARD, 2) and found[1][2].startswith(dataset_info.ALTERED)
    assert (
        f"Record 2 of shard {str(copy / SHARD)!r} cannot be read: {dataset_info.ALTERED}"
        in refused(copy)
    )


def test_every_flipped_byte_is_found(copy):
    """Seeded sample; with the digest and without (the sidecar's is made to agree)."""
    original = (copy / SHARD).read_bytes()
    info = dataset_info.load_info(str(copy))
    shard = next(s for s in info.splits["train"].shards if s.file == SHARD)
    rng = np.random.default_rng(0)
    heads = [span.offset - 12 + i for span in spans(copy)[:1] for i in range(12)]
    places = [*heads, len(original) - 1, *rng.integers(0, len(original), 60).tolist()]
    for number, place in enumerate(places):
        data = bytearray(original)
        data[place] ^= 1 << int(rng.integers(8))
        (copy / SHARD).write_bytes(data)
        store = str(copy / f"{number}.sqlite")
        shard_checks.check(shard_checks.Job(str(copy), "train", shard, info, 16, store))
        found = list(findings.all_faults(findings.sqlite3.connect(store)))
        assert found[0].record is None and "SHA-256" in found[0].reason
        at = max(i for i, span in enumerate(spans_of(original)) if span.offset - 12 <= place)
        assert (found[1].file, found[1].record) == (SHARD, at), place
        assert (
            found[1].reason.startswith(dataset_info.ALTERED)
            or found[1].reason == dataset_info.CUT_OFF
        )


def spans_of(data):
    spans, offset = [], 0
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 8], "little")
        spans.append(tfrecord_files.Span(offset + 12, length))
        offset += 16 + length
    return spans


def test_a_missing_shard(copy):
    (copy / SHARD).unlink()
    found = faults(copy)
    assert len(found) == 1 and found[0][:2] == (SHARD, None)
    assert "got no such file" in found[0][2] and found[0][2] in refused(copy)


def test_an_extra_shard(copy):
    shutil.copy(copy / SHARD, copy / "train-00003-of-00004.tfrecord")
    assert faults(copy) == [("train-00003-of-00004.tfrecord", None, dataset_info.UNLISTED)]
    assert f"train-00003-of-00004.tfrecord' cannot be read: {dataset_info.UNLISTED}" in refused(
        copy
    )


def test_a_shard_of_another_data_set(copy):
    """Of the same size, so that only its digest, its records and the sums can tell."""
    others = [
        encoding.encode(
            make_example(i + 100, "train"), encoding.Storage("original", 0, "box:5", 16)
        )
        for i in range(13)
    ]
    tfrecord_files.write_shard(str(copy / SHARD), [item.serialized for item in others])
    with_size(copy)
    found = faults(copy)
    assert found[0][:2] == (SHARD, None) and "is of another data set" in found[0][2]


def test_a_record_of_another_schema_version(copy):
    def edit(features):
        features["schema_version"].int64_list.value[0] = 2
        del features["clickmap/box"]  # another schema has other features

    change(copy, 6, edit)
    words = "it has schema_version 2, this program reads 1"
    assert faults(copy) == [(SHARD, 6, words)]
    assert f"Record 6 of shard {str(copy / SHARD)!r} cannot be read: {words}" in refused(copy)


@pytest.mark.parametrize("text", [None, "{", '{"schema_version": 9}'])
def test_no_sidecar_or_a_broken_one(copy, text):
    (copy / "dataset_info.json").unlink()
    if text is not None:
        (copy / "dataset_info.json").write_text(text)
    (found,) = faults(copy)
    assert found[:2] == ("dataset_info.json", None)
    with pytest.raises(ValueError) as error:
        dataset_info.load_info(str(copy))
    assert str(error.value) == found[2]


def test_no_such_directory_makes_none(tmp_path):
    assert dataset_checks.verify(str(tmp_path / "nothing")).faults == 1
    assert not (tmp_path / "nothing").exists()


def test_a_sidecar_that_names_files_elsewhere(copy):
    text = (copy / "dataset_info.json").read_text()
    (copy / "dataset_info.json").write_text(text.replace(SHARD, f"../{SHARD}"))
    (found,) = faults(copy)
    assert "which is no file name" in found[2]


def test_counts_that_the_records_do_not_bear_out(copy):
    info = dataset_info.load_info(str(copy))
    split = dataclasses.replace(info.splits["test"], with_clickmap=9, classes=1)
    image = dataclasses.replace(info.image, max_height=33)
    info = dataclasses.replace(info, splits={**info.splits, "test": split}, image=image)
    dataset_info.save_info(str(copy), info)
    reasons = [fault[2] for fault in faults(copy)]
    assert reasons == [
        "split 'test': with_clickmap is 9, its records hold 10",
        "split 'test': classes is 1, its records hold 4",
        "image (least and greatest height, width) is (32, 33, 32, 32), its records hold "
        "(32, 32, 32, 32)",
    ]


def set_bytes(name, value, place=0):
    def edit(features):
        features[name].bytes_list.value[place] = value

    return edit


def set_number(name, value):
    def edit(features):
        features[name].int64_list.value[0] = value

    return edit


def counts_png(value=1, shape=(32, 32)):
    return records.encode_counts(np.full(shape, value))


def delete(name):
    return lambda features: features.pop(name)


def as_floats(features):
    features["image/class/label"].float_list.value[:] = [1.0]


def two_labels(features):
    features["image/class/label"].int64_list.value.append(1)


def unknown(features):
    features["more"].int64_list.value[:] = [1]


def nan_box(features):
    features["clickmap/box"].float_list.value[0] = float("nan")


def halve(name):
    def edit(features):
        value = features[name].bytes_list.value
        value[0] = value[0][: len(value[0]) // 2]

    return edit


# Record 1 of SHARD is image 4 of the split: two participants.
@pytest.mark.parametrize(
    "edit, reason",
    [
        (delete("clickmap/box"), "feature 'clickmap/box' is missing"),
        (unknown, "feature 'more' is not of the schema"),
        (as_floats, "feature 'image/class/label' has type float32, expected int64"),
        (two_labels, "feature 'image/class/label' has 2 values, expected 1"),
        (set_number("image/class/label", 4), "label 4, expected 0...3"),
        (set_number("clickmap/clicks", -1), "clickmap/clicks is -1, expected >= 0"),
        (set_bytes("image/id", b""), "image/id is empty"),
        (set_bytes("image/id", b"\xff"), "is not UTF-8"),
        (set_bytes("image/encoded", b"\x89PNG"), "the image is no JPEG file"),
        (halve("image/encoded"), "the JPEG cannot be decoded"),
        (set_number("image/height", 31), "image of 31x32 pixels.*expected heights 32...32"),
        (set_number("image/height", 10**9), "image of 1000000000x32 pixels"),
        (set_bytes("clickmap/counts", b""), "counts: missing, but there are participants"),
        (set_bytes("clickmap/counts", b"GIF89a"), "clickmap/counts: not a PNG file"),
        (set_bytes("clickmap/counts", counts_png(1, (16, 32))), "PNG of 16x32 pixels, 8 bits"),
        (halve("clickmap/counts"), "counts: the PNG cannot be decoded"),
        (set_bytes("clickmap/counts", counts_png(3)), "maps do not add up to clickmap/counts"),
        (set_bytes("clickmap/by_participant", b"", 1), "by_participant 1: missing"),
        (set_number("clickmap/participants", 3), "by_participant has 2 maps, expected 3"),
        (set_number("clickmap/participants", 0), "counts is not empty, but there are no part"),
        (set_bytes("clickmap/blurred", b"\xff" * 9), "blurred has 9 values, expected 16x16"),
        (set_bytes("clickmap/blurred", b"\x07" * 256), "blurred has maximum 7, expected 255"),
        (set_bytes("clickmap/blurred", b"\xff" * 256), "blurred is off by .* of 255 from box:5"),
        (nan_box, r"clickmap/box is \(nan, .*the map's extent"),
    ],
)
def test_a_record_at_fault(copy, edit, reason):
    change(copy, 1, edit)
    found = faults(copy)
    assert {fault[:2] for fault in found} == {(SHARD, 1)}
    assert any(re.search(reason, fault[2]) for fault in found), found


def test_no_example_at_all(copy):
    rewrite(copy, [*serialized_records(copy)[:12], b"\xff\xff"])
    ((file, record, reason),) = faults(copy)
    assert (file, record) == (SHARD, 12) and reason.startswith("it is not a tf.train.Example")


def test_all_faults_are_listed_not_only_the_first(copy):
    change(copy, 1, set_number("image/class/label", 9))
    change(copy, 4, delete("clickmap/box"))
    (copy / "test-00000-of-00003.tfrecord").unlink()
    found = faults(copy)
    assert [fault[:2] for fault in found] == [
        ("test-00000-of-00003.tfrecord", None),
        (SHARD, 1),
        (SHARD, 4),
    ]


def test_the_same_picture_in_two_splits_and_an_id_used_twice(copy):
    other = serialized_records(copy, "test-00000-of-00003.tfrecord")[2]
    serialized = serialized_records(copy)
    example = tf.train.Example.FromString(other)
    example.features.feature["image/id"].bytes_list.value[0] = b"train/other"
    rewrite(copy, [*serialized[:11], example.SerializeToString(), serialized[0]])
    info = dataset_info.load_info(str(copy))
    found = [fault for fault in faults(copy) if fault[0] != "dataset_info.json"]
    assert info.splits["train"].examples == 40
    assert found == [
        (
            SHARD,
            11,
            "'train/other' is the same picture as record 2 of test-00000-of-00003.tfrecord, in "
            "split 'test'",
        ),
        (SHARD, 12, f"image/id 'train/1' is also that of record 0 of {SHARD}"),
    ]


@pytest.mark.slow
def test_the_report_does_not_depend_on_the_number_of_processes(copy, tmp_path):
    change(copy, 1, set_number("image/class/label", 9))
    reports = [
        dataset_checks.verify(str(copy), str(tmp_path / str(n)), num_workers=n, sheets=False)
        for n in (1, 2)
    ]
    assert reports[0]._replace(output_dir="") == reports[1]._replace(output_dir="")
    for name in ("faults.csv", "near_duplicates.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("option", ["num_workers", "blur_sample", "class_pages"])
def test_numbers_below_one_are_refused(copy, option):
    with pytest.raises(ValueError, match=f"--{option} must be at least 1, got 0"):
        dataset_checks.verify(str(copy), **{option: 0})
