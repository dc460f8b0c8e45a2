"""One record against the schema and the sidecar: what it holds, and everything wrong with it.

A pure function of the record's bytes, for worker processes. Images and maps are decoded by the
operations that training decodes them with, once each. Sizes are read from headers before anything
is decoded, so that a small file cannot claim a large picture.
"""

import dataclasses
import functools
import io
import struct
import zlib
from typing import NamedTuple

import google_crc32c
import numpy as np
import tensorflow as tf
from PIL import Image

from data_prep.building import encoding
from data_prep.verification import alignment
from gala_tf.data import clickmaps, dataset_info, schema
from gala_tf.data.images import PILLOW_ERRORS
from gala_tf.data.messages import plain_message

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEADER = struct.Struct(">IIBB")  # width, height, bit depth, colour type; after 16 bytes
DIGEST = struct.Struct("<IQQ")  # CRC-32C, height, width
GREY = 0
JPEG_FRAME = struct.Struct(">HHB")  # height, width, channels; after marker, length, precision
BORDER = 1 / 16  # of a side: clicks nowhere else are suspicious
BLUR_SAMPLE = 16  # one grid in so many is computed anew: it costs as much as all the rest
BOX_TOLERANCE = 1e-6  # of float32 fractions
KINDS = {"bytes_list": "string", "int64_list": "int64", "float_list": "float32", None: "nothing"}


class Facts(NamedTuple):
    """What a record holds; a row of `findings.py`, so in the order of its columns.

    Attributes:
      digest: of the decoded image: checksum and size of the pixels, and the code.
      code: `perceptual_hash.code` of the image, 32 bytes; b"" for an image of one colour.
      has_map: a count map that is not all zero.
      area: part of the pixels that have a count > 0, 0...1.
      peak: the largest count.
      border: part of all counts that lie within 1/16 of a side from the border; 0 without a map.
      center_y, center_x: centre of mass of the counts, 0...1; None without a map.
      contrast: correlation of the map with the image's local contrast, -1...1; None without.
      contrast_mirrored, contrast_upside_down, contrast_transposed: the same of the map turned so.
      spread: standard deviation of the image's pixels, 0...128.
      contrast_other: correlation of the map with the contrast of the record before.
    """

    image_id: str
    label: int
    height: int
    width: int
    digest: bytes
    code: bytes
    participants: int
    clicks: int
    has_map: int
    area: float
    peak: int
    border: float
    center_y: float | None
    center_x: float | None
    contrast: float | None
    contrast_mirrored: float | None
    contrast_upside_down: float | None
    contrast_transposed: float | None
    spread: float
    contrast_other: float | None = None


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the sidecar says about every record; see `dataset_info.DatasetInfo`."""

    num_classes: int
    heights: tuple[int, int]  # smallest, largest
    widths: tuple[int, int]
    clickmap_blur: str
    clickmap_grid: int
    blur_sample: int = BLUR_SAMPLE

    @classmethod
    def of(cls, info: dataset_info.DatasetInfo, blur_sample: int = BLUR_SAMPLE) -> "Expectation":
        """What a data set's description says; `blur_sample` as of the class."""
        image = info.image
        return cls(
            info.num_classes,
            (image.min_height, image.max_height),
            (image.min_width, image.max_width),
            info.clickmap_blur,
            info.clickmap_grid,
            blur_sample,
        )


class Inspection(NamedTuple):
    """Result of `inspect`.

    Attributes:
      facts: None if the record is too damaged to have any.
      reasons: everything that is wrong with it.
      grid: float32 [G, G] of sum 1, its map for the mean over the data set; None without a map.
      contrast: float32 [n, n], its image's local contrast (`alignment.py`); None without facts.
    """

    facts: Facts | None
    reasons: list[str]
    grid: np.ndarray | None = None
    contrast: np.ndarray | None = None


def inspect(serialized: bytes, expected: Expectation) -> Inspection:
    """Checks one record; it never raises for what the record holds."""
    values, reasons = _values(serialized)
    if values is None:
        return Inspection(None, reasons)
    reasons += _check_numbers(values, expected)
    pixels, reason = _decode_image(values, expected)
    if pixels is None:
        # Without an image's size no map can be judged.
        return Inspection(None, [*reasons, reason])
    counts, map_reasons = _check_maps(values, expected)
    reasons += map_reasons
    grid = _grid(values, expected)
    if grid is not None and grid.any():
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


def _check_numbers(values, expected):
    reasons = []
    try:
        if not values["image/id"].decode("utf-8"):
            reasons.append("image/id is empty")
    except UnicodeDecodeError:
        reasons.append(f"image/id {values['image/id'][:80]!r} is not UTF-8")
    label = values["image/class/label"]
    if not 0 <= label < expected.num_classes:
        reasons.append(f"label {label}, expected 0...{expected.num_classes - 1}")
    for name in ("clickmap/participants", "clickmap/clicks"):
        if values[name] < 0:
            reasons.append(f"{name} is {values[name]}, expected >= 0")
    return reasons


# --------------------------------------------------------------------------- image


