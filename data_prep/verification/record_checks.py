"""One record against the schema and the sidecar: what it holds, and everything wrong with it.

A pure function of the record's bytes, for worker processes. Images and maps are decoded by the
operations that training decodes them with, once each (`image_checks.py`, `map_checks.py`).
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from data_prep.building import encoding
from data_prep.verification import alignment, image_checks, map_checks
from gala_tf.data import dataset_info, schema

BORDER = 1 / 16  # of a side: clicks nowhere else are suspicious
KINDS = {"bytes_list": "string", "int64_list": "int64", "float_list": "float32", None: "nothing"}


class Facts(NamedTuple):
    """What a record holds; a row of `findings.py`, so in the order of its columns."""

    image_id: str
    label: int
    height: int
    width: int
    # `encoding.pixel_digest` of the decoded image: the builder's word for the same picture
    digest: bytes
    code: bytes  # `perceptual_hash.code` of the image, 32 bytes; b"" for an image of one colour
    participants: int
    clicks: int
    has_map: int  # a count map that is not all zero
    area: float  # part of the pixels that have a count > 0, 0...1
    peak: int  # the largest count
    # Part of all counts that lie within 1/16 of a side from the border; 0 without a map
    border: float
    # Centre of mass of the counts, 0...1; None without a map
    center_y: float | None
    center_x: float | None
    # Correlation of the map with the image's local contrast, -1...1; None without
    contrast: float | None
    # The same of the map turned so
    contrast_mirrored: float | None
    contrast_upside_down: float | None
    contrast_transposed: float | None
    spread: float  # standard deviation of the image's pixels, 0...128
    # Correlation of the map with the contrast of the record before
    contrast_other: float | None = None


class Inspection(NamedTuple):
    """Result of `inspect`."""

    facts: Facts | None  # None if the record is too damaged to have any
    reasons: list[str]  # everything that is wrong with it
    # float32 [G, G] of sum 1, its map for the mean over the data set; None without a map
    grid: np.ndarray | None = None
    # float32 [n, n], its image's local contrast (`alignment.py`); None without facts
    contrast: np.ndarray | None = None


def inspect(serialized: bytes, info: dataset_info.DatasetInfo, blur_sample: int) -> Inspection:
    """Checks one record; it never raises for what the record holds.

    `blur_sample`: as of `map_checks.check`.
    """
    values, reasons = _values(serialized)
    if values is None:
        return Inspection(None, reasons)
    reasons += _check_numbers(values, info)
    pixels, reason = image_checks.decode(values, info)
    if pixels is None:
        # Without an image's size no map can be judged.
        return Inspection(None, [*reasons, reason])
    counts, map_reasons = map_checks.check(values, info, blur_sample)
    reasons += map_reasons
    grid, side = np.frombuffer(values["clickmap/blurred"], np.uint8), info.clickmap_grid
    if len(grid) == side * side and grid.any():
        grid = grid.reshape(side, side).astype(np.float32)
        grid = (grid / grid.sum(dtype=np.float64)).astype(np.float32)
    else:
        grid = None
    contrast = alignment.local_contrast(pixels)
    return Inspection(_facts(values, pixels, counts, grid, contrast), reasons, grid, contrast)


def _values(serialized):
    """Feature name -> value, and what is wrong with the record's form."""
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception as error:  # DecodeError; TensorFlow does not offer it
        return None, [f"it is not a tf.train.Example ({error})"]
    if "schema_version" in features:
        version = list(features["schema_version"].int64_list.value)
        if version != [dataset_info.SCHEMA_VERSION]:
            # No other complaint is of use: another schema has other features.
            return None, [dataset_info.wrong_version(version[0] if len(version) == 1 else version)]
    reasons, values = [], {}
    for name in features.keys() - schema.FEATURES.keys():
        reasons.append(f"feature {name!r} is not of the schema")
    for name, feature in schema.FEATURES.items():
        if name not in features:
            reasons.append(f"feature {name!r} is missing")
            continue
        kind = features[name].WhichOneof("kind")
        value = list(getattr(features[name], kind).value) if kind else []
        dtype = KINDS[kind]
        wanted = 1 if feature.shape == () else feature.shape[0]
        # An empty list need not say what it is a list of.
        if dtype != feature.dtype and not (wanted is None and not value):
            reasons.append(f"feature {name!r} has type {dtype}, expected {feature.dtype}")
        elif wanted is not None and len(value) != wanted:
            reasons.append(f"feature {name!r} has {len(value)} values, expected {wanted}")
        else:
            values[name] = value[0] if feature.shape == () else value
    whole = len(values) == len(schema.FEATURES)
    return (values if whole else None), sorted(reasons)


def _check_numbers(values, info):
    reasons = []
    try:
        if not values["image/id"].decode("utf-8"):
            reasons.append("image/id is empty")
    except UnicodeDecodeError:
        reasons.append(f"image/id {values['image/id'][:80]!r} is not UTF-8")
    label = values["image/class/label"]
    if not 0 <= label < info.num_classes:
        reasons.append(f"label {label}, expected 0...{info.num_classes - 1}")
    for name in ("clickmap/participants", "clickmap/clicks"):
        if values[name] < 0:
            reasons.append(f"{name} is {values[name]}, expected >= 0")
    return reasons


def _facts(values, pixels, counts, grid, contrast):
    height, width = pixels.shape[:2]
    has_map = counts is not None and bool(counts.any())
    area = peak = border = 0
    center = (None, None)
    if has_map:
        area, peak = np.count_nonzero(counts) / counts.size, int(counts.max())
        border, center = _border_and_center(counts)
    agreement = alignment.agreement(grid, contrast) if has_map and grid is not None else None
    code, spread = alignment.picture_code(pixels)
    return Facts(
        image_id=values["image/id"].decode("utf-8", "replace"),
        label=values["image/class/label"],
        height=height,
        width=width,
        digest=encoding.pixel_digest(Image.fromarray(pixels)),
        code=code,
        participants=values["clickmap/participants"],
        clicks=values["clickmap/clicks"],
        has_map=int(has_map),
        area=area,
        peak=peak,
        border=border,
        center_y=center[0],
        center_x=center[1],
        **dict(zip(alignment.TURNS, agreement or [None] * len(alignment.TURNS), strict=True)),
        spread=spread,
    )


def _border_and_center(counts):
    """Share of the counts at the border; centre of mass (y, x). In float32: for statistics."""
    height, width = counts.shape
    sums = _profiles(height) @ counts.astype(np.float32) @ _profiles(width).T  # [3, 3]
    total = float(sums[0, 0])
    border = 1 - float(sums[1, 1]) / total
    return border, (float(sums[2, 0]) / total, float(sums[0, 2]) / total)


@functools.lru_cache(maxsize=512)
def _profiles(size):
    """[3, size]: ones; 1 inside, 0 at the border; the pixels' centres, 0...1."""
    edge = max(1, round(size * BORDER))
    inside = np.zeros(size)
    inside[edge : size - edge] = 1
    rows = np.stack([np.ones(size), inside, (np.arange(size) + 0.5) / size])
    return rows.astype(np.float32)
