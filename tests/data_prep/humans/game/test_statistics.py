"""Statistics against hand counts, another library, planted values and all-equal data."""

import json
import re

import numpy as np
import pytest
from scipy import stats

from data_prep.humans.game import beside_paper, statistics_page
from data_prep.humans.game.played import Played
from data_prep.humans.game.statistics import bootstrap, learning, measure, ratio_bootstrap
from gala_tf.paper import published

DAY = 86_400_000
BEGAN = 1_485_907_200_000  # 2017-02-01, UTC


def row(number, participant="a", image="i", state="recognised", **changes):
    values = dict(
        id=f"r{number}",
        participant=participant,
        image=image,
        wnid="n1",
        label="tench",
        state=state,
        skip_reason=None,
        closed_at=BEGAN + number,
        first_bubble_ms=1000,
        bubbles=0 if state == "skipped" else 70,
        last_ms=3000.0,
        points=None,
        flags=frozenset(),
        is_catch=False,
        catch_score=None,
    )
    return Played(**{**values, **changes})


def rng():
    return np.random.default_rng(0)


def measured(rows, contests=0, latencies=()):
    return measure(rows, contests, np.array(latencies, float), rng())


# --------------------------------------------------------------------------- counts


SMALL = [
    row(0, "a", "i"),
    row(1, "a", "j", "timed_out", bubbles=141),
    row(2, "b", "i", "timed_out", bubbles=9),
    row(3, "b", "k", "skipped", skip_reason="unclear"),
    row(4, "b", "j", "hidden", bubbles=0),
    row(5, "c", "i", "abandoned", bubbles=30, flags=frozenset({"clock", "late"}), label="crane"),
]


def test_a_small_study_by_hand():
    found = measured(SMALL, contests=2, latencies=[10, 20, 90])
    assert (found.participants, found.maps, found.unique_images) == (3, 4, 2)
    assert found.bubbles == 70 + 141 + 9 + 30 and found.bubbles_per_map == 250 / 4
    assert found.rounds_per_participant.estimate == 2 and found.median_rounds == 2
    assert found.rounds_histogram == {"1": 1, "2-3": 2}
    assert found.participants_per_image == 2 and found.images_histogram == {"1": 1, "3": 1}
    assert found.played_more_than_one.estimate == pytest.approx(2 / 3)
    assert found.skipped == pytest.approx(1 / 6) and found.skip_reasons == {"unclear": 1}
    assert found.recognised.estimate == pytest.approx(1 / 3)
    assert found.ends["timed_out"] == 2 and found.flags == {"clock": 1, "late": 1}
    assert found.latency_ms["median"] == 20
    assert found.recognised_by_class == {"tench": (pytest.approx(1 / 3), 3)}
    assert (found.first_day, found.last_day) == ("2017-02-01", "2017-02-01")


def test_nothing_played_is_said():
    with pytest.raises(ValueError, match="No round"):
        measured([])


def test_days_are_those_of_utc():
    found = measured([row(0), row(DAY - 1, image="j"), row(DAY, image="k")])
    assert found.rounds_per_day == {"2017-02-01": 2, "2017-02-02": 1}


# --------------------------------------------------------------------------- estimates


def test_a_bootstrap_of_equal_values_has_no_width():
    found = bootstrap(np.ones(20), rng())
    assert (found.estimate, found.low, found.high) == (1, 1, 1)


def test_a_bootstrap_agrees_with_scipys():
    values = rng().normal(3, 1, 80)
    found = bootstrap(values, rng(), 4000)
    other = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1))
    assert found.low == pytest.approx(other.confidence_interval.low, abs=0.03)
    assert found.high == pytest.approx(other.confidence_interval.high, abs=0.03)


def test_drawing_people_is_wider_than_drawing_rounds():
    """Ten people of 100 rounds each, of whom half always win."""
    wins, counts = np.array([100.0] * 5 + [0.0] * 5), np.full(10, 100.0)
    found = ratio_bootstrap(wins, counts, rng())
    assert found.estimate == 0.5 and found.high - found.low > 0.4


