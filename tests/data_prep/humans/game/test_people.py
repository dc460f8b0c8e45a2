"""POST /api/session, /api/consent, GET and DELETE /api/me: people's side of the game."""

import json

from game_world import line

from data_prep.humans.game.tables import bubble_batches, rounds
from data_prep.humans.studies import tables


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


def test_the_token_is_stored_only_as_a_hash(world, alice):
    token = alice.http.cookies["study_session"]
    with world.database.read() as connection:
        text = json.dumps([list(r) for r in connection.execute(tables.sessions.select())])
    assert token not in text


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
