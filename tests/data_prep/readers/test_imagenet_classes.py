"""ImageNet's classes: the table, the three orders, and labels checked against known images."""

import importlib.util
import os
import re

import numpy as np
import pytest

from data_prep.readers.imagenet import imagenet_classes as classes

ORDERS = ("sorted", "sorted_from_1", "devkit")


def test_the_table():
    assert len(classes.wnids()) == 1000 == len(set(classes.class_names()))
    assert list(classes.wnids()) == sorted(classes.wnids())
    assert classes.class_names()[0] == "tench"
    assert classes.class_names()[134] == "crane (n02012849)"
    assert classes.class_names()[517] == "crane (n03126707)"
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in classes.wnids())


@pytest.mark.parametrize(
    "order, number, wnid",
    [
        ("sorted", 65, "n01751748"),
        ("sorted_from_1", 66, "n01751748"),
        ("devkit", 490, "n01751748"),
        ("devkit", 1, "n02119789"),  # kit fox
        ("sorted", 0, "n01440764"),
        ("sorted_from_1", 1000, "n15075141"),
    ],
)
def test_known_numbers(order, number, wnid):
    label = classes.to_label(number, order)
    assert classes.wnids()[label] == wnid and classes.number_of(label, order) == number


@pytest.mark.parametrize("order", ORDERS)
def test_orders_are_permutations(order):
    numbers = [classes.number_of(label, order) for label in range(1000)]
    first = 0 if order == "sorted" else 1
    assert sorted(numbers) == list(range(first, first + 1000))
    assert [classes.to_label(number, order) for number in numbers] == list(range(1000))
    for wrong in (first - 1, first + 1000):
        with pytest.raises(ValueError, match=f"{wrong} is not in the label order '{order}'"):
            classes.to_label(wrong, order)


def test_unknown_orders_and_labels():
    with pytest.raises(ValueError, match="'caffe' is unknown. Expected one of: sorted, sorted_fro"):
        classes.to_label(1, "caffe")
    with pytest.raises(ValueError, match="must be in 0...999, got 1000"):
        classes.number_of(1000, "sorted")


def test_known_images():
    for stem, wnid in (
        ("n01440764_10026", "n01440764"),
        ("ILSVRC2012_val_00000293", "n01440764"),
        ("ILSVRC2012_val_00000293_n01440764", "n01440764"),
        ("ILSVRC2012_val_00000009_n01440764", "n01440764"),
        ("ILSVRC2012_val_00000009", None),
        ("n99999999_1", None),
        ("cat_1", None),
    ):
        assert classes.known_wnid(stem) == wnid
    classes.check_known("ILSVRC2012_val_00000293", 0)
    classes.check_known("ILSVRC2012_val_00000009", 5)


@pytest.mark.parametrize("stem", ["n01751748_7", "ILSVRC2012_val_00000001"])
@pytest.mark.parametrize("truth", ORDERS)
@pytest.mark.parametrize("read_as", ORDERS)
def test_every_mistaken_order_is_named(stem, truth, read_as):
    number = classes.number_of(65, truth)
    label = classes.to_label(number, read_as)
    if truth == read_as:
        classes.check_known(stem, label, read_as)
    else:
        message = rf"{stem}.*n01751748 \(sea snake.*{number} is its number in the order '{truth}'"
        with pytest.raises(ValueError, match=message):
            classes.check_known(stem, label, read_as)


def test_other_mistakes_are_told_apart():
    with pytest.raises(ValueError, match="489 is its ILSVRC2012_ID less 1"):
        classes.check_known("n01751748_7", 489)
    with pytest.raises(ValueError, match="No known order explains that"):
        classes.check_known("n01751748_7", 3)
    with pytest.raises(ValueError, match="label -1, no class"):
        classes.check_known("n01751748_7", -1)
    with pytest.raises(ValueError, match="1001, no class"):
        classes.check_known("n15075141_7", 1001)


def test_names_agree_with_the_public_sample(real_data):
    names = sorted(path.stem for path in (real_data / "imagenet_sample").glob("*.JPEG"))
    assert len(names) == 200
    for stem in names:
        wnid, name = stem.split("_", 1)
        known = classes.class_names()[classes.wnids().index(wnid)]
        assert known.removesuffix(f" ({wnid})").replace(" ", "_") == name
        classes.check_known(stem, classes.wnids().index(wnid))


def test_it_is_what_tensorflow_datasets_says():
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None:
        pytest.skip("tensorflow_datasets is not installed")

    def lines(name):
        with open(os.path.join(os.path.dirname(spec.origin), name)) as file:
            return file.read().split()

    assert lines("datasets/imagenet2012/labels.txt") == list(classes.wnids())
    devkit = [classes.number_of(label, "devkit") for label in range(1000)]
    by_devkit = [classes.wnids()[label] for label in np.argsort(devkit)]
    assert lines("image_classification/imagenet_resized_labels.txt") == by_devkit
    validation = lines("datasets/imagenet2012/validation_labels.txt")
    assert {i: validation[i - 1] for i in classes.KNOWN_VALIDATION} == classes.KNOWN_VALIDATION
