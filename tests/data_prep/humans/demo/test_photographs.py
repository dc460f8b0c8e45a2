"""The built-in pictures: 24, labelled, read without importing the packages that carry them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from data_prep.humans.demo import photographs
from data_prep.readers.imagenet import imagenet_classes


def test_there_are_24_of_which_23_are_played(pictures):
    assert len(pictures) == 24 == len({picture.name for picture in pictures})
    assert [picture.name for picture in pictures if not picture.in_play] == ["imagenet_07_609.jpg"]


def test_labels_are_imagenets(pictures):
    names = dict(zip(imagenet_classes.wnids(), imagenet_classes.class_names(), strict=True))
    assert all(names[picture.wnid] == picture.label for picture in pictures)
    labels = {picture.name: picture.label for picture in pictures}
    assert labels["chelsea.png"] == "tiger cat" and labels["motorcycle_left.png"] == "moped"
    assert labels["imagenet_17_22.jpg"] == "bald eagle"


def test_a_picture_is_a_square_of_256(pictures):
    pixels = pictures[0].pixels()
    assert pixels.shape == (256, 256, 3) and pixels.dtype == np.uint8


def test_the_square_is_the_middle():
    wide = np.zeros((512, 1024, 3), np.uint8)
    wide[:, 256:768] = 255
    assert photographs.square(Image.fromarray(wide))[:, 4:-4].min() == 255
    assert photographs.square(Image.fromarray(wide[:1, :1])).shape == (256, 256, 3)
    assert photographs.square(Image.new("L", (100, 40))).shape == (256, 256, 3)


@pytest.mark.slow
def test_the_packages_are_not_imported(pictures):
    code = (
        "import sys; from data_prep.humans import demo; demo.pictures()[0].pixels(); "
        "print({'foolbox', 'skimage', 'git', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_missing_package_is_named(monkeypatch):
    def missing(package):
        raise photographs.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(photographs.importlib.metadata, "files", missing)
    with pytest.raises(photographs.DemoMissing, match=r"foolbox.*\[demo\]"):
        photographs.pictures()
