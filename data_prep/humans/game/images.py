"""Folders of pictures -> rows; and how rows leave play."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from data_prep.humans.game import frames
from data_prep.humans.game.partners.classes import Classes
from data_prep.humans.game.tables import images, rounds
from data_prep.humans.studies import participants as people
from data_prep.humans.studies.database import Database
from data_prep.readers import csv_rows, listing
from data_prep.readers.imagenet import imagenet_classes
from gala_tf.data.files import composed, is_utf8
from gala_tf.data.images import SUFFIXES, BadImageError

BATCH = 200  # pictures a transaction


class Picture(NamedTuple):
    """A picture to be played."""

    path: str
    wnid: str  # "" if the class has none
    label: str
    reference_path: str | None = None


class Added(NamedTuple):
    """What a folder gave."""

    new: int
    known: int
    broken: list[str]  # one sentence each


def in_folder(folder: str, labels: str = "") -> Iterator[Picture]:
    """The pictures of `<class>/<picture>`, at any depth; a class that is a WordNet id of ImageNet
    is shown by that class's name. Files that are none are said at the end.

    Args:
      labels: a CSV with the columns image (path in the folder) and class, in place of class
        folders; pictures that it does not name are left out.

    Raises:
      ValueError: there are none, or the CSV is at fault.
    """
    class_of = read_labels(labels) if labels else None
    if not os.path.isdir(folder):
        raise ValueError(f"--images={folder!r} is not a folder.")
    names = dict(zip(imagenet_classes.wnids(), imagenet_classes.class_names(), strict=True))
    found, others, unlisted = False, [], []
    for path in _files(folder):
        parent, file = os.path.split(path)
        if not is_utf8(path) or os.path.splitext(file)[1].lower() not in SUFFIXES:
            others.append(ascii(path))
            continue
        name = os.path.basename(parent)
        if class_of is not None:
            inside = os.path.relpath(path, folder).replace(os.sep, "/")
            name = class_of.get(composed(inside), "")
            if not name:
                unlisted.append(path)
                continue
        found = True
        label = names.get(name) or name.replace("_", " ")
        yield Picture(path, name if name in names else "", label)
    listing.leave_out("files are no pictures by their names", others)
    listing.leave_out(f"pictures are not in --labels={labels!r}", unlisted)
    if not found:
        where = f"that --labels={labels!r} names" if labels else "in a class folder"
        kinds = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"--images={folder!r} holds no picture ({kinds}) {where}.")


def _files(folder):
    """Paths of the files in a folder and all in it, sorted, hidden ones apart; links are followed,
    but never into a folder that has been seen."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        inside = [os.path.join(parent, name) for name in folders if not name.startswith(".")]
        seen.add(os.path.realpath(parent))
        fresh = [path for path in inside if os.path.realpath(path) not in seen]
        folders[:] = sorted(map(os.path.basename, fresh))
        for file in sorted(files):
            if not file.startswith("."):
                yield os.path.join(parent, file)


def read_labels(path: str) -> dict[str, str]:
    """{picture: class} of a CSV; ValueError names the line that is at fault."""
    found = {}
    try:
        for line, row in csv_rows.rows(path, ("image", "class"), "--labels="):
            if isinstance(row, ValueError):
                raise row
            if not row["image"] or not row["class"]:
                raise ValueError(f"--labels={path!r}, line {line}: expected image,class.")
            found[composed(row["image"])] = row["class"]
    except OSError as error:
        raise ValueError(f"--labels={path!r} cannot be read: {error}.") from None
    return found


def add(
    database: Database,
    pictures: Iterable[Picture],
    image_set: str,
    seed: int,
    new_token: Callable[[], str],
) -> Added:
    """Adds pictures that are not known yet; goes on where an earlier call was stopped.

    Pictures are read and hashed outside of transactions; each transaction takes 200.
    """
    with database.read() as connection:
        known = set(
            connection.execute(sa.select(images.c.path).where(images.c.set == image_set)).scalars()
        )
    new, skipped, broken, batch = 0, 0, [], []
    for picture in pictures:
        if picture.path in known:
            skipped += 1
            continue
        try:
            frames.make(picture.path)
            batch.append(_row(picture, image_set, seed, new_token()))
        except BadImageError as error:
            broken.append(str(error))
        if len(batch) == BATCH:
            new += _insert(database, batch)
            batch = []
    return Added(new + _insert(database, batch), skipped, broken)


