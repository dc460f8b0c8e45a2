"""The demonstration: 16 built-in photographs, and two stand-ins for people's maps.

Map a is what the built-in network needs (occlusion importance), map b is local contrast. Neither
is a map of people, and every page and figure says so.
"""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import tqdm
from PIL import Image
from scipy import ndimage

from data_prep.humans.demo import DemoMissing, DemoPicture, pictures
from data_prep.humans.psychophysics import sets
from data_prep.humans.psychophysics.pictures import Picture
from data_prep.humans.psychophysics.settings import Making, Settings
from data_prep.humans.psychophysics.stimuli import Work
from data_prep.humans.studies import writing
from data_prep.readers.imagenet import imagenet_classes

STAND_IN = "Demonstration: 16 photographs; both kinds of maps are made by programs, not by people"
SOURCES = ("network", "contrast")
LAST_ANIMAL = 397  # ImageNet's classes 0...397, sorted by WordNet id, are animals
EACH_SIDE = 8
COUNTS = 1000  # of the largest value of a map
CONTRAST_PX = 8  # spread of the window that contrast is taken in


def prepare(settings: Settings, folder: Path) -> Settings:
    """Makes the stimuli, and settings of a short experiment with them.

    ValueError: the packages of the extra [demo] are missing.
    """
    try:
        found = [one for one in pictures() if one.in_play]
    except DemoMissing as error:
        raise ValueError(f"{error} Or give stimuli of your own by --stimuli=DIR.") from error
    print("making the stimuli of 23 built-in photographs; a minute at the first time", flush=True)
    cache = Path(platformdirs.user_cache_dir("gala_tf")) / "rapid-categorisation-demo"
    chosen = tqdm.tqdm(list(_chosen(found)), unit="map", disable=None)
    works = [_work(picture, *one, settings.study.seed, cache) for picture, one in chosen]
    sets.write(works, folder / "stimuli", 1, _progress, STAND_IN)
    trials = dataclasses.replace(settings.trials, blocks=2)
    database = settings.study.database
    if database == Settings().study.database:  # a demonstration leaves nothing behind
        database = str(folder / "demo.db")
    study = dataclasses.replace(settings.study, database=database)
    return dataclasses.replace(
        settings, study=study, trials=trials, stimuli=str(folder / "stimuli")
    )


def _progress(works):
    return tqdm.tqdm(works, unit="image", disable=None)


def _chosen(found: list[DemoPicture]):
    """(picture, (side, training)): eight of each side, in turn; the rest is for the training."""
    place = {wnid: index for index, wnid in enumerate(imagenet_classes.wnids())}
    left = {"target": EACH_SIDE, "distractor": EACH_SIDE}
    for picture in found:
        side = "target" if place[picture.wnid] <= LAST_ANIMAL else "distractor"
        left[side] -= 1
        yield picture, (side, left[side] < 0)


def _work(picture, side, training, seed, cache):
    pixels = picture.pixels()
    counts = (importance(picture, pixels, cache), contrast(pixels))
    listed = Picture(picture.name, picture.label, side, training, (picture.name, picture.name))
    # What a network needs, and contrast, lie in many places; people's maps are held to more.
    making = Making(blur="none", support="fixed:0.15", min_capture=0)
    return Work(listed, picture.path, counts, SOURCES, seed, making)


def contrast(pixels: np.ndarray) -> np.ndarray:
    """Local contrast of the grey picture: standard deviation in a soft window, as counts."""
    grey = pixels.astype(float).mean(2)
    mean, square = (ndimage.gaussian_filter(one, CONTRAST_PX) for one in (grey, grey**2))
    return _as_counts(np.sqrt(np.maximum(square - mean**2, 0)))


def importance(picture: DemoPicture, pixels: np.ndarray, cache: Path) -> np.ndarray:
    """What the built-in network needs, as counts; kept in the cache, two seconds else."""
    path = cache / f"{picture.name}.png"
    if not path.exists():
        values = _occlusion(picture, pixels)
        cache.mkdir(parents=True, exist_ok=True)
        png = io.BytesIO()
        Image.fromarray(_as_counts(values).astype(np.uint16)).save(png, "PNG")
        writing.write(path, png.getvalue())  # two that start at once share the cache
    with Image.open(path) as kept:
        return np.asarray(kept).astype(np.int64)


def _occlusion(picture, pixels):
    # Late: the network is only for pictures that are not in the cache.
    from data_prep.humans.demo import importance as occluding

    probability = _probability(imagenet_classes.wnids().index(picture.wnid))
    # Its patches leave edges, which a flood fill would follow.
    return ndimage.gaussian_filter(occluding.occlusion(probability, pixels), 12)


def _probability(index: int) -> Callable[[np.ndarray], np.ndarray]:
    from data_prep.humans.demo import lite0, onnx_network  # late, as above

    network = onnx_network.OnnxNetwork(lite0.onnx_file())

    def of_class(batch: np.ndarray) -> np.ndarray:
        small = [
            np.asarray(Image.fromarray(one).resize((network.side, network.side))) for one in batch
        ]
        return network.probabilities(np.stack(small))[:, index]

    return of_class


def _as_counts(values):
    return np.rint(values / max(values.max(), 1e-12) * COUNTS).astype(np.int64)