def halves(first, second, count=40, people=60, seed=0):
    """Rounds of people whose chances are `first`, then `second`."""
    chance, rows = np.random.default_rng(seed), []
    for person in range(people):
        for turn in range(count):
            share = first if turn < count / 2 else second
            state = "recognised" if chance.random() < share else "timed_out"
            rows.append(row(len(rows), f"p{person}", f"i{turn}", state))
    return rows


def test_learning_is_scipys_paired_t():
    found = learning(halves(0.5, 0.55, people=10))
    rows = halves(0.5, 0.55, people=10)
    shares = np.array([r.state == "recognised" for r in rows]).reshape(10, 2, 20).mean(2)
    other = stats.ttest_rel(shares[:, 1], shares[:, 0])
    assert (found.t, found.p) == pytest.approx((other.statistic, other.pvalue))
    interval = other.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    above = stats.ttest_1samp(shares[:, 1] - shares[:, 0], -0.02, alternative="greater").pvalue
    below = stats.ttest_1samp(shares[:, 1] - shares[:, 0], 0.02, alternative="less").pvalue
    assert found.p_equivalent == pytest.approx(max(above, below))


def test_planted_learning_is_found_and_none_is_equivalent():
    learned = learning(halves(0.45, 0.6, people=100))
    assert learned.p < 0.001 and learned.low > 0.05
    same = learning(halves(0.53, 0.53, count=400, people=200))
    assert same.p > 0.05 and same.p_equivalent < 0.05


def test_the_middle_round_is_left_out_and_other_ends_do_not_count():
    states = ["recognised", "hidden", "timed_out", "skipped", "recognised"]
    rows = [row(i, "a", f"i{i}", state) for i, state in enumerate(states)]
    rows += [row(10 + i, "b", f"i{i}", "timed_out") for i in range(2)]
    found = learning(rows)
    assert (found.people, found.first, found.second) == (2, 0.5, 0.5)
    assert (found.t, found.p, found.p_equivalent) == (0, 1, 0)


def test_only_those_who_played_most_are_asked():
    rows = halves(0.0, 1.0, count=10, people=3)
    rows += [row(1000 + i, "seldom", f"j{i}", "timed_out") for i in range(4)]
    assert learning(rows, top=3).people == 3
    assert learning(rows, top=3).second == 1


def test_one_person_alone_has_no_t():
    assert np.isnan(learning([row(0), row(1, image="j")]).t)


# --------------------------------------------------------------------------- the paper, the page


def test_the_papers_own_counts_agree():
    paper = published.document()["clickme"]
    assert paper["maps"] / paper["participants"] == pytest.approx(383, abs=0.5)
    assert paper["maps"] / paper["unique_images"] == pytest.approx(2.41, abs=0.005)
    assert paper["bubbles"] / paper["maps"] == pytest.approx(74, abs=0.05)
    shares = [paper[name] for name in ("recognised_by_figure_1", "recognised_in_the_appendix")]
    assert sum(shares) == pytest.approx(1)


PAGE = statistics_page.Page("A <study>", {"partner": "reference", "demo": "true"})


def test_all_three_forms_hold_the_same(tmp_path):
    found = measured(SMALL, latencies=[10, 20, 90])
    paths = statistics_page.write(found, PAGE, tmp_path)
    assert [path.name for path in paths] == [f"statistics.{e}" for e in ("md", "html", "json")]
    markdown, html = paths[0].read_text(), paths[1].read_text()
    for line in beside_paper.lines(found):
        assert f"| {line.quantity} | {line.paper} | {line.ours} |" in markdown
    assert "472,946" in markdown and "472,946" in html
    content = json.loads(paths[2].read_text())
    assert content["maps"] == 4 and content["recognised"]["estimate"] == pytest.approx(1 / 3)
    assert content["facts"]["demo"] == "true"


def test_the_html_loads_nothing_and_escapes(tmp_path):
    rows = [row(0, label="<script>x</script>"), row(1, image="j", state="timed_out")]
    html = statistics_page.as_html(measured(rows), PAGE)
    assert "<script" not in html and "A &lt;study&gt;" in html
    assert not re.search(r"(src|href)=|url\(|@import|https?://", html)


def test_what_cannot_be_estimated_is_null():
    content = json.loads(statistics_page.as_json(measured([row(0, state="hidden")]), PAGE))
    assert content["recognised"]["estimate"] is None and content["learning"]["t"] is None
