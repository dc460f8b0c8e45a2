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

EACH_BY_ITSELF = "each map by itself: least", "most"

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
    """Fig. 4A: one row an image; [H, W, 3] uint8.

    Args:
        human_maps: [N, h, w] >= 0, any scale; all zero: the image has none.
        differences: [N, S, S] from `gradient_difference`; above 0 is drawn red.
        red, blue: the networks, in the colours they are drawn in.
        captions: N lines below image, human map and difference.
        notes: lines at the foot of the picture.
        human_title: above the human maps.
    """
    rows = []
    columns = images, human_maps, differences, captions
    for image, human, difference, caption in zip(*columns, strict=True):
        panels = [
            drawing.enlarge(image, PANEL),
            attention_grid.human_panel(image, human, PANEL),
            drawing.difference_panel(image, difference, PANEL),
        ]
        rows.append((panels, caption))
    signed = drawing.tint_colors(np.linspace(-1, 1, SCALE))
    scale = signed, "preferred by: blue network", "red network"
    groups = [Group(["image", human_title, "gradient Δ\nSmoothGrad"], rows, scale)]
    for side, ink, end in ((red, drawing.RED, 1), (blue, drawing.BLUE, -1)):
        rows = []
        for row, image in enumerate(images):
            maps = [drawing.tinted(image, maps[row], PANEL, ink) for maps in side.maps.values()]
            rows.append((maps, side.captions[row]))
        tints = drawing.tint_colors(np.linspace(0, end, SCALE))
        groups.append(Group(list(side.maps), rows, (tints, *EACH_BY_ITSELF), ink, side.name))
    return _draw(groups, notes)


def picture_b(
    images: np.ndarray,
    maps: np.ndarray,
    captions: Sequence[str],
    notes: Sequence[str] = (),
    columns: int = 3,
) -> np.ndarray:
    """Fig. 4B: image, attention, and the image as attention reveals it; [H, W, 3] uint8.

    Maps are [N, h, w] reduced attention maps, each drawn on its own scale; `columns` images a row.
    """
    columns = min(columns, len(images))
    groups = [Group(["image", "attention", "overlay"], []) for _ in range(columns)]
    for number, (image, attention) in enumerate(zip(images, maps, strict=True)):
        panels = [
            drawing.enlarge(image, PANEL),
            drawing.heat_panel(attention, PANEL),
            drawing.revealed(image, attention, PANEL),
        ]
        groups[number % columns].rows.append((panels, captions[number]))
    colors = drawing.heat_colors(np.linspace(0, 1, SCALE))
    groups[-1] = groups[-1]._replace(scale=(colors, *EACH_BY_ITSELF))
    return _draw(groups, notes)


class Group(NamedTuple):
    """Columns of panels that belong together."""

    titles: Sequence[str]  # above the columns
    rows: list  # (panels, one a column; the caption below them), from the top
    scale: tuple = ()  # (colours, what its ends mean), below the columns
    ink: tuple = drawing.INK  # of captions and heading
    heading: str = ""  # over all columns, above a rule


def _draw(groups, notes):
    """The groups beside each other, and the notes below."""
    widths = [len(group.titles) * (PANEL + GAP) - GAP for group in groups]
    top = TITLES + (HEADING if any(group.heading for group in groups) else 0)
    row_height = PANEL + CAPTION + GAP
    bottom = top + len(groups[0].rows) * row_height + 10
    width = sum(widths) + GROUP_GAP * (len(groups) - 1) + 2 * MARGIN
    height = bottom + LINE * (1 + len(notes)) + MARGIN
    canvas = Image.new("RGB", (width, height), drawing.PAPER)
    draw, fonts = ImageDraw.Draw(canvas), drawing.fonts()
    left = MARGIN
    for group, wide in zip(groups, widths, strict=True):
        if group.heading:
            text = drawing.shorten(group.heading, fonts[0], wide)
            draw.text((left + wide // 2, HEADING - 6), text, group.ink, fonts[0], "ms")
            draw.rectangle((left, HEADING, left + wide - 1, HEADING + 1), group.ink)
        lefts = [left + column * (PANEL + GAP) for column in range(len(group.titles))]
        for x, title in zip(lefts, group.titles, strict=True):
            drawing.draw_title(draw, fonts, x + PANEL // 2, top - 6, PANEL, title)
        for row, (panels, caption) in enumerate(group.rows):
            y = top + row * row_height
            for x, panel in zip(lefts, panels, strict=True):
                canvas.paste(panel, (x, y))
            text = drawing.shorten(caption, fonts[1], wide)
            draw.text((left, y + PANEL + 4), text, group.ink, fonts[1])
        if group.scale:
            middle = bottom + LINE // 2
            drawing.draw_scale(canvas, left + wide, middle, fonts[1], *group.scale)
        left += wide + GROUP_GAP
    for place, note in enumerate(notes):
        text = drawing.shorten(note, fonts[1], width - 2 * MARGIN)
        at = MARGIN, bottom + LINE + place * LINE + 4
        draw.text(at, text, drawing.FAINT_INK, fonts[1])
    return np.asarray(canvas)
