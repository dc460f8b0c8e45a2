"""What the routes call: finds who asks, limits how often, opens the one transaction."""

import json
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from data_prep.humans.psychophysics import allocation, answers
from data_prep.humans.psychophysics import messages as m
from data_prep.humans.psychophysics.errors import NoList, StimulusChanged
from data_prep.humans.psychophysics.lists import plan_of
from data_prep.humans.psychophysics.manifest import digest
from data_prep.humans.psychophysics.settings import Settings
from data_prep.humans.psychophysics.tables import gates, lists, stimuli
from data_prep.humans.studies.errors import TooMany
from data_prep.humans.studies.rate_limits import RateLimit
from data_prep.humans.studies.visits import Visits

_ID = re.compile("[0-9a-f]{32}")
LEAST_WINDOW = (640, 560)  # px
LONGEST_PERIOD_MS = 1000 / 50 * 1.02  # 50 Hz, and what a clock of whole 0.1 ms makes of it
MOST_P95 = 1.5  # of the period
MOST_GATES = 200  # of one person; a visit has two or three, a script could fill the disk
FAILED_CHECK = "the questions about the task were not answered right"


class Service:
    """One process's."""

    def __init__(self, settings: Settings, visits: Visits):
        self.settings, self.visits, self.database = settings, visits, visits.database
        self._messages = RateLimit(60, 10_000, visits.new_token())

    def _own(self, connection, cookie, list_id, now_ms):
        session = self.visits.session(connection, cookie, now_ms)
        return answers.own(connection, list_id, session.participant_id)

    def check_gates(self, cookie: str | None, sent: m.GateValues, now_ms: int) -> m.GatePassed:
        """Keeps what the browser measured, and says whether that will do.

        TookPart: the person has finished, or is of another study of the pool.
        """
        self._messages.take(str(cookie), now_ms)
        reason = why_not(sent)
        with self.database.write() as connection:
            session = self.visits.session(connection, cookie, now_ms)
            allocation.own_list(connection, self.settings, session.participant_id)
            mine = gates.c.participant_id == session.participant_id
            count = sa.select(sa.func.count()).select_from(gates).where(mine)
            if connection.execute(count).scalar_one() >= MOST_GATES:
                raise TooMany()
            if not reason and _has_failed_check(connection, session.participant_id):
                reason = FAILED_CHECK  # a reload is no third try
            connection.execute(
                gates.insert().values(
                    id=self.visits.new_token()[:32],
                    participant_id=session.participant_id,
                    values=json.dumps(sent.model_dump(), sort_keys=True),
                    reason=reason,
                    checked_at=now_ms,
                )
            )
        return m.GatePassed(ok=not reason, reason=reason)

    def take_list(self, cookie: str | None, sent: m.ListAsked, now_ms: int) -> m.ListGiven:
        """The person's list, as the browser may know it."""
        self._messages.take(str(cookie), now_ms)
        with self.database.write() as connection:
            person = self.visits.session(connection, cookie, now_ms).participant_id
            new_id = self.visits.new_token()[:32]
            row = allocation.take(connection, self.settings, person, sent.device, new_id, now_ms)
            shown = answers.stimuli_of(connection, row)
        plan, rules = plan_of(row.plan), self.settings.trials

        def items(planned):
            for index, trial in enumerate(planned):
                stimulus = shown[trial.image, trial.level]
                url = f"/api/stimuli/{row.id}/{stimulus.id}"
                yield m.Item(
                    index=index,
                    url=url,
                    sha256=stimulus.sha256,
                    fixation_ms=trial.fixation_ms,
                )

        return m.ListGiven(
            list=row.id,
            target_key=row.target_key,
            trials=list(items(plan.trials)),
            training=list(items(plan.training)),
            trained=row.trained,
            training_at=len(json.loads(row.training)),
            resume_at=row.next,
            rules=m.Rules(
                stimulus_ms=rules.stimulus_ms,
                blank_ms=rules.blank_ms,
                key_ends_trial=rules.key_ends_trial,
                photodiode=rules.photodiode,
                block=allocation.block_size(row, self.settings),
                degrees=rules.degrees,
                target_name=rules.target_name,
                distractor_name=rules.distractor_name,
            ),
            simulation=self.settings.allow_simulation,
        )

    def stimulus(self, cookie: str | None, list_id: str, stimulus_id: str, now_ms: int) -> bytes:
        """The file of a stimulus on one's own list; StimulusChanged if it is not the manifest's."""
        if not (_ID.fullmatch(list_id) and _ID.fullmatch(stimulus_id)):
            raise NoList()  # PostgreSQL would take offence at a NUL
        with self.database.read() as connection:
            session = self.visits.session(connection, cookie, now_ms)
            mine = sa.and_(lists.c.id == list_id, lists.c.participant_id == session.participant_id)
            plan = connection.execute(sa.select(lists.c.plan).where(mine)).scalar()
            row = connection.execute(
                stimuli.select().where(stimuli.c.id == stimulus_id)
            ).one_or_none()
        if plan is None or row is None:
            raise NoList()
        planned = plan_of(plan)
        on_list = {(one.image, one.level) for one in (*planned.trials, *planned.training)}
        if (row.image, row.level) not in on_list:
            raise NoList()
        try:
            data = (Path(self.settings.stimuli) / row.path).read_bytes()
        except OSError as error:
            raise StimulusChanged() from error
        if digest(data) != row.sha256:
            raise StimulusChanged()
        return data

    def judge_training(
        self, cookie: str | None, sent: m.TrainingSent, now_ms: int
    ) -> m.TrainingJudged:
        """Right or wrong."""
        self._messages.take(sent.list, now_ms)
        with self.database.write() as connection:
            row = self._own(connection, cookie, sent.list, now_ms)
            return answers.judge_training(connection, self.settings, row, sent, now_ms)

    def store_trials(self, cookie: str | None, sent: m.TrialsSent, now_ms: int) -> m.TrialsStored:
        """Stores what is new."""
        self._messages.take(sent.list, now_ms)
        with self.database.write() as connection:
            row = self._own(connection, cookie, sent.list, now_ms)
            return answers.store(connection, self.settings, row, sent.trials, now_ms)

    def store_events(self, cookie: str | None, sent: m.EventsSent, now_ms: int) -> m.EventsStored:
        """Stores what happened between trials."""
        self._messages.take(sent.list, now_ms)
        with self.database.write() as connection:
            row = self._own(connection, cookie, sent.list, now_ms)
            return answers.store_events(connection, row, sent.events, now_ms)

    def finish(self, cookie: str | None, sent: m.FinishSent, now_ms: int) -> m.Finished:
        """Ends the session if all is stored."""
        self._messages.take(sent.list, now_ms)
        with self.database.write() as connection:
            row = self._own(connection, cookie, sent.list, now_ms)
            return answers.finish(connection, self.settings, row, sent, now_ms)

    def about(self) -> dict[str, Any]:
        """What anybody may know of the study."""
        about, rules = self.settings.study, self.settings.trials
        return {
            "study": about.study,
            "contact": about.contact,
            "retention_date": about.retention_date,
            "withdrawn_maps": about.withdrawn_maps,
            "stand_in": self.settings.stand_in,
            "stimulus_ms": rules.stimulus_ms,
            "blank_ms": rules.blank_ms,
            "blocks": rules.blocks,
            "degrees": rules.degrees,
            "target_name": rules.target_name,
            "distractor_name": rules.distractor_name,
        }


def _has_failed_check(connection, participant_id):
    failed = sa.and_(gates.c.participant_id == participant_id, gates.c.reason == FAILED_CHECK)
    return connection.execute(sa.select(gates.c.id).where(failed).limit(1)).scalar() is not None


def why_not(sent: m.GateValues) -> str:
    """Why the experiment cannot run in a browser, in words for its person; "" if it can.

    The page says the same before it asks for consent (pages/gates.js): nothing is sent until then.
    """
    width, height = LEAST_WINDOW
    if not sent.desktop:
        return "it needs a computer with a keyboard"
    if sent.width < width or sent.height < height:
        return f"its window is smaller than {width} x {height} pixels; make it larger"
    if sent.period_ms > LONGEST_PERIOD_MS:
        return "its screen is redrawn fewer than 50 times a second"
    if sent.period_p95_ms > MOST_P95 * sent.period_ms:
        return "its screen is redrawn too irregularly; closing other programs may help"
    if not sent.canvas or not sent.storage:
        return "its browser does not allow drawing or storage, as in some private windows"
    if sent.comprehension is False:
        return FAILED_CHECK
    return ""
