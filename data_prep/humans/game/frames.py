"""A picture as the game shows it: 256x256, the same pixels for the player and for the partner."""

import io
import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from gala_tf.data.images import BadImageError, decode_image

SIDE = 256
KEPT = 256  # frames in memory, 60 MB; each is used some 14 times within its round
QUALITY = 95


class Frame(NamedTuple):
    """One picture."""

    jpeg: bytes  # without any metadata: no name, place or camera
    pixels: np.ndarray  # uint8 [256, 256, 3]; what the JPEG decodes to


class Frames:
    """Frames by path, the last ones kept."""

    def __init__(self, kept: int = KEPT):
        self._kept, self._lock = kept, threading.Lock()
        self._frames: OrderedDict[str, Frame] = OrderedDict()

    def get(self, path: str) -> Frame:
        """The frame of a picture file; BadImageError if it is none."""
        with self._lock:
            if path in self._frames:
                self._frames.move_to_end(path)
                return self._frames[path]
        frame = make(path)
        with self._lock:
            self._frames[path] = frame
            if len(self._frames) > self._kept:
                self._frames.popitem(last=False)
        return frame


def make(path: str) -> Frame:
    """Upright, on white where it is transparent, short side to 256, antialiased, centre crop.

    BadImageError: a file that cannot be read, or is no whole image.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise BadImageError(f"Image {path!r} cannot be read: {error.strerror}.") from error
    image = decode_image(data, path).convert("RGB")
    square = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    Image.fromarray(np.asarray(square)).save(file, "JPEG", quality=QUALITY, subsampling=0)
    with Image.open(io.BytesIO(file.getvalue())) as decoded:
        pixels = np.asarray(decoded.convert("RGB"))
    return Frame(file.getvalue(), pixels)
