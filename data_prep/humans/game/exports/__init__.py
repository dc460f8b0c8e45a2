"""Everything out again, as the other commands read it.

    clicks_csv, clicks_npz   what `build_tfrecords --source=clickme_clicks --click_frame=256` reads
    rounds_ndjson            one round a line, with its drawing and questions
    maps                     counts of bubbles a picture, PNG and NPZ
    participants_csv, queries_csv, consents_csv

clicks.py, ndjson.py, maps.py and people_tables.py write them; choosing.py says which rounds go in.
An export is streamed, written beside its place and renamed; the same database and choice give the
same bytes. It says what it left out and why.
"""

import json
import os
from collections.abc import Callable, Mapping

from data_prep.humans.game.exports import clicks, maps, ndjson, people_tables
from data_prep.humans.game.exports.choosing import Choice, Left
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies.database import Database

__all__ = ["Choice", "write"]

FORMATS: Mapping[str, Callable] = {
    "clicks_csv": clicks.write_csv,
    "clicks_npz": clicks.write_npz,
    "rounds_ndjson": ndjson.write,
    "maps": maps.write,
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
    beside, left = output + ".writing", Left()
    with database.read() as connection:
        rows = FORMATS[format](connection, choice, beside, left)
    os.replace(beside, output)
    facts = {
        "format": format,
        "rows": rows,
        "left_out": left.counts,
        "until_ms": choice.until_ms,
        "include_late": choice.include_late,
        "include_keyboard": choice.include_keyboard,
        "pseudonyms": not choice.keep_ids,
        "demo": settings.demo,
        "rules": json.loads(settings.as_json())["rules"],
    }
    with open(output + ".about.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    return f"{output}: {rows} rows{left.sentence()}"
