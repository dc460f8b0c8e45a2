"""Numbers by image, by hand and against NumPy and SciPy; one seed and several."""

import numpy as np
import pytest
from scipy import stats

from gala_tf.evaluation import breakdowns, significance

LAYER = "stage3_block2"


def images_run(seed, accuracy, n=200):
    """Columns of a run's images, of two classes in turn."""
    rng = np.random.default_rng(seed + int(1000 * accuracy))
    score = rng.normal(accuracy, 0.2, n)
    return {
        "rank": np.where(rng.random(n) < accuracy, 0, rng.integers(1, 7, n)),
        "class_name": np.array(["b", "a"] * (n // 2), object),
        "confidence": rng.uniform(0.4, 1, n),
        f"spearman/{LAYER}": score,
    }


def seeds(*runs):
    return list(runs)


def test_error_by_class_by_hand():
    columns = {
        "label": np.array([2, 0, 0, 0, 2, 5]),
        "class_name": np.array(["c", "a", "a", "a", "c", "f"], object),
        "rank": np.array([0, 3, 0, 1, 0, 2]),
    }
    found = breakdowns.error_by_class([columns])
    assert list(found) == ["a", "c", "f"]
    assert [interval.mean for interval in found.values()] == pytest.approx([200 / 3, 0, 100])
    assert [interval.n for interval in found.values()] == [3, 2, 1]
    assert all(interval.low <= interval.mean <= interval.high for interval in found.values())


def test_error_by_class_and_its_intervals():
    one = images_run(0, 0.5)
    found = breakdowns.error_by_class(seeds(one))
    wrong = one["rank"][1::2] > 0
    expected = stats.binomtest(int(wrong.sum()), 100).proportion_ci(method="wilson")
    assert list(found) == ["a", "b"]
    assert found["a"][:3] == pytest.approx(
        (100 * wrong.mean(), 100 * expected.low, 100 * expected.high)
    )
    both = breakdowns.error_by_class(seeds(one, images_run(1, 0.5)))
    assert both["a"].n == 2


def test_calibration_is_the_mean_over_seeds():
    runs = [images_run(seed, 0.5) for seed in (0, 1)]
    found, bins = breakdowns.calibration(seeds(*runs))
    each = [
        100 * significance.expected_calibration_error(one["confidence"], one["rank"] < 1)[0]
        for one in runs
    ]
    assert found.mean == pytest.approx(np.mean(each)) and found.n == 2
    assert bins.count.sum() == 400


def test_fifths_by_hand():
    one = images_run(0, 0.5, n=10)
    one[f"spearman/{LAYER}"][:] = np.arange(10)[::-1] / 10
    one["rank"][:] = [0, 0, 0, 1, 1, 1, 1, 1, 0, 1]  # from the highest score to the lowest
    found = breakdowns.accuracy_by_map_score(seeds(one))
    assert [part[0] for part in found] == pytest.approx([0.05, 0.25, 0.45, 0.65, 0.85])
    assert [part[1].mean for part in found] == [50, 0, 0, 50, 100]
    assert [part[2] for part in found] == [2] * 5
    one[f"spearman/{LAYER}"][:7] = np.nan
    assert breakdowns.accuracy_by_map_score(seeds(one)) == []
