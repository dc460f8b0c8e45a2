"""Many people and tabs at once, on both back ends; then everything that must hold is looked at."""

import collections
import dataclasses
import threading

import pytest
from game_world import World, winning

from data_prep.humans.game import invariants, rounds
from data_prep.humans.game import messages as m
from data_prep.humans.game.errors import AllPlayed, RoundTaken
from data_prep.humans.game.exports import FORMATS, Choice, write
from data_prep.humans.game.tables import images
from data_prep.humans.game.tables import rounds as table
from data_prep.humans.studies import invariants as study_invariants

PEOPLE = 8


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def world(request, tmp_path):
    postgres = request.param == "postgresql"
    address = request.getfixturevalue("postgres") if postgres else ""
    with World(tmp_path, each=3, database=address) as made:
        yield made


def together(works):
    """Runs functions at once; raises the first error."""
    errors, gate = [], threading.Barrier(len(works))

    def run(work):
        gate.wait()
        try:
            work()
        except Exception as error:  # handed on below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def unbroken(world):
    with world.database.read() as connection:
        found = study_invariants.violations(connection, [invariants.GAME])
    assert not any(found.values()), found


def test_eight_people_play_all_pictures(world):
    service, path = world.service, winning(20)

    def play(cookie):
        while True:
            try:
                asked = m.RoundAsked(tab="tab-tab-tab")
                given = service.offer(cookie, asked, world.clock())
            except AllPlayed:
                return
            now = world.clock()
            service.start(cookie, given.round, m.StartSent(), now)
            batch = m.BubblesSent(seq=0, first=0, points=path)
            for _ in range(2):  # the second one changes nothing
                service.add_bubbles(cookie, given.round, batch, now + 1000)
            service.end(cookie, given.round, m.EndSent(reason="timeout"), now + 7000)

    cookies = [world.person().http.cookies["study_session"] for _ in range(PEOPLE)]
    world.service._rounds_limit.take = lambda *_: None  # they play faster than people can
    world.service._messages_limit.take = lambda *_: None
    together([lambda cookie=cookie: play(cookie) for cookie in cookies])
    with world.database.read() as connection:
        rows = connection.execute(table.select()).all()
    assert len(rows) == PEOPLE * 9
    assert set(collections.Counter(row.image_id for row in rows).values()) == {PEOPLE}
    unbroken(world)


@pytest.mark.parametrize("rule", ["coverage", "target:9", "random"])
def test_who_has_few_pictures_left_waits_for_one_that_others_hold(world, rule):
    """On PostgreSQL it was passed by, and the last picture looked like none at all."""
    world.service.settings = dataclasses.replace(world.settings, allocation=rule)
    alice, got = world.person(), []
    for _ in range(8):
        alice.end(alice.ask().json()["round"], "skip")
    with world.database.write() as connection:
        connection.execute(images.select().with_for_update()).all()
        asking = threading.Thread(target=lambda: got.append(alice.ask().status_code))
        asking.start()
        asking.join(0.5)
        assert not got
    asking.join()
    assert got == [200]


def test_many_tabs_of_one_person_get_one_round(world):
    cookie, got = world.person().http.cookies["study_session"], []

    def ask(number):
        try:
            asked = m.RoundAsked(tab=f"tab-number-{number}")
            got.append(world.service.offer(cookie, asked, world.clock()).round)
        except RoundTaken:
            got.append(None)

    together([lambda number=number: ask(number) for number in range(8)])
    assert len(set(got) - {None}) == 1 and got.count(None) == 7
    unbroken(world)


def test_one_batch_sent_by_many_at_once_is_stored_once(world):
    alice = world.person()
    cookie, round_id = alice.http.cookies["study_session"], alice.round()
    world.service._messages_limit.take = lambda *_: None
    batch = m.BubblesSent(seq=0, first=0, points=winning(20))
    now = world.clock() + 1000
    send = lambda: world.service.add_bubbles(cookie, round_id, batch, now)  # noqa: E731
    together([send] * 8)
    with world.database.read() as connection:
        assert rounds.get(connection, round_id).bubbles == 20
    unbroken(world)


def test_every_export_is_written(world, tmp_path):
    alice = world.person()
    round_id = alice.round()
    world.clock.advance(1000)
    alice.bubbles(round_id, winning(10))
    alice.end(round_id)
    for format in FORMATS:
        assert "1 rows" in write(
            world.database, world.settings, format, str(tmp_path / format), Choice(2 * 10**12)
        ) or format in ("queries_csv",)
    assert alice.http.get("/api/me").json()["rounds"][0]["state"] == "timed_out"
    assert alice.http.delete("/api/me").status_code == 204
    unbroken(world)
