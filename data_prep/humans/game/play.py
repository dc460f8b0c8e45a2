"""What happens in a round: one function a request, each at most one transaction.

Nothing here knows of HTTP or asks the time: `now_ms` and chance come in. Nothing here waits for
the partner: a function says what there is to ask, and `record` takes the answer.
"""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from data_prep.humans.game import allocation, bubbles, contests, images, rounds
from data_prep.humans.game.bubbles import Point
from data_prep.humans.game.errors import (
    AllPlayed,
    BubblesMissing,
    NotStarted,
    RoundOver,
    RoundTaken,
    RoundUnknown,
)
from data_prep.humans.game.partners.asking import Look
from data_prep.humans.game.questions import Snapshot
from data_prep.humans.game.rules import is_recognised, points
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import images as images_table
from data_prep.humans.game.tables import queries
from data_prep.humans.game.tables import rounds as rounds_table
from data_prep.humans.studies import participants
from data_prep.humans.studies.sessions import Session

LATE_MS = 24 * 3600 * 1000  # so long after its end a round takes bubbles that were on their way
SKIP_REASONS = ("unclear", "wrong_label", "upsetting", "broken", "other")

# Statements of every message, built once.
_THIS = rounds_table.c.id == sa.bindparam("round_id")
_PICTURE = images_table.select().where(images_table.c.id == sa.bindparam("image_id"))
_PAINTED = (
    rounds_table.update()
    .where(_THIS)
    .values(
        {name: sa.bindparam(f"new_{name}") for name in ("bubbles", "last_ms", "heard_at", "flags")}
    )
)
_EVALUATED = rounds_table.update().where(_THIS).values(evaluated=sa.bindparam("upto"))
_ANSWERED = queries.insert()


class Stored(NamedTuple):
    """What the server has of a round after a message."""

    stored: int
    evaluated: int
    state: str
    points: float | None
    snapshot: Snapshot | None  # to be asked now


# --------------------------------------------------------------------------- offering


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
    picture = _choose(connection, settings, session, new_token, now_ms)
    return _new_round(connection, settings, session, picture, tab, partner_hash, new_token, now_ms)


def _again(connection, settings, row, tab, now_ms):
    values = {"tab": tab, "heard_at": now_ms, "lease_until": now_ms + settings.lease_ms}
    connection.execute(rounds_table.update().where(rounds_table.c.id == row.id).values(**values))
    return rounds.get(connection, row.id), picture_of(connection, row)


def _choose(connection, settings, session, new_token, now_ms):
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
    return picture


def _new_round(connection, settings, session, picture, tab, partner_hash, new_token, now_ms):
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
            is_catch=picture.is_catch,
        )
    )
    allocation.take(connection, picture.id)
    return rounds.get(connection, round_id), picture


def picture_of(connection: sa.Connection, row: sa.Row) -> sa.Row:
    """The picture of a round."""
    return connection.execute(_PICTURE, {"image_id": row.image_id}).one()


def _own(connection, session, round_id):
    # Locked, so that on PostgreSQL two messages of one round take turns; SQLite has one writer.
    row = rounds.own(connection, round_id, session.participant_id, lock=True)
    if row is None:
        raise RoundUnknown()
    return row


# --------------------------------------------------------------------------- painting


def start(
    connection: sa.Connection,
    session: Session,
    round_id: str,
    input_kind: str,
    looked_ms: int | None,
    now_ms: int,
) -> tuple[sa.Row, int]:
    """Starts the clock; returns the round and the time it shows. A second time changes nothing."""
    _own(connection, session, round_id)
    row, _ = rounds.move(
        connection,
        round_id,
        "start",
        now_ms,
        started_at=now_ms,
        heard_at=now_ms,
        input=input_kind,
        first_bubble_ms=looked_ms,
        flags=rounds.flagged("", "keyboard") if input_kind == "keyboard" else "",
    )
    return row, max(0, now_ms - (row.started_at or now_ms))


