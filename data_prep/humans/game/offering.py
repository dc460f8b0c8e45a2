"""Offering a round: the picture that is next for a person, in one transaction.

Nothing here knows of HTTP or asks the time: `now_ms` and chance come in.
"""

import random
from collections.abc import Callable

import sqlalchemy as sa

from data_prep.humans.game import allocation, contests, images, rounds
from data_prep.humans.game.ending import expire, finish
from data_prep.humans.game.errors import AllPlayed, RoundTaken
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import rounds as rounds_table
from data_prep.humans.studies import participants
from data_prep.humans.studies.sessions import Session


def offer(
    connection: sa.Connection,
    settings: GameSettings,
    session: Session,
    tab: str,
    take_over: bool,
    partner_hash: str,
    new_token: Callable[[], str],
    now_ms: int,
) -> tuple[sa.Row, sa.Row]:
    """The session's open round and its picture; the same one while it is only looked at.

    A round that is being painted cannot be gone on with, since the clock runs: asking anew, after a
    reload, ends it as hidden.

    Raises:
      RoundTaken: the open round is another tab's, and `take_over` is not set.
      AllPlayed: no picture is left for this person.
    """
    # Two tabs that ask at once must not both find that no round is open.
    participants.lock(connection, session.participant_id)
    row = rounds.open_of(connection, session.id)
    if row is not None:
        row = expire(connection, settings, row, now_ms)
    if row is not None and row.state in rounds.OPEN:
        if row.tab != tab and not take_over:
            raise RoundTaken()
        if row.state == "offered":
            return _again(connection, settings, row, tab, now_ms)
        finish(connection, settings, row, "hide", now_ms)
    picture, is_catch = _choose(connection, settings, session)
    return _new_round(
        connection, settings, session, picture, is_catch, tab, partner_hash, new_token, now_ms
    )


def _again(connection, settings, row, tab, now_ms):
    values = {"tab": tab, "heard_at": now_ms, "lease_until": now_ms + settings.lease_ms}
    connection.execute(rounds_table.update().where(rounds_table.c.id == row.id).values(**values))
    return rounds.get(connection, row.id), images.of_round(connection, row)


def _choose(connection, settings, session):
    """The next picture, and whether its round is a catch round: one in so many, where it can be."""
    had = connection.execute(
        sa.select(sa.func.count()).where(rounds_table.c.participant_id == session.participant_id)
    ).scalar_one()
    # Study, purpose, person and turn: the same draw for the same place in a study.
    chance = random.Random(f"{settings.study.seed}:allocation:{session.participant_id}:{had}")
    catch = (had + 1) % settings.catch_every == 0
    rule = allocation.parse(settings.allocation)
    picture = allocation.choose(connection, rule, session.participant_id, catch, chance)
    if picture is None:
        raise AllPlayed(completion_url=settings.study.completion_url)
    return picture, catch and picture.is_catch


def _new_round(
    connection, settings, session, picture, is_catch, tab, partner_hash, new_token, now_ms
):
    contest = contests.current(connection, now_ms)
    round_id = new_token()[:32]  # 128 bits
    connection.execute(
        rounds_table.insert().values(
            id=round_id,
            participant_id=session.participant_id,
            session_id=session.id,
            image_id=picture.id,
            contest_id=contest.id if contest else None,
            tab=tab,
            state="offered",
            offered_at=now_ms,
            lease_until=now_ms + settings.lease_ms,
            heard_at=now_ms,
            moved_at=now_ms,
            bubbles=0,
            last_ms=0,
            evaluated=0,
            rules_hash=settings.rules.hash(),
            partner_hash=partner_hash,
            flags="",
            is_catch=is_catch,
        )
    )
    allocation.take(connection, picture.id)
    return rounds.get(connection, round_id), picture
