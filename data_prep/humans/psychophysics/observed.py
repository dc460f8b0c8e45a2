"""Trials as arrays, and which of them are analysed."""

import csv
import dataclasses
from pathlib import Path

import numpy as np

from data_prep.humans.psychophysics.levels import FULL, LEVEL_NAMES
from data_prep.humans.psychophysics.settings import Exclusions
from gala_tf.data.csv_head import column_names

NEEDED = ("participant", "group", "image", "label", "side", "level", "share_of_image", "state")
NEEDED += ("response", "rt_ms", "correct", "too_slow", "timing_ok", "interrupted")
POLICIES = ("dropped", "wrong", "half")  # what an answer that came too late counts as


@dataclasses.dataclass(frozen=True)
class Observed:
    """Trials, an entry each: [T].

    Attributes:
        people, images, labels: names; `person`, `image`, `label` are places in them.
        groups: the two sources, in their order; in_b [people] tells who saw the second.
        level: place in LEVEL_NAMES.
        target: whether the image is a target; said_target whether the answer was.
        correct: 1 or 0; NaN without an answer in time.
        rt_ms: NaN without an answer in time.
        stored, timing_ok, interrupted: of the trial.
    """

    people: np.ndarray
    groups: tuple[str, str]
    in_b: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    person: np.ndarray
    image: np.ndarray
    label: np.ndarray
    level: np.ndarray
    share_of_image: np.ndarray
    target: np.ndarray
    correct: np.ndarray
    rt_ms: np.ndarray
    stored: np.ndarray
    timing_ok: np.ndarray
    interrupted: np.ndarray

    def only(self, keep: np.ndarray) -> "Observed":
        """The trials where `keep` [T]; people stay in their places."""
        changes = {name: getattr(self, name)[keep] for name in PER_TRIAL}
        return dataclasses.replace(self, **changes)

    def of_people(self, keep: np.ndarray) -> "Observed":
        """The people where `keep` [people], with their trials."""
        place = np.cumsum(keep) - 1
        kept = self.only(keep[self.person])
        return dataclasses.replace(
            kept, people=self.people[keep], in_b=self.in_b[keep], person=place[kept.person]
        )


PER_TRIAL = ("person", "image", "label", "level", "share_of_image", "target", "correct", "rt_ms")
PER_TRIAL += ("stored", "timing_ok", "interrupted")


def read_csv(path: Path, groups: tuple[str, str] | None = None) -> Observed:
    """The trials of an export.

    Args:
      groups: the two sources in the order of the study; by name if not given.

    ValueError: a column is missing, there are no two groups, or somebody is in both.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = column_names(reader.fieldnames or (), NEEDED)
        missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: it lacks the columns {missing}. Expected trials.csv.")
        rows = list(reader)
    found = sorted({row["group"] for row in rows})
    if len(found) != 2:
        raise ValueError(f"{path}: expected trials of two groups, found {found}.")
    groups = groups if groups and set(groups) == set(found) else (found[0], found[1])
    columns = {name: np.array([row[name] for row in rows]) for name in NEEDED}
    people, person = np.unique(columns["participant"], return_inverse=True)
    in_b = np.zeros(len(people), bool)
    in_b[person[columns["group"] == groups[1]]] = True
    both = in_b[person] != (columns["group"] == groups[1])
    if both.any():
        raise ValueError(f"{path}: {columns['participant'][both][0]} is in both groups.")
    images, image = np.unique(columns["image"], return_inverse=True)
    labels, label = np.unique(columns["label"], return_inverse=True)
    unknown = sorted(set(columns["level"].tolist()) - set(LEVEL_NAMES))
    if unknown:
        raise ValueError(f"{path}: levels {unknown} are none of {', '.join(LEVEL_NAMES)}.")
    place = {name: index for index, name in enumerate(LEVEL_NAMES)}
    return Observed(
        people=people,
        groups=groups,
        in_b=in_b,
        images=images,
        labels=labels,
        person=person,
        image=image,
        label=label,
        level=np.array([place[name] for name in columns["level"]], int),
        share_of_image=columns["share_of_image"].astype(float),
        target=columns["side"] == "target",
        correct=_numbers(columns["correct"]),
        rt_ms=_numbers(columns["rt_ms"]),
        stored=columns["state"] == "stored",
        timing_ok=columns["timing_ok"] == "1",
        interrupted=columns["interrupted"] == "1",
    )


def _numbers(words):
    return np.where(words == "", "nan", words).astype(float)


# --------------------------------------------------------------------------- exclusions


def exclude(seen: Observed, rules: Exclusions) -> tuple[Observed, dict[str, int]]:
    """(what is analysed, counts of what is not)."""
    counts = {"people": len(seen.people), "trials": len(seen.person)}
    per_person = np.bincount(seen.person[seen.stored], minlength=len(seen.people))
    enough = per_person >= rules.least_trials * len(seen.images)
    late = np.bincount(seen.person, seen.stored & np.isnan(seen.correct), len(seen.people))
    share_late = late / np.maximum(per_person, 1)
    limit = share_late.mean() + rules.most_timeouts_sd * share_late.std(ddof=1)
    full = accuracy(seen, "dropped")[:, LEVEL_NAMES.index(FULL)]
    reasons = {
        f"people with fewer than {rules.least_trials:.0%} of the trials": ~enough,
        f"people not above {rules.least_full:.0%} on full images": ~(full > rules.least_full),
        f"people with more than {limit:.0%} time-outs": share_late > limit,
    }
    keep = np.ones(len(seen.people), bool)
    for reason, hit in reasons.items():
        counts[reason] = int((keep & hit).sum())
        keep &= ~hit
    kept = seen.of_people(keep)
    trials = {
        "trials lost to reloads": ~kept.stored,
        "trials with timing off": ~kept.timing_ok & (not rules.keep_bad_timing),
        "trials before a reload": kept.interrupted & (not rules.keep_interrupted),
        f"answers faster than {rules.fastest_ms:g} ms": kept.rt_ms < rules.fastest_ms,
    }
    keep_trial = np.ones(len(kept.person), bool)
    for reason, hit in trials.items():
        counts[reason] = int((keep_trial & hit).sum())
        keep_trial &= ~hit
    kept = kept.only(keep_trial)
    counts |= {"people analysed": len(kept.people), "trials analysed": len(kept.person)}
    return kept, counts


def scored(seen: Observed, policy: str) -> np.ndarray:
    """1, 0 or 0.5 a trial [T]; NaN: not counted."""
    late = {"dropped": np.nan, "wrong": 0.0, "half": 0.5}[policy]
    return np.where(np.isnan(seen.correct), late, seen.correct)


def accuracy(seen: Observed, policy: str) -> np.ndarray:
    """Each person's accuracy at each level [people, levels]; NaN: no trial there."""
    score = scored(seen, policy)
    counted = seen.stored & ~np.isnan(score)
    cell = seen.person[counted] * len(LEVEL_NAMES) + seen.level[counted]
    size = len(seen.people) * len(LEVEL_NAMES)
    count = np.bincount(cell, minlength=size)
    total = np.bincount(cell, score[counted], size)
    with np.errstate(invalid="ignore"):
        return (total / count).reshape(len(seen.people), len(LEVEL_NAMES))
