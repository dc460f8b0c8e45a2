"""The rules of a round: what the partner sees, how the brush moves, what a round is worth. Pure.

Everything happens in one frame of 256x256 pixels, coordinates are continuous (x, y), and times are
milliseconds since the first click. Defaults are the paper's (section 2) where it gives a number,
else the original site's.
"""

import dataclasses
import functools
import hashlib
import json
import math
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

FRAME = 256  # side of the canvas, of pictures and of masks, px
BACKGROUNDS = ("mean", "legacy_noise", "black", "blur")
SCORES = ("linear", "cubic")
AFTER_RECOGNITION = ("stop", "continue")

# ImageNet's mean colour: where a network has been trained to see nothing.
MEAN_COLOUR = (124, 116, 104)
# The original site's noise, of values 0..1: clip(image + N(0, 0.4) - 0.5, 0, 1).
NOISE_DEVIATION, NOISE_SHIFT = 0.4, -0.5
BLUR_RADIUS = 16  # px; standard deviation of the Gaussian


def _rule(default: Any, help: str, choices: tuple[str, ...] = ()):
    """A field of Rules: its name is the flag's, its unit stands in the help text."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Rules:
    """All that decides how a round ends; two rounds are comparable if their `hash()` is equal."""

    limit_ms: int = _rule(7000, "A round lasts so long from the first click (paper).")
    grace_ms: int = _rule(
        2000, "Answers about bubbles within the limit still count so long after it."
    )
    clock_tolerance_ms: int = _rule(
        1000, "The browser's and the server's clocks may differ so much; else the server's holds."
    )
    bubble_side: int = _rule(14, "Side of a person's bubble, px of 256 (paper).")
    partner_bubble_side: int = _rule(21, "Side of the square the partner sees of one, px (paper).")
    partner_crop: int = _rule(224, "The partner sees the central square of so many px of 256.")
    background: str = _rule(
        "mean",
        "What the partner sees where nothing is painted: `mean` = one grey (paper: nothing), "
        "`legacy_noise` = the original site's noise over the picture, `black`, `blur`.",
        BACKGROUNDS,
    )
    brush_tick_ms: int = _rule(50, "The brush leaves at most one bubble in so long.")
    brush_step: float = _rule(7.0, "The brush follows the cursor by at most so many px a tick.")
    query_every: int = _rule(10, "The partner is asked after so many new bubbles.")
    query_apart_ms: int = _rule(250, "Two questions of a round are at least so far apart.")
    top_k: int = _rule(5, "Recognised: the picture's class is among the partner's k best (paper).")
    minimum_probability: float = _rule(
        0.0, "Recognised only if the partner gives the picture's class at least this probability."
    )
    score: str = _rule(
        "linear",
        "Points: `linear` = 100 x share of time left (paper), `cubic` = its cube (original site).",
        SCORES,
    )
    after_recognition: str = _rule(
        "stop",
        "`stop` ends the round when the partner recognises (paper); `continue` lets the player "
        "finish, and flags the bubbles after it.",
        AFTER_RECOGNITION,
    )

    def __post_init__(self):
        for name, choices in _choices().items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"--{name}={getattr(self, name)} is unknown. Expected one of: "
                    f"{', '.join(choices)}."
                )
        for name, low, high in (
            ("limit_ms", 1, math.inf),
            ("grace_ms", 0, math.inf),
            ("clock_tolerance_ms", 0, math.inf),
            ("bubble_side", 1, FRAME),
            ("partner_bubble_side", 1, FRAME),
            ("partner_crop", 1, FRAME),
            ("brush_tick_ms", 1, math.inf),
            ("brush_step", 1e-3, FRAME),
            ("query_every", 1, math.inf),
            ("query_apart_ms", 0, math.inf),
            ("top_k", 1, math.inf),
            ("minimum_probability", 0, 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"--{name} must be in {low:g}...{high:g}, got {getattr(self, name)}."
                )

    def hash(self) -> str:
        """Names these rules: 64 hexadecimal digits, the same on any machine."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def most_bubbles(self) -> int:
        """What the brush can leave in one round: one a tick, both ends included; the paper: 141."""
        return self.limit_ms // self.brush_tick_ms + 1


