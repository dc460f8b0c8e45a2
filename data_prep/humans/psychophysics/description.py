"""Further numbers of an experiment, without tests: d', speed, classes, shares of the image."""

import numpy as np
from scipy import stats

from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.observed import Observed

SHARE_EDGES = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.5, 1.0)  # of the image shown


def _of_groups(seen, function):
    return [function(seen.only(which[seen.person])) for which in (~seen.in_b, seen.in_b)]


def sensitivity(seen: Observed) -> list:
    """d' and criterion at each level, over all people, log-linear (Hautus 1995)."""

    def of(part):
        rows = []
        answered = part.stored & ~np.isnan(part.correct)
        said_target = np.where(part.correct == 1, part.target, ~part.target)
        for place in range(len(LEVEL_NAMES)):
            here = answered & (part.level == place)
            z = []
            for side in (True, False):
                chosen = said_target[here & (part.target == side)]
                z.append(stats.norm.ppf((chosen.sum() + 0.5) / (len(chosen) + 1)))
            rows.append({"d_prime": float(z[0] - z[1]), "criterion": float(-(z[0] + z[1]) / 2)})
        return rows

    return _of_groups(seen, of)


def response_times(seen: Observed) -> list:
    """Median of right answers at each level, ms; None: there are none."""

    def of(part):
        right = part.stored & (part.correct == 1)
        times = (part.rt_ms[right & (part.level == place)] for place in range(len(LEVEL_NAMES)))
        return [float(np.median(one)) if len(one) else None for one in times]

    return _of_groups(seen, of)


def classes(seen: Observed) -> dict[str, list]:
    """Accuracy over all levels, of each class."""

    def of(part):
        answered = part.stored & ~np.isnan(part.correct)
        shown = ((part.label == place) & answered for place in range(len(seen.labels)))
        return [float(part.correct[one].mean()) if one.any() else None for one in shown]

    a, b = _of_groups(seen, of)
    return {str(label): pair for label, *pair in zip(seen.labels, a, b, strict=True)}


def shares(seen: Observed) -> dict[str, list]:
    """Accuracy by the share of the image shown, in place of the share of its map."""

    def of(part):
        answered = part.stored & ~np.isnan(part.correct)
        place = np.digitize(part.share_of_image, SHARE_EDGES[1:-1])
        found = []
        for index in range(len(SHARE_EDGES) - 1):
            here = answered & (place == index)
            mean = float(part.correct[here].mean()) if here.any() else None
            found.append({"accuracy": mean, "answers": int(here.sum())})
        return found

    return {"edges": list(SHARE_EDGES), "groups": _of_groups(seen, of)}


def share_at_level(seen: Observed) -> list[float | None]:
    """Mean share of the image that each level shows."""
    shown = (seen.share_of_image[seen.level == place] for place in range(len(LEVEL_NAMES)))
    return [float(one.mean()) if len(one) else None for one in shown]
