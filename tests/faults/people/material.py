"""What cases are made of: photographs, maps, a finished data set, a finished run."""

import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import small_data
from fake_trees import counts, write_image, write_map
from faults.people import running

from gala_tf import config
from gala_tf.data import dataset_info

BUILD, VERIFY, RELIABILITY = (
    f"data_prep.{name}" for name in ("build_tfrecords", "verify", "reliability")
)
TRAIN, EVALUATE, VISUALIZE, EXPORT, REPORT, FIGURES, SWEEP, TPU_CHECK = (
    f"gala_tf.{name}"
    for name in (
        *("train", "evaluate", "visualize", "export"),
        *("report", "figures", "sweep", "tpu_check"),
    )
)
CLASSES, EACH = ("ant", "bee"), 5
QUICK = ["--num_shards=1", "--num_eval_shards=1", "--clickmap_grid=8", "--clickmap_blur=none"]
PARTS = "--split_proportions=3,1,1"
_KEPT: list[Path] = []


def photographs(folder: Path, maps: bool = True) -> None:
    """`images/` of two classes of five, and `maps/` of them all."""
    for c, name in enumerate(CLASSES):
        for i in range(EACH):
            write_image(folder / "images" / name / f"{i}.jpg", 100 * c + i)
            if maps:
                write_map(folder / "maps" / name / f"{i}.png", counts(100 * c + i) * 40)


def build(folder: Path, *more: str, output: str = "out", maps: bool = True) -> list[str]:
    """The command that builds `photographs`; a flag in `more` replaces one of the same name."""
    words = [f"--input_dir={folder}/images", f"--output_dir={folder}/{output}", PARTS, *QUICK]
    if maps:
        words.append(f"--maps_dir={folder}/maps")
    given = {word.split("=")[0] for word in more}
    words = [word for word in words if word.split("=")[0] not in given]
    return [BUILD, "--source=folder", *words, *more]


def counted(folder: Path, output: str = "out") -> tuple[int, int]:
    """(images, images with maps) of a data set."""
    splits = dataset_info.load_info(str(folder / output)).splits.values()
    return sum(split.examples for split in splits), sum(split.with_clickmap for split in splits)


def all_there(images: int = 10, maps: int = 10, output: str = "out"):
    """A check that a build took everything."""

    def lost(folder):
        found = counted(folder, output)
        return "" if found == (images, maps) else f"{found}, not {(images, maps)} images and maps"

    return lost


@functools.cache
def _data_set() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="people-")) / "data"
    _KEPT.append(directory.parent)
    directory.mkdir()
    small_data.build(directory)
    return directory


def data_set(target: Path) -> Path:
    """A finished data set of coloured squares at `target`."""
    return Path(shutil.copytree(_data_set(), target, dirs_exist_ok=True))


def training(data_dir: Path, model_dir, *more: str) -> list[str]:
    """The command that trains two epochs on it."""
    flags = {**small_data.FLAGS, "epochs": 1.0, "warmup_epochs": 0.0, "test_split": "test"}
    words = config.to_flagfile(config.Config(**flags)).splitlines()
    named = [word for word in words if word[2:].split("=")[0] in flags]
    return [TRAIN, *named, f"--data_dir={data_dir}", f"--model_dir={model_dir}", *more]


def sweep(data_dir: Path, runs, *more: str) -> list[str]:
    """The command that lists what a sweep of one run would start."""
    _, *words = training(data_dir, "")
    words = [word for word in words if not word.startswith("--model_dir=")]
    return [SWEEP, *words, "--rows=gala", "--seeds=0", f"--runs={runs}", "--commands=-", *more]


def drawing(folder: Path, images, *more: str) -> list[str]:
    """The command that draws Fig. 4B of the run in `folder` on a folder of images."""
    return [FIGURES, "--figure=4b", f"--model_dir={folder}/run", f"--images={images}", *more]


@functools.cache
def _run() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="people-"))
    _KEPT.append(folder)
    said = running.called(folder, training(_data_set(), folder / "run"))
    if said.status:
        raise AssertionError(said.text)
    return folder / "run"


def run(target: Path) -> Path:
    """A finished run at `target`, on a data set that lies elsewhere."""
    return Path(shutil.copytree(_run(), target, dirs_exist_ok=True))


def forget() -> None:
    """Removes what was kept."""
    _data_set.cache_clear()
    _run.cache_clear()
    while _KEPT:
        shutil.rmtree(_KEPT.pop(), ignore_errors=True)


def notes(target: Path) -> Path:
    """A folder of somebody's notes."""
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("three years of work\n")
    return target


def gradient(height=24, width=32) -> np.ndarray:
    """A map, uint8."""
    return (np.indices((height, width)).sum(0) * 4).astype(np.uint8)
