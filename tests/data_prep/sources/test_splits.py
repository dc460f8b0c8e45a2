"""Splits: in proportion, spread over classes, decided by names and seed, disjoint by content."""

import math

import pytest

from data_prep.sources import splits


@pytest.mark.parametrize("total", [1, 7, 30, 1000])
def test_splits_keep_proportions_and_spread_over_classes(total):
    classes = {f"c{c}": [f"c{c}/{i}" for i in range(total)] for c in range(5)}
    assigned = splits.assign_splits(classes, (6, 3, 1), seed=3)
    assert len(assigned) == 5 * total
    for split, share in zip(splits.SPLITS, (0.6, 0.3, 0.1), strict=True):
        per_class = [sum(assigned[key] == split for key in keys) for keys in classes.values()]
        assert abs(sum(per_class) - share * 5 * total) <= 1
        assert max(per_class) - min(per_class) <= 2


def test_splits_depend_on_seed_and_names_only():
    keys = [str(i) for i in range(50)]
    one = splits.assign_splits({"a": keys}, splits.PAPER_PROPORTIONS, 0)
    assert one == splits.assign_splits({"a": keys[::-1]}, splits.PAPER_PROPORTIONS, 0)
    assert one != splits.assign_splits({"a": keys}, splits.PAPER_PROPORTIONS, 1)
    assert set(one.values()) == set(splits.SPLITS)


def test_zero_leaves_a_split_empty():
    assigned = splits.assign_splits({"a": [str(i) for i in range(50)]}, (9, 1, 0), 0)
    assert set(assigned.values()) == {"train", "validation"}


@pytest.mark.parametrize("proportions", [(1, 1), (1, -1, 1), (0, 0, 0), (math.inf, 1, 1)])
def test_proportions_that_make_no_sense(proportions):
    with pytest.raises(ValueError, match="must be 3 numbers >= 0.*The paper's are"):
        splits.assign_splits({"a": ["x"]}, proportions, 0)


@pytest.mark.parametrize("proportions", [(8, 1, 1), (1, 0, 0), (3, 2, 1)])
def test_dealing_is_assigning(proportions):
    classes = {f"c{n}": [f"{n}/{k}" for k in range(7 * n)] for n in range(5)}
    keys = [(name, key, key) for name, own in reversed(classes.items()) for key in own]
    dealt = dict(splits.dealt(keys, proportions, 3))
    assert dealt == splits.assign_splits(classes, proportions, 3)
    with pytest.raises(ValueError, match="--split_proportions must be"):
        next(splits.dealt((), (1, 2), 0))
