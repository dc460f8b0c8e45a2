"""Malformed, forged and oversized messages: a clear answer in one shape, and nothing lost."""

import pytest
from game_world import World, line

BAD_BUBBLES = [
    {},
    {"seq": 0, "first": 0, "points": []},
    {"seq": 0, "first": -1, "points": line(1)},
    {"seq": 0, "first": 0, "points": line(65)},
    {"seq": 0, "first": 0, "points": [[1, 2]]},
    {"seq": 0, "first": 0, "points": [["1", 2, 3]]},
    {"seq": 0, "first": 0, "points": [[1e9, 2, 3]]},
    {"seq": 0, "first": "0", "points": line(1)},
    {"seq": 0, "first": 0, "points": line(1), "score": 100},
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One for all: none of these messages may change anything."""
    with World(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def alice(world):
    return world.person()


@pytest.fixture(scope="module")
def round_id(alice):
    return alice.round()


@pytest.mark.parametrize("body", BAD_BUBBLES)
def test_malformed_bubbles(alice, round_id, body):
    answer = alice.post(f"/api/rounds/{round_id}/bubbles", body)
    assert answer.status_code == 422
    assert {"error", "remedy"} <= set(answer.json())


def test_numbers_must_be_finite(alice, round_id):
    text = '{"seq": 0, "first": 0, "points": [[NaN, 1, 2]]}'
    answer = alice.http.post(
        f"/api/rounds/{round_id}/bubbles",
        content=text,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/static/studies/../settings.py", 404),
        ("GET", "/static/studies/%2e%2e/settings.py", 404),
        ("PUT", "/api/rounds", 405),
        ("POST", "/api/rounds/nobody/end", 422),
        ("GET", "/api/rounds/nobody/image", 404),
    ],
)
def test_every_error_has_one_shape(alice, method, address, status):
    answer = alice.http.request(method, address)
    assert answer.status_code == status
    assert {"error", "remedy"} <= set(answer.json())


def test_oversized(alice):
    answer = alice.http.post("/api/report", content=b"x" * 70_000)
    assert answer.status_code == 413
    assert "64 kB" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"origin": "http://testserver"}, 204),
        ({"sec-fetch-site": "same-origin"}, 204),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://testserver"}, 403),
    ],
)
def test_writes_from_other_sites_are_refused(alice, headers, status):
    answer = alice.http.post("/api/report", json={"text": "hello"}, headers=headers)
    assert answer.status_code == status


def test_every_answer_carries_the_policy(alice):
    for address in ("/", "/api/about", "/nothing", "/api/nothing", "/static/nothing.js"):
        headers = alice.http.get(address).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_too_many_messages_of_a_round(world):
    bob = world.person()
    round_id = bob.round()
    statuses = [bob.bubbles(round_id, line(1)).status_code for _ in range(40)]
    assert statuses.count(429) > 0
    world.clock.advance(3000)
    assert bob.bubbles(round_id, line(1)).status_code == 200


def test_an_unexpected_error_keeps_its_text_to_itself(world, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret path /etc")

    monkeypatch.setattr(world.service.visits, "about_me", fail)
    bob = world.person()
    bob.http._transport.raise_server_exceptions = False
    answer = bob.http.get("/api/me")
    assert answer.status_code == 500
    assert "secret" not in answer.text and "number" in answer.json()["error"]
