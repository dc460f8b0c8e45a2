"""The TFRecord schema: what one record holds.

This file is the only owner of feature names: `FEATURES` lists them once. `records.py` writes and
reads them; `dataset_info.py` describes a whole data set. Nothing here needs TensorFlow.

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
from typing import NamedTuple

import numpy as np

MAX_COUNT = 65_535  # in a count map: the most that 16 bits hold


class BadMapError(ValueError):
    """A map that cannot be used; the message names it and says what to do.

    Attributes:
      example: its image and label, without maps; None if whoever raised this did not know them.
    """

    example: "Example | None" = None


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
    """One image with its label and, if people looked at it, their count maps."""

    image_id: str  # unique name; errors and reports quote it, so a relative path serves best
    # A whole image file, as bytes; or pixels, uint8 [H, W, 3] or [H, W]
    image: bytes | np.ndarray
    label: int  # 0-based class
    # Integer arrays [H, W] >= 0, one a participant, in the frame of the image as it is displayed
    # (after EXIF orientation). Empty: the image has no map.
    participant_maps: tuple[np.ndarray, ...] = ()
    clicks: int = 0  # how many clicks the maps hold, 0 if unknown
    split: str | None = None  # "train", "validation" or "test"


def check_maps(example: Example, shape: tuple[int, int]) -> None:
    """BadMapError, naming the example, unless each of its maps is integers >= 0 of `shape`.

    `shape`: (height, width) of the displayed image.
    """
    for counts in example.participant_maps:
        whole = counts.dtype.kind == "u" or (counts.dtype.kind == "i" and counts.min() >= 0)
        if counts.shape != shape or not whole:
            raise BadMapError(
                f"Example {example.image_id!r}: a map must be integers >= 0 of shape {shape}, the "
                f"displayed image's (height, width); got shape {counts.shape}, dtype "
                f"{counts.dtype}, minimum {counts.min() if counts.size else 'none'}. Resample or "
                "round the map in its source."
            )


def sum_maps(example: Example, shape: tuple[int, int]) -> np.ndarray | None:
    """The count map summed over participants, integers [H, W]; None without maps.

    BadMapError: a map does not pass `check_maps`, or the sum exceeds 65,535; the message names the
    example.
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
        raise BadMapError(
            f"Example {example.image_id!r}: counts sum to {total.max():.0f}, at most {MAX_COUNT} "
            "can be kept. Scale its maps down in their source."
        )
    return total.astype(np.uint16, copy=False)
