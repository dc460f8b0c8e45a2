"""Rounds as plain rows, for whatever counts them: statistics, quality, replay."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from data_prep.humans.game.tables import bubble_batches, images, queries, rounds

# A map is what was painted in a round that was neither skipped nor taken out.
WITHOUT_MAP = frozenset({"skipped", "voided", "released", "offered"})


class Played(NamedTuple):
    """One closed round."""

    id: str
    participant: str
    image: str
    wnid: str
    label: str
    state: str
    skip_reason: str | None
    closed_at: int  # UTC, ms
    first_bubble_ms: int | None
    bubbles: int
    last_ms: float
    points: float | None
    flags: frozenset[str]
    is_catch: bool
    catch_score: float | None

    @property
    def has_map(self) -> bool:
        """Whether its bubbles count as a map."""
        return self.bubbles > 0 and self.state not in WITHOUT_MAP


def read(connection: sa.Connection, until_ms: int | None = None) -> list[Played]:
    """All closed rounds that were begun or skipped, in the order in which they closed."""
    query = (
        sa.select(rounds, images.c.wnid, images.c.label)
        .join(images, images.c.id == rounds.c.image_id)
        .where(rounds.c.closed_at.is_not(None), rounds.c.state.not_in(("voided", "released")))
        .order_by(rounds.c.closed_at, rounds.c.id)
    )
    if until_ms is not None:
        query = query.where(rounds.c.closed_at < until_ms)
    return [
        Played(
            row.id,
            row.participant_id,
            row.image_id,
            row.wnid,
            row.label,
            row.state,
            row.skip_reason,
            row.closed_at,
            row.first_bubble_ms,
            row.bubbles,
            row.last_ms,
            row.points,
            frozenset(word for word in row.flags.split(",") if word),
            row.is_catch,
            row.catch_score,
        )
        for row in connection.execute(query)
    ]


def paths(
    connection: sa.Connection, phases: tuple[str, ...] = ("in_time",)
) -> Iterator[tuple[str, np.ndarray]]:
    """(round, its bubbles [M, 3]) of all rounds with bubbles, streaming."""
    query = (
        sa.select(bubble_batches.c.round_id, bubble_batches.c.points)
        .where(bubble_batches.c.phase.in_(phases))
        .order_by(bubble_batches.c.round_id, bubble_batches.c.first)
    )
    current, points = None, []
    for round_id, text in connection.execution_options(yield_per=1000).execute(query):
        if round_id != current and current is not None:
            yield current, np.array(points, float)
            points = []
        current = round_id
        points += json.loads(text)
    if current is not None:
        yield current, np.array(points, float)


def latencies_ms(connection: sa.Connection) -> np.ndarray:
    """How long the partner took, from question to answer, one number a question."""
    return np.array(connection.execute(sa.select(queries.c.took_ms)).scalars().all(), float)
