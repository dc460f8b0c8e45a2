"""What must hold in any database of ours, whatever was interrupted: found by one statement each."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

# name: a statement that counts violations; names say what must hold
STUDIES: Mapping[str, str] = {
    "every consent is to a published text": (
        "SELECT count(*) FROM consents WHERE version NOT IN (SELECT version FROM consent_texts)"
    ),
    "nobody who withdrew has an identity, contact or session left": (
        "SELECT count(*) FROM participants WHERE withdrawn_at IS NOT NULL AND ("
        "id IN (SELECT participant_id FROM recruitments)"
        " OR id IN (SELECT participant_id FROM contacts)"
        " OR id IN (SELECT participant_id FROM sessions))"
    ),
}


def violations(connection: sa.Connection, rooms: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """{what must hold: how many rows break it}, over the studies' own and all rooms'."""
    counts = {}
    for invariants in (STUDIES, *rooms):
        for name, statement in invariants.items():
            counts[name] = int(connection.execute(sa.text(statement)).scalar() or 0)
    if connection.dialect.name == "sqlite":
        problems = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        counts["the file is whole (integrity_check)"] = sum(text != "ok" for text in problems)
        foreign = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        counts["every reference leads to a row"] = len(foreign)
    return counts
