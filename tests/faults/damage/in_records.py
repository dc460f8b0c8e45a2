"""Damage inside TFRecords that are whole as files: values, types, lengths, names."""

import functools
import gzip

import numpy as np
import tensorflow as tf
from clickme_trees import heatmap, pixels
from faults.damage import (
    EPS,
    HANDLED,
    LEFT_OUT,
    Damage,
    file,
    gone,
    jpeg_bomb,
    json_file,
    line,
    png_bomb,
    told_as,
)
from faults.formats import clickme_harmonization as harmonization
from faults.formats import imagenet
from faults.formats.clickme_release import write_records
from faults.formats.imagenet_tfrecords import floats, int64, text


def change(path, edit, record=1, **others):
    """Record `record` of a file changed by `edit`, a function of its map of features.

    The function may give bytes: these are then the record.
    """

    def damage(root, rng):
        data = [d.numpy() for d in tf.data.TFRecordDataset(str(root / path))]
        example = tf.train.Example.FromString(data[record])
        new = edit(example.features.feature)
        data[record] = new if isinstance(new, bytes) else example.SerializeToString()
        write_records(str(root / path), data)
        # The builder, which decodes images, has the source's key: [..., record] or [path, record,
        # ...], or an id that ends with it.
        place = rf"record {record}\b|, {record}[\],]|/{record}\b"
        return Damage(path, **{"place": place} | others)

    return damage


def setting(path, key, feature, **others):
    """A feature of record 1 replaced; None takes it away."""

    def edit(features):
        if key in features:
            del features[key]
        if feature is not None:
            features[key].CopyFrom(feature)

    return change(path, edit, **others)


def _zipped(path):
    def damage(root, rng):
        (root / path).write_bytes(gzip.compress((root / path).read_bytes()))
        return Damage(path, "gzip")

    return damage


def _renamed(path, new, **expected):
    def damage(root, rng):
        (root / path).rename(root / new)
        return Damage(**expected)

    return damage


NOISE = {"no Example": b"\xff\xfe\xfd" * 50, "no bytes": b""}

_SHARD = "train-00000-of-00002"
_classic = functools.partial(setting, _SHARD)
_edge = "image/object/bbox/"

CLASSIC = {
    **{f"record of {what}": change(_SHARD, lambda f, d=data: d) for what, data in NOISE.items()},
    "label 0": _classic("image/class/label", int64(0)),
    "label one less": change(_SHARD, lambda f: _add(f["image/class/label"], -1)),
    "label one more": change(_SHARD, lambda f: _add(f["image/class/label"], 1)),
    "label 1001": _classic("image/class/label", int64(1001)),
    "label negative": _classic("image/class/label", int64(-5)),
    "label of 64 bits": _classic("image/class/label", int64(2**62)),
    "label of floats": _classic("image/class/label", floats([1.0])),
    "label gone": _classic("image/class/label", None),
    "two labels": _classic("image/class/label", int64(1, 2)),
    "synset of another class": _classic("image/class/synset", text("n02105855")),
    "synset unknown": _classic("image/class/synset", text("n99999999")),
    "synset not UTF-8": _classic("image/class/synset", text(b"\xff\xfe")),
    "file name gone": _classic("image/filename", None),
    "file name of another class": _classic("image/filename", text("n02105855_7.JPEG")),
    "image gone": _classic("image/encoded", None),
    "image empty": _classic("image/encoded", text(b"")),
    "image of integers": _classic("image/encoded", int64(1)),
    "image is HTML": _classic("image/encoded", text("<html></html>")),
    "image is PostScript": _classic("image/encoded", text(EPS)),
    "image is a PNG bomb": _classic("image/encoded", text(png_bomb())),
    "image is a JPEG bomb": _classic("image/encoded", text(jpeg_bomb())),
    "image is CMYK": _classic(
        "image/encoded", text(imagenet.picture(9, mode="CMYK")), allowed=HANDLED
    ),
    "image is a PNG": _classic(
        "image/encoded", text(imagenet.picture(9, file_format="PNG")), allowed=HANDLED
    ),
    "box inverted": _classic(f"{_edge}xmax", floats([0.01, 1])),
    "box outside": _classic(f"{_edge}xmax", floats([1.5, 1])),
    "box negative": _classic(f"{_edge}xmin", floats([-0.5, 0])),
    "box of NaN": _classic(f"{_edge}xmin", floats([np.nan, 0])),
    "box of inf": _classic(f"{_edge}xmax", floats([np.inf, 0])),
    "box of integers": _classic(f"{_edge}xmax", int64(1, 1)),
    "edges of other numbers": _classic(f"{_edge}ymax", floats([0.5])),
    "edge gone": _classic(f"{_edge}ymax", None),
    "gzip": _zipped(_SHARD),
    "shard gone": gone(_SHARD),
    "shard numbered beyond": file("train-00002-of-00002", b""),
    "shard of another set": told_as(file("train-00000-of-00003", b""), file="train", place="3"),
}


