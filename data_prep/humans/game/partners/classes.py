"""What a partner can recognise, and how a picture finds its class among them: by id or name."""

import dataclasses
import functools
import re


@dataclasses.dataclass(frozen=True)
class Classes:
    """Classes in the order of a network's outputs.

    Attributes:
        wnids: WordNet ids "n02123045"; "" where a class has none.
        names: for people.
    """

    wnids: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self):
        if len(self.wnids) != len(self.names):
            raise ValueError(f"{len(self.wnids)} WordNet ids for {len(self.names)} class names.")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, wnid: str = "", name: str = "") -> int:
        """The class with this WordNet id; without one on either side, with this name.

        Names meet whatever their case and punctuation. Positions never count: two data sets number
        one class differently.

        Raises:
          ValueError: no class fits, or two do.
        """
        if wnid and wnid in self._by_wnid:
            return self._by_wnid[wnid]
        # An id that the partner does not know must not fall back on a name that it shares with
        # another class ("crane"); a name alone, or a partner without ids, may.
        if wnid and any(self.wnids):
            raise ValueError(f"The partner does not know {wnid} ({name or 'no name'}).")
        found = self._by_name.get(_plain(name), [])
        if len(found) != 1:
            why = "does not know it" if not found else f"has {len(found)} classes of that name"
            raise ValueError(f"Class {name!r}: the partner {why}. Give its WordNet id.")
        return found[0]

    def pairs(self) -> list[tuple[str, str]]:
        """[(wnid, name) ...]."""
        return list(zip(self.wnids, self.names, strict=True))

    @functools.cached_property
    def _by_wnid(self):
        return {wnid: index for index, wnid in enumerate(self.wnids) if wnid}

    @functools.cached_property
    def _by_name(self):
        found = {}
        for index, name in enumerate(self.names):
            found.setdefault(_plain(name), []).append(index)
        return found


def from_names(names) -> Classes:
    """Classes of a network that tells only names; one that is a WordNet id counts as such."""
    wnids = tuple(name if re.fullmatch(r"n\d{8}", name) else "" for name in names)
    return Classes(wnids, tuple(names))


def unknown(classes: Classes, pictures) -> list[str]:
    """Of pictures (path, wnid, name), one sentence for each that the partner cannot recognise."""
    found = []
    for path, wnid, name in pictures:
        try:
            classes.index(wnid, name)
        except ValueError as error:
            found.append(f"{path}: {error}")
    return found


def _plain(name):
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
