"""Equal pictures: across splits training loses them, within a split they are counted."""

import pytest

from data_prep.building import duplicates
from data_prep.building.shards import Row


def row(name, digest, label=0):
    return Row(name, f"{digest:024x}", label, 1, 1, 0, False)


SPLITS = {
    "train": [row("t0", 1), row("t1", 2), row("t2", 3), row("t3", 3), row("t4", 4)],
    "validation": [row("v0", 2), row("v1", 5)],
    "test": [row("e0", 1), row("e1", 2), row("e2", 6)],
}


@pytest.mark.parametrize("at_once", [2, 1000])
def test_training_loses(monkeypatch, at_once):
    monkeypatch.setattr(duplicates, "AT_ONCE", at_once)
    found = duplicates.find(SPLITS.get, {split: len(rows) for split, rows in SPLITS.items()})
    assert sorted(found.across) == [
        ("t0", "train", "e0", "test"),
        ("t1", "train", "e1", "test"),
        ("v0", "validation", "e1", "test"),
    ]
    assert found.repeated == 1  # t3 = t2


def test_nothing_to_find():
    assert duplicates.find(SPLITS.get, {"test": 3}) == ([], 0, [])


def test_one_picture_of_two_classes_is_named():
    rows = [row("ant/0", 1, 0), row("ant/1", 1, 0), row("bee/0", 1, 1)]
    found = duplicates.find({"train": rows}.get, {"train": 3})
    assert found == ([], 2, ["bee/0 = ant/0"])