def _decode_image(values, expected):
    """uint8 [H, W, 3], or None and why not."""
    data, shape = values["image/encoded"], (values["image/height"], values["image/width"])
    ranges = (expected.heights, expected.widths)
    if not all(low <= size <= high for size, (low, high) in zip(shape, ranges, strict=True)):
        return None, (
            f"image of {shape[0]}x{shape[1]} pixels (height x width), expected heights "
            f"{ranges[0][0]}...{ranges[0][1]} and widths {ranges[1][0]}...{ranges[1][1]} "
            f"({dataset_info.INFO_FILE})"
        )
    found = jpeg_shape(data)
    if found is None:
        return None, "the image is no JPEG file"
    if found[:2] != shape or found[2] not in (1, 3):
        return None, (
            f"the JPEG is {found[0]}x{found[1]} pixels (height x width) of {found[2]} channels, "
            f"expected {shape[0]}x{shape[1]} of 1 or 3"
        )
    if _is_turned(data):
        return None, "the JPEG has an EXIF orientation, which training ignores"
    try:
        return tf.io.decode_and_crop_jpeg(data, _window(shape), channels=3).numpy(), ""
    except tf.errors.InvalidArgumentError as error:
        return None, f"the JPEG cannot be decoded ({plain_message(error)})"


@functools.lru_cache(maxsize=512)
def _window(shape):
    return tf.constant([0, 0, *shape], tf.int32)


def jpeg_shape(data: bytes) -> tuple[int, int, int] | None:
    """Height, width, channels from a JPEG's frame header; None if it has none."""
    if not data.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # tables, arithmetic
            return JPEG_FRAME.unpack_from(data, place + 5)
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _is_turned(data):
    if data.find(b"Exif\0\0", 0, 65_536) < 0:
        return False
    try:
        return Image.open(io.BytesIO(data)).getexif().get(0x0112, 1) != 1
    except PILLOW_ERRORS:
        return False  # TensorFlow's decoder is the one that counts


# --------------------------------------------------------------------------- maps


def _check_maps(values, expected):
    """Counts [H, W] (None without a map, or a broken one), and what is wrong with the maps."""
    shape = (values["image/height"], values["image/width"])
    participants = values["clickmap/participants"]
    singles = values["clickmap/by_participant"]
    if participants == 0:
        given = [n for n in ("clickmap/counts", "clickmap/blurred") if values[n]]
        given += ["clickmap/by_participant"] if singles else []
        given += ["clickmap/box"] if any(values["clickmap/box"]) else []
        return None, [f"{name} is not empty, but there are no participants" for name in given]
    counts, reason = decode_counts(values["clickmap/counts"], shape)
    if counts is None:
        return None, [f"clickmap/counts: {reason}"]
    reasons = [
        *_check_participants(singles, participants, counts),
        *_check_grid(values["clickmap/blurred"], counts, expected),
        *_check_box(values["clickmap/box"], counts),
    ]
    return counts, reasons


def decode_counts(png: bytes, shape: tuple[int, int]):
    """A count map as training decodes it: uint8 or uint16 [H, W] and "", or None and why not."""
    if len(png) < 26 or not png.startswith(PNG_SIGNATURE):
        return None, "not a PNG file" if png else "missing, but there are participants"
    width, height, depth, color = PNG_HEADER.unpack_from(png, 16)
    if (height, width) != shape or depth not in (8, 16) or color != GREY:
        return None, (
            f"PNG of {height}x{width} pixels, {depth} bits, colour type {color}; expected "
            f"{shape[0]}x{shape[1]} (height x width), 8 or 16 bits, grey (type {GREY})"
        )
    dtype = tf.uint8 if depth == 8 else tf.uint16  # records.decode_counts comes to the same values
    try:
        return tf.io.decode_png(png, channels=1, dtype=dtype).numpy()[:, :, 0], ""
    except tf.errors.InvalidArgumentError as error:
        return None, f"the PNG cannot be decoded ({plain_message(error)})"


def _check_participants(singles, participants, total):
    expected = participants if participants > 1 else 0
    if len(singles) != expected:
        return [f"clickmap/by_participant has {len(singles)} maps, expected {expected}"]
    left = total.astype(np.int32)
    for number, png in enumerate(singles):
        counts, reason = decode_counts(png, total.shape)
        if counts is None:
            return [f"clickmap/by_participant {number}: {reason}"]
        left -= counts
    if singles and left.any():
        return ["the participants' maps do not add up to clickmap/counts"]
    return []


def _check_grid(raw, counts, expected):
    side = expected.clickmap_grid
    if len(raw) != side * side:
        return [f"clickmap/blurred has {len(raw)} values, expected {side}x{side}"]
    grid = np.frombuffer(raw, np.uint8).reshape(side, side)
    peak = 255 if counts.any() else 0
    if grid.max() != peak:
        return [f"clickmap/blurred has maximum {grid.max()}, expected {peak}"]
    if peak and zlib.crc32(raw) % expected.blur_sample == 0:
        again = encoding.blurred_grid(counts, expected.clickmap_blur, side)
        off = np.abs(again.astype(int) - grid).max()
        if off > 1:  # rounding may differ from one machine to the next
            return [f"clickmap/blurred is off by {off} of 255 from {expected.clickmap_blur} of it"]
    return []


def _check_box(box, counts):
    extent = clickmaps.extent_box(counts) or (0.0, 0.0, 0.0, 0.0)
    # Written so that a NaN fails.
    if not np.abs(np.subtract(box, extent)).max() <= BOX_TOLERANCE:
        return [f"clickmap/box is {_round(box)}, the map's extent {_round(extent)}"]
    return []


def _round(box):
    return tuple(round(float(edge), 4) for edge in box)


# --------------------------------------------------------------------------- facts


def _grid(values, expected):
    """The stored grid, float32 [G, G], or None where it is missing or of another size."""
    raw, side = values["clickmap/blurred"], expected.clickmap_grid
    if len(raw) != side * side:
        return None
    return np.frombuffer(raw, np.uint8).reshape(side, side).astype(np.float32)


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
        digest=DIGEST.pack(google_crc32c.value(pixels.tobytes()), height, width) + code,
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
