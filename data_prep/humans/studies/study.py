"""The study's own row: its settings, and the salt of its pseudonyms."""

import sqlalchemy as sa

from data_prep.humans.studies.tables import studies


def settings_of(connection: sa.Connection, name: str) -> str | None:
    """The settings, as JSON, with which a study was last served; of the only one if it has
    another name; None if there is none."""
    rows = connection.execute(sa.select(studies.c.name, studies.c.settings)).all()
    named = [row.settings for row in rows if row.name == name or len(rows) == 1]
    return named[0] if named else None


def store(
    connection: sa.Connection, name: str, settings: str, digest: str, salt: str, now_ms: int
) -> None:
    """Stores what a study is now; the salt of its first start stays, or pseudonyms would change."""
    values = {"settings": settings, "settings_hash": digest}
    if not connection.execute(
        studies.update().where(studies.c.name == name).values(**values)
    ).rowcount:
        connection.execute(studies.insert().values(name=name, salt=salt, begun_at=now_ms, **values))
