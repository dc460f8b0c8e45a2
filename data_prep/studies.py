"""Looks after the database of a study, of whatever kind.

    python -m data_prep.studies status --database=clickme.db
    python -m data_prep.studies participant show|exclude|withdraw --who=NAME_OR_ID
    python -m data_prep.studies backup --output=FILE
    python -m data_prep.studies restore --input=FILE --database=NEW_FILE
    python -m data_prep.studies check

Each act is kept in the database's admin_log. The rooms of games and experiments hand in what they
know of people and what must hold in their tables.
"""

import sys
import time

from absl import app, flags, logging


def declare_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Flags of all subcommands."""
    words = dict(flag_values=flag_values)
    flags.DEFINE_string("database", "clickme.db", "SQLite file, or postgresql://...", **words)
    flags.DEFINE_string("who", "", "participant: id or display name", **words)
    flags.DEFINE_string("reason", "", "participant exclude: why; empty includes again", **words)
    flags.DEFINE_enum(
        "withdrawn_maps", "delete", ["delete", "anonymise"], "participant withdraw", **words
    )
    flags.DEFINE_string("output", "", "backup: the file to write", **words)
    flags.DEFINE_string("input", "", "restore: the backup to read", **words)


def main(words: list[str]) -> None:
    """Runs one subcommand; what a person can mend ends in one line."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(
            logging.WARNING
        )  # before Alembic is imported, which tells its plugins
    # Late: SQLAlchemy takes half a second, and --help does not need it.
    from data_prep.humans.studies import commands

    try:
        commands.run(words[1:], flags.FLAGS, rooms(), time.time_ns() // 1_000_000)
    except ValueError as error:
        sys.exit(f"error: {error}")


def rooms() -> list:
    """What stands above: a room adds one entry here. Late, for the same reason."""
    from data_prep.humans.game import about_people, invariants
    from data_prep.humans.studies.commands import Room

    return [Room("game", about_people.ROOM, invariants.GAME)]


if __name__ == "__main__":
    declare_flags()
    app.run(main)
