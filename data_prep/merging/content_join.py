"""Which image a map record was made from, decided by perceptual hashes.

Only images of the record's own class are candidates: that makes it fast, and chance matches rare.
It takes two things for a match: few differing bits, and a runner-up clearly further away. The
limits rest on the measurement described in `perceptual_hash.py`.
"""

from typing import NamedTuple

import numpy as np

from data_prep.merging import perceptual_hash
from data_prep.readers.imagenet.imagenet_classes import LABEL_ORDERS

MATCH_DISTANCE = 48  # bits of 255; at most this far is the same picture
MATCH_MARGIN = 20  # bits; the runner-up must be at least so much further away
DOUBTFUL_DISTANCE = 72  # beyond it, another picture
FAR = 256  # "no candidate"

MATCHED, TWINS, DOUBTFUL, UNMATCHED = "matched", "twins", "doubtful", "unmatched"

_PAIRS_AT_ONCE = 2**22  # distances in memory
_SAMPLE = 256  # records looked up among all classes, where few match in their own


class Match(NamedTuple):
    """For N map records: nearest and next image (index into the base, -1: none), and how far."""

    frame: str  # of the images, one for all records: `perceptual_hash.FRAMES`
    best: np.ndarray  # int64 [N]; `second` likewise
    distance: np.ndarray  # int16 [N], bits, FAR without a candidate; `second_distance` likewise
    second: np.ndarray
    second_distance: np.ndarray
    frame_matches: dict[str, int]  # frame -> number of records that it would match

    @property
    def verdicts(self) -> np.ndarray:
        """MATCHED, TWINS (near, but so is the runner-up), DOUBTFUL or UNMATCHED: text [N]."""
        near = self.distance <= MATCH_DISTANCE
        alone = self.second_distance - self.distance >= MATCH_MARGIN
        return np.select(
            [near & alone, near, self.distance <= DOUBTFUL_DISTANCE],
            [MATCHED, TWINS, DOUBTFUL],
            UNMATCHED,
        )


def match(
    base_codes: np.ndarray, base_labels: np.ndarray, map_codes: np.ndarray, map_labels: np.ndarray
) -> Match:
    """Finds the image of each map record among those of its class.

    The frame that matches most records is taken for all: one archive was made in one way.

    Args:
      base_codes: uint64 [B, F, 4], of each frame.
      base_labels: integers [B]; negative: left out.
      map_codes: uint64 [N, 4], of the whole picture of the record.
      map_labels: integers [N], in the base's order; negative: left out.
    """
    found = {
        frame: _nearest_of_class(base_codes[:, number], base_labels, map_codes, map_labels)
        for number, frame in enumerate(perceptual_hash.FRAMES)
    }
    matches = {
        frame: int((Match(frame, *nearest, {}).verdicts == MATCHED).sum())
        for frame, nearest in found.items()
    }
    frame = max(matches, key=matches.get)  # the first of equals
    return Match(frame, *found[frame], matches)


def _nearest_of_class(base_codes, base_labels, map_codes, map_labels):
    results = _no_results(len(map_codes))
    base_order = np.argsort(base_labels, kind="stable")
    map_order = np.argsort(map_labels, kind="stable")
    sorted_base, sorted_maps = base_labels[base_order], map_labels[map_order]
    for label in np.unique(sorted_maps[sorted_maps >= 0]):
        rows = map_order[slice(*np.searchsorted(sorted_maps, [label, label + 1]))]
        columns = base_order[slice(*np.searchsorted(sorted_base, [label, label + 1]))]
        if columns.size:
            nearest = nearest_two(map_codes[rows], base_codes[columns])
            for result, values, is_index in zip(results, nearest, (1, 0, 1, 0), strict=True):
                # The second index is -1 where there is one candidate only.
                result[rows] = np.where(values < 0, -1, columns[values]) if is_index else values
    return results


def _no_results(count):
    return (
        np.full(count, -1, np.int64),
        np.full(count, FAR, np.int16),
        np.full(count, -1, np.int64),
        np.full(count, FAR, np.int16),
    )


def nearest_two(codes: np.ndarray, among: np.ndarray):
    """Nearest and next of `among`, uint64 [M, 4], for each of `codes`, uint64 [N, 4].

    Returns index, distance, next index (-1 if M = 1), its distance; [N] each. Of equals, the first.
    """
    best, distance, second, second_distance = results = _no_results(len(codes))
    step = max(1, _PAIRS_AT_ONCE // len(among))
    for start in range(0, len(codes), step):
        rows = slice(start, start + step)
        distances = perceptual_hash.hamming(codes[rows], among)
        every = np.arange(len(distances))
        best[rows] = distances.argmin(1)
        distance[rows] = distances[every, best[rows]]
        if len(among) > 1:
            distances[every, best[rows]] = FAR
            second[rows] = distances.argmin(1)
            second_distance[rows] = distances[every, second[rows]]
    return results


def check_label_order(
    result: Match,
    base_codes: np.ndarray,
    base_labels: np.ndarray,
    map_codes: np.ndarray,
    map_labels: np.ndarray,
) -> int:
    """Looks for a sample of records that matched nothing of their class among the other classes.

    Arguments as for `match`, whose result comes first. Returns how many of the sample (at most 256)
    lie, surely, in another class. ValueError: more records are found under other labels than under
    their own, by share.
    """
    usable = map_labels >= 0
    lost = np.flatnonzero(usable & (result.verdicts == UNMATCHED))
    candidates = np.flatnonzero(base_labels >= 0)
    if not lost.size or not candidates.size:
        return 0
    sample = lost[np.linspace(0, lost.size - 1, min(_SAMPLE, lost.size)).astype(np.int64)]
    others = []  # frame -> (record, image) found in other classes
    for number in range(len(perceptual_hash.FRAMES)):
        nearest = nearest_two(map_codes[sample], base_codes[candidates, number])
        sure = Match("", *nearest, {}).verdicts == MATCHED
        others.append((sample[sure], candidates[nearest[0][sure]]))
    records, images = max(others, key=lambda found: len(found[0]))
    share_own = (result.verdicts[usable] == MATCHED).mean()
    share_others = (1 - share_own) * len(records) / len(sample)
    if share_others <= share_own or not len(records):
        return len(records)
    pairs = dict.fromkeys(zip(map_labels[records], base_labels[images], strict=True))
    examples = ", ".join(f"{theirs} -> {ours}" for theirs, ours in list(pairs)[:5])
    orders = "; ".join(f"{name!r}: {text}" for name, text in LABEL_ORDERS.items())
    raise ValueError(
        f"The maps' labels are in another order than the images': of {len(sample)} records that "
        f"match no image of their class, {len(records)} show an image of another (maps' label -> "
        f"image's: {examples}). The orders (imagenet_classes.LABEL_ORDERS) are {orders}. Read one "
        "of the two sources in the order that its labels have."
    )
