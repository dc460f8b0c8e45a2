"""Simulated painters: where the brush goes, when somebody or something paints a picture.

They stand in for people where a game is calibrated, and play through the real interface where it
is tested. Each gives the path of bubbles of one whole round, as `rules.paint_path` does.
"""

import numpy as np

from data_prep.humans.game.rules import FRAME, Rules, paint_path

CELL = 8  # px; painters choose among cells, not pixels
REACH = 60  # px; how far the guided one likes to go for its next place
SHOWN = 21  # px around a place that has been painted and so is left
MARGIN = 10  # px from the edge, of the one that paints the border


def guided(importance: np.ndarray, rules: Rules, rng: np.random.Generator) -> np.ndarray:
    """Goes from one important place to the next, nearer ones first: a stand-in for a person.

    Args:
      importance: >= 0 [256, 256]; where it is 0 everywhere, the painter is a uniform one.
    """
    cells = importance.reshape(FRAME // CELL, CELL, FRAME // CELL, CELL).mean((1, 3))
    if not cells.any():
        return uniform(rules, rng)
    centres = np.arange(len(cells)) * CELL + CELL / 2  # of columns, and of rows
    left, places, distance = cells**2, [], 0.0  # squared: people begin with what matters most
    reach, nearness = rules.brush_step * rules.most_bubbles(), 1.0
    while distance < reach:
        summed = np.cumsum(left * nearness)
        if not summed[-1] > 1e-12:
            left = cells**2  # all has been painted: once more
            continue
        # By hand, as rng.choice checks its weights at length each time.
        row, column = divmod(np.searchsorted(summed, rng.random() * summed[-1], "right"), len(left))
        place = (centres[column], centres[row]) + rng.uniform(-CELL / 2, CELL / 2, 2)
        distance += CELL if not places else max(np.hypot(*(place - places[-1])), 1.0)
        away = np.hypot(centres - place[0], centres[:, None] - place[1])  # [rows, columns]
        left = left * (away > SHOWN / 2)
        nearness = np.exp(-away / REACH)
        places.append(place)
    return along(places, rules)


def uniform(rules: Rules, rng: np.random.Generator) -> np.ndarray:
    """Goes to random places, whatever the picture shows."""
    count = 2 + int(rules.brush_step * rules.most_bubbles() / (FRAME / 4))
    return along(rng.uniform(0, FRAME, (count, 2)), rules)


def border(rules: Rules, rng: np.random.Generator) -> np.ndarray:
    """Goes round along the edge."""
    low, high = MARGIN, FRAME - MARGIN
    corners = [(low, low), (high, low), (high, high), (low, high)]
    first = int(rng.integers(4))
    return along([corners[(first + step) % 4] for step in range(8)], rules)


def along(places, rules: Rules) -> np.ndarray:
    """The path of a brush that visits places [N, 2] one after the other, until the time is over."""
    places = np.asarray(places, float)
    distances = np.hypot(*np.diff(places, axis=0).T)
    ticks = np.maximum(np.ceil(distances / rules.brush_step), 1)
    # The cursor jumps to a place when the brush has reached the one before.
    since = np.r_[0, 1, 1 + np.cumsum(ticks)[:-1]][: len(places)] * rules.brush_tick_ms
    return paint_path(np.column_stack([places, since]), rules)
