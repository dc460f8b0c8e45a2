"""The reference partner: recognises when the shown share of a mask reaches a threshold.

It looks at no pixel, so that tests and work on pages need no network and get the same answer
anywhere. Which mask belongs to a picture is told by the picture's own pixels.
"""

import hashlib
import json
import math
from collections.abc import Mapping

import numpy as np

from data_prep.humans.game import partners
from data_prep.humans.game.partners.classes import Classes
from data_prep.humans.game.rules import FRAME, Rules

THRESHOLD = 0.25  # of the mask
DISC_RADIUS = 60  # px, of the mask of a picture that has none of its own
RANKS = 10  # ranks the target climbs through while more of the mask is shown


def load(argument: str, rules: Rules, **options) -> "Reference":
    """`--partner=reference` or `reference:SHARE`, SHARE being the threshold.

    Args:
      options: as of Reference.

    Raises:
      ValueError: SHARE is no number in 0...1.
    """
    if argument:
        options["threshold"] = _share(argument)
    return Reference(rules, **options)


def _share(text):
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise ValueError(f"--partner=reference:{text}: expected the share of the mask, 0...1.")
    return share


class Reference:
    """A partner without a network.

    Attributes:
        classes: those it says it knows, by default ten made-up ones.
    """

    def __init__(
        self,
        rules: Rules,
        classes: Classes | None = None,
        masks: Mapping[str, np.ndarray] | None = None,
        threshold: float = THRESHOLD,
    ):
        """
        Args:
          masks: {`picture_key(pixels)`: weights >= 0 [256, 256]}; a disc in the middle for others.
          threshold: shown share of the mask's mass at which the target reaches rank 1.
        """
        self.rules = rules
        self.classes = classes or Classes(("",) * 10, tuple(f"class {i}" for i in range(10)))
        self.threshold = threshold
        self._masks = {} if masks is None else masks
        self._disc = disc()

    def answer(self, pixels, masks, targets, seeds=None) -> partners.Answer:
        """Deterministic; `seeds` play no part."""
        shown = np.array([self._shown(*one) for one in zip(pixels, masks, strict=True)])
        # Rank 1 at the threshold, and on the way there one rank lower for each tenth of it.
        missing = np.ceil(np.round((1 - shown / self.threshold) * RANKS, 9)).astype(int)
        rank = np.clip(1 + missing, 1, max(len(self.classes), 1))
        probability = np.minimum(shown / self.threshold, 1) * 0.9
        top = np.stack([self._best(*one) for one in zip(rank, targets, strict=True)])  # [B, 5]
        others = (1 - probability[:, None]) / max(len(self.classes), 5) * np.linspace(1, 0.5, 5)
        top_probability = np.where(
            top == np.asarray(targets)[:, None], probability[:, None], others
        )
        return partners.Answer(
            rank, probability.astype(np.float32), top, top_probability.astype(np.float32)
        )

    def importance(self, pixels, target) -> np.ndarray:
        """The picture's mask."""
        return self._masks.get(picture_key(pixels), self._disc)

    def with_rules(self, rules: Rules) -> "Reference":
        """The same one under other rules."""
        return Reference(rules, self.classes, self._masks, self.threshold)

    def describe(self) -> dict:
        """Name, kind and hash, as the study stores them."""
        masks = {
            key: hashlib.sha256(mask.tobytes()).hexdigest() for key, mask in self._masks.items()
        }
        content = json.dumps([self.threshold, self.classes.pairs(), masks], sort_keys=True)
        return {
            "name": f"reference, threshold {self.threshold:g}",
            "kind": "reference",
            "sha256": hashlib.sha256(content.encode()).hexdigest(),
            "classes": self.classes.pairs(),
            "crop": FRAME,
            "rules": self.rules.hash(),
        }

    def _shown(self, pixels, mask):
        # Hashing a picture takes 0.2 ms: not where no picture has a mask of its own.
        weights = self._disc
        if self._masks:
            weights = self._masks.get(picture_key(pixels), self._disc)
        return weights[mask].sum() / weights.sum()

    def _best(self, rank, target):
        """Five classes: the target at its rank, if that is among them; others in order."""
        others = [index for index in range(len(self.classes)) if index != target][:5]
        others = (others + [-1] * 5)[:5]
        return np.array((others[: rank - 1] + [int(target)] + others[rank - 1 :])[:5])


def disc(radius: float = DISC_RADIUS) -> np.ndarray:
    """Ones in the middle of the frame, float [256, 256]."""
    rows, columns = np.mgrid[:FRAME, :FRAME] + 0.5 - FRAME / 2
    return (np.hypot(rows, columns) <= radius).astype(float)


def picture_key(pixels: np.ndarray) -> str:
    """Names a picture by its uint8 [256, 256, 3] pixels."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
