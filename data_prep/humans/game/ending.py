"""How rounds end: by the page, by the partner, by the server's own clock.

`finish` is the one way: it looks at the whole path, then moves the round. Each function is part of
one transaction of whoever calls; nothing here asks the time.
"""

from typing import Any

import sqlalchemy as sa

from data_prep.humans.game import bubbles, images, rounds
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import queries
from data_prep.humans.game.tables import rounds as rounds_table


def end(
    connection: sa.Connection,
    settings: GameSettings,
    row: sa.Row,
    reason: str,
    skip_reason: str | None,
    scripted: bool,
    raw: list | None,
    now_ms: int,
) -> sa.Row:
    """Ends a round as the browser says, if it may; the round as it then is."""
    row = expire(connection, settings, row, now_ms)
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


def any_over(connection: sa.Connection, settings: GameSettings, now_ms: int) -> bool:
    """Whether `sweep` may have something to do; only reads, so that an idle sweep costs little."""
    return connection.execute(_quiet(settings, now_ms).limit(1)).first() is not None


def sweep(connection: sa.Connection, settings: GameSettings, now_ms: int) -> int:
    """Ends the open rounds whose time is up; returns how many."""
    # Locked: of several workers one sweeps a round.
    rows = connection.execute(_quiet(settings, now_ms).with_for_update(skip_locked=True)).all()
    return sum(expire(connection, settings, row, now_ms).state not in rounds.OPEN for row in rows)


def _quiet(settings, now_ms):
    quiet = min(settings.lease_ms, settings.rules.limit_ms + settings.rules.grace_ms)
    return rounds_table.select().where(
        rounds_table.c.state.in_(rounds.OPEN), rounds_table.c.moved_at < now_ms - quiet
    )


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
