"""What the game knows of a person, for `GET /api/me` and for withdrawal."""

from typing import Any

import sqlalchemy as sa

from data_prep.humans.game.bubbles import from_json
from data_prep.humans.game.rounds import flagged
from data_prep.humans.game.tables import OPEN, bubble_batches, images, queries, raw_batches, rounds
from data_prep.humans.studies.tables import sessions
from data_prep.humans.studies.withdrawal import Room


def rows_about(connection: sa.Connection, participant_id: str) -> dict[str, Any]:
    """Rounds with their bubbles, and questions asked about them."""
    mine = sa.select(rounds.c.id).where(rounds.c.participant_id == participant_id)
    played = connection.execute(
        sa.select(rounds, images.c.label)
        .join(images, images.c.id == rounds.c.image_id)
        .where(rounds.c.participant_id == participant_id)
        .order_by(rounds.c.offered_at)
    )
    batches = connection.execute(
        bubble_batches.select()
        .where(bubble_batches.c.round_id.in_(mine))
        .order_by(bubble_batches.c.round_id, bubble_batches.c.first)
    )
    painted: dict[str, list] = {}
    for row in batches:
        painted.setdefault(row.round_id, []).extend(from_json(row.points))
    asked = connection.execute(queries.select().where(queries.c.round_id.in_(mine)))
    return {
        "rounds": [{**_shown(row), "painted": painted.get(row.id, [])} for row in played],
        "queries": [dict(row._mapping) for row in asked],
    }


def _shown(row):
    """A round as its player may see it: whether it is a catch round is told when it is over."""
    hidden = ("image_id", "is_catch") if row.state in OPEN else ()
    return {name: value for name, value in row._mapping.items() if name not in hidden}


def forget(connection: sa.Connection, participant_id: str, delete_maps: bool) -> None:
    """Deletes what a person painted, or leaves it without a session; rounds keep their numbers.

    The rows of rounds stay either way, under an id that leads nowhere any more: counts of the study
    remain true, and the picture is not given to others as if nobody had seen it.
    """
    mine = sa.select(rounds.c.id).where(rounds.c.participant_id == participant_id)
    _keep_device(connection, participant_id)
    connection.execute(raw_batches.delete().where(raw_batches.c.round_id.in_(mine)))
    if delete_maps:
        for table in (bubble_batches, queries):
            connection.execute(table.delete().where(table.c.round_id.in_(mine)))
        connection.execute(
            rounds.update()
            .where(rounds.c.participant_id == participant_id)
            .values(bubbles=0, evaluated=0, path_hash=None)
        )


def _keep_device(connection, participant_id):
    """Marks rounds made on a phone: their session goes, and readers may want to leave them out."""
    phones = sa.select(sessions.c.id).where(
        sessions.c.participant_id == participant_id, sessions.c.device_class == "phone"
    )
    made = sa.select(rounds.c.id, rounds.c.flags).where(rounds.c.session_id.in_(phones))
    for round_id, flags in connection.execute(made).all():
        here = rounds.update().where(rounds.c.id == round_id)
        connection.execute(here.values(flags=flagged(flags, "phone")))


ROOM = Room(rows_about, forget)
