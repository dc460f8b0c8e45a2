"""Copies of an SQLite database, made while it is in use, and trusted only once they are verified.

PostgreSQL has its own tools for this (pg_dump), which know more of it than we do.
"""

import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from data_prep.humans.studies.database import Database


def backup(database: Database, destination: str) -> dict[str, int]:
    """Writes a verified copy to a new file; returns the rows of each table in it.

    The online copy is consistent: it is one moment of the database, whoever writes meanwhile.

    Raises:
      ValueError: not SQLite, the file exists, or the copy is damaged.
    """
    if not database.is_sqlite:
        raise ValueError("This database is PostgreSQL: back it up with pg_dump.")
    if os.path.exists(destination):
        raise ValueError(f"{destination!r} exists; a backup never replaces another.")
    beside = destination + ".writing"
    _make_private(beside)
    source = sqlite3.connect(database.address)
    target = sqlite3.connect(beside)
    try:
        source.backup(target)
        # One file that can be carried away; the copy would else want its -wal beside it.
        target.execute("PRAGMA journal_mode = DELETE")
    finally:
        target.close()
        source.close()
    rows = verify(beside)
    _to_disk(beside)
    os.rename(beside, destination)
    _to_disk(os.path.dirname(os.path.abspath(destination)))
    return rows


def restore(backup_file: str, destination: str) -> dict[str, int]:
    """Puts a verified backup where a database is to be; never over one that exists.

    Raises:
      ValueError: the backup is damaged, or something is there already.
    """
    rows = verify(backup_file)
    taken = [destination + end for end in ("", "-wal", "-shm") if os.path.exists(destination + end)]
    if taken:
        raise ValueError(f"{taken[0]!r} exists. Move it away first; nothing is overwritten.")
    beside = destination + ".writing"
    _make_private(beside)
    with open(backup_file, "rb") as source, open(beside, "wb") as target:
        while block := source.read(1 << 20):
            target.write(block)
    if verify(beside) != rows:
        raise ValueError(f"{beside!r} differs from the backup. Is the disk full or failing?")
    _to_disk(beside)
    os.rename(beside, destination)
    return rows


def verify(path: str) -> dict[str, int]:
    """The rows of each table; ValueError if the file is damaged or no database of ours."""
    if not os.path.exists(path):
        raise ValueError(f"There is no file {path!r}.")
    try:
        connection = sqlite3.connect(f"file:{Path(path).absolute()}?mode=ro", uri=True)
        try:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = sorted(name for (name,) in names if not name.startswith("sqlite_"))
            rows = {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in tables
            }
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path!r} is damaged or no SQLite database: {error}.") from error
    if problems != ["ok"]:
        raise ValueError(f"{path!r} is damaged: {problems[0]}. Use an earlier backup.")
    if "alembic_version" not in rows:
        raise ValueError(f"{path!r} is a database, but not of a study.")
    return rows


def row_counts(database: Database) -> dict[str, int]:
    """The rows of each table of a database of either kind."""
    with database.read() as connection:
        return {
            name: connection.execute(sa.text(f'SELECT count(*) FROM "{name}"')).scalar_one()
            for name in sorted(sa.inspect(connection).get_table_names())
        }


def _make_private(path):
    """An empty file that its owner alone may read: addresses and outside ids will be in it."""
    Path(path).unlink(missing_ok=True)
    Path(path).touch(0o600)


def _to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
