"""Damage to a finished data set, as `data_prep.verify` must find it."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import tensorflow as tf
from faults.damage import NAMED, Damage, file, gone, json_file, told_as
from faults.damage.in_records import setting
from faults.formats import imagenet
from faults.formats.imagenet_tfrecords import floats, int64, text

from gala_tf.data import records, tfrecord_files

_NAME = "train-00000-of-00002.tfrecord"
_SHARD = f"data/{_NAME}"
_INFO = "data/dataset_info.json"


def _listed(kind):
    """After `kind` the shard is listed with its new size and checksum: a whole file, as built."""

    def damage(root, rng):
        done = kind(root, rng)
        data = [d.numpy() for d in tf.data.TFRecordDataset(str(root / _SHARD))]
        shard = tfrecord_files.write_shard(str(root / _SHARD), data)
        info = json.loads((root / _INFO).read_text())
        shards = info["splits"]["train"]["shards"]
        shards[[s["file"] for s in shards].index(_NAME)] = dataclasses.asdict(shard)
        info["splits"]["train"]["examples"] = sum(s["examples"] for s in shards)
        (root / _INFO).write_text(json.dumps(info))
        return done

    return damage


def _set(key, feature, **others):
    return _listed(setting(_SHARD, key, feature, **others))


_info = functools.partial(json_file, _INFO)


def _another(root, rng):
    """The other shard of the split under this one's name."""
    shutil.copy(root / "data/train-00001-of-00002.tfrecord", root / _SHARD)
    return Damage(_SHARD)


def _edit_split(**changes):
    return _info(lambda info: info["splits"]["train"].update(changes))


SHARDS = {
    "record of another schema version": _set("schema_version", int64(2)),
    "record without a version": _set("schema_version", None),
    "record without a label": _set("image/class/label", None),
    "record of another label type": _set("image/class/label", floats([1.0])),
    "label of no class": _set("image/class/label", int64(7)),
    "label negative": _set("image/class/label", int64(-1)),
    "image is HTML": _set("image/encoded", text("<html></html>")),
    "image is a PNG": _set(
        "image/encoded", text(imagenet.picture(9, file_format="PNG")), place=r"record 1\b"
    ),
    "image of another size": _set("image/encoded", text(imagenet.picture(9, 20, 32))),
    "image cut off": _set("image/encoded", text(imagenet.picture(9)[:700])),
    "height of another image": _set("image/height", int64(25)),
    "map is HTML": _set("clickmap/counts", text("<html></html>")),
    "map of another size": _set(
        "clickmap/counts", text(records.encode_counts(np.ones((20, 32), np.int64)))
    ),
    "small map of another size": _set("clickmap/blurred", text(bytes(63))),
    "box outside": _set("clickmap/box", floats([0, 0, 2, 1])),
    "box of NaN": _set("clickmap/box", floats([np.nan, 0, 1, 1])),
    "participants negative": _set("clickmap/participants", int64(-1)),
    "shard gone": gone(_SHARD),
    "shard of another split part": _another,
    "shard not listed": file("data/train-00002-of-00003.tfrecord", b""),
    "description gone": gone(_INFO),
    "description is HTML": file(_INFO, "<html></html>"),
    "description of another version": _info(lambda info: info.update(schema_version=2)),
    "description without a field": _info(lambda info: info.pop("class_names")),
    "description with a field more": _info(lambda info: info.update(extra=1)),
    "description of other counts": _edit_split(examples=99),
    "description of other totals of maps": told_as(_edit_split(with_clickmap=0), allowed=NAMED),
    "shard name leads out": _info(
        lambda info: info["splits"]["train"]["shards"][0].update(file="../../x.tfrecord")
    ),
    "nested without end": file(_INFO, "[" * 200_000),
}
