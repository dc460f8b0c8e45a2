"""What the experiment knows of a person, for `GET /api/me` and for withdrawal."""

from typing import Any

import sqlalchemy as sa

from data_prep.humans.psychophysics import allocation
from data_prep.humans.psychophysics.tables import events, gates, lists, trials
from data_prep.humans.studies.withdrawal import Room


def rows_about(connection: sa.Connection, participant_id: str) -> dict[str, Any]:
    """The list, its trials and events, and what the browser measured of itself."""
    mine = sa.select(lists.c.id).where(lists.c.participant_id == participant_id)
    of_person = {table: table.c.participant_id == participant_id for table in (lists, gates)}
    of_person |= {table: table.c.list_id.in_(mine) for table in (trials, events)}
    return {
        table.name: [dict(row._mapping) for row in connection.execute(table.select().where(which))]
        for table, which in of_person.items()
    }


def forget(connection: sa.Connection, participant_id: str, delete_trials: bool) -> None:
    """Deletes what a person answered, or leaves it without a name; the list is free for others."""
    mine = lists.select().where(lists.c.participant_id == participant_id)
    for row in connection.execute(mine).all():
        allocation.move(connection, row.id, "withdraw", row.ended_at or row.heard_at)
        connection.execute(events.delete().where(events.c.list_id == row.id))
        if delete_trials:
            connection.execute(trials.delete().where(trials.c.list_id == row.id))
            emptied = {"next": 0, "training": "[]", "answers": None}
            connection.execute(lists.update().where(lists.c.id == row.id).values(**emptied))
    connection.execute(gates.delete().where(gates.c.participant_id == participant_id))


ROOM = Room(rows_about, forget)
