"""Backup and restore, rehearsed; and `studies` as its users type it."""

import shutil
import sqlite3
import threading

import pytest
import study_world

from data_prep import studies
from data_prep.humans.studies import backup, commands
from data_prep.humans.studies.database import open_database
from data_prep.humans.studies.tables import participants, recruitments


@pytest.fixture
def database(tmp_path):
    shutil.copy(study_world.empty_database(), tmp_path / "study.db")
    made = open_database(str(tmp_path / "study.db"))
    with made.write() as connection:
        for number in range(3):
            values = dict(id=f"p{number}", display_name=f"Person {number}", created_at=1)
            connection.execute(participants.insert().values(**values))
    yield made
    made.close()


def run(database, *words, **values):
    options = studies.Options(database=database.address, **values)
    commands.run(list(words), options, studies.rooms(), 5)


def test_a_backup_restores_the_same_rows(database, tmp_path):
    copy, again = str(tmp_path / "copy.db"), str(tmp_path / "again.db")
    rows = backup.backup(database, copy)
    assert rows["participants"] == 3
    assert backup.restore(copy, again) == rows
    assert backup.row_counts(open_database(again)) == rows


def test_a_backup_is_its_owners_alone_and_told_to_who_withdraws(database, tmp_path, capsys):
    copy, again, new = (tmp_path / name for name in ("copy.db", "again.db", "new.db"))
    run(database, "backup", output=str(copy))
    backup.restore(str(copy), str(again))
    open_database(str(new)).close()
    assert {path.stat().st_mode & 0o777 for path in (copy, again, new)} == {0o600}
    run(database, "participant", "withdraw", who="p1")
    assert f"holds the person still: {copy}" in capsys.readouterr().out


def test_a_backup_is_one_moment_while_others_write(database, tmp_path):
    stop = threading.Event()

    def write():
        number = 100
        while not stop.is_set():
            with database.write() as connection:
                for person in (number, number + 1):  # always two together
                    values = dict(id=str(person), display_name=str(person), created_at=1)
                    connection.execute(participants.insert().values(**values))
            number += 2

    thread = threading.Thread(target=write)
    thread.start()
    try:
        counts = [
            backup.backup(database, str(tmp_path / f"{n}.db"))["participants"] for n in range(3)
        ]
    finally:
        stop.set()
        thread.join()
    assert all((count - 3) % 2 == 0 for count in counts)


def test_nothing_is_overwritten(database, tmp_path):
    copy = str(tmp_path / "copy.db")
    backup.backup(database, copy)
    with pytest.raises(ValueError, match="exists"):
        backup.backup(database, copy)
    with pytest.raises(ValueError, match="exists"):
        backup.restore(copy, database.address)


def test_a_damaged_backup_is_refused(database, tmp_path):
    copy = tmp_path / "copy.db"
    backup.backup(database, str(copy))
    data = bytearray(copy.read_bytes())
    data[4096:60_000] = b"\xff" * (60_000 - 4096)
    copy.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        backup.restore(str(copy), str(tmp_path / "again.db"))
    assert not (tmp_path / "again.db").exists()


def test_status_show_exclude_withdraw_check(database, capsys):
    run(database, "status")
    run(database, "participant", "show", who="Person 1")
    run(database, "participant", "exclude", who="p1", reason="painted a frame")
    run(database, "participant", "withdraw", who="p2")
    run(database, "participant", "withdraw", who="p2")
    run(database, "check")
    text = capsys.readouterr().out
    assert "3  participants" in text and '"display_name": "Person 1"' in text
    assert "broken" not in text
    with sqlite3.connect(database.address) as connection:
        log = connection.execute("SELECT action, subject, reason FROM admin_log").fetchall()
    assert log[:2] == [("show", "p1", ""), ("exclude", "p1", "painted a frame")]
    assert [row[0] for row in log] == ["show", "exclude", "withdraw", "withdraw"]


def test_somebody_is_found_by_the_id_of_a_service(database, capsys):
    """It is all that a service tells of who is to be paid, or a person who writes in."""
    with database.write() as connection:
        for person, provider in (("p0", "pid"), ("p1", "prolific"), ("p2", "mturk")):
            outside = "twice" if person != "p0" else "5f3a"
            values = dict(participant_id=person, provider=provider, external_id=outside)
            connection.execute(recruitments.insert().values(**values))
    run(database, "participant", "show", who="5f3a")
    assert '"display_name": "Person 0"' in capsys.readouterr().out
    with pytest.raises(ValueError, match="are 2 participants 'twice'"):
        run(database, "participant", "show", who="twice")
    with pytest.raises(ValueError, match="is no participant 'nobody'"):
        run(database, "participant", "show", who="nobody")


def test_check_finds_what_is_broken(database):
    with sqlite3.connect(database.address) as connection:
        connection.execute("UPDATE participants SET withdrawn_at = 5 WHERE id = 'p0'")
        connection.execute(
            "INSERT INTO recruitments (participant_id, provider, external_id)"
            " VALUES ('p0', 'pid', 'x')"
        )
    with pytest.raises(ValueError, match="1 of"):
        run(database, "check")


def test_a_mistyped_database_is_not_made(tmp_path, database):
    class Wrong:
        address = str(tmp_path / "nothing.db")

    with pytest.raises(ValueError, match="no such file"):
        run(Wrong, "status")
    assert not (tmp_path / "nothing.db").exists()
    with pytest.raises(ValueError, match="no subcommand"):
        run(database, "participant", "delete")
