"""The maps of one record: do participants, blurred grid and box follow from the counts?"""

import struct
import zlib

import numpy as np
import tensorflow as tf

from data_prep.building import encoding
from gala_tf.data import clickmaps, dataset_info
from gala_tf.data.messages import plain_message

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEADER = struct.Struct(">IIBB")  # width, height, bit depth, colour type; after 16 bytes
GREY = 0
BOX_TOLERANCE = 1e-6  # of float32 fractions


def check(
    values: dict, info: dataset_info.DatasetInfo, blur_sample: int
) -> tuple[np.ndarray | None, list[str]]:
    """Counts [H, W] (None without a map, or a broken one), and what is wrong with the maps.

    `blur_sample`: one grid in so many is computed anew: it costs as much as all the rest.
    """
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
        *_check_grid(values["clickmap/blurred"], counts, info, blur_sample),
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


def _check_grid(raw, counts, info, blur_sample):
    side = info.clickmap_grid
    if len(raw) != side * side:
        return [f"clickmap/blurred has {len(raw)} values, expected {side}x{side}"]
    grid = np.frombuffer(raw, np.uint8).reshape(side, side)
    peak = 255 if counts.any() else 0
    if grid.max() != peak:
        return [f"clickmap/blurred has maximum {grid.max()}, expected {peak}"]
    if peak and zlib.crc32(raw) % blur_sample == 0:
        again = encoding.blurred_grid(counts, info.clickmap_blur, side)
        off = np.abs(again.astype(int) - grid).max()
        if off > 1:  # rounding may differ from one machine to the next
            return [f"clickmap/blurred is off by {off} of 255 from {info.clickmap_blur} of it"]
    return []


def _check_box(box, counts):
    extent = clickmaps.extent_box(counts) or (0.0, 0.0, 0.0, 0.0)
    # Written so that a NaN fails.
    if not np.abs(np.subtract(box, extent)).max() <= BOX_TOLERANCE:
        return [f"clickmap/box is {_round(box)}, the map's extent {_round(extent)}"]
    return []


def _round(box):
    return tuple(round(float(edge), 4) for edge in box)
