"""Examples as TFRecord records and back: `encode_example`, `parse_example`, and their maps.

What a record holds, and why, is in `schema.py`.
"""

import io
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from gala_tf.data.dataset_info import SCHEMA_VERSION
from gala_tf.data.images import decode_image, to_jpeg
from gala_tf.data.schema import FEATURES, MAX_COUNT, Example, sum_maps


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

    BadImageError: the image cannot be decoded. ValueError: label, maps, grid or box do not fit; the
    message names the example.
    """
    name = example.image_id
    if image is None:
        image = decode_image(example.image, name)
    maps = example.participant_maps
    if total is None:
        total = sum_maps(example, (image.height, image.width))
    _check_example(example, blurred, box)
    values = {
        "image/encoded": [to_jpeg(image, example.image, name)],
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

    Returns feature name -> tensor of the static shape in FEATURES, of a batch with B in front;
    images and maps still encoded.

    ValueError: an unknown name, or one that a batch cannot hold. tf.errors.InvalidArgumentError:
    the record lacks a feature.
    """
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

    Returns int32 [H, W]; zeros for b"" (no map). The static shape is known if height, width are
    ints.
    """

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
    raw = tf.convert_to_tensor(raw)
    # decode_raw pads a short string with zeros, so "no map" needs no branch.
    pixels = tf.io.decode_raw(raw, tf.uint8, fixed_length=grid * grid)
    return tf.reshape(pixels, [*raw.shape, grid, grid])
