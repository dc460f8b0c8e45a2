"""write() and read(), versions and migrations, and eight writers at once."""

import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from data_prep.humans.game import tables as _game_tables  # noqa: F401 the whole schema
from data_prep.humans.psychophysics import tables as _their_tables  # noqa: F401
from data_prep.humans.studies import tables
from data_prep.humans.studies.database import Database, WrongVersionError, open_database, shown


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def address(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "study.db")
    return request.getfixturevalue("postgres")


@pytest.fixture
def database(address):
    made = open_database(address)
    yield made
    made.close()


def add(connection, number):
    values = dict(id=str(number), display_name=f"name {number}", created_at=number)
    connection.execute(tables.participants.insert().values(**values))


def count(database):
    with database.read() as connection:
        return connection.execute(
            sa.select(sa.func.count()).select_from(tables.participants)
        ).scalar_one()


def test_errors_do_not_tell_what_was_to_be_stored(database):
    """They are logged, and logs are for everybody who looks after a machine."""
    row = dict(id="1", display_name="secret name", created_at=None)
    with pytest.raises(sa.exc.IntegrityError) as refused, database.write() as connection:
        connection.execute(tables.participants.insert().values(**row))
    assert "parameters hidden" in str(refused.value)


def test_the_schema_is_the_sum_of_its_migrations_and_rows_survive_them(address):
    old = Database(address)
    old.upgrade("0001")
    with old.write() as connection:
        add(connection, 1)
    old.close()
    database = open_database(address)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []
    assert count(database) == 1
    database.close()


def test_a_write_is_all_or_nothing(database):
    with pytest.raises(ZeroDivisionError):
        with database.write() as connection:
            add(connection, 1)
            raise ZeroDivisionError
    assert count(database) == 0
    with database.write() as connection:
        add(connection, 1)
    assert count(database) == 1


def test_reading_cannot_write(database):
    with pytest.raises(sa.exc.DBAPIError):
        with database.read() as connection:
            add(connection, 1)
    assert count(database) == 0


def test_eight_writers_that_read_first_lose_nothing(database):
    with database.write() as connection:
        add(connection, 0)

    def work(writer):
        for _ in range(25):
            with database.write() as connection:
                query = tables.participants.select().with_for_update()
                now = connection.execute(query).one().created_at
                connection.execute(tables.participants.update().values(created_at=now + 1))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(tables.participants.select()).one().created_at == 200


def test_a_database_of_a_later_version_is_refused(tmp_path):
    database = open_database(str(tmp_path / "study.db"))
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(WrongVersionError, match="9999"):
        open_database(str(tmp_path / "study.db"))


def test_durability_settings(tmp_path):
    database = open_database(str(tmp_path / "study.db"))
    with database.write() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_passwords_are_not_shown():
    assert "secret" not in shown("postgresql://me:secret@host/db")
