"""POST /api/rounds and what follows: one round from offer to end."""

from game_world import World, line, winning

from data_prep.humans.game import bubbles, rounds
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.tables import images, queries


def send(world, person, round_id, path, each=10):
    """Sends a path as a page does, the clock following; the last answer."""
    begun = world.clock()
    for first in range(0, len(path), each):
        batch = path[first : first + each]
        world.clock.until(begun + int(batch[-1][2]) + 40)
        answer = person.bubbles(round_id, batch, first)
        assert answer.status_code == 200, answer.text
        if answer.json()["status"] != "playing":
            break
    return answer.json()


def test_a_round_is_offered_without_name_class_or_order(world, alice):
    given = alice.ask().json()
    assert set(given) == {"round", "image", "label", "limits", "keep_raw"}
    assert given["limits"]["limit_ms"] == 7000
    picture = alice.http.get(given["image"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["cache-control"] == "no-store"
    assert "circle" not in given["image"]


def test_the_same_round_until_it_is_started(world, alice):
    first = alice.ask().json()
    assert alice.ask().json() == first


def test_recognised(world, alice):
    round_id = alice.round()
    last = send(world, alice, round_id, winning())
    assert last["status"] == "recognised"
    assert 0 < last["points"] < 100
    ended = alice.end(round_id).json()
    assert ended["status"] == "recognised"
    assert ended["points"] == last["points"]
    assert ended["rank"] in (1, None)
    assert ended["flags"] == []


def test_points_come_from_the_last_bubble_the_partner_saw(world, alice):
    round_id = alice.round()
    last = send(world, alice, round_id, winning())
    with world.database.read() as connection:
        row = rounds.get(connection, round_id)
        path = bubbles.path_of(connection, round_id)
    assert last["points"] == round(100 * (1 - path[row.recognised_upto - 1][2] / 7000), 3)


def test_painting_may_go_on_after_recognition_and_changes_nothing(tmp_path):
    with World(tmp_path, Rules(after_recognition="continue")) as world:
        alice = world.person()
        round_id = alice.round()
        won = send(world, alice, round_id, winning())
        more = winning()[won["stored"] :]
        world.clock.until(world.clock() + 1000)
        last = alice.bubbles(round_id, more, won["stored"]).json()
        assert last == {**won, "stored": 60}
        with world.database.read() as connection:
            row = rounds.get(connection, round_id)
            after = bubbles.path_of(connection, round_id, ("after_recognition",))
    assert row.bubbles == won["stored"] and [list(point) for point in after] == more


def test_timed_out(world, alice):
    round_id = alice.round()
    send(world, alice, round_id, line(20, start=(5.0, 5.0), step=0.5))
    world.clock.advance(7000)
    ended = alice.end(round_id).json()
    assert ended["status"] == "timed_out"
    assert ended["points"] is None


def test_one_last_question_at_the_end(world, alice):
    round_id = alice.round()
    send(world, alice, round_id, winning(39), each=39)
    with world.database.read() as connection:
        asked = [row.upto for row in connection.execute(queries.select())]
    assert asked == [39]
    alice.end(round_id)


def test_skipped_with_a_reason_before_or_after_the_first_click(world, alice):
    for start in (False, True):
        round_id = alice.ask().json()["round"]
        if start:
            alice.start(round_id)
        assert alice.end(round_id, "skip", skip_reason="unclear").json()["status"] == "skipped"


def test_a_reload_while_playing_ends_the_round_as_hidden(world, alice):
    first = alice.round()
    second = alice.ask().json()["round"]
    assert second != first
    ended = alice.end(first, "timeout").json()
    assert ended["status"] == "hidden"
    assert "hidden" in ended["flags"]


def test_another_tab_may_take_over(world, alice):
    first = alice.ask().json()["round"]
    refused = alice.ask(tab="another-tab")
    assert refused.status_code == 409
    assert "another tab" in refused.json()["error"]
    assert alice.ask(tab="another-tab", take_over=True).json()["round"] == first


def test_late_messages_change_nothing(world, alice):
    round_id = alice.round()
    send(world, alice, round_id, line(10, start=(9.0, 9.0)))
    alice.end(round_id, "skip", skip_reason="other")
    late = alice.bubbles(round_id, line(10, (9.0, 79.0), t0=500.0), first=10).json()
    assert late["status"] == "skipped" and late["stored"] == 20
    assert alice.start(round_id).json()["status"] == "skipped"
    assert alice.end(round_id, "timeout").json()["status"] == "skipped"
    world.clock.advance(25 * 3600 * 1000)
    assert alice.bubbles(round_id, line(10), first=20).status_code == 410


def test_questions_are_at_least_a_quarter_second_apart(world, alice):
    """A script that sends ten bubbles every 100 ms is not asked about more often than people."""
    round_id = alice.round()
    for first in range(0, 60, 10):
        world.clock.advance(100)
        alice.bubbles(round_id, line(10, (9.0, 9.0), 0.1, first * 10.0, 10.0), first)
    with world.database.read() as connection:
        asked = [row.upto for row in connection.execute(queries.select().order_by(queries.c.upto))]
    assert asked == [10, 40]


def test_overlap_is_dropped_and_a_gap_refused(world, alice):
    round_id = alice.round()
    world.clock.advance(1000)
    assert alice.bubbles(round_id, line(10)).json()["stored"] == 10
    assert alice.bubbles(round_id, line(10)).json()["stored"] == 10
    assert alice.bubbles(round_id, line(15), first=0).json()["stored"] == 15
    gap = alice.bubbles(round_id, line(5), first=30)
    assert gap.status_code == 409 and gap.json()["stored"] == 15


def test_bubbles_before_the_start_are_refused(world, alice):
    round_id = alice.ask().json()["round"]
    refused = alice.bubbles(round_id, line(3))
    assert refused.status_code == 409 and refused.json()["stored"] == 0


def test_a_round_of_somebody_else_does_not_exist(world, alice, charlie):
    round_id = alice.round()
    assert charlie.bubbles(round_id, line(3)).status_code == 404
    assert charlie.end(round_id).status_code == 404
    assert charlie.start(round_id).status_code == 404
    assert charlie.http.get(f"/api/rounds/{round_id}/image").status_code == 404


def test_nobody_gets_a_picture_twice(world, alice):
    seen = set()
    for _ in range(6):
        given = alice.ask().json()
        seen.add(alice.http.get(given["image"]).content)
        alice.end(given["round"], "skip", skip_reason="unclear")
        world.clock.advance(2000)
    assert len(seen) == 6
    ended = alice.ask()
    assert ended.status_code == 410 and "all the pictures" in ended.json()["error"]


def test_the_servers_clock_holds_where_the_browsers_is_off(world, alice):
    round_id = alice.round()
    world.clock.advance(5000)
    alice.bubbles(round_id, winning(10))  # says 0 ... 450 ms, five seconds after the start
    with world.database.read() as connection:
        path = bubbles.path_of(connection, round_id)
        row = rounds.get(connection, round_id)
    assert path[-1][2] == 5000 and path[0][2] == 4550
    assert ",clock," in row.flags


def test_silence_ends_a_round(world, alice):
    round_id = alice.round()
    world.clock.advance(9_000)
    assert world.service.sweep(world.clock()) == 0
    world.clock.advance(1)
    assert world.service.sweep(world.clock()) == 1
    assert alice.end(round_id).json()["status"] == "abandoned"


def test_what_was_painted_offline_arrives_late_and_does_not_count(world, alice):
    round_id = alice.round()
    world.clock.advance(12_000)
    answer = alice.bubbles(round_id, winning()).json()
    assert answer == {
        "stored": 60,
        "evaluated": 0,
        "status": "abandoned",
        "points": None,
        "partner_is_slow": False,
    }


def test_a_round_heard_to_its_limit_times_out(world, alice):
    round_id = alice.round()
    world.clock.advance(7_000)
    alice.bubbles(round_id, line(1, t0=6990.0))
    world.clock.advance(2_001)
    world.service.sweep(world.clock())
    assert alice.end(round_id).json()["status"] == "timed_out"


def test_a_picture_only_looked_at_returns_to_the_pool(world, alice):
    given = alice.ask().json()
    world.clock.advance(120_001)
    assert world.service.sweep(world.clock()) == 1
    again = alice.ask().json()
    assert again["round"] != given["round"]
    with world.database.read() as connection:
        assert sum(row.taken for row in connection.execute(images.select())) == 1


def test_the_same_path_twice_is_flagged(world, alice, charlie):
    flags = []
    for person in (alice, charlie):
        round_id = person.round()
        send(world, person, round_id, winning())
        flags.append(person.end(round_id).json()["flags"])
    assert flags == [[], ["copied"]]


def test_a_script_that_steps_too_far_and_too_fast_is_flagged(world, alice):
    round_id = alice.round()
    path = [[(37 * n) % 60, (91 * n) % 60, float(n)] for n in range(30)]
    world.clock.advance(100)
    alice.bubbles(round_id, path)
    flags = alice.end(round_id, scripted=True).json()["flags"]
    assert set(flags) >= {"step", "too_many", "script", "short"}


def test_a_partner_that_dies_ends_rounds_without_loss_and_may_come_back(
    world, alice, charlie, monkeypatch
):
    def fail(*_):
        raise RuntimeError("out of memory")

    round_id = alice.round()
    with monkeypatch.context() as dead:
        dead.setattr(world.partner, "answer", fail)
        last = send(world, alice, round_id, line(10, start=(5.0, 5.0), step=0.5))
        assert (last["status"], last["stored"], last["points"]) == ("hidden", 10, None)
        assert alice.end(round_id).json()["flags"] == ["hidden", "partner"]
        assert charlie.ask().status_code == 503
        world.service.sweep(world.clock())  # asks it again, in vain
        assert charlie.ask().status_code == 503
    world.service.sweep(world.clock())
    assert charlie.ask().status_code == 200


def test_a_picture_that_cannot_be_read_is_left_for_another(world, alice):
    with world.database.write() as connection:
        connection.execute(images.update().values(path=images.c.path + ".gone"))
    given = alice.ask().json()
    refused = alice.http.get(given["image"])
    assert refused.status_code == 404 and "picture" in refused.json()["error"]
    assert alice.ask().json()["round"] != given["round"]
    with world.database.read() as connection:
        row = rounds.get(connection, given["round"])
    assert (row.state, row.skip_reason) == ("skipped", "broken")


def test_pictures_whose_folder_is_away_end_no_round(world, alice):
    with world.database.write() as connection:
        connection.execute(images.update().values(path="/no/such/folder/" + images.c.path))
    given = alice.ask().json()
    assert alice.http.get(given["image"]).status_code == 503
    with world.database.read() as connection:
        assert rounds.get(connection, given["round"]).state == "offered"
