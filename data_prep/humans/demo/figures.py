"""The built-in quickstart pictures as a folder, each with its true figure as a mask.

    OUTPUT/pictures/<split>/<class>/<picture>.jpg    64x64, 6 classes; what `--images` takes
    OUTPUT/masks/<split>/<class>/<picture>.png       255 on the figure; what `--catch_masks` takes

So the whole way from a game to a network that plays it can be tried without any data set.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.sources import quickstart


def write(output: Path, counts: Iterable[int], seed: int = 0) -> int:
    """Writes so many pictures of train, validation and test; returns how many in all.

    Raises:
      ValueError: `output` exists, or scikit-image, whose photographs they are cut from, is missing.
    """
    if output.exists():
        raise ValueError(f"--output={str(output)!r} exists; give a new folder.")
    asked = [
        (split, number)
        for split, count in zip(quickstart.SPLITS, counts, strict=True)
        for number in range(count)
    ]
    for split, number in asked:
        one = quickstart.example(seed, split, number)
        figure = quickstart.figure(seed, split, number)
        inside = Path(split) / quickstart.CLASS_NAMES[one.label] / one.image_id
        picture = (output / "pictures" / inside).with_suffix(".jpg")
        mask = (output / "masks" / inside).with_suffix(".png")
        for path in (picture, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(one.image)
        Image.fromarray(figure.astype(np.uint8) * 255).save(mask)
    return len(asked)
