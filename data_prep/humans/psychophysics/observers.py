"""Simulated observers: people whose thresholds are known, for the analysis to find.

A psychometric curve a person (threshold log-normal over people and images, lapses, guesses, a
preferred key), response times ex-Gaussian; and people who leave, press one key, or have a slow
screen.
"""

from typing import NamedTuple

import numpy as np

from data_prep.humans.psychophysics import lists
from data_prep.humans.psychophysics.levels import FULL, LEVEL_NAMES, LEVELS
from data_prep.humans.psychophysics.observed import Observed
from data_prep.humans.psychophysics.settings import Planted

QUADRATURE = 41  # nodes of Gauss and Hermite


class Person(NamedTuple):
    """One simulated observer."""

    log_threshold: float  # less the group's
    likes_l: float  # added to the chance of KeyL in a guess
    lapse: float
    cheats: bool
    slow_screen: bool
    leaves_at: float  # share of the trials after which the person leaves; 1: never


class Answer(NamedTuple):
    """An answer: a key, or none in time."""

    response: str | None
    rt_ms: float


def draw_person(planted: Planted, chance: np.random.Generator) -> Person:
    """Somebody."""
    leaves = chance.random() < planted.leave
    return Person(
        chance.normal(0, planted.person_spread),
        chance.normal(0, planted.key_bias),
        planted.lapses,
        chance.random() < planted.cheat,
        chance.random() < planted.slow_screen,
        chance.uniform(0.1, 0.9) if leaves else 1.0,
    )


def knows(planted: Planted, person: Person, threshold: float, image: float, level: str) -> float:
    """The chance that a person recognises; otherwise there is a guess.

    Args:
      image: what the image adds to log10 of the threshold.
    """
    if level == FULL:
        return 1.0
    middle = np.log10(threshold) + person.log_threshold + image
    x = np.log10(LEVELS[LEVEL_NAMES.index(level)])
    return float(1 / (1 + np.exp(-(x - middle) / planted.slope)))


def answer(
    planted: Planted,
    person: Person,
    known: float,
    correct_key: str,
    limit_ms: float,
    chance: np.random.Generator,
) -> Answer:
    """What a person presses. A lapse is a guess, so accuracy ends at 1 - lapses / 2."""
    rt = chance.normal(planted.rt_ms, planted.rt_sd_ms) + chance.exponential(planted.rt_tail_ms)
    guess = lists.KEYS[int(chance.random() < 0.5 + person.likes_l)]
    sees = chance.random() < known and chance.random() >= person.lapse
    key = lists.KEYS[0] if person.cheats else correct_key if sees else guess
    rt = max(rt, 120.0)
    return Answer(key, rt) if rt < limit_ms else Answer(None, rt)


def population_point(planted: Planted, threshold: float) -> float:
    """The 75 % point of a group's mean curve: what the analysis should find, in per cent.

    The mean of curves over people and images is flatter than each of them, and its 75 % point is
    not their middle: lapses shift it.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    spread = np.hypot(planted.person_spread, planted.image_spread)
    middles = np.log10(threshold) + spread * nodes
    x = np.linspace(-1, 4, 20_001)
    known = weights @ (1 / (1 + np.exp(-(x - middles[:, None]) / planted.slope)))
    right = 0.5 + 0.5 * (1 - planted.lapses) * known / weights.sum()
    return float(10 ** np.interp(0.75, right, x))


def straight(planted: Planted, seed: int, images: int = 80, limit_ms: float = 550.0) -> Observed:
    """A whole experiment straight as trials, without lists or server: fast, for power and nulls."""
    chance = np.random.default_rng([seed, 1])
    people, levels = planted.observers, len(LEVEL_NAMES)
    in_b = np.arange(people) % 2 == 1
    drawn = [draw_person(planted, chance) for _ in range(people)]
    place = np.arange(images)
    number = np.arange(people) // 2
    level = (place[None] + number[:, None]) % levels  # the Latin square of `lists.py`
    of_image = chance.normal(0, planted.image_spread, (2, images))  # maps differ, so images do
    target = np.broadcast_to(place < images // 2, level.shape)
    log_x = np.append(np.log10(LEVELS), np.inf)[level]
    threshold = np.log10(np.where(in_b, planted.threshold_b, planted.threshold_a))
    own = np.array([one.log_threshold for one in drawn])
    middle = (threshold + own)[:, None] + of_image[in_b.astype(int)]
    known = 1 / (1 + np.exp(-np.clip((log_x - middle) / planted.slope, -500, 500)))
    lapse = np.array([one.lapse for one in drawn])[:, None]
    sees = (chance.random(level.shape) < known) & (chance.random(level.shape) >= lapse)
    likes = np.array([one.likes_l for one in drawn])[:, None]
    says_l = chance.random(level.shape) < 0.5 + likes
    target_is_l = (number % 2 == 1)[:, None]  # the two key mappings
    correct = sees | (says_l == (target == target_is_l))
    cheats = np.array([one.cheats for one in drawn])[:, None]
    correct = np.where(cheats, target != target_is_l, correct).astype(float)
    rt = chance.normal(planted.rt_ms, planted.rt_sd_ms, level.shape)
    rt = np.maximum(rt + chance.exponential(planted.rt_tail_ms, level.shape), 120)
    late = rt >= limit_ms
    order = chance.permuted(np.broadcast_to(place, level.shape), axis=1)
    stays = order < np.array([one.leaves_at for one in drawn])[:, None] * images
    slow = np.broadcast_to(np.array([one.slow_screen for one in drawn])[:, None], level.shape)
    person = np.broadcast_to(np.arange(people)[:, None], level.shape)
    label = np.broadcast_to(place * 8 // images, level.shape)
    return Observed(
        people=np.array([f"p{n}" for n in range(people)]),
        groups=("a", "b"),
        in_b=in_b,
        images=np.array([f"i{n}" for n in place]),
        labels=np.array([f"l{n}" for n in range(8)]),
        person=person[stays],
        image=np.broadcast_to(place, level.shape)[stays],
        label=label[stays],
        level=level[stays],
        share_of_image=np.append(0.0015 * np.array(LEVELS), 1.0)[level][stays],
        target=target[stays],
        correct=np.where(late, np.nan, correct)[stays],
        rt_ms=np.where(late, np.nan, rt)[stays],
        stored=np.ones(stays.sum(), bool),
        timing_ok=~(slow & (chance.random(level.shape) < 0.7))[stays],
        interrupted=np.zeros(stays.sum(), bool),
    )
