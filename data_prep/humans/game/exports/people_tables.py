"""Tables about people, questions and consent; outside identities and contacts never leave."""

import sqlalchemy as sa

from data_prep.humans.game.exports.choosing import Choice, Left, pseudonyms
from data_prep.humans.game.exports.clicks import timestamp
from data_prep.humans.game.tables import queries, rounds
from data_prep.humans.studies.tables import consents, participants
from data_prep.humans.studies.writing import write_csv


def participants_csv(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """One person a row, with what their rounds came to."""
    name_of = pseudonyms(connection, choice.keep_ids)
    counts = [
        sa.func.sum(sa.case((rounds.c.state == state, 1), else_=0)).label(state)
        for state in ("recognised", "timed_out", "skipped", "hidden", "abandoned")
    ]
    until = sa.and_(
        rounds.c.participant_id == participants.c.id, rounds.c.closed_at <= choice.until_ms
    )
    query = (
        sa.select(participants, sa.func.coalesce(sa.func.sum(rounds.c.points), 0.0), *counts)
        .outerjoin(rounds, until)
        .where(participants.c.created_at <= choice.until_ms)
        .group_by(*participants.c)
        .order_by(participants.c.created_at, participants.c.id)
    )
    header = ("participant", "created", "group", "withdrew", "excluded_reason", "points")
    rows = (
        (
            name_of(row.id),
            timestamp(row.created_at),
            row.group or "",
            str(row.withdrawn_at is not None).lower(),
            row.excluded_reason or "",
            round(row[7], 3),
            *(value or 0 for value in row[8:]),
        )
        for row in connection.execute(query)
    )
    return write_csv(path, (*header, *(column.name for column in counts)), rows)


def queries_csv(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """One question to the partner a row."""
    query = (
        sa.select(queries)
        .where(queries.c.answered_at <= choice.until_ms)
        .order_by(queries.c.answered_at, queries.c.round_id, queries.c.upto)
    )
    rows = (
        (row.round_id, row.upto, row.rank, row.best, row.took_ms, timestamp(row.answered_at))
        for row in connection.execution_options(yield_per=1000).execute(query)
    )
    return write_csv(path, ("round", "upto", "rank", "best", "took_ms", "answered"), rows)


def consents_csv(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """One answer to a consent text a row."""
    name_of = pseudonyms(connection, choice.keep_ids)
    query = (
        sa.select(consents)
        .where(consents.c.answered_at <= choice.until_ms)
        .order_by(consents.c.answered_at, consents.c.participant_id)
    )
    rows = (
        (
            name_of(row.participant_id),
            row.version,
            str(row.accepted).lower(),
            timestamp(row.answered_at),
        )
        for row in connection.execute(query)
    )
    return write_csv(path, ("participant", "version", "accepted", "answered"), rows)
