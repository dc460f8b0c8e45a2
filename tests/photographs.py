"""Pictures made of numbers that behave like photographs when resized and compressed."""

import io

import numpy as np
from PIL import Image

Resampling = Image.Resampling


def photograph(seed, height=150, width=200):
    """Pillow RGB image: noise at several scales, as 1 / frequency, like nature's; never twice."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for cells in (2, 4, 8, 16, 32):
        noise = rng.normal(size=(cells, cells)).astype(np.float32) / cells
        total += np.asarray(Image.fromarray(noise).resize((width, height), Resampling.BICUBIC))
    grey = (total - total.min()) / np.ptp(total) * 255
    colours = np.stack([grey, np.roll(grey, 3, 0), 255 - grey / 2], -1)
    return Image.fromarray(colours.astype(np.uint8))


def jpeg(image, quality=90):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def central_square(image, side=256, resampling=Resampling.BILINEAR):
    """Short side to `side`, then the centre: as most prepare ImageNet."""
    scale = side / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), resampling)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def squashed(image, side=256):
    return image.resize((side, side), Resampling.BILINEAR)
