"""How honestly people play: measures by participant, and what stands out. Nobody is excluded here.

    agreement   of a map with other people's of the same picture, against other pictures' (z)
    uniform     share of maps that agree with their own picture no more than with others (p > 0.05)
    catch       share of catch rounds whose bubbles lie where they must
    skipped, recognised, and the flags that the server set

Agreement is measured within the study, so it needs pictures that several people have painted.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.humans.game.played import Played
from data_prep.humans.game.rules import FRAME, Rules, view_mask
from data_prep.maps.rasterise import rasterise_bubbles

CELLS = 16  # maps are compared on so many cells a side: 16 px, about a bubble
OTHERS = 39  # other pictures a map is compared with, so that p comes in steps of 1/40
CATCH_MASS = 0.5  # of the reference mask that a catch round's bubbles must cover


@dataclasses.dataclass(frozen=True)
class Limits:
    """Where a measure stands out. Rows below the numbers of maps are not judged by it."""

    maps: int = 8  # that were compared
    agreement_z: float = 2.33  # one-sided 1 %
    catch_rounds: int = 3
    catch: float = 0.34
    flagged: float = 0.1  # share of rounds with one of `FLAGS`
    skipped: float = 0.5


# Not late, keyboard or hidden: these happen to honest people.
FLAGS = ("copied", "script", "step", "too_many", "not_monotone", "clock", "short", "outside")


@dataclasses.dataclass(frozen=True)
class Person:
    """One participant's measures; NaN where there is nothing to measure.

    Attributes:
        compared: maps of pictures that others have painted, too.
        stands_out: why an administrator should look, in words; empty for most.
    """

    participant: str
    rounds: int
    compared: int
    agreement_z: float
    uniform: float
    catch_rounds: int
    catch: float
    skipped: float
    recognised: float
    flags: Mapping[str, int]
    stands_out: tuple[str, ...] = ()


# --------------------------------------------------------------------------- single rounds


def catch_score(path, mask: np.ndarray, other: np.ndarray, rules: Rules) -> float:
    """1 if a catch round was passed, else 0.

    Passed: the bubbles cover half of the reference mask, and a larger share of it than of another
    picture's, so that painting the middle of everything does not pass.

    Args:
      mask, other: weights >= 0 [256, 256]; of this picture and of another.
    """
    shown = view_mask(path, rules.bubble_side)
    share, of_other = (_covered(shown, one) for one in (mask, other))
    return float(share >= CATCH_MASS and share > of_other)


def _covered(shown, mask):
    total = mask.sum()
    return mask[shown].sum() / total if total > 0 else 0.0


def read_mask(path: str) -> np.ndarray:
    """A reference mask from a file: grey picture or .npy, any size; float [256, 256].

    Raises:
      ValueError: no such file, or it is empty everywhere.
    """
    try:
        if Path(path).suffix == ".npy":
            values = np.load(path, allow_pickle=False).astype(np.float32)
        else:
            with Image.open(path) as image:
                values = np.asarray(image.convert("L"), np.float32)
        resized = Image.fromarray(values).resize((FRAME, FRAME), Image.Resampling.BILINEAR)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is no reference mask: {error}") from None
    mask = np.asarray(resized, float)
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() > 0):
        raise ValueError(f"{path} is no reference mask: it needs weights >= 0, not all 0.")
    return mask


def signature(path, rules: Rules) -> np.ndarray:
    """A map in short: bubbles over each of 16x16 cells, float32 [256]."""
    counts = rasterise_bubbles(np.asarray(path)[:, :2], rules.bubble_side, FRAME, FRAME)
    side = FRAME // CELLS
    return counts.reshape(CELLS, side, CELLS, side).sum((1, 3), dtype=np.float32).ravel()


# --------------------------------------------------------------------------- participants


def judge(
    played: Sequence[Played],
    signatures: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    limits: Limits | None = None,
) -> list[Person]:
    """Everybody who has closed a round, those who stand out first.

    Args:
      signatures: {round: `signature`} of rounds with a map.
    """
    agreements = compare(played, signatures, rng)
    rounds_of = collections.defaultdict(list)
    for row in played:
        rounds_of[row.participant].append(row)
    people = [
        _person(participant, rows, [agreements[row.id] for row in rows if row.id in agreements])
        for participant, rows in rounds_of.items()
    ]
    people = [
        dataclasses.replace(one, stands_out=_stands_out(one, limits or Limits())) for one in people
    ]
    return sorted(people, key=lambda one: (-len(one.stands_out), -one.rounds, one.participant))


def compare(
    played: Sequence[Played], signatures: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, tuple[float, np.ndarray]]:
    """{round: (correlation with others' maps of its picture, with those of other pictures)}.

    Only rounds whose picture somebody else has painted, too. A person's own maps never count on
    the other side.
    """
    rows = [row for row in played if row.has_map and row.id in signatures]
    totals, painters = {}, collections.Counter()
    own = {(row.participant, row.image): signatures[row.id] for row in rows}
    for row in rows:
        totals[row.image] = totals.get(row.image, 0) + signatures[row.id]
        painters[row.image] += 1
    pictures = sorted(totals)
    found = {}
    for row in rows:
        if painters[row.image] < 2 or len(pictures) < 3:
            continue
        # Others' maps of the picture, then others' maps of pictures that have any.
        drawn = [pictures[i] for i in rng.integers(0, len(pictures), OTHERS)]
        sides = [row.image, *(one for one in drawn if one != row.image)]
        others = np.stack([totals[one] - own.get((row.participant, one), 0) for one in sides])
        others = others[np.r_[True, others[1:].any(1)]]
        correlations = _correlations(signatures[row.id], others)
        found[row.id] = float(correlations[0]), correlations[1:]
    return {round_id: one for round_id, one in found.items() if len(one[1])}


def _correlations(vector, others):
    """Pearson's r of a vector with each row; 0 for one without any variation."""
    vector, others = vector - vector.mean(), others - others.mean(1, keepdims=True)
    scale = np.linalg.norm(vector) * np.linalg.norm(others, axis=1)
    return np.divide(others @ vector, scale, out=np.zeros(len(others)), where=scale > 0)


def _person(participant, rows, agreements):
    ended = [row.state == "recognised" for row in rows if row.state in ("recognised", "timed_out")]
    catches = [row.catch_score for row in rows if row.catch_score is not None]
    same = np.array([one for one, _ in agreements])
    null = np.concatenate([others for _, others in agreements]) if agreements else np.zeros(0)
    p = [(1 + (others >= one - 1e-14).sum()) / (1 + len(others)) for one, others in agreements]
    return Person(
        participant,
        rounds=len(rows),
        compared=len(agreements),
        agreement_z=_z(same, null),
        uniform=float(np.mean(np.array(p) > 0.05)) if p else math.nan,
        catch_rounds=len(catches),
        catch=float(np.mean(catches)) if catches else math.nan,
        skipped=sum(row.state == "skipped" for row in rows) / len(rows),
        recognised=float(np.mean(ended)) if ended else math.nan,
        flags=collections.Counter(flag for row in rows for flag in row.flags),
    )


def _z(same, null):
    """How far the mean of `same` lies above that of `null`, in its standard errors."""
    if len(same) < 2 or null.std() == 0:
        return math.nan
    return float((same.mean() - null.mean()) / (null.std() / math.sqrt(len(same))))


def _stands_out(person, limits):
    flagged = sum(person.flags[flag] for flag in FLAGS) / person.rounds
    judged = person.compared >= limits.maps
    caught = person.catch_rounds >= limits.catch_rounds
    found = (
        (person.agreement_z < limits.agreement_z and judged, f"z {person.agreement_z:.1f}"),
        (person.catch < limits.catch and caught, f"passes {person.catch:.0%} of catch rounds"),
        (flagged > limits.flagged, ", ".join(flag for flag in FLAGS if person.flags[flag])),
        (person.skipped > limits.skipped and judged, f"skips {person.skipped:.0%}"),
    )
    return tuple(words for holds, words in found if holds)


def markdown(people: Sequence[Person], names: Mapping[str, str]) -> str:
    """The table; `names` are display names by participant."""
    lines = [
        "| name | rounds | compared | z | uniform | catch | skipped | recognised | stands out |",
        "|---" * 9 + "|",
    ]
    for one in people:
        words = (
            names.get(one.participant, one.participant),
            str(one.rounds),
            str(one.compared),
            f"{one.agreement_z:.1f}",
            f"{one.uniform:.0%}",
            f"{one.catch:.0%} of {one.catch_rounds}" if one.catch_rounds else "-",
            f"{one.skipped:.0%}",
            f"{one.recognised:.0%}",
            "; ".join(one.stands_out) or "-",
        )
        lines.append(f"| {' | '.join(words)} |".replace("nan%", "-").replace("nan", "-"))
    return "\n".join([*lines, ""])
