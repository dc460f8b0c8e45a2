"""The TFRecord schema: what one record holds.

This file is the only owner of feature names. `FEATURES` lists them once; `encode_example` writes
them and `parse_example` reads them back. What describes a whole data set, `DatasetInfo` and its
files, is in `dataset_info.py` and offered here too.

A record carries each click map twice. `clickmap/blurred` is a small blurred grid for training: it
costs almost nothing to read. `clickmap/counts` is the exact integer count map for evaluation,
where ties decide rank correlations, and for blurring anew without a new download.

What that rests on: 200 ImageNet photographs with simulated maps of five participants, 74 bubbles
of 14 pixels each, at 256x256; one run on one x86 core, tf.data, uint8 crops of 224 and maps of
14x14 out; compare rows, not machines.

    image                            kB    records/s/core, image alone
    original JPEG, crop, resize   110.0      368
    256x256 JPEG, quality 95       31.0    2,245    <- --image_storage=square
    256x256 JPEG, quality 90       21.9    2,463
    256x256x3 raw                 196.6    6,600

    map                              kB    alone    with 256 JPEG    with original
    none                              -        -            2,245              368
    counts, PNG, blurred on host    1.5    1,662              914              292    (exact)
    blurred 64x64 uint8             4.1   25,538            1,815              359  <- training
    blurred 32x32 uint8             1.0   28,189            1,798              364
    64x64 read, PNG carried unread  5.6        -            1,765                -  <- chosen

    box-49 map at 14x14 against the exact one     bilinear              bicubic
    (relative L2 mean, max; Spearman mean)
      64x64 uint8                           .0025 .0038 .949      .0019 .0027 .933
      32x32 uint8                           .0095 .0178 .933      .0077 .0111 .911

Training is a matter of L2, where 64x64 costs 0.25 %. Evaluation is a matter of ranks: rounding to
255 levels ties the tails of a map with its zeros (with 16 bits Spearman is .994), hence the counts.
Raw images would be read three times faster, but take six times the space and the network traffic,
and one core already delivers 1,700 a second.

Dimension letters: H W size of the stored image, G side of the blurred grid, P participants.
"""

import dataclasses
import io
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gala_tf.data.dataset_info import SCHEMA_VERSION
from gala_tf.data.images import decode_image, to_jpeg

MAX_COUNT = 65_535  # in a count map: the most that 16 bits hold


class Feature(NamedTuple):
    """Type and shape of one feature; shape (None,) is a list of any length."""

    dtype: str
    shape: tuple[int | None, ...] = ()


FEATURES: dict[str, Feature] = {
    # JPEG file, RGB or grey, of [H, W] pixels: tf.io.decode_and_crop_jpeg always takes it.
    "image/encoded": Feature("string"),
    "image/height": Feature("int64"),
    "image/width": Feature("int64"),
    "image/id": Feature("string"),  # UTF-8, unique in the data set
    "image/class/label": Feature("int64"),  # 0-based index into DatasetInfo.class_names
    # PNG [H, W], 8 or 16 bits: unblurred counts summed over participants. b"": no map.
    "clickmap/counts": Feature("string"),
    # Raw uint8 [G, G] over the whole image: blurred counts, their maximum at 255. b"": no map.
    "clickmap/blurred": Feature("string"),
    # ymin, xmin, ymax, xmax of counts > 0 as fractions of H and W; zeros: no map, or an empty one.
    "clickmap/box": Feature("float32", (4,)),
    "clickmap/participants": Feature("int64"),  # number of maps summed; 0: no map
    "clickmap/clicks": Feature("int64"),  # 0: unknown
    # PNG [H, W] count map of each participant; empty unless there are at least two.
    "clickmap/by_participant": Feature("string", (None,)),
    "schema_version": Feature("int64"),
}


@dataclasses.dataclass(frozen=True)
class Example:
    """One image with its label and, if people looked at it, their count maps.

    Attributes:
      image_id: unique name; errors and reports quote it, so a relative path serves best.
      image: a whole JPEG or PNG file, as bytes; or pixels, uint8 [H, W, 3] or [H, W].
      label: 0-based class.
      participant_maps: integer arrays [H, W] >= 0, one a participant, in the frame of the image
        as it is displayed (after EXIF orientation). Empty: the image has no map.
      clicks: how many clicks the maps hold, 0 if unknown.
      split: "train", "validation" or "test".
    """

    image_id: str
    image: bytes | np.ndarray
    label: int
    participant_maps: tuple[np.ndarray, ...] = ()
    clicks: int = 0
    split: str | None = None


