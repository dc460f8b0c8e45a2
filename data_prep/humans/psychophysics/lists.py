"""Lists of trials: who sees which image at which level, in which order, with which keys. Pure.

A Latin square: image i of list k is shown at level (i + k) mod 12, so over any 12 lists each image
meets each level once, and nobody sees an image twice. Lists 12 to 23 repeat 0 to 11 with the keys
exchanged.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_prep.humans.psychophysics.levels import LEVEL_NAMES

LISTS = 2 * len(LEVEL_NAMES)
KEYS = ("KeyS", "KeyL")
MOST_OF_A_SIDE = 4  # in a row
ORDER_TRIES = 20_000  # one order in some 20 will do; one in 20,000 means that none may
TRAINING_LEVELS = LEVEL_NAMES[7:]  # 25 % and more: practice, not guessing


class Shown(NamedTuple):
    """An image of the set."""

    image: str
    side: str


class Trial(NamedTuple):
    """A line of a list."""

    image: str
    level: str
    fixation_ms: int


class Plan(NamedTuple):
    """What one person is to do."""

    trials: list[Trial]
    training: list[Trial]
    target_key: str

    def as_json(self) -> str:
        """As it is stored and hashed."""
        return json.dumps(self._asdict(), separators=(",", ":"))


def plan_of(text: str) -> Plan:
    """What `Plan.as_json` wrote."""
    values = json.loads(text)
    trials, training = ([Trial(*one) for one in values[name]] for name in ("trials", "training"))
    return Plan(trials, training, values["target_key"])


def make(
    images: Sequence[Shown],
    training: Sequence[Shown],
    seed: int,
    group: str,
    number: int,
    fixation_ms: tuple[int, int],
    training_most: int,
) -> Plan:
    """List `number` of a group: the same for the same arguments.

    ValueError: one side has so many images that they cannot be mixed.
    """
    chance = _chance(seed, group, number)
    levels = [LEVEL_NAMES[(place + number) % len(LEVEL_NAMES)] for place in range(len(images))]
    order = _mixed([one.side for one in images], chance)
    trials = [Trial(images[i].image, levels[i], _fixation(chance, fixation_ms)) for i in order]
    practice = [
        Trial(
            training[i].image,
            str(chance.choice(TRAINING_LEVELS)),
            _fixation(chance, fixation_ms),
        )
        for i in _rounds(len(training), training_most, chance)
    ]
    return Plan(trials, practice, KEYS[number // len(LEVEL_NAMES) % 2])


def _chance(seed, group, number):
    digest = hashlib.sha256(f"{seed}:list:{group}:{number}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _fixation(chance, fixation_ms):
    return int(chance.integers(fixation_ms[0], fixation_ms[1] + 1))


def _mixed(sides, chance):
    """A random order with at most four of a side in a row, all such orders alike."""
    targets = np.array([side == "target" for side in sides])
    for _ in range(ORDER_TRIES):
        order = chance.permutation(len(sides))
        if longest_run(targets[order]) <= MOST_OF_A_SIDE:
            return order.tolist()
    raise ValueError(
        f"{targets.sum()} targets and {(~targets).sum()} distractors: no order was found with at "
        f"most {MOST_OF_A_SIDE} of a side in a row. Even the sides out."
    )


def longest_run(values: np.ndarray) -> int:
    """The longest run of equal values."""
    changes = np.flatnonzero(np.diff(values)) + 1
    return int(np.diff([0, *changes, len(values)]).max())


def _rounds(images, wanted, chance):
    """`wanted` numbers below `images`, each round of all of them in a new order."""
    places: list[int] = []
    while images and len(places) < wanted:
        places += chance.permutation(images).tolist()
    return places[:wanted]
