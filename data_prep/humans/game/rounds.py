"""The life of a round.

    offered --start--> playing --recognise--> recognised
       |                  |---- time_out ---> timed_out     by the page; or limit and grace are over
       |                  |---- skip -------> skipped       from offered, too
       |                  |---- hide -------> hidden        tab hidden, page left, taken over
       |                  '---- abandon ----> abandoned     they are over, and it fell silent before
       '---- release ----> released                         the lease is over; back to the pool
    any closed state ---- void ----> voided                 an administrator, with a reason

`MOVES` is that diagram, `move` the only code that writes a round's state. Its update names the
states that the event may leave, so of two that come at once one finds no row: somebody was first,
and the round is answered as it is. That makes messages safe to repeat, to lose and to reorder.
"""

import re

import sqlalchemy as sa

from data_prep.humans.game.errors import RoundUnknown
from data_prep.humans.game.tables import OPEN, STATES, images, rounds
from data_prep.humans.studies import sessions

MOVES = {  # event: (states it may leave, state it leads to)
    "start": (("offered",), "playing"),
    "recognise": (("playing",), "recognised"),
    "time_out": (("playing",), "timed_out"),
    "skip": (("offered", "playing"), "skipped"),
    "hide": (("playing",), "hidden"),
    "abandon": (("playing",), "abandoned"),
    "release": (("offered",), "released"),
    "void": (tuple(state for state in STATES if state not in (*OPEN, "voided")), "voided"),
}
_ID = re.compile("[0-9a-f]{32}")
CLOSED = tuple(state for state in STATES if state not in OPEN)
# A picture that was given to a person counts as taken in these; else it returns to the pool.
HOLDING = (*OPEN, "recognised", "timed_out")
# Built once: a message has a handful of statements, and building one costs as much as running it.
_GET = rounds.select().where(rounds.c.id == sa.bindparam("round_id"))
_LOCK = _GET.with_for_update()
_OWN = _GET.where(rounds.c.participant_id == sessions.PERSON)
_OWN_LOCKED = _OWN.with_for_update()


def move(
    connection: sa.Connection, round_id: str, event: str, now_ms: int, **columns
) -> tuple[sa.Row | None, bool]:
    """Moves a round if the event may leave its state; returns it as it now is, and whether moved.

    `columns` are set in the same statement, so that a state never stands without its facts.
    """
    before, after = MOVES[event]
    if after in CLOSED:
        columns.setdefault("closed_at", now_ms)
    row = connection.execute(
        rounds.update()
        .where(rounds.c.id == round_id, rounds.c.state.in_(before))
        .values(state=after, moved_at=now_ms, **columns)
        .returning(*rounds.c)
    ).one_or_none()
    if row is None:
        return get(connection, round_id), False
    if after not in HOLDING and event != "void":
        _give_back(connection, row.image_id)
    return row, True


def void(connection: sa.Connection, round_id: str, reason: str, now_ms: int) -> bool:
    """An administrator takes a closed round out, with a reason; False if it could not be."""
    before = get(connection, round_id)
    row, moved = move(connection, round_id, "void", now_ms, void_reason=reason, closed_at=now_ms)
    if moved and before is not None and before.state in HOLDING:
        _give_back(connection, row.image_id)
    return moved


def _give_back(connection, image_id):
    connection.execute(
        images.update().where(images.c.id == image_id).values(taken=images.c.taken - 1)
    )


def get(connection: sa.Connection, round_id: str, lock: bool = False) -> sa.Row | None:
    """The round's row."""
    return connection.execute(_LOCK if lock else _GET, {"round_id": round_id}).one_or_none()


def own(
    connection: sa.Connection, cookie: str | None, round_id: str, now_ms: int, lock: bool = False
) -> sa.Row:
    """The round, if it is of who asks; another's is as good as none, so that none is revealed.

    Args:
      lock: for whoever goes on to change it, so that on PostgreSQL two messages of one round take
        turns; SQLite has one writer.

    Raises:
      NoSession, RoundUnknown.
    """
    row = None
    if cookie and _ID.fullmatch(round_id):  # PostgreSQL would take offence at a NUL
        values = {"round_id": round_id, **sessions.binds(cookie, now_ms)}
        row = connection.execute(_OWN_LOCKED if lock else _OWN, values).one_or_none()
    if row is None:
        sessions.find(connection, cookie, now_ms)  # raises, if that is why
        raise RoundUnknown()
    return row


def open_of(connection: sa.Connection, session_id: str) -> sa.Row | None:
    """The session's open round; a unique index allows one."""
    return connection.execute(
        rounds.select().where(rounds.c.session_id == session_id, rounds.c.state.in_(OPEN))
    ).one_or_none()


def flagged(flags: str, *words: str) -> str:
    """The flags with more words: sorted, each once, commas around all, so that LIKE finds one."""
    found = sorted({word for word in flags.split(",") if word} | set(words))
    return f",{','.join(found)}," if found else ""
