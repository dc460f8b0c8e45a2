"""Images of COCO's JSON files with their annotations, grouped in a temporary database on disk.

Annotations of one image lie anywhere in a file. The database is sqlite's own temporary file (its
place: SQLITE_TMPDIR or TMPDIR), at most as large as the JSON, and gone with the process.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from data_prep.readers import listing
from data_prep.readers.coco.coco_json import elements
from data_prep.readers.images.image_files import relative_name


class StoredImage(NamedTuple):
    """An image as its file lists it; `file` is the index in `AnnotationStore.paths`."""

    file: int
    id: int
    name: str
    height: int
    width: int


class Kept(NamedTuple):
    """What is kept of an annotation; `payload` is whatever JSON can hold."""

    category: int | None
    area: float | None
    payload: Any


class AnnotationStore:
    """Images, categories and annotations of JSON files, on disk, to be asked by image.

    Attributes:
      paths: of the files.
      categories: id -> name.
      left_out: number of annotations for which `keep` gave None.
    """

    def __init__(self):
        self.paths: list[str] = []
        self.categories: dict[int, str] = {}
        self.left_out = 0
        # An empty name: a file of sqlite's that nobody else sees, and that vanishes when closed.
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE images (file, id, name, height, width, PRIMARY KEY (file, id));
            CREATE INDEX images_by_name ON images (file, name);
            CREATE TABLE annotations (file, id, image, category, area, payload,
                                      PRIMARY KEY (file, id));
            CREATE INDEX annotations_by_image ON annotations (file, image, id);
            """
        )

    def add(self, path: str, keep: Callable[[dict, str], Kept | None]) -> None:
        """Reads a file into the store.

        `keep`: (annotation, "file, annotation id") -> what to keep of it; None leaves it out.

        ValueError: see `elements`; ids missing, not whole numbers or double; annotations of images
        or categories that the file does not list; images without name or size.
        """
        file = len(self.paths)
        self.paths.append(path)
        self._db.execute("BEGIN")
        for key, element in elements(path, ("images", "annotations", "categories")):
            with listing.one_row():
                self._add_element(file, key, element, keep)
        self._db.execute("COMMIT")
        self._check_annotations(file)

    def _add_element(self, file, key, element, keep):
        path, number = self.paths[file], element.get("id")
        if type(number) is not int or abs(number) >= 2**63:
            raise ValueError(
                f"{path!r}: one of {key} has id {number!r:.80}, expected a whole number: "
                f"{element!r:.200}. Correct the file."
            )
        if key == "images":
            self._add_image(file, number, element)
        elif key == "categories":
            self._add_category(path, number, element)
        else:
            self._add_annotation(file, number, element, keep)

    def _insert(self, file, table, number, row):
        try:
            marks = ", ".join("?" * (len(row) + 2))
            self._db.execute(f"INSERT INTO {table} VALUES ({marks})", (file, number, *row))
        except sqlite3.IntegrityError as error:
            raise ValueError(
                f"{self.paths[file]!r}: {table} id {number} occurs twice; ids must be unique. "
                "Correct the file."
            ) from error

    def _add_image(self, file, number, image):
        where = f"{self.paths[file]!r}, image id {number}"
        name = relative_name(image.get("file_name"), where)
        size = image.get("height"), image.get("width")
        if not all(type(side) is int and 0 < side < 2**31 for side in size):
            raise ValueError(
                f"{where}: height and width must be whole numbers > 0, got {size!r:.80}. Correct "
                "the file."
            )
        self._insert(file, "images", number, (name, *size))

    def _add_category(self, path, number, category):
        name = category.get("name")
        if not isinstance(name, str) or self.categories.setdefault(number, name) != name:
            raise ValueError(
                f"{path!r}: category {number} is called {name!r:.80}, and elsewhere "
                f"{self.categories.get(number)!r:.80}; expected one name in all files."
            )

    def _add_annotation(self, file, number, annotation, keep):
        where = f"{self.paths[file]!r}, annotation id {number}"
        image = annotation.get("image_id")
        if type(image) is not int or abs(image) >= 2**63:
            raise ValueError(
                f"{where}: image_id must be a whole number, got {image!r:.80}. Correct the file."
            )
        kept = keep(annotation, where)
        self.left_out += kept is None
        # One that is left out stays known by its id, so that doubles are found; it has no payload.
        category, area, payload = (None, None, None) if kept is None else kept
        text = None if payload is None else json.dumps(payload, separators=(",", ":"))
        self._insert(file, "annotations", number, (image, category, area, text))

    def _check_annotations(self, file):
        for number, image in self._db.execute(
            "SELECT id, image FROM annotations WHERE file = ? AND NOT EXISTS (SELECT 1 FROM images "
            "WHERE images.file = annotations.file AND images.id = annotations.image) ORDER BY id",
            (file,),
        ):
            listing.fault(
                f"{self.paths[file]!r}, annotation id {number}: image_id {image} is not among "
                "its images. Correct the file."
            )
        used = "SELECT category, MIN(id) FROM annotations WHERE file = ? AND category IS NOT NULL"
        for category, number in self._db.execute(f"{used} GROUP BY category", (file,)).fetchall():
            if category not in self.categories:
                listing.fault(
                    f"{self.paths[file]!r}, annotation id {number}: category_id {category} is not "
                    "among its categories. Correct the file."
                )
                wrong = "DELETE FROM annotations WHERE file = ? AND category = ?"
                self._db.execute(wrong, (file, category))

    def images(self) -> Iterator[StoredImage]:
        """All images, file by file, by name."""
        yield from map(
            StoredImage._make,
            self._db.execute(
                "SELECT file, id, name, height, width FROM images ORDER BY file, name, id"
            ),
        )

    def lists(self, name: str, files: Collection[int]) -> bool:
        """Whether one of these files lists an image of that name."""
        query = "SELECT 1 FROM images WHERE file = ? AND name = ?"
        return any(self._db.execute(query, (file, name)).fetchone() for file in files)

    def first_image(self, file: int) -> str | None:
        """The first name that a file lists; None if it lists none."""
        row = self._db.execute(
            "SELECT name FROM images WHERE file = ? ORDER BY name LIMIT 1", (file,)
        ).fetchone()
        return row and row[0]

    def largest(self, image: StoredImage) -> int | None:
        """The category of an image's largest object, the first id of equals; None without any."""
        row = self._db.execute(
            "SELECT category FROM annotations WHERE file = ? AND image = ? AND category IS NOT "
            "NULL ORDER BY area DESC, id LIMIT 1",
            (image.file, image.id),
        ).fetchone()
        return row and row[0]

    def category_of_id(self, image_id: int) -> int | None:
        """As `largest`, by an image's id in whichever file has it."""
        for file in range(len(self.paths)):
            category = self.largest(StoredImage(file, image_id, "", 0, 0))
            if category is not None:
                return category
        return None

    def payloads(self, image: StoredImage, category: int | None = None) -> Iterator[tuple]:
        """(annotation id, payload) of an image, by id; of one category if that is given."""
        rows = self._db.execute(
            "SELECT id, payload FROM annotations WHERE file = ? AND image = ? AND payload IS NOT "
            "NULL AND (? IS NULL OR category = ?) ORDER BY id",
            (image.file, image.id, category, category),
        )
        return ((number, json.loads(text)) for number, text in rows)

    def bare_images(self) -> list[str]:
        """Names of the images of which no annotation was kept."""
        rows = self._db.execute(
            "SELECT name FROM images WHERE NOT EXISTS (SELECT 1 FROM annotations a WHERE "
            "a.file = images.file AND a.image = images.id AND a.payload IS NOT NULL) "
            "ORDER BY file, name"
        )
        return [name for (name,) in rows]

    def class_names(self) -> tuple[list[int], tuple[str, ...]]:
        """Category ids in order, and their names; with the id where two share a name."""
        ids = sorted(self.categories)
        names = [self.categories[number] for number in ids]
        return ids, tuple(
            name if names.count(name) == 1 else f"{name} ({number})"
            for number, name in zip(ids, names, strict=True)
        )
