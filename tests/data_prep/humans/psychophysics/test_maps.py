"""Maps out of clicks, SALICON, shards and files: the same people give the same square maps."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.humans.psychophysics import maps

ROOT = Path(__file__).resolve().parents[4]
SIZE = (256, 320)  # the square begins at column 32
POINT = (100, 150)  # row, column


@pytest.fixture
def places(tmp_path):
    """One image, looked at and clicked on at one place, in all forms."""
    images = tmp_path / "images" / "bird"
    images.mkdir(parents=True)
    salicon = tmp_path / "salicon"
    for folder in (salicon / "images" / "train2014", salicon / "annotations"):
        folder.mkdir(parents=True)
    name = "COCO_train2014_000000000009.jpg"
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8))
    for path in (images / name, salicon / "images" / "train2014" / name):
        picture.save(path)
    row, column = POINT
    listed = {"id": 9, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
    looked = {"id": 1, "image_id": 9, "worker_id": 3, "fixations": [[row + 1, column + 1]]}
    text = json.dumps({"images": [listed], "annotations": [looked]})
    (salicon / "annotations" / "fixations_train2014.json").write_text(text)
    with open(tmp_path / "clicks.csv", "w", newline="") as file:
        clicks = str([(column + 0.5, row + 0.5)] * 2)
        columns = ["image_path", "clicks", "user_id"]
        csv.writer(file).writerows([columns, [f"bird/{name}", clicks, "u"]])
    counts = np.zeros(SIZE, int)
    counts[row, column] = 4
    (tmp_path / "files").mkdir()
    np.save(tmp_path / "files" / name.replace(".jpg", ".npy"), counts)
    return tmp_path, f"bird/{name}"


def read(place, key, folder, size=SIZE):
    spec = maps.parse(f"some:{place}", "maps_a")
    return maps.read_maps(spec, {key: size}, folder / "images", "native")[key]


def middle(counts):
    """The mean place of what is counted, in whole pixels."""
    rows, columns = np.nonzero(counts)
    return round(rows.mean()), round(columns.mean())


def test_files_of_maps(places):
    folder, key = places
    found = read(folder / "files", key, folder)
    assert found.shape == (256, 256) and middle(found) == (100, 150 - 32) and found.sum() == 4
    with pytest.raises(ValueError, match="other proportions"):
        read(folder / "files", key, folder, (256, 256))


def test_two_maps_of_one_image_and_one_of_two_are_refused(places):
    folder, key = places
    stem = Path(key).stem
    spec = maps.parse(f"some:{folder / 'files'}", "maps_a")
    wanted = {f"a/{stem}.jpg": SIZE, f"b/{stem}.jpg": SIZE}
    with pytest.raises(ValueError, match="fits the images"):
        maps.read_maps(spec, wanted, folder, "native")
    (folder / "files" / "again").mkdir()
    np.save(folder / "files" / "again" / f"{stem}.npy", np.ones(SIZE, int))
    with pytest.raises(ValueError, match="two maps fit the image"):
        read(folder / "files", key, folder)


@pytest.mark.slow
def test_clicks_salicon_and_shards(places):
    folder, key = places
    for place in (folder / "clicks.csv", folder / "salicon"):
        found = read(place, key, folder)
        assert middle(found) == (100, 118) and found.max() in (1, 2), place
    command = [sys.executable, "-m", "data_prep.build_tfrecords", "--source=clickme_clicks"]
    command += [f"--input_dir={folder / 'images'}", f"--clicks_file={folder / 'clicks.csv'}"]
    for storage in ("square", "original"):
        target = folder / f"shards_{storage}"
        more = [f"--output_dir={target}", f"--image_storage={storage}", "--split_proportions=1,0,0"]
        subprocess.run([*command, *more], check=True, cwd=ROOT, capture_output=True)
        found = read(target, key, folder)
        clicked = read(folder / "clicks.csv", key, folder)
        assert (found == clicked).all(), storage
