"""The flags of `data_prep.reliability`."""

import functools
from dataclasses import dataclass

from data_prep.raters.estimators import ESTIMATORS
from gala_tf import command

_data = functools.partial(command.flag, group="data")
_maps = functools.partial(command.flag, group="maps")
_draws = functools.partial(command.flag, group="draws")
_run = functools.partial(command.flag, group="run")


@dataclass(frozen=True)
class ReliabilityOptions:
    """What is compared, how, and how often."""

    data_dir: str = _data("", "The data set; an argument without a name, too.", path=True)
    splits: tuple[str, ...] = _data((), "Splits to read. Default: all.")
    max_images: int = _data(10_000, "At most so many, drawn by --seed (paper).")
    other: str = _data(
        "", "A second data set: compare the two's maps of the same images instead.", path=True
    )
    match: str = _data(
        "id",
        "With --other: the same image has the same image id, or the same id without directories "
        "and extension.",
        ("id", "stem"),
    )

    estimators: tuple[str, ...] = _maps(tuple(ESTIMATORS), f"Which, of {', '.join(ESTIMATORS)}")
    blur: str = _maps(
        "",
        "Blur of a participant's map, pixels of the stored image: box:K, gaussian:K,SIGMA, disc:K "
        "or none. The paper: box:49 at 256x256. Default: the data set's own.",
    )
    grid: int = _maps(
        0,
        "Compare sums over GRID x GRID cells of the central crop, as evaluation does. 0: every "
        "pixel of the stored frame.",
    )
    crop_fraction: float = _maps(0.875, "With --grid: side of that crop / short side of the image.")

    num_splits: int = _draws(10, "Random halves of each image (split_half).")
    bootstrap: int = _draws(2000, "Resamples of the images for an interval.")
    permutations: int = _draws(999, "Exchanges of maps among images for p.")
    seed: int = _draws(0, "Decides every draw.")

    num_workers: int = _run(1, "Processes; the numbers do not depend on it.")
    store: str = _run("", "Estimator that becomes the human ceiling in dataset_info.json.")
    output_dir: str = _run("", "Where results go. Default: DIR/reliability.", path=True)
