"""Metrics against SciPy and hand-computed numbers."""

import numpy as np
import pytest
from scipy import stats

from gala_tf import metrics


@pytest.mark.parametrize("levels", [2, 5, 1000, 10**9])
def test_average_ranks_equal_scipys(levels):
    x = np.random.default_rng(0).integers(0, levels, (3, 4, 50))
    np.testing.assert_array_equal(metrics.average_ranks(x), stats.rankdata(x, axis=-1))


def test_average_ranks_by_hand():
    np.testing.assert_array_equal(metrics.average_ranks([30, 10, 30, 20]), [3.5, 1, 3.5, 2])
    assert np.isnan(metrics.average_ranks([1.0, np.nan, 2.0])).all()


@pytest.mark.parametrize("levels", [2, 6, 10**9])
def test_spearman_equals_scipys(levels):
    rng = np.random.default_rng(1)
    a = rng.integers(0, levels, (20, 196))
    b = a + rng.normal(0, levels, a.shape).round()
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.spearman(a, b), expected, atol=1e-12)


def test_spearman_is_one_for_any_increasing_map_and_nan_for_a_constant_one():
    a = np.random.default_rng(0).normal(size=(3, 50))
    np.testing.assert_allclose(metrics.spearman(a, np.exp(a)), 1, atol=1e-12)
    np.testing.assert_allclose(metrics.spearman(a, -a), -1, atol=1e-12)
    a[1] = 7
    np.testing.assert_array_equal(np.isnan(metrics.spearman(a, a)), [False, True, False])


def test_spearman_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[2, 4\]"):
        metrics.spearman(np.zeros((2, 3)), np.zeros((2, 4)))


def test_center_prior_is_symmetric_with_exact_ties():
    prior = metrics.center_prior(14, 14)
    assert prior.argmax() in (6 * 14 + 6, 6 * 14 + 7, 7 * 14 + 6, 7 * 14 + 7)
    for twin in (prior[::-1], prior[:, ::-1], prior.T):
        np.testing.assert_array_equal(prior, twin)
    np.testing.assert_allclose(metrics.center_prior(1, 3), [[-1, 0, -1]])


def noisy_participants(images, participants, noise, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(images, 1, 100))
    return list(truth + noise * rng.normal(size=(images, participants, 100)))


def test_human_ceiling_finds_a_known_reliability_and_a_null_of_zero():
    maps = noisy_participants(400, 3, noise=1.0)
    ceiling = metrics.human_ceiling(maps, seed=0)
    # Two normal maps that share half of their variance: Pearson 1/2, Spearman 6/pi asin(1/4).
    assert ceiling["value"] == pytest.approx(6 / np.pi * np.arcsin(0.25), abs=0.02)
    assert ceiling["null"] == pytest.approx(0, abs=0.02)
    assert ceiling["images"] == 400
    assert "two random participants" in ceiling["estimator"]
    assert ceiling == metrics.human_ceiling(maps, seed=0)
    assert ceiling["value"] != metrics.human_ceiling(maps, seed=1)["value"]


def test_human_ceiling_never_pairs_a_participant_with_itself():
    maps = noisy_participants(50, 2, noise=1.0)
    expected = np.mean([stats.spearmanr(*pair).statistic for pair in maps])
    assert metrics.human_ceiling(maps, seed=3)["value"] == pytest.approx(expected, abs=1e-12)


def test_human_ceiling_takes_any_number_of_participants_and_counts_constant_maps():
    maps = [noisy_participants(1, p, 0.1, seed=p)[0] for p in (2, 3, 7)] + [np.ones((2, 100))]
    ceiling = metrics.human_ceiling(maps, seed=0)
    assert (ceiling["images"], ceiling["undefined"]) == (3, 1)
    assert ceiling["value"] > 0.9
    assert np.isnan(metrics.human_ceiling(maps[:1], seed=0)["null"])


@pytest.mark.parametrize(("maps", "least"), [([], 0), ([np.ones((2, 4)), np.ones((1, 4))], 1)])
def test_human_ceiling_needs_two_participants(maps, least):
    with pytest.raises(ValueError, match=f"two participants.*least with {least}.*0.58"):
        metrics.human_ceiling(maps, seed=0)


def test_map_agreement_of_perfect_maps_and_its_baselines():
    human = np.random.default_rng(0).normal(size=(200, 14, 14))
    agreement = metrics.map_agreement(np.exp(human), human, seed=0)
    assert agreement.spearman == pytest.approx(1)
    assert agreement.standard_error == pytest.approx(0, abs=1e-9)
    assert (agreement.images, agreement.undefined) == (200, 0)
    assert agreement.shuffled == pytest.approx(0, abs=0.02)
    assert agreement.center_prior == pytest.approx(0, abs=0.02)
    centred = metrics.map_agreement(human, human + 10 * metrics.center_prior(14, 14), seed=0)
    assert centred.center_prior > 0.9
    assert centred.shuffled == pytest.approx(0, abs=0.05)


def test_map_agreement_leaves_constant_maps_out_of_every_mean():
    human = np.random.default_rng(0).normal(size=(6, 4, 4))
    model = human.copy()
    model[1], human[4] = 2, 0
    agreement = metrics.map_agreement(model, human, seed=0)
    assert (agreement.images, agreement.undefined) == (4, 2)
    assert agreement.spearman == pytest.approx(1)
    assert np.isfinite([agreement.shuffled, agreement.center_prior]).all()


@pytest.mark.filterwarnings("error")
def test_map_agreement_over_nothing_is_nan_without_a_warning():
    agreement = metrics.map_agreement(np.ones((3, 2, 2)), np.ones((3, 2, 2)), seed=0)
    assert (agreement.images, agreement.undefined) == (0, 3)
    assert np.isnan([agreement.spearman, agreement.shuffled, agreement.center_prior]).all()


def test_map_agreement_refuses_other_grids():
    with pytest.raises(ValueError, match=r"\[2, 7, 7\] and \[2, 14, 14\].*one grid"):
        metrics.map_agreement(np.zeros((2, 7, 7)), np.zeros((2, 14, 14)), seed=0)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_shuffled_baseline_never_meets_its_own_image(n):
    for seed in range(20):
        partner = metrics._derangement(n, np.random.default_rng(seed))
        assert sorted(partner) == list(range(n))
        assert (partner != np.arange(n)).all()