def encode_counts(counts: np.ndarray) -> bytes:
    """PNG file of integers [H, W] in 0...MAX_COUNT, with 8 bits a pixel where they suffice."""
    if counts.ndim != 2 or counts.dtype.kind not in "iu":
        raise ValueError(
            f"A count map must be a 2-D array of integers, got shape {counts.shape} and dtype "
            f"{counts.dtype}. Sum or round it first."
        )
    peak = counts.max()
    if peak > MAX_COUNT or (counts.dtype.kind == "i" and counts.min() < 0):
        raise ValueError(
            f"Counts must lie in 0...{MAX_COUNT}, got {counts.min()}...{peak}. Scale the map down."
        )
    depth = np.uint8 if peak < 256 else np.uint16
    buffer = io.BytesIO()
    # Of count maps, runs of equal numbers: smaller, and twice as fast, as with zlib's search.
    Image.fromarray(counts.astype(depth)).save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def encode_example(
    example: Example,
    *,
    blurred: np.ndarray | None = None,
    box: Sequence[float] | None = None,
    image: Image.Image | None = None,
    total: np.ndarray | None = None,
) -> bytes:
    """Serialises one example; the same input gives the same bytes.

    Args:
      example: its image may be any file `decode_image` takes; others than plain JPEGs are
        re-encoded.
      blurred: uint8 [G, G], the blurred count map over the whole image, for training.
      box: ymin, xmin, ymax, xmax of the unblurred map's extent, as fractions; zeros if it is empty.
        Both are needed exactly when the example has maps.
      image, total: what `decode_image` and `sum_maps` gave for this example, to spare doing it
        again.

    Raises:
      BadImageError: the image cannot be decoded.
      ValueError: label, maps, grid or box do not fit; the message names the example.
    """
    import tensorflow as tf

    name = example.image_id
    if image is None:
        image = decode_image(example.image, name)
    maps = example.participant_maps
    if total is None:
        total = sum_maps(example, (image.height, image.width))
    _check_example(example, blurred, box)
    values = {
        "image/encoded": [to_jpeg(image, example.image)],
        "image/height": [image.height],
        "image/width": [image.width],
        "image/id": [name.encode("utf-8")],
        "image/class/label": [example.label],
        "clickmap/counts": [b"" if total is None else encode_counts(total)],
        "clickmap/blurred": [b"" if blurred is None else blurred.tobytes()],
        "clickmap/box": [0.0] * 4 if box is None else [float(edge) for edge in box],
        "clickmap/participants": [len(maps)],
        "clickmap/clicks": [example.clicks],
        "clickmap/by_participant": [encode_counts(m) for m in maps] if len(maps) > 1 else [],
        "schema_version": [SCHEMA_VERSION],
    }
    lists = {
        "string": ("bytes_list", tf.train.BytesList),
        "int64": ("int64_list", tf.train.Int64List),
        "float32": ("float_list", tf.train.FloatList),
    }
    features = {}
    for key, feature in FEATURES.items():
        field, list_type = lists[feature.dtype]
        features[key] = tf.train.Feature(**{field: list_type(value=values[key])})
    message = tf.train.Example(features=tf.train.Features(feature=features))
    # Without `deterministic` the order of a protocol buffer's map is arbitrary.
    return message.SerializeToString(deterministic=True)


def check_maps(example: Example, shape: tuple[int, int]) -> None:
    """ValueError, naming the example, unless each of its maps is integers >= 0 of `shape`.

    Args:
      shape: (height, width) of the displayed image.
    """
    for counts in example.participant_maps:
        whole = counts.dtype.kind == "u" or (counts.dtype.kind == "i" and counts.min() >= 0)
        if counts.shape != shape or not whole:
            raise ValueError(
                f"Example {example.image_id!r}: a map must be integers >= 0 of shape {shape}, the "
                f"displayed image's (height, width); got shape {counts.shape}, dtype "
                f"{counts.dtype}, minimum {counts.min() if counts.size else 'none'}. Resample or "
                "round the map in its source."
            )


