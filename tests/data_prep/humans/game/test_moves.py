"""The state machine of a round: every state x every event, and who wins a race."""

import itertools
import threading

import pytest
import sqlalchemy as sa

from data_prep.humans.game import rounds
from data_prep.humans.game.tables import OPEN, STATES
from data_prep.humans.game.tables import rounds as table

MAY = {
    "start": {"offered": "playing"},
    "recognise": {"playing": "recognised"},
    "time_out": {"playing": "timed_out"},
    "skip": {"offered": "skipped", "playing": "skipped"},
    "hide": {"playing": "hidden"},
    "abandon": {"playing": "abandoned"},
    "release": {"offered": "released"},
    "void": {
        "recognised": "voided",
        "timed_out": "voided",
        "skipped": "voided",
        "hidden": "voided",
        "abandoned": "voided",
        "released": "voided",
    },
}


@pytest.fixture
def round_id(alice):
    return alice.ask().json()["round"]


def put(world, round_id, state):
    with world.database.write() as connection:
        connection.execute(table.update().where(table.c.id == round_id).values(state=state))


def test_every_state_and_every_event(world, round_id):
    for state, event in itertools.product(STATES, rounds.MOVES):
        put(world, round_id, state)
        with world.database.write() as connection:
            row, moved = rounds.move(connection, round_id, event, 5)
        assert row.state == MAY[event].get(state, state), (state, event)
        assert moved == (state in MAY[event]), (state, event)


def test_the_database_knows_the_same_states(world, round_id):
    check = next(c for c in table.constraints if isinstance(c, sa.CheckConstraint))
    for state in STATES:
        assert f"'{state}'" in str(check.sqltext)
    with pytest.raises(sa.exc.IntegrityError):
        put(world, round_id, "finished")


def test_one_open_round_a_session_is_the_databases_own_rule(world, alice, round_id):
    with world.database.write() as connection:
        row = rounds.get(connection, round_id)
        another = {**row._mapping, "id": "another", "image_id": row.image_id}
    with pytest.raises(sa.exc.IntegrityError):
        with world.database.write() as connection:
            connection.execute(table.insert().values(another))


def test_of_sixteen_endings_at_once_one_wins(world, alice):
    round_id = alice.round()
    events = ["recognise", "time_out", "hide", "abandon"] * 4
    gate, won = threading.Barrier(len(events)), []

    def finish(event):
        gate.wait()
        with world.database.write() as connection:
            row, moved = rounds.move(connection, round_id, event, 7)
        if moved:
            won.append((event, row.state))

    threads = [threading.Thread(target=finish, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    with world.database.read() as connection:
        assert rounds.get(connection, round_id).state == won[0][1]


def test_only_move_writes_a_state():
    import pathlib

    folder = pathlib.Path(rounds.__file__).parent
    writers = [
        path.name
        for path in folder.rglob("*.py")
        if "state="
        in path.read_text().replace("state=row.state", "").replace('state="offered"', "")
    ]
    assert writers == ["rounds.py"]
    assert set(OPEN) | set(rounds.CLOSED) == set(STATES)
