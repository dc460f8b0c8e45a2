"""People at the game: what any study asks and tells them, and their reports and addresses."""

import sqlalchemy as sa

from data_prep.humans.studies import contacts
from data_prep.humans.studies.errors import TooMany
from data_prep.humans.studies.tables import reports
from data_prep.humans.studies.visits import Visits

MOST_REPORTS = 100  # of one person: a script that sends on and on must not fill the disk


class People(Visits):
    """What one process asks and tells people, rounds apart."""

    def report(self, cookie: str | None, text: str, now_ms: int) -> None:
        """Keeps a few words for whoever runs the study."""
        self.requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            session = self.session(connection, cookie, now_ms, agreed=False)
            mine = reports.c.participant_id == session.participant_id
            count = sa.select(sa.func.count()).select_from(reports).where(mine)
            if connection.execute(count).scalar_one() >= MOST_REPORTS:
                raise TooMany()
            connection.execute(
                reports.insert().values(
                    id=self.new_token()[:32],
                    participant_id=session.participant_id,
                    text=text,
                    reported_at=now_ms,
                )
            )

    def put_contact(self, cookie: str | None, email: str, now_ms: int) -> None:
        """Stores the address somebody wants to be written to; an empty one takes it away."""
        self.requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            session = self.first_session(connection, cookie, now_ms)
            contacts.put(connection, session.participant_id, email)
