"""TFRecord files by position: agreement with TensorFlow's reader, and every possible damage."""

import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf

from data_prep.readers.examples import example_features
from gala_tf.data import files, tfrecord_files
from gala_tf.data.tfrecord_files import DamagedFileError, Span

RECORDS = [b"abc", b"", b"x" * 17]


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def read_all(path):
    return [tfrecord_files.read(path, span, i) for i, span in enumerate(tfrecord_files.spans(path))]


def test_where_records_lie(tmp_path):
    """8 + 4 bytes before the data, 4 behind."""
    path = write(tmp_path / "a", RECORDS)
    assert list(tfrecord_files.spans(path)) == [Span(12, 3), Span(31, 0), Span(47, 17)]
    assert files.file_size(path) == 12 + 3 + 4 + 12 + 4 + 12 + 17 + 4


@pytest.mark.parametrize("url", [False, True])
def test_agreement_with_tensorflow(tmp_path, url):
    """Also through TensorFlow's file systems, as gs:// is read."""
    rng = np.random.default_rng(0)
    lengths = [0, 1, 8191, 8192, 8193, 600_000, *rng.integers(0, 5000, 30)]
    expected = [rng.bytes(int(length)) for length in lengths]
    path = write(tmp_path / "a", expected)
    path = f"file://{path}" if url else path
    assert [r.numpy() for r in tf.data.TFRecordDataset(path)] == expected
    assert read_all(path) == expected
    assert list(tfrecord_files.records(path)) == expected
    assert list(reversed(read_all(path))) == [
        tfrecord_files.read(path, span) for span in reversed(list(tfrecord_files.spans(path)))
    ]


def test_an_empty_file_has_no_records(tmp_path):
    path = write(tmp_path / "a", [])
    assert list(tfrecord_files.spans(path)) == list(tfrecord_files.records(path)) == []


READERS = (read_all, lambda path: list(tfrecord_files.records(path)))


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "a"
    whole = bytearray(open(write(path, RECORDS), "rb").read())
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        for reader in READERS:
            with pytest.raises(DamagedFileError, match=r"record [012], at byte \d+"):
                reader(str(path))


@pytest.mark.parametrize("reader", READERS)
def test_every_truncation_is_found_or_leaves_whole_records(tmp_path, reader):
    """Cut between two records, a file is a shorter file: that only a count can tell."""
    path = tmp_path / "a"
    whole = open(write(path, RECORDS), "rb").read()
    ends = {0: 0, 19: 1, 35: 2, len(whole): 3}
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        if size in ends:
            assert reader(str(path)) == RECORDS[: ends[size]]
        else:
            with pytest.raises(DamagedFileError):
                reader(str(path))


def test_bytes_behind_the_last_record_are_found(tmp_path):
    path = tmp_path / "a"
    write(path, RECORDS)
    with open(path, "ab") as file:
        file.write(b"\0")
    with pytest.raises(DamagedFileError, match="record 3, at byte 68: the file ends after 1 byte"):
        read_all(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff" * 40, "its length fails its checksum"),
        (gzip.compress(b"a" * 200), "compressed by gzip"),
        (struct.pack("<QI", 5, tfrecord_files.masked_crc(struct.pack("<Q", 5))), "end at byte 21"),
        (
            struct.pack("<QI", 2**40, tfrecord_files.masked_crc(struct.pack("<Q", 2**40))),
            "its length fails",
        ),
    ],
    ids=["no record", "gzip", "cut off", "a length of 1 TB"],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=message):
        read_all(str(path))


def test_a_file_changed_after_listing_is_found(tmp_path):
    path = write(tmp_path / "a", RECORDS)
    listed = list(tfrecord_files.spans(path))
    write(tmp_path / "a", [b"abd", b"", b"y"])
    assert tfrecord_files.read(path, listed[0], 0) == b"abd"  # a valid record of equal length
    with pytest.raises(DamagedFileError, match="record 2, at byte 47: the file ends inside it"):
        tfrecord_files.read(path, listed[2], 2)
    with pytest.raises(DamagedFileError, match=r"record \?"):
        tfrecord_files.read(path, Span(10**9, 3))


def test_files_are_sorted_by_name(tmp_path):
    for name in ("b-00001", "b-00000", "a"):
        (tmp_path / name).write_bytes(b"")
    names = [path.rsplit("/")[-1] for path in files.matching(str(tmp_path / "b-*"))]
    assert names == ["b-00000", "b-00001"]


def example(**features):
    def feature(value):
        if isinstance(value, list):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    return tf.train.Features(feature={key: feature(value) for key, value in features.items()})


def find(path, record, name):
    write(path, [b"before", record, b"behind"])
    span = list(tfrecord_files.spans(str(path)))[1]
    with files.open_binary(str(path)) as file:
        return example_features.bytes_feature(file, span, name)


@pytest.mark.parametrize("image", [0, 1, 100, 127, 128, 900, 1024, 5000, 300_000])
def test_a_short_feature_is_found_wherever_it_stands(tmp_path, image):
    """In front of the image, behind it, and at any place of the window."""
    parts = [
        example(image=b"i" * image),
        example(name=b"n01440764_10.JPEG"),
        example(label=[7], synset=b"n01440764"),
    ]
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0], [2, 0, 1]):
        # Messages put one behind the other are merged by readers, fields in their order.
        body = b"".join(parts[i].SerializeToString() for i in order)
        record = tf.train.Example(features=tf.train.Features.FromString(body)).SerializeToString()
        assert find(tmp_path / "a", record, "name") == b"n01440764_10.JPEG"
        assert find(tmp_path / "a", record, "synset") == b"n01440764"
        raw = b"\n" + varint(len(body)) + body
        assert find(tmp_path / "a", raw, "name") == b"n01440764_10.JPEG"
        for absent in ("nam", "names", "label"):
            assert find(tmp_path / "a", raw, absent) is None


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def test_no_bytes_make_it_fail(tmp_path):
    """What is no Example, or a damaged one, has no name, or a wrong one: never an exception."""
    rng = np.random.default_rng(0)
    whole = tf.train.Example(features=example(name=b"n01440764_10.JPEG", image=b"i" * 40))
    whole = whole.SerializeToString()
    path = tmp_path / "a"
    cases = [b"", b"\n", b"\n\xff", b"\xff" * 200, b"\n\x7f" + b"\n\x00" * 60]
    cases += [whole[:size] for size in range(len(whole))]
    cases += [rng.bytes(int(n)) for n in rng.integers(1, 400, 100)]
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= int(rng.integers(1, 256))
        cases.append(bytes(altered))
    for case in cases:
        found = find(path, case, "name")
        assert found is None or isinstance(found, bytes)
