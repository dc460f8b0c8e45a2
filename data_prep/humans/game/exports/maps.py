"""Count maps, a pair of files a picture: how many bubbles cover each pixel of 256x256."""

import io
import zipfile

import numpy as np
import sqlalchemy as sa
from PIL import Image

from data_prep.humans.game.exports.choosing import Choice, Left, painted
from data_prep.maps.rasterise import rasterise_bubbles

SIDE, BUBBLE = 256, 14


def write(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """A zip with `<sha256>.png` (255 = the most covered pixel) and `<sha256>.npy` (counts)."""
    counts: dict[str, np.ndarray] = {}
    for row, points in painted(connection, choice, left):
        one = rasterise_bubbles([p[:2] for p in points], BUBBLE, SIDE, SIDE).astype(np.uint32)
        counts[row.sha256] = counts.get(row.sha256, 0) + one
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(counts):
            most = max(int(counts[name].max()), 1)
            picture = io.BytesIO()
            Image.fromarray((counts[name] * 255 // most).astype(np.uint8)).save(picture, "PNG")
            array = io.BytesIO()
            np.save(array, counts[name])
            for ending, data in ((".png", picture), (".npy", array)):
                # A fixed date, so that the same rows give the same bytes.
                entry = zipfile.ZipInfo(name + ending, (1980, 1, 1, 0, 0, 0))
                archive.writestr(entry, data.getvalue())
    return len(counts)
