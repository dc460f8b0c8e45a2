"""Statistics of paired results against SciPy, enumeration, and numbers by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from gala_tf.evaluation import significance


def outcomes(both, only_a, only_b, neither):
    """correct_a and correct_b with these counts of images."""
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


@pytest.mark.parametrize("only_a, only_b", [(0, 1), (1, 5), (3, 3), (9, 2), (40, 63), (300, 420)])
def test_mcnemar_equals_scipys_binomial(only_a, only_b):
    expected = stats.binomtest(only_a, only_a + only_b, 0.5).pvalue
    pair = outcomes(17, only_a, only_b, 8)
    assert significance.mcnemar_exact(*pair) == pytest.approx(expected, rel=1e-10)
    assert significance.mcnemar_exact(*pair[::-1]) == pytest.approx(expected, rel=1e-10)


def test_mcnemar_by_hand():
    # 1 against 5: 2 (1 + 6) / 64.
    assert significance.mcnemar_exact(*outcomes(2, 1, 5, 3)) == 14 / 64
    assert significance.mcnemar_exact(*outcomes(3, 0, 0, 4)) == 1  # they never differ
    assert significance.mcnemar_exact(*outcomes(0, 1, 1, 0)) == 1  # twice the half, and more
    assert significance.mcnemar_exact([1, 1, 0], [0, 1, 0]) == 1


def test_mcnemar_of_a_large_test_set():
    """17,581 images: whole numbers of thousands of digits, and no underflow before there is one."""
    p = significance.mcnemar_exact(*outcomes(9000, 3100, 2500, 2981))
    assert p == pytest.approx(stats.binomtest(2500, 5600, 0.5).pvalue, rel=1e-8)
    assert significance.mcnemar_exact(*outcomes(0, 17581, 0, 0)) == 0.0


def test_mcnemar_refuses():
    with pytest.raises(ValueError, match=r"same images; received shapes \[2\] and \[3\]"):
        significance.mcnemar_exact([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="correct_b must be True or False"):
        significance.mcnemar_exact([0, 1], [0, 0.5])
    with pytest.raises(ValueError, match=r"N > 0; received shape \[0\]"):
        significance.mcnemar_exact([], [])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        significance.mcnemar_exact([0, 1], [0, np.nan])


def exact_p(a, b):
    """All 2^N sign flips."""
    difference = a - b
    sums = [np.dot(signs, difference) for signs in itertools.product((1, -1), repeat=len(a))]
    return np.mean(np.abs(sums) >= abs(difference.sum()) - 1e-9)


def test_permutation_by_hand():
    """Differences 1, 1, 1, 1: two of sixteen flips are as far out."""
    p = significance.permutation_paired(np.ones(4), np.zeros(4), seed=0, permutations=40_000)
    assert p == pytest.approx(1 / 8, abs=0.006)


@pytest.mark.parametrize("shift", [0.0, 0.4, 0.9])
def test_permutation_equals_enumeration_and_scipys(shift):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 11))
    a += shift
    expected = exact_p(a, b)
    scipys = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    assert expected == pytest.approx(scipys)
    found = significance.permutation_paired(a, b, seed=0, permutations=40_000)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 40_000))
    assert found == significance.permutation_paired(b, a, seed=0, permutations=40_000)


def test_permutation_of_errors_agrees_with_mcnemar():
    """Means of 0 and 1 with many ties: both test the same null with the same statistic."""
    a, b = outcomes(30, 18, 7, 5)
    found = significance.permutation_paired(a, b, seed=0, permutations=100_000)
    assert found == pytest.approx(significance.mcnemar_exact(a, b), abs=0.003)


def test_ties_survive_rounding():
    """Thirds, as means over three seeds: flips as far out as the data, but for rounding, count."""
    difference = np.array([1, 1, -1, 2, 2, 1, -2, 1, 1]) / 3
    found = significance.permutation_paired(difference, 0 * difference, 0, permutations=100_000)
    assert found == pytest.approx(exact_p(3 * difference, 0 * difference), abs=0.005)


def test_permutation_does_not_depend_on_chunks(monkeypatch):
    a, b = np.random.default_rng(0).normal(size=(2, 64))
    whole = significance.permutation_paired(a, b, seed=5)
    monkeypatch.setattr(significance, "CHUNK_ELEMENTS", 1000)
    assert significance.permutation_paired(a, b, seed=5) == whole
    assert significance.permutation_paired(a, b, seed=6) != whole


def test_p_is_never_zero_and_one_without_differences():
    assert significance.permutation_paired(np.arange(90.0), np.zeros(90), 0, 99) == 1 / 100
    assert significance.permutation_paired(np.ones(5), np.ones(5), 0, 99) == 1


def test_p_is_uniform_under_the_null():
    """Same distribution for both networks, an image's values correlated: Kolmogorov-Smirnov."""
    rng = np.random.default_rng(0)
    values = rng.gamma(1.0, size=(400, 2, 30)) + 3 * rng.normal(size=(400, 1, 30))
    p = [significance.permutation_paired(a, b, seed=i, permutations=199)
         for i, (a, b) in enumerate(values)]  # fmt: skip
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.035)


def test_a_difference_is_found():
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    assert (
        significance.permutation_paired(values + 0.1 * rng.normal(size=200) + 0.05, values, 0)
        < 1e-3
    )


def test_permutations_refuse():
    with pytest.raises(ValueError, match="2 of 3 values are not finite.*how many remain"):
        significance.permutation_paired([1, 2, 3], [np.nan, np.inf, 3], 0)
    with pytest.raises(ValueError, match=r"received shapes \[3\] and \[2\]"):
        significance.permutation_paired(np.ones(3), np.ones(2), 0)


