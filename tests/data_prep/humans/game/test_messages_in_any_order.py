"""Messages shuffled, doubled, dropped and late: the round ends as if they had come in order.

Beside the server stands a model that shares no helper with it: a list of the bubbles that were
stored, and what a reader of the specification would say of the round. What a browser's outbox does
(send again from `stored` after a 409) is part of the model.
"""

import pathlib
import tempfile

import game_world
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from data_prep.humans.game import bubbles, invariants, rounds
from data_prep.humans.studies import invariants as study_invariants

PATH = [[10.0 + 0.5 * n, 10.0, 50.0 * n] for n in range(141)]  # a corner: never recognised
MIDDLE = game_world.winning(60)


class Round(RuleBasedStateMachine):
    """One round under fire."""

    @initialize(wins=st.booleans())
    def begin(self, wins):
        self.folder = tempfile.TemporaryDirectory()
        self.world = game_world.World(pathlib.Path(self.folder.name), each=1)
        self.world.__enter__()
        self.person = self.world.person()
        self.path = MIDDLE if wins else PATH
        self.round = self.person.ask().json()["round"]
        self.began = None  # when the start arrived
        self.has = 0  # bubbles the server must have
        self.over = None  # the state it ended in, and its points
        self.old = []  # messages that may come again

    def teardown(self):
        if hasattr(self, "world"):
            self.world.__exit__()
            self.folder.cleanup()

    def late(self):
        return self.began is not None and self.world.clock() > self.began + 9000

    def see(self, answer):
        """Once over, a round's state and points never change."""
        body = answer.json()
        if answer.status_code != 200 or body["status"] in ("offered", "playing"):
            assert self.over is None or answer.status_code in (409, 410, 429)
            return
        seen = (body["status"], body.get("points"))
        if self.over is None:
            self.over = seen
        if "points" in body:
            assert self.over == seen

    @rule(ms=st.integers(0, 2500))
    def time_passes(self, ms):
        self.world.clock.advance(ms)

    @rule()
    def start(self):
        answer = self.person.start(self.round)
        if answer.status_code == 200 and self.began is None and self.over is None:
            self.began = self.world.clock()
        assert answer.json().get("elapsed_ms", 0) >= 0

    @rule(first=st.integers(0, 60), count=st.integers(1, 64))
    def bubbles_from_anywhere(self, first, count):
        points = self.path[first : first + count]
        if points:
            self.old.append((first, points))
            self.deliver(first, points)

    @rule(count=st.integers(1, 20))
    def bubbles_in_order(self, count):
        points = self.path[self.has : self.has + count]
        if points:
            self.old.append((self.has, points))
            self.deliver(self.has, points)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def an_old_message_again(self, data):
        self.deliver(*data.draw(st.sampled_from(self.old)))

    def deliver(self, first, points):
        answer = self.person.bubbles(self.round, points, first)
        if answer.status_code == 429:
            return
        if self.began is None and (self.over is None or self.over[0] == "released"):
            assert answer.status_code == 409 and answer.json()["stored"] == 0
        elif first > self.has:
            assert answer.status_code == 409 and answer.json()["stored"] == self.has
        else:
            assert answer.status_code == 200, answer.text
            self.has = max(self.has, first + len(points))
            assert answer.json()["stored"] == self.has
        if answer.status_code == 200:
            self.see(answer)

    @rule(reason=st.sampled_from(["timeout", "skip", "hidden"]))
    def end(self, reason):
        if self.over is None and self.began is None and reason != "skip":
            return  # a page that has not started cannot say so
        answer = self.person.end(self.round, reason, skip_reason="unclear")
        if answer.status_code == 200:
            self.see(answer)

    @rule()
    def sweep(self):
        self.world.service.sweep(self.world.clock())
        with self.world.database.read() as connection:
            row = rounds.get(connection, self.round)
        if row.state in rounds.CLOSED and self.over is None:
            self.over = (row.state, row.points)
        if self.over is None and self.began is not None:
            assert not self.late()

    @invariant()
    def the_server_has_exactly_what_it_said(self):
        if not hasattr(self, "world"):
            return
        with self.world.database.read() as connection:
            row = rounds.get(connection, self.round)
            stored = bubbles.path_of(connection, self.round, ("in_time", "late"))
            broken = study_invariants.violations(connection, [invariants.GAME])
        assert [list(point[:2]) for point in stored] == [p[:2] for p in self.path[: self.has]]
        assert not any(broken.values()), broken
        if self.over is not None:
            assert (row.state, row.points) == self.over
        if row.state == "recognised":
            assert self.path is MIDDLE and row.recognised_upto <= self.has


TestRound = pytest.mark.slow(Round.TestCase)
TestRound.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
