"""The frames of clicks: pixels of the image file, or of the game's 256x256 canvas.

A click (x, y) of the canvas, which showed the central square, is put at
(x s + left, y s + top) of the displayed image, where S = min(H, W), s = S / 256 and the square
begins at `geometry.central_square`; bubbles are cut off at the edge of that square, as the canvas
cut them. Bubbles are round(14 s) pixels, at least 1, in both frames.
"""

import json
import math

import numpy as np

from data_prep.maps import geometry
from data_prep.readers.clicks.click_table import GAME_SIDE, say, touches
from data_prep.readers.images import image_files
from gala_tf.data.images import BadImageError

SAMPLE = 100  # images whose sizes are compared with their clicks
MAX_OUTSIDE = 0.1  # share of clicks; more mean the wrong frame, or other images


def check_frame(table, options):
    """ValueError if clicks do not fit their images: a wrong frame looks like any other map."""
    number, outside = table.clicks, table.outside
    large = spread = 0
    if options.click_frame == "native":
        number = 0
        for image in table.sample(SAMPLE):
            try:
                data = image_files.read_image(options.input_dir, image.path, "--input_dir")
                height, width = geometry.displayed_size(data, image.path)
            except BadImageError:
                continue  # the builder decodes every image, and reports or skips this one
            points = [point for points in json.loads(image.clicks) for point in points]
            side = bubble_pixels(options.bubble_side, height, width)
            number += len(points)
            outside += sum(not touches(*point, side, height, width) for point in points)
            if min(height, width) > 1.15 * GAME_SIDE:
                large += 1
                spread = max([spread, *(value for point in points for value in point)])
        say(f"of {number} clicks on a sample of images {outside} lie outside their image")
    if outside > MAX_OUTSIDE * number:
        raise ValueError(
            f"{outside} of {number} clicks lie outside their image, with --click_frame="
            f"{options.click_frame}. Are they pixels of another frame (native: of the file as "
            "displayed; 256: of its central square at 256x256), or the images resized since?"
        )
    if large >= 10 and spread <= GAME_SIDE:
        raise ValueError(
            f"No click on {large} images larger than {GAME_SIDE} pixels lies beyond pixel "
            f"{spread:g}: these are pixels of the game's {GAME_SIDE}x{GAME_SIDE} frame. Pass "
            "--click_frame=256."
        )


def bubble_pixels(bubble_side, height, width):
    """The side of a bubble on an image of this size, pixels."""
    return max(1, math.floor(bubble_side * min(height, width) / GAME_SIDE + 0.5))


def to_displayed(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Points [M, 2] of (x, y) in the game's 256x256 frame, in pixels of the displayed image."""
    top, left, short = geometry.central_square(height, width)
    return points * (short / GAME_SIDE) + np.asarray([left, top])


def cut_to_square(counts):
    """Zero outside the central square."""
    top, left, side = geometry.central_square(*counts.shape)
    square = np.zeros_like(counts)
    inside = np.s_[top : top + side, left : left + side]
    square[inside] = counts[inside]
    return square
