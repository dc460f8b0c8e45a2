"""Simulated studies through the real HTTP interface: planted values come back; replay agrees."""

import dataclasses

import game_world
import numpy as np
import pytest
import study_world

from data_prep.humans.game import images, played, players, quality, replay, rounds, simulate
from data_prep.humans.game import statistics as game_statistics
from data_prep.humans.game.frames import Frames
from data_prep.humans.game.partners import load
from data_prep.humans.game.plan import Plan
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import serving
from data_prep.humans.studies.clocks import RealClock
from data_prep.humans.studies.database import open_database
from data_prep.humans.studies.settings import StudySettings
from data_prep.humans.studies.tables import participants

MASKS = players.PlantedMasks()


class Study:
    """A database, pictures, and the reference partner that sees what is planted in them."""

    def __init__(self, folder, each, rules=None):
        study = StudySettings(database=str(folder / "game.db"))
        self.settings = GameSettings(study=study, rules=rules or Rules(), partner="reference")
        self.database, self.tokens = open_database(study.database), study_world.tokens()
        pictures = game_world.draw_pictures(folder / "pictures", each)
        images.add(self.database, images.in_folder(str(pictures)), "t", 0, self.tokens)
        images.meet(self.database, game_world.KNOWN)
        self.partner = load(
            "reference",
            self.settings.rules,
            classes=game_world.KNOWN,
            masks=MASKS,
            threshold=players.PLANTED_THRESHOLD,
        )

    def play(self, plan):
        return simulate.simulate(
            plan, self.settings, self.database, self.partner, MASKS.sees, self.tokens
        )

    def rows(self):
        with self.database.read() as connection:
            return played.read(connection)


@pytest.fixture
def study(tmp_path):
    made = Study(tmp_path, each=3)
    yield made
    made.database.close()


def test_a_small_study_is_played_and_replayed(study):
    plan = Plan(players=3, rounds=3, random=0.34, copying=0, scripted=0, one_round=0, batch=64)
    told = study.play(plan)
    rows = study.rows()
    assert sorted(told.kinds.values()) == ["honest", "honest", "random"]
    assert len(rows) == sum(told.rounds.values()) >= 6
    assert {row.state for row in rows} <= {"recognised", "timed_out", "skipped", "hidden"}
    frames = Frames()
    with study.database.read() as connection:
        for row in rows:
            again = replay.replay(
                connection,
                row.id,
                study.partner,
                study.settings.rules,
                lambda path: frames.get(path).pixels,
            )
            assert all(one.agrees for one in again)
            assert again or row.state in ("skipped", "hidden")


def test_replay_refuses_other_rules_and_partners(study):
    study.play(Plan(players=1, rounds=1, one_round=1, random=0, copying=0, scripted=0, batch=64))
    (row,) = study.rows()
    other = load("reference", study.settings.rules)
    with study.database.read() as connection:
        for partner, rules, what in (
            (study.partner, Rules(top_k=1), "rules"),
            (other, study.settings.rules, "partner"),
        ):
            with pytest.raises(ValueError, match=f"with the {what}"):
                replay.replay(connection, row.id, partner, rules, None)
        with pytest.raises(ValueError, match="no round"):
            replay.replay(connection, "none", study.partner, study.settings.rules, None)


def test_a_changed_answer_is_seen():
    one = replay.Replayed(10, (3, [[7, 0.5], [2, 0.2]]), (3, [[7, 0.50001], [2, 0.2]]))
    assert one.agrees
    for again in ((4, one.again[1]), (3, [[7, 0.51], [2, 0.2]]), (3, [[8, 0.5], [2, 0.2]])):
        assert not dataclasses.replace(one, again=again).agrees


def test_who_has_played_all_stops(study):
    told = study.play(
        Plan(players=1, rounds=500, one_round=0, random=0, copying=0, scripted=0, batch=64)
    )
    assert list(told.rounds.values()) == [9]


def test_players_paint_at_once_in_real_time(study):
    """Against a server with the machine's clock; short rounds."""
    rules = Rules(limit_ms=700, query_apart_ms=0)
    settings = dataclasses.replace(study.settings, rules=rules)
    partner = study.partner.with_rules(rules)
    app = simulate.make_app(settings, study.database, partner, RealClock(), study.tokens)
    with serving.on_a_thread(app, settings.study.for_simulation()) as (host, port):
        plan = Plan(players=3, rounds=1, one_round=0, skipped=1.0)
        told = simulate.in_real_time(plan, host, port, MASKS.sees)
    assert list(told.rounds.values()) == [1, 1, 1]
    assert {row.state for row in study.rows()} == {"skipped"}


@pytest.mark.parametrize(
    "wrong", [{"skipped": 1.5}, {"random": 0.8, "scripted": 0.8}, {"batch": 65}]
)
def test_an_impossible_plan_is_refused(wrong):
    with pytest.raises(ValueError, match="--"):
        Plan(**wrong)


def test_what_is_planted_differs_between_pictures():
    masks = [MASKS.get(f"{number:x}" * 64) for number in (1, 9, 14)]
    assert all(mask.sum() == pytest.approx(np.pi * 40**2, rel=0.01) for mask in masks)
    assert not (masks[0] * masks[2]).any()


@pytest.mark.slow
def test_planted_values_are_recovered(tmp_path):
    """30 players, some 25 rounds each: shares recognised and skipped, and who plays how."""
    study = Study(tmp_path, each=20)
    plan = Plan(players=30, rounds=25, one_round=0.1, batch=30, seed=1)
    told = study.play(plan)
    rows = study.rows()
    with study.database.read() as connection:
        names = {row.id: row.display_name for row in connection.execute(participants.select())}
        signatures = {
            round_id: quality.signature(path, study.settings.rules)
            for round_id, path in played.paths(connection)
        }
        latencies = played.latencies_ms(connection)
    honest = [row for row in rows if told.kinds[names[row.participant]] == "honest"]
    found = game_statistics.measure(honest, 0, latencies, np.random.default_rng(0))
    assert found.recognised.low - 0.03 <= plan.recognised <= found.recognised.high + 0.03
    assert found.skipped == pytest.approx(plan.skipped, abs=0.03)
    assert found.learning.p > 0.01

    people = quality.judge(rows, signatures, np.random.default_rng(0))
    judged = [one for one in people if one.compared >= 8 or one.flags]
    rates = {}
    for kind in players.KINDS:
        some = [one for one in judged if told.kinds[names[one.participant]] == kind]
        rates[kind] = f"{sum(bool(one.stands_out) for one in some)} of {len(some)}"
        if kind == "honest":
            assert sum(bool(one.stands_out) for one in some) <= 0.15 * len(some)
    print("stand out:", rates)
    with study.database.read() as connection:
        assert all(rounds.get(connection, row.id).state == row.state for row in rows[:5])
    study.database.close()
