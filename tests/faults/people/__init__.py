"""What people really have, by the class of mistake; `people_campaign` tries and judges it.

Every module has CASES, {name: Case}. A case is made in an empty folder, which is also the working
directory and HOME of its command. Whatever lies there before is a person's own, and must stay.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

# What may come of an input.
DONE = "done"  # with everything that was given
REFUSED = "refused"  # by name, before anything was written
LEFT_OUT = "left out"  # done without something, which was named
ENDED = "ended"  # by Ctrl-C, in a few lines
FAILURE = "FAILURE"
OUTCOMES = (DONE, REFUSED, LEFT_OUT, ENDED, FAILURE)


class Case(NamedTuple):
    """An input and what must come of it.

    Attributes:
        make: lays the material in the folder; returns a module and its arguments.
        allowed: outcomes.
        named: pattern that a refusal, or a word on what is left out, must have.
        lost: what is wrong with what was done ("" if nothing is).
        writes: paths below the folder, where new files may appear.
        replaces: paths whose files may change, as they are the command's own.
        interrupt: text in the output at which the command is sent Ctrl-C, or `@` and seconds; it
            is then a process.
        process: whether the command is started as one, rather than called.
    """

    make: Callable[[Path, np.random.Generator], list[str]]
    allowed: tuple[str, ...]
    named: str = ""
    lost: Callable[[Path], str] = lambda folder: ""
    writes: tuple[str, ...] = ("out",)
    replaces: tuple[str, ...] = ()
    interrupt: str = ""
    process: bool = False
