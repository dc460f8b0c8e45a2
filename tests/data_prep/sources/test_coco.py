"""COCO's instances as a source: labels, maps, splits, and annotations that do not fit."""

import json

import numpy as np
import pytest
from fake_trees import assert_travels, build, options, read, write_image
from faults.formats import coco as written

from data_prep.sources import coco
from gala_tf.data.images import BadImageError

CATEGORIES = [written.category(18, "dog"), written.category(1, "person")]
SQUARE = [[2.0, 3.0, 6.0, 3.0, 6.0, 8.0, 2.0, 8.0]]  # x 2...6, y 3...8: 20 pixels


def crowd(height=24, width=32):
    return written.rle(np.ones((height, width), bool))


def tree(root, part="train2017", folder="train2017", first=1, **others):
    """Three images: one of two people and a dog, one of a dog, one of a crowd alone."""
    size = {"height": 24, "width": 32} | others
    names = [f"{first + n:012d}.jpg" for n in range(3)]
    for n, name in enumerate(names):
        write_image(root / folder / name, first + n)
    mask = np.zeros((24, 32), bool)
    mask[5:10, 4:12] = True
    annotations = [
        written.annotation(900 + first, first, 18, SQUARE, [2, 3, 4, 5], 20.0),
        written.annotation(10 + first, first, 1, [[0, 0, 4, 0, 4, 8, 0, 8]], [0, 0, 4, 8], 32.0),
        written.annotation(50 + first, first, 1, written.rle(mask, True), [4, 5, 8, 5], 40.0),
        written.annotation(70 + first, first, 18, crowd(), [0, 0, 32, 24], 768.0, iscrowd=1),
        written.annotation(20 + first, first + 1, 18, SQUARE, [2, 3, 4.4, 5], 20.0),
        written.annotation(30 + first, first + 2, 1, crowd(), [0, 0, 32, 24], 768.0, iscrowd=1),
    ]
    images = [written.image(first + n, name, **size) for n, name in enumerate(names)]
    path = root / "annotations" / f"instances_{part}.json"
    written.write_instances(path, images, annotations, CATEGORIES)
    return path


def change(path, edit):
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def load(root, **others):
    source = coco.load(options(root, **others))
    return source, {item.image_id: item for item in source.items}


def test_the_largest_object_labels_and_its_category_is_the_map(tmp_path, caplog):
    tree(tmp_path)
    with caplog.at_level("WARNING", logger="absl"):
        source, items = load(tmp_path)
    assert source.class_names == ("person", "dog")  # by category id
    assert list(items) == ["train2017/000000000001.jpg", "train2017/000000000002.jpg"]
    assert "2 crowds" in caplog.text and "1 images without an object are left out" in caplog.text
    assert "instances_train2017.json train" in source.split_rule

    people, dog = (source.read(item) for item in items.values())
    assert (people.label, people.split, dog.label) == (0, "train", 1)
    expected = np.zeros((24, 32), int)
    expected[0:8, 0:4] += 1
    expected[5:10, 4:12] += 1
    np.testing.assert_array_equal(people.participant_maps, [expected])
    expected = np.zeros((24, 32), int)
    expected[3:8, 2:6] = 1
    np.testing.assert_array_equal(dog.participant_maps, [expected])
    assert people.image == (tmp_path / "train2017/000000000001.jpg").read_bytes()


def test_boxes_instead_of_masks(tmp_path):
    path = tree(tmp_path)
    change(path, lambda d: [a.pop("segmentation") for a in d["annotations"]])
    source, items = load(tmp_path, coco_maps="boxes")
    dog = source.read(items["train2017/000000000002.jpg"])
    expected = np.zeros((24, 32), int)
    expected[3:8, 2:6] = 1  # x 2 ... 6.4 holds the centres 2.5 ... 5.5
    np.testing.assert_array_equal(dog.participant_maps, [expected])
    with pytest.raises(ValueError, match="annotation id 901 has no segmentation. Pass --coco_maps"):
        load(tmp_path)


def test_splits_are_the_files_or_dealt(tmp_path):
    tree(tmp_path / "a")
    tree(tmp_path / "a", "val2017", "images/val2017", first=101)
    source, items = load(tmp_path / "a")
    assert {i.image_id.split("/")[-2]: i.split for i in items.values()} == {
        "train2017": "train",
        "val2017": "validation",
    }
    assert source.read(items["images/val2017/000000000101.jpg"]).split == "validation"
    with pytest.raises(ValueError, match="say no split"):
        tree(tmp_path / "a", "mine", "images", first=301)
        load(tmp_path / "a")

    tree(tmp_path / "b", "mine", "images")
    source, items = load(tmp_path / "b", split_proportions=(0, 0, 1))
    assert {item.split for item in items.values()} == {"test"} and len(items) == 2
    assert "in proportion 0, 0, 1" in source.split_rule
    assert source.read(items["images/000000000002.jpg"]).label == 1


