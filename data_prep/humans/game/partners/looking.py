"""A partner that is a network: it sees a picture through the bubbles, cropped to its input."""

from typing import Protocol

import numpy as np
from PIL import Image

from data_prep.humans.demo.importance import occlusion
from data_prep.humans.game import partners, rules
from data_prep.humans.game.partners.classes import Classes


class Network(Protocol):
    """Any image classifier: pixels 0..255 in, probabilities out.

    Attributes:
        side: of its input, px.
    """

    side: int

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Of pictures uint8 [B, side, side, 3]: float32 [B, K]. PartnerFailed: none came."""


class Looking:
    """A partner around a network.

    Attributes:
        network, classes, rules: what it is made of.
        about: {"name", "kind", "sha256"} for exports.
    """

    def __init__(self, network: Network, classes: Classes, game: rules.Rules, about: dict):
        self.network, self.classes, self.rules, self.about = network, classes, game, about

    def answer(self, pixels, masks, targets, seeds=None) -> partners.Answer:
        """Composes what the rules show and asks the network once for all."""
        seeds = np.zeros(len(pixels), int) if seeds is None else seeds
        together = zip(pixels, masks, np.asarray(seeds).tolist(), strict=True)
        views = np.stack(
            [rules.composite(picture, mask, self.rules, seed) for picture, mask, seed in together]
        )
        return self.judge(self.look(views), np.asarray(targets))

    def look(self, views: np.ndarray) -> np.ndarray:
        """Probabilities [B, K] of composed views uint8 [B, 256, 256, 3].

        Raises:
          PartnerFailed: the network gave another number of classes, or no numbers.
        """
        cropped = rules.central(views, self.rules.partner_crop)
        found = self.network.probabilities(resized(cropped, self.network.side))
        if found.shape != (len(views), len(self.classes)):
            raise partners.PartnerFailed(
                f"The partner gave probabilities of shape {found.shape} for {len(views)} pictures "
                f"and {len(self.classes)} classes: give the classes of this very network."
            )
        if not np.isfinite(found).all():
            raise partners.PartnerFailed("The partner's probabilities are not all finite.")
        return found

    def judge(self, probabilities: np.ndarray, targets: np.ndarray) -> partners.Answer:
        """The answer that probabilities [B, K] make."""
        rank = rules.rank_of(probabilities, targets)
        of_target = np.take_along_axis(probabilities, targets[:, None], 1)[:, 0]
        return partners.Answer(rank, of_target, *rules.best(probabilities))

    def importance(self, pixels, target):
        """By occlusion, of the whole picture: what its rules hide plays no part."""
        return occlusion(lambda views: self.look(views)[:, target], pixels)

    def with_rules(self, game: rules.Rules) -> "Looking":
        """The same one under other rules."""
        return Looking(self.network, self.classes, game, self.about)

    def describe(self) -> dict:
        """Name, kind and hash, as the study stores them."""
        return {
            **self.about,
            "classes": self.classes.pairs(),
            "crop": self.rules.partner_crop,
            "rules": self.rules.hash(),
        }


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """Square pictures uint8 [B, S, S, 3] at another side, antialiased."""
    if pixels.shape[1] == side:
        return pixels
    size = (side, side)
    images = (Image.fromarray(np.ascontiguousarray(one)) for one in pixels)
    return np.stack([np.asarray(image.resize(size, Image.Resampling.BILINEAR)) for image in images])
