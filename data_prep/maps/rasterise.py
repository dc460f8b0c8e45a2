"""Bubbles and boxes as count maps: how many of them cover each pixel.

Coordinates are continuous and in the order people write them, [x, y]; pixel i covers [i, i + 1).
Maps are arrays, so [H, W]: rows first. Whatever lies outside the image is cut off.
"""

import numpy as np

# Below it boxes are painted one by one: 74 bubbles at 375x500 take 0.2 ms, running sums 2.4 ms.
FEW_BOXES = 500


def rasterise_boxes(boxes, height: int, width: int) -> np.ndarray:
    """Counts how many boxes cover each pixel.

    `boxes`: integers [M, 4], each (xmin, ymin, xmax, ymax) in pixels, the maxima exclusive.

    Returns integers [H, W], of as few bytes as the number of boxes allows. ValueError: another
    shape, not integers, or a maximum below its minimum.
    """
    boxes = np.asarray(boxes)
    dtype = np.min_scalar_type(len(boxes))  # unsigned
    if boxes.size == 0:
        return np.zeros((height, width), dtype)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "iu":
        raise ValueError(
            "boxes must be integers [M, 4] of (xmin, ymin, xmax, ymax), got shape "
            f"{boxes.shape} and dtype {boxes.dtype}."
        )
    inverted = np.flatnonzero((boxes[:, :2] > boxes[:, 2:]).any(1))
    if inverted.size:
        raise ValueError(
            f"box {inverted[0]} is {boxes[inverted[0]].tolist()}: expected xmin <= xmax and "
            "ymin <= ymax. Are the columns (xmin, ymin, xmax, ymax)?"
        )
    x0, x1 = np.clip(boxes[:, [0, 2]], 0, width).T  # [M] each
    y0, y1 = np.clip(boxes[:, [1, 3]], 0, height).T
    if len(boxes) < FEW_BOXES:
        counts = np.zeros((height, width), dtype)
        for left, right, top, bottom in zip(*np.stack([x0, x1, y0, y1]).tolist(), strict=True):
            counts[top:bottom, left:right] += 1
        return counts
    # Each box changes the count only at its four corners; running sums fill the inside.
    corners = np.zeros((height + 1, width + 1), np.int64)
    np.add.at(corners, (y0, x0), 1)
    np.add.at(corners, (y0, x1), -1)
    np.add.at(corners, (y1, x0), -1)
    np.add.at(corners, (y1, x1), 1)
    return corners.cumsum(0).cumsum(1)[:-1, :-1].astype(dtype)


def rasterise_bubbles(bubbles, side: int, height: int, width: int) -> np.ndarray:
    """Counts how many square bubbles cover each pixel; of ClickMe's, 14 pixels of 256 (section 2).

    Args:
      bubbles: numbers [M, 2], centres (x, y) in pixels.
      side: of a bubble, in pixels; side 1 marks the pixel that holds the point.

    Returns integers [H, W]; a bubble covers pixels floor(x - side/2 + 1/2) and the side - 1 that
    follow. ValueError: another shape, coordinates that are not finite, or side < 1.
    """
    bubbles = np.asarray(bubbles, np.float64)
    if side < 1:
        raise ValueError(f"The side of a bubble must be at least 1 pixel, got {side}.")
    if bubbles.size == 0:
        return np.zeros((height, width), np.uint8)
    if bubbles.ndim != 2 or bubbles.shape[1] != 2:
        raise ValueError(
            f"bubbles must be [M, 2], one (x, y) a row, got shape {bubbles.shape}. Lists of all x "
            "and all y must be stacked as columns first."
        )
    if not np.isfinite(bubbles).all():
        row = int(np.flatnonzero(~np.isfinite(bubbles).all(1))[0])
        raise ValueError(
            f"bubble {row} is {bubbles[row].tolist()}: coordinates must be finite. Drop it first."
        )
    # Far outside is far outside: clipping keeps the conversion to integers from overflowing.
    limit = side + max(height, width) + 1
    first = np.floor(np.clip(bubbles, -limit, limit) - side / 2 + 0.5).astype(np.int64)  # [M, 2]
    return rasterise_boxes(np.concatenate([first, first + side], 1), height, width)
