"""A hostile visitor at the real command: what was tried, and that nothing came of it.

Messages are written by hand onto the socket where a client would not send them so.
"""

import http.client
import json
import re
import socket

import game_world
import pytest
from browser_world import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    game_world.draw_pictures(folder / "pictures", each=12)
    made = Server(folder, "--sessions_per_hour=400")
    yield made
    log = (folder / "server.log").read_text()
    made.stop()
    assert "Traceback" not in log, log


class Visitor:
    """Somebody with a connection and, perhaps, a cookie."""

    def __init__(self, server, cookie=""):
        self.port, self.cookie = server.port, cookie
        self.given = None

    def send(self, method, address, body=None, **headers):
        """(status, headers, JSON or bytes)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("Content-Type", "application/json")
        if self.cookie:
            headers["Cookie"] = f"study_session={self.cookie}"
        connection.request(method, address, data, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        is_json = (answer.getheader("content-type") or "").startswith("application/json")
        return answer.status, answer.headers, json.loads(text) if is_json and text else text

    def enter(self, agreed=True, **recruitment):
        _, headers, self.given = self.send("POST", "/api/session", {"recruitment": recruitment})
        self.set_cookie = headers["set-cookie"] or ""
        if found := re.match(r"study_session=([0-9a-f]+)", self.set_cookie):
            self.cookie = found[1]
        if agreed:
            answer = {"version": self.given["consent_version"], "accepted": True}
            assert self.send("POST", "/api/consent", answer)[0] == 204
        return self

    def round(self):
        number = self.send("POST", "/api/rounds", {"tab": "hostile-tab"})[2]["round"]
        assert self.send("POST", f"/api/rounds/{number}/start", {})[0] == 200
        return number


def raw(server, data, most=4096):
    """What the server says to bytes; b"" if it only closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            connection.sendall(data)
            return connection.recv(most)
        except (ConnectionResetError, BrokenPipeError):
            return b""


@pytest.fixture(scope="module")
def alice(server):
    return Visitor(server).enter()


@pytest.fixture
def mallory(server):
    return Visitor(server).enter()


# --------------------------------------------------------------------------- sessions


def test_the_cookie_cannot_be_read_by_scripts_or_sent_along_from_elsewhere(alice):
    assert "HttpOnly" in alice.set_cookie and "samesite=lax" in alice.set_cookie.lower()
    assert len(alice.cookie) == 64


@pytest.mark.parametrize(
    "cookie", ["0" * 64, "' OR 1=1 --", "a" * 5000, "\u00e9", "../../game.db", '"', "%00"]
)
def test_guessed_cookies_are_nobody(server, cookie):
    assert Visitor(server, cookie).send("GET", "/api/me")[0] == 401


def test_a_cookie_that_the_visitor_chose_is_not_adopted(server):
    chosen = "f" * 64
    mallory = Visitor(server, chosen).enter()
    assert mallory.cookie != chosen
    assert Visitor(server, chosen).send("GET", "/api/me")[0] == 401


def test_who_knows_anothers_link_may_play_but_not_look_or_withdraw(server):
    """Outside ids are no secrets: workers' ids are known, and a lab's may be 1, 2, 3."""
    bob = Visitor(server).enter(pid="17")
    bob.send("POST", "/api/contact", {"email": "bob@example.org"})
    mallory = Visitor(server).enter(pid="17")
    assert mallory.given["display_name"] == bob.given["display_name"]
    for method, address, body in (
        ("GET", "/api/me", None),
        ("DELETE", "/api/me", None),
        ("POST", "/api/contact", {"email": "mallory@example.org"}),
    ):
        status, _, said = mallory.send(method, address, body)
        assert status == 403 and "first" in said["remedy"]
    assert bob.send("GET", "/api/me")[2]["contacts"][0]["email"] == "bob@example.org"


# --------------------------------------------------------------------------- rounds


