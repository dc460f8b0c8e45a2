"""Lists: a Latin square with balanced keys, the same for the same seed; who gets which."""

import collections

import numpy as np
import pytest
import sqlalchemy as sa
import study_world
from experiment_world import small_set
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from data_prep.humans.psychophysics import allocation, lists, serving
from data_prep.humans.psychophysics import tables as t
from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.lists import LISTS, Shown
from data_prep.humans.psychophysics.settings import Settings
from data_prep.humans.studies.settings import StudySettings
from data_prep.humans.studies.tables import participants

IMAGES = [Shown(f"{i}.jpg", "target" if i < 40 else "distractor") for i in range(80)]
TRAINING = [Shown("a.jpg", "target"), Shown("b.jpg", "distractor"), Shown("c.jpg", "target")]


def make(number, seed=0, group="clickme", images=IMAGES):
    return lists.make(images, TRAINING, seed, group, number, (1100, 1600), 24)


def test_over_any_twelve_lists_each_image_meets_each_level_once():
    plans = [make(number) for number in range(LISTS)]
    for first in range(13):
        met = collections.Counter(
            (trial.image, trial.level)
            for plan in plans[first : first + 12]
            for trial in plan.trials
        )
        assert len(met) == 80 * 12 and set(met.values()) == {1}
    with_keys = {(t.image, t.level, plan.target_key) for plan in plans for t in plan.trials}
    assert len(with_keys) == 80 * 12 * 2


def test_a_person_sees_each_image_once_and_each_level_six_or_seven_times():
    for number in range(LISTS):
        trials = make(number).trials
        assert len({trial.image for trial in trials}) == 80
        levels = collections.Counter(trial.level for trial in trials)
        assert set(levels) == set(LEVEL_NAMES) and set(levels.values()) <= {6, 7}
        sides = np.array([int(trial.image[:-4]) < 40 for trial in trials])
        assert lists.longest_run(sides) <= 4
        assert all(1100 <= trial.fixation_ms <= 1600 for trial in trials)


def test_longest_run_by_hand():
    assert lists.longest_run(np.array([1, 1, 0, 0, 0, 1])) == 3
    assert lists.longest_run(np.array([1])) == 1


def test_training_runs_through_its_images_again_and_again():
    practice = make(3).training
    assert len(practice) == 24
    for first in range(0, 24, 3):
        assert {one.image for one in practice[first : first + 3]} == {"a.jpg", "b.jpg", "c.jpg"}
    assert {one.image for one in practice}.isdisjoint(one.image for one in make(3).trials)


def test_the_same_seed_group_and_number_give_the_same_list():
    assert make(5) == make(5)
    assert make(5) != make(5, seed=1) and make(5) != make(5, group="salicon")
    assert lists.plan_of(make(5).as_json()) == make(5)


def test_sides_that_cannot_be_mixed_are_refused(monkeypatch):
    monkeypatch.setattr(lists, "ORDER_TRIES", 50)
    with pytest.raises(ValueError, match="19 targets and 1 distractors"):
        make(0, images=[*IMAGES[:19], IMAGES[-1]])


# --------------------------------------------------------------------------- who gets which


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def empty(request, tmp_path_factory):
    address = str(tmp_path_factory.mktemp("allocation") / "study.db")
    if request.param == "postgresql":
        address = study_world.emptied(request.getfixturevalue("postgres_server"))
    study = StudySettings(study="rapid", database=address)
    settings, database = serving.prepare(Settings(study, stimuli=str(small_set())))
    with database.write() as connection:
        for number in range(60):
            row = dict(id=f"p{number}", display_name=f"n{number}", created_at=0)
            connection.execute(participants.insert().values(**row))
            gate = dict(id=f"g{number}", participant_id=f"p{number}", values="{}", reason="")
            connection.execute(t.gates.insert().values(**gate, checked_at=0))
    yield settings, database
    database.close()


def held(connection, now_ms):
    """{group: lists finished or active}, counted without the code's help."""
    rows = connection.execute(sa.select(t.lists.c.group, t.lists.c.state, t.lists.c.heard_at)).all()
    counts = dict.fromkeys(("clickme", "salicon"), 0)
    for group, state, heard_at in rows:
        counts[group] += state == "finished" or (
            state == "active" and now_ms - heard_at <= 1800_000
        )
    return counts


@examples(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(["arrive", "finish", "leave", "wait"]), max_size=60))
def test_arrivals_even_the_groups_out_whoever_leaves(empty, steps):
    settings, database = empty
    clock, people, open_lists = study_world.clock(), iter(range(60)), []
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")  # rolled back at the end
        for step in steps:
            if step == "arrive":
                before = held(connection, clock())
                person = f"p{next(people)}"
                row = allocation.take(
                    connection, settings, person, "device-1", f"l{person}", clock()
                )
                least = min(before.values())
                assert before[row.group] == least
                after = held(connection, clock())
                gap = max(before.values()) - least
                assert max(after.values()) - min(after.values()) <= max(1, gap)
                open_lists.append(row.id)
            elif step == "finish" and open_lists:
                allocation.move(connection, open_lists.pop(0), "finish", clock())
            elif step == "leave" and open_lists:
                allocation.move(connection, open_lists.pop(), "abandon", clock())
            elif step == "wait":
                clock.advance(11 * 60_000)
        connection.rollback()


def test_without_drop_outs_groups_lists_and_keys_are_even(empty):
    settings, database = empty
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        taken = [
            allocation.take(connection, settings, f"p{n}", "device-1", f"l{n}", n)
            for n in range(48)
        ]
        connection.rollback()
    assert len({(row.group, row.number) for row in taken}) == 48
    for upto in range(2, 49, 2):
        keys = collections.Counter((row.group, row.target_key) for row in taken[:upto])
        for group in ("clickme", "salicon"):
            assert abs(keys[group, "KeyS"] - keys[group, "KeyL"]) <= 1