def _add(feature, number):
    feature.int64_list.value[0] += number


_TFDS = "imagenet2012/5.1.0/"
_TFDS_SHARD = _TFDS + "imagenet2012-train.tfrecord-00000-of-00002"
_INFO = _TFDS + "dataset_info.json"
_tfds = functools.partial(setting, _TFDS_SHARD)


_info = functools.partial(json_file, _INFO)


TFDS = {
    "label -1": _tfds("label", int64(-1)),
    "label 1000": _tfds("label", int64(1000)),
    "label one more": change(_TFDS_SHARD, lambda f: _add(f["label"], 1)),
    "label of floats": _tfds("label", floats([1.0])),
    "file name leads out": _tfds("file_name", text("../../../etc/passwd")),
    "file name not UTF-8": _tfds("file_name", text(b"\xff\xfe.JPEG")),
    "file name with a line feed": _tfds("file_name", text("n01440764_1\n.JPEG")),
    "image of floats": _tfds("image", floats([1.0])),
    "image is HTML": _tfds("image", text("<html></html>")),
    "shard gone": gone(_TFDS_SHARD),
    "shard empty": file(_TFDS_SHARD, b""),
    "lengths of other numbers": _info(lambda i: i["splits"][0].update(shardLengths=["1", "7"])),
    "lengths of text": _info(lambda i: i["splits"][0].update(shardLengths=["a", "3"])),
    "lengths negative": _info(lambda i: i["splits"][0].update(shardLengths=["-4", "4"])),
    "100,000 shards": told_as(
        _info(lambda i: i["splits"][0].update(shardLengths=["1"] * 10**5)), file="00000-of-100000"
    ),
    "no lengths": _info(lambda i: i["splits"][0].pop("shardLengths")),
    "no splits": _info(lambda i: i.pop("splits")),
    "split name leads out": _info(lambda i: i["splits"][0].update(name="../train")),
    "file name template leads out": _info(
        lambda i: i["splits"][0].update(filepathTemplate="../../{SPLIT}")
    ),
    "another format": _info(lambda i: i.update(fileFormat="array_record")),
    "another data set": _info(lambda i: i.update(name="../imagenet2012")),
    "a list": file(_INFO, "[]"),
    "nested without end": file(_INFO, "[" * 200_000),
    "labels in another order": line(_TFDS + "label.labels.txt", 3, "n99999999"),
    "labels one short": line(_TFDS + "label.labels.txt", 1000, ""),
}

_ARCHIVE, _TRAIN = "clickme_train.tfrecords", "train-00000-of-00002"


def _raw(path):
    """Kinds for either form of the raw release."""
    put = functools.partial(setting, path)
    image = pixels(1).astype(np.float32) * np.float32(1 if path == _ARCHIVE else 1 / 255)

    def floats_with(values, value):
        values = values.copy()
        values[100, 100] = value
        return text(values.astype("<f4").tobytes())

    images = {"NaN": np.nan, "inf": np.inf, "-1": -1, "300": 300, "1e30": 1e30}
    maps = {"NaN": np.nan, "inf": np.inf, "-1": -1, "1e30": 1e30, "70000": 70_000}
    return {
        **{f"record of {what}": change(path, lambda f, d=d: d) for what, d in NOISE.items()},
        **{f"image with {w}": put("image", floats_with(image, v)) for w, v in images.items()},
        **{f"map with {w}": put("heatmap", floats_with(heatmap(), v)) for w, v in maps.items()},
        "image four bytes short": put("image", text(image.tobytes()[:-4])),
        "image one byte long": put("image", text(image.tobytes() + b"\0")),
        "image empty": put("image", text(b"")),
        "image of doubles": put("image", text(image.astype("<f8").tobytes())),
        "image of bytes": put("image", text(pixels(1).tobytes())),
        "image big-endian": put("image", text(image.astype(">f4").tobytes())),
        "image of another side": put("image", text(image[:224, :224].astype("<f4").tobytes())),
        "image of the other range": put(
            "image", text((image * (1 / 255 if path == _ARCHIVE else 255)).astype("<f4").tobytes())
        ),
        "image is a JPEG": put("image", text(imagenet.picture(1))),
        "image of a float list": put("image", floats([1.0])),
        "image gone": put("image", None),
        "map four bytes short": put("heatmap", text(heatmap().tobytes()[:-4])),
        "map of 224": put("heatmap", text(heatmap()[:224, :224].tobytes())),
        "map of a float list": put("heatmap", floats([1.0])),
        "click_count negative": put("click_count", int64(-3)),
        "click_count of floats": put("click_count", floats([3.0])),
        "label 1000": put("label", int64(1000), place=r"record 1\b"),
        "label negative": put("label", int64(-1)),
        "label of text": put("label", text("n01440764")),
        "label gone": put("label", None),
        "two labels": put("label", int64(1, 2)),
        "box inverted": put("bbox", int64(14, 20, 10, 30)),
        "box outside": put("bbox", int64(10, 20, 14, 300)),
        "box negative": put("bbox", int64(-1, 20, 14, 30)),
        "box of another image": put("bbox", int64(200, 200, 210, 210)),
        "box of three": put("bbox", int64(10, 20, 14)),
        "box of floats": put("bbox", floats([10, 20, 14, 30])),
        "file_path of another class": put("file_path", text("/x/n01440764_10026.JPEG")),
        "gzip": _zipped(path),
    }


