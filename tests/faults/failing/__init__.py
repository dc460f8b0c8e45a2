"""Faults while training, by the part they strike; `training_faults.py` makes and judges them.

Every module has FAULTS, {name: Kind}. A kind is made in an empty folder of its own, and says what
came of it: (outcome, text), where the text is the message that a person would read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

# What may come of a fault.
FELL_BACK = "fell back"  # to the checkpoint before, and said so
NAMED = "named"  # an error that names the file or the cause, before anything was lost
COUNTED = "left out, counted"  # bad records, all of them and no other
WAITED = "waited"  # for room on the disk, then went on with nothing lost
SAVED = "saved, ended"  # with its own exit status, resumable bit for bit
ENDED = "ended at once"  # with its own exit status; the newest checkpoint is whole
REPORTED = "reported"  # while the run goes on
HARMLESS = "harmless"  # the result is that without the fault
FAILURE = "FAILURE"
OUTCOMES = (FELL_BACK, NAMED, COUNTED, WAITED, SAVED, ENDED, REPORTED, HARMLESS, FAILURE)


class Kind(NamedTuple):
    """A fault: how it is made, what may come of it, and by how many seeds."""

    make: Callable[[Path, np.random.Generator], tuple[str, str]]
    allowed: tuple[str, ...]
    seeds: int = 1


def flip_a_bit(path, rng, start=0, stop=None):
    """One bit of a file, between two bytes."""
    contents = bytearray(path.read_bytes())
    place = int(rng.integers(start, stop or len(contents)))
    contents[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(contents)


def cut(path, rng):
    """The end of a file, at least a byte and not all of it."""
    contents = path.read_bytes()
    path.write_bytes(contents[: int(rng.integers(1, len(contents)))])


def empty(path, rng):
    path.write_bytes(b"")


def remove(path, rng):
    path.unlink()


def noise(path, rng):
    """16 bytes in a row."""
    contents = bytearray(path.read_bytes())
    place = int(rng.integers(max(1, len(contents) - 16)))
    contents[place : place + 16] = rng.bytes(16)
    path.write_bytes(contents)
