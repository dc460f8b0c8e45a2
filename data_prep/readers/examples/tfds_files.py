"""A data set that TensorFlow Datasets prepared: its directory, and its files with their lengths.

    <data_dir>/<name>/<version>/dataset_info.json
                                features.json
                                label.labels.txt                          a class a line
                                <name>-<split>.tfrecord-00000-of-01024

tensorflow-datasets itself is not needed. Layout: its core/naming.py, core/dataset_info.py,
core/file_adapters.py (4.9.10).
"""

import json
import os
import re
from typing import NamedTuple

import tensorflow as tf

from data_prep.readers import file_names

INFO_FILE = "dataset_info.json"
LABELS_FILE = "label.labels.txt"  # of a feature called label
DEFAULT_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"

_VERSION = re.compile(r"\d+\.\d+\.\d+$")


class File(NamedTuple):
    """One file of a split."""

    name: str  # inside the directory
    records: int  # how many it should hold


class Prepared(NamedTuple):
    """A prepared data set."""

    directory: str  # of the version
    splits: dict[str, tuple[File, ...]]  # name -> its files, in order
    label_names: tuple[str, ...]  # index = label; empty if there is no such file


def find(input_dir: str, name: str) -> Prepared | None:
    """The data set `name` at `input_dir`: TFDS's data_dir, or any directory down to the version.

    Returns None if nothing there looks like one. ValueError: several versions, an unfinished one,
    another data set, a file format other than tfrecord, or a description that this program does not
    understand.
    """
    directory = _version_directory(input_dir, name)
    if directory is None:
        return None
    path = os.path.join(directory, INFO_FILE)
    info = _read_json(path)
    if "schema_version" in info:
        raise ValueError(
            f"--input_dir={input_dir!r} is a data set that data_prep has built already: train on "
            "it, or give the directory of the raw material."
        )
    if info.get("name") != name:
        raise ValueError(
            f"{path!r} describes the TFDS data set {info.get('name')!r}, expected {name!r}. Others "
            "have other images, features or label orders."
        )
    file_format = info.get("fileFormat", "tfrecord")  # early versions knew no other
    if file_format != "tfrecord":
        raise ValueError(
            f"{path!r}: the data set is prepared as {file_format}, expected tfrecord. Convert it: "
            f"`tfds convert_format --dataset_version_dir={directory} --out_file_format=tfrecord "
            "--out_dir=...`, or prepare it again with "
            f"`tfds.builder({name!r}, file_format='tfrecord').download_and_prepare()`."
        )
    return Prepared(directory, _splits(path, info), _label_names(directory))


def _version_directory(input_dir, name):
    if tf.io.gfile.exists(os.path.join(input_dir, INFO_FILE)):
        return input_dir
    for parent in (os.path.join(input_dir, name), input_dir):
        entries = file_names.listed(parent) if tf.io.gfile.isdir(parent) else []
        versions = [
            entry
            for entry in entries
            if _VERSION.match(entry) and tf.io.gfile.exists(os.path.join(parent, entry, INFO_FILE))
        ]
        if len(versions) > 1:
            raise ValueError(
                f"--input_dir={input_dir!r} holds the versions {', '.join(versions)} of {name}. "
                f"Name one: --input_dir={os.path.join(parent, versions[-1])}"
            )
        if versions:
            return os.path.join(parent, versions[0])
        unfinished = [entry for entry in entries if re.match(r"incomplete\.", entry)]
        if unfinished:
            raise ValueError(
                f"{os.path.join(parent, unfinished[0])!r} is an unfinished preparation of TFDS, "
                "and there is no finished one. Run download_and_prepare() to its end first."
            )
    return None


def _read_json(path):
    with tf.io.gfile.GFile(path, "rb") as file:
        text = file.read()
    try:
        info = json.loads(text)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one, too
        raise ValueError(f"{path!r} is not JSON ({error}). Copy the directory again.") from error
    if not isinstance(info, dict):
        raise ValueError(f"{path!r} must hold a JSON object, got {type(info).__name__}.")
    return info


def _splits(path, info):
    splits = {}
    try:
        for split in info["splits"]:
            template = split.get("filepathTemplate", DEFAULT_TEMPLATE)
            if template != DEFAULT_TEMPLATE:
                raise ValueError(f"files are named {template!r}, expected {DEFAULT_TEMPLATE!r}")
            lengths = [int(length) for length in split["shardLengths"]]  # JSON has int64 as text
            stem = f"{info['name']}-{split['name']}.tfrecord"
            splits[split["name"]] = tuple(
                File(f"{stem}-{index:05d}-of-{len(lengths):05d}", length)
                for index, length in enumerate(lengths)
            )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path!r}: its splits cannot be understood ({type(error).__name__}: {error}). "
            "Expected for each its name, shardLengths and filepathTemplate, as TFDS 4 writes them. "
            "Prepare the data set with it."
        ) from error
    for name in splits:
        if not re.fullmatch(r"[\w-]+", name):  # it becomes part of a file's name
            raise ValueError(f"{path!r}: {name!r} is not a name of a split. Copy it again.")
    return splits


def _label_names(directory):
    path = os.path.join(directory, LABELS_FILE)
    if not tf.io.gfile.exists(path):
        return ()
    with tf.io.gfile.GFile(path, "rb") as file:
        return tuple(file.read().decode("utf-8", "replace").split())
