"""Who visits a study, whatever it measures: sessions, consent, one's own data, withdrawal."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data_prep.humans.studies import (
    consent,
    participants,
    recruitment,
    sessions,
    study,
    withdrawal,
)
from data_prep.humans.studies.database import Database
from data_prep.humans.studies.errors import NoSession
from data_prep.humans.studies.messages import ConsentGiven, SessionAsked, SessionGiven
from data_prep.humans.studies.rate_limits import RateLimit, network
from data_prep.humans.studies.settings import StudySettings


class Visits:
    """What the routes about people call; each act is one transaction.

    Attributes:
        requests: how often a cookie may ask what is not measured: consent, its own data.
    """

    def __init__(
        self,
        settings: StudySettings,
        settings_json: str,
        database: Database,
        consent_template: str,
        banner: str,
        rooms: Sequence[withdrawal.Room],
        now: Callable[[], int],
        new_token: Callable[[], str],
    ):
        """Publishes the consent text, and stores what the study is now.

        Args:
          settings_json: all of the study's settings, for the record.
          consent_template: the text if the study brings none of its own.
          banner: what every page of a demonstration says; "" in a real study.
          now, new_token: as of `make_app`.
        """
        self.settings, self.database, self.now, self.new_token = settings, database, now, new_token
        self._text = consent.text_of(settings, consent_template)
        self._banner, self._rooms = banner, rooms
        salt = new_token()
        self._new_sessions = RateLimit(settings.sessions_per_hour, 3_600_000, salt)
        self.requests = RateLimit(10, 5_000, salt)
        with database.write() as connection:
            self._version = consent.publish(connection, self._text, now())
            digest = settings.hash()
            study.store(connection, settings.study, settings_json, digest, new_token(), now())

    def session(
        self, connection: sa.Connection, cookie: str | None, now_ms: int, agreed: bool = True
    ) -> sessions.Session:
        """Who asks; NoSession, or NoConsent where consent is needed."""
        session = sessions.find(connection, cookie, now_ms)
        if agreed:
            consent.require(connection, session.participant_id, self._version)
        return session

    def first_session(
        self, connection: sa.Connection, cookie: str | None, now_ms: int
    ) -> sessions.Session:
        """Who asks; NoSession, or OtherDevice unless it is the person's first session."""
        session = self.session(connection, cookie, now_ms, agreed=False)
        sessions.require_first(connection, session)
        return session

    def begin_session(
        self, asked: SessionAsked, cookie: str | None, address: str, agent: str, now_ms: int
    ) -> tuple[SessionGiven, str | None]:
        """The session of the cookie, or a new one with its token."""
        came_by = recruitment.read(asked.recruitment)
        with self.database.read() as connection:
            try:
                session = sessions.find(connection, cookie, now_ms)
                if _is_same(connection, session.participant_id, came_by):
                    return self._given(connection, session), None
            except NoSession:
                pass  # a new one is made below
        self._new_sessions.take(network(address), now_ms)
        token, session_id, new_id = (self.new_token() for _ in range(3))
        device = sessions.Device(
            sessions.device_class(agent, asked.touch),
            sessions.browser_family(agent),
            asked.canvas_css_px,
            asked.device_pixel_ratio,
            asked.touch,
        )
        for tries_left in (2, 1, 0):
            try:
                return self._new_session(came_by, token, session_id, new_id, device, now_ms)
            except IntegrityError:
                # On PostgreSQL somebody may take the same name, or come by the same link, between
                # our look and our row; the next look sees it.
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _new_session(self, came_by, token, session_id, new_id, device, now_ms):
        with self.database.write() as connection:
            person = came_by and participants.find_recruited(connection, came_by)
            if not person:
                person = new_id[:32]
                chance = random.Random(f"{self.settings.seed}:name:{person}:{now_ms}")
                participants.create(connection, person, came_by, chance, now_ms)
            sessions.create(connection, session_id[:32], person, token, device, now_ms)
            session = sessions.find(connection, token, now_ms)
            return self._given(connection, session), token

    def _given(self, connection, session):
        return SessionGiven(
            display_name=session.display_name,
            consent_version=self._version,
            consent_text=self._text,
            consent_accepted=consent.has_accepted(
                connection, session.participant_id, self._version
            ),
            demo=self._banner,
            contact=self.settings.contact,
            retention_date=self.settings.retention_date,
        )

    def give_consent(self, cookie: str | None, asked: ConsentGiven, now_ms: int) -> None:
        """Stores the answer; ConsentChanged if another text is current."""
        self.requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            person = self.session(connection, cookie, now_ms, agreed=False).participant_id
            consent.answer(connection, person, asked.version, asked.accepted, self._version, now_ms)

    def about_me(self, cookie: str | None, now_ms: int) -> dict[str, Any]:
        """Everything stored about who asks; OtherDevice unless by the person's first session."""
        self.requests.take(str(cookie), now_ms)
        with self.database.read() as connection:
            session = self.first_session(connection, cookie, now_ms)
            return withdrawal.about(connection, session.participant_id, self._rooms)

    def withdraw(self, cookie: str | None, now_ms: int) -> None:
        """Withdraws who asks; OtherDevice unless by the person's first session."""
        self.requests.take(str(cookie), now_ms)
        delete = self.settings.withdrawn_maps == "delete"
        with self.database.write() as connection:
            session = self.first_session(connection, cookie, now_ms)
            withdrawal.withdraw(connection, session.participant_id, self._rooms, delete, now_ms)
        self.database.forget_deleted()


def _is_same(connection, person, came_by):
    """Whether a cookie's person may be who came by a link. On a computer that people share, the
    next one's link is another identity, of whom the cookie knows nothing."""
    if came_by is None:
        return True
    known = participants.find_recruited(connection, came_by)
    return known == person or (known is None and not participants.is_recruited(connection, person))
