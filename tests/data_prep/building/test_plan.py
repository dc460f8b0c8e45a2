"""The plan: every image in one shard, at a place that the seed decides."""

import json

import pytest

from data_prep.building import plan as build_plan
from data_prep.sources import Item

WANTED = {"train": 4, "validation": 3, "test": 2}


def items(**counts):
    for split, count in counts.items():
        for i in range(count):
            yield Item(f"{split}/{i:03d}", split, json.dumps([i]))


def everything(plan, directory, seed=0):
    return {
        shard: build_plan.shard_items(str(directory), *shard, seed) for shard in plan.all_shards()
    }


def test_images_are_dealt_like_cards(tmp_path):
    plan = build_plan.make(str(tmp_path / "plan"), items(test=1, train=10), WANTED, {"a": 1})
    assert plan.images == {"train": 10, "test": 1} and plan.shards == {"train": 4, "test": 1}
    found = everything(plan, tmp_path / "plan")
    assert {item.key for item in found["train", 1]} == {"[1]", "[5]", "[9]"}
    assert [plan.images_of(*shard) for shard in plan.all_shards()] == [3, 3, 2, 2, 1]
    assert {shard: len(items) for shard, items in found.items()} == {
        shard: plan.images_of(*shard) for shard in plan.all_shards()
    }
    assert {item for shard in found.values() for item in shard} == set(items(train=10, test=1))
    assert build_plan.load(str(tmp_path / "plan")) == plan


def test_the_seed_orders_a_shard_and_nothing_else(tmp_path):
    plan = build_plan.make(str(tmp_path / "plan"), items(train=100), {"train": 2}, {})
    orders = [build_plan.shard_items(str(tmp_path / "plan"), "train", 0, s) for s in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])
    assert orders[0] != sorted(orders[0])
    assert plan.shards == {"train": 2}


def test_half_a_plan_is_none(tmp_path):
    assert build_plan.load(str(tmp_path)) is None
    build_plan.make(str(tmp_path / "plan"), items(train=3), WANTED, {})
    (tmp_path / "plan" / "plan.json").unlink()  # it is written last
    assert build_plan.load(str(tmp_path / "plan")) is None
    plan = build_plan.make(str(tmp_path / "plan"), items(test=2), WANTED, {})
    assert plan.images == {"test": 2}
    assert not (tmp_path / "plan" / "train-00000.items").exists()


@pytest.mark.parametrize("digest", [None, lambda name: 7, lambda name: len(name)])
def test_a_name_that_comes_twice_is_found_whatever_its_digest(tmp_path, monkeypatch, digest):
    """Across splits; and names whose digests happen to be equal are no names that are."""
    if digest:
        monkeypatch.setattr(build_plan, "_digest", digest)
    plan = build_plan.make(str(tmp_path / "fine"), items(train=20, test=3), WANTED, {})
    assert plan.images == {"train": 20, "test": 3}
    twice = [*items(train=20), Item("train/007", "test", "")]
    with pytest.raises(ValueError, match="Two examples are called 'train/007'"):
        build_plan.make(str(tmp_path / "plan"), twice, WANTED, {})
    assert build_plan.load(str(tmp_path / "plan")) is None


def test_names_are_read_again_only_where_one_may_come_twice(tmp_path, monkeypatch):
    def no_reading(path):
        raise AssertionError(path)

    monkeypatch.setattr(build_plan, "_lines", no_reading)
    assert (
        build_plan.make(str(tmp_path / "plan"), items(train=50), WANTED, {}).images["train"] == 50
    )


def test_what_a_source_may_not_list(tmp_path):
    with pytest.raises(ValueError, match="lists no image"):
        build_plan.make(str(tmp_path / "plan"), [], WANTED, {})
    with pytest.raises(ValueError, match="'a': split must be one of train, .* got 'dev'"):
        build_plan.make(str(tmp_path / "plan"), [Item("a", "dev", "")], WANTED, {})


def test_odd_names_survive(tmp_path):
    odd = [Item('a "b"\\ \u2028 \u00e9.jpg', "train", "two\nlines")]
    plan = build_plan.make(str(tmp_path / "plan"), odd, WANTED, {})
    assert everything(plan, tmp_path / "plan") == {("train", 0): odd}