def _choices():
    fields = dataclasses.fields(Rules)
    return {field.name: field.metadata["choices"] for field in fields if field.metadata["choices"]}


# --------------------------------------------------------------------------- points and success


def points(rules: Rules, t_ms: float) -> float:
    """What recognition at `t_ms` is worth, 0 to 100; the last bubble that the partner saw counts.

    So neither the network's line nor the partner's thinking costs points.
    """
    left = min(max(1 - t_ms / rules.limit_ms, 0.0), 1.0)
    return 100.0 * (left if rules.score == "linear" else left**3)


def is_recognised(rules: Rules, rank: int, probability: float) -> bool:
    """Whether an answer ends the round: the target's rank, 1 = best, and its probability."""
    return rank <= rules.top_k and probability >= rules.minimum_probability


def rank_of(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The target's rank, 1 = best, int [B], among probabilities [B, K].

    Ties count against the player: a network that finds everything equally likely, as a broken one
    does, has recognised nothing.

    Raises:
      ValueError: a probability is not a number.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("The partner's probabilities are not all finite: its network is broken.")
    of_target = np.take_along_axis(probabilities, np.asarray(targets)[:, None], 1)  # [B, 1]
    return (probabilities >= of_target).sum(1)  # counts the target itself


def best(probabilities: np.ndarray, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The most probable classes and their probabilities, [B, count] each; ties by lower index.

    Of a network with fewer classes the rest is -1 and 0.
    """
    classes = np.argsort(-probabilities, 1, kind="stable")[:, :count]
    found = np.take_along_axis(probabilities, classes, 1)
    missing = ((0, 0), (0, count - classes.shape[1]))
    return np.pad(classes, missing, constant_values=-1), np.pad(found, missing)


# --------------------------------------------------------------------------- the partner's view


def view_mask(bubbles, side: int, size: int = FRAME) -> np.ndarray:
    """What bubbles of the partner's `side` show, bool [size, size], rows first.

    Args:
      bubbles: numbers [M, 2 or more], each (x, y, ...) in px.
      side: an odd side covers floor(v + 1/2) and as many pixels on both sides (21: rows y - 10 to
        y + 10), as on the original site; an even one begins as far above and ends one sooner, as
        `data_prep.maps.rasterise` has it. What lies outside the frame is cut off.
    """
    mask = np.zeros((size, size), bool)
    if not len(bubbles):
        return mask
    centres = np.asarray(bubbles, np.float64)[:, :2]
    # Far outside is far outside: clipping keeps the conversion to integers from overflowing.
    centres = np.clip(centres, -size - side, 2 * size + side)
    first = np.floor(centres + 0.5).astype(int) - side // 2  # numpy rounds halves to even
    first, last = np.clip(first, 0, size), np.clip(first + side, 0, size)  # half-open
    for (left, top), (right, bottom) in zip(first.tolist(), last.tolist(), strict=True):
        mask[top:bottom, left:right] = True
    return mask


def composite(pixels: np.ndarray, mask: np.ndarray, rules: Rules, seed: int = 0) -> np.ndarray:
    """The picture where the mask is True, the rules' background elsewhere: uint8 [H, W, 3].

    Args:
      pixels: uint8 [H, W, 3].
      mask: bool [H, W].
      seed: of the noise. One round has one, so each of its questions can be asked again.
    """
    view = background(pixels, rules, seed).copy()
    view[mask] = pixels[mask]
    return view


def background(pixels: np.ndarray, rules: Rules, seed: int = 0) -> np.ndarray:
    """What hides a picture, uint8 [H, W, 3]; not to be written into."""
    if rules.background == "legacy_noise":
        noisy = pixels + _noise(seed, pixels.shape)
        return np.rint(np.clip(noisy, 0, 255, out=noisy), out=noisy).astype(np.uint8)
    if rules.background == "blur":
        blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR_RADIUS))
        return np.asarray(blurred)
    return _plain(MEAN_COLOUR if rules.background == "mean" else (0, 0, 0), pixels.shape)


@functools.lru_cache(maxsize=8)  # made out of three numbers it costs as much as all the rest
def _plain(colour, shape):
    plain = np.empty(shape, np.uint8)
    plain[:] = colour
    plain.flags.writeable = False
    return plain


@functools.lru_cache(maxsize=64)  # a round asks some 14 times; 50 MB
def _noise(seed, shape):
    """Of pixels 0..255, float32."""
    noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return (noise * np.float32(NOISE_DEVIATION) + np.float32(NOISE_SHIFT)) * np.float32(255)


def central(pixels: np.ndarray, side: int) -> np.ndarray:
    """The central square of [..., H, W, C]; of 256 and 224 it begins at 16."""
    top, left = (pixels.shape[-3] - side) // 2, (pixels.shape[-2] - side) // 2
    return pixels[..., top : top + side, left : left + side, :]


# --------------------------------------------------------------------------- the brush


def toward(start, target, ticks: int, step: float) -> np.ndarray:
    """Where the brush is after 1 ... `ticks` ticks toward a cursor at rest, [ticks, 2].

    It goes straight, `step` px a tick, and stops on the cursor: start + (target - start) times
    min(k step / distance, 1).
    """
    start, target = np.asarray(start, float), np.asarray(target, float)
    distance = math.hypot(*(target - start))
    if distance == 0:
        return np.tile(start, (ticks, 1))
    share = np.minimum(np.arange(1, ticks + 1) * step / distance, 1.0)
    return start + share[:, None] * (target - start)


def paint_path(cursor, rules: Rules, until_ms: float | None = None) -> np.ndarray:
    """The bubbles that the brush leaves behind a moving cursor: [M, 3] of (x, y, t).

    Args:
      cursor: [N, 3] of (x, y, t), t not falling, the first at the first click. Between two of them
        the cursor rests at the first; no button need be held.
      until_ms: the last tick; by default the limit.

    The first bubble lies where the first click was. Each tick moves the brush and leaves a bubble,
    unless it would lie on the one before. Coordinates have three decimals, as in storage.
    """
    cursor = np.asarray(cursor, float)
    until = rules.limit_ms if until_ms is None else min(until_ms, rules.limit_ms)
    began = cursor[0, 2]
    last_tick = int(until // rules.brush_tick_ms)
    # The first tick that finds the cursor there; a sample on a tick is seen by that tick.
    seen_from = np.maximum(np.ceil((cursor[:, 2] - began) / rules.brush_tick_ms), 1).astype(int)
    position, pieces = cursor[0, :2], [cursor[:1, :2]]
    for index, first in enumerate(seen_from):
        after = seen_from[index + 1] if index + 1 < len(cursor) else last_tick + 1
        ticks = min(after, last_tick + 1) - first
        if ticks > 0:  # else the next sample came before a tick could see this one
            pieces.append(toward(position, cursor[index, :2], ticks, rules.brush_step))
            position = pieces[-1][-1]
    path = np.round(np.concatenate(pieces), 3)  # one row a tick, from 0
    moved = np.r_[True, (np.diff(path, axis=0) != 0).any(1)]
    times = np.arange(len(path)) * rules.brush_tick_ms
    return np.column_stack([path, times])[moved]


def questions(path, rules: Rules) -> list[int]:
    """After how many bubbles the partner is asked while [M, 3] of (x, y, t) is painted.

    Every `query_every` bubbles, at least `query_apart_ms` apart, and once at the end.
    """
    asked, last_ms = [], -math.inf
    for count in range(rules.query_every, len(path) + 1, rules.query_every):
        if path[count - 1][2] - last_ms >= rules.query_apart_ms:
            asked.append(count)
            last_ms = path[count - 1][2]
    if len(path) and (not asked or asked[-1] != len(path)):
        asked.append(len(path))
    return asked
