"""Maps that lie beside images, as PNG or NPY files."""

import numpy as np

from data_prep.maps.count_maps import as_counts
from data_prep.readers.archives import npz_files
from gala_tf.data.images import PILLOW_ERRORS, open_image


def read_map(path: str) -> np.ndarray:
    """Reads a map file.

    Returns integers [P, H, W] >= 0; P = 1 for a single map. ValueError: not readable, not grey,
    wrong rank, negative, not finite, or counts whose sum over participants exceeds 65,535.
    """
    try:
        if path.lower().endswith(".npy"):
            # Mapped: a head that claims more than the file holds must not get that much memory.
            values = np.array(np.lib.format.open_memmap(path, mode="r"))
        else:
            with open_image(path) as image:
                if image.mode not in ("1", "L", "I", "I;16", "I;16B"):
                    raise ValueError(f"it is an image of mode {image.mode!r}, not a grey one")
                values = np.asarray(image)
    except (*PILLOW_ERRORS, *npz_files.HEADER_ERRORS) as error:
        raise ValueError(
            f"Map {path!r} cannot be read: {error}. Expected a grey PNG or an NPY array. If it is "
            "no map but a second image, rename it."
        ) from error
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.size == 0 or values.dtype.kind not in "buif":
        raise ValueError(
            f"Map {path!r} has shape {values.shape} and dtype {values.dtype}, expected numbers "
            "[height, width], or [participants, height, width]. Save it anew."
        )
    return as_counts(values, path)
