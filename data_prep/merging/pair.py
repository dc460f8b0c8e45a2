"""The two sources of a merge: their lists in a temporary file, their pictures, their labels."""

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from data_prep.merging import perceptual_hash, source_hashes
from data_prep.readers.imagenet import imagenet_classes
from data_prep.sources import Item, Source
from gala_tf.data import files
from gala_tf.data.images import BadImageError

MIN_CORRELATION = 0.9  # of 32x32 grey thumbnails, the last check of every pair

# As ILSVRC12 names its files; other tools put words before and after.
_IMAGENET_NAME = re.compile(r"n\d{8}_\d+|ILSVRC2012_(?:val|test)_\d{8}")
_ENDINGS = {".jpg", ".jpeg", ".png", ".npy", ".npz"}


def stem(image_id: str) -> tuple[str, bool]:
    """The name that finds an image in another data set, and whether it is one of ImageNet's.

    >>> stem("a/n01440764_10026.JPEG"), stem("a/dog.jpg.npy")
    (('n01440764_10026', True), ('dog', False))
    """
    names = _IMAGENET_NAME.findall(image_id)
    if names:
        return names[-1], True
    base, ending = os.path.splitext(image_id.rsplit("/", 1)[-1])
    while ending.lower() in _ENDINGS:
        name, (base, ending) = base, os.path.splitext(base)
        if ending.lower() not in _ENDINGS:
            return name, False
    return base + ending, False


def label_table(
    base_names: Sequence[str], map_names: Sequence[str], *, by_index: bool
) -> tuple[int, ...] | None:
    """Maps' label -> base's label, -1 where the base lacks the class.

    Classes are the same by name; ImageNet's, whether by WordNet id or by their words.

    `by_index`: where the names differ altogether, but not their number, labels are taken to mean
    the same; a join by content finds out if they do not.

    Returns None if labels are equal; () if there is no telling (only without `by_index`).
    ValueError: names and numbers of classes differ (only with `by_index`).
    """
    words = dict(zip(imagenet_classes.wnids(), imagenet_classes.class_names(), strict=True))
    base_names = [words.get(name, files.composed(name)) for name in base_names]
    map_names = [words.get(name, files.composed(name)) for name in map_names]
    if base_names == map_names:
        return None
    shared = set(base_names) & set(map_names)
    if 2 * len(shared) >= min(len(base_names), len(map_names)):
        index = {name: label for label, name in enumerate(base_names)}
        return tuple(index.get(name, -1) for name in map_names)
    if not by_index:
        return ()
    if len(base_names) == len(map_names):
        return None
    raise ValueError(
        f"The images have {len(base_names)} classes ({', '.join(base_names[:3])} ...), the maps "
        f"{len(map_names)} ({', '.join(map_names[:3])} ...), of other names: there is no telling "
        "which are the same. Name class folders as the maps' classes are; ImageNet's by WordNet id."
    )


def agreement(image: Image.Image, picture: Image.Image, frame: str) -> float:
    """Correlation, -1...1, of an image's `frame` and a map record's picture, both grey.

    A picture that is not square is of the whole image.
    """
    if picture.width != picture.height:
        frame = "squash"
    return perceptual_hash.correlation(image, picture, frame)


class Pair:
    """Two sources, listed.

    `maps_splits`: of the map records that are listed.

    Attributes:
      left_out: number of map records of other splits.

    ValueError: one of the sources lists nothing.
    """

    def __init__(self, base: Source, maps: Source, maps_splits: Sequence[str]):
        self.base, self.maps = base, maps
        self.tables = Tables()
        self.tables.add("base", base.items)
        self.left_out = 0
        self.tables.add("maps", self._wanted(maps.items, maps_splits))
        if not self.tables.count("base"):
            raise ValueError("The source of images lists none. Check its --input_dir.")
        if not self.tables.count("maps"):
            raise ValueError(
                f"The source of maps lists none of --maps_splits={','.join(maps_splits)}, and "
                f"{self.left_out} of others. Check its --maps_dir."
            )

    def _wanted(self, items, splits):
        for item in items:
            if item.split in splits:
                yield item
            else:
                self.left_out += 1

    def _source(self, which):
        return self.base if which == "base" else self.maps

    def hashes(self, which: str, num_workers: int, cache_dir: str | None) -> source_hashes.Hashes:
        """Of all items of "base" or "maps"; see `source_hashes.hash_source`."""
        return source_hashes.hash_source(
            self._source(which).read,
            self.tables.items(which),
            self.tables.count(which),
            {"base": "images", "maps": "map records"}[which],
            num_workers,
            cache_dir,
        )

    def grey(self, which: str, position: int) -> Image.Image | None:
        """The picture at a position of a list; None for position -1, no or a damaged picture."""
        if position < 0:
            return None
        try:
            example = self._source(which).read(self.tables.item(which, position))
            if not len(example.image):
                return None
            return perceptual_hash.open_grey(example.image, example.image_id)
        except BadImageError:
            return None


