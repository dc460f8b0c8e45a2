"""What pictures of maps are put together from: panels, colours, fonts, scales.

A panel is a square of P x P pixels. Whatever is put into one, an image or a map of any grid, is
enlarged or reduced bicubically, pixel centres at halves, so that all panels of a row show the same
place at the same point.

    H W the picture, S side of an image, h w of a map, P side of a panel in pixels
"""

import os

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT_SIZE, SMALL_TEXT_SIZE = 15, 12  # pixels
FLAT = 0.1  # of its largest value: a map that varies by less is marked
PAPER, INK, FAINT_INK = (255, 255, 255), (32, 32, 32), (118, 118, 118)

# Perceptually uniform and growing in lightness, so that the picture reads in grey, too.
COLOR_MAP = "inferno"
# The map's opacity grows with it: weak places stay legible, strong ones glow.
LEAST_OPACITY, MOST_OPACITY = 0.4, 0.55

# Fig. 4's two networks. Of about equal lightness, and apart for every kind of colour vision.
RED, BLUE = (206, 26, 38), (30, 84, 190)
TINT_OPACITY = 0.85  # of the colour where it is strongest; the image shows through
PALENESS = 0.5  # how far the grey image under a tint is moved towards paper
DIFFERENCE_PALENESS = 0.7  # single pixels need a calmer image under them
FAINTEST = 0.12  # opacity of a revealed image where its map is lowest


def fonts():
    """The text's and the small text's font: DejaVu Sans, which matplotlib brings along."""
    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, TEXT_SIZE), ImageFont.truetype(path, SMALL_TEXT_SIZE)