ARCHIVE = {
    **_raw(_ARCHIVE),
    "split twice": file("clickme_train.zip", b"PK"),
    "shards beside it": file("train-00000-of-00001", b""),
}
SHARDS = {
    **_raw(_TRAIN),
    "shard gone": told_as(gone("train-00001-of-00002"), file="train", place=r"missing are \[1\]"),
    "shard of another set": told_as(file("train-00000-of-00005", b""), file="train", place="of 5"),
    "shard empty": file("train-00001-of-00002", b""),
}

# Maps that are laid on the images of another source.
_LAID = "maps/clickme_train.tfrecords"
MERGED = {
    "map record with NaN": setting(
        _LAID, "heatmap", text(np.full(256 * 256, np.nan, "<f4").tobytes())
    ),
    "map record of another class": setting(
        _LAID, "label", int64(7), allowed=LEFT_OUT, said="1 unmatched, .* of another class"
    ),
    "map record four bytes short": setting(_LAID, "image", text(bytes(786_428))),
    "map record of no Example": change(_LAID, lambda f: NOISE["no Example"]),
    "maps gone": told_as(gone(_LAID), file="maps"),
}

_JPEGS = "train/train-0.tfrecords"
_put = functools.partial(setting, _JPEGS)


def _jpeg(side=256, channels=3):
    rng = np.random.default_rng(3)
    return harmonization.jpeg(rng.integers(0, 256, (side, side, channels), np.uint8))


HARMONIZATION = {
    **{f"record of {what}": change(_JPEGS, lambda f, d=d: d) for what, d in NOISE.items()},
    "only image of a split is HTML": setting(
        "val/val-0.tfrecords", "image", text("<html></html>"), record=0
    ),
    "image is a PNG": _put("image", text(imagenet.picture(1, 256, 256, file_format="PNG"))),
    "image of 128": _put("image", text(_jpeg(128))),
    "image is raw": _put("image", text(pixels(1).astype(np.float32).tobytes())),
    "image is HTML": _put("image", text("<html></html>")),
    "image is a JPEG bomb": _put("image", text(jpeg_bomb())),
    "image cut off": _put("image", text(_jpeg()[:2000]), place="train-0.tfrecords/1"),
    "image empty": _put("image", text(b"")),
    "image of integers": _put("image", int64(1)),
    "image gone": _put("image", None),
    "map in colour": _put("heatmap", text(_jpeg())),
    "map of 64": _put("heatmap", text(_jpeg(64, 1))),
    "map is a PNG bomb": _put("heatmap", text(png_bomb())),
    "map cut off": _put("heatmap", text(_jpeg(256, 1)[:3000])),
    "map of floats": _put("heatmap", floats([0.5])),
    "label 1000": _put("label", int64(1000)),
    "label 5000": _put("label", int64(5000)),
    "label negative": _put("label", int64(-1)),
    "label of text": _put("label", text("5")),
    "label one-hot": _put("label", int64(*np.eye(1000, dtype=int)[5].tolist())),
    "label gone": _put("label", None),
    "gzip": _zipped(_JPEGS),
    "shard missing": _renamed(
        "train/train-1.tfrecords",
        "train/train-7.tfrecords",
        file="train",
        place="missing are .1, 2",
    ),
    "shard of no records": file("train/train-1.tfrecords", b""),
}
