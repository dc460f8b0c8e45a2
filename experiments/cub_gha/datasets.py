"""Builds the data sets of the comparison on human gaze from the folder that README.md describes.

    python experiments/cub_gha/datasets.py --input_dir=cub_gha_families --data=data/cub_gha

Into DATA/split<n>/<maps>, for five splits of the images. The test and validation images and their
maps, people's gaze, are the same in all data sets of a split; what differs is the training split:

    gaze        every image with its gaze, all participants
    shuffled    every image with the gaze of another training image, none with its own
    parts       the places of body parts in place of gaze
    center      the same map for all: where people looked in the training images
    images-P    P % of the training images, each smaller set within the larger ones
    maps-P      all training images, P % of them with gaze, the same images as of images-P

With --list_test_images it builds `gaze` alone, and writes which images each split tests, by the
number that ends their names in CUB-200-2011: rows of results are in the order of their names.
"""

import contextlib
import csv
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags

from gala_tf.data import dataset_info, eval_pipeline

SPLITS = 5
PERCENT = (10, 16, 25, 50)
CENTER_POINTS = 1000  # of the pooled gaze of a training split, drawn for its centre prior
KINDS = (
    "gaze", "shuffled", "parts", "center",
    *(f"images-{p}" for p in PERCENT if p != 16), *(f"maps-{p}" for p in (16, 50)),
)  # fmt: skip
SPLIT_NAMES = ("train", "validation", "test")


def ensure(input_dir: str, data: str, split: int, kind: str) -> str:
    """The directory of a data set, which is built where it is missing.

    Of several processes that miss it, one builds it and the others wait.
    """
    directory = os.path.join(data, f"split{split}", kind)
    if not _is_built(directory):
        with _alone(directory):
            if not _is_built(directory):
                _make(directory, input_dir, data, split, kind)
    return directory


def _is_built(directory):
    return os.path.exists(os.path.join(directory, dataset_info.INFO_FILE))


@contextlib.contextmanager
def _alone(directory):
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with open(f"{directory}.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, however the process ends
        yield


def _make(directory, input_dir, data, split, kind):
    gaze = os.path.join(input_dir, "clicks.csv")
    if kind == "gaze":
        _build(directory, os.path.join(input_dir, "images"), gaze, split, ())
        return
    members = _members(ensure(input_dir, data, split, "gaze"))
    rows = _rows(gaze)
    with tempfile.TemporaryDirectory() as folder:
        clicks = _training_clicks(kind, members["train"], rows, input_dir, split)
        kept = members["train"]
        if kind.startswith("images-"):
            kept = [name for name in members["train"] if name in clicks]
        evaluated = members["validation"] + members["test"]
        clicks.update({name: rows[name] for name in evaluated})
        _link(folder, input_dir, {**members, "train": kept})
        path = os.path.join(folder, "clicks.csv")
        _write(path, clicks)
        _build(directory, os.path.join(folder, "images"), path, split, ("--include_unclicked",))


def _build(directory, images, clicks, split, more):
    command = [
        sys.executable, "-m", "data_prep.build_tfrecords", "--source=clickme_clicks",
        f"--input_dir={images}", f"--clicks_file={clicks}", "--split_proportions=7,1,2",
        f"--seed={split}", "--clickmap_blur=box:23", "--num_shards=4", "--num_eval_shards=1",
        f"--output_dir={directory}", *more,
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _members(directory):
    """{split: names of its images, sorted} of a built data set."""
    info = dataset_info.load_info(directory)
    return {
        split: sorted(os.path.basename(i) for i in eval_pipeline.image_ids(directory, info, split))
        for split in SPLIT_NAMES
    }


def _rows(path):
    """{name of an image: [(clicks, user)]} of a file of clicks."""
    found = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = os.path.basename(row["image_path"])
            found.setdefault(name, []).append((row["clicks"], row["user_id"]))
    return found


def _training_clicks(kind, train, rows, input_dir, split):
    """{name: [(clicks, user)]} of the training images that have a map."""
    rng = np.random.default_rng([split, 17])
    order = [train[i] for i in rng.permutation(len(train))]
    if kind == "shuffled":  # along one circle, so that none keeps its own
        return {name: rows[other] for name, other in zip(order, order[1:] + order[:1], strict=True)}
    if kind == "parts":
        parts = _rows(os.path.join(input_dir, "clicks_parts.csv"))
        return {name: parts[name] for name in train}
    if kind == "center":
        pooled = [point for name in train for clicks, _ in rows[name] for point in _points(clicks)]
        chosen = rng.choice(len(pooled), CENTER_POINTS, replace=False)
        text = str([pooled[i] for i in chosen])
        return {name: [(text, "center")] for name in train}
    percent = int(kind.rpartition("-")[2])
    return {name: rows[name] for name in order[: round(len(order) * percent / 100)]}


def _points(text):
    numbers = [float(n) for n in text.translate(str.maketrans("[](),", "     ")).split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _link(folder, input_dir, members):
    """<folder>/images/<split>/<class>/<image>, links to the images."""
    for path in Path(input_dir, "images").resolve().glob("*/*.jpg"):
        for split, names in members.items():
            if path.name in names:
                target = Path(folder, "images", split, path.parent.name, path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)


def _write(path, clicks):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "clicks", "user_id"])
        for name, rows in clicks.items():
            writer.writerows([name, *row] for row in rows)


def list_test_images(input_dir: str, data: str, path: str) -> None:
    """Writes {split: numbers of its test images, in the order of their names}."""
    found = {}
    for split in range(SPLITS):
        names = _members(ensure(input_dir, data, split, "gaze"))["test"]
        found[split] = [int(Path(name).stem.rpartition("_")[2]) for name in names]
    lines = ",\n".join(f'"{s}":{json.dumps(n, separators=(",", ":"))}' for s, n in found.items())
    Path(path).write_text(f"{{{lines}}}\n", encoding="utf-8")


def main(_):
    if flags.FLAGS.list_test_images:
        list_test_images(flags.FLAGS.input_dir, flags.FLAGS.data, flags.FLAGS.list_test_images)
        return
    for split in range(SPLITS):
        for kind in KINDS:
            print(ensure(flags.FLAGS.input_dir, flags.FLAGS.data, split, kind))


if __name__ == "__main__":
    flags.DEFINE_string("input_dir", None, "Folder with images/, clicks.csv and clicks_parts.csv.")
    flags.DEFINE_string("data", "data/cub_gha", "Where the data sets go.")
    flags.DEFINE_string("list_test_images", "", "Write which images are tested to this file.")
    flags.mark_flag_as_required("input_dir")
    app.run(main)
