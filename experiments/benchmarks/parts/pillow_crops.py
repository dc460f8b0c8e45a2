"""The crops of training, by Pillow: what peers' loaders do with a file or with its bytes."""

import math

import numpy as np
from PIL import Image


def window(rng, crop, width, height):
    """(left, top, right, bottom) of a random crop."""
    if crop == "paper":
        left, top = rng.integers(0, width - 223), rng.integers(0, height - 223)
        return left, top, left + 224, top + 224
    for _ in range(10):
        area, aspect = width * height * rng.uniform(0.08, 1), rng.uniform(3 / 4, 4 / 3)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
            return left, top, left + w, top + h
    return 0, 0, width, height


def crop_of(file, crop: str, rng: np.random.Generator) -> np.ndarray:
    """[224, 224, 3], uint8: a random crop of a picture, mirrored half of the time."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    return mirrored(cut(image, crop, rng), rng)


def cut(image: Image.Image, crop: str, rng: np.random.Generator) -> np.ndarray:
    """[224, 224, 3], uint8: a random crop of decoded pixels."""
    box = window(rng, crop, *image.size)
    if crop == "paper":
        return np.asarray(image.crop(box))
    return np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR, box))


def mirrored(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The pixels, mirrored half of the time."""
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels
