"""Records: what goes in comes out, in TensorFlow's decoders as in Pillow's; errors name names."""

import dataclasses
import io
import json

import numpy as np
import pytest
import small_data
import tensorflow as tf
from PIL import Image

from gala_tf.data import dataset_info, records, schema, tfrecord_files
from gala_tf.data.images import BadImageError, decode_image, to_jpeg

HEIGHT, WIDTH = 20, 30


def _pixels(seed=0, height=HEIGHT, width=WIDTH):
    """A smooth picture, [H, W, 3] uint8: JPEG keeps it to within a few levels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def _file(mode="RGB", kind="JPEG", orientation=None, **pixels):
    image = Image.fromarray(_pixels(**pixels)).convert(mode)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, quality=95)
    return buffer.getvalue()


def _counts(high, seed=0, shape=(HEIGHT, WIDTH)):
    return np.random.default_rng(seed).integers(0, high, shape)


def _encode(example, grid=4, box=(0.0, 0.25, 1.0, 0.5)):
    if not example.participant_maps:
        return records.encode_example(example)
    blurred = np.arange(grid * grid, dtype=np.uint8).reshape(grid, grid)
    return records.encode_example(example, blurred=blurred, box=box)


def test_every_feature_survives_the_round_trip():
    maps = (_counts(7), _counts(300, 1), np.zeros((HEIGHT, WIDTH), np.uint8))
    example = schema.Example("klasse/ü 1.jpg", _file(), 3, maps, clicks=41, split="test")
    parsed = records.parse_example(_encode(example))
    assert set(parsed) == set(schema.FEATURES)
    assert parsed["image/encoded"].numpy() == example.image
    assert parsed["image/id"].numpy().decode("utf-8") == example.image_id
    assert int(parsed["image/class/label"]) == 3
    assert (int(parsed["image/height"]), int(parsed["image/width"])) == (HEIGHT, WIDTH)
    assert int(parsed["clickmap/participants"]) == 3
    assert int(parsed["clickmap/clicks"]) == 41
    assert int(parsed["schema_version"]) == dataset_info.SCHEMA_VERSION
    np.testing.assert_array_equal(parsed["clickmap/box"], [0.0, 0.25, 1.0, 0.5])
    decode = records.decode_counts
    np.testing.assert_array_equal(decode(parsed["clickmap/counts"], HEIGHT, WIDTH), sum(maps))
    for png, counts in zip(parsed["clickmap/by_participant"], maps, strict=True):
        np.testing.assert_array_equal(decode(png, HEIGHT, WIDTH), counts)
    np.testing.assert_array_equal(
        records.decode_blurred(parsed["clickmap/blurred"], 4), np.arange(16).reshape(4, 4)
    )


def test_without_a_map_strings_are_empty_and_decode_to_zeros():
    parsed = records.parse_example(records.encode_example(schema.Example("a", _file(), 0)))
    for name in ("clickmap/counts", "clickmap/blurred"):
        assert parsed[name].numpy() == b""
    assert parsed["clickmap/by_participant"].shape == (0,)
    assert not parsed["clickmap/box"].numpy().any()
    counts = records.decode_counts(parsed["clickmap/counts"], HEIGHT, WIDTH)
    assert counts.shape == (HEIGHT, WIDTH) and not counts.numpy().any()
    grid = records.decode_blurred(parsed["clickmap/blurred"], 4)
    assert grid.shape == (4, 4) and not grid.numpy().any()


def test_a_single_map_is_not_stored_twice():
    example = schema.Example("a", _file(), 0, (_counts(9),))
    parsed = records.parse_example(_encode(example))
    assert int(parsed["clickmap/participants"]) == 1
    assert parsed["clickmap/by_participant"].shape == (0,)


def test_same_example_same_bytes():
    example = schema.Example("a", _file("RGB", "PNG"), 0, (_counts(9), _counts(9, 1)))
    assert _encode(example) == _encode(example)


@pytest.mark.parametrize("high", [1, 2, 256, 257, 65536])
def test_counts_are_exact_in_tensorflow_and_pillow(high):
    counts = _counts(high)
    counts[0, 0] = high - 1
    png = records.encode_counts(counts)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), counts)
    np.testing.assert_array_equal(records.decode_counts(png, HEIGHT, WIDTH), counts)
    in_graph = tf.function(lambda png: records.decode_counts(png, HEIGHT, WIDTH))
    np.testing.assert_array_equal(in_graph(tf.constant(png)), counts)


@pytest.mark.parametrize(
    "counts, message",
    [
        (_counts(9) / 2, "2-D array of integers.*float64"),
        (_counts(9)[None], r"2-D array of integers.*\(1, 20, 30\)"),
        (_counts(9) - 9, r"0\.\.\.65535, got -9\.\.\.-1"),
        (_counts(9) + 65530, r"0\.\.\.65535, got 65530\.\.\."),
    ],
)
def test_counts_that_no_png_holds_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        records.encode_counts(counts)


def test_parsing_inside_tf_data_has_static_shapes():
    serialized = _encode(schema.Example("a", _file(), 0, (_counts(9), _counts(9, 1))))

    def read(record):
        parsed = records.parse_example(record)
        return {
            "counts": records.decode_counts(parsed["clickmap/counts"], HEIGHT, WIDTH),
            "blurred": records.decode_blurred(parsed["clickmap/blurred"], 4),
            "box": parsed["clickmap/box"],
            "participants": parsed["clickmap/by_participant"],
        }

    spec = tf.data.Dataset.from_tensors(serialized).map(read).element_spec
    shapes = {name: tuple(tensor.shape) for name, tensor in spec.items()}
    assert shapes == {
        "counts": (HEIGHT, WIDTH),
        "blurred": (4, 4),
        "box": (4,),
        "participants": (None,),
    }


def test_many_records_are_parsed_as_one_by_one():
    files = [records.encode_example(schema.Example(str(i), _file(), i)) for i in range(3)]
    names = [name for name, feature in schema.FEATURES.items() if feature.shape != (None,)]
    many = records.parse_example(files, names)
    for i, file in enumerate(files):
        for name, value in records.parse_example(file, names).items():
            np.testing.assert_array_equal(many[name][i], value, err_msg=name)
    with pytest.raises(ValueError, match="clickmap/by_participant has another length"):
        records.parse_example(files)


def test_parse_only_what_is_named():
    serialized = records.encode_example(schema.Example("a", _file(), 2))
    parsed = records.parse_example(serialized, ["image/class/label"])
    assert {name: int(value) for name, value in parsed.items()} == {"image/class/label": 2}
    with pytest.raises(ValueError, match="Unknown features.*'image/label'.*image/class/label"):
        records.parse_example(serialized, ["image/label"])


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_jpegs_keep_their_bytes(mode):
    data = _file(mode)
    assert to_jpeg(decode_image(data, "a"), data) == data


@pytest.mark.parametrize(
    "mode, kind",
    [
        ("RGB", "PNG"),
        ("L", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("1", "PNG"),
        ("CMYK", "JPEG"),
    ],
)
def test_other_files_become_jpegs_of_the_same_picture(mode, kind):
    data = _file(mode, kind)
    image = decode_image(data, "a")
    jpeg = to_jpeg(image, data)
    assert jpeg != data
    # The op that training uses, which takes nothing but JPEG.
    decoded = tf.io.decode_and_crop_jpeg(jpeg, [2, 3, 10, 12], channels=3).numpy()
    expected = np.asarray(image.convert("RGB"))[2:12, 3:15]
    if mode not in ("1", "P"):  # dithered: not smooth, so that JPEG changes it more
        assert np.abs(decoded.astype(int) - expected).max() < 30
    assert decoded.shape == (10, 12, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    stored = _pixels()
    displayed = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    example = schema.Example("a", _file("RGB", "JPEG", orientation), 0)
    parsed = records.parse_example(records.encode_example(example))
    decoded = tf.io.decode_jpeg(parsed["image/encoded"]).numpy()
    assert decoded.shape == displayed.shape
    assert (int(parsed["image/height"]), int(parsed["image/width"])) == displayed.shape[:2]
    assert np.abs(decoded.astype(int) - displayed).mean() < 6  # any wrong turn: above 30
    # Nothing is left in the file that would turn it once more.
    stored_file = Image.open(io.BytesIO(parsed["image/encoded"].numpy()))
    assert stored_file.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    "data", [b"", b"hello", _file()[:-200], _file("RGB", "PNG")[:-200], _file()[:20]]
)
def test_damaged_images_are_named(data):
    with pytest.raises(BadImageError, match=f"'cat/a.jpg'.*{len(data)} bytes.*Fetch"):
        decode_image(data, "cat/a.jpg")


def test_altered_bytes_that_pillow_would_take():
    """A PNG's checksums, and a JPEG's end, which TensorFlow's decoder demands."""
    data = bytearray(_file("RGB", "PNG"))
    data[data.index(b"IEND") - 5] ^= 1  # the checksum of the pixels alone
    with pytest.raises(BadImageError, match="'a'.*broken PNG file"):
        decode_image(bytes(data), "a")
    data = bytearray(_file())
    data[-1] = 0xE0
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_jpeg(bytes(data))
    with pytest.raises(BadImageError, match="'a'.*no end marker"):
        decode_image(bytes(data), "a")
    # What follows the end does not matter, nor do markers inside of a thumbnail.
    exif = b"Exif\0\0" + _file(height=8, width=8)
    app1 = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    with_thumbnail = _file()[:2] + app1 + _file()[2:] + b"tail"
    assert decode_image(with_thumbnail, "a").size == (WIDTH, HEIGHT)
    decode_image(_file(mode="L"), "a")


def test_no_program_runs_for_an_image(monkeypatch):
    """PostScript, which Pillow would hand to Ghostscript, is no image whatever its name."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("it ran"))
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(BadImageError, match="'a'.*cannot identify"):
        decode_image(data, "a")


def test_sixteen_bit_images_are_refused_rather_than_clipped():
    buffer = io.BytesIO()
    Image.fromarray(_counts(60_000).astype(np.uint16)).save(buffer, "PNG")
    with pytest.raises(BadImageError, match="'a'.*mode 'I.*8 bits.*Convert"):
        decode_image(buffer.getvalue(), "a")


@pytest.mark.parametrize(
    "change, arguments, message",
    [
        ({"label": -1}, {}, "'a': label must be 0-based, got -1"),
        (
            {"participant_maps": (_counts(9, shape=(30, 20)),)},
            {},
            r"'a': a map must be .*shape \(20, 30\).*got shape \(30, 20\)",
        ),
        ({"participant_maps": (_counts(9), _counts(9) / 2)}, {}, "must be integers.*float64"),
        ({"participant_maps": (_counts(9) - 9,)}, {}, "must be integers >= 0.*minimum -9"),
        ({"participant_maps": (_counts(2) + 65534, _counts(2) + 9)}, {}, "'a': counts sum to 655"),
        ({}, {"blurred": None}, "'a' has 1 maps, but blurred is missing and box is given"),
        ({}, {"box": None}, "blurred is given and box is missing"),
        ({"participant_maps": ()}, {}, "'a' has 0 maps, but blurred is given"),
        ({}, {"blurred": np.zeros((4, 4))}, "square uint8 grid.*float64"),
        ({}, {"blurred": np.zeros((4, 5), np.uint8)}, r"square uint8 grid.*\(4, 5\)"),
        ({}, {"box": (0.5, 0.0, 0.25, 1.0)}, r"box must be \(ymin, xmin, ymax, xmax\)"),
        ({}, {"box": (0.0, 0.0, 20.0, 1.0)}, "box must be"),
    ],
)
def test_what_does_not_fit_is_an_error(change, arguments, message):
    example = schema.Example("a", _file(), 0, (_counts(9),))
    example = dataclasses.replace(example, **change)
    arguments = {"blurred": np.zeros((4, 4), np.uint8), "box": (0.0,) * 4} | arguments
    with pytest.raises(ValueError, match=message):
        records.encode_example(example, **arguments)


@pytest.fixture
def data_set(tmp_path):
    """Two shards of one split, described."""
    payload = [records.encode_example(schema.Example(f"{i}", _file(), 0)) for i in range(3)]
    shards = (
        tfrecord_files.write_shard(
            str(tmp_path / dataset_info.shard_name("train", 0, 2)), payload[:2]
        ),
        tfrecord_files.write_shard(
            str(tmp_path / dataset_info.shard_name("train", 1, 2)), payload[2:]
        ),
    )
    info = small_data.describe(
        tmp_path,
        {"train": dataset_info.Split(3, 2, 1, 2, shards)},
        name="toy",
        class_names=("cat", "Hündin"),
        human_ceiling={"value": 0.5, "estimator": "pairs", "source": "a paper"},
        seed=7,
        command="python -m data_prep.build_tfrecords --source=toy",
    )
    return str(tmp_path), info


def test_info_survives_the_round_trip(data_set):
    directory, info = data_set
    assert dataset_info.load_info(directory) == info
    assert info.num_classes == 2 and info.label_base == 0


def test_shards_hold_what_they_say(data_set):
    directory, info = data_set
    paths = dataset_info.check_shards(directory, info, "train")
    assert [path.rsplit("/")[-1] for path in paths] == [
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
    ]
    read = [sum(1 for _ in tf.data.TFRecordDataset(path)) for path in paths]
    assert read == [shard.examples for shard in info.splits["train"].shards] == [2, 1]


def test_unfinished_shards_are_not_left_under_their_name(tmp_path):
    def broken():
        yield b"one"
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        tfrecord_files.write_shard(str(tmp_path / "train"), broken())
    assert not (tmp_path / "train").exists()


def test_missing_cut_and_unknown_shards_are_named(data_set):
    directory, info = data_set
    with pytest.raises(ValueError, match=r"'toy' has no split 'test'; it has \['train'\]"):
        dataset_info.check_shards(directory, info, "test")
    shard = info.splits["train"].shards[0]
    path = f"{directory}/{shard.file}"
    with open(path, "rb+") as file:
        file.truncate(shard.bytes - 1)
    with pytest.raises(
        ValueError, match=f"{shard.file}.*expected {shard.bytes} bytes.*got {shard.bytes - 1} bytes"
    ):
        dataset_info.check_shards(directory, info, "train")
    tf.io.gfile.remove(path)
    with pytest.raises(ValueError, match="no such file.*build the data set again: python -m"):
        dataset_info.check_shards(directory, info, "train")


def _edit(directory, change):
    path = f"{directory}/{dataset_info.INFO_FILE}"
    with open(path, encoding="utf-8") as file:
        fields = json.load(file)
    change(fields)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(fields, file)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: f.update(schema_version=99), "schema_version 99, this program reads 1"),
        (lambda f: f.pop("schema_version"), "schema_version None"),
        (lambda f: f.update(colour="red"), "DatasetInfo must have exactly the fields"),
        (lambda f: f.pop("seed"), "DatasetInfo must have exactly the fields"),
        (lambda f: f.update(image=3), "DatasetInfo.image is 3, expected dict"),
        (lambda f: f["splits"]["train"].pop("shards"), "Split must have exactly"),
        (lambda f: f["splits"]["train"]["shards"][0].pop("bytes"), "Shard must have exactly"),
        (lambda f: f["splits"]["train"].update(examples=4), "'train' claims 4.*its shards 3"),
    ],
)
def test_a_description_that_is_off_is_refused(data_set, change, message):
    directory, _ = data_set
    _edit(directory, change)
    with pytest.raises(ValueError, match=message):
        dataset_info.load_info(directory)


def test_no_description_or_no_json(tmp_path):
    with pytest.raises(ValueError, match="No data set at .*build_tfrecords --source"):
        dataset_info.load_info(str(tmp_path))
    for content in (b"{", b"\xff", b"[" * 200_000):
        (tmp_path / dataset_info.INFO_FILE).write_bytes(content)
        with pytest.raises(ValueError, match=f"{dataset_info.INFO_FILE}' is not JSON"):
            dataset_info.load_info(str(tmp_path))
