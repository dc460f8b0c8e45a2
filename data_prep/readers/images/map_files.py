"""Maps that lie beside images: grey image files and NPY arrays."""

import numpy as np
from PIL import Image

from data_prep.maps.count_maps import as_counts
from data_prep.readers.archives import npz_files
from data_prep.readers.images.image_files import PHOTOGRAPHS, SUFFIXES, suffix
from gala_tf.data.images import PILLOW_ERRORS, load_upright, open_image, reason
from gala_tf.data.schema import BadMapError

MAP_SUFFIXES = SUFFIXES | {".npy"}
_GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def is_lossy(path: str) -> bool:
    """Whether a map's file format changes its values, as JPEG does by a few grey levels."""
    return suffix(path) in PHOTOGRAPHS


def read_map(path: str) -> np.ndarray:
    """Reads a map file, upright.

    Returns integers [P, H, W] >= 0; P = 1 for a single map.

    BadMapError: not readable, not grey, wrong rank, negative, not finite, or counts whose sum over
    participants exceeds 65,535.
    """
    try:
        if path.lower().endswith(".npy"):
            # Mapped: a head that claims more than the file holds must not get that much memory.
            values = np.array(np.lib.format.open_memmap(path, mode="r"))
        else:
            with open_image(path) as image:
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise ValueError(
                        f"it has {frames} frames; save participants as NPY [participants, height, "
                        "width]"
                    )
                values = np.asarray(_grey(load_upright(image)))
    except (*PILLOW_ERRORS, *npz_files.HEADER_ERRORS) as error:
        raise BadMapError(
            f"Map {path!r} cannot be read: {reason(error)}. Expected a grey image (PNG serves "
            "best) or an NPY array. If it is no map but a second image, rename it."
        ) from error
    return as_counts(_by_participant(values, path), path)


def _grey(image):
    """An image of one channel; ValueError for colours and for transparency."""
    if image.mode in _GREY and "transparency" not in image.info:
        return image
    colours = image.convert("RGBA")
    red, green, blue, alpha = (np.asarray(channel) for channel in colours.split())
    if (alpha < 255).any():
        raise ValueError(f"it is an image of mode {image.mode!r} with transparent pixels")
    if (red != green).any() or (red != blue).any():
        raise ValueError(f"it is an image of mode {image.mode!r}, not a grey one")
    return Image.fromarray(red)


def _by_participant(values, path):
    """[P, H, W] of [H, W], [H, W, 1] or [P, H, W]."""
    shape = values.shape
    while values.ndim > 2 and values.shape[-1] == 1:
        values = values[..., 0]  # one channel
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.size == 0 or values.dtype.kind not in "buif":
        raise BadMapError(
            f"Map {path!r} has shape {shape} and dtype {values.dtype}, expected numbers "
            "[height, width], or [participants, height, width]. Save it anew."
        )
    if values.shape[-1] in (3, 4) and values.shape[0] > 4:
        raise BadMapError(
            f"Map {path!r} has shape {shape}, which is that of colours, expected numbers "
            "[height, width], or [participants, height, width]. Save the map, not its picture."
        )
    return values
