"""Clicks as ClickMe 2.0's files have them: what `data_prep.readers.clicks` reads back."""

import datetime

import numpy as np
import sqlalchemy as sa

from data_prep.humans.game.exports.choosing import MAPS, Choice, Left, painted, pseudonyms
from data_prep.humans.game.tables import rounds
from data_prep.humans.studies import writing

COLUMNS = ("image_path", "clicks", "user_id", "timestamp", "user_catch_trial", "is_mobile")


def write_csv(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """One submission a row; returns how many."""
    name_of = pseudonyms(connection, choice.keep_ids)
    passed = catch_scores(connection, choice.until_ms)
    rows = (
        _fields(row, points, name_of, passed) for row, points in painted(connection, choice, left)
    )
    return writing.write_csv(path, COLUMNS, rows)


def _fields(row, points, name_of, passed):
    clicks = ", ".join(f"({_number(x)}, {_number(y)})" for x, y, _ in points)
    return (
        row.path,
        f"[{clicks}]",
        name_of(row.participant_id),
        timestamp(row.closed_at),
        f"{_catch(row, passed):g}",
        str(_is_mobile(row)).lower(),
    )


def _number(value):
    """Whole numbers without a point; three decimals at most, never an exponent."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def catch_scores(connection: sa.Connection, until_ms: int) -> dict[str, float]:
    """{participant: share of their scored catch rounds that they passed}, of those who had any."""
    query = (
        sa.select(rounds.c.participant_id, sa.func.avg(rounds.c.catch_score))
        .where(rounds.c.is_catch, rounds.c.catch_score.is_not(None))
        .where(rounds.c.state.in_(MAPS), rounds.c.closed_at <= until_ms)
        .group_by(rounds.c.participant_id)
    )
    return {participant: float(share) for participant, share in connection.execute(query)}


def _catch(row, passed):
    """The person's, not the round's: readers leave out *people* below their limit.

    Who has not met a catch round yet has failed none.
    """
    return passed.get(row.participant_id, 1.0)


def _is_mobile(row):
    # Withdrawal may have taken the session away; then the flag tells (about_people.py).
    return row.device_class == "phone" or ",phone," in row.flags


def timestamp(instant_ms: int) -> str:
    """ISO 8601, UTC, whole milliseconds."""
    time = datetime.datetime.fromtimestamp(instant_ms / 1000, datetime.UTC)
    return time.isoformat(timespec="milliseconds")


def write_npz(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """The same as plain arrays with offsets: no Python objects, hence no pickle."""
    name_of = pseudonyms(connection, choice.keep_ids)
    passed = catch_scores(connection, choice.until_ms)
    names, users, xs, ys, offsets, times, catches, mobiles = [], [], [], [], [0], [], [], []
    for row, points in painted(connection, choice, left):
        names.append(row.path)
        users.append(name_of(row.participant_id))
        xs += [x for x, _, _ in points]
        ys += [y for _, y, _ in points]
        offsets.append(len(xs))
        times.append(row.closed_at / 1000)
        catches.append(_catch(row, passed))
        mobiles.append(_is_mobile(row))
    with open(path, "wb") as file:  # a file object, so that numpy adds no ending to its name
        np.savez_compressed(
            file,
            file_pointer=np.array(names, str),
            clickmap_x=np.array(xs, float),
            clickmap_y=np.array(ys, float),
            clickmap_offsets=np.array(offsets, np.int64),
            user_id=np.array(users, str),
            timestamp=np.array(times, float),
            user_catch_trial=np.array(catches, float),
            is_mobile=np.array(mobiles, bool),
        )
    return len(names)
