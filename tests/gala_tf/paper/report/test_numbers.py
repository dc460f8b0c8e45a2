"""Numbers of a report against NumPy and SciPy."""

import dataclasses
import types

import numpy as np
import pytest
from scipy import stats

from gala_tf.evaluation import significance
from gala_tf.paper.report import numbers, runs

LAYER = "stage3_block2"


def run(top1=0.6, spearman=0.4, ceiling=0.8, images=None, seed=0, examples=50):
    maps = {
        LAYER: {
            "spearman": spearman,
            "standard_error": 0.02,
            "images": examples,
            "shuffled": 0.1,
            "center_prior": 0.2,
            "fraction_of_ceiling": spearman / ceiling if ceiling and spearman else None,
        }
    }
    results = {
        "top1": top1,
        "top5": 0.9,
        "examples": examples,
        "maps": maps,
        "final_layer": LAYER,
        "human_ceiling": {"value": ceiling, "null": 0.04},
    }
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(runs.StoredRun))
    seeded = types.SimpleNamespace(seed=seed)
    return runs.StoredRun(**{**nothing, "results": results, "images": images, "config": seeded})


def line(*runs):
    return types.SimpleNamespace(runs=runs)


def test_error_over_seeds_is_students_t():
    found = numbers.error(line(run(0.6), run(0.7), run(0.65)), 1)
    values = np.array([40.0, 30.0, 35.0])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert found[:3] == pytest.approx((35, low, high))
    assert found.n == 3 and "Student t over 3 seeds" in found.estimator


def test_intervals_of_errors_end_where_errors_do():
    found = numbers.error(line(run(0.9), run(0.98)), 1)
    assert (
        found.mean == pytest.approx(6)
        and found.low == 0
        and found.high == pytest.approx(56.8, abs=0.1)
    )
    assert numbers.error(line(run(0.1), run(0.02)), 1).high == 100


def test_error_of_one_seed_is_wilsons():
    found = numbers.error(line(run(0.6)), 1)
    expected = stats.binomtest(20, 50).proportion_ci(method="wilson")
    assert found[:3] == pytest.approx((40, 100 * expected.low, 100 * expected.high))
    assert "over 50 images" in found.estimator
    assert numbers.error(line(run()), 5).mean == pytest.approx(10)


def test_map_score_over_seeds_in_both_units():
    lines = line(run(spearman=0.4), run(spearman=0.6), run(spearman=None))
    assert numbers.map_score(lines, False).mean == pytest.approx(0.5)
    relative = numbers.map_score(lines, True)
    assert relative.mean == pytest.approx(62.5) and relative.n == 2  # one is undefined
    assert numbers.map_score(line(run(spearman=None)), True) is None


def test_map_score_of_one_seed_is_over_images():
    normal = numbers.map_score(line(run()), True)
    half = 1.959964 * 0.02 / 0.8 * 100
    assert normal[:3] == pytest.approx((50, 50 - half, 50 + half), rel=1e-6)
    assert "standard error over 50 images" in normal.estimator
    values = np.random.default_rng(0).normal(0.4, 0.1, 50)
    values[7] = np.nan
    mean = float(np.nanmean(values))
    single = run(spearman=mean, images={f"spearman/{LAYER}": values})
    found = numbers.map_score(line(single), True)
    assert found.mean == pytest.approx(mean / 0.8 * 100) and found.n == 49
    assert "bootstrap over 49 images" in found.estimator
    spread = 2 * 1.96 * np.nanstd(values) / 7 / 0.8 * 100
    assert found.high - found.low == pytest.approx(spread, rel=0.1)


def test_ceiling_of_all_or_of_none():
    assert numbers.has_ceiling([line(run(), run())])
    assert not numbers.has_ceiling([line(run(), run(ceiling=None))])


def test_baselines():
    lines = [line(run(), run()), line(run())]
    assert numbers.baseline(lines, "null", True).mean == pytest.approx(5)
    assert numbers.baseline(lines, "shuffled", False).mean == pytest.approx(0.1)
    assert numbers.baseline(lines, "center_prior", True).mean == pytest.approx(25)


def images_run(seed, accuracy, n=200, classes=2, undefined=()):
    rng = np.random.default_rng(seed + int(1000 * accuracy))
    score = rng.normal(accuracy, 0.2, n)
    score[list(undefined)] = np.nan
    rank = np.where(rng.random(n) < accuracy, 0, rng.integers(1, 7, n))
    columns = {
        "rank": rank,
        "class_name": np.array(["b", "a"] * (n // 2), object),
        "confidence": rng.uniform(0.4, 1, n),
        f"spearman/{LAYER}": score,
    }
    made = run(float((rank < 1).mean()), float(np.nanmean(score)), images=columns, examples=n)
    return dataclasses.replace(_Run(made.results, columns, made.config), config=_Config(seed))


@dataclasses.dataclass(frozen=True)
class _Config:
    seed: int


@dataclasses.dataclass(frozen=True)
class _Run:
    results: dict
    images: dict
    config: object


def test_compare_against_numpy():
    a = line(*(images_run(seed, 0.5, undefined=(3,)) for seed in (0, 1, 2)))
    b = line(*(images_run(seed, 0.7, undefined=(5,)) for seed in (1, 2, 9)))
    found = numbers.compare(a, b)
    wrong = [np.stack([one.images["rank"] > 0 for one in part.runs]) for part in (a, b)]
    assert found.images == 200 and found.seeds == (3, 3)
    assert found.top1.mean == pytest.approx(100 * (wrong[0].mean() - wrong[1].mean()))
    means = [part.mean(0) for part in wrong]
    assert found.p_top1 == significance.permutation_paired(*means, numbers.SEED)
    assert list(found.mcnemar) == [1, 2]
    expected = significance.mcnemar_exact(~wrong[0][1], ~wrong[1][0])  # seed 1 of both
    assert found.mcnemar[1] == expected
    pairs = 100 * np.array(
        [wrong[0][1].mean() - wrong[1][0].mean(), wrong[0][2].mean() - wrong[1][1].mean()]
    )
    assert found.over_seeds.mean == pytest.approx(pairs.mean()) and found.over_seeds.n == 2
    assert found.map_images == 198
    rows = [i for i in range(200) if i not in (3, 5)]
    means = [np.mean([one.images[f"spearman/{LAYER}"][rows] for one in part.runs])
             for part in (a, b)]  # fmt: skip
    assert found.maps.mean == pytest.approx(means[0] - means[1])
    assert found.p_maps < 0.01 and found.p_top1 < 0.01


def test_compare_without_maps_or_common_seeds():
    a, b = images_run(0, 0.5), images_run(1, 0.5)
    a.images[f"spearman/{LAYER}"][:] = np.nan
    found = numbers.compare(line(a), line(b))
    assert found.maps is None and found.p_maps is None and found.map_images == 0
    assert found.mcnemar == {} and found.over_seeds is None
