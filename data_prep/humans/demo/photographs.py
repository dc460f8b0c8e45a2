"""Photographs with ImageNet labels that installed packages carry: 24, of which 23 are played.

Twenty are foolbox's, named after their class; four are scikit-image's, whose labels stand here.
They are read where the packages keep them and never copied: foolbox is MIT, but says nothing of
where its photographs are from. Its code is never imported (it would bring three packages along).
"""

import dataclasses
import importlib.metadata
import io
import pathlib
import re

import numpy as np
from PIL import Image

from data_prep.readers.imagenet import imagenet_classes

FRAME = 256
_FOOLBOX = re.compile(r"foolbox/data/imagenet_\d\d_(\d+)\.\w+$")  # number, sorted label
# Moped, not motorcycle: ImageNet has no motorcycle, and the built-in partner ranks moped first.
_SCIKIT_IMAGE = {
    "chelsea.png": "n02123159",  # tiger cat
    "coffee.png": "n07920052",  # espresso
    "rocket.jpg": "n03773504",  # missile
    "motorcycle_left.png": "n03785016",  # moped
}
# The built-in partner sees this jeep at rank 8 even when nothing is hidden: nobody could win.
NOT_PLAYED = frozenset({"imagenet_07_609.jpg"})


class DemoMissing(ValueError):
    """The packages with the built-in pictures are not installed; the message says which."""


@dataclasses.dataclass(frozen=True)
class DemoPicture:
    """One photograph.

    Attributes:
        name: its file's, unique: "imagenet_00_243.jpg".
        path: where the package keeps it.
        wnid: WordNet id of its class.
        label: the class's name for people.
        in_play: False for the one that no player could win.
    """

    name: str
    path: pathlib.Path
    wnid: str
    label: str
    in_play: bool

    def pixels(self) -> np.ndarray:
        """Short side to 256, antialiased, centre crop: uint8 [256, 256, 3]."""
        return square(Image.open(io.BytesIO(self.path.read_bytes())))


def pictures() -> list[DemoPicture]:
    """All 24, sorted by name.

    Raises:
      DemoMissing: a package of the extra [demo] is missing, or keeps other pictures.
    """
    wnids = imagenet_classes.wnids()
    found = [
        (path, wnids[int(match[1])])
        for path in _files("foolbox")
        if (match := _FOOLBOX.search(path.as_posix()))
    ]
    found += [
        (path, _SCIKIT_IMAGE[path.name])
        for path in _files("scikit-image")
        if path.name in _SCIKIT_IMAGE and path.parent.name == "data"
    ]
    if len(found) != 24:
        raise DemoMissing(
            f"Found {len(found)} of 24 built-in pictures. Install the versions that setup.py "
            "names: pip install -e '.[demo]'"
        )
    names = dict(zip(wnids, imagenet_classes.class_names(), strict=True))
    return [
        DemoPicture(path.name, path, wnid, names[wnid], path.name not in NOT_PLAYED)
        for path, wnid in sorted(found, key=lambda one: one[0].name)
    ]


def square(image: Image.Image) -> np.ndarray:
    """The game's frame: short side to 256, antialiased, centre crop; uint8 [256, 256, 3]."""
    image = image.convert("RGB")
    scale = FRAME / min(image.size)
    width, height = (max(round(side * scale), FRAME) for side in image.size)
    left, top = (width - FRAME) // 2, (height - FRAME) // 2
    whole = image.resize((width, height), Image.Resampling.BICUBIC)  # Pillow's is antialiased
    return np.asarray(whole.crop((left, top, left + FRAME, top + FRAME)))


def _files(package: str) -> list[pathlib.Path]:
    """Where the files of an installed package lie; found without importing it."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise DemoMissing(
            f"The built-in pictures need the package {package}: pip install -e '.[demo]'"
        ) from None
    return [pathlib.Path(file.locate()) for file in files]
