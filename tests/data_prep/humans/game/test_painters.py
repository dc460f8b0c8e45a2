"""Simulated painters paint as the brush does, and go where they should."""

import numpy as np
import pytest

from data_prep.humans.game import painters
from data_prep.humans.game.rules import Rules

RULES = Rules()


def blob(x, y):
    rows, columns = np.mgrid[:256, :256]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 20**2))


@pytest.mark.parametrize("seed", range(5))
def test_paths_are_the_brushs(seed):
    rng = np.random.default_rng(seed)
    for path in (
        painters.guided(blob(80, 200), RULES, rng),
        painters.uniform(RULES, rng),
        painters.border(RULES, rng),
    ):
        assert 100 <= len(path) <= RULES.most_bubbles()
        assert (path[:, :2] >= 0).all() and (path[:, :2] <= 256).all()
        assert (np.hypot(*np.diff(path[:, :2], axis=0).T) <= RULES.brush_step + 0.002).all()
        assert path[0, 2] == 0 and path[-1, 2] <= RULES.limit_ms


def test_the_guided_painter_stays_where_it_matters():
    importance = blob(80, 200)
    rng = np.random.default_rng(0)
    near = [painters.guided(importance, RULES, rng) for _ in range(10)]
    far = [painters.uniform(RULES, rng) for _ in range(10)]
    distance = [
        np.mean([np.hypot(path[:, 0] - 80, path[:, 1] - 200).mean() for path in paths])
        for paths in (near, far)
    ]
    assert distance[0] < 40 < 80 < distance[1]


def test_the_border_painter_never_comes_inside():
    path = painters.border(RULES, np.random.default_rng(0))
    x, y = path[:, 0], path[:, 1]
    edge = np.minimum.reduce([x, y, 256 - x, 256 - y])
    assert (edge <= painters.MARGIN + 1e-6).all()


def test_without_importance_the_guided_painter_is_a_uniform_one():
    one = painters.guided(np.zeros((256, 256)), RULES, np.random.default_rng(4))
    assert (one == painters.uniform(RULES, np.random.default_rng(4))).all()


def test_the_same_chance_gives_the_same_path():
    paths = [painters.guided(blob(50, 50), RULES, np.random.default_rng(1)) for _ in range(2)]
    assert (paths[0] == paths[1]).all()
