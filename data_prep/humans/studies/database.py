"""The two ways to the rows: `write()` and `read()`. Nothing else opens a connection.

SQLite. A deferred transaction that reads first and then writes fails at once when another writer
was between (SQLITE_BUSY_SNAPSHOT, which no busy_timeout waits for): of 800 such writes by eight
threads 735 were lost. So every write is BEGIN IMMEDIATE: it waits for its turn *before* it reads.
WAL lets readers go on meanwhile; synchronous FULL makes what was acknowledged survive a power cut.
PostgreSQL does the same by ordinary transactions and the guarded updates of `rounds.py`.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import command as alembic_command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 5000


class WrongVersionError(ValueError):
    """The database has a version that this program does not know."""


def url_of(address: str) -> str:
    """The SQLAlchemy URL of a file name or a PostgreSQL address."""
    if address.startswith(("postgres://", "postgresql://")):
        return "postgresql+psycopg://" + address.partition("://")[2]
    return address if "://" in address else f"sqlite:///{address}"


class Database:
    """A database of the version that this program expects."""

    def __init__(self, address: str):
        self.address = address
        # Errors are logged, and would name what was to be stored: addresses, outside ids.
        self.engine = sa.create_engine(url_of(address), hide_parameters=True, **_options(address))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite's busy handler sleeps and retries: writers of one process queue fairly here
        # instead. Other processes are still met by BEGIN IMMEDIATE and its timeout.
        self._turn = threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        if self.is_sqlite:
            _make_private(address)
            sa.event.listen(self.engine, "connect", _prepare_sqlite)

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction; committed at the end, rolled back on any error.

        Inside: statements only. No network, no files, no hashing, no partner: everybody waits.
        """
        with self._turn, self.engine.connect() as connection:
            if self.is_sqlite:
                _begin(connection, "BEGIN IMMEDIATE", query_only=False)
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent look at the rows; a statement that writes fails."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                _begin(connection, "BEGIN", query_only=True)
            else:
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
            try:
                yield connection
            finally:
                connection.rollback()

    def forget_deleted(self) -> None:
        """Empties SQLite's log, where rows that were deleted can still be read.

        As far as it can be: a long reader, as an export is, keeps its part until a later call.
        """
        if not self.is_sqlite:
            return
        with self._turn, self.engine.connect() as connection:
            try:
                connection.exec_driver_sql("PRAGMA busy_timeout = 500")  # all writers wait with us
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()

    def version(self) -> str | None:
        """The migration this database is at; None for an empty one."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def upgrade(self, revision: str = "head") -> None:
        """Runs the migrations that are missing.

        Raises:
          WrongVersionError: the database was written by a later program.
        """
        if self.check_known() == revision:
            return
        config = _alembic()
        with self.engine.connect() as connection:
            if self.is_sqlite:  # all migrations or none
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            alembic_command.upgrade(config, revision)
            connection.commit()

    def check_known(self) -> str | None:
        """The version, "head" if it is the newest; WrongVersionError if this program is older."""
        version, (head, known) = self.version(), _revisions()
        if version is not None and version not in known:
            raise WrongVersionError(
                f"The database {shown(self.address)!r} is of version {version!r}, which this "
                f"program does not know (it knows up to {head}). Update the program, or restore a "
                "backup of an earlier version."
            )
        return "head" if version == head else version


@functools.cache
def _revisions():
    scripts = ScriptDirectory.from_config(_alembic())
    return scripts.get_current_head(), {script.revision for script in scripts.walk_revisions()}


def open_database(address: str) -> Database:
    """The database at an address, made or brought up to date if need be."""
    database = Database(address)
    database.upgrade()
    return database


def open_existing(address: str) -> Database:
    """Opens a database, but makes none: a mistyped name would else look like an empty study."""
    if "://" not in address and not os.path.exists(address):
        raise ValueError(f"--database={address!r}: there is no such file.")
    return open_database(address)


def shown(address: str) -> str:
    """An address without its password."""
    return sa.make_url(url_of(address)).render_as_string(hide_password=True)


def _make_private(address):
    """A new file is its owner's alone, and so are the files that SQLite puts beside it."""
    if "://" not in address and ":memory:" not in address and not os.path.exists(address):
        with contextlib.suppress(OSError):  # SQLite itself says better what is wrong
            os.close(os.open(address, os.O_CREAT | os.O_WRONLY, 0o600))


def _options(address):
    if "://" not in address:
        # Threads of the pool share connections in turn; pysqlite must not begin by itself.
        return {
            "connect_args": {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
            "pool_size": 20,
            "pool_use_lifo": True,  # the last one used has the newest pages in its cache
        }
    return {"pool_pre_ping": True, "pool_size": 20}


def _begin(connection, statement, query_only):
    """Straight to the driver: through SQLAlchemy, these two cost as much as a statement with rows.

    What is set stays set, so it is said only when it changes.
    """
    connection.begin()  # SQLAlchemy's own, which tells the driver nothing: commit() must commit
    driver, known = connection.connection.driver_connection, connection.info
    if known.get("query_only") != query_only:
        driver.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
        known["query_only"] = query_only
    driver.execute(statement)


def _prepare_sqlite(connection, _record):
    connection.isolation_level = None  # we say BEGIN IMMEDIATE ourselves
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
        "secure_delete = ON",  # what people withdraw must not stay in free pages, nor in backups
    ):
        connection.execute(f"PRAGMA {pragma}")


def _alembic():
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
