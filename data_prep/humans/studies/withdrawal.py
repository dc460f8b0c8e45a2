"""What is stored about a person, and how it goes away.

A room above adds its tables by two functions: `rows_about` for what it stores, `forget` for what
withdrawal does there. Withdrawal is one transaction: either all of it has happened or none.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from data_prep.humans.studies import participants as people
from data_prep.humans.studies.tables import (
    admin_log,
    consents,
    contacts,
    participants,
    recruitments,
    reports,
    sessions,
)


class Room(NamedTuple):
    """What a study above knows of a person."""

    rows_about: Callable[[sa.Connection, str], dict[str, Any]]
    forget: Callable[[sa.Connection, str, bool], None]  # (.., participant_id, delete_maps)


def about(connection: sa.Connection, participant_id: str, rooms: Iterable[Room]) -> dict[str, Any]:
    """Everything stored about a person, as JSON; hashes of tokens stay out."""
    found: dict[str, Any] = {}
    for table in (participants, recruitments, contacts, consents, sessions, reports):
        key = table.c.id if table is participants else table.c.participant_id
        hidden = {"token_hash"}
        found[table.name] = [
            {name: value for name, value in row._mapping.items() if name not in hidden}
            for row in connection.execute(table.select().where(key == participant_id))
        ]
    for room in rooms:
        found |= room.rows_about(connection, participant_id)
    return found


def withdraw(
    connection: sa.Connection,
    participant_id: str,
    rooms: Iterable[Room],
    delete_maps: bool,
    now_ms: int,
) -> None:
    """Deletes identity, sessions, contacts and, if the study says so, what the person made.

    The row in `participants` stays, without its name: counts of people stay true, and a second
    withdrawal does nothing.
    """
    for room in rooms:
        room.forget(connection, participant_id, delete_maps)
    for table in (recruitments, contacts, sessions):
        connection.execute(table.delete().where(table.c.participant_id == participant_id))
    connection.execute(
        reports.update()
        .where(reports.c.participant_id == participant_id)
        .values(participant_id=None)
    )
    connection.execute(
        participants.update()
        .where(participants.c.id == participant_id, participants.c.withdrawn_at.is_(None))
        .values(display_name=f"withdrawn {participant_id[:12]}", withdrawn_at=now_ms)
    )
    people.log(connection, "withdraw", participant_id, "", now_ms)


def exports_before(connection: sa.Connection, now_ms: int) -> list[str]:
    """Exports and backups that may still hold what a person made who withdraws now."""
    query = (
        sa.select(admin_log.c.subject)
        .where(admin_log.c.action.in_(("export", "backup")), admin_log.c.acted_at <= now_ms)
        .order_by(admin_log.c.id)
    )
    return list(connection.execute(query).scalars())
