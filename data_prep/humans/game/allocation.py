"""Who gets which picture next: one indexed statement.

Measured with 200,000 pictures and 500,000 rounds in SQLite: README.md of `data_prep/humans`.
"""

import random
import re
from typing import NamedTuple

import sqlalchemy as sa

from data_prep.humans.game.tables import images, rounds

RANDOM_TRIES = 20


class Allocation(NamedTuple):
    """How pictures are dealt out."""

    kind: str  # coverage, target, random, list
    target: int = 0  # people a picture, for target


def parse(text: str) -> Allocation:
    """`coverage`, `target:N`, `random` or `list:FILE`; ValueError for anything else."""
    if text in ("coverage", "random"):
        return Allocation(text)
    if match := re.fullmatch(r"target:([1-9][0-9]{0,5})", text):
        return Allocation("target", int(match[1]))
    if text.startswith("list:") and len(text) > 5:
        return Allocation("list")
    raise ValueError(f"--allocation={text!r}: expected coverage, target:N, random or list:FILE.")


def choose(
    connection: sa.Connection,
    allocation: Allocation,
    participant_id: str,
    catch: bool,
    chance: random.Random,
) -> sa.Row | None:
    """A picture that this person has not had; None if there is none left.

    On PostgreSQL the row is locked until the round is stored, and others pass it by; on SQLite
    there is one writer at a time anyway.
    """
    query = _unseen(participant_id)
    if catch:
        row = _first(connection, query.where(images.c.is_catch).order_by(images.c.shuffle))
        if row is not None:
            return row  # else an ordinary one: a person may outlast the pictures with a mask
    if allocation.kind == "coverage":
        return _first(connection, query.order_by(images.c.taken, images.c.shuffle))
    if allocation.kind == "target":
        wanted = query.where(images.c.taken < allocation.target)
        # In one order for all, so that pictures fill up one after the other: reliability needs
        # two people on the same one, and soon.
        return _first(connection, wanted.order_by(images.c.shuffle))
    if allocation.kind == "list":
        listed = query.where(images.c.list_position.is_not(None))
        return _first(connection, listed.order_by(images.c.list_position))
    row = _random(connection, query, chance)
    return row if row is not None else _first(connection, query.order_by(images.c.shuffle))


def _random(connection, query, chance):
    """Any picture, all with the same chance: a place in the index, until one fits.

    A random point in `shuffle` would favour pictures after a wide gap. Who has had nearly all
    pictures finds few free places; then the first free one after the last place tried is taken.
    """
    playable = images.c.retired_at.is_(None)
    number = connection.execute(sa.select(sa.func.count()).where(playable)).scalar_one()
    places = sa.select(images.c.id, images.c.shuffle).where(playable).order_by(images.c.shuffle)
    last = 0
    for _ in range(RANDOM_TRIES if number else 0):
        place = connection.execute(places.limit(1).offset(chance.randrange(number))).one()
        row = _free(connection, query.where(images.c.id == place.id))
        if row is not None:
            return row
        last = place.shuffle
    for part in (images.c.shuffle >= last, images.c.shuffle < last):
        row = _free(connection, query.where(part).order_by(images.c.shuffle))
        if row is not None:
            return row
    return None


def take(connection: sa.Connection, image_id: str) -> None:
    """Counts one round more on a picture."""
    connection.execute(
        images.update().where(images.c.id == image_id).values(taken=images.c.taken + 1)
    )


def _unseen(participant_id):
    had = sa.exists().where(
        rounds.c.participant_id == participant_id,
        rounds.c.image_id == images.c.id,
        rounds.c.state != "released",
    )
    return images.select().where(
        images.c.retired_at.is_(None), images.c.class_index.is_not(None), ~had
    )


def _first(connection, query):
    """The first that nobody holds; else the first, once whoever holds it has stored their round.

    To pass by those that are held and stop there would tell a person who has few left that all are
    played.
    """
    row = _free(connection, query)
    if row is not None or connection.dialect.name == "sqlite":
        return row
    return connection.execute(query.limit(1).with_for_update(of=images)).one_or_none()


def _free(connection, query):
    locked = query.limit(1).with_for_update(skip_locked=True, of=images)
    return connection.execute(locked).one_or_none()
