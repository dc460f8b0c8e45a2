"""Metrics against SciPy and hand-computed numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from gala_tf import metrics


@pytest.mark.parametrize("levels", [2, 5, 1000, 10**9])
def test_average_ranks_equal_scipys(levels):
    x = np.random.default_rng(0).integers(0, levels, (3, 4, 50))
    np.testing.assert_array_equal(metrics.average_ranks(x), stats.rankdata(x, axis=-1))


def test_average_ranks_by_hand():
    np.testing.assert_array_equal(metrics.average_ranks([30, 10, 30, 20]), [3.5, 1, 3.5, 2])
    assert np.isnan(metrics.average_ranks([1.0, np.nan, 2.0])).all()


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5), (1,), (4, 1), (2, 0, 3)])
def test_average_ranks_of_nothing_and_of_one(shape):
    np.testing.assert_array_equal(metrics.average_ranks(np.full(shape, 7.0)), np.ones(shape))


def test_average_ranks_of_special_values():
    """Minus zero equals zero; infinities tie with themselves; NaN spoils its own row only."""
    x = np.array([[0.0, -0.0, -np.inf, np.inf, np.inf], [1, 2, np.nan, 0, np.nan], [5, 4, 3, 2, 1]])
    expected = [[2.5, 2.5, 1, 4.5, 4.5], [np.nan] * 5, [5, 4, 3, 2, 1]]
    for kind in (np.float64, np.float32):
        np.testing.assert_array_equal(metrics.average_ranks(x.astype(kind)), expected)
        for view in (x.astype(kind)[:, ::-1], np.asfortranarray(x.astype(kind))):
            np.testing.assert_array_equal(
                metrics.average_ranks(view), metrics.average_ranks(view.copy())
            )


@given(
    arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        array_shapes(min_dims=1, max_dims=3, max_side=9),
    )
)
def test_average_ranks_equal_scipys_for_anything(x):
    expected = stats.rankdata(x, axis=-1, nan_policy="propagate")
    np.testing.assert_array_equal(metrics.average_ranks(x), expected)


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


def maps(kind, n, m, seed=0):
    """[n, m] maps with no ties, many, or, every other one, constant."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        return rng.normal(size=(n, m))
    tied = rng.integers(0, 12, (n, m)).astype(float)
    if kind == "constant":
        tied[::2] = 3
    return tied


@pytest.mark.filterwarnings("ignore:An input array is constant")
@pytest.mark.parametrize("kind", ["random", "tied", "constant"])
@pytest.mark.parametrize("other", ["random", "tied", "constant"])
@pytest.mark.parametrize("n, side", [(9, 14), (2, 224)])
def test_spearman_equals_scipys_to_twelve_digits(kind, other, n, side):
    a, b = maps(kind, n, side * side), maps(other, n, side * side, seed=1) + maps(kind, n, side**2)
    if other == "constant":
        b[1] = 0
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.spearman(a, b), expected, rtol=0, atol=1e-12)
    half = metrics.spearman(a.astype(np.float32), b)
    np.testing.assert_allclose(half, expected, rtol=0, atol=1e-12 if kind != "random" else 1e-6)


@pytest.mark.filterwarnings("error")
def test_spearman_of_blocks_rows_and_nothing(monkeypatch):
    a, b = maps("constant", 11, 30), maps("tied", 11, 30, seed=2)
    b[3, 5] = np.nan
    whole = metrics.spearman(a, b)
    assert np.isnan(whole).sum() == 7
    monkeypatch.setattr(metrics, "BLOCK_ELEMENTS", 100)
    np.testing.assert_array_equal(metrics.spearman(a, b), whole)
    np.testing.assert_array_equal([metrics.spearman(a[i : i + 1], b[i : i + 1])[0]
                                   for i in range(11)], whole)  # fmt: skip
    assert metrics.spearman(a[:0], b[:0]).shape == (0,)
    assert np.isnan(metrics.spearman(a[:, :0], b[:, :0])).all()
    assert np.isnan(metrics.spearman(a[:, :1], b[:, :1])).all()


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
