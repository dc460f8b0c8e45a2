"""The line in front of a partner: together, bounded, replaced by what is newer, never stuck."""

import threading

import numpy as np
import pytest

from data_prep.humans.game import partners
from data_prep.humans.game.partners.asking import BATCH, Asker, TooManyQuestions
from data_prep.humans.game.rules import Rules

RULES = Rules()
PICTURE = np.zeros((256, 256, 3), np.uint8)
DOT = [(128.0, 128.0, 0)]


class Gate:
    """A partner that answers when it is let; it remembers how many it was asked together."""

    def __init__(self):
        self.open, self.entered, self.batches = threading.Event(), threading.Event(), []
        self.error = None

    def answer(self, pixels, masks, targets, seeds=None):
        self.entered.set()
        self.open.wait(10)
        self.batches.append(len(pixels))
        if self.error:
            raise self.error
        count = len(pixels)
        return partners.Answer(
            masks.sum((1, 2)), np.zeros(count), np.zeros((count, 5), int), np.zeros((count, 5))
        )


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def asker(gate):
    asker = Asker(gate, RULES, capacity=20)
    yield asker
    gate.open.set()
    asker.close()


def block(gate, asker):
    """Has the partner busy with a first question."""
    first = asker.ask("first", PICTURE, DOT, 0)
    assert gate.entered.wait(10)
    return first


def test_an_answer_tells_of_how_many_bubbles(gate, asker):
    gate.open.set()
    look = asker.ask("a", PICTURE, DOT * 3, 0).result(10)
    assert look.upto == 3 and look.rank == 21 * 21 and len(look.top5_class) == 5


def test_what_waits_is_looked_at_together(gate, asker):
    block(gate, asker)
    futures = [asker.ask(f"round {i}", PICTURE, DOT, 0) for i in range(10)]
    gate.open.set()
    assert all(future.result(10).rank == 441 for future in futures)
    assert gate.batches == [1, BATCH, 2]


def test_newer_bubbles_replace_a_waiting_question(gate, asker):
    block(gate, asker)
    older = asker.ask("a", PICTURE, DOT, 0)
    newer = asker.ask("a", PICTURE, DOT * 2, 0)
    assert older.result(0) is None
    gate.open.set()
    assert newer.result(10).upto == 2
    assert gate.batches == [1, 1]


def test_fewer_bubbles_do_not_replace_a_waiting_question(gate, asker):
    block(gate, asker)
    newer = asker.ask("a", PICTURE, DOT * 2, 0)
    assert asker.ask("a", PICTURE, DOT, 0).result(0) is None
    gate.open.set()
    assert newer.result(10).upto == 2


def test_a_question_under_way_is_answered_though_newer_ones_come(gate, asker):
    first = block(gate, asker)
    newer = asker.ask("first", PICTURE, DOT * 2, 0)
    gate.open.set()
    assert (first.result(10).upto, newer.result(10).upto) == (1, 2)


def test_the_line_is_bounded(gate, asker):
    block(gate, asker)
    for i in range(20):
        asker.ask(f"round {i}", PICTURE, DOT, 0)
    with pytest.raises(TooManyQuestions):
        asker.ask("one more", PICTURE, DOT, 0)
    asker.ask("round 3", PICTURE, DOT * 2, 0)  # takes a place that is there


def test_a_cancelled_question_is_not_asked(gate, asker):
    block(gate, asker)
    asker.ask("a", PICTURE, DOT, 0).cancel()
    last = asker.ask("b", PICTURE, DOT, 0)
    gate.open.set()
    last.result(10)
    assert gate.batches == [1, 1]


def test_a_partner_that_dies_is_heard_of_and_may_come_back(gate, asker):
    gate.open.set()
    gate.error = RuntimeError("out of memory")
    with pytest.raises(partners.PartnerFailed, match="out of memory"):
        asker.ask("a", PICTURE, DOT, 0).result(10)
    assert asker.failure is not None
    gate.error = None
    asker.check()
    assert asker.failure is None


def test_an_answer_that_is_none_is_a_failure_and_the_thread_goes_on(gate, asker, monkeypatch):
    gate.open.set()
    with monkeypatch.context() as broken:
        nan = np.full(1, np.nan)
        broken.setattr(gate, "answer", lambda *_: partners.Answer(nan, nan, nan, nan))
        with pytest.raises(partners.PartnerFailed, match="NaN"):
            asker.ask("a", PICTURE, DOT, 0).result(10)
    assert asker.ask("a", PICTURE, DOT, 0).result(10).upto == 1


def test_a_partner_that_hangs_fails_the_check(gate, asker):
    with pytest.raises(partners.PartnerFailed, match="no answer"):
        asker.check(0.05)


def test_past_the_patience_rounds_ask_half_as_often(gate):
    now = iter([0.0, 0.5, 1.0, 4.0, 5.0, 9.0])  # asked, answered
    asker = Asker(gate, RULES, patience_ms=1000, seconds=lambda: next(now))
    gate.open.set()
    assert asker.query_every() == 10
    asker.ask("a", PICTURE, DOT, 0).result(10)
    assert not asker.is_slow()
    for name in ("b", "c"):
        asker.ask(name, PICTURE, DOT, 0).result(10)
    assert asker.is_slow() and asker.query_every() == 20
    asker.close()


def test_closing_gives_up_what_waits(gate):
    asker = Asker(gate, RULES)
    block(gate, asker)
    waiting = asker.ask("a", PICTURE, DOT, 0)
    closing = threading.Thread(target=asker.close)
    closing.start()
    gate.open.set()
    closing.join(10)
    assert waiting.cancelled()
    with pytest.raises(partners.PartnerFailed, match="stopping"):
        asker.ask("b", PICTURE, DOT, 0)