def sum_maps(example: Example, shape: tuple[int, int]) -> np.ndarray | None:
    """The count map summed over participants, integers [H, W]; None without maps.

    Raises:
      ValueError: a map does not pass `check_maps`, or the sum exceeds 65,535; the message names
        the example.
    """
    check_maps(example, shape)
    if not example.participant_maps:
        return None
    if len(example.participant_maps) == 1 and example.participant_maps[0].dtype.itemsize <= 2:
        return example.participant_maps[0]
    peaks = sum(int(counts.max()) for counts in example.participant_maps)
    # Where the peaks together fit into 16 bits, so does their sum; else it is looked at.
    total = np.zeros(shape, np.uint16 if peaks <= MAX_COUNT else np.float64)
    for counts in example.participant_maps:
        np.add(total, counts, out=total, casting="unsafe")
    if total.max() > MAX_COUNT:
        raise ValueError(
            f"Example {example.image_id!r}: counts sum to {total.max():.0f}, at most {MAX_COUNT} "
            "can be kept. Scale its maps down in their source."
        )
    return total.astype(np.uint16, copy=False)


def _check_example(example, blurred, box):
    name, maps = example.image_id, example.participant_maps
    if example.label < 0:
        raise ValueError(f"Example {name!r}: label must be 0-based, got {example.label}.")
    if bool(maps) != (blurred is not None) or bool(maps) != (box is not None):
        raise ValueError(
            f"Example {name!r} has {len(maps)} maps, but blurred is "
            f"{'missing' if blurred is None else 'given'} and box is "
            f"{'missing' if box is None else 'given'}. Give both exactly when there are maps."
        )
    if blurred is not None and (
        blurred.dtype != np.uint8 or blurred.ndim != 2 or blurred.shape[0] != blurred.shape[1]
    ):
        raise ValueError(
            f"Example {name!r}: blurred must be a square uint8 grid, got shape {blurred.shape} and "
            f"dtype {blurred.dtype}."
        )
    if box is not None and (
        len(box) != 4 or not (0 <= box[0] <= box[2] <= 1) or not (0 <= box[1] <= box[3] <= 1)
    ):
        raise ValueError(
            f"Example {name!r}: box must be (ymin, xmin, ymax, xmax) in 0...1, got {tuple(box)}."
        )


def parse_example(serialized, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Reads one record in TensorFlow, or many at once; the inverse of `encode_example`.

    Args:
      serialized: string tensor, scalar or [B].
      names: the features wanted (the others are not even copied); default all. Those of shape
        (None,) can be read of one record only.

    Returns:
      Feature name -> tensor of the static shape in FEATURES, of a batch with B in front; images and
      maps still encoded.

    Raises:
      ValueError: an unknown name, or one that a batch cannot hold.
      tf.errors.InvalidArgumentError: the record lacks a feature.
    """
    import tensorflow as tf

    names = list(FEATURES) if names is None else list(names)
    unknown = sorted(set(names) - set(FEATURES))
    if unknown:
        raise ValueError(f"Unknown features {unknown}; a record holds {sorted(FEATURES)}.")
    serialized = tf.convert_to_tensor(serialized)
    batched = serialized.shape.rank == 1
    spec = {}
    for name in names:
        feature = FEATURES[name]
        if batched and feature.shape == (None,):
            raise ValueError(f"{name} has another length in each record: parse them one by one.")
        dtype = tf.as_dtype(feature.dtype)
        if feature.shape == (None,):
            spec[name] = tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)
        else:
            spec[name] = tf.io.FixedLenFeature(feature.shape, dtype)
    return (tf.io.parse_example if batched else tf.io.parse_single_example)(serialized, spec)


def decode_counts(png, height, width):
    """Count map of a `clickmap/counts` or `clickmap/by_participant` string, in TensorFlow.

    Returns:
      int32 [H, W]; zeros for b"" (no map). The static shape is known if height, width are ints.
    """
    import tensorflow as tf

    def decode():
        pixels = tf.cast(tf.io.decode_png(png, channels=1, dtype=tf.uint16)[..., 0], tf.int32)
        # Asked for 16 bits, TensorFlow multiplies an 8-bit file's values by 257 (255 -> 65535).
        # Byte 24 of a PNG file is its bit depth.
        return tf.where(tf.equal(tf.strings.substr(png, 24, 1), b"\x08"), pixels // 257, pixels)

    shape = [height, width]
    counts = tf.cond(tf.equal(png, b""), lambda: tf.zeros(shape, tf.int32), decode)
    return tf.reshape(counts, shape)


def decode_blurred(raw, grid: int):
    """uint8 [G, G] of a `clickmap/blurred` string, in TensorFlow; zeros for b"" (no map).

    Of a batch of strings [B] it is [B, G, G].
    """
    import tensorflow as tf

    raw = tf.convert_to_tensor(raw)
    # decode_raw pads a short string with zeros, so "no map" needs no branch.
    pixels = tf.io.decode_raw(raw, tf.uint8, fixed_length=grid * grid)
    return tf.reshape(pixels, [*raw.shape, grid, grid])
