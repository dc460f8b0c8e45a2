"""Names, recruitment, rate limits, devices, consent, secrets, addresses: one fact a test."""

import random
import re

import pytest

from data_prep.humans.studies import names, recruitment, sessions, settings
from data_prep.humans.studies.errors import NotFound, TooMany
from data_prep.humans.studies.rate_limits import RateLimit, network
from data_prep.humans.studies.serving import check_address
from data_prep.humans.studies.settings import StudySettings

# Words that a name must never hold, also not across the gap.
DENIED = (
    "ass", "cock ", "tit ", "booby", "fat", "pig", "rat ", "louse", "dumb", "dead", "kill", "nazi",
    "black ", "white ", "yellow", "old ", "ugly", "crazy", "mad ", "hell", "damn", "gay", "sex",
    "nude", "slut", "hoe ", "bitch", "shit", "crap", "fool", "idiot", "lame", "ape ", "monkey",
)  # fmt: skip


def test_names_are_clean_and_many():
    denied = re.compile(rf"\b(?:{'|'.join(map(re.escape, DENIED))})")
    wholes = "\n".join(f"{one} {other} " for one in names.ADJECTIVES for other in names.ANIMALS)
    assert not denied.findall(wholes.replace("cockatoo", ""))
    assert len(set(names.ADJECTIVES)) * len(set(names.ANIMALS)) > 20_000
    assert len(set(names.ADJECTIVES)) == len(names.ADJECTIVES)
    assert len(set(names.ANIMALS)) == len(names.ANIMALS)


def test_a_name_is_drawn_from_chance_alone():
    assert names.draw(random.Random(3)) == names.draw(random.Random(3))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (
            {"PROLIFIC_PID": "a", "STUDY_ID": "b", "SESSION_ID": "c"},
            ("prolific", "a", "b", "c"),
        ),
        ({"pid": "x1"}, ("pid", "x1", None, None)),
        (
            {"workerId": "w", "hitId": "h", "assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"},
            None,
        ),
        ({"workerId": "w", "hitId": "h", "assignmentId": "a"}, ("mturk", "w", "h", "a")),
        ({"pid": "<script>"}, None),
        ({"pid": "x" * 129}, None),
        ({}, None),
        ({"unknown": "x"}, None),
    ],
)
def test_recruitment(parameters, expected):
    assert recruitment.read(parameters) == expected


def test_a_rate_limit_saves_up_and_refuses():
    limit = RateLimit(3, 3000, "salt")
    for _ in range(3):
        limit.take("a", 0)
    limit.take("b", 0)
    with pytest.raises(TooMany) as refused:
        limit.take("a", 0)
    assert refused.value.facts["retry_after_ms"] == 1000
    limit.take("a", 1000)
    with pytest.raises(TooMany):
        limit.take("a", 1500)


def test_a_rate_limit_forgets_the_oldest_and_knows_no_key(monkeypatch):
    monkeypatch.setattr("data_prep.humans.studies.rate_limits.MOST_KEYS", 10)
    limit = RateLimit(1, 1000, "salt")
    for number in range(50):
        limit.take(f"192.0.2.{number}", 0)
    assert len(limit._left) == 10
    limit.take("192.0.2.200", 1000)  # the others have all their events again: not worth keeping
    assert len(limit._left) == 1
    assert not any(b"192.0.2" in key for key in limit._left)


@pytest.mark.parametrize(
    ("agent", "touch", "device", "family"),
    [
        ("Mozilla/5.0 (X11; Linux) Chrome/120 Safari/537", False, "desktop", "chrome"),
        ("Mozilla/5.0 (iPhone) Version/17 Mobile Safari/604", True, "phone", "safari"),
        ("Mozilla/5.0 (Macintosh) Version/17 Safari/604", True, "tablet", "safari"),
        ("Mozilla/5.0 (Windows) Chrome/120 Safari/537 Edg/120", False, "desktop", "edge"),
        ("curl/8", None, "desktop", "other"),
    ],
)
def test_devices_are_told_coarsely(agent, touch, device, family):
    assert sessions.device_class(agent, touch) == device
    assert sessions.browser_family(agent) == family


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_visitor_has_one_network(address, counts_as):
    assert network(address) == counts_as


def test_over_tls_the_cookie_is_the_hosts_own():
    assert sessions.cookie_name("https://play.example/") == "__Host-study_session"
    assert sessions.cookie_name("http://127.0.0.1:8000/") == "study_session"


def test_not_everybody_is_a_proxy():
    with pytest.raises(ValueError, match="trusted_proxies"):
        check_address(StudySettings(public_url="https://lab.example", trusted_proxies="*"))


def test_errors_are_written_as_they_are_read():
    assert NotFound().body() == {
        "error": "There is nothing at this address.",
        "remedy": "Go back to the first page.",
    }


def test_secrets_come_from_files_or_the_environment(tmp_path, monkeypatch):
    (tmp_path / "s").write_text("from a file\n")
    assert settings.secret("STUDY_TOKEN") is None
    monkeypatch.setenv("STUDY_TOKEN", "from the environment")
    assert settings.secret("STUDY_TOKEN") == "from the environment"
    monkeypatch.setenv("STUDY_TOKEN_FILE", str(tmp_path / "s"))
    assert settings.secret("STUDY_TOKEN") == "from a file"


@pytest.mark.parametrize(
    ("host", "public", "plain", "fine"),
    [
        ("127.0.0.1", "", False, True),
        ("0.0.0.0", "", False, False),  # noqa: S104
        ("0.0.0.0", "", True, True),  # noqa: S104
        ("0.0.0.0", "https://lab.example", False, True),  # noqa: S104
        ("127.0.0.1", "http://lab.example", False, False),
        ("127.0.0.1", "https://lab.example", False, True),
    ],
)
def test_no_plain_http_in_public(host, public, plain, fine):
    study = StudySettings(host=host, public_url=public, allow_plain_http=plain)
    if fine:
        check_address(study)
    else:
        with pytest.raises(ValueError, match="plain_http"):
            check_address(study)