def test_anothers_round_is_as_good_as_none(alice, mallory):
    number = alice.round()
    for action, body in (
        ("start", {}),
        ("bubbles", {"seq": 0, "first": 0, "points": [[1, 1, 1]]}),
        ("end", {"reason": "hidden"}),
    ):
        theirs = mallory.send("POST", f"/api/rounds/{number}/{action}", body)
        nobodys = mallory.send("POST", f"/api/rounds/{'0' * 32}/{action}", body)
        assert theirs[0] == nobodys[0] == 404 and theirs[2] == nobodys[2]
    assert mallory.send("GET", f"/api/rounds/{number}/image")[0] == 404
    assert alice.send("POST", f"/api/rounds/{number}/end", {"reason": "skip"})[0] == 200


@pytest.mark.parametrize("number", ["%00", "%27%20OR%201=1", "..%2f..%2fgame.db", "%ff", "x" * 500])
def test_ids_that_are_none(mallory, number):
    assert mallory.send("GET", f"/api/rounds/{number}/image")[0] == 404
    status, _, _ = mallory.send("POST", f"/api/rounds/{number}/end", {"reason": "hidden"})
    assert status == 404


def test_points_and_states_are_the_servers(mallory):
    number = mallory.round()
    for body in (
        {"reason": "timeout", "points": 100},
        {"reason": "recognised"},
        {"reason": "timeout", "status": "recognised"},
        {"reason": "skip", "skip_reason": "recognised"},
    ):
        assert mallory.send("POST", f"/api/rounds/{number}/end", body)[0] == 422
    # A whole winning path at once, said to have been painted in no time at all.
    path = [[x, y, 0] for x, y, _ in game_world.winning(60)]
    body = {"seq": 0, "first": 0, "points": path}
    said = mallory.send("POST", f"/api/rounds/{number}/bubbles", body)[2]
    ended = mallory.send("POST", f"/api/rounds/{number}/end", {"reason": "timeout"})[2]
    assert said["status"] == "recognised" and {"too_many", "short"} <= set(ended["flags"])
    best = mallory.send("GET", "/api/leaderboard?all_time=true")[2]
    assert best["own"] is None, "flagged rounds are not on the leaderboard"


def test_an_open_round_does_not_tell_whether_it_is_a_catch_round(mallory):
    mallory.round()
    (mine,) = mallory.send("GET", "/api/me")[2]["rounds"]
    assert "is_catch" not in mine and "image_id" not in mine


# --------------------------------------------------------------------------- messages


DEEP = b"[" * 30_000 + b"]" * 30_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"{" * 1000,
        DEEP,
        b'{"text": ' + DEEP + b"}",
        b'{"text": ' + b"9" * 60_000 + b"}",
        b'{"text": "\\ud800"}',
        b'{"text": "a\\u0000b"}',
        b'{"text": 1e999}',
        b'{"text": ["x"]}',
        b'{"text": "x", "text": {"y": 1}}',
        b'{"text": "x", "__proto__": {}}',
        b'{"text": "' + b"x" * 2001 + b'"}',
    ],
)
def test_bodies_that_are_none(mallory, body):
    status, _, said = mallory.send("POST", "/api/report", body)
    assert status in (400, 422) and {"error", "remedy"} <= set(said)


def test_other_kinds_of_content_are_not_taken_for_json(mallory):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        status, _, _ = mallory.send("POST", "/api/report", b'{"text": "x"}', Content_Type=kind)
        assert status in (400, 415, 422)


def test_bodies_past_the_limit_are_refused_however_they_come(server, mallory):
    assert mallory.send("POST", "/api/report", b"x" * 70_000)[0] == 413
    head = b"POST /api/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = raw(server, head + b"11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n")
    assert b" 413 " in said.split(b"\r\n")[0]


