"""Consent: the text has versions, and an answer is an answer to one of them."""

import hashlib
from pathlib import Path

import sqlalchemy as sa

from data_prep.humans.studies.errors import ConsentChanged, NoConsent
from data_prep.humans.studies.settings import StudySettings
from data_prep.humans.studies.tables import consent_texts, consents


def text_of(settings: StudySettings, template: str) -> str:
    """The study's own text, or the template."""
    if not settings.consent_file:
        return template
    return Path(settings.consent_file).read_text(encoding="utf-8")


def publish(connection: sa.Connection, text: str, now_ms: int) -> int:
    """The version of this text; a text not seen before becomes the next version."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    version = connection.execute(
        sa.select(consent_texts.c.version).where(consent_texts.c.sha256 == digest)
    ).scalar()
    if version is None:
        last = connection.execute(sa.select(sa.func.max(consent_texts.c.version))).scalar()
        version = (last or 0) + 1
        connection.execute(
            consent_texts.insert().values(
                version=version, text=text, sha256=digest, published_at=now_ms
            )
        )
    return version


def answer(
    connection: sa.Connection,
    participant_id: str,
    version: int,
    accepted: bool,
    current: int,
    now_ms: int,
) -> None:
    """Stores a person's answer to the version shown.

    Raises:
      ConsentChanged: the text has changed since it was shown; the new one must be read.
    """
    if version != current:
        raise ConsentChanged(version=current)
    mine = sa.and_(consents.c.participant_id == participant_id, consents.c.version == version)
    values = {"accepted": accepted, "answered_at": now_ms}
    if not connection.execute(consents.update().where(mine).values(**values)).rowcount:
        connection.execute(
            consents.insert().values(participant_id=participant_id, version=version, **values)
        )


def has_accepted(connection: sa.Connection, participant_id: str, current: int) -> bool:
    """Whether a person's answer to the current text is yes."""
    values = {"participant_id": participant_id, "version": current}
    return bool(connection.execute(_ACCEPTED, values).scalar())


_ACCEPTED = sa.select(consents.c.accepted).where(  # built once: asked with every message
    consents.c.participant_id == sa.bindparam("participant_id"),
    consents.c.version == sa.bindparam("version"),
)


def require(connection: sa.Connection, participant_id: str, current: int) -> None:
    """NoConsent unless the person has accepted the current text."""
    if not has_accepted(connection, participant_id, current):
        raise NoConsent()
