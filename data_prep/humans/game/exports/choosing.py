"""Which rounds an export takes, whose they are said to be, and what it leaves out."""

import collections
import dataclasses
from collections.abc import Iterator

import sqlalchemy as sa

from data_prep.humans.game.bubbles import path_of
from data_prep.humans.game.rounds import CLOSED
from data_prep.humans.game.tables import images, rounds
from data_prep.humans.studies.pseudonyms import pseudonym
from data_prep.humans.studies.tables import participants, sessions, studies

MAPS = ("recognised", "timed_out")  # states that give a map; others are left out, and counted
ROWS_AT_ONCE = 1000


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a person asked for."""

    until_ms: int
    include_late: bool = False
    include_keyboard: bool = False
    keep_ids: bool = False

    @property
    def phases(self) -> tuple[str, ...]:
        """Of bubbles."""
        return ("in_time", "after_recognition", *(("late",) if self.include_late else ()))


@dataclasses.dataclass
class Left:
    """Why rounds were left out, and how many."""

    counts: dict[str, int] = dataclasses.field(default_factory=lambda: collections.Counter())

    def add(self, reason: str) -> None:
        """Counts one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1

    def sentence(self) -> str:
        """Empty if nothing was left out."""
        found = [f"{count} {reason}" for reason, count in sorted(self.counts.items())]
        return f"; left out: {', '.join(found)}" if found else ""


def pseudonyms(connection: sa.Connection, keep_ids: bool):
    """A function from a participant's id to the name that exports give it, salted per study."""
    if keep_ids:
        return lambda participant_id: participant_id
    salt = connection.execute(sa.select(studies.c.salt).limit(1)).scalar()
    if salt is None:
        raise ValueError("This database holds no study yet; it has never been served.")
    return lambda participant_id: pseudonym(salt, participant_id)


def closed_rounds(connection: sa.Connection, until_ms: int) -> Iterator[sa.Row]:
    """All closed rounds with their picture, in one order for ever, a thousand in memory."""
    query = (
        sa.select(
            rounds,
            images.c.path,
            images.c.sha256,
            images.c.wnid,
            images.c.label,
            participants.c.excluded_reason,
            participants.c.withdrawn_at,
            sessions.c.device_class,
        )
        .join(images, images.c.id == rounds.c.image_id)
        .join(participants, participants.c.id == rounds.c.participant_id)
        .outerjoin(sessions, sessions.c.id == rounds.c.session_id)
        .where(rounds.c.state.in_(CLOSED), rounds.c.closed_at <= until_ms)
        .order_by(rounds.c.closed_at, rounds.c.id)
    )
    yield from connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)


def painted(
    connection: sa.Connection, choice: Choice, left: Left
) -> Iterator[tuple[sa.Row, list[tuple[float, float, float]]]]:
    """Rounds that give a map, with their bubbles."""
    for row in closed_rounds(connection, choice.until_ms):
        reason = _why_left_out(row, choice)
        path = [] if reason else path_of(connection, row.id, choice.phases)
        if reason or not path:
            left.add(reason or "without a bubble")
        else:
            yield row, path


def _why_left_out(row, choice):
    if row.state not in MAPS:
        return row.state
    if row.excluded_reason:
        return "of excluded people"
    if row.input == "keyboard" and not choice.include_keyboard:
        return "painted by keyboard"
    return None
