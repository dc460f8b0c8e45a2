"""Bubbles as the browser sends them: kept in order, each once, with what they say about the play.

A batch carries `first`, the index of its first bubble in the round. What overlaps with what is
stored is dropped; a gap changes nothing and is answered with the number stored, from which the
browser sends again (as the tus protocol does it).
"""

import hashlib
import json
from typing import NamedTuple

import sqlalchemy as sa

from data_prep.humans.game.rules import Rules
from data_prep.humans.game.tables import bubble_batches, raw_batches, rounds

Point = tuple[float, float, float]  # x, y in pixels of the 256 frame; t in ms from the first click
DECIMALS = 3
FRAME_SIDE = 256
SHORT_ROUND_MS = 150  # nobody looks, decides and paints in less
MOST_BUBBLES = 1000  # far past any round's; a script that sends on and on stops here

# Built once, as in rounds.py.
_INSERT = bubble_batches.insert()
_PATH = (
    sa.select(bubble_batches.c.points)
    .where(
        bubble_batches.c.round_id == sa.bindparam("round_id"),
        bubble_batches.c.phase.in_(sa.bindparam("phases", expanding=True)),
    )
    .order_by(bubble_batches.c.first)
)


class Gap(Exception):
    """Bubbles are missing before this batch."""


class Placed(NamedTuple):
    """A batch after it was compared with what is stored."""

    points: list[Point]  # those that are new, times corrected
    flags: tuple[str, ...]


def place(
    points: list[Point],
    first: int,
    stored: int,
    last_ms: float,
    elapsed_ms: int,
    rules: Rules,
) -> Placed:
    """The new points of a batch, and flags.

    The clock is compared at the last point: that one can be claimed too early to gain points, while
    those before it may well have waited for a slow line. If it is off by more than the tolerance,
    all times of the batch are moved so that it stands at the server's time.

    Raises:
      Gap: `first` is past what is stored.
    """
    if first > stored:
        raise Gap()
    new = [
        (round(x, DECIMALS), round(y, DECIMALS), round(t, DECIMALS))
        for x, y, t in points[stored - first :]
    ]
    if not new:
        return Placed([], ())
    flags = set()
    times = [t for *_, t in new]
    if any(later < earlier for earlier, later in zip([last_ms, *times], times, strict=False)):
        flags.add("not_monotone")
    shift = elapsed_ms - times[-1]
    if abs(shift) > rules.clock_tolerance_ms or times[-1] > rules.limit_ms:
        flags.add("clock")
        times = [t + shift for t in times]
    floor, placed = last_ms, []
    for (x, y, _), t in zip(new, times, strict=True):
        floor = max(floor, min(t, float(rules.limit_ms)))  # never falling, never past the limit
        placed.append((x, y, round(floor, DECIMALS)))
    return Placed(placed, tuple(sorted(flags)))


def flags_of(path: list[Point], rules: Rules) -> tuple[str, ...]:
    """What a whole path says about the play; named, never acted upon here."""
    flags = set()
    if any(not (0 <= x <= FRAME_SIDE and 0 <= y <= FRAME_SIDE) for x, y, _ in path):
        flags.add("outside")
    # The first bubble needs no tick, hence 1; a tick more for times that were rounded.
    if any(n + 1 > 2 + t / rules.brush_tick_ms for n, (*_, t) in enumerate(path)):
        flags.add("too_many")
    # Coordinates have three decimals, so a step of 7 may read as 7.001.
    reach = (rules.brush_step + 0.01) ** 2
    steps = [(b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2 for a, b in zip(path, path[1:], strict=False)]
    if any(step > reach for step in steps):
        flags.add("step")
    if len(path) > 3 and path[-1][2] < SHORT_ROUND_MS:
        flags.add("short")
    return tuple(sorted(flags))


def store(
    connection: sa.Connection,
    round_id: str,
    first: int,
    points: list[Point],
    phase: str,
    now_ms: int,
) -> None:
    """Appends points; the primary key (round, first) makes a second time impossible."""
    connection.execute(
        _INSERT,
        {
            "round_id": round_id,
            "first": first,
            "count": len(points),
            "points": as_json(points),
            "phase": phase,
            "received_at": now_ms,
        },
    )


def stored(connection: sa.Connection, round_id: str) -> int:
    """Bubbles of a round in all phases; they have no gaps."""
    return connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(bubble_batches.c.count), 0)).where(
            bubble_batches.c.round_id == round_id
        )
    ).scalar_one()


def as_json(value: list) -> str:
    """Without spaces: the database holds tens of millions."""
    return json.dumps(value, separators=(",", ":"))


def from_json(text: str) -> list:
    """What `as_json` wrote."""
    return json.loads(text)


def path_of(
    connection: sa.Connection, round_id: str, phases: tuple[str, ...] = ("in_time",)
) -> list[Point]:
    """The round's points in order."""
    rows = connection.execute(_PATH, {"round_id": round_id, "phases": phases})
    return [tuple(point) for (text,) in rows for point in from_json(text)]


def path_hash(path: list[Point]) -> str | None:
    """Names a path, so that the same one sent twice is found; None for no path."""
    if not path:
        return None
    return hashlib.sha256(json.dumps([p[:2] for p in path]).encode()).hexdigest()


def was_sent_before(connection: sa.Connection, digest: str | None, round_id: str) -> bool:
    """Whether any other round has exactly this path."""
    if digest is None:
        return False
    return bool(
        connection.execute(
            sa.select(rounds.c.id)
            .where(rounds.c.path_hash == digest, rounds.c.id != round_id)
            .limit(1)
        ).scalar()
    )


def store_raw(connection: sa.Connection, round_id: str, events: list) -> None:
    """Keeps the pointer events of a round, once."""
    known = sa.select(raw_batches.c.round_id).where(raw_batches.c.round_id == round_id)
    if connection.execute(known).scalar() is None:
        connection.execute(raw_batches.insert().values(round_id=round_id, events=as_json(events)))
