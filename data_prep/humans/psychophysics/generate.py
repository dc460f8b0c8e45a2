"""What `psychophysics stimuli` does: finds images and maps, checks all, makes the stimuli.

Readers of maps import TensorFlow, so only this subcommand imports this file.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from data_prep.humans.psychophysics import maps, sets
from data_prep.humans.psychophysics.manifest import Row
from data_prep.humans.psychophysics.pictures import read_list
from data_prep.humans.psychophysics.settings import Input, Making
from data_prep.humans.psychophysics.stimuli import Work
from data_prep.maps import geometry


def generate(
    given: Input,
    making: Making,
    seed: int,
    num_workers: int,
    progress: Callable[[Iterable], Iterator] = iter,
) -> list[Row]:
    """Makes a set of stimuli; everything about the input is checked before the first one.

    ValueError: names the flag, the file or the images at fault.
    """
    for name in ("images", "maps_a", "maps_b", "output_dir"):
        if not getattr(given, name):
            raise ValueError(f"--{name} is missing.")
    folder = Path(given.images)
    pictures = read_list(Path(given.image_list or folder / "images.csv"), given.images_per_class)
    specs = [maps.parse(given.maps_a, "maps_a"), maps.parse(given.maps_b, "maps_b")]
    if specs[0].name == specs[1].name:
        raise ValueError(f"--maps_a and --maps_b are both called {specs[0].name!r}.")
    lost = [one.name for one in pictures if not (folder / one.name).is_file()]
    if lost:
        raise ValueError(f"{len(lost)} images are not in {given.images!r}: {lost[:5]}...")
    sizes = {one.name: _size(folder / one.name) for one in pictures}
    found = [_maps(spec, which, pictures, sizes, given) for which, spec in enumerate(specs)]
    names = (specs[0].name, specs[1].name)
    works = [
        Work(one, folder / one.name, (a, b), names, seed, making)
        for one, a, b in zip(pictures, *found, strict=True)
    ]
    return sets.write(works, Path(given.output_dir), num_workers, progress)


def _size(path):
    return geometry.displayed_size(path.read_bytes(), str(path))


def _maps(spec, which, pictures, sizes, given) -> list[np.ndarray]:
    wanted = {one.maps[which]: sizes[one.name] for one in pictures}
    if len(wanted) < len(pictures):
        raise ValueError(f"map_{'ab'[which]}: a map is named for two images.")
    found = maps.read_maps(spec, wanted, Path(given.images), given.click_frame)
    missing = [key for key in wanted if key not in found]
    empty = [key for key, counts in found.items() if not counts.any()]
    for what, names in (("no map", missing), ("a map that is all zero", empty)):
        if names:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise ValueError(
                f"--maps_{'ab'[which]}={spec.name}:{spec.place}: {len(names)} of {len(pictures)} "
                f"images have {what}: {shown}. Take them off the list, or give maps; the columns "
                "map_a and map_b say what an image is called there."
            )
    return [found[one.maps[which]] for one in pictures]
