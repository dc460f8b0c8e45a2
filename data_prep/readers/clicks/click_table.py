"""Submissions of clicks grouped by image, and filtered, in a temporary database on disk.

SQLite sorts and joins there, so memory does not grow with the number of submissions or images; the
file has no name and goes with the connection.

Filters work in the order of the published pipeline (serre-lab/human_clickme_data_processing,
src/utils.py): catch trials and phones, the first submission of each person and image, too few
clicks, the first N clicks, too few participants. Each says what it removed.
"""

import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from data_prep.readers import listing
from data_prep.readers.clicks.click_files import BadRowError, Submission
from data_prep.readers.imagenet import imagenet_classes
from data_prep.readers.seeded import seeded_rank

GAME_SIDE = 256  # pixels of the game's canvas
_CACHE_KIB = 65_536  # of pages in memory
_WNID = re.compile(r"n[0-9]{8}")
_TABLES = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE, path TEXT, class TEXT, split TEXT, rank BLOB);
CREATE TABLE submissions (
    seq INTEGER PRIMARY KEY, image INTEGER, user TEXT, stamp REAL, given INTEGER, clicks TEXT);
"""
_DROP_LATER = """
DELETE FROM submissions WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, row_number() OVER (
            PARTITION BY image, user ORDER BY stamp IS NULL, stamp, seq) AS turn
        FROM submissions)
    WHERE turn > 1)
"""
_DROP_LONELY = """
DELETE FROM submissions WHERE image IN (
    SELECT image FROM submissions GROUP BY image HAVING count(*) < ?)
"""


@dataclass(frozen=True)
class ImageClicks:
    """An image with what is left of its submissions."""

    path: str  # relative to the images' folder; class_name and split None if unknown
    class_name: str | None
    split: str | None
    clicks: str  # JSON [[[x, y], ...], ...], one list a submission, in the order of the file
    participants: int  # how many


def touches(x: float, y: float, side: int, height: int, width: int) -> bool:
    """Whether a bubble, as `clicks.rasterise_bubbles` paints it, covers a pixel of [H, W]."""
    left, top = math.floor(x - side / 2 + 0.5), math.floor(y - side / 2 + 0.5)
    return left < width and left + side > 0 and top < height and top + side > 0


def folder_wnid(path: str) -> str | None:
    """The innermost folder of a path that is one of ImageNet's WordNet ids."""
    for folder in reversed(path.split("/")[:-1]):
        if _WNID.fullmatch(folder) and folder in imagenet_classes.wnids():
            return folder
    return None


