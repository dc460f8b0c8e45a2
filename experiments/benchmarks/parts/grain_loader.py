"""Measures Grain's loader with Pillow's decoder, in a Python that has both; `input_peers` runs it.

python grain_loader.py FOLDER paper|inception BATCH WARM_UP_IMAGES IMAGES
"""

import importlib.metadata
import json
import math
import sys
import time
from pathlib import Path

import grain
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


def main(folder, crop, batch, warm_up, images):
    """Prints CPU seconds a record, of this process, which runs on its parent's core."""

    def read(path, rng):
        with Image.open(path) as file:
            image = file.convert("RGB")
        box = window(rng, crop, *image.size)
        if crop == "paper":
            image = image.crop(box)
        else:
            image = image.resize((224, 224), Image.Resampling.BILINEAR, box)
        pixels = np.asarray(image)
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels

    files = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
    dataset = grain.MapDataset.source(files).seed(0).shuffle().repeat().random_map(read)
    batches = iter(dataset.to_iter_dataset().batch(int(batch), drop_remainder=True))
    for _ in range(int(warm_up) // int(batch)):
        next(batches)
    count = int(images) // int(batch)
    start = time.process_time()
    for _ in range(count):
        next(batches)
    seconds = (time.process_time() - start) / (count * int(batch))
    print(json.dumps({"seconds_a_record": seconds}))


if __name__ == "__main__":
    if sys.argv[1] == "--version":
        print(json.dumps({"version": importlib.metadata.version("grain")}))
    else:
        main(*sys.argv[1:])
