"""What a run says while nothing moves."""

import pytest

from gala_tf.training import outlook
from gala_tf.training.plan import Plan


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: clock[0], in seconds."""
    now = [0.0]
    monkeypatch.setattr(outlook.time, "monotonic", lambda: now[0])
    return now


def calls(said, clock, seconds, counts, end=100):
    """Calls of so many steps that take so long each."""
    watched, step = outlook.Outlook(said.append, Plan(10, 100, (50, 100), 0), end), 0
    for took, count in zip(seconds, counts, strict=True):
        with watched.call(step, count):
            clock[0] += took
        step += count
    return watched


def test_compiling_is_said_before_it_begins(clock):
    said = []
    watched = outlook.Outlook(said.append, Plan(10, 100, (100,), 0), 100)
    with watched.call(0, 1):
        assert "compiling" in said[0]


def test_the_first_call_says_nothing_of_the_pace(clock):
    said = []
    calls(said, clock, (40, 3, 3), (1, 1, 1))
    assert [line.split(":")[0] for line in said[:2]] == [
        "compiling the training step",
        "compiled in 40 s",
    ]
    assert said[2:] == [
        "98 steps are left, about 5 minutes at 3 s a step, and 2 validations on top"
    ]


def test_a_short_step_is_measured_longer(clock):
    said = []
    calls(said, clock, (40, 0.1, 2.4), (1, 1, 24))
    assert said[2:] == [
        "74 steps are left, about 7 seconds at 0.1 s a step, and 2 validations on top"
    ]


def test_a_session_that_ends_early_is_foretold_to_its_end(clock):
    said = []
    calls(said, clock, (40, 3), (1, 1), end=60)
    assert said[2:] == [
        "58 steps are left, about 3 minutes at 3 s a step, and 1 validations on top"
    ]


def test_the_first_validation_alone_is_announced(clock):
    said = []
    watched = outlook.Outlook(said.append, Plan(10, 100, (50, 100), 0), 100)
    watched.validating(12)
    watched.validating(12)
    assert len(said) == 1 and "12 images" in said[0]


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.2, "about 1 seconds"),
        (80, "about 80 seconds"),
        (600, "about 10 minutes"),
        (7200, "about 2 hours"),
        (864_000, "about 10 days"),
    ],
)
def test_durations(seconds, words):
    assert outlook.duration(seconds) == words