def test_a_source_travels(tmp_path):
    tree(tmp_path)
    source, items = load(tmp_path)
    assert_travels(source, items, load(tmp_path)[1])


@pytest.mark.parametrize(
    "change_to, message",
    [
        ({"segmentation": [[1, 2, 3]]}, "id 21: a polygon must be an even number"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "id 21: .* not finite"),
        (
            {"segmentation": {"size": [9**9, 9**9], "counts": [9**18]}},
            "id 21: run lengths have siz",
        ),
        ({"segmentation": {"size": [24, 32], "counts": [1]}}, "id 21: run lengths add up to 1,"),
        ({"segmentation": {"size": [24, 32], "counts": [769, -1]}}, "id 21: .*whole numbers >= 0"),
        ({"segmentation": "text"}, "id 21: segmentation must be"),
    ],
)
def test_a_damaged_object_can_be_skipped(tmp_path, change_to, message):
    path = tree(tmp_path)
    change(path, lambda d: d["annotations"][4].update(change_to))
    source, items = load(tmp_path)
    with pytest.raises(BadImageError, match=f"^instances_train2017.json, annotation {message}"):
        source.read(items["train2017/000000000002.jpg"])
    source.read(items["train2017/000000000001.jpg"])


@pytest.mark.parametrize(
    "change_to, message",
    [
        ({"bbox": [1, 2, 3]}, "id 21: bbox must be"),
        ({"bbox": [1, 2, 3, float("inf")]}, "id 21: bbox must be"),
        ({"area": "large"}, "id 21: area must be a number"),
        ({"area": -1}, "id 21: area must be a number"),
        ({"category_id": None}, "id 21: category_id must be a whole number, got None"),
        ({"category_id": 7}, "id 21: category_id 7 is not among"),
        ({"image_id": 7}, "id 21: image_id 7 is not among"),
        ({"id": 11}, "id 11 occurs twice"),
    ],
)
def test_a_contradictory_file_is_refused(tmp_path, change_to, message):
    path = tree(tmp_path)
    change(path, lambda d: d["annotations"][4].update(change_to))
    with pytest.raises(ValueError, match=f"instances_train2017.json'.*{message}"):
        load(tmp_path)


def test_boxes_outside_their_image(tmp_path):
    path = tree(tmp_path)
    change(path, lambda d: d["annotations"][4].update(bbox=[28, 20, 90, 90]))
    source, items = load(tmp_path, coco_maps="boxes")
    (counts,) = source.read(items["train2017/000000000002.jpg"]).participant_maps
    assert counts.sum() == counts[20:, 28:].sum() == 16
    change(path, lambda d: d["annotations"][4].update(bbox=[40, 20, 9, 9]))
    source, items = load(tmp_path, coco_maps="boxes")
    with pytest.raises(BadImageError, match="annotation id 21: box .* wholly outside"):
        source.read(items["train2017/000000000002.jpg"])


def test_images_that_are_not_there_or_not_those(tmp_path):
    tree(tmp_path)
    source, items = load(tmp_path)
    (tmp_path / "train2017/000000000002.jpg").unlink()
    with pytest.raises(BadImageError, match="002.jpg' does not exist, but instances_train2017"):
        source.read(items["train2017/000000000002.jpg"])
    write_image(tmp_path / "train2017/000000000001.jpg", 1, 24, 32, orientation=6)
    with pytest.raises(BadImageError, match="is 32x24 .*, but instances_.* says 24x32"):
        source.read(items["train2017/000000000001.jpg"])
    (tmp_path / "train2017/000000000001.jpg").unlink()
    with pytest.raises(
        ValueError, match="lists '000000000001.jpg', but no such file .*'train2017'"
    ):
        load(tmp_path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="instances_.*json' does not exist. Expected COCO's"):
        load(tmp_path)
    path = tree(tmp_path)
    change(path, lambda d: d.update(categories=[], annotations=[]))
    with pytest.raises(ValueError, match="list no categories"):
        load(tmp_path)
    change(path, lambda d: d.update(categories=CATEGORIES, images=[]))
    with pytest.raises(ValueError, match="lists no images"):
        load(tmp_path)


def test_through_the_builder(tmp_path):
    tree(tmp_path)
    build(tmp_path / "out", source="coco", input_dir=tmp_path)
    rows = {row["image/id"].decode(): row for row in read(tmp_path / "out")["train"]}
    assert rows["train2017/000000000002.jpg"]["image/class/label"] == 1
    np.testing.assert_allclose(
        rows["train2017/000000000002.jpg"]["clickmap/box"], [3 / 24, 2 / 32, 8 / 24, 6 / 32]
    )
