"""Statistics against hand-made data, other libraries, planted values; null experiments."""

import csv
import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy import optimize, stats

from data_prep.humans.psychophysics import (
    analysis,
    logistic_gee,
    observed,
    observers,
    page,
    page_tables,
    power,
    resampling,
    thresholds,
)
from data_prep.humans.psychophysics.levels import LEVEL_NAMES, LEVELS
from data_prep.humans.psychophysics.settings import Choices, Exclusions, Planted

QUICK = Choices(permutations=199, resamples=100)
CLEAN = Planted(leave=0, cheat=0, slow_screen=0)


@pytest.fixture(scope="module")
def seen():
    return observers.straight(CLEAN, 5)


@pytest.fixture(scope="module")
def found(seen):
    return analysis.analyse(seen, Exclusions(), QUICK, 0)


# --------------------------------------------------------------------------- resampling


def test_permutation_of_five_and_five_is_the_enumeration():
    """Independent: every assignment by hand, and SciPy's exact test."""
    rng = np.random.default_rng(0)
    values = np.round(rng.random((10, 2)), 2)
    in_b = np.arange(10) >= 5
    tested = resampling.permute(values, in_b, rng)
    assert tested.exact and tested.count == 252
    for column in (0, 1):
        of = values[:, column]
        seen_difference = of[:5].mean() - of[5:].mean()
        null = [
            of[[i for i in range(10) if i not in places]].mean() - of[list(places)].mean()
            for places in itertools.combinations(range(10), 5)
        ]
        p = np.mean(np.abs(null) >= abs(seen_difference) - 1e-12)
        assert tested.p[column] == p
        theirs = stats.permutation_test(
            (of[:5], of[5:]), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf
        )
        assert tested.p[column] == pytest.approx(theirs.pvalue)


def test_drawn_permutations_agree_with_all_of_them_and_are_never_zero():
    rng = np.random.default_rng(1)
    values = rng.random((12, 3)) + (np.arange(12) >= 6)[:, None] * np.array([0, 0.2, 5])
    in_b = np.arange(12) >= 6
    drawn = resampling.permute(values, in_b, rng, 900)
    every = resampling.permute(values, in_b, rng, 1000)
    assert every.exact and not drawn.exact
    assert np.abs(drawn.p - every.p).max() < 0.05
    assert drawn.p[2] >= 1 / 901