def _row(picture, image_set, seed, token):
    with open(picture.path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    rank = hashlib.sha256(f"{seed}:{digest}:{picture.path}".encode()).digest()
    return {
        "id": token[:32],
        "set": image_set,
        "path": picture.path,
        "sha256": digest,
        "wnid": picture.wnid,
        "label": picture.label,
        "is_catch": picture.reference_path is not None,
        "reference_path": picture.reference_path,
        "shuffle": int.from_bytes(rank[:8], "big") >> 2,  # 62 bits
        "taken": 0,
    }


def _insert(database, batch):
    if batch:
        with database.write() as connection:
            connection.execute(images.insert(), batch)
    return len(batch)


def of_round(connection: sa.Connection, row: sa.Row) -> sa.Row:
    """The picture of a round."""
    return connection.execute(_OF_ROUND, {"image_id": row.image_id}).one()


# Built once: asked with every question.
_OF_ROUND = images.select().where(images.c.id == sa.bindparam("image_id"))


def meet(database: Database, classes: Classes) -> list[str]:
    """Tells each picture its class among the partner's; returns sentences on those it lacks.

    Pictures and partner meet by WordNet id or name, never by position. A picture of a class that
    the partner does not know is out of play (class_index NULL).
    """
    unknown = []
    with database.write() as connection:
        kinds = connection.execute(
            sa.select(
                images.c.wnid, images.c.label, images.c.class_index, sa.func.count()
            ).group_by(images.c.wnid, images.c.label, images.c.class_index)
        ).all()
        for wnid, label, known, count in kinds:
            try:
                index = classes.index(wnid, label)
            except ValueError as error:
                index = None
                unknown.append(f"{error} {count} pictures stay out of play.")
            if index != known:
                here = sa.and_(images.c.wnid == wnid, images.c.label == label)
                connection.execute(images.update().where(here).values(class_index=index))
    return unknown


def in_play(connection: sa.Connection) -> int:
    """How many pictures can be given out."""
    return connection.execute(
        sa.select(sa.func.count()).where(
            images.c.retired_at.is_(None), images.c.class_index.is_not(None)
        )
    ).scalar_one()


def classes_of(connection: sa.Connection) -> Classes:
    """The classes that the pictures have, for a partner that knows whatever it is given.

    Some made-up ones follow, so that there are ranks at which it is wrong.
    """
    kinds = connection.execute(
        sa.select(images.c.wnid, images.c.label).distinct().order_by(images.c.label, images.c.wnid)
    ).all()
    wnids, labels = (tuple(row[column] for row in kinds) for column in (0, 1))
    others = tuple(f"something else, {number}" for number in range(1, 10))
    return Classes(wnids + ("",) * len(others), labels + others)


def retire(connection: sa.Connection, image_id: str, reason: str, now_ms: int) -> None:
    """Takes a picture out of play; its rounds stay."""
    connection.execute(
        images.update()
        .where(images.c.id == image_id, images.c.retired_at.is_(None))
        .values(retired_at=now_ms, retired_reason=reason)
    )
    people.log(connection, "retire image", image_id, reason, now_ms)


def retire_if_skipped(
    connection: sa.Connection, image_id: str, reason: str, quorum: int, now_ms: int
) -> None:
    """Retires a picture that `quorum` people skipped for the same reason; a list for review."""
    skipped = connection.execute(
        sa.select(sa.func.count(sa.distinct(rounds.c.participant_id))).where(
            rounds.c.image_id == image_id,
            rounds.c.state == "skipped",
            rounds.c.skip_reason == reason,
        )
    ).scalar_one()
    if skipped >= quorum:
        retire(connection, image_id, f"skipped by {skipped}: {reason}", now_ms)


def set_list(database: Database, file: str) -> int:
    """Gives pictures the order of a file with one path a line; returns how many were found."""
    with open(file, encoding="utf-8-sig") as lines:
        paths = [line.strip() for line in lines if line.strip()]
    with database.write() as connection:
        connection.execute(images.update().values(list_position=None))
        found = 0
        for position, path in enumerate(paths):
            found += connection.execute(
                images.update().where(images.c.path == path).values(list_position=position)
            ).rowcount
    if not found:
        raise ValueError(f"--allocation=list:{file}: none of its {len(paths)} paths is a picture.")
    return found


def facts(row: sa.Row) -> str:
    """A picture for an administrator's eyes, one line."""
    return json.dumps({name: value for name, value in row._mapping.items() if value is not None})
