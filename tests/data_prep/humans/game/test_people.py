"""POST /api/session, /api/consent, GET and DELETE /api/me: people's side of the game."""

import json

from game_world import World, line

from data_prep.humans.game.tables import bubble_batches, rounds
from data_prep.humans.studies import tables
from data_prep.humans.studies.settings import StudySettings


def count(world, table):
    with world.database.read() as connection:
        return len(connection.execute(table.select()).all())


def test_no_round_without_consent(world):
    bob = world.person(agreed=False)
    assert bob.ask().status_code == 403
    bob.consent(bob.session["consent_version"], accepted=False)
    assert bob.ask().status_code == 403
    bob.consent(bob.session["consent_version"])
    assert bob.ask().status_code == 200


def test_a_text_that_has_changed_is_asked_again(world):
    bob = world.person(agreed=False)
    refused = bob.consent(bob.session["consent_version"] + 1)
    assert refused.status_code == 409 and refused.json()["version"] == 1


def test_the_same_cookie_is_the_same_person(world, alice):
    again = alice.post("/api/session", {"recruitment": {}}).json()
    assert again["display_name"] == alice.session["display_name"]
    assert count(world, tables.participants) == 1


def test_the_same_recruitment_is_the_same_person_on_another_device(world):
    first = world.person(PROLIFIC_PID="abc123", STUDY_ID="s", SESSION_ID="t")
    second = world.person(PROLIFIC_PID="abc123", STUDY_ID="s", SESSION_ID="u")
    assert first.session["display_name"] == second.session["display_name"]
    assert count(world, tables.participants) == 1
    assert count(world, tables.sessions) == 2


def test_the_next_one_on_a_shared_computer_is_somebody_else(world):
    """A laboratory's ?pid= on one browser: the cookie is of whoever was here before."""
    anna = world.person(pid="anna-4711")
    again = anna.post("/api/session", {"recruitment": {"pid": "anna-4711"}}).json()
    without = anna.post("/api/session", {"recruitment": {}}).json()
    bert = anna.post("/api/session", {"recruitment": {"pid": "bert-0815"}}).json()
    assert again["display_name"] == without["display_name"] == anna.session["display_name"]
    assert bert["display_name"] != anna.session["display_name"]
    assert not bert["consent_accepted"] and count(world, tables.participants) == 2
    assert anna.http.get("/api/me").json()["recruitments"][0]["external_id"] == "bert-0815"


def test_who_came_by_themselves_stays_the_same_by_a_link(world, alice):
    again = alice.post("/api/session", {"recruitment": {"pid": "alice-4711"}}).json()
    assert again["display_name"] == alice.session["display_name"]


def test_what_was_withdrawn_is_in_no_file_any_more(world, alice):
    """Deleted rows stayed readable in the log beside the database."""
    bob = world.person(pid="outside-id-of-bob")
    bob.post("/api/contact", {"email": "bob.the.builder@example.org"})
    found = lambda: [  # noqa: E731
        word
        for word in (b"outside-id-of-bob", b"bob.the.builder")
        if any(word in path.read_bytes() for path in world.folder.glob("game.db*"))
    ]
    assert len(found()) == 2
    assert bob.http.delete("/api/me").status_code == 204
    assert found() == []
    assert alice.ask().status_code == 200


def test_reports_do_not_fill_the_disk(world, alice, charlie):
    for _ in range(100):
        world.clock.advance(500)
        assert alice.post("/api/report", {"text": "x"}).status_code == 204
    world.clock.advance(60_000)
    assert alice.post("/api/report", {"text": "x"}).status_code == 429
    assert charlie.post("/api/report", {"text": "x"}).status_code == 204


def test_boards_and_pauses_are_limited(world, alice):
    for ask in (
        lambda: alice.http.get("/api/leaderboard"),
        lambda: alice.post("/api/pause", {}),
    ):
        world.clock.advance(10_000)
        statuses = [ask().status_code for _ in range(11)]
        assert statuses[9] in (200, 204) and statuses[10] == 429


def test_the_token_is_stored_only_as_a_hash(world, alice):
    token = alice.http.cookies["study_session"]
    with world.database.read() as connection:
        text = json.dumps([list(r) for r in connection.execute(tables.sessions.select())])
    assert token not in text


