"""What the partner said: stored, and the round ended if it has recognised the picture."""

import sqlalchemy as sa

from data_prep.humans.game import bubbles, rounds
from data_prep.humans.game.ending import finish
from data_prep.humans.game.partners.asking import Look
from data_prep.humans.game.questions import Snapshot
from data_prep.humans.game.rules import is_recognised, points
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import queries
from data_prep.humans.game.tables import rounds as rounds_table

# Built once: asked with every answer.
_EVALUATED = (
    rounds_table.update()
    .where(
        rounds_table.c.id == sa.bindparam("round_id"),
        rounds_table.c.state == "playing",
        rounds_table.c.evaluated < sa.bindparam("upto"),
    )
    .values(evaluated=sa.bindparam("upto"))
    .returning(*rounds_table.c)
)
_ANSWERED = queries.insert()


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
    # Nearly always the round is being played, and this is its newest answer.
    this = {"round_id": snapshot.round_id, "upto": upto}
    row = connection.execute(_EVALUATED, this).one_or_none()
    is_newest = row is not None
    if row is None:
        row = rounds.get(connection, snapshot.round_id, lock=True)
    best = [
        [index, round(probability, 6)]
        for index, probability in zip(look.top5_class, look.top5_probability, strict=True)
        if index >= 0
    ]
    if is_newest or not _is_answered(connection, row, upto):
        values = {"rank": look.rank, "best": bubbles.as_json(best)}
        took = {"took_ms": round(look.ms, 3), "answered_at": now_ms}
        connection.execute(_ANSWERED, {**this, **values, **took})
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
    """Whether the same question is stored."""
    known = sa.select(queries.c.upto).where(queries.c.round_id == row.id, queries.c.upto == upto)
    return connection.execute(known).scalar() is not None


def without_partner(
    connection: sa.Connection, settings: GameSettings, round_id: str, now_ms: int
) -> tuple[int, str, float | None]:
    """The partner died: the round ends as hidden, flagged; what was painted stays."""
    row = rounds.get(connection, round_id, lock=True)
    row, _ = finish(connection, settings, row, "hide", now_ms, flags=("partner",))
    return row.evaluated, row.state, row.points
