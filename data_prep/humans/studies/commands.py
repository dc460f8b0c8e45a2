"""What the subcommands of `data_prep.studies` do."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from data_prep.humans.studies import backup, invariants, participants, withdrawal
from data_prep.humans.studies.database import open_existing, shown
from data_prep.humans.studies.tables import participants as people_table


class Room(NamedTuple):
    """What a game or an experiment hands in."""

    name: str
    people: withdrawal.Room
    invariants: Mapping[str, str]


def run(words: list[str], options: Any, rooms: list[Room], now_ms: int) -> None:
    """Runs `words`, for example ["participant", "show"]; ValueError lists what there is."""
    command = COMMANDS.get(" ".join(words[:2]))
    if command is None:
        raise ValueError(f"{' '.join(words)!r} is no subcommand; there are {', '.join(COMMANDS)}.")
    command(options, rooms, now_ms)


def _status(options, rooms, now_ms):
    database = open_existing(options.database)
    print(f"{shown(options.database)}, version {database.version()}")
    for name, rows in backup.row_counts(database).items():
        print(f"{rows:>12,}  {name}")
    with database.read() as connection:
        for label, condition in (
            ("withdrew", people_table.c.withdrawn_at.is_not(None)),
            ("excluded", people_table.c.excluded_reason.is_not(None)),
        ):
            query = sa.select(sa.func.count()).select_from(people_table).where(condition)
            print(f"{connection.execute(query).scalar_one():>12,}  participants {label}")


def _show(options, rooms, now_ms):
    with open_existing(options.database).write() as connection:
        person = participants.named(connection, options.who)
        found = withdrawal.about(connection, person.id, [room.people for room in rooms])
        participants.log(connection, "show", person.id, "", now_ms)
    print(json.dumps(found, indent=2))


def _exclude(options, rooms, now_ms):
    with open_existing(options.database).write() as connection:
        person = participants.named(connection, options.who)
        participants.exclude(connection, person.id, options.reason, now_ms)
    print(f"{person.display_name}: {'excluded' if options.reason else 'included again'}")


def _withdraw(options, rooms, now_ms):
    database = open_existing(options.database)
    with database.write() as connection:
        person = participants.named(connection, options.who)
        withdrawal.withdraw(
            connection,
            person.id,
            [room.people for room in rooms],
            options.withdrawn_maps == "delete",
            now_ms,
        )
        made = withdrawal.exports_before(connection, now_ms)
    database.forget_deleted()
    print(f"{person.display_name}: withdrawn.")
    for path in made:
        print(f"  made before, and holds the person still: {path}")


def _backup(options, rooms, now_ms):
    if not options.output:
        raise ValueError("--output is missing: the file to write.")
    database = open_existing(options.database)
    rows = backup.backup(database, options.output)
    with database.write() as connection:
        # So that whoever withdraws later can be told which files still hold what they made.
        participants.log(connection, "backup", os.path.abspath(options.output), "", now_ms)
    print(f"{options.output}: verified, {sum(rows.values()):,} rows in {len(rows)} tables")


def _restore(options, rooms, now_ms):
    rows = backup.restore(options.input, options.database)
    print(f"{options.database}: {sum(rows.values()):,} rows in {len(rows)} tables")


def _check(options, rooms, now_ms):
    with open_existing(options.database).read() as connection:
        found = invariants.violations(connection, [room.invariants for room in rooms])
    for name, count in found.items():
        print(f"{'ok' if not count else f'{count} broken':>12}  {name}")
    broken = sum(count > 0 for count in found.values())
    if broken:
        raise ValueError(f"{broken} of {len(found)} invariants do not hold.")


COMMANDS = {
    "status": _status,
    "participant show": _show,
    "participant exclude": _exclude,
    "participant withdraw": _withdraw,
    "backup": _backup,
    "restore": _restore,
    "check": _check,
}
