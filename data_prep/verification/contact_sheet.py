"""Contact sheets: image, map and overlay side by side, many to a page, to be judged at a glance.

Pure drawing: what to show is decided in `sheet_choice.py`. P is the side of a panel in pixels.
"""

import functools
import os
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

PANEL = 112  # P
GAP, GROUP_GAP, MARGIN, TITLE_WIDTH, HEAD = 2, 14, 16, 150, 58
CAPTION_LINES, LINE = 2, 14
PAPER, INK, FAINT, FRAME = (255, 255, 255), (30, 30, 30), (120, 120, 120), (208, 208, 208)
NOTHING = (238, 238, 238)  # behind a picture that does not fill its panel
COLOR_MAP = "inferno"
OPACITY = 0.75  # of the map where it is highest, over the grey image
SMOOTHING = 0.025  # of the short side: deviation of the Gaussian in `revealed`


class Triplet(NamedTuple):
    """One record on a sheet."""

    image: np.ndarray | None  # uint8 [H, W, 3], or None where it cannot be read
    counts: np.ndarray | None  # integers [H, W], or None without a map
    caption: Sequence[str]  # at most two lines


class Line(NamedTuple):
    """A line of a sheet: what its triplets have in common, in one to three lines, and they."""

    title: Sequence[str]
    triplets: Sequence[Triplet]


def draw(title: str, subtitle: str, lines: Sequence[Line]) -> Image.Image:
    """A page, as wide as its longest line; a Pillow image of mode "RGB"."""
    columns = max([2, *(len(line.triplets) for line in lines)])  # 2: room for the title
    group = 3 * PANEL + 2 * GAP
    row = PANEL + CAPTION_LINES * LINE + 12
    width = 2 * MARGIN + TITLE_WIDTH + columns * (group + GROUP_GAP) - GROUP_GAP
    page = Image.new("RGB", (width, HEAD + max(1, len(lines)) * row + MARGIN), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, MARGIN), title, INK, _font(18))
    pen.text((MARGIN, MARGIN + 24), shorten(subtitle, 12, width - 2 * MARGIN), FAINT, _font(12))
    if not lines:
        pen.text((MARGIN, HEAD + 10), "none", FAINT, _font(14))
    for number, line in enumerate(lines):
        top = HEAD + number * row
        for place, text in enumerate(line.title):
            ink, size = (FAINT, 11) if place else (INK, 12)
            short = shorten(text, size, TITLE_WIDTH - 10)
            pen.text((MARGIN, top + 4 + place * 18), short, ink, _font(size))
        for column, triplet in enumerate(line.triplets):
            left = MARGIN + TITLE_WIDTH + column * (group + GROUP_GAP)
            _draw_triplet(page, pen, left, top, triplet)
    return page


def _draw_triplet(page, pen, left, top, triplet):
    for place, panel in enumerate(_panels(triplet)):
        page.paste(panel, (left + place * (PANEL + GAP), top))
    group = 3 * PANEL + 2 * GAP
    for number, text in enumerate(triplet.caption[:CAPTION_LINES]):
        ink, size = (FAINT, 10) if number else (INK, 11)
        y = top + PANEL + 3 + number * LINE
        pen.text((left, y), shorten(text, size, group), ink, _font(size))


def _panels(triplet):
    if triplet.image is None:
        return [_message("cannot be read")]
    image = fit(triplet.image)
    if triplet.counts is None:
        return [image, _message("no map")]
    if not triplet.counts.any():
        return [image, _message("empty map")]
    heat = triplet.counts / triplet.counts.max()  # float64 [H, W], 0...1
    return [image, fit(colors(heat)), fit(overlay(triplet.image, heat))]


def draw_revealed(title: str, groups: Sequence[tuple[str, Sequence[Triplet]]], columns: int):
    """A page of images as opaque as their maps are high, group after group; a Pillow image."""
    side, row = PANEL + GROUP_GAP, PANEL + LINE + GROUP_GAP
    rows = [(words, -(-len(triplets) // columns)) for words, triplets in groups]
    height = HEAD + sum(LINE + 8 + count * row for _, count in rows) + MARGIN
    page = Image.new("RGB", (2 * MARGIN + columns * side - GROUP_GAP, height), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, MARGIN), title, INK, _font(18))
    top = HEAD
    for (words, count), (_, triplets) in zip(rows, groups, strict=True):
        pen.text((MARGIN, top), words if triplets else f"{words}: none", FAINT, _font(12))
        top += LINE + 8
        for place, triplet in enumerate(triplets):
            left, y = MARGIN + place % columns * side, top + place // columns * row
            if triplet.image is not None and triplet.counts is not None and triplet.counts.any():
                heat = triplet.counts / triplet.counts.max()
                page.paste(fit(revealed(triplet.image, heat)), (left, y))
            caption = triplet.caption[1].partition(":")[0]
            pen.text((left, y + PANEL + 2), shorten(caption, 10, PANEL), INK, _font(10))
        top += count * row
    return page


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The map, 0...1 [H, W], in colour over the image in grey: uint8 [H, W, 3]."""
    grey = image.mean(-1, keepdims=True)
    strength = np.sqrt(heat)  # a single visit still shows
    opacity = OPACITY * strength[..., None]
    return np.rint((1 - opacity) * grey + opacity * colors(strength)).astype(np.uint8)


def revealed(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image on white, as opaque as its map is high (Fig. 2A): uint8 [H, W, 3]."""
    # Smoothed, as the paper's picture is: squares of single bubbles hide what they reveal.
    smooth = ndimage.gaussian_filter(heat.astype(np.float32), SMOOTHING * min(heat.shape))
    opacity = np.sqrt(smooth / smooth.max())[..., None]
    return np.rint(opacity * image + (1 - opacity) * 255).astype(np.uint8)


def colors(heat: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of values 0...1."""
    return np.rint(255 * matplotlib.colormaps[COLOR_MAP](heat)[..., :3]).astype(np.uint8)


def fit(pixels: np.ndarray) -> Image.Image:
    """The whole picture in a panel [P, P], its proportions kept."""
    image = Image.fromarray(pixels)
    scale = PANEL / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    # Enlarged pixels stay pixels: a map of 32 x 32 should look like one.
    smooth = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    panel = Image.new("RGB", (PANEL, PANEL), NOTHING)
    small = image.resize(size, smooth)
    panel.paste(small, ((PANEL - size[0]) // 2, (PANEL - size[1]) // 2))
    return panel


def _message(text):
    panel = Image.new("RGB", (PANEL, PANEL), NOTHING)
    ImageDraw.Draw(panel).text((PANEL // 2, PANEL // 2), text, FAINT, _font(12), "mm")
    return panel


@functools.cache
def _font(size):
    """DejaVu Sans, which matplotlib brings along."""
    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, size)


def shorten(text: str, size: int, width: int) -> str:
    """`text` cut to `width` pixels in the middle, where names differ least, with an ellipsis."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 2 and font.getlength(_cut(text, keep)) > width:
        keep -= 1
    return _cut(text, keep)


def _cut(text, keep):
    end = keep * 2 // 3  # ids differ at their end
    return f"{text[: keep - end]}…{text[len(text) - end :]}"
