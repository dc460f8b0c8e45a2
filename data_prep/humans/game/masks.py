"""What matters in the pictures of a study, by the pixels that a partner or a player is shown."""

import functools
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from PIL import Image

from data_prep.humans.game.partners import Partner
from data_prep.humans.game.partners.reference import picture_key
from data_prep.humans.game.quality import read_mask
from data_prep.humans.game.tables import images
from data_prep.humans.studies.database import Database

KEPT = 256  # masks in memory, 130 MB


class StudyMasks:
    """Masks of a study's pictures: a picture's reference file, else what the partner needs.

    Used as `masks` of the reference partner, and as the eyes of simulated players.
    """

    def __init__(
        self,
        connection: sa.Connection,
        pixels_of: Callable[[str], np.ndarray],
        partner: Partner | None = None,
    ):
        """
        Args:
          pixels_of: path of a picture -> uint8 [256, 256, 3], as players see it.
          partner: for pictures without a file; without one they have no mask.
        """
        wanted = images.c.class_index.is_not(None)
        if partner is None:
            wanted = images.c.reference_path.is_not(None)
        rows = connection.execute(images.select().where(wanted).order_by(images.c.id)).all()
        self._rows = {picture_key(pixels_of(row.path)): row for row in rows}
        self._pixels_of, self._partner = pixels_of, partner
        self._last = functools.lru_cache(KEPT)(self._make)  # of one key

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str, default: np.ndarray | None = None) -> np.ndarray | None:
        """The mask of a picture by `picture_key`, [256, 256]."""
        return self._last(key) if key in self._rows else default

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """(key, mask) of all, in order; not all at once in memory."""
        return ((key, self._make(key)) for key in sorted(self._rows))

    def sees(self, jpeg: bytes) -> np.ndarray:
        """What matters in a picture as the server sent it."""
        with Image.open(io.BytesIO(jpeg)) as image:
            found = self.get(picture_key(np.asarray(image.convert("RGB"))))
        if found is None:
            raise ValueError("The server sent a picture that is not in the database.")
        return found

    def _make(self, key):
        row = self._rows[key]
        if row.reference_path:
            return read_mask(row.reference_path)
        return self._partner.importance(self._pixels_of(row.path), row.class_index)


def attach(database: Database, folder: str, pictures: str) -> int:
    """Gives pictures of the folder `pictures` the masks of the same names in `folder`; how many.

    A mask is a .png or .npy; its picture becomes one of catch rounds.

    Raises:
      ValueError: a mask cannot be read, or none fits any picture.
    """
    with database.read() as connection:
        rows = connection.execute(sa.select(images.c.id, images.c.path)).all()
    found = {}
    for row in rows:
        if not Path(row.path).is_relative_to(pictures):
            continue
        stem = Path(folder) / Path(row.path).relative_to(pictures).with_suffix("")
        for file in (stem.with_suffix(".png"), stem.with_suffix(".npy")):
            if file.exists():
                read_mask(str(file))  # now, not in the middle of a study
                found[row.id] = str(file.resolve())
                break
    if not found:
        raise ValueError(f"--catch_masks={folder}: no mask there has the name of a picture.")
    with database.write() as connection:
        for image_id, file in found.items():
            here = images.update().where(images.c.id == image_id)
            connection.execute(here.values(is_catch=True, reference_path=file))
    return len(found)


def images_hash(connection: sa.Connection) -> str:
    """Names the pictures of a database by their files' SHA-256, whatever their order."""
    digests = connection.execute(sa.select(images.c.sha256).order_by(images.c.sha256)).scalars()
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