def add_bubbles(
    connection: sa.Connection,
    settings: GameSettings,
    session: Session,
    round_id: str,
    first: int,
    new: list[Point],
    query_every: int,
    now_ms: int,
) -> Stored:
    """Stores what is new of a batch; every `query_every` bubbles there is something to ask.

    Raises:
      RoundUnknown: no round of this person's.
      NotStarted, BubblesMissing: something before this batch has not arrived; nothing is changed.
      RoundOver: the round ended more than a day ago.
    """
    row = expire(connection, settings, _own(connection, session, round_id), now_ms)
    if row.state in ("offered", "released"):
        raise NotStarted(stored=0)
    if row.state != "playing":
        return _add_late(connection, settings, row, first, new, now_ms)
    try:
        placed = bubbles.place(
            new, first, row.bubbles, row.last_ms, now_ms - row.started_at, settings.rules
        )
    except bubbles.Gap:
        raise BubblesMissing(stored=row.bubbles) from None
    count, last_ms = row.bubbles + len(placed.points), row.last_ms
    # A script that sends without end is kept from filling the disk.
    if count > bubbles.MOST_BUBBLES:
        raise RoundOver()
    if placed.points:
        last_ms = placed.points[-1][2]
        bubbles.store(connection, row.id, row.bubbles, placed.points, "in_time", now_ms)
    values = {
        "new_bubbles": count,
        "new_last_ms": last_ms,
        "new_heard_at": now_ms,
        "new_flags": rounds.flagged(row.flags, *placed.flags),
    }
    connection.execute(_PAINTED, {"round_id": row.id, **values})
    due = count // query_every > row.bubbles // query_every
    snapshot = snapshot_of(connection, row) if placed.points and due else None
    return Stored(count, row.evaluated, row.state, None, snapshot)


def _add_late(connection, settings, row, first, new, now_ms):
    """Bubbles of a round that has ended: kept, told apart, and without any effect on it."""
    if now_ms - row.closed_at > LATE_MS:
        raise RoundOver()
    stored = bubbles.stored(connection, row.id)
    try:
        # The limit's own time: how late it arrived says nothing about when it was painted.
        placed = bubbles.place(new, first, stored, row.last_ms, int(new[-1][2]), settings.rules)
    except bubbles.Gap:
        raise BubblesMissing(stored=stored, status=row.state) from None
    if placed.points and stored + len(placed.points) <= bubbles.MOST_BUBBLES:
        goes_on = settings.rules.after_recognition == "continue" and row.state == "recognised"
        limit = (row.started_at or 0) + settings.rules.limit_ms  # one may be skipped unstarted
        in_span = now_ms <= limit + settings.rules.grace_ms
        phase = "after_recognition" if goes_on and in_span else "late"
        bubbles.store(connection, row.id, stored, placed.points, phase, now_ms)
        stored += len(placed.points)
    return Stored(stored, row.evaluated, row.state, row.points, None)


def snapshot_of(connection: sa.Connection, row: sa.Row) -> Snapshot:
    """What the partner is to be asked about a round now."""
    picture = picture_of(connection, row)
    path = tuple(bubbles.path_of(connection, row.id))
    return Snapshot(row.id, path, picture.path, picture.class_index)


def record(
    connection: sa.Connection,
    settings: GameSettings,
    snapshot: Snapshot,
    look: Look,
    now_ms: int,
) -> tuple[int, str, float | None]:
    """Stores an answer, and ends the round if the partner has recognised the picture.

    Returns how many bubbles are evaluated, the round's state, and its points.

    Points come from the last bubble it saw: neither the line nor its thinking costs any.
    """
    rules, upto = settings.rules, len(snapshot.path)
    row = rounds.get(connection, snapshot.round_id, lock=True)
    best = [
        [index, round(probability, 6)]
        for index, probability in zip(look.top5_class, look.top5_probability, strict=True)
        if index >= 0
    ]
    if not _is_answered(connection, row, upto):
        values = {
            "round_id": row.id,
            "upto": upto,
            "rank": look.rank,
            "best": bubbles.as_json(best),
        }
        took = {"took_ms": round(look.ms, 3), "answered_at": now_ms}
        connection.execute(_ANSWERED, {**values, **took})
    if upto > row.evaluated and row.state == "playing":
        connection.execute(_EVALUATED, {"round_id": row.id, "upto": upto})
    in_time = row.started_at is not None and (
        now_ms <= row.started_at + rules.limit_ms + rules.grace_ms
    )
    if in_time and is_recognised(rules, look.rank, look.probability):
        worth = round(points(rules, snapshot.path[-1][2]), 3)
        row, _ = finish(
            connection, settings, row, "recognise", now_ms, points=worth, recognised_upto=upto
        )
    return max(upto, row.evaluated), row.state, row.points


def _is_answered(connection, row, upto):
    """Whether the same question is stored; a number past the newest answered needs no look."""
    if upto > row.evaluated and row.state == "playing":
        return False
    known = sa.select(queries.c.upto).where(queries.c.round_id == row.id, queries.c.upto == upto)
    return connection.execute(known).scalar() is not None


