"""Images dealt to splits in proportion, in memory that does not grow with their number."""

import sqlite3
from collections.abc import Iterator, Sequence

from data_prep.sources import splits


def in_proportion(options) -> str:
    """The split rule of a `Dealer`, in words."""
    return (
        "train, validation, test in proportion "
        f"{', '.join(f'{p:g}' for p in options.split_proportions)}, by image, class by class, "
        f"seed {options.seed}"
    )


class Dealer:
    """Deals keys as `splits.assign_splits` does, sorting them in a temporary file of sqlite's.

    Raises:
      ValueError: not three proportions >= 0 with a positive sum.
    """

    def __init__(self, proportions: Sequence[float], seed: int):
        splits.deal((), proportions)  # for its check
        self._proportions = proportions
        self._seed = seed
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.execute("CREATE TABLE keys (class, rank, key, cargo)")

    def add(self, class_name: str, key: str, cargo: str) -> None:
        """`key` decides the place within its class; `cargo` comes back from `dealt`."""
        row = (class_name, splits.seeded_rank(key, self._seed), key, cargo)
        self._db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", row)

    def dealt(self) -> Iterator[tuple[str, str]]:
        """(cargo, split) of all keys, class by class in the seeded order."""
        rows = self._db.execute("SELECT cargo FROM keys ORDER BY class, rank, key")
        yield from splits.deal((cargo for (cargo,) in rows), self._proportions)
