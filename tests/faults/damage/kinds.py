"""All kinds of damage, by tree."""

import zlib
from pathlib import Path

import numpy as np
from faults.damage import (
    Damage,
    at_random,
    in_annotations,
    in_archives,
    in_folders,
    in_imagenet,
    in_records,
    in_shards,
)

PARTICULAR = {
    "folder": in_folders.FOLDER,
    "tiny_imagenet": in_folders.TINY_IMAGENET,
    "imagenet, folders and XML": in_imagenet.FOLDERS,
    "imagenet, tars and lists": in_imagenet.TARS,
    "imagenet_tfrecords, classic": in_records.CLASSIC,
    "imagenet_tfrecords, TFDS": in_records.TFDS,
    "clickme_release, shards": in_records.SHARDS,
    "clickme_release, archive": in_records.ARCHIVE,
    "clickme_release, zips": in_archives.ZIPS,
    "clickme_release, NPZ": in_archives.NPZ,
    "clickme_harmonization": in_records.HARMONIZATION,
    "clickme_clicks, CSV": in_annotations.CLICKS,
    "clickme_clicks, NPZ": in_archives.CLICKS,
    "salicon, JSON": in_annotations.SALICON_JSON,
    "salicon, MAT": in_annotations.SALICON_MAT,
    "salicon, maps": in_annotations.SALICON_MAPS,
    "coco": in_annotations.COCO,
    "boxes": in_folders.BOXES,
    "imagenet with maps of ClickMe": in_records.MERGED,
    "finished shards": in_shards.SHARDS,
}


def make(root: Path, tree: str, kind: str, seed: int) -> Damage:
    """Damages a tree in the folder `root`; the same arguments do the same."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{tree}/{kind}".encode())])
    return (at_random.KINDS.get(kind) or PARTICULAR[tree][kind])(root, rng)
