"""Measures Grain's loader with Pillow's decoder, in a Python that has both; `input_peers` runs it.

python grain_loader.py FOLDER paper|inception BATCH WARM_UP_IMAGES IMAGES
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import grain
from answering import answer_of_loader
from pillow_crops import crop_of


def main(folder, crop, batch, warm_up, images):
    """Prints CPU seconds a record, of this process, which runs on its parent's core."""

    def read(path, rng):
        return crop_of(path, crop, rng)

    files = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
    dataset = grain.MapDataset.source(files).seed(0).shuffle().repeat().random_map(read)
    batches = iter(dataset.to_iter_dataset().batch(int(batch), drop_remainder=True))
    answer_of_loader(batches, int(batch), int(warm_up), int(images))


if __name__ == "__main__":
    if sys.argv[1] == "--version":
        print(json.dumps({"version": importlib.metadata.version("grain")}))
    else:
        main(*sys.argv[1:])