class ClickTable:
    """Fill it by `add_image` and `add_submissions`, filter it, then read `images`."""

    def __init__(self):
        # The empty name is SQLite's for a temporary file. Items may be drawn in another thread.
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")  # never ended: a commit a row would take longer than the row
        self.clicks = 0  # of the submissions that were added
        self.outside = 0  # of them, those whose bubbles do not touch the frame

    def _one(self, query, *values):
        return self._db.execute(query, values).fetchone()

    def add_image(self, key: str, path: str, class_name: str | None, split: str | None, seed: int):
        """ValueError if an image of this key is there."""
        try:
            self._db.execute(
                "INSERT INTO images (key, path, class, split, rank) VALUES (?, ?, ?, ?, ?)",
                (key, path, class_name, split, seeded_rank(path, seed)),
            )
        except sqlite3.IntegrityError:
            (other,) = self._one("SELECT path FROM images WHERE key = ?", key)
            raise ValueError(
                f"Images {other!r} and {path!r} both answer to {key!r}: there is no telling which "
                "one people clicked on. Remove one, or, if folders tell them apart, join by whole "
                "paths: --click_path_prefix says what precedes them in the file of clicks."
            ) from None

    def add_submissions(
        self,
        rows: Iterable[Submission | BadRowError],
        key_of: Callable[[str], str | None],
        options: Any,
    ) -> None:
        """Takes in what one file has, and prints what was left out.

        Args:
          key_of: image_path -> key of its image, or None if the path is not of the images' tree.
          options: `sources.SourceOptions`, whose filters are the published pipeline's by default.

        A WordNet id among the folders of image_path is the class of an image that lies in no class
        folder; if it lies in another class's, that is an error.

        BadRowError: of the first bad row. ValueError: folders disagree on an image's class.
        """
        count = dict.fromkeys(("bad", "catch", "mobile", "absent", "nan", "outside", "rows"), 0)
        unsaid = dict.fromkeys(("user_catch_trial", "is_mobile"), 0)
        example = {}
        for row in rows:
            count["rows"] += 1
            why = "bad"
            with listing.one_row():
                if not isinstance(row, BadRowError):
                    unsaid["user_catch_trial"] += row.catch_score is None
                    unsaid["is_mobile"] += row.mobile is None
                    why = _unwanted(row, options) or self._add(row, key_of, options, count)
                elif options.on_bad_row != "skip":
                    raise row
            if why:
                count[why] += 1
                example.setdefault(why, str(row) if why == "bad" else repr(row.image_path))
        self._report(count, unsaid, example, options)

    def _add(self, row, key_of, options, count):
        key = key_of(row.image_path)
        found = key and self._one("SELECT id, path, class FROM images WHERE key = ?", key)
        if not found:
            return "absent"
        image, path, class_name = found
        wnid = folder_wnid(row.image_path)
        if wnid and class_name is None:
            self._db.execute("UPDATE images SET class = ? WHERE id = ?", (wnid, image))
        elif wnid and wnid != class_name and class_name in imagenet_classes.wnids():
            raise ValueError(
                f"Clicks {row.where}: {row.image_path!r} is of class {wnid}, but the image lies in "
                f"{path!r}, of class {class_name}. Sort the images into the right folders."
            )
        clicks = [(x, y) for x, y in row.clicks if math.isfinite(x) and math.isfinite(y)]
        count["nan"] += len(row.clicks) - len(clicks)
        if options.click_frame == "256":
            # A bubble that does not touch the game's canvas is no click.
            side = GAME_SIDE
            inside = [c for c in clicks if touches(*c, options.bubble_side, side, side)]
            count["outside"] += len(clicks) - len(inside)
            clicks = inside
        self.clicks += len(row.clicks)
        kept = clicks[: options.max_clicks] if options.max_clicks else clicks
        self._db.execute(
            "INSERT INTO submissions (image, user, stamp, given, clicks) VALUES (?, ?, ?, ?, ?)",
            (image, row.user, row.timestamp, len(clicks), json.dumps(kept, separators=(",", ":"))),
        )
        return None

    def _report(self, count, unsaid, example, options):
        self.outside += count["outside"]
        say(f"{count['rows']} submissions read")
        _removed(count["bad"], "submissions that could not be read", example.get("bad"))
        if options.min_catch_score > 0:
            _removed(count["catch"], f"submissions of catch score < {options.min_catch_score:g}")
            _not_applied(unsaid, "user_catch_trial")
        if options.exclude_mobile:
            _removed(count["mobile"], "submissions from phones")
            _not_applied(unsaid, "is_mobile")
        _removed(count["absent"], "submissions on images that are not there", example.get("absent"))
        _removed(count["nan"], "clicks whose coordinates are not finite")
        if options.click_frame == "256":
            canvas = f"{GAME_SIDE}x{GAME_SIDE}"
            _removed(count["outside"], f"clicks whose bubbles lie outside {canvas} pixels")

    def filter(self, options: Any) -> None:
        """Applies the filters that need all submissions, and prints what each removed."""
        execute = self._db.execute
        execute("CREATE INDEX by_image ON submissions (image, user, stamp, seq)")
        if options.first_submission_only:
            _removed(execute(_DROP_LATER).rowcount, "later submissions of one person on one image")
        few = execute("DELETE FROM submissions WHERE given < ?", (options.min_clicks,)).rowcount
        _removed(few, f"submissions of fewer than {options.min_clicks} clicks")
        if options.max_clicks:
            cut, clicks = self._one(
                "SELECT count(*), total(given - ?) FROM submissions WHERE given > ?",
                options.max_clicks,
                options.max_clicks,
            )
            _removed(
                int(clicks), f"clicks after the first {options.max_clicks}, of {cut} submissions"
            )
        (before,) = self._one("SELECT count(DISTINCT image) FROM submissions")
        lonely = execute(_DROP_LONELY, (options.min_participants,)).rowcount
        (images,) = self._one("SELECT count(DISTINCT image) FROM submissions")
        (left,) = self._one("SELECT count(*) FROM submissions")
        _removed(
            lonely,
            f"submissions on {before - images} images of fewer than {options.min_participants} "
            "participants",
        )
        say(f"{left} submissions on {images} images are left")

    def class_names(self) -> list[str]:
        """Classes of all images, with clicks or without, sorted."""
        query = "SELECT DISTINCT class FROM images WHERE class IS NOT NULL ORDER BY class"
        return [name for (name,) in self._db.execute(query)]

    def splits(self) -> set[str | None]:
        """The splits that images' folders name; None is among them if some name none."""
        return {split for (split,) in self._db.execute("SELECT DISTINCT split FROM images")}

    def count(self, condition: str = "1", *, clicked: bool) -> tuple[int, str | None]:
        """How many images there are, with clicks or all, and one of them."""
        where = f"{condition} AND {_CLICKED}" if clicked else condition
        return self._one(f"SELECT count(*), min(path) FROM images WHERE {where}")

    def sample(self, number: int) -> Iterator[ImageClicks]:
        """Some images with clicks, drawn by the seed."""
        return self._images(f"WHERE {_CLICKED} ORDER BY rank LIMIT {int(number)}")

    def images(self, *, clicked: bool) -> Iterator[ImageClicks]:
        """Images, with clicks or all: classes sorted by name, those of a class by seeded rank."""
        return self._images(f"{'WHERE ' + _CLICKED if clicked else ''} ORDER BY class, rank")

    def _images(self, clause):
        query = f"SELECT id, path, class, split FROM images {clause}"
        for image, path, class_name, split in self._db.execute(query):
            texts = self._db.execute(
                "SELECT clicks FROM submissions WHERE image = ? ORDER BY seq", (image,)
            )
            clicks = [text for (text,) in texts]
            yield ImageClicks(path, class_name, split, f"[{','.join(clicks)}]", len(clicks))


_CLICKED = "EXISTS (SELECT 1 FROM submissions WHERE image = images.id)"


def _unwanted(row, options):
    if options.min_catch_score > 0 and row.catch_score is not None:
        if not row.catch_score >= options.min_catch_score:  # NaN: nobody knows, as published
            return "catch"
    return "mobile" if options.exclude_mobile and row.mobile else None


def say(text: str) -> None:
    """A line of the report, for whoever runs the command."""
    print(f"clicks: {text}", flush=True)


def _removed(number, what, example=None):
    say(f"removed {number} {what}" + (f", for example {example}" if example and number else ""))


def _not_applied(unsaid, column):
    if unsaid[column]:
        say(f"kept {unsaid[column]} submissions whose file has no column {column}")
