"""The two pictures of Fig. 4, from arrays: two networks side by side, and one on other images.

    A   image | human map | gradient difference || network in red || network in blue
    B   image | attention | overlay, several of these beside each other

Where the numbers come from is in `draw.py`.

    N images, H W the picture, S side of an image, h w of a map, P side of a panel in pixels
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gala_tf.pictures import attention_grid
from gala_tf.pictures import panels as drawing

PANEL = 152  # P of A: nine columns fit a screen
GAP, GROUP_GAP, MARGIN = 4, 24, 16
HEADING, TITLES, CAPTION, LINE = 28, 40, 26, 18  # heights: group, columns, row's text, note
SCALE = 90  # width of a colour scale

CLIP_PERCENTILE = 99  # Smilkov et al. 2017: a few extreme pixels would leave the others dark


class Side(NamedTuple):
    """One of the two networks of A."""

    name: str  # heads its columns
    # {title: [N, h, w]} reduced attention maps, columns from left to right
    maps: Mapping[str, np.ndarray]
    captions: Sequence[str]  # N short lines below its panels


def normalised(strengths: np.ndarray) -> np.ndarray:
    """Absolute gradients summed over colours, [N, S, S] >= 0, from 0 to 1, float64.

    Each image by itself, as Smilkov et al. show them: 0 stays 0, the 99th percentile over its
    pixels becomes 1 (if it is 0, all is), and what lies above it is cut to 1. So a network whose
    score is steeper everywhere has no advantage.
    """
    strengths = np.asarray(strengths, np.float64)
    top = np.percentile(strengths, CLIP_PERCENTILE, axis=(1, 2), keepdims=True)
    return np.minimum(strengths / np.where(top == 0, np.inf, top), 1)  # NaN stays NaN


def gradient_difference(red: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """How much more one network's answer depends on each pixel than the other's, after scale.

    Of their smoothed gradients on the same images, [N, S, S] >= 0: [N, S, S] in -1...1, above 0
    where `red`'s network prefers the pixel. ValueError: shapes that differ.
    """
    if np.shape(red) != np.shape(blue) or np.ndim(red) != 3:
        raise ValueError(
            "Gradients of two networks are compared as [N, S, S] on the same images. Received: "
            f"{np.shape(red)} and {np.shape(blue)}."
        )
    return normalised(red) - normalised(blue)


def picture_a(
    images: np.ndarray,
    human_maps: np.ndarray,
    differences: np.ndarray,
    red: Side,
    blue: Side,
    captions: Sequence[str],
    notes: Sequence[str] = (),
    human_title: str = "human map",
) -> np.ndarray:
    """Fig. 4A: one row an image.

    Args:
        human_maps: [N, h, w] >= 0, any scale; all zero: the image has none.
        differences: [N, S, S] from `gradient_difference`; above 0 is drawn red.
        red, blue: the networks, in the colours they are drawn in.
        captions: N lines below image, human map and difference.
        notes: lines at the foot of the picture.
        human_title: above the human maps.

    Returns [H, W, 3] uint8.
    """
    groups = [3, len(red.maps), len(blue.maps)]
    lefts, right = _group_lefts(groups)
    row_height = PANEL + CAPTION + GAP
    top = HEADING + TITLES
    height = top + len(images) * row_height + 10 + LINE * (1 + len(notes)) + MARGIN
    canvas = Image.new("RGB", (right + MARGIN, height), drawing.PAPER)
    draw, fonts = ImageDraw.Draw(canvas), drawing.fonts()

    sides = [(red, drawing.RED, lefts[1]), (blue, drawing.BLUE, lefts[2])]
    titles = ["image", human_title, "gradient Δ\nSmoothGrad"]
    _draw_titles(draw, fonts, lefts[0], top, titles)
    for side, color, left in sides:
        _draw_heading(draw, fonts, left, len(side.maps), side.name, color)
        _draw_titles(draw, fonts, left, top, list(side.maps))
    for row, image in enumerate(images):
        y = top + row * row_height
        panels = [
            drawing.enlarge(image, PANEL),
            attention_grid.human_panel(image, human_maps[row], PANEL),
            drawing.difference_panel(image, differences[row], PANEL),
        ]
        _paste(canvas, lefts[0], y, panels)
        _draw_caption(draw, fonts, lefts[0], y, 3, captions[row], drawing.INK)
        for side, color, left in sides:
            maps = [drawing.tinted(image, maps[row], PANEL, color) for maps in side.maps.values()]
            _paste(canvas, left, y, maps)
            _draw_caption(draw, fonts, left, y, len(maps), side.captions[row], color)
    bottom = top + len(images) * row_height + 10
    _draw_scales(canvas, bottom + LINE // 2, fonts[1], lefts, groups, red, blue)
    _draw_notes(draw, fonts[1], bottom + LINE, notes, canvas.width)
    return np.asarray(canvas)


def _group_lefts(groups):
    """Left edges of groups of so many panels, and the right edge of the last."""
    lefts, left = [], MARGIN
    for count in groups:
        lefts.append(left)
        left += count * (PANEL + GAP) - GAP + GROUP_GAP
    return lefts, left - GROUP_GAP


def _group_width(count):
    return count * (PANEL + GAP) - GAP


def _paste(canvas, left, top, panels):
    for column, panel in enumerate(panels):
        canvas.paste(panel, (left + column * (PANEL + GAP), top))


def _draw_titles(draw, fonts, left, bottom, titles):
    for column, title in enumerate(titles):
        center = left + column * (PANEL + GAP) + PANEL // 2
        drawing.draw_title(draw, fonts, center, bottom - 6, PANEL, title)


def _draw_heading(draw, fonts, left, count, name, color):
    """A network's name over its columns, and a rule in its colour."""
    width = _group_width(count)
    text = drawing.shorten(name, fonts[0], width)
    draw.text((left + width // 2, HEADING - 6), text, color, fonts[0], "ms")
    draw.rectangle((left, HEADING, left + width - 1, HEADING + 1), color)


def _draw_caption(draw, fonts, left, top, count, caption, color):
    text = drawing.shorten(caption, fonts[1], _group_width(count))
    draw.text((left, top + PANEL + 4), text, color, fonts[1])


def _draw_scales(canvas, middle, font, lefts, groups, red, blue):
    """What the colours mean, below the columns that use them."""
    signed = drawing.tint_colors(np.linspace(-1, 1, SCALE))
    rights = [left + _group_width(count) for left, count in zip(lefts, groups, strict=True)]
    arguments = [
        (signed, "preferred by: blue network", "red network"),
        (drawing.tint_colors(np.linspace(0, 1, SCALE)), "each map by itself: least", "most"),
        (drawing.tint_colors(np.linspace(0, -1, SCALE)), "each map by itself: least", "most"),
    ]
    for right, (colors, low, high) in zip(rights, arguments, strict=True):
        drawing.draw_scale(canvas, right, middle, font, colors, low, high)


def _draw_notes(draw, font, top, notes, width):
    for place, note in enumerate(notes):
        text = drawing.shorten(note, font, width - 2 * MARGIN)
        draw.text((MARGIN, top + place * LINE + 4), text, drawing.FAINT_INK, font)


def picture_b(
    images: np.ndarray,
    maps: np.ndarray,
    captions: Sequence[str],
    notes: Sequence[str] = (),
    columns: int = 3,
) -> np.ndarray:
    """Fig. 4B: image, attention, and the image as attention reveals it; `columns` images a row.

    Args:
        maps: [N, h, w] reduced attention maps, each drawn on its own scale.

    Returns [H, W, 3] uint8.
    """
    columns = min(columns, len(images))
    lefts, right = _group_lefts([3] * columns)
    row_height = PANEL + CAPTION + GAP
    rows = -(-len(images) // columns)
    bottom = TITLES + rows * row_height + 10
    canvas = Image.new(
        "RGB", (right + MARGIN, bottom + LINE * (1 + len(notes)) + MARGIN), drawing.PAPER
    )
    draw, fonts = ImageDraw.Draw(canvas), drawing.fonts()
    for left in lefts:
        _draw_titles(draw, fonts, left, TITLES, ["image", "attention", "overlay"])
    for number, (image, attention) in enumerate(zip(images, maps, strict=True)):
        left, y = lefts[number % columns], TITLES + number // columns * row_height
        panels = [
            drawing.enlarge(image, PANEL),
            drawing.heat_panel(attention, PANEL),
            drawing.revealed(image, attention, PANEL),
        ]
        _paste(canvas, left, y, panels)
        _draw_caption(draw, fonts, left, y, 3, captions[number], drawing.INK)
    colors = drawing.heat_colors(np.linspace(0, 1, SCALE))
    middle = bottom + LINE // 2
    drawing.draw_scale(canvas, right, middle, fonts[1], colors, "each map by itself: least", "most")
    _draw_notes(draw, fonts[1], bottom + LINE, notes, canvas.width)
    return np.asarray(canvas)