def test_heads_past_the_limit_are_refused(server):
    line = b"GET / HTTP/1.1\r\nHost: x\r\n"
    for head in (
        line + b"X: " + b"y" * 1_000_000,  # without an end
        line + b"".join(b"X%d: y\r\n" % n for n in range(100_000)),
        b"GET /" + b"a" * 1_000_000,
    ):
        assert b"200 OK" not in raw(server, head)
    said = raw(server, line + b"X: " + b"y" * 40_000 + b"\r\n\r\n")
    assert said == b"" or b" 431 " in said.split(b"\r\n")[0]
    assert b"200 OK" in raw(server, line + b"X: " + b"y" * 8_000 + b"\r\n\r\n")


@pytest.mark.parametrize(
    "address",
    [
        "/static/game/pages/../settings.py",
        "/static/game/pages/%2e%2e/settings.py",
        "/static/game/pages/..%2fsettings.py",
        "/static/game/pages/..%5csettings.py",
        "/static//etc/passwd",
        "/static/game/pages/%00",
        "//etc/passwd",
        "/../../etc/passwd",
        "/static/game/pages/play.js/",
        "/game.db",
        "/openapi.json",
        "/docs",
    ],
)
def test_no_address_becomes_a_path(server, address):
    said = raw(server, f"GET {address} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert said.split(b" ")[1] in (b"404", b"400", b"307")
    assert b"root:" not in said and b"import" not in said


# --------------------------------------------------------------------------- other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},  # no address at all
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_nothing_is_written_for_another_site(alice, headers):
    for method, address in (
        ("DELETE", "/api/me"),
        ("POST", "/api/report"),
        ("POST", "/api/rounds"),
    ):
        assert alice.send(method, address, {"text": "x"}, **headers)[0] == 403
    assert alice.send("GET", "/api/me")[0] == 200


def test_a_frame_without_origin_is_not_at_home_where_no_host_is_named(server):
    head = b"POST /api/report HTTP/1.1\r\nHost:\r\nOrigin: null\r\nContent-Length: 2\r\n\r\n{}"
    assert b" 403 " in raw(server, head).split(b"\r\n")[0]


def test_reading_from_another_site_gets_no_permission(alice):
    _, headers, _ = alice.send("GET", "/api/me", Origin="https://evil.example")
    assert headers["access-control-allow-origin"] is None
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert alice.send("OPTIONS", "/api/me", Origin="https://evil.example")[0] == 405


def test_a_forwarded_address_is_not_believed_without_a_proxy(tmp_path):
    game_world.draw_pictures(tmp_path / "pictures", each=1)
    made = Server(tmp_path, "--sessions_per_hour=3")
    try:
        statuses = [
            Visitor(made).send(
                "POST", "/api/session", {"recruitment": {}}, X_Forwarded_For=f"10.0.0.{n}"
            )[0]
            for n in range(5)
        ]
    finally:
        made.stop()
    assert statuses == [200, 200, 200, 429, 429]


# --------------------------------------------------------------------------- what can be found out


def test_nothing_tells_of_pictures_or_people_that_are_not_ones_own(server, alice, mallory):
    number = alice.round()
    given = mallory.send("POST", "/api/rounds", {"tab": "hostile-tab"})[2]
    assert re.fullmatch(r"[0-9a-f]{32}", given["round"])
    assert given["image"] == f"/api/rounds/{given['round']}/image"
    said = json.dumps([mallory.send("GET", a)[2] for a in ("/api/about", "/api/leaderboard")])
    for secret in (number, alice.cookie, str(server.folder), ".png"):
        assert secret not in said
    picture = mallory.send("GET", given["image"])[2]
    assert picture[:3] == b"\xff\xd8\xff" and b"Exif" not in picture and b"png" not in picture


def test_asking_often_costs_the_server_little(alice, server):
    statuses = [alice.send("GET", "/api/me")[0] for _ in range(30)]
    assert statuses.count(429) > 10
    assert {Visitor(server).send("GET", "/readyz")[0] for _ in range(50)} == {200}
