"""The rules against closed forms, pixel by pixel at the edges, and with ties."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.humans.game import rules
from data_prep.humans.game.rules import Rules
from data_prep.maps.rasterise import rasterise_bubbles

RULES = Rules()


# --------------------------------------------------------------------------- settings


def test_the_defaults_are_the_papers():
    assert (RULES.limit_ms, RULES.bubble_side, RULES.partner_bubble_side) == (7000, 14, 21)
    assert (RULES.top_k, RULES.score, RULES.after_recognition) == (5, "linear", "stop")
    assert RULES.most_bubbles() == 141


def test_the_hash_names_the_rules():
    assert RULES.hash() == Rules().hash()
    changed = {dataclasses.replace(RULES, top_k=1).hash(), Rules(background="black").hash()}
    assert len({RULES.hash(), *changed}) == 3


@pytest.mark.parametrize(
    "wrong", [{"background": "pink"}, {"top_k": 0}, {"partner_crop": 257}, {"brush_step": 0.0}]
)
def test_wrong_rules_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))}"):
        Rules(**wrong)


# --------------------------------------------------------------------------- points


@pytest.mark.parametrize("t, linear, cubic", [(0, 100, 100), (3500, 50, 12.5), (7000, 0, 0)])
def test_points_are_the_share_of_time_left_or_its_cube(t, linear, cubic):
    assert rules.points(RULES, t) == pytest.approx(linear)
    assert rules.points(Rules(score="cubic"), t) == pytest.approx(cubic)


def test_points_stay_between_0_and_100():
    assert rules.points(RULES, 7001) == 0
    assert rules.points(RULES, -5) == 100


# --------------------------------------------------------------------------- ranks


def test_the_rank_counts_ties_against_the_player():
    probabilities = np.array([[0.4, 0.3, 0.3, 0.0]])
    ranks = [int(rules.rank_of(probabilities, [target])[0]) for target in range(4)]
    assert ranks == [1, 3, 3, 4]


def test_a_network_that_cannot_tell_recognises_nothing():
    uniform = np.full((1, 1000), 1e-3)
    assert rules.rank_of(uniform, [0])[0] == 1000


def test_broken_probabilities_are_refused():
    with pytest.raises(ValueError, match="finite"):
        rules.rank_of(np.array([[math.nan, 1.0]]), [0])


def test_the_best_are_in_order_ties_by_index_and_filled_up():
    classes, found = rules.best(np.array([[0.1, 0.4, 0.4, 0.1]]))
    assert classes.tolist() == [[1, 2, 0, 3, -1]]
    assert found[0].tolist() == [0.4, 0.4, 0.1, 0.1, 0]


def test_recognition_needs_rank_and_probability():
    strict = Rules(top_k=2, minimum_probability=0.5)
    assert rules.is_recognised(strict, 2, 0.5)
    assert not rules.is_recognised(strict, 3, 0.9)
    assert not rules.is_recognised(strict, 1, 0.49)


# --------------------------------------------------------------------------- view


def shown(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (rows[0], rows[-1], columns[0], columns[-1]) if len(rows) else None


@pytest.mark.parametrize(
    "x, y, expected",  # first and last row, first and last column, both shown
    [
        (100, 50, (40, 60, 90, 110)),
        (100.49, 50.5, (41, 61, 90, 110)),  # halves go up
        (101.5, 50, (40, 60, 92, 112)),  # also where numpy would round to the even number
        (-0.5, 0, (0, 10, 0, 10)),  # floor(-0.5 + 1/2) = 0
        (-0.51, 0, (0, 10, 0, 9)),
        (255.5, 255, (245, 255, 246, 255)),
        (-10, 128, (118, 138, 0, 0)),  # one column is left
        (-11, 128, None),
        (266, 128, None),
        (1e300, 128, None),
    ],
)
def test_a_bubble_of_21_shows_ten_pixels_around_the_rounded_point(x, y, expected):
    assert shown(rules.view_mask([(x, y)], 21)) == expected


def test_a_bubble_inside_shows_its_square_and_nothing_else():
    mask = rules.view_mask([(100, 50, 0)], 21)
    assert mask.sum() == 21 * 21
    assert mask[40:61, 90:111].all()
    assert rules.view_mask([], 21).sum() == 0


@given(st.lists(st.tuples(st.floats(-50, 300), st.floats(-50, 300)), max_size=20))
@settings(max_examples=30, deadline=None)
def test_even_sides_agree_with_the_rasteriser_of_data_prep(bubbles):
    counts = rasterise_bubbles(bubbles, 14, 256, 256)
    assert (rules.view_mask(bubbles, 14) == (counts > 0)).all()


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (256, 256, 3), np.uint8)


@pytest.mark.parametrize("background", rules.BACKGROUNDS)
def test_shown_pixels_are_the_pictures_whatever_hides_the_rest(background):
    game, pixels = Rules(background=background), picture()
    mask = rules.view_mask([(100, 100)], 21)
    view = rules.composite(pixels, mask, game, seed=3)
    assert (view[mask] == pixels[mask]).all()
    assert (view[~mask] == rules.background(pixels, game, 3)[~mask]).all()
    assert view.dtype == np.uint8


def test_plain_backgrounds_have_one_colour():
    for background, colour in (("mean", rules.MEAN_COLOUR), ("black", (0, 0, 0))):
        hidden = rules.background(picture(), Rules(background=background))
        assert (hidden == colour).all()


def test_the_noise_is_the_original_sites_and_a_rounds_own():
    game, grey = Rules(background="legacy_noise"), np.full((256, 256, 3), 200, np.uint8)
    noisy = rules.background(grey, game, 7)
    assert (noisy == rules.background(grey, game, 7)).all()
    assert (noisy != rules.background(grey, game, 8)).any()
    # clip(200/255 + N(0, 0.4) - 0.5, 0, 1): black where N < -0.284, 23.9 % of a normal's mass.
    assert (noisy == 0).mean() == pytest.approx(0.239, abs=0.005)
    assert (noisy == 255).mean() == pytest.approx(0.0368, abs=0.003)


def test_the_crop_of_224_begins_at_16():
    numbered = np.arange(256 * 256 * 3).reshape(256, 256, 3)
    cropped = rules.central(numbered, 224)
    assert cropped.shape == (224, 224, 3)
    assert cropped[0, 0, 0] == numbered[16, 16, 0] and cropped[-1, -1, 2] == numbered[239, 239, 2]


def test_bubbles_in_the_frame_are_invisible_to_a_cropped_partner():
    view = rules.composite(picture(), rules.view_mask([(5, 128)], 21), RULES)
    assert (rules.central(view, 224) == rules.MEAN_COLOUR).all()


# --------------------------------------------------------------------------- brush


def stepped(cursor, game):
    """The brush tick by tick, as the browser runs it."""
    position, path = np.array(cursor[0][:2], float), [[*cursor[0][:2], 0]]
    for tick in range(1, game.limit_ms // game.brush_tick_ms + 1):
        now = cursor[0][2] + tick * game.brush_tick_ms
        target = next(np.array(row[:2], float) for row in reversed(cursor) if row[2] <= now)
        distance = math.hypot(*(target - position))
        if distance > 0:
            position = position + (target - position) * min(1, game.brush_step / distance)
        path.append([*position, now - cursor[0][2]])
    path = np.array(path)
    path[:, :2] = np.round(path[:, :2], 3)
    keep = [True] + [(a[:2] != b[:2]).any() for a, b in zip(path, path[1:], strict=False)]
    return path[keep]


def test_toward_a_cursor_at_rest_the_brush_goes_straight_and_stops_on_it():
    path = rules.paint_path([(10, 10, 0), (40, 50, 1)], RULES)  # 50 px away: 8 steps
    assert path[:, 2].tolist() == [50.0 * k for k in range(9)]
    steps = np.hypot(*np.diff(path[:, :2], axis=0).T)
    assert steps[:7] == pytest.approx(7, abs=2e-3) and steps[7] == pytest.approx(1, abs=2e-3)
    assert path[-1, :2].tolist() == [40, 50]


def test_a_cursor_at_rest_leaves_one_bubble():
    assert rules.paint_path([(10, 10, 0)], RULES).tolist() == [[10, 10, 0]]


def test_a_full_round_has_at_most_141_bubbles():
    there_and_back = [(0, 0, 0)] + [(250 * (k % 2), 100, 1 + 1500 * k) for k in range(5)]
    path = rules.paint_path(there_and_back, RULES)
    assert len(path) <= RULES.most_bubbles() and path[-1, 2] <= RULES.limit_ms


CURSORS = st.lists(
    st.tuples(st.floats(0, 256), st.floats(0, 256), st.integers(0, 900)), min_size=1, max_size=15
).map(
    lambda rows: [(x, y, sum(row[2] for row in rows[: i + 1])) for i, (x, y, _) in enumerate(rows)]
)


@given(CURSORS)
@settings(max_examples=60, deadline=None)
def test_the_closed_form_is_what_stepping_gives(cursor):
    closed, naive = rules.paint_path(cursor, RULES), stepped(cursor, RULES)
    # Steps far smaller than the rounding may keep or drop a bubble; places agree to 0.001 px.
    if closed.shape == naive.shape:
        assert closed == pytest.approx(naive, abs=2e-3)
    else:
        assert abs(len(closed) - len(naive)) <= 1


@given(CURSORS)
@settings(max_examples=30, deadline=None)
def test_paths_keep_the_rules_that_quality_checks(cursor):
    path = rules.paint_path(cursor, RULES)
    assert len(path) <= RULES.most_bubbles()
    assert (np.diff(path[:, 2]) >= RULES.brush_tick_ms).all()
    assert (np.hypot(*np.diff(path[:, :2], axis=0).T) <= RULES.brush_step + 0.002).all()
    assert (np.diff(path[:, :2], axis=0) != 0).any(1).all()


def test_questions_come_every_ten_bubbles_and_at_the_end():
    path = [(k, 0, 50 * k) for k in range(35)]
    assert rules.questions(path, RULES) == [10, 20, 30, 35]
    assert rules.questions(path[:9], RULES) == [9]
    assert rules.questions([], RULES) == []


def test_questions_are_a_quarter_of_a_second_apart():
    hurried = [(k, 0, 10 * k) for k in range(50)]
    assert rules.questions(hurried, RULES) == [10, 40, 50]
