"""Calibration: outcomes by hand, the recommendation, and files that the game itself reads."""

import dataclasses
import json

import numpy as np
import pytest
from absl import flags

from data_prep.humans.game import calibrate, calibration_report, partners, rules
from data_prep.humans.game.calibrate import Cell, Outcome, Picture, Settings
from data_prep.humans.game.partners import reference
from data_prep.humans.game.rules import Rules

RULES = Rules()
SMALL = Settings(backgrounds=("mean",), sides=(21,), top_ks=(5, 1), probabilities=(0.0,), repeats=2)


def pictures(count=6):
    """Pictures and the reference partner's masks: a blob somewhere off the middle in each."""
    rng = np.random.default_rng(0)
    found, masks = [], {}
    for index in range(count):
        pixels = rng.integers(0, 256, (256, 256, 3), np.uint8)
        x, y = rng.uniform(60, 196, 2)
        rows, columns = np.mgrid[:256, :256]
        masks[reference.picture_key(pixels)] = (np.hypot(columns - x, rows - y) < 35).astype(float)
        found.append(Picture(f"set/{index}.jpg", pixels, 3))
    return found, masks


@pytest.fixture(scope="module")
def found():
    some, masks = pictures()
    partner = partners.load("reference", RULES, masks=masks, threshold=0.8)
    return calibrate.calibrate(some, partner, RULES, SMALL)


def test_who_paints_what_matters_wins_more_often(found):
    easy, hard = found.cells
    assert (easy.top_k, hard.top_k) == (5, 1)
    for cell in found.cells:
        shares = {painter: one.recognised for painter, one in cell.outcomes.items()}
        assert shares["guided"] > shares["uniform"] >= shares["border"] == 0
        assert cell.outcomes["guided"].bubbles <= cell.outcomes["border"].bubbles
    assert easy.outcomes["guided"].median_ms < hard.outcomes["guided"].median_ms
    assert set(found.nothing_shown.values()) == {0}


@pytest.mark.parametrize(
    "top_k, probability, expected", [(5, 0.0, (True, 2450, 50)), (1, 0.0, (False, 4450, 90))]
)
def test_an_outcome_by_hand(top_k, probability, expected):
    path = np.array([(k, 100, 50 * k) for k in range(90)], float)  # nine questions
    one = calibrate._Round(path, rules.questions(path, RULES), np.arange(9, 0, -1), np.zeros(9))
    if top_k == 1:
        one = one._replace(ranks=np.arange(10, 1, -1))
    assert calibrate._end(one, top_k, probability) == expected


def test_a_minimum_probability_makes_recognition_later():
    path = np.array([(k, 100, 50 * k) for k in range(30)], float)
    one = calibrate._Round(path, [10, 20, 30], np.array([5, 4, 3]), np.array([0.1, 0.4, 0.6]))
    assert calibrate._end(one, 5, 0.0)[2] == 10
    assert calibrate._end(one, 5, 0.5)[2] == 30
    assert not calibrate._end(one, 5, 0.7)[0]


def cell(guided, uniform, side=21):
    outcomes = {
        name: Outcome(share, 0.05, 3000.0, 80.0)
        for name, share in (("guided", guided), ("uniform", uniform), ("border", 0.0))
    }
    return Cell("mean", side, 5, 0.0, outcomes)


def test_the_largest_gap_near_the_papers_share_is_recommended(found):
    # The table of the specification's prototype, in short.
    cells = (cell(0.87, 0.82), cell(0.53, 0.40), cell(0.55, 0.32, side=15), cell(0.27, 0.0))
    best = calibrate.recommend(dataclasses.replace(found, cells=cells))
    assert best is cells[2]


def test_where_none_is_near_the_nearest_is_recommended(found):
    cells = (cell(0.95, 0.1), cell(0.8, 0.79), cell(0.2, 0.0))
    assert calibrate.recommend(dataclasses.replace(found, cells=cells)) is cells[1]


def test_the_same_seed_gives_the_same_table(found):
    some, masks = pictures()
    partner = partners.load("reference", RULES, masks=masks, threshold=0.8)
    assert calibrate.calibrate(some[::-1], partner, RULES, SMALL).cells == found.cells


def test_real_rounds_take_the_guided_painters_place():
    some, masks = pictures()
    partner = partners.load("reference", RULES, masks=masks, threshold=0.8)
    aside = np.array([(2, 2, 0), (5, 5, 50)])
    people = {some[0].name: [aside], some[1].name: [aside, aside]}
    found = calibrate.calibrate(some, partner, RULES, SMALL, people=people)
    assert found.pictures == 2 and found.guided_by == "people"
    assert found.cells[0].outcomes["guided"].recognised == 0
    assert found.cells[0].outcomes["guided"].bubbles == 2


def test_nothing_to_paint_is_said():
    partner = partners.load("reference", RULES)
    with pytest.raises(ValueError, match="no picture"):
        calibrate.calibrate([], partner, RULES, SMALL)


# --------------------------------------------------------------------------- files


def test_the_flagfile_is_the_recommended_setting(found, tmp_path):
    best = calibration_report.write(found, tmp_path)
    fields = dataclasses.fields(Rules)
    values = flags.FlagValues()
    for field in fields:
        flags.DEFINE_string(field.name, str(field.default), "", flag_values=values)
    values(["game", f"--flagfile={tmp_path / 'game.flags'}"])
    read = Rules(**{field.name: type(field.default)(values[field.name].value) for field in fields})
    assert read == best.rules(RULES)


def test_the_report_holds_for_its_pictures_partner_and_rules(found, tmp_path):
    best = calibration_report.write(found, tmp_path)
    path = tmp_path / calibration_report.FILE
    right = (found.pictures_sha256, found.partner_sha256, best.rules(RULES))
    assert calibration_report.why_not_covered(path, *right) == ""
    for wrong, why in (
        (("0", *right[1:]), "other pictures"),
        ((right[0], "0", right[2]), "another partner"),
        ((*right[:2], Rules(limit_ms=9000)), "did not try"),
    ):
        assert why in calibration_report.why_not_covered(path, *wrong)
    assert "no calibration" in calibration_report.why_not_covered(tmp_path / "none", *right)


def test_every_setting_stands_in_the_table_and_in_the_json(found, tmp_path):
    calibration_report.write(found, tmp_path)
    table = (tmp_path / "calibration.md").read_text()
    assert sum(line.startswith("| ") for line in table.splitlines()) == 1 + len(found.cells)
    assert table.count("**21**") == 1
    content = json.loads((tmp_path / calibration_report.FILE).read_text())
    assert len(content["cells"]) == len(found.cells)
    assert {path.name for path in (tmp_path / "reference_masks/set").iterdir()} == {
        f"{index}.png" for index in range(6)
    }
