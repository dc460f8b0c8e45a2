"""Splits that are disjoint by content: the same picture, by its pixels, is in one split only."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from data_prep.building.shards import Row

# Where a picture is in several splits, the first of these keeps it: training loses it.
KEEPERS = ("test", "validation", "train")
AT_ONCE = 500_000  # pictures kept in memory; more are looked through in several passes


class Duplicates(NamedTuple):
    """What `find` found."""

    # (image, its split, the equal one, its split), where the splits differ; the first of the two
    # would have to go
    across: list[tuple[str, str, str, str]]
    repeated: int  # images that repeat another of their own split
    contradictory: list[str]  # those of another class than the one they repeat

    @property
    def lines(self) -> list[str]:
        """`across` in words."""
        return [f"{one} ({split}) = {other} ({there})" for one, split, other, there in self.across]


def find(rows: Callable[[str], Iterable[Row]], images: dict[str, int]) -> Duplicates:
    """Looks for equal pictures.

    Args:
      rows: split -> its rows, in order; called once a pass.
      images: of each split, to choose the number of passes.
    """
    passes = -(-sum(images.values()) // AT_ONCE)
    across, repeated, contradictory = [], 0, []
    for turn in range(passes):
        seen: dict[str, tuple[str, str, int]] = {}  # digest -> image, split, label
        for split in filter(images.__contains__, KEEPERS):
            for row in rows(split):
                if int(row.digest[:8], 16) % passes != turn:
                    continue
                known = seen.setdefault(row.digest, (row.image_id, split, row.label))
                keeper, keeper_split, label = known
                if keeper_split != split:
                    across.append((row.image_id, split, keeper, keeper_split))
                else:
                    repeated += keeper != row.image_id
                    if label != row.label:
                        contradictory.append(f"{row.image_id} = {keeper}")
    return Duplicates(across, repeated, contradictory)
