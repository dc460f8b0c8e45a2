"""What must hold in a game's database, whatever was interrupted: `data_prep.studies check`."""

from collections.abc import Mapping

from data_prep.humans.game.rounds import HOLDING

_HELD = ", ".join(f"'{state}'" for state in HOLDING)
_IN_TIME = (
    "(SELECT coalesce(sum(count), 0) FROM bubble_batches b"
    " WHERE b.round_id = rounds.id AND b.phase = 'in_time')"
)

GAME: Mapping[str, str] = {
    "a picture's `taken` is the number of its open and finished rounds": (
        "SELECT count(*) FROM images WHERE taken <> (SELECT count(*) FROM rounds"
        f" WHERE image_id = images.id AND state IN ({_HELD}))"
    ),
    "a round's `bubbles` are those that are stored": (
        f"SELECT count(*) FROM rounds WHERE bubbles <> {_IN_TIME}"
    ),
    "batches of a round follow one another without gap or overlap": (
        "SELECT count(*) FROM (SELECT sum(count) AS total, max(first + count) AS reach"
        " FROM bubble_batches GROUP BY round_id) AS sums WHERE total <> reach"
    ),
    "a recognised round has points and the bubbles that earned them": (
        "SELECT count(*) FROM rounds WHERE state = 'recognised'"
        " AND (points IS NULL OR recognised_upto IS NULL)"
    ),
    "only rounds that were recognised have points": (
        "SELECT count(*) FROM rounds WHERE points IS NOT NULL"
        " AND state NOT IN ('recognised', 'voided')"
    ),
    "a round is closed exactly if it has an end": (
        "SELECT count(*) FROM rounds"
        " WHERE (state IN ('offered', 'playing')) = (closed_at IS NOT NULL)"
    ),
    "a session has one open round at most": (
        "SELECT count(*) FROM (SELECT session_id FROM rounds"
        " WHERE state IN ('offered', 'playing') AND session_id IS NOT NULL"
        " GROUP BY session_id HAVING count(*) > 1) AS doubled"
    ),
    "nobody has a picture twice": (
        "SELECT count(*) FROM (SELECT 1 FROM rounds WHERE state <> 'released'"
        " GROUP BY participant_id, image_id HAVING count(*) > 1) AS doubled"
    ),
    "every question is about bubbles that are stored": (
        "SELECT count(*) FROM queries q JOIN rounds ON rounds.id = q.round_id"
        f" WHERE q.upto > {_IN_TIME}"
    ),
    "a playing round was started": (
        "SELECT count(*) FROM rounds WHERE state = 'playing' AND started_at IS NULL"
    ),
}
