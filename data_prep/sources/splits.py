"""Which image goes to which split; and that no image is in two.

The paper's splits count "images and importance maps" and exceed its unique images, so a record
there is not an image. Here images are split, whatever number of maps they have.
"""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from data_prep.readers.seeded import seeded_rank

SPLITS = ("train", "validation", "test")
_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
PAPER_PROPORTIONS = (329_036, 17_841, 17_581)  # Linsley et al. 2019, section 4.1


def of_folder(name: str) -> str | None:
    """The split that a folder of this name stands for, as Train or val; None for any other."""
    return _FOLDERS.get(name.lower())


def assign_splits(
    classes: Mapping[str, Sequence[str]], proportions: Sequence[float], seed: int
) -> dict[str, str]:
    """Splits keys class by class, in proportion.

    Args:
      classes: class -> its keys (unique over all classes).
      proportions: of SPLITS, on any scale; 0 leaves a split empty.

    Returns key -> split. Each split's total is within one of its share, and its keys are spread
    evenly over the classes. ValueError: not three proportions >= 0 with a positive sum.
    """
    ordered = (
        key
        for name in sorted(classes)
        for key in sorted(classes[name], key=lambda key: seeded_rank(key, seed))
    )
    return dict(deal(ordered, proportions))


def deal(keys: Iterable[str], proportions: Sequence[float]) -> Iterator[tuple[str, str]]:
    """`assign_splits` for keys that already come in its order, without keeping them.

    Args:
      keys: class by class, classes sorted by name, the keys of each by `seeded_rank`.
      proportions: of SPLITS, on any scale; 0 leaves a split empty.

    Returns an iterator over (key, split). ValueError: not three proportions >= 0 with a positive
    sum.
    """
    total = sum(proportions)
    if len(proportions) != len(SPLITS) or min(proportions) < 0 or not 0 < total < math.inf:
        raise ValueError(
            f"--split_proportions must be {len(SPLITS)} numbers >= 0 of {', '.join(SPLITS)}, not "
            f"all 0, got {list(proportions)}. The paper's are {list(PAPER_PROPORTIONS)}."
        )
    return _deal(keys, [p / sum(proportions) for p in proportions])


def _deal(keys, share):
    counts = [0] * len(SPLITS)
    for number, key in enumerate(keys, 1):
        # Each key goes to the split that lags furthest behind its share so far.
        lag = [s * number - c for s, c in zip(share, counts, strict=True)]
        split = lag.index(max(lag))
        counts[split] += 1
        yield key, SPLITS[split]


def dealt(
    keys: Iterable[tuple[str, str, str]], proportions: Sequence[float], seed: int
) -> Iterator[tuple[str, str]]:
    """`assign_splits` for keys in any order; memory does not grow with their number.

    `keys`: (class, key that decides the place within it, cargo).

    Returns an iterator over (cargo, split), class by class in the seeded order. ValueError: not
    three proportions >= 0 with a positive sum.
    """
    deal((), proportions)  # for its check, before the keys are listed
    database = sqlite3.connect("", check_same_thread=False)  # sorts in a temporary file
    database.execute("CREATE TABLE keys (class, rank, key, cargo)")
    database.executemany(
        "INSERT INTO keys VALUES (?, ?, ?, ?)",
        ((name, seeded_rank(key, seed), key, cargo) for name, key, cargo in keys),
    )
    rows = database.execute("SELECT cargo FROM keys ORDER BY class, rank, key")
    yield from deal((cargo for (cargo,) in rows), proportions)


def in_proportion(options) -> str:
    """The rule of `assign_splits` and `dealt`, for dataset_info.json."""
    return (
        "train, validation, test in proportion "
        f"{', '.join(f'{p:g}' for p in options.split_proportions)}, by image, class by class, "
        f"seed {options.seed}"
    )