def shorten(text, font, width):
    """`text` cut to `width` pixels, an ellipsis at its end where something was cut."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def draw_title(draw, fonts, center, bottom, width, title, ink=INK):
    """One or two lines centred above `bottom`, the second one small and faint."""
    first, _, second = title.partition("\n")
    if second:
        draw.text((center, bottom), shorten(second, fonts[1], width), FAINT_INK, fonts[1], "ms")
        bottom -= SMALL_TEXT_SIZE + 3
    draw.text((center, bottom), shorten(first, fonts[0], width), ink, fonts[0], "ms")


def enlarge(pixels, side):
    """uint8 [h, w] or [h, w, 3], or float32 [h, w], as a Pillow image of P x P, P = `side`."""
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def overlay(image, attention, side, message=""):
    """A map [h, w] as colours over the grey image: Pillow P x P.

    `message` stands over the image of a constant map, in place of "constant map".
    """

    def paint(heat):
        opacity = (LEAST_OPACITY + (MOST_OPACITY - LEAST_OPACITY) * heat)[..., None]
        return (1 - opacity) * _grey(image, side) + opacity * heat_colors(heat)

    return _map_panel(image, attention, side, paint, message)


def heat_panel(attention, side):
    """A map [h, w] alone, in the colours of `overlay`: Pillow P x P."""
    paper = np.full((1, 1, 3), 255, np.uint8)
    return _map_panel(paper, attention, side, heat_colors)


def tinted(image, attention, side, color):
    """A map [h, w] as a tint over the pale grey image, as in Fig. 4A: Pillow P x P.

    `color` is the RGB of the highest place; the lowest has none of it.
    """
    return _map_panel(
        image, attention, side, lambda heat: _tint(_pale(image, side, PALENESS), heat, color)
    )


def revealed(image, attention, side):
    """The image itself, opaque where a map [h, w] is high and faint where low: Pillow P x P."""

    def paint(heat):
        opacity = FAINTEST + (1 - FAINTEST) * heat[..., None]  # [P, P, 1]
        pixels = np.asarray(enlarge(image, side), np.float32)
        return opacity * pixels + (1 - opacity) * 255

    return _map_panel(image, attention, side, paint)


def _map_panel(image, attention, side, paint, message=""):
    """What `paint` makes of a map, [P, P] from 0 to 1; or the pale image, and why there is none.

    Each map is on its own scale, from its minimum to its maximum.
    """
    if not np.isfinite(attention).all():
        return _with_message(image, side, "not finite")
    if np.ptp(attention) == 0:
        return _with_message(image, side, message or "constant map")
    low, high = float(attention.min()), float(attention.max())
    heat = enlarge(((attention - low) / (high - low)).astype(np.float32), side)
    panel = _pillow(paint(np.clip(heat, 0, 1)))  # bicubic overshoots
    if text := flatness(attention):
        draw, strip = ImageDraw.Draw(panel), SMALL_TEXT_SIZE + 6
        draw.rectangle((0, side - strip, side, side), PAPER)
        draw.text((side // 2, side - strip // 2), text, INK, fonts()[1], "mm")
    return panel


def difference_panel(image, difference, side):
    """A signed map [h, w] as red (above 0) and blue over the pale grey image: Pillow P x P.

    Zero is the neutral image, -1 and 1 are the full colours: the scale is fixed, not the map's own,
    so that two nearly equal networks look nearly equal.
    """
    if not np.isfinite(difference).all():
        return _with_message(image, side, "not finite")
    if not difference.any():
        return _with_message(image, side, "no difference")
    signed = np.asarray(enlarge(difference.astype(np.float32), side))
    red = _tint(_pale(image, side, DIFFERENCE_PALENESS), np.clip(signed, 0, 1), RED)
    return _pillow(_tint(red, np.clip(-signed, 0, 1), BLUE))


def heat_colors(heat):
    """Colours 0..255 of values 0..1, [...] -> [..., 3] float."""
    return 255.0 * matplotlib.colormaps[COLOR_MAP](heat)[..., :3].astype(np.float32)


def tint_colors(signed):
    """Colours of `difference_panel` on paper, values -1...1: [...] -> [..., 3] float."""
    paper = np.full((*signed.shape, 3), 255.0)
    red = _tint(paper, np.clip(signed, 0, 1), RED)
    return _tint(red, np.clip(-signed, 0, 1), BLUE)


def flatness(attention) -> str:
    """What is written on a nearly flat map [h, w]; empty for others.

    On its own scale a map that hardly varies looks as strong as one that picks a place.
    """
    varies = float(np.ptp(attention)) / float(np.abs(attention).max())
    return f"flat: varies by {100 * varies:.1g} %" if varies < FLAT else ""


def _grey(image, side):
    """Luminance 0..255, [P, P, 1]."""
    return np.asarray(enlarge(image, side).convert("L"), np.float32)[..., None]


def _pale(image, side, paleness):
    """The grey image closer to paper, so that colours over it are told apart: [P, P, 3]."""
    grey = (1 - paleness) * _grey(image, side) + paleness * 255
    return np.repeat(grey, 3, axis=-1)


def _tint(under, amount, color):
    """`color` over pixels [..., 3], opaque as `amount` [...] in 0..1 says."""
    opacity = (TINT_OPACITY * amount)[..., None]
    return (1 - opacity) * under + opacity * np.array(color, np.float32)


def _with_message(image, side, message):
    pale = (0.4 * _grey(image, side)[..., 0] + 0.6 * 255).astype(np.uint8)
    panel = Image.fromarray(pale).convert("RGB")
    ImageDraw.Draw(panel).text((side // 2, side // 2), message, INK, fonts()[0], "mm")
    return panel


def _pillow(pixels):
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def draw_scale(canvas, right, middle, font, colors, low, high):
    """A colour scale that ends at `right`, `colors` [width, 3] in 0..255 from left to right.

    `low` and `high` are what its ends mean.
    """
    draw, height = ImageDraw.Draw(canvas), 10
    draw.text((right, middle), high, FAINT_INK, font, "rm")
    left = right - int(draw.textlength(high, font)) - 8 - len(colors)
    canvas.paste(_pillow(np.tile(colors, (height, 1, 1))), (left, middle - height // 2))
    draw.text((left - 8, middle), low, FAINT_INK, font, "rm")