def test_interval_over_seeds_by_hand():
    """1, 2, 3: t(0.975, 2) = 4.302653 times 1 / sqrt(3)."""
    interval = significance.mean_interval_over_seeds([1, 2, 3])
    assert interval.mean == 2 and interval.n == 3
    assert interval.high - 2 == pytest.approx(2.484138, abs=1e-6)
    assert interval.low == pytest.approx(4 - interval.high)
    assert interval.estimator == "95 % Student t over 3 seeds"
    alone = significance.mean_interval_over_seeds([0.4])
    assert alone.mean == 0.4 and alone.n == 1 and np.isnan([alone.low, alone.high]).all()


def test_interval_over_seeds_covers_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 4))
    hits = [
        interval.low < 0 < interval.high
        for interval in (significance.mean_interval_over_seeds(d, level=0.9) for d in draws)
    ]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)


def test_bootstrap_near_scipys_and_theory():
    values = np.random.default_rng(0).gamma(2.0, size=300)
    found = significance.bootstrap_interval(values, seed=0)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=9999, random_state=1
    ).confidence_interval
    assert found.mean == pytest.approx(values.mean()) and found.n == 300
    assert [found.low, found.high] == pytest.approx(list(expected), abs=0.01)
    assert found.high - found.low == pytest.approx(2 * 1.96 * stats.sem(values), rel=0.05)
    assert found == significance.bootstrap_interval(values, seed=0)
    narrower = significance.bootstrap_interval(values, seed=0, level=0.5)
    assert found.low < narrower.low < narrower.high < found.high


def test_bootstrap_of_very_many_is_the_normal_interval(monkeypatch):
    values = np.random.default_rng(0).gamma(2.0, size=5000)
    drawn = significance.bootstrap_interval(values, seed=0)
    monkeypatch.setattr(significance, "MOST_RESAMPLED", 4999)
    found = significance.bootstrap_interval(values, seed=0)
    assert found[:2] == pytest.approx(drawn[:2], abs=0.02 * (drawn.high - drawn.low))
    assert found.high == pytest.approx(drawn.high, abs=0.02 * (drawn.high - drawn.low))
    assert "normal interval" in found.estimator and "bootstrap" in drawn.estimator


def test_bootstrap_of_little():
    alone = significance.bootstrap_interval([0.3], seed=0)
    assert alone.mean == 0.3 and np.isnan([alone.low, alone.high]).all()
    same = significance.bootstrap_interval([0.5, 0.5], seed=0)
    assert (same.low, same.high) == (0.5, 0.5)


@pytest.mark.parametrize("successes, n", [(0, 5), (1, 5), (5, 5), (17, 40), (900, 1000)])
def test_binomial_interval_equals_scipys(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(0.9, method="wilson")
    found = significance.binomial_interval(successes, n, level=0.9)
    assert found[:2] == pytest.approx((successes / n, expected.low), abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert found.n == n


def test_intervals_refuse():
    assert np.isnan(significance.binomial_interval(0, 0)[:3]).all()
    with pytest.raises(ValueError, match=r"received shape \[0\]"):
        significance.mean_interval_over_seeds([])
    with pytest.raises(ValueError, match=r"received shape \[2, 2\]"):
        significance.bootstrap_interval(np.ones((2, 2)), seed=0)
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        significance.bootstrap_interval([1, np.nan], seed=0)


def test_calibration_by_hand():
    """Two bins (0, 0.5] and (0.5, 1]: confidence 0.4 with 1 of 3 right; 0.8 with 1 of 2."""
    confidence = [0.3, 0.5, 0.4, 0.6, 1.0]  # 0.5 is of the lower bin
    correct = [True, False, False, True, False]
    error, table = significance.expected_calibration_error(confidence, correct, bins=2)
    assert error == pytest.approx((3 * (0.4 - 1 / 3) + 2 * (0.8 - 0.5)) / 5)
    np.testing.assert_array_equal(table.images, [3, 2])
    np.testing.assert_allclose(table.confidence, [0.4, 0.8])
    np.testing.assert_allclose(table.accuracy, [1 / 3, 1 / 2])
    np.testing.assert_allclose([table.low, table.high], [[0, 0.5], [0.5, 1]])
    assert table.undefined == 0


@pytest.mark.filterwarnings("error")
def test_calibration_of_empty_bins_edges_and_nan():
    error, table = significance.expected_calibration_error([0.0, 1.0, np.nan], [0, 1, 0])
    assert error == 0 and table.undefined == 1
    assert table.images[0] == table.images[14] == 1 and table.images.sum() == 2
    assert np.isnan(table.accuracy[1:14]).all()
    error, table = significance.expected_calibration_error([np.nan], [0])
    assert np.isnan(error) and table.undefined == 1


def test_a_calibrated_network_has_a_small_error_and_a_sure_one_a_large():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 50_000)
    correct = rng.random(50_000) < confidence
    assert significance.expected_calibration_error(confidence, correct)[0] < 0.01
    sure = significance.expected_calibration_error(np.ones(50_000), correct)[0]
    assert sure == pytest.approx(1 - correct.mean())


def test_calibration_refuses():
    with pytest.raises(ValueError, match="probability, 0...1; received 0.5...3.*not logits"):
        significance.expected_calibration_error([0.5, 3], [1, 0])
    with pytest.raises(ValueError, match="correct must be True or False"):
        significance.expected_calibration_error([0.5, 0.3], [1, 2])