def test_over_tls_the_cookie_is_of_this_host_alone(tmp_path):
    """Another host of the domain could else set one, and people would play in its session."""
    study = StudySettings(public_url="https://testserver/")
    with World(tmp_path, study=study) as world:
        bob = world.person(agreed=False)
        bob.http.base_url = "https://testserver"
        (name,) = bob.http.cookies
        assert name == "__Host-study_session"
        assert bob.http.get("/api/me").status_code == 200
        gone = bob.http.delete("/api/me").headers["set-cookie"]
        assert gone.startswith(f'{name}="";') and "Secure" in gone and "Path=/" in gone
        assert not bob.http.cookies
        mallory = world.person(agreed=False)
        planted = {"Cookie": f"study_session={mallory.http.cookies[name]}"}
        assert bob.http.get("/api/me", headers=planted).status_code == 401


def test_without_cookie_nothing(world, alice):
    alice.http.cookies.clear()
    assert alice.ask().status_code == 401
    assert alice.http.get("/api/me").status_code == 401


def test_everything_about_me_and_withdrawal(world, alice, charlie):
    round_id = alice.round()
    world.clock.advance(600)
    alice.bubbles(round_id, line(10))
    charlie.round()
    mine = alice.http.get("/api/me").json()
    assert mine["rounds"][0]["painted"] == line(10)
    assert "token_hash" not in mine["sessions"][0]
    assert alice.http.delete("/api/me").status_code == 204
    assert alice.http.get("/api/me").status_code == 401
    assert count(world, bubble_batches) == 0
    assert count(world, rounds) == 2
    assert count(world, tables.sessions) == 1


def test_who_knows_an_outside_id_neither_sees_nor_deletes_the_data(world):
    bob = world.person(pid="17")
    world.clock.advance(1)
    mallory = world.person(pid="17")
    bob.post("/api/contact", {"email": "bob@example.org"})
    for method in ("GET", "DELETE"):
        assert mallory.http.request(method, "/api/me").status_code == 403
    (stored,) = bob.http.get("/api/me").json()["contacts"]
    assert stored["email"] == "bob@example.org"
    assert bob.http.delete("/api/me").status_code == 204 and count(world, tables.contacts) == 0


def test_names_are_unique(world):
    names = [world.person(agreed=False).session["display_name"] for _ in range(30)]
    assert len(set(names)) == 30


def test_an_address_is_kept_apart_and_taken_back(world, alice):
    assert alice.post("/api/contact", {"email": "alice@example.org"}).status_code == 204
    assert alice.post("/api/contact", {"email": "a.b@example.org"}).status_code == 204
    (stored,) = alice.http.get("/api/me").json()["contacts"]
    assert stored["email"] == "a.b@example.org" and count(world, tables.contacts) == 1
    for wrong in ("nobody", "a@b", "a@b.c\nBcc: d@e.f", "<a@b.c>", "a@b.c,d@e.f", "x" * 255):
        assert alice.post("/api/contact", {"email": wrong}).status_code == 422
        world.clock.advance(1000)
    assert alice.post("/api/contact", {"email": ""}).status_code == 204
    assert count(world, tables.contacts) == 0


def test_a_text_that_changes_during_a_round_lets_it_end(world, alice):
    """Consent is asked before the next round; what is being painted is taken."""
    round_id = alice.round()
    world.service.visits._version += 1
    world.clock.advance(600)
    assert alice.bubbles(round_id, line(10)).status_code == 200
    assert alice.end(round_id).status_code == 200
    assert alice.ask().status_code == 403


def test_a_report_is_kept_and_bounded(world, alice):
    assert alice.post("/api/report", {"text": "<script>alert(1)</script>"}).status_code == 204
    assert alice.post("/api/report", {"text": "x" * 2001}).status_code == 422
    assert count(world, tables.reports) == 1


def test_pause_returns_an_unstarted_picture(world, alice):
    round_id = alice.ask().json()["round"]
    assert alice.post("/api/pause", {}).status_code == 204
    assert alice.end(round_id, "timeout").json()["status"] == "released"
