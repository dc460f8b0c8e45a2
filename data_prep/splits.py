"""Which image goes to which split; and that no image is in two.

The paper's splits count "images and importance maps" and exceed its unique images, so a record
there is not an image. Here images are split, whatever number of maps they have.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

SPLITS = ("train", "validation", "test")
PAPER_PROPORTIONS = (329_036, 17_841, 17_581)  # Linsley et al. 2019, section 4.1


def seeded_order(keys: Iterable[str], seed: int) -> list[str]:
    """Keys in an order that depends on the seed and the keys alone, not on how they came."""
    return sorted(keys, key=lambda key: seeded_rank(key, seed))


def seeded_rank(key: str, seed: int) -> bytes:
    """A key's place in the seeded order: bytes to sort by."""
    return hashlib.sha256(f"{seed}/{key}".encode()).digest()


def assign_splits(
    classes: Mapping[str, Sequence[str]], proportions: Sequence[float], seed: int
) -> dict[str, str]:
    """Splits keys class by class, in proportion.

    Args:
      classes: class -> its keys (unique over all classes).
      proportions: of SPLITS, on any scale; 0 leaves a split empty.
      seed: decides the order within each class.

    Returns:
      Key -> split. Each split's total is within one of its share, and its keys are spread evenly
      over the classes.

    Raises:
      ValueError: not three proportions >= 0 with a positive sum.
    """
    if len(proportions) != len(SPLITS) or min(proportions) < 0 or not sum(proportions) > 0:
        raise ValueError(
            f"Split proportions must be {len(SPLITS)} numbers >= 0 of {', '.join(SPLITS)}, not all "
            f"0, got {list(proportions)}. The paper's are {list(PAPER_PROPORTIONS)}."
        )
    share = [p / sum(proportions) for p in proportions]
    counts = [0] * len(SPLITS)
    assigned = {}
    for name in sorted(classes):
        for key in seeded_order(classes[name], seed):
            # Each key goes to the split that lags furthest behind its share so far.
            lag = [s * (len(assigned) + 1) - c for s, c in zip(share, counts, strict=True)]
            split = lag.index(max(lag))
            counts[split] += 1
            assigned[key] = SPLITS[split]
    return assigned


class ContentLedger:
    """Keeps splits disjoint by content, and names unique.

    Args:
      on_duplicate: "error", or "drop" the later of two equal pictures in different splits.
    """

    def __init__(self, on_duplicate: str):
        self._on_duplicate = on_duplicate
        self._seen: dict[bytes, tuple[str, str]] = {}  # digest of the pixels -> split, name
        self._names: set[str] = set()
        self.dropped: list[tuple[str, str]] = []  # (left out, the one it equals)
        self.repeated = 0  # equal pictures within one split: kept, but worth a word

    def admit(self, name: str, split: str, digest: bytes) -> bool:
        """Whether the example may be written.

        Raises:
          ValueError: the name was there before; or, unless they are to be dropped, an equal
            picture is in another split.
        """
        if name in self._names:
            raise ValueError(f"Two examples are called {name!r}; image_id must be unique.")
        self._names.add(name)
        earlier_split, earlier = self._seen.setdefault(digest, (split, name))
        if earlier_split != split:
            if self._on_duplicate == "error":
                raise ValueError(
                    f"{name!r} ({split}) and {earlier!r} ({earlier_split}) show the same picture: "
                    "evaluating on a training image would flatter the network. Remove one of "
                    f"them, or pass --on_duplicate=drop to leave out the one in {split}."
                )
            self.dropped.append((name, earlier))
            return False
        self.repeated += earlier != name
        return True
