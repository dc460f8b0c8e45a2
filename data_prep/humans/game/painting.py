"""Painting: the first click, and bubbles as they come; one function a request, one transaction.

Nothing here waits for the partner: `add_bubbles` says what there is to ask, `answers.record` takes
what it said.
"""

from typing import NamedTuple

import sqlalchemy as sa

from data_prep.humans.game import bubbles, rounds
from data_prep.humans.game.bubbles import Point
from data_prep.humans.game.ending import expire
from data_prep.humans.game.errors import BubblesMissing, NotStarted, RoundOver
from data_prep.humans.game.questions import Snapshot
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import bubble_batches, images
from data_prep.humans.game.tables import rounds as rounds_table

LATE_MS = 24 * 3600 * 1000  # so long after its end a round takes bubbles that were on their way

_PAINTED = (  # built once: run with every batch
    rounds_table.update()
    .where(rounds_table.c.id == sa.bindparam("round_id"))
    .values(
        {name: sa.bindparam(f"new_{name}") for name in ("bubbles", "last_ms", "heard_at", "flags")}
    )
)

_SNAPSHOT = (  # the picture beside each batch: a second statement would cost more
    sa.select(bubble_batches.c.points, images.c.path, images.c.class_index)
    .join(rounds_table, rounds_table.c.id == bubble_batches.c.round_id)
    .join(images, images.c.id == rounds_table.c.image_id)
    .where(
        bubble_batches.c.round_id == sa.bindparam("round_id"), bubble_batches.c.phase == "in_time"
    )
    .order_by(bubble_batches.c.first)
)


class Stored(NamedTuple):
    """What the server has of a round after a message."""

    stored: int
    evaluated: int
    state: str
    points: float | None
    snapshot: Snapshot | None  # to be asked now


def start(
    connection: sa.Connection,
    row: sa.Row,
    input_kind: str,
    looked_ms: int | None,
    now_ms: int,
) -> tuple[sa.Row, int]:
    """Starts the clock; returns the round and the time it shows. A second time changes nothing."""
    row, _ = rounds.move(
        connection,
        row.id,
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
    row: sa.Row,
    first: int,
    new: list[Point],
    query_every: int,
    now_ms: int,
) -> Stored:
    """Stores what is new of a batch; every `query_every` bubbles there is something to ask.

    Raises:
      NotStarted, BubblesMissing: something before this batch has not arrived; nothing is changed.
      RoundOver: the round ended more than a day ago.
    """
    row = expire(connection, settings, row, now_ms)
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
    snapshot = None
    if placed.points and count // query_every > row.bubbles // query_every:
        snapshot = snapshot_of(connection, row)
        if _too_soon(snapshot.path, row.evaluated, settings.rules):
            snapshot = None  # the next one that is due will tell of these, too
    return Stored(count, row.evaluated, row.state, None, snapshot)


def _too_soon(path, evaluated, rules):
    """Whether the last answered question is too near; the one under way is the asker's affair."""
    return bool(evaluated) and path[-1][2] - path[evaluated - 1][2] < rules.query_apart_ms


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
    """What the partner is to be asked about a round that has bubbles."""
    batches = connection.execute(_SNAPSHOT, {"round_id": row.id}).all()
    path = [point for one in batches for point in bubbles.from_json(one.points)]
    return Snapshot(row.id, path, batches[0].path, batches[0].class_index)
