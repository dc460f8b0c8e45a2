"""One example -> one serialised record: a pure function, so that worker processes can run it."""

import dataclasses
import functools
import struct
from typing import NamedTuple

import google_crc32c
import numpy as np
from PIL import Image

from data_prep.maps import geometry
from gala_tf.data import clickmaps, map_operators, records, schema
from gala_tf.data.images import decode_image

LARGE_SIDE = 128  # pixels, from which on a picture is known by its 4x4 means
_DIGEST = struct.Struct("<IIHH")


@dataclasses.dataclass(frozen=True)
class Storage:
    """How examples are stored."""

    image_storage: str  # "original", or "square" with `square_size` pixels a side
    square_size: int
    clickmap_blur: str  # text for `clickmaps.parse_blur`, in pixels of the stored image
    clickmap_grid: int  # G, the side of the blurred grid kept for training


class Encoded(NamedTuple):
    """A record and what the builder has to know about it; `digest` is of the source's pixels."""

    digest: bytes
    label: int
    height: int
    width: int
    participants: int
    has_clickmap: bool
    serialized: bytes


def encode(example: schema.Example, storage: Storage) -> Encoded:
    """Decodes, checks and serialises one example; the image is decoded once.

    images.BadImageError: the image is damaged. schema.BadMapError: its maps do not fit it.
    """
    image = decode_image(example.image, example.image_id)
    digest = pixel_digest(image)
    if storage.image_storage == "square":
        # Before the maps are cut: those of the whole image must fit the whole image.
        schema.check_maps(example, (image.height, image.width))
        example, image = geometry.square_example(example, image, storage.square_size)
    total = schema.sum_maps(example, (image.height, image.width))
    blurred = box = None
    if total is not None:
        blurred = blurred_grid(total, storage.clickmap_blur, storage.clickmap_grid)
        box = clickmaps.extent_box(total)
    return Encoded(
        digest=digest,
        label=example.label,
        height=image.height,
        width=image.width,
        participants=len(example.participant_maps),
        has_clickmap=box is not None,
        serialized=records.encode_example(
            example,
            blurred=blurred,
            # An empty map is a map, of no extent: somebody looked, and clicked nothing.
            box=(0.0, 0.0, 0.0, 0.0) if blurred is not None and box is None else box,
            image=image,
            total=total,
        ),
    )


def pixel_digest(image: Image.Image) -> bytes:
    """12 bytes that tell pictures apart by their pixels: the same one may come in two files.

    The checksums of the upper and of the lower half, and the size. Among a million different
    pictures two agree by chance with a probability of 1e-7; a cryptographic hash of all pixels
    would cost a third of what decoding costs, or more. Of large pictures the means of 4x4 blocks
    are taken, at half the cost: two that agree in all of them look the same.
    """
    coarse = image.reduce(4) if min(image.size) >= LARGE_SIDE else image
    pixels = coarse.tobytes()
    middle = len(pixels) // 2
    return _DIGEST.pack(
        google_crc32c.value(pixels[:middle]),
        google_crc32c.value(pixels[middle:]),
        image.height & 0xFFFF,
        image.width & 0xFFFF,
    )


def blurred_grid(counts: np.ndarray, blur: str, grid: int) -> np.ndarray:
    """Blurs a count map [H, W], in float32, then averages it over G x G cells of the whole image.

    Returns uint8 [G, G] with its maximum at 255, or all zeros for an empty map.
    """
    if blur.startswith("disc"):  # no product of two axes
        counts, blur = clickmaps.blur_counts(counts, clickmaps.parse_blur(blur)), "none"
    rows, columns = (_blurred_cells(size, grid, blur) for size in counts.shape)  # [G, H], [G, W]
    # Rows and columns without counts add nothing, and most maps cover a part of their image.
    used = counts.any(1), counts.any(0)  # [H], [W]
    values = rows[:, used[0]] @ counts[np.ix_(*used)].astype(np.float32) @ columns[:, used[1]].T
    peak = values.max()
    return np.rint(values * (255 / peak) if peak > 0 else values).astype(np.uint8)


@functools.lru_cache(maxsize=512)
def _blurred_cells(size: int, grid: int, blur: str) -> np.ndarray:
    """[G, size]: how much of the blur around each pixel falls into each grid cell."""
    cells = map_operators.resample_matrix(size, grid, 0.0, size, "area", dtype="float64").numpy()
    return (cells @ clickmaps.blur_matrix(size, clickmaps.parse_blur(blur))).astype(np.float32)
