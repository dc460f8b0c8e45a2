"""Who gets which list, and what becomes of it.

    active --finish--> finished
       '---- abandon ----> abandoned      silent for --abandon_hours: the list is back in the pool
    any of them ---- withdraw ----> withdrawn

Counted as taken are lists that are finished or have been heard of within half an hour, so that
people who leave do not unbalance the groups.
"""

import collections
import hashlib
import random
from typing import NamedTuple

import sqlalchemy as sa

from data_prep.humans.psychophysics import lists as rules
from data_prep.humans.psychophysics.errors import BegunElsewhere, ListOver, NotSuited, TookPart
from data_prep.humans.psychophysics.lists import LISTS, Shown
from data_prep.humans.psychophysics.settings import Settings
from data_prep.humans.psychophysics.tables import gates, lists, stimuli, stimulus_sets, trials
from data_prep.humans.studies import participants

MOVES = {  # event: (states it may leave, state it leads to)
    "finish": (("active",), "finished"),
    "abandon": (("active",), "abandoned"),
    "withdraw": (("active", "finished", "abandoned"), "withdrawn"),
}
ACTIVE_MS = 30 * 60_000
HOUR_MS, MINUTE_MS = 3_600_000, 60_000


class Images(NamedTuple):
    """The images of a study, in the manifest's order."""

    sources: tuple[str, ...]
    trials: list[Shown]
    training: list[Shown]


def images_of(connection: sa.Connection, study: str) -> Images:
    """What a study shows."""
    query = (
        sa.select(stimuli.c.image, stimuli.c.side, stimuli.c.training, stimuli.c.source)
        .where(stimuli.c.study == study, stimuli.c.level == "full")
        .order_by(stimuli.c.position, stimuli.c.source)
    )
    rows = connection.execute(query).all()
    shown = [
        list(dict.fromkeys(Shown(row.image, row.side) for row in rows if row.training == training))
        for training in (False, True)
    ]
    return Images(tuple(dict.fromkeys(row.source for row in rows)), *shown)


def move(connection: sa.Connection, list_id: str, event: str, now_ms: int) -> bool:
    """Moves a list if the event may leave its state; whether it did."""
    before, after = MOVES[event]
    update = lists.update().where(lists.c.id == list_id, lists.c.state.in_(before))
    return bool(connection.execute(update.values(state=after, ended_at=now_ms)).rowcount)


def take(
    connection: sa.Connection,
    settings: Settings,
    participant_id: str,
    device: str,
    new_id: str,
    now_ms: int,
) -> sa.Row:
    """The person's list: the one begun, or the one least taken.

    Raises:
      NotSuited: a gate was not passed, or none was tried.
      TookPart: the person has finished, or is of another study of the pool.
      BegunElsewhere: the list was begun in another browser.
      ListOver: it was given up after a long silence.
    """
    participants.lock(connection, participant_id)
    _abandon_silent(connection, settings, now_ms)
    mine = own_list(connection, settings, participant_id)
    if mine is None:
        _check_gates(connection, participant_id)
        return _new(connection, settings, participant_id, device, new_id, now_ms)
    if mine.device != device:
        raise BegunElsewhere()
    if mine.state != "active":
        raise ListOver()
    return _again(connection, settings, mine, now_ms)


def own_list(connection: sa.Connection, settings: Settings, participant_id: str) -> sa.Row | None:
    """The list that a person has in the pool's studies; TookPart if it is no longer to be done."""
    in_pool = sa.and_(lists.c.participant_id == participant_id, lists.c.pool == settings.pool)
    mine = connection.execute(lists.select().where(in_pool)).one_or_none()
    if mine is not None and mine.study != settings.study.study:
        raise TookPart()
    if mine is not None and mine.state == "finished":
        raise TookPart(link=settings.study.completion_url)  # the tab was closed too soon
    return mine