def test_people_without_a_level_are_left_out_there_alone():
    values = np.array([[1.0, np.nan], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    tested = resampling.permute(values, np.array([False, False, True, True]), None)
    assert tested.difference.tolist() == [0.0, -0.5]


def test_all_alike_is_no_difference():
    tested = resampling.permute(np.ones((8, 2)), np.arange(8) >= 4, None)
    assert tested.p.tolist() == [1, 1]


def test_holm_by_hand():
    adjusted = resampling.holm(np.array([0.01, 0.04, 0.03, np.nan]))
    assert adjusted[:3] == pytest.approx([0.03, 0.06, 0.06]) and np.isnan(adjusted[3])


def test_bootstrap_weights_are_people_drawn():
    weights = resampling.draw_again(7, np.random.default_rng(0), 50)
    assert (weights.sum(1) == 7).all() and weights.shape == (50, 7)
    values = np.array([[1.0, np.nan]] * 7)
    means = resampling.weighted_means(values, weights)
    assert (means[:, 0] == 1).all() and np.isnan(means[:, 1]).all()


# --------------------------------------------------------------------------- regression


def clustered(seed=0):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(30), 20)
    x = rng.normal(size=600)
    group = (cluster % 2).astype(float)
    push = rng.normal(0, 0.8, 30)[cluster]
    design = np.stack([np.ones(600), group, x, group * x], 1)
    chance = 1 / (1 + np.exp(-(design @ [0.2, 0.5, 1.0, -0.7] + push)))
    return design, (rng.random(600) < chance).astype(float), cluster


def test_gee_against_a_direct_fit_with_numeric_derivatives():
    """Independent: the likelihood minimised by BFGS, sandwich from finite differences."""
    design, answers, cluster = clustered()
    fit = logistic_gee.fit(design, answers, cluster)

    def loss(b, rows=slice(None)):
        eta = design[rows] @ b
        return np.logaddexp(0, eta).sum() - answers[rows] @ eta

    direct = optimize.minimize(loss, np.zeros(4), tol=1e-10).x
    assert fit.estimate == pytest.approx(direct, abs=1e-4)
    eps = 1e-5
    steps = np.eye(4) * eps

    def gradient(b, rows):
        return np.array([(loss(b + s, rows) - loss(b - s, rows)) / (2 * eps) for s in steps])

    scores = np.array([gradient(direct, cluster == c) for c in range(30)])
    everything = slice(None)
    hessian = np.array(
        [
            (gradient(direct + s, everything) - gradient(direct - s, everything)) / (2 * eps)
            for s in steps
        ]
    )
    sandwich = np.linalg.inv(hessian) @ scores.T @ scores @ np.linalg.inv(hessian)
    assert fit.error == pytest.approx(np.sqrt(np.diag(sandwich)), rel=1e-3)


@pytest.mark.slow
def test_gee_against_statsmodels():
    api = pytest.importorskip("statsmodels.api")
    design, answers, cluster = clustered(1)
    theirs = api.GEE(answers, design, groups=cluster, family=api.families.Binomial()).fit()
    fit = logistic_gee.fit(design, answers, cluster)
    assert fit.estimate == pytest.approx(theirs.params, rel=1e-5)
    assert fit.error == pytest.approx(theirs.bse, rel=1e-4)
    assert fit.p == pytest.approx(theirs.pvalues, rel=1e-2, abs=1e-12)


def test_separated_answers_are_said_not_fitted():
    design = np.stack([np.ones(20), np.arange(20) - 9.5], 1)
    with pytest.raises(ValueError, match="separated"):
        logistic_gee.fit(design, (np.arange(20) > 9).astype(float), np.arange(20))


# --------------------------------------------------------------------------- curves


def test_a_curve_without_noise_is_found_again():
    parameters = np.array([1.4, 0.15, 0.03])
    chance = thresholds.curve(np.array(LEVELS), parameters)
    total = np.full((1, 11), 100_000.0)
    got, points = thresholds.fit(chance[None] * total, total)
    assert got[0] == pytest.approx(parameters, abs=0.02)
    assert thresholds.curve(points, parameters)[0] == pytest.approx(0.75, abs=0.005)
    assert np.log10(points[0]) == pytest.approx(thresholds.point(*parameters), abs=0.01)


def test_the_grid_is_as_good_as_a_search():
    rng = np.random.default_rng(2)
    total = np.full(11, 350.0)
    chance = thresholds.curve(np.array(LEVELS), np.array([1.55, 0.2, 0.02]))
    right = rng.binomial(350, chance).astype(float)

    def loss(p):
        if not (0.03 <= p[1] <= 1 and 0 <= p[2] <= 0.12):
            return np.inf
        fitted = np.clip(thresholds.curve(np.array(LEVELS), p), 1e-9, 1 - 1e-9)
        return -(right @ np.log(fitted) + (total - right) @ np.log(1 - fitted))

    ours, points = thresholds.fit(right[None], total[None])
    searched = optimize.minimize(loss, ours[0], method="Nelder-Mead").x
    assert loss(ours[0]) - loss(searched) < 0.5
    assert np.log10(points[0]) == pytest.approx(thresholds.point(*searched), abs=0.03)


# --------------------------------------------------------------------------- a small experiment


def write_trials(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, observed.NEEDED)
        writer.writeheader()
        for row in rows:
            base = dict(
                label="zebra",
                side="target",
                share_of_image=0.1,
                state="stored",
                response="KeyS",
                rt_ms=400,
                correct=1,
                too_slow=0,
                timing_ok=1,
                interrupted=0,
            )
            writer.writerow(base | row)
    return path


def small(tmp_path, changes=()):
    """Four people a group, all twelve levels once; a is right everywhere, b up to 39.8 wrong."""
    rows = [
        {
            "participant": f"{group}{person}",
            "group": group,
            "image": f"i{place}",
            "level": level,
            "correct": int(group == "a" or place > 8 or (person == 0 and place == 0)),
        }
        for group in "ab"
        for person in range(4)
        for place, level in enumerate(LEVEL_NAMES)
    ]
    for index, change in changes:
        rows[index] |= change
    return observed.read_csv(write_trials(tmp_path / "trials.csv", rows), ("a", "b"))


def test_means_and_errors_by_hand(tmp_path):
    rows = analysis.by_level(small(tmp_path), QUICK, np.random.default_rng(0))
    assert rows[0]["mean"] == [1.0, 0.25]
    assert rows[0]["sem"] == [0.0, pytest.approx(np.std([1, 0, 0, 0], ddof=1) / 2)]
    assert rows[0]["p"] == pytest.approx(10 / 70)  # of C(8, 4): those with at most one right
    assert rows[1]["p"] == pytest.approx(2 / 70) and rows[11]["p"] == 1


def test_late_answers_count_by_policy(tmp_path):
    late = {"correct": "", "response": "", "rt_ms": "", "too_slow": 1}
    seen = small(tmp_path, [(0, late)])
    first = [observed.accuracy(seen, policy)[0, 0] for policy in observed.POLICIES]
    assert np.isnan(first[0]) and first[1:] == [0, 0.5]


def test_exclusions_are_counted_and_do_not_see_the_comparison(tmp_path):
    changes = [
        (11, {"correct": 0}),  # the first of a, on the full image
        (13, {"timing_ok": 0}),
        (14, {"interrupted": 1}),
        (15, {"rt_ms": 80}),
        *((24 + place, {"state": "lost", "correct": "", "response": ""}) for place in (0, 1)),
    ]
    kept, counts = observed.exclude(small(tmp_path, changes), Exclusions())
    assert len(kept.people) == 6
    assert counts["people with fewer than 90% of the trials"] == 1
    assert counts["people not above 50% on full images"] == 1
    for reason in (
        "trials with timing off",
        "trials before a reload",
        "answers faster than 100 ms",
    ):
        assert counts[reason] == 1
    assert counts["trials analysed"] == 6 * 12 - 3
    lenient = Exclusions(keep_bad_timing=True, keep_interrupted=True, fastest_ms=0)
    assert observed.exclude(small(tmp_path, changes), lenient)[1]["trials analysed"] == 72


def test_a_group_that_is_gone_is_said(tmp_path):
    changes = [(12 * person + 11, {"correct": 0}) for person in range(3)]
    with pytest.raises(ValueError, match="the groups have 1 and 4 people"):
        analysis.analyse(small(tmp_path, changes), Exclusions(), QUICK, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": "b"}, "a0 is in both groups"),
        ({"level": "50"}, r"levels \['50'\] are none of"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        small(tmp_path, [(0, change)])


def test_variances_of_people_and_images_add_up_less_that_of_trials():
    rng = np.random.default_rng(0)
    draws = [rng.normal(0, spread, 200_000) for spread in (0.5, 0.4, 0.3)]
    low, high = resampling.two_way_interval(2.0, draws, 60)
    error = np.sqrt(0.5**2 + 0.4**2 - 0.3**2)
    assert (low + high) / 2 == pytest.approx(2.0)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 59) * error, rel=0.01)
    draws = [rng.normal(0, spread, 200_000) for spread in (0.5, 0.4, 0.9)]
    low, high = resampling.two_way_interval(0.0, draws, 60)
    assert high == pytest.approx(stats.t.ppf(0.975, 59) * 0.5, rel=0.01)  # never the narrower


def test_images_widen_the_interval_of_thresholds_only_where_they_differ():
    def widths(image_spread):
        planted = dataclasses.replace(CLEAN, image_spread=image_spread, person_spread=0.0)
        kept, _ = observed.exclude(observers.straight(planted, 5), Exclusions())
        a = analysis.group_thresholds(kept, QUICK, np.random.default_rng(0))["groups"][0]
        over_people, over_both = a["interval"], a["interval_people_and_images"]
        return np.log(over_both[1] / over_both[0]) / np.log(over_people[1] / over_people[0])

    assert widths(0.0) < 1.3 < 1.6 < widths(0.5)


# --------------------------------------------------------------------------- planted values


def test_the_planted_order_of_groups_is_found(found):
    a, b = found["thresholds"]["groups"]
    assert a["threshold"] < b["threshold"] and found["thresholds"]["ratio_interval"][0] > 1
    planted = [observers.population_point(CLEAN, t) for t in (25, 55)]
    assert 0.7 < a["threshold"] / planted[0] < 1.4 and 0.7 < b["threshold"] / planted[1] < 1.4
    assert found["people"] == [60, 60]
    assert found["gee"]["person"]["coefficients"][3]["p"] < 0.01
    ceilings = [LEVEL_NAMES.index(one["level"]) for one in found["ceiling"]]
    assert ceilings[0] < ceilings[1] == LEVEL_NAMES.index("full")


def test_the_population_point_is_where_many_people_have_75_per_cent():
    """Independent: the mean of drawn people's own curves, not the quadrature."""
    rng = np.random.default_rng(0)
    point = observers.population_point(CLEAN, 25)
    spread = rng.normal(0, np.hypot(0.15, 0.15), 200_000)
    known = 1 / (1 + np.exp(-(np.log10(point) - np.log10(25) - spread) / CLEAN.slope))
    right = CLEAN.lapses / 2 + (1 - CLEAN.lapses) * (known + (1 - known) / 2)
    assert right.mean() == pytest.approx(0.75, abs=0.002)


def test_numbers_that_are_the_same_by_another_way(seen, found):
    answered = seen.only(~np.isnan(seen.correct))
    kept = answered.only(answered.rt_ms >= 100)
    place = LEVEL_NAMES.index("39.8")
    here = (kept.level == place) & ~kept.in_b[kept.person]
    hits = kept.correct[here & kept.target]
    false_alarms = 1 - kept.correct[here & ~kept.target]
    rates = [(one.sum() + 0.5) / (len(one) + 1) for one in (hits, false_alarms)]
    d_prime = stats.norm.ppf(rates[0]) - stats.norm.ppf(rates[1])
    assert found["sensitivity"][0][place]["d_prime"] == pytest.approx(d_prime)
    right = kept.rt_ms[here & (kept.correct == 1)]
    assert found["response_times"][0][place] == pytest.approx(np.median(right))


def test_simulated_people_are_as_planted():
    planted = Planted(cheat=1, leave=0, slow_screen=0, observers=6)
    seen = observers.straight(planted, 0)
    accuracy = np.nanmean(observed.accuracy(seen, "dropped"))
    assert accuracy == pytest.approx(0.5, abs=0.03)  # one key is right half of the time
    slow = observers.straight(dataclasses.replace(planted, cheat=0, slow_screen=1), 0)
    assert 0.5 < (~slow.timing_ok).mean() < 0.9
    leaving = observers.straight(dataclasses.replace(planted, cheat=0, leave=1), 0)
    assert len(leaving.person) < 0.95 * 6 * 80


def test_the_comparison_is_made_with_bad_timing_too():
    planted = dataclasses.replace(CLEAN, observers=12, slow_screen=0.5)
    seen = observers.straight(planted, 0)
    without = seen.only(seen.timing_ok)
    assert len(without.person) < len(seen.person)
    for keep, rest in ((False, seen), (True, without)):
        rules = Exclusions(keep_bad_timing=keep, least_full=0.0)
        other = analysis.other_timing(seen, rules, QUICK, 0)
        assert other["trials"] == len(rest.person)
        a = observed.accuracy(rest, "dropped")[~rest.in_b]
        assert other["mean"][0] == pytest.approx(np.nanmean(a, 0))


def test_a_level_that_nobody_answered_is_a_dash():
    groups = [[0.5] * len(LEVEL_NAMES), [float("nan")] + [1.0] * (len(LEVEL_NAMES) - 1)]
    found = {"groups": ("A", "B"), "policies": {"dropped": groups}}
    ((policy, *cells),) = page_tables._late_answers(found).lines
    assert policy == "dropped" and cells[:2] == ["50.0%, -", "50.0%, 100.0%"]


@pytest.mark.slow
def test_the_page_has_every_number_and_loads_nothing(found, tmp_path):
    powers = [power.run(dataclasses.replace(CLEAN, observers=20), 2, 99, 0)]
    about = {"study": "rapid <1>"}
    paths = page.write(found, powers, about, "people are simulated", tmp_path)
    assert [path.name for path in paths] == [
        *("figure.png", "figure.svg", "page.md", "page.html", "results.json"),
    ]
    html = (tmp_path / "page.html").read_text()
    assert "rapid &lt;1&gt;" in html and "people are simulated" in html
    assert "http" not in html.replace("data:image/png;base64", "")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["levels"][8]["mean"] == found["levels"][8]["mean"]
    text = (tmp_path / "page.md").read_text()
    assert f"{found['levels'][8]['mean'][0]:.1%}" in text and "6 % of all pixels" in text
    again = page.write(found, powers, about, "people are simulated", tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


@pytest.mark.slow
def test_planted_thresholds_are_found_in_90_of_100_experiments():
    choices = Choices(permutations=100, resamples=300)
    planted = [observers.population_point(CLEAN, t) for t in (25, 55)]
    names = ("interval", "interval_people_and_images")
    inside = {name: np.zeros(2, int) for name in names}
    for seed in range(100):
        kept, _ = observed.exclude(observers.straight(CLEAN, 1000 + seed), Exclusions())
        got = analysis.group_thresholds(kept, choices, np.random.default_rng(seed))
        for group, one in enumerate(got["groups"]):
            for name in names:
                low, high = one[name]
                inside[name][group] += low <= planted[group] <= high
    print(f"inside their intervals: {inside}")
    assert inside["interval"].min() >= 90
    assert inside["interval_people_and_images"].min() >= 93


@pytest.mark.slow
def test_false_alarms_of_500_null_experiments():
    null = Planted(threshold_b=25.0)
    seen = power.run(null, 500, 499, 3)
    print(f"by level {seen.by_level}, any after Holm {seen.any_holm}")
    low, high = stats.binom.ppf([0.0005, 0.9995], 500, 0.05) / 500
    assert all(low <= share <= high for share in seen.by_level[:11])
    assert seen.by_level[11] <= high  # at the ceiling people tie, so the test is conservative
    assert seen.any_holm <= high
