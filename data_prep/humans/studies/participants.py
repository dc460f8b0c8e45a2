"""Who takes part: a random id and a given name; everything else about a person is elsewhere."""

import random

import sqlalchemy as sa

from data_prep.humans.studies import names
from data_prep.humans.studies.recruitment import Recruitment
from data_prep.humans.studies.tables import admin_log, participants, recruitments

NAME_TRIES = 20  # with one in 40,000 taken, two are rare; past twenty a number makes it unique


def find_recruited(connection: sa.Connection, recruitment: Recruitment) -> str | None:
    """The participant who came by this outside identity before, on whatever device."""
    return connection.execute(
        sa.select(recruitments.c.participant_id).where(
            recruitments.c.provider == recruitment.provider,
            recruitments.c.external_id == recruitment.external_id,
        )
    ).scalar()


def is_recruited(connection: sa.Connection, participant_id: str) -> bool:
    """Whether the participant came by an outside identity."""
    mine = recruitments.c.participant_id == participant_id
    return connection.execute(sa.select(recruitments.c.provider).where(mine)).scalar() is not None


def create(
    connection: sa.Connection,
    participant_id: str,
    recruitment: Recruitment | None,
    chance: random.Random,
    now_ms: int,
) -> None:
    """Stores a new participant under a name nobody has."""
    connection.execute(
        participants.insert().values(
            id=participant_id, display_name=_free_name(connection, chance), created_at=now_ms
        )
    )
    if recruitment is not None:
        connection.execute(
            recruitments.insert().values(
                participant_id=participant_id,
                provider=recruitment.provider,
                external_id=recruitment.external_id,
                external_study=recruitment.study,
                external_session=recruitment.session,
            )
        )


def _free_name(connection, chance):
    taken = sa.select(sa.func.count()).select_from(participants)
    for turn in range(10 * NAME_TRIES):
        name = names.draw(chance)
        if turn >= NAME_TRIES:
            name = f"{name} {chance.randrange(2, 10_000)}"
        if not connection.execute(taken.where(participants.c.display_name == name)).scalar():
            return name
    raise RuntimeError("no free display name was found in 200 draws")


def get(connection: sa.Connection, participant_id: str) -> sa.Row | None:
    """The participant's row."""
    return connection.execute(
        participants.select().where(participants.c.id == participant_id)
    ).one_or_none()


def lock(connection: sa.Connection, participant_id: str) -> None:
    """One transaction at a time about a person, on PostgreSQL; SQLite has one writer anyway."""
    row = sa.select(participants.c.id).where(participants.c.id == participant_id)
    connection.execute(row.with_for_update())


def named(connection: sa.Connection, name_or_id: str) -> sa.Row:
    """The participant of this id, display name or outside id; ValueError unless there is one."""
    outside = sa.select(recruitments.c.participant_id).where(
        recruitments.c.external_id == name_or_id
    )
    rows = connection.execute(
        participants.select().where(
            sa.or_(
                participants.c.id == name_or_id,
                participants.c.display_name == name_or_id,
                participants.c.id.in_(outside),
            )
        )
    ).all()
    if len(rows) != 1:
        many = f"are {len(rows)} participants" if rows else "is no participant"
        raise ValueError(
            f"There {many} {name_or_id!r}; give an id, a display name or a service's id of one."
        )
    return rows[0]


def exclude(connection: sa.Connection, participant_id: str, reason: str, now_ms: int) -> None:
    """Takes a person's rounds out of rankings and exports; an empty reason takes them in again."""
    connection.execute(
        participants.update()
        .where(participants.c.id == participant_id)
        .values(excluded_reason=reason or None)
    )
    log(connection, "exclude" if reason else "include", participant_id, reason, now_ms)


def log(connection: sa.Connection, action: str, subject: str, reason: str, now_ms: int) -> None:
    """Appends what an administrator did. Nothing updates or deletes these rows."""
    connection.execute(
        admin_log.insert().values(acted_at=now_ms, action=action, subject=subject, reason=reason)
    )