class Tables:
    """The lists "base" and "maps" in a temporary database, and which map is joined to which image.

    Positions count from 0 in the order of the source.
    """

    def __init__(self):
        # Named "", a database is a temporary file that goes away with its connection.
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = OFF")
        columns = (
            "pos INTEGER PRIMARY KEY, image_id TEXT, split TEXT, key TEXT, "
            "stem TEXT, is_imagenet INTEGER, folder TEXT"
        )
        self._db.execute(f"CREATE TABLE base ({columns})")
        self._db.execute(
            f"CREATE TABLE maps ({columns}, base INTEGER, digest INTEGER, verdict TEXT)"
        )
        self._counts = {}

    def add(self, which: str, items: Iterable[Item]) -> None:
        """Lists the items of one side, "base" or "maps", in their order."""
        rows = (
            (pos, *item, *stem(composed), composed.rpartition("/")[0].split("/")[-1])
            for pos, item in enumerate(items)
            for composed in [files.composed(item.image_id)]
        )
        names = "pos, image_id, split, key, stem, is_imagenet, folder"
        self._db.executemany(f"INSERT INTO {which} ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._db.commit()
        self._counts[which] = self._one(f"SELECT COUNT(*) FROM {which}")
        self._db.execute(f"CREATE INDEX {which}_stem ON {which} (stem)")

    def _one(self, query):
        return self._db.execute(query).fetchone()[0]

    def count(self, which: str) -> int:
        return self._counts[which]

    def items(self, which: str) -> Iterator[Item]:
        for row in self._db.execute(f"SELECT image_id, split, key FROM {which} ORDER BY pos"):
            yield Item(*row)

    def item(self, which: str, position: int) -> Item:
        query = f"SELECT image_id, split, key FROM {which} WHERE pos = ?"
        return Item(*self._db.execute(query, (position,)).fetchone())

    def are_named(self) -> bool:
        """Whether half of the map records have the name of an image of the base, or ImageNet's.

        A mere number is no name: records of an archive are numbered, and so are many images.
        """
        named = self._one(
            """SELECT COUNT(*) FROM maps WHERE is_imagenet
               OR (stem GLOB '*[^0-9]*' AND stem IN (SELECT stem FROM base))"""
        )
        return 2 * named >= self.count("maps")

    def join_names(self) -> None:
        """Joins by stem; where several images share it, by the name of the folder as well."""
        same = "FROM base WHERE base.stem = maps.stem"
        there = f"{same} AND base.folder = maps.folder"
        self._db.execute(
            f"""UPDATE maps SET base = CASE
                WHEN (SELECT COUNT(*) {same}) = 1 THEN (SELECT pos {same})
                WHEN (SELECT COUNT(*) {there}) = 1 THEN (SELECT pos {there}) END"""
        )
        self._db.execute(
            f"""UPDATE maps SET verdict = CASE WHEN base IS NOT NULL THEN 'matched'
                WHEN EXISTS (SELECT 1 {same}) THEN 'of a name that several images have'
                ELSE 'unmatched' END"""
        )
        self._finish_join()

    def join(self, images: np.ndarray, digests: np.ndarray) -> None:
        """Joins each map record to the image at a position, -1: to none; digests of its maps."""
        rows = (
            (None if image < 0 else int(image), int(digest), pos)
            for pos, (image, digest) in enumerate(zip(images, digests, strict=True))
        )
        self._db.executemany("UPDATE maps SET base = ?, digest = ? WHERE pos = ?", rows)
        self._finish_join()

    def _finish_join(self):
        self._db.commit()
        self._db.execute("CREATE INDEX maps_base ON maps (base)")

    def verdicts(self) -> list[tuple[str, int]]:
        """Of a join by name: verdict, number of records."""
        return self._db.execute(
            "SELECT verdict, COUNT(*) FROM maps GROUP BY verdict ORDER BY verdict"
        ).fetchall()

    def unjoined(self) -> Iterator[tuple[str, str]]:
        """Of a join by name: map record, verdict."""
        query = "SELECT image_id, verdict FROM maps WHERE base IS NULL ORDER BY pos"
        yield from self._db.execute(query)

    def sample_pairs(self, wanted: int) -> list[tuple[int, int]]:
        """Positions (image, map record) of joined pairs, spread over all, about `wanted`."""
        step = max(1, self.joined_records() // wanted)
        query = """SELECT base, pos FROM (SELECT base, pos, row_number() OVER (ORDER BY pos) AS n
                   FROM maps WHERE base IS NOT NULL) WHERE (n - 1) % ? = 0 LIMIT ?"""
        return self._db.execute(query, (step, wanted)).fetchall()

    def joined_records(self) -> int:
        return self._one("SELECT COUNT(*) FROM maps WHERE base IS NOT NULL")

    def joined_images(self) -> int:
        return self._one("SELECT COUNT(DISTINCT base) FROM maps")

    def several(self) -> tuple[int, int | None]:
        """Images with several records; records that repeat another's maps (None: not known)."""
        return self._db.execute(
            """SELECT COUNT(*), SUM(n - NULLIF(different, 0)) FROM
               (SELECT COUNT(*) AS n, COUNT(DISTINCT digest) AS different FROM maps
                WHERE base IS NOT NULL GROUP BY base HAVING n > 1)"""
        ).fetchone()

    def splits(self) -> list[tuple[str, str, int]]:
        """Split of the maps, of their images, number of records."""
        return self._db.execute(
            """SELECT maps.split, base.split, COUNT(*) FROM maps JOIN base ON maps.base = base.pos
               GROUP BY 1, 2 ORDER BY 1, 2"""
        ).fetchall()

    def joined_rows(self) -> Iterator[tuple]:
        """Image (image_id, split, key) and map record (the same three, or None), in order."""
        yield from self._db.execute(
            """SELECT base.image_id, base.split, base.key, maps.image_id, maps.split, maps.key
               FROM base LEFT JOIN maps ON maps.base = base.pos ORDER BY base.pos, maps.pos"""
        )
