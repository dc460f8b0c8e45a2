"""People at a page: who asks, consent, what is stored about them, and how it goes away."""

import random
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data_prep.humans.game import messages as m
from data_prep.humans.game.about_people import ROOM
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import (
    consent,
    contacts,
    participants,
    recruitment,
    sessions,
    withdrawal,
)
from data_prep.humans.studies.database import Database
from data_prep.humans.studies.errors import NoSession
from data_prep.humans.studies.rate_limits import RateLimit
from data_prep.humans.studies.tables import reports


class People:
    """What one process asks and tells people, rounds apart."""

    def __init__(
        self,
        settings: GameSettings,
        database: Database,
        consent_text: str,
        new_token: Callable[[], str],
        now_ms: int,
    ):
        self.settings, self.database = settings, database
        self._consent_text, self._new_token = consent_text, new_token
        salt = new_token()
        self._new_sessions = RateLimit(settings.study.sessions_per_hour, 3_600_000, salt)
        self._requests = RateLimit(10, 5_000, salt)
        with database.write() as connection:
            self._consent = consent.publish(connection, consent_text, now_ms)

    def who(
        self, connection: sa.Connection, cookie: str | None, now_ms: int, agreed: bool = False
    ) -> sessions.Session:
        """Who asks.

        Raises:
          NoSession: nobody that is known.
          NoConsent: `agreed` is asked for, and the current text has not been accepted.
        """
        session = sessions.find(connection, cookie, now_ms)
        if agreed:
            consent.require(connection, session.participant_id, self._consent)
        return session

    def _first_session(self, connection, cookie, now_ms):
        session = self.who(connection, cookie, now_ms)
        sessions.require_first(connection, session)
        return session

    def begin_session(
        self, asked: m.SessionAsked, cookie: str | None, address: str, agent: str, now_ms: int
    ) -> tuple[m.SessionGiven, str | None]:
        """The session of the cookie, or a new one with its token."""
        came_by = recruitment.read(asked.recruitment)
        with self.database.read() as connection:
            try:
                session = sessions.find(connection, cookie, now_ms)
                known = came_by and participants.find_recruited(connection, came_by)
                if known in (None, session.participant_id):
                    return self._session_given(connection, session), None
            except NoSession:
                pass  # a new one is made below
        self._new_sessions.take(address, now_ms)
        token, session_id, new_id = (self._new_token() for _ in range(3))
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
                chance = random.Random(f"{self.settings.study.seed}:name:{person}:{now_ms}")
                participants.create(connection, person, came_by, chance, now_ms)
            sessions.create(connection, session_id[:32], person, token, device, now_ms)
            session = sessions.find(connection, token, now_ms)
            return self._session_given(connection, session), token

    def _session_given(self, connection, session) -> m.SessionGiven:
        about = self.settings.study
        return m.SessionGiven(
            display_name=session.display_name,
            consent_version=self._consent,
            consent_text=self._consent_text,
            consent_accepted=consent.has_accepted(
                connection, session.participant_id, self._consent
            ),
            demo="demonstration: 23 pictures" if self.settings.demo else "",
            contact=about.contact,
            retention_date=about.retention_date,
        )

    def give_consent(self, cookie: str | None, asked: m.ConsentGiven, now_ms: int) -> None:
        """Stores the answer; ConsentChanged if another text is current."""
        self._requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            session = self.who(connection, cookie, now_ms)
            consent.answer(
                connection,
                session.participant_id,
                asked.version,
                asked.accepted,
                self._consent,
                now_ms,
            )

    def report(self, cookie: str | None, text: str, now_ms: int) -> None:
        """Keeps a few words for whoever runs the study."""
        self._requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            session = self.who(connection, cookie, now_ms)
            connection.execute(
                reports.insert().values(
                    id=self._new_token()[:32],
                    participant_id=session.participant_id,
                    text=text,
                    reported_at=now_ms,
                )
            )

    def put_contact(self, cookie: str | None, email: str, now_ms: int) -> None:
        """Stores the address somebody wants to be written to; an empty one takes it away."""
        self._requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            session = self._first_session(connection, cookie, now_ms)
            contacts.put(connection, session.participant_id, email)

    def about_me(self, cookie: str | None, now_ms: int) -> dict[str, Any]:
        """Everything stored about who asks."""
        self._requests.take(str(cookie), now_ms)
        with self.database.read() as connection:
            session = self._first_session(connection, cookie, now_ms)
            return withdrawal.about(connection, session.participant_id, [ROOM])

    def withdraw(self, cookie: str | None, now_ms: int) -> None:
        """Withdraws who asks."""
        delete = self.settings.study.withdrawn_maps == "delete"
        with self.database.write() as connection:
            session = self._first_session(connection, cookie, now_ms)
            withdrawal.withdraw(connection, session.participant_id, [ROOM], delete, now_ms)
