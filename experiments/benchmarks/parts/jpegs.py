"""Photographs for benchmarks, as JPEG files: a folder's, or scikit-image's at ImageNet's size."""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from data_prep.sources import quickstart


def load(folder: str) -> list[bytes]:
    """JPEG files of a folder, or crops of scikit-image's photographs; ValueError: it holds none."""
    if folder:
        found = [p for p in sorted(Path(folder).iterdir()) if p.suffix.lower() in (".jpg", ".jpeg")]
        if not found:
            raise ValueError(f"--images={folder} holds no .jpg or .jpeg; expected photographs.")
        return [path.read_bytes() for path in found]
    files, rng = [], np.random.default_rng(0)
    names = [file for file, _ in quickstart.MATERIALS.values()] + list(quickstart.SCENES)
    for name in names * 4:
        image = Image.fromarray(quickstart.load_photograph(name))
        scale = max(500 / image.width, 375 / image.height) * rng.uniform(1, 1.3)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        buffer = io.BytesIO()
        image.crop((0, 0, 500, 375)).save(buffer, "JPEG", quality=95)
        files.append(buffer.getvalue())
    return files
