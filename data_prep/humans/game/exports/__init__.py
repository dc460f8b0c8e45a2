"""Everything out again, as the other commands read it.

    clicks_csv, clicks_npz   what `build_tfrecords --source=clickme_clicks --click_frame=256` reads
    rounds_ndjson            one round a line, with its drawing and questions
    maps                     counts of bubbles a picture, PNG and NPZ
    images                   the pictures that have maps, in class folders: `--input_dir` of that
    participants_csv, queries_csv, consents_csv

clicks.py, ndjson.py, maps.py, pictures.py and people_tables.py write them; choosing.py says which
rounds go in.
An export is streamed, written beside its place and renamed; the same database and choice give the
same bytes. It says what it left out and why.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping

import sqlalchemy as sa

from data_prep.humans.game.exports import clicks, maps, ndjson, people_tables, pictures
from data_prep.humans.game.exports.choosing import Choice, Left
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import rounds
from data_prep.humans.studies import study, writing
from data_prep.humans.studies.database import Database

__all__ = ["Choice", "write"]

FORMATS: Mapping[str, Callable] = {
    "clicks_csv": clicks.write_csv,
    "clicks_npz": clicks.write_npz,
    "rounds_ndjson": ndjson.write,
    "maps": maps.write,
    "images": pictures.write,
    "participants_csv": people_tables.participants_csv,
    "queries_csv": people_tables.queries_csv,
    "consents_csv": people_tables.consents_csv,
}


def write(
    database: Database, settings: GameSettings, format: str, output: str, choice: Choice
) -> str:
    """Writes an export and its metadata beside it; returns what was written and left out.

    Raises:
      ValueError: no such format, or the output exists.
    """
    if format not in FORMATS:
        raise ValueError(f"--format={format!r}: expected one of {', '.join(FORMATS)}.")
    if os.path.exists(output):
        raise ValueError(f"--output={output!r} exists; an export never replaces another.")
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    left = Left()
    with database.read() as connection, writing.whole(output) as beside:
        rows = FORMATS[format](connection, choice, str(beside), left)
        study_facts = _facts_of(connection, settings)
    facts = {
        "format": format,
        "rows": rows,
        "left_out": left.counts,
        "until_ms": choice.until_ms,
        "include_late": choice.include_late,
        "include_keyboard": choice.include_keyboard,
        "pseudonyms": not choice.keep_ids,
        **study_facts,
    }
    writing.write(output + ".about.json", writing.to_json(facts))
    return f"{output}: {rows} rows{left.sentence()}"


def _facts_of(connection, settings):
    """What readers of the data have to know: how the game was really served, not today's flags."""
    stored = study.settings_of(connection, settings.study.study)
    served = GameSettings.from_json(stored) if stored else settings
    hashes = {
        column.name: sorted(connection.execute(sa.select(column).distinct()).scalars())
        for column in (rounds.c.rules_hash, rounds.c.partner_hash)
    }
    return {
        "study": served.study.study,
        "demo": served.demo,
        "rules": dataclasses.asdict(served.rules),
        "partner": served.partner or "demo",
        "partner_learns_from_players": False,
        **hashes,
    }
