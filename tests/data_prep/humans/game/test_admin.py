"""The live page: let in once, read only, and nothing typed by people is taken for HTML."""

import pytest
from fastapi.testclient import TestClient
from study_world import tokens

from data_prep.humans.game.admin import make_admin


@pytest.fixture
def admin(world):
    page, token = make_admin(world.service, world.app, tokens())
    return TestClient(page), token


def test_the_address_works_once(admin):
    client, token = admin
    assert client.get("/").status_code == 404
    assert client.get("/enter/wrong").status_code == 404
    assert client.get("/enter/%C3%A9").status_code == 404
    assert client.get("/", headers={"Cookie": b"admin=\xe9"}).status_code == 404
    assert "participants" in client.get(f"/enter/{token}").text
    assert client.get("/").status_code == 200
    client.cookies.clear()
    assert client.get(f"/enter/{token}").status_code == 404
    assert client.get("/openapi.json").status_code == 404


def test_reports_are_text(world, alice, admin):
    client, token = admin
    alice.post("/api/report", {"text": "<script>alert(1)</script>"})
    text = client.get(f"/enter/{token}").text
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_the_description_of_the_interface_is_here_alone(world, alice, admin):
    client, token = admin
    client.get(f"/enter/{token}")
    assert "/api/rounds/{round_id}/bubbles" in client.get("/openapi.json").json()["paths"]
    assert alice.http.get("/openapi.json").status_code == 404
    assert alice.http.get("/docs").status_code == 404
