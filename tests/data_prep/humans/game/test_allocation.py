"""Who gets which picture: by each rule, with people who come and go."""

import random
import time

import pytest
import sqlalchemy as sa
from game_world import World

from data_prep.humans.game import allocation
from data_prep.humans.game.tables import images, rounds
from data_prep.humans.studies.tables import participants


def next_picture(world, person):
    """The picture of the next round, which is then skipped or finished."""
    round_id = person.ask().json()["round"]
    with world.database.read() as connection:
        row = connection.execute(rounds.select().where(rounds.c.id == round_id)).one()
    return round_id, row.image_id


def finish(world, person, round_id):
    person.start(round_id)
    person.end(round_id, "timeout")
    world.clock.advance(2000)


@pytest.mark.parametrize("text", ["", "cover", "target:", "target:0", "target:x", "list:"])
def test_an_unknown_rule(text):
    with pytest.raises(ValueError, match="expected coverage"):
        allocation.parse(text)


def test_coverage_gives_what_has_fewest_maps(world, alice, charlie):
    first = []
    for _ in range(3):
        round_id, image = next_picture(world, alice)
        first.append(image)
        finish(world, alice, round_id)
    for _ in range(3):
        round_id, image = next_picture(world, charlie)
        assert image not in first
        finish(world, charlie, round_id)


def test_a_skipped_picture_returns_to_the_pool_for_others_only(world, alice, charlie):
    round_id, image = next_picture(world, alice)
    alice.end(round_id, "skip", skip_reason="unclear")
    assert next_picture(world, charlie)[1] == image
    seen = set()
    for _ in range(5):
        round_id, other = next_picture(world, alice)
        seen.add(other)
        finish(world, alice, round_id)
    assert image not in seen


def test_target_fills_pictures_one_after_the_other(tmp_path):
    with World(tmp_path, allocation="target:2") as world:
        people = [world.person() for _ in range(4)]
        got = []
        for person in people:
            round_id, image = next_picture(world, person)
            got.append(image)
            finish(world, person, round_id)
        assert got[0] == got[1] != got[2] == got[3]


def test_random_is_drawn_from_seed_and_person(world, alice):
    with world.database.write() as connection:
        rule = allocation.parse("random")
        drawn = [
            allocation.choose(connection, rule, "nobody", False, random.Random(seed)).id
            for seed in range(40)
        ]
        again = [
            allocation.choose(connection, rule, "nobody", False, random.Random(seed)).id
            for seed in range(40)
        ]
    assert drawn == again and len(set(drawn)) == 6


def test_three_who_skip_for_one_reason_retire_a_picture(world):
    people = [world.person() for _ in range(4)]
    image = None
    for person in people[:3]:
        round_id, image = next_picture(world, person)
        person.end(round_id, "skip", skip_reason="broken")
    with world.database.read() as connection:
        row = connection.execute(images.select().where(images.c.id == image)).one()
    assert row.retired_at is not None and "broken" in row.retired_reason
    assert next_picture(world, people[3])[1] != image


@pytest.mark.slow
def test_choosing_among_many_is_fast(world):
    """200,000 pictures and 500,000 rounds: p95 <= 20 ms, commit included."""
    big, played, people = 200_000, 500_000, 200
    chance = random.Random(0)
    with world.database.write() as connection:
        connection.execute(
            images.insert(),
            [
                dict(
                    id=f"i{n}", set="big", path=str(n), sha256="", class_index=1, wnid="",
                    label="x", is_catch=False, shuffle=chance.randrange(2**62), taken=0,
                )
                for n in range(big)
            ],
        )  # fmt: skip
        connection.execute(
            participants.insert(),
            [dict(id=f"p{n}", display_name=f"p{n}", created_at=0) for n in range(people)],
        )
        row = dict(
            tab="t", state="timed_out", offered_at=0, lease_until=0, heard_at=0, moved_at=0,
            closed_at=0, bubbles=0, last_ms=0, evaluated=0, rules_hash="", partner_hash="",
            flags="", is_catch=False,
        )  # fmt: skip
        for person in range(people):
            pictures = chance.sample(range(big), played // people)
            connection.execute(
                rounds.insert(),
                [
                    dict(row, id=f"r{person}-{n}", participant_id=f"p{person}", image_id=f"i{n}")
                    for n in pictures
                ],
            )
        connection.execute(sa.text("ANALYZE"))
    took = []
    for n in range(400):
        began = time.thread_time()
        with world.database.write() as connection:
            rule = allocation.parse("coverage")
            found = allocation.choose(connection, rule, f"p{n % people}", False, chance)
            allocation.take(connection, found.id)
        took.append((time.thread_time() - began) * 1000)
    took.sort()
    print(f"median {took[200]:.1f} ms, p95 {took[380]:.1f} ms of CPU")
    assert took[380] <= 20
