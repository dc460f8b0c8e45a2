"""Simulated players: a browser's messages over HTTP, and what somebody paints in a round.

Kinds: `honest` paints what matters in the picture, `random` paints anywhere, `copying` sends one
and the same path every time, `scripted` jumps about without ever moving a pointer.
"""

import dataclasses
import io
from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image

from data_prep.humans.game import painters
from data_prep.humans.game.partners.reference import picture_key
from data_prep.humans.game.rules import FRAME, Rules
from data_prep.humans.studies.browser import Browser

KINDS = ("honest", "random", "copying", "scripted")
NARROW = 12  # px; radius within which somebody paints who will not be recognised
PLANTED_RADIUS, PLANTED_MARGIN = 40, 20  # px, of what matters in a made-up picture
# Of the reference partner: it has the picture among its five best at 0.6 of that, so at 0.54 of the
# mask. Who paints one small part (NARROW, and 10 px of a bubble around) shows 0.42 at most.
PLANTED_THRESHOLD = 0.9
SKIP_REASONS = ("unclear", "wrong_label")  # the paper's: poor quality, incorrect label


class Clock(Protocol):
    """What tells the time: the real one, or one that a simulation moves."""

    def __call__(self) -> int:
        """UTC in ms."""

    def until(self, instant_ms: int) -> None:
        """Returns when it is that late."""


@dataclasses.dataclass
class Player:
    """One simulated person.

    Attributes:
        kind: one of KINDS.
        recognised: chance that an honest player shows enough of the picture; the rest of the time
            they paint a small part only.
        skipped, hidden: chances that a round ends so.
        sees: bytes of the picture -> what matters in it, >= 0 [256, 256].
        batch: bubbles a message.
    """

    browser: Browser
    kind: str
    rng: np.random.Generator
    sees: Callable[[bytes], np.ndarray]
    recognised: float = 1.0
    skipped: float = 0.0
    hidden: float = 0.0
    batch: int = 10
    name: str = ""
    copied: np.ndarray | None = None

    def enter(self) -> None:
        """Begins a session and agrees to take part."""
        given = self.browser.post("/api/session", {"recruitment": {}, "touch": False})
        self.name = given["display_name"]
        consent = {"version": given["consent_version"], "accepted": True}
        self.browser.post("/api/consent", consent)

    def play(self, clock: Clock) -> dict:
        """One round, from asking for a picture to its end; what the server said at the end.

        Raises:
          Refused: there is no picture left, or the server does not take a message.
        """
        given = self.browser.post("/api/rounds", {"tab": f"simulated-{id(self):x}"})
        number, rules = given["round"], _rules(given["limits"])
        looked_ms = int(np.clip(self.rng.lognormal(np.log(1500), 0.5), 200, 20_000))
        importance = self.sees(self.browser.get(given["image"]))
        clock.until(clock() + looked_ms)
        chance = self.rng.random()
        if chance < self.skipped:
            reason = SKIP_REASONS[int(self.rng.integers(len(SKIP_REASONS)))]
            return self._end(number, "skip", skip_reason=reason)
        began = clock()
        self.browser.post(f"/api/rounds/{number}/start", {"input": "mouse", "looked_ms": looked_ms})
        path = self._path(importance, rules)
        if chance < self.skipped + self.hidden:
            self._send(number, path[: self.batch], clock, began)
            return self._end(number, "hidden")
        status = self._send(number, path, clock, began)
        if status == "playing":
            clock.until(began + rules.limit_ms)
        return self._end(number, "timeout", scripted=self.kind == "scripted")

    def _path(self, importance, rules):
        """What this kind of player paints."""
        if self.kind == "honest":
            shows_enough = self.rng.random() < self.recognised
            wanted = importance if shows_enough else narrowed(importance, self.rng)
            return painters.guided(wanted, rules, self.rng)
        if self.kind == "copying":
            if self.copied is None:
                self.copied = painters.uniform(rules, self.rng)
            return self.copied
        if self.kind == "scripted":
            places = self.rng.uniform(0, FRAME, (rules.most_bubbles(), 2)).round(3)
            return np.column_stack([places, np.arange(len(places)) * rules.brush_tick_ms])
        return painters.uniform(rules, self.rng)

    def _send(self, number, path, clock, began):
        """Sends a path as it is painted, until the round is over; the round's state."""
        status = "playing"
        for first in range(0, len(path), self.batch):
            some = path[first : first + self.batch]
            clock.until(began + int(some[-1, 2]))
            body = {"seq": first // self.batch, "first": first, "points": some.tolist()}
            status = self.browser.post(f"/api/rounds/{number}/bubbles", body)["status"]
            if status != "playing":
                break
        return status

    def _end(self, number, reason, **more):
        return self.browser.post(f"/api/rounds/{number}/end", {"reason": reason, **more})


class PlantedMasks:
    """What matters in each picture of a made-up study: a disc, its place told by the pixels.

    Honest players and the `reference` partner see the same one, so people agree on a picture, and
    each picture is different. Used as `masks` of the reference partner.
    """

    def get(self, key: str, default: np.ndarray | None = None) -> np.ndarray:
        """The mask of `reference.picture_key`, [256, 256]."""
        room = FRAME - 2 * PLANTED_RADIUS - 2 * PLANTED_MARGIN
        offsets = (int(key[first : first + 8], 16) / 16**8 * room for first in (0, 8))
        x, y = (PLANTED_MARGIN + PLANTED_RADIUS + offset for offset in offsets)
        centres = np.arange(FRAME) + 0.5
        squared = (centres - x) ** 2 + (centres[:, None] - y) ** 2  # [rows, columns]
        return (squared <= PLANTED_RADIUS**2).astype(float)

    def __len__(self) -> int:
        return 1  # there is always one

    def items(self) -> tuple:
        """None is listed: they are made when they are asked for."""
        return ()

    def sees(self, jpeg: bytes) -> np.ndarray:
        """What matters in a picture as the server sent it."""
        with Image.open(io.BytesIO(jpeg)) as image:
            return self.get(picture_key(np.asarray(image.convert("RGB"))))


def narrowed(importance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Importance around one place that matters, 0 elsewhere: too little to be recognised by."""
    chosen = rng.choice(importance.size, p=(importance / importance.sum()).ravel())
    y, x = divmod(chosen, FRAME)
    rows, columns = np.mgrid[:FRAME, :FRAME]
    return np.where(np.hypot(columns - x, rows - y) <= NARROW, importance, 0.0)


def _rules(limits):
    """The rules that a browser is told of."""
    names = {field.name for field in dataclasses.fields(Rules)}
    return Rules(**{name: value for name, value in limits.items() if name in names})