def _abandon_silent(connection, settings, now_ms):
    silent = now_ms - settings.trials.abandon_hours * HOUR_MS
    query = sa.select(lists.c.id).where(lists.c.state == "active", lists.c.heard_at < silent)
    query = query.order_by(lists.c.id)  # two at once meet them in one order, and do not deadlock
    for list_id in connection.execute(query).scalars().all():
        move(connection, list_id, "abandon", now_ms)


def _check_gates(connection, participant_id):
    query = sa.select(gates.c.reason).where(gates.c.participant_id == participant_id)
    reasons = list(connection.execute(query.order_by(gates.c.checked_at)).scalars())
    if not reasons or reasons[-1]:
        raise NotSuited(reason=reasons[-1] if reasons else "not checked")


def _again(connection, settings, row, now_ms):
    """Goes on: what was seen of the block stays seen, and is marked as before an interruption."""
    block = block_size(row, settings)
    values = {"heard_at": now_ms}
    if now_ms - row.heard_at > settings.trials.resume_minutes * MINUTE_MS:
        values |= {"training": "[]", "trained": not rules.plan_of(row.plan).training}
    connection.execute(lists.update().where(lists.c.id == row.id).values(**values))
    if row.next % block:
        connection.execute(
            trials.update()
            .where(trials.c.list_id == row.id, trials.c.block == row.next // block)
            .values(interrupted=True)
        )
    return connection.execute(lists.select().where(lists.c.id == row.id)).one()


def block_size(row: sa.Row, settings: Settings) -> int:
    """Trials of a block."""
    return len(rules.plan_of(row.plan).trials) // settings.trials.blocks


def _new(connection, settings, participant_id, device, new_id, now_ms):
    images = images_of(connection, settings.study.study)
    _take_turns(connection, settings.study.study)
    group, number = choose(connection, settings, images.sources, now_ms)
    plan = rules.make(
        images.trials,
        images.training,
        settings.study.seed,
        group,
        number,
        settings.trials.fixation_ms,
        settings.trials.training_most,
    )
    text = plan.as_json()
    values = dict(
        id=new_id,
        study=settings.study.study,
        pool=settings.pool,
        participant_id=participant_id,
        device=device,
        group=group,
        number=number,
        target_key=plan.target_key,
        plan=text,
        plan_sha256=hashlib.sha256(text.encode()).hexdigest(),
        state="active",
        next=0,
        training="[]",
        trained=not plan.training,
        begun_at=now_ms,
        heard_at=now_ms,
    )
    return connection.execute(lists.insert().values(**values).returning(*lists.c)).one()


def _take_turns(connection, study):
    """One newcomer at a time, on PostgreSQL: of two that count together both take one place."""
    this = sa.select(stimulus_sets.c.study).where(stimulus_sets.c.study == study)
    connection.execute(this.with_for_update())


def choose(
    connection: sa.Connection, settings: Settings, groups: tuple[str, ...], now_ms: int
) -> tuple[str, int]:
    """(group, number) that the fewest have: the group first, then a list in it."""
    taken = sa.or_(
        lists.c.state == "finished",
        sa.and_(lists.c.state == "active", lists.c.heard_at >= now_ms - ACTIVE_MS),
    )
    query = sa.select(lists.c.group, lists.c.number).where(
        lists.c.study == settings.study.study, taken
    )
    held = connection.execute(query).all()
    chance = random.Random(f"{settings.study.seed}:allocation:{len(held)}:{now_ms}")
    in_group = collections.Counter(row.group for row in held)
    least = min(in_group[group] for group in groups)
    group = chance.choice([group for group in groups if in_group[group] == least])
    on_list = collections.Counter(row.number for row in held if row.group == group)
    least = min(on_list[number] for number in range(LISTS))
    # Keys first: the mapping stays balanced however few people there are.
    keys = collections.Counter(row.number // (LISTS // 2) for row in held if row.group == group)
    free = [number for number in range(LISTS) if on_list[number] == least]
    rarer = min(keys[number // (LISTS // 2)] for number in free)
    return group, chance.choice([n for n in free if keys[n // (LISTS // 2)] == rarer])
