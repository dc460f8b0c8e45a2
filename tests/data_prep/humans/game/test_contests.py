"""GET /api/leaderboard: ranks, ties, one's own row, contests, and whose rounds do not count."""

import pytest

from data_prep.humans.game import contests
from data_prep.humans.game.tables import rounds
from data_prep.humans.studies import participants


def give_points(world, person, points, flags="", contest_id=None):
    """A recognised round of a person."""
    round_id = person.round()
    person.end(round_id, "skip", skip_reason="other")
    with world.database.write() as connection:
        connection.execute(
            rounds.update()
            .where(rounds.c.id == round_id)
            .values(state="recognised", points=points, flags=flags, contest_id=contest_id)
        )
    world.clock.advance(4000)


def board(person, **options):
    return person.http.get("/api/leaderboard", params=options).json()


def test_ranks_and_ties(world):
    people = [world.person() for _ in range(4)]
    for person, points in zip(people, (50, 80, 50, 20), strict=True):
        give_points(world, person, points)
    found = board(people[2])
    assert [row["rank"] for row in found["best"]] == [1, 2, 2, 4]
    assert found["own"]["points"] == 50 and found["own"]["own"]


def test_a_win_is_on_the_board_at_once(world, alice, charlie):
    """Others may be a few seconds old; oneself not."""
    give_points(world, charlie, 40)
    assert board(charlie)["own"]["rank"] == 1
    give_points(world, alice, 10)
    world.clock.advance(-4000)  # as if no time had passed since the board was made
    assert [row["points"] for row in board(alice)["best"]] == [40, 10]
    assert board(alice)["own"]["rank"] == 2


def test_flagged_rounds_and_excluded_people_do_not_count(world, alice, charlie):
    give_points(world, alice, 90, flags=",clock,")
    give_points(world, charlie, 10)
    assert [row["points"] for row in board(alice)["best"]] == [10]
    with world.database.write() as connection:
        who = participants.named(connection, charlie.session["display_name"])
        participants.exclude(connection, who.id, "a script", 1)
    world.clock.advance(4000)
    assert board(alice) | {"contest": None} == {
        "best": [],
        "own": None,
        "players": 0,
        "contest": None,
        "display_name": alice.session["display_name"],
    }


def test_a_contest_counts_its_own_rounds(world, alice):
    now = world.clock()
    with world.database.write() as connection:
        contests.add(connection, "c1", "week 1", now - 10, now + 100_000, "a book")
    give_points(world, alice, 30)
    give_points(world, alice, 40, contest_id="c1")
    assert board(alice)["contest"]["prizes"] == "a book"
    assert board(alice)["own"]["points"] == 40
    assert board(alice, all_time=True)["own"]["points"] == 70
    with world.database.write() as connection:
        contests.close(connection, "week 1", world.clock())
    assert board(alice)["contest"] is None


def test_contests_that_cannot_be(world):
    with world.database.write() as connection:
        contests.add(connection, "c1", "week 1", 10, 20, "")
        with pytest.raises(ValueError, match="already"):
            contests.add(connection, "c2", "week 1", 10, 20, "")
        with pytest.raises(ValueError, match="ends before"):
            contests.add(connection, "c3", "week 2", 20, 20, "")
        with pytest.raises(ValueError, match="running"):
            contests.close(connection, "week 1", 30)
