"""What must hold of every stimulus, looked at in the files as written.

A stimulus that breaks a rule is a fault of the program, never of the input: RuntimeError.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from data_prep.humans.psychophysics import phase_scramble

AMPLITUDE_TOLERANCE = 1e-9  # of the largest; 2e-12 measured


def check_scramble(name: str, image: np.ndarray, scrambled: np.ndarray) -> None:
    """The scramble has the image's amplitudes and its channels' means."""
    error = phase_scramble.amplitude_error(image, scrambled)
    moved = np.abs(image.mean((0, 1)) - scrambled.mean((0, 1))).max()
    _hold(name, "the scramble's amplitudes are the image's", error <= AMPLITUDE_TOLERANCE)
    _hold(name, "the scramble's means are the image's", moved <= 1e-9 * 255)


def check_levels(
    name: str,
    image: np.ndarray,
    scrambled: np.ndarray,
    order: np.ndarray,
    shift: tuple[int, int],
    shown_at: Mapping[str, int],
    written: Mapping[str, np.ndarray],
) -> None:
    """All levels of one image and source.

    Args:
      shown_at: level -> how many pixels it must show, from the lowest level; without full.
      written: level -> pixels out of the file; full among them.
    """
    _hold(name, "the order is a permutation", _is_permutation(order))
    _hold(name, "full is the image itself", np.array_equal(written["full"], image))
    before = np.zeros_like(order, bool)
    for level, count in shown_at.items():
        shown, made = order < count, written[level]
        rows, columns = np.nonzero(shown)
        moved = (rows + shift[0], columns + shift[1])
        outside = np.ones_like(shown)
        outside[moved] = False
        for rule, holds in (
            ("exactly its pixels are shown", len(rows) == count and (~outside).sum() == count),
            ("what a lower level shows is shown", not (before & ~shown).any()),
            ("what is shown is connected", ndimage.label(shown)[1] == 1),
            ("inside is the moved image", np.array_equal(made[moved], image[shown])),
            (
                "outside is the scramble",
                np.array_equal(written[level][outside], scrambled[outside]),
            ),
        ):
            _hold(f"{name}, level {level}", rule, holds)
        before = shown


def _is_permutation(order):
    return np.array_equal(np.sort(order, axis=None), np.arange(order.size))


def _hold(name, rule, holds):
    if not holds:
        raise RuntimeError(f"{name}: a stimulus is wrong: {rule!r} does not hold. Please report.")
