"""Looks after the database of a study, of whatever kind.

    python -m data_prep.studies status --database=clickme.db
    python -m data_prep.studies participant show|exclude|withdraw --who=NAME_OR_ID
    python -m data_prep.studies backup --output=FILE
    python -m data_prep.studies restore --input=FILE --database=NEW_FILE
    python -m data_prep.studies check

Who was shown, excluded or withdrawn, and what was copied, is kept in the database's admin_log. The
rooms of games and experiments hand in what they know of people and what must hold in their tables.
"""

import dataclasses
import sys
import time

from data_prep.humans.studies import settings
from gala_tf import command


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of all subcommands."""

    database: str = command.flag("clickme.db", "SQLite file, or postgresql://user@host/name.")
    who: str = command.flag("", "participant: id, display name, or a service's id.")
    reason: str = command.flag("", "participant exclude: why; empty includes again.")
    withdrawn_maps: str = command.flag(
        "delete", "participant withdraw: what becomes of maps.", ("delete", "anonymise")
    )
    output: str = command.flag("", "backup: the file to write.")
    input: str = command.flag("", "restore: the backup to read.")


def main() -> None:
    """Does what the subcommand says."""
    # Late: SQLAlchemy takes half a second, and --help does not need it.
    from data_prep.humans.studies import commands

    now_ms = time.time_ns() // 1_000_000
    commands.run(WORDS, command.from_flags(Options), rooms(), now_ms)


def rooms() -> list:
    """What stands above: a room adds one entry here. Late, for the same reason."""
    from data_prep.humans.game import about_people, invariants
    from data_prep.humans.psychophysics import about_people as about_observers
    from data_prep.humans.psychophysics import invariants as of_experiment
    from data_prep.humans.studies.commands import Room

    return [
        Room("game", about_people.ROOM, invariants.GAME),
        Room("psychophysics", about_observers.ROOM, of_experiment.EXPERIMENT),
    ]


if __name__ == "__main__":
    WORDS = settings.words_of(sys.argv)
    command.define_flags(Options)
    command.run(main, tensorflow=False)
