"""What the tests of any study need: a clock that they advance, tokens, an empty database."""

import atexit
import functools
import hashlib
import itertools
import shutil
import tempfile
from pathlib import Path

import sqlalchemy as sa

from data_prep.humans.studies.clocks import MovedClock
from data_prep.humans.studies.database import Database, open_database

BEGIN_MS = 1_700_000_000_000


def clock() -> MovedClock:
    """UTC in ms, which stands still until a test moves it."""
    return MovedClock(BEGIN_MS)


def tokens(of: str = "token"):
    """Tokens that are different, and the same in every run."""
    numbers = itertools.count()
    return lambda: hashlib.sha256(f"{of} {next(numbers)}".encode()).hexdigest()


@functools.cache
def shared_folder() -> Path:
    """For what is made once and only copied or read; gone with the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def empty_database() -> str:
    """A database after all migrations, which take half a second; copied for each world."""
    path = shared_folder() / "empty.db"
    one_file(open_database(str(path)))
    return str(path)


def one_file(database: Database) -> None:
    """Closes it with nothing left in a log beside it, so that it can be copied."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    database.close()


def emptied(postgres: str) -> str:
    """The address of a PostgreSQL database, with nothing in it any more."""
    database = Database(postgres)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    database.close()
    return postgres


def without_fsync(database: Database) -> Database:
    """Nobody pulls the plug on a test: waiting for the disk is most of a small commit."""
    if database.is_sqlite:
        sa.event.listen(database.engine, "connect", _without_fsync)
    return database


def _without_fsync(connection, _record):
    connection.execute("PRAGMA synchronous = OFF")
