"""Contests: spans of time. Who leads is computed from rounds; nothing is ever wiped."""

from typing import Any

import sqlalchemy as sa

from data_prep.humans.game.tables import contests, rounds
from data_prep.humans.studies.tables import participants

BEST = 10


def current(connection: sa.Connection, now_ms: int) -> sa.Row | None:
    """The contest whose span holds now; of several the one that ends first."""
    return connection.execute(
        contests.select()
        .where(contests.c.begins_at <= now_ms, contests.c.ends_at > now_ms)
        .order_by(contests.c.ends_at, contests.c.name)
        .limit(1)
    ).one_or_none()


def totals(
    connection: sa.Connection,
    contest_id: str | None,
    unranked: tuple[str, ...],
    participant_id: str | None = None,
) -> list[tuple[str, str, float, int]]:
    """[(participant, name, points, recognised)], best first; a contest's, or of all time.

    Of everybody, or of one person alone, which is one look into an index.

    Rounds with a flag of `unranked` and people who are excluded or have withdrawn do not count.
    """
    points = sa.func.sum(rounds.c.points)
    query = (
        sa.select(participants.c.id, participants.c.display_name, points, sa.func.count())
        .join(participants, participants.c.id == rounds.c.participant_id)
        .where(
            rounds.c.state == "recognised",
            participants.c.excluded_reason.is_(None),
            participants.c.withdrawn_at.is_(None),
            *(~rounds.c.flags.contains(f",{word},", autoescape=True) for word in unranked),
        )
        .group_by(participants.c.id, participants.c.display_name)
        .order_by(points.desc(), participants.c.display_name)
    )
    if participant_id is not None:
        query = query.where(rounds.c.participant_id == participant_id)
    if contest_id is not None:
        query = query.where(rounds.c.contest_id == contest_id)
    return [tuple(row) for row in connection.execute(query)]


def with_own(
    rows: list[tuple[str, str, float, int]], own: list[tuple[str, str, float, int]]
) -> list[tuple[str, str, float, int]]:
    """`totals` of everybody, a few seconds old, with one person's of now in place of theirs."""
    people = {row[0] for row in own}
    others = [row for row in rows if row[0] not in people]
    return sorted([*others, *own], key=lambda row: (-row[2], row[1]))


def board(rows: list[tuple[str, str, float, int]], participant_id: str) -> dict[str, Any]:
    """The ten best and one's own row; equal points share a rank."""
    ranked, rank = [], 0
    for place, (person, name, points, recognised) in enumerate(rows, 1):
        if place == 1 or round(points, 6) != round(rows[place - 2][2], 6):
            rank = place
        ranked.append(
            {
                "rank": rank,
                "display_name": name,
                "points": round(points, 1),
                "recognised": recognised,
                "own": person == participant_id,
            }
        )
    own = next((row for row in ranked if row["own"]), None)
    return {"best": ranked[:BEST], "own": own, "players": len(ranked)}


def add(
    connection: sa.Connection, contest_id: str, name: str, begins_at: int, ends_at: int, prizes: str
) -> None:
    """Adds a contest; ValueError if its span is empty or its name taken."""
    if begins_at >= ends_at:
        raise ValueError(f"Contest {name!r} ends before it begins.")
    if connection.execute(sa.select(contests.c.id).where(contests.c.name == name)).scalar():
        raise ValueError(f"There is a contest {name!r} already.")
    connection.execute(
        contests.insert().values(
            id=contest_id, name=name, begins_at=begins_at, ends_at=ends_at, prizes=prizes
        )
    )


def close(connection: sa.Connection, name: str, now_ms: int) -> None:
    """Ends a contest now; ValueError if none of that name is running."""
    ended = connection.execute(
        contests.update()
        .where(contests.c.name == name, contests.c.begins_at < now_ms, contests.c.ends_at > now_ms)
        .values(ends_at=now_ms)
    ).rowcount
    if not ended:
        raise ValueError(f"No contest {name!r} is running.")
