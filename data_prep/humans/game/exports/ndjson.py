"""One round a line, in the shape that Quick, Draw! made known: all states, nothing left out."""

import json

import sqlalchemy as sa

from data_prep.humans.game.bubbles import from_json, path_of
from data_prep.humans.game.exports.choosing import Choice, Left, closed_rounds, pseudonyms
from data_prep.humans.game.exports.clicks import timestamp
from data_prep.humans.game.tables import queries


def write(connection: sa.Connection, choice: Choice, path: str, left: Left) -> int:
    """Every closed round but those of people who withdrew, whose bubbles are gone."""
    name_of, count = pseudonyms(connection, choice.keep_ids), 0
    with open(path, "w", encoding="utf-8") as file:
        for row in closed_rounds(connection, choice.until_ms):
            if row.withdrawn_at is not None:
                left.add("of people who withdrew")
                continue
            file.write(json.dumps(_round(connection, row, choice, name_of)) + "\n")
            count += 1
    return count


def _round(connection, row, choice, name_of):
    points = path_of(connection, row.id, choice.phases)
    asked = connection.execute(
        queries.select().where(queries.c.round_id == row.id).order_by(queries.c.upto)
    )
    return {
        "key": row.id,
        "word": row.label,
        "wnid": row.wnid,
        "image_sha256": row.sha256,
        "participant": name_of(row.participant_id),
        "recognised": row.state == "recognised",
        "state": row.state,
        "timestamp": timestamp(row.closed_at),
        "points": row.points,
        "recognised_upto": row.recognised_upto,
        "skip_reason": row.skip_reason,
        "input": row.input,
        "device": row.device_class,
        "flags": [word for word in row.flags.split(",") if word],
        "excluded": row.excluded_reason is not None,
        "first_bubble_ms": row.first_bubble_ms,
        "drawing": [list(values) for values in zip(*points, strict=True)] or [[], [], []],
        "queries": [
            {"upto": one.upto, "rank": one.rank, "best": from_json(one.best), "ms": one.took_ms}
            for one in asked
        ],
        "rules_hash": row.rules_hash,
        "partner_hash": row.partner_hash,
    }