def without_partner(
    connection: sa.Connection, settings: GameSettings, round_id: str, now_ms: int
) -> tuple[int, str, float | None]:
    """The partner died: the round ends as hidden, flagged; what was painted stays."""
    row = rounds.get(connection, round_id, lock=True)
    row, _ = finish(connection, settings, row, "hide", now_ms, flags=("partner",))
    return row.evaluated, row.state, row.points


# --------------------------------------------------------------------------- ending


def end(
    connection: sa.Connection,
    settings: GameSettings,
    session: Session,
    round_id: str,
    reason: str,
    skip_reason: str | None,
    scripted: bool,
    raw: list | None,
    now_ms: int,
) -> sa.Row:
    """Ends a round as the browser says, if it may; the round as it then is."""
    row = expire(connection, settings, _own(connection, session, round_id), now_ms)
    event = {"timeout": "time_out", "skip": "skip", "hidden": "hide"}[reason]
    row, moved = finish(
        connection,
        settings,
        row,
        event,
        now_ms,
        flags=("script",) if scripted else (),
        **({"skip_reason": skip_reason or "other"} if event == "skip" else {}),
    )
    if moved and event == "skip":
        images.retire_if_skipped(
            connection, row.image_id, row.skip_reason, settings.skip_quorum, now_ms
        )
    if raw and settings.keep_raw:
        bubbles.store_raw(connection, row.id, raw)
    return row


def finish(
    connection: sa.Connection,
    settings: GameSettings,
    row: sa.Row,
    event: str,
    now_ms: int,
    flags: tuple[str, ...] = (),
    **columns,
) -> tuple[sa.Row, bool]:
    """The one way a round ends: looks at the whole path, then moves."""
    path = bubbles.path_of(connection, row.id)
    digest = bubbles.path_hash(path)
    found = [*flags, *bubbles.flags_of(path, settings.rules)]
    if bubbles.was_sent_before(connection, digest, row.id):
        found.append("copied")
    if event == "hide":
        found.append("hidden")
    return rounds.move(
        connection,
        row.id,
        event,
        now_ms,
        path_hash=digest,
        flags=rounds.flagged(row.flags, *found),
        **columns,
    )


def expire(connection: sa.Connection, settings: GameSettings, row: sa.Row, now_ms: int) -> sa.Row:
    """Ends a round whose time is up by the server's own clock; the round as it then is.

    Called by every message of a round and by the sweeper, so a round ends the same way whether or
    not anybody asks.
    """
    if row.state == "offered" and now_ms > row.lease_until:
        return rounds.move(connection, row.id, "release", now_ms)[0]
    if row.state != "playing":
        return row
    limit = row.started_at + settings.rules.limit_ms
    if now_ms <= limit + settings.rules.grace_ms:
        return row
    # Its last word came when time was up, or it fell silent before: then nobody knows how it went.
    event = "time_out" if row.heard_at >= limit else "abandon"
    return finish(connection, settings, row, event, now_ms)[0]


def sweep(connection: sa.Connection, settings: GameSettings, now_ms: int) -> int:
    """Ends the open rounds whose time is up; returns how many."""
    quiet = min(settings.lease_ms, settings.rules.limit_ms + settings.rules.grace_ms)
    rows = connection.execute(
        rounds_table.select()
        .where(
            rounds_table.c.state.in_(rounds.OPEN),
            rounds_table.c.moved_at < now_ms - quiet,
        )
        .with_for_update(skip_locked=True)  # of several workers one sweeps a round
    ).all()
    return sum(expire(connection, settings, row, now_ms).state not in rounds.OPEN for row in rows)


def summary(connection: sa.Connection, row: sa.Row, class_names: tuple[str, ...]) -> dict[str, Any]:
    """What the page shows at a round's end: state, points, and what the partner thought."""
    best = connection.execute(
        sa.select(queries.c.best)
        .where(queries.c.round_id == row.id)
        .order_by(queries.c.upto.desc())
        .limit(1)
    ).scalar()
    guesses = [class_names[index] for index, _ in bubbles.from_json(best)] if best else []
    mine = sa.and_(
        rounds_table.c.participant_id == row.participant_id,
        rounds_table.c.state == "recognised",
    )
    total, recognised = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(rounds_table.c.points), 0.0), sa.func.count()).where(
            mine
        )
    ).one()
    return {
        "status": row.state,
        "points": row.points,
        "guesses": guesses,
        "total_points": round(total, 1),
        "recognised": recognised,
        "flags": [word for word in row.flags.split(",") if word],
    }
