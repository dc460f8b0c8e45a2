"""What the routes call: finds who asks, limits how often, and opens the one transaction."""

import dataclasses
import logging
import os
import threading
from concurrent.futures import Future
from typing import Any

from data_prep.humans.game import (
    answers,
    bubbles,
    contests,
    ending,
    images,
    offering,
    painting,
    rounds,
)
from data_prep.humans.game import messages as m
from data_prep.humans.game.errors import PartnerAway, PictureBroken, PicturesAway
from data_prep.humans.game.frames import Frames
from data_prep.humans.game.partners import Partner, PartnerFailed
from data_prep.humans.game.partners.asking import Asker, Look
from data_prep.humans.game.people import People
from data_prep.humans.game.questions import Questions, Snapshot
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies.rate_limits import RateLimit
from gala_tf.data.images import BadImageError

BOARD_MS = 3000


class Service:
    """One process's game: settings, database, partner, and what is kept in memory only.

    Attributes:
        board_ms: how old a leaderboard may be; to make one reads all rounds of a contest.
    """

    def __init__(self, settings: GameSettings, visits: People, partner: Partner):
        self.settings, self.visits = settings, visits
        self.database, self.now = visits.database, visits.now
        self._frames = Frames()
        self.partner_facts = partner.describe()
        self.class_names = partner.classes.names
        self.asker = Asker(partner, settings.rules, patience_ms=settings.partner_patience_ms)
        self.questions = Questions(self.asker, self._frames, self._answered, self._failed)
        self.board_ms = BOARD_MS
        salt = visits.new_token()
        # What is saved up in some seconds may come at once: pages begin, and lines come back.
        self._rounds_limit = RateLimit(round(5 * settings.rounds_per_s), 5_000, salt)
        self._messages_limit = RateLimit(round(3 * settings.messages_per_s), 3_000, salt)
        self._unranked = tuple(filter(None, settings.unranked_flags.split(",")))
        self._board_lock, self._boards = threading.Lock(), {}

    # ----------------------------------------------------------------------- a round

    def offer(self, cookie: str | None, asked: m.RoundAsked, now_ms: int) -> m.RoundGiven:
        """The next round; PartnerAway while the partner does not answer."""
        self._rounds_limit.take(str(cookie), now_ms)
        if self.asker.failure is not None:
            raise PartnerAway()
        with self.database.write() as connection:
            session = self.visits.session(connection, cookie, now_ms)
            row, picture = offering.offer(
                connection,
                self.settings,
                session,
                asked.tab,
                asked.take_over,
                self.partner_facts["sha256"],
                self.visits.new_token,
                now_ms,
            )
        rules = dataclasses.asdict(self.settings.rules)
        limits = m.Limits(**{name: rules[name] for name in m.Limits.model_fields})
        image = f"/api/rounds/{row.id}/image"
        return m.RoundGiven(
            round=row.id,
            image=image,
            label=picture.label,
            limits=limits,
            keep_raw=self.settings.keep_raw,
        )

    def picture(self, cookie: str | None, round_id: str, now_ms: int) -> bytes:
        """The JPEG of one's own round; one that cannot be read ends it, or it would come again."""
        with self.database.read() as connection:
            row = rounds.own(connection, cookie, round_id, now_ms)
            path = images.of_round(connection, row).path
        try:
            return self._frames.get(path).jpeg
        except BadImageError as error:
            logging.getLogger(__name__).error("a picture cannot be shown: %s", error)
            if not os.path.isdir(os.path.dirname(path)):  # a disk that is away, not a picture
                raise PicturesAway() from error
        with self.database.write() as connection:
            row = rounds.own(connection, cookie, round_id, now_ms, lock=True)
            # As people skip one for that reason: where a few had to, it is retired, for review.
            ending.end(connection, self.settings, row, "skip", "broken", False, None, now_ms)
        raise PictureBroken()

    def start(
        self, cookie: str | None, round_id: str, asked: m.StartSent, now_ms: int
    ) -> m.Started:
        """Starts the round's clock, once."""
        self._messages_limit.take(round_id, now_ms)
        with self.database.write() as connection:
            row = rounds.own(connection, cookie, round_id, now_ms, lock=True)
            row, elapsed_ms = painting.start(connection, row, asked.input, asked.looked_ms, now_ms)
        return m.Started(elapsed_ms=elapsed_ms, status=row.state)

    def add_bubbles(
        self, cookie: str | None, round_id: str, asked: m.BubblesSent, now_ms: int
    ) -> tuple[painting.Stored, Future | None]:
        """Stores what is new, and asks the partner if it is time."""
        self._messages_limit.take(round_id, now_ms)
        with self.database.write() as connection:
            stored = painting.add_bubbles(
                connection,
                self.settings,
                rounds.own(connection, cookie, round_id, now_ms, lock=True),
                asked.first,
                asked.points,
                self.asker.query_every(),
                now_ms,
            )
        return stored, stored.snapshot and self.questions.ask(stored.snapshot)

    def as_stored(
        self, stored: painting.Stored, answer: tuple[int, str, float | None] | None
    ) -> m.BubblesStored:
        """As the page reads it; `answer` is newer, where there is one."""
        evaluated, status, points = answer or (stored.evaluated, stored.state, stored.points)
        return m.BubblesStored(
            stored=stored.stored,
            evaluated=evaluated,
            status=status,
            points=points,
            partner_is_slow=self.asker.is_slow(),
        )

    def last_question(
        self, cookie: str | None, round_id: str, asked: m.EndSent, now_ms: int
    ) -> Future | None:
        """Asks what is left to ask when time is up; None if all bubbles have been looked at."""
        self._messages_limit.take(round_id, now_ms)
        with self.database.read() as connection:
            row = rounds.own(connection, cookie, round_id, now_ms)
            if asked.reason != "timeout" or row.state != "playing" or row.bubbles <= row.evaluated:
                return None
            snapshot = painting.snapshot_of(connection, row)
        return self.questions.ask(snapshot)

    def end(self, cookie: str | None, round_id: str, asked: m.EndSent, now_ms: int) -> m.RoundEnded:
        """Ends the round, and says how it ended and where one stands."""
        with self.database.write() as connection:
            row = ending.end(
                connection,
                self.settings,
                rounds.own(connection, cookie, round_id, now_ms, lock=True),
                asked.reason,
                asked.skip_reason,
                asked.scripted,
                asked.raw,
                now_ms,
            )
            found = ending.summary(connection, row, self.class_names)
        own = self._board(row.contest_id, row.participant_id, now_ms)["own"]
        return m.RoundEnded(**found, rank=own and own["rank"])

    def _answered(self, snapshot: Snapshot, look: Look) -> tuple[int, str, float | None]:
        with self.database.write() as connection:
            return answers.record(connection, self.settings, snapshot, look, self.now())

    def _failed(self, snapshot: Snapshot) -> tuple[int, str, float | None]:
        with self.database.write() as connection:
            return answers.without_partner(connection, self.settings, snapshot.round_id, self.now())

    def sweep(self, now_ms: int) -> int:
        """Ends what is over; asks an absent partner whether it is back."""
        if self.asker.failure is not None:
            try:
                self.asker.check()
            except PartnerFailed:
                pass  # still away; the next sweep asks again
        with self.database.read() as connection:
            if not ending.any_over(connection, self.settings, now_ms):
                return 0
        with self.database.write() as connection:
            return ending.sweep(connection, self.settings, now_ms)

    # ----------------------------------------------------------------------- around it

    def _totals(self, contest_id, now_ms):
        """The order of players, a few seconds old at most: it reads all rounds of a contest."""
        with self._board_lock:
            made, rows = self._boards.get(contest_id, (None, None))
            if made is None or not 0 <= now_ms - made < self.board_ms:
                with self.database.read() as connection:
                    rows = contests.totals(connection, contest_id, self._unranked)
                self._boards = {contest_id: (now_ms, rows)} | {
                    key: value for key, value in self._boards.items() if key != contest_id
                }
        return rows

    def _board(self, contest_id, participant_id, now_ms):
        """Others a few seconds old; oneself as of now, since a win must be seen at once."""
        rows = self._totals(contest_id, now_ms)
        with self.database.read() as connection:
            own = contests.totals(connection, contest_id, self._unranked, participant_id)
        return contests.board(contests.with_own(rows, own), participant_id)

    def leaderboard(self, cookie: str | None, all_time: bool, now_ms: int) -> dict[str, Any]:
        """The ten best and one's own row."""
        self.visits.requests.take(str(cookie), now_ms)
        with self.database.read() as connection:
            session = self.visits.session(connection, cookie, now_ms, agreed=False)
            contest = None if all_time else contests.current(connection, now_ms)
        board = self._board(contest.id if contest else None, session.participant_id, now_ms)
        span = contest and {
            "name": contest.name,
            "begins_at": contest.begins_at,
            "ends_at": contest.ends_at,
            "prizes": contest.prizes,
        }
        return {**board, "contest": span, "display_name": session.display_name}

    def pause(self, cookie: str | None, now_ms: int) -> None:
        """Ends an open round: one that is only looked at returns to the pool."""
        self.visits.requests.take(str(cookie), now_ms)
        with self.database.write() as connection:
            session = self.visits.session(connection, cookie, now_ms, agreed=False)
            row = rounds.open_of(connection, session.id)
            if row is not None and row.state == "offered":
                rounds.move(connection, row.id, "release", now_ms)
            elif row is not None:
                ending.finish(connection, self.settings, row, "hide", now_ms)

    def about(self) -> dict[str, Any]:
        """What anybody may know of the study."""
        about = self.settings.study
        facts = {name: self.partner_facts[name] for name in ("name", "kind", "sha256", "crop")}
        return {
            "study": about.study,
            "contact": about.contact,
            "retention_date": about.retention_date,
            "withdrawn_maps": about.withdrawn_maps,
            "rules": dataclasses.asdict(self.settings.rules),
            "partner": facts,
            "demo": self.settings.demo,
            "most_bubbles": bubbles.MOST_BUBBLES,
        }
