"""Addresses to write to, given by choice: a table of their own, which no export reads."""

import sqlalchemy as sa

from data_prep.humans.studies.tables import contacts


def put(connection: sa.Connection, participant_id: str, email: str) -> None:
    """Stores a person's address in place of an earlier one; an empty one takes it away."""
    connection.execute(contacts.delete().where(contacts.c.participant_id == participant_id))
    if email:
        connection.execute(contacts.insert().values(participant_id=participant_id, email=email))


def of(connection: sa.Connection, participant_id: str) -> str:
    """The person's address, "" if there is none."""
    mine = sa.select(contacts.c.email).where(contacts.c.participant_id == participant_id)
    return connection.execute(mine).scalar() or ""
