"""SALICON's three forms as a source: order and base of points, workers, labels, splits."""

import io
import json

import numpy as np
import pytest
from fake_trees import assert_travels, build, options, read, write_image
from faults.formats import coco as instances
from faults.formats import salicon as written
from scipy.io import savemat

from data_prep.readers.archives import mat_files
from data_prep.sources import salicon
from gala_tf.data.images import BadImageError

SIZE = (24, 32)
WORKERS = [
    (9, 128, [[1, 1], [24, 32]]),  # the first and the last pixel
    (9, 7, [[5, 30], [5, 30], [6, 2]]),
    (9, 128, [[3, 4]]),
    (25, 7, [[2, 3]]),
]


def write_images(root, part="train2014", ids=(9, 25), folder="images"):
    for image_id in ids:
        write_image(root / folder / written.file_name(image_id, part), image_id)


def json_tree(root, part="train2014", workers=WORKERS, **others):
    path = root / "annotations" / f"fixations_{part}.json"
    written.write_json(path, workers, part, **{"size": SIZE} | others)
    write_images(root, part, {image_id for image_id, _, _ in workers})
    return path


def observer(*points):
    return {"location": [[1, 1]], "timestamp": [[16]], "fixations": points}


def mat_tree(root, observers, part="train"):
    name = written.file_name(9, part + "2014").replace(".jpg", ".mat")
    written.write_mat(root / "fixations" / part / name, observers, SIZE)
    write_images(root, part + "2014", (9,), f"images/{part}")
    return root / "fixations" / part / name


def load(root, **others):
    source = salicon.load(options(root, **{"fixation_side": 1} | others))
    return source, {item.image_id: item for item in source.items}


def points(*pixels):
    """A count map of (row, column) from 0."""
    counts = np.zeros(SIZE, int)
    for pixel in pixels:
        counts[pixel] += 1
    return counts


def test_pairs_are_row_and_column_from_1_and_workers_are_kept_apart(tmp_path):
    json_tree(tmp_path)
    source, items = load(tmp_path)
    assert list(items) == [f"images/{written.file_name(n)}" for n in (9, 25)]
    first, second = (source.read(item) for item in items.values())
    np.testing.assert_array_equal(
        first.participant_maps, [points((0, 0), (23, 31), (2, 3)), points((4, 29), (4, 29), (5, 1))]
    )
    np.testing.assert_array_equal(second.participant_maps, [points((1, 2))])
    assert (first.clicks, second.clicks, first.split, first.label) == (6, 1, "train", 0)
    assert first.image == (tmp_path / "images" / written.file_name(9)).read_bytes()
    assert all(counts.dtype == np.uint8 for counts in first.participant_maps)  # 60 workers each


def test_fixations_are_painted_symmetric(tmp_path):
    json_tree(tmp_path, workers=[(9, 1, [[5, 6], [1, 1]])])
    source, items = load(tmp_path, fixation_side=3)
    expected = np.zeros(SIZE, int)
    expected[3:6, 4:7] += 1
    expected[0:2, 0:2] += 1
    for item in items.values():
        np.testing.assert_array_equal(source.read(item).participant_maps, [expected])
    with pytest.raises(ValueError, match="--fixation_side must be at least 1, got 0"):
        load(tmp_path, fixation_side=0)


def test_splits_and_what_is_left_out(tmp_path, caplog):
    json_tree(tmp_path, workers=[*WORKERS, (30, 1, [])])
    json_tree(tmp_path, "val2014", [(40, 1, [[1, 1]])])
    json_tree(tmp_path, "test2014", [(50, 1, [[1, 1]])])
    with caplog.at_level("WARNING", logger="absl"):
        source, items = load(tmp_path)
    assert sorted(item.split for item in items.values()) == ["train", "train", "validation"]
    assert source.class_names == ("unlabelled",)
    assert "classification means nothing" in caplog.text
    assert "1 workers without a fixation" in caplog.text
    assert "1 images are left out: they have no fixations" in caplog.text
    assert "1 images are left out: they belong to the test set" in caplog.text


def test_labels_come_from_coco(tmp_path, caplog):
    json_tree(tmp_path)
    for n, image_id in ((0, 9), (1, 77)):
        box = instances.annotation(1, image_id, 18, [[0, 0, 1, 0, 1, 1]], [0, 0, 1, 1], 0.5)
        large = instances.annotation(2, image_id, 3 + n, [[0, 0, 2, 0, 2, 2]], [0, 0, 2, 2], 2.0)
        instances.write_instances(
            tmp_path / f"labels/instances_{n}.json",
            [instances.image(image_id, f"{image_id}.jpg", *SIZE)],
            [box, large],
            [instances.category(k, f"c{k}") for k in (18, 3, 4)],
        )
    with caplog.at_level("WARNING", logger="absl"):
        source, items = load(tmp_path, annotations=str(tmp_path / "labels/*.json"))
    assert source.class_names == ("c3", "c4", "c18")
    (item,) = items.values()
    assert source.read(item).label == 0
    assert "1 images are left out: COCO's instances have no object" in caplog.text
    with pytest.raises(ValueError, match="nowhere.json' does not exist"):
        load(tmp_path, annotations="nowhere.json")


@pytest.mark.parametrize(
    "fixations, message",
    [
        ([[25, 1]], r"reach row 25 and column 1 of image id 9, which has 24 rows.*\[x, y\]\?"),
        ([[1, 33]], "reach row 1 and column 33"),
        ([[0, 1]], "counted from 1"),
        ([[1, -1]], "counted from 1"),
        ([[1.5, 2]], "whole numbers"),
        ([[float("nan"), 2]], "whole numbers"),
        ([[1, 2, 3]], r"\[row, column\]"),
        ([5], r"\[row, column\]"),
        (None, "got None"),
        ([[10**30, 1]], "whole numbers"),
    ],
)
def test_fixations_that_make_no_sense(tmp_path, fixations, message):
    json_tree(tmp_path, workers=[*WORKERS, (9, 5, fixations)])
    with pytest.raises(
        ValueError, match=f"fixations_train2014.json', annotation id 5: .*{message}"
    ):
        load(tmp_path)


def test_a_file_without_annotations_is_no_data_set(tmp_path):
    path = json_tree(tmp_path)
    path.write_text(path.read_text().replace('"annotations"', '"annotationz"'))
    source = salicon.load(options(tmp_path))
    with pytest.raises(ValueError, match="fixations_train2014.json'.*no image is left"):
        list(source.items)


def test_double_ids_and_files_of_saliency_maps(tmp_path):
    path = json_tree(tmp_path)
    document = json.loads(path.read_text())
    document["annotations"][1]["id"] = 1
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="annotations id 1 occurs twice"):
        load(tmp_path)
    document["annotations"] = [{"id": 1, "image_id": 9, "saliency_map": "iVBOR"}]
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="annotation id 1: fixations must be a list"):
        load(tmp_path)


def test_images_that_are_not_there_or_not_those(tmp_path):
    json_tree(tmp_path)
    source, items = load(tmp_path)
    first, second = items.values()
    (tmp_path / second.image_id).unlink()
    with pytest.raises(BadImageError, match="025.jpg' does not exist, but fixations_train2014"):
        source.read(second)
    write_image(tmp_path / first.image_id, 9, 32, 24)
    with pytest.raises(BadImageError, match="is 32x24 .* says 24x32"):
        source.read(first)
    (tmp_path / first.image_id).unlink()
    with pytest.raises(ValueError, match="no such file is under --input_dir"):
        load(tmp_path)


def test_points_of_mat_files_are_x_and_y_from_1(tmp_path):
    mat_tree(tmp_path, [observer([1, 1], [32, 24], [3.7, 2]), observer(), observer([30, 5])])
    source, items = load(tmp_path)
    (item,) = items.values()
    assert item.image_id == f"images/train/{written.file_name(9)}" and item.split == "train"
    example = source.read(item)
    np.testing.assert_array_equal(
        example.participant_maps, [points((0, 0), (23, 31), (1, 2)), points((4, 29))]
    )
    assert example.clicks == 4


def test_mouse_locations_outside_are_moved_to_the_border_and_said(tmp_path, caplog):
    people = [observer([1, 1]) | {"location": [[-5, 3], [40, 90], [2, 2]]}]
    mat_tree(tmp_path, people, "val")
    source, items = load(tmp_path, salicon_points="mat_location")
    (item,) = items.values()
    with caplog.at_level("WARNING", logger="absl"):
        maps = source.read(item).participant_maps
    np.testing.assert_array_equal(maps, [points((2, 0), (23, 31), (1, 1))])
    assert item.split == "validation" and "2 of 3 points lie outside" in caplog.text


def compressed_bomb(path):
    """A variable of 80 MB of zeros in a file of 80 kB."""
    data = io.BytesIO()
    savemat(data, {"gaze": np.zeros(10**7)}, do_compression=True)
    path.write_bytes(data.getvalue())


def damage(path, kind):
    data = path.read_bytes()
    if kind == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "text":
        path.write_text("not a MAT file")
    elif kind == "flip":
        path.write_bytes(data[:-40] + bytes(b ^ 255 for b in data[-40:-30]) + data[-30:])
    elif kind == "bomb":
        compressed_bomb(path)
    elif kind == "variable":
        savemat(path, {"other": np.zeros(3)})
    elif kind == "numbers":
        savemat(path, {"gaze": np.zeros(3)})
    elif kind == "gone":
        path.unlink()
    else:
        written.write_mat(path, [observer(*kind)], SIZE)


@pytest.mark.parametrize(
    "kind, message",
    [
        ("cut", "version 5: it ends inside a variable"),
        ("text", "cannot be read as a MAT file of version 5: its header"),
        ("flip", "cannot be read as a MAT file of version 5: Error -3"),
        ("bomb", "unpacks to more than"),
        ("variable", "holds no variable gaze"),
        ("numbers", "gaze must be a struct with 'fixations', got fields None"),
        ("gone", "does not exist any more"),
        ([[1, float("nan")]], r"gaze\(1\).fixations has points that are not finite"),
        ([[1, 2, 3]], r"gaze\(1\).fixations must be numbers \[N, 2\], got float64 \[1, 3\]"),
    ],
)
def test_damaged_mat_files_can_be_skipped(tmp_path, kind, message):
    path = mat_tree(tmp_path, [observer([1, 1])])
    source, items = load(tmp_path)
    damage(path, kind)
    (item,) = items.values()
    with pytest.raises(BadImageError, match=rf"000009\.mat'.*({message})"):
        source.read(item)


def test_a_wrong_byte_in_a_mat_file_is_seen_or_changes_nothing(tmp_path):
    path = mat_tree(tmp_path, [observer([1, 1]), observer([4, 5], [6, 7])])
    data, random = path.read_bytes(), np.random.default_rng(0)
    whole = mat_files.read_gaze(str(path), "fixations")
    refused = 0
    for place in random.integers(0, len(data), 60):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            found = mat_files.read_gaze(str(path), "fixations")
        except BadImageError as error:
            refused += 1
            assert str(path) in str(error)
        else:  # in the text of the header, or in a name
            np.testing.assert_equal(found, whole)
    assert refused > 20


def test_maps_are_taken_as_counts(tmp_path):
    values = np.arange(24 * 32).reshape(SIZE) % 256
    written.write_map(tmp_path / "maps" / written.file_name(9).replace("jpg", "png"), values)
    written.write_map(tmp_path / "maps" / "stray_25.png", values)
    write_images(tmp_path)
    source, items = load(tmp_path)
    (item,) = items.values()
    np.testing.assert_array_equal(source.read(item).participant_maps, [values])
    written.write_map(tmp_path / "maps" / written.file_name(9).replace("jpg", "png"), values.T)
    with pytest.raises(BadImageError, match="other proportions"):
        source.read(item)


def test_a_form_is_never_guessed(tmp_path):
    with pytest.raises(ValueError, match="holds no SALICON fixations. Expected annotations/"):
        load(tmp_path)
    json_tree(tmp_path)
    with pytest.raises(ValueError, match="holds no mat fixations. Expected fixations/train"):
        load(tmp_path, salicon_points="mat_fixations")
    mat_tree(tmp_path, [observer([1, 1])])
    with pytest.raises(ValueError, match="in the forms json, mat. Choose one: --salicon_points="):
        load(tmp_path)
    assert len(load(tmp_path, salicon_points="json")[1]) == 2
    assert len(load(tmp_path, salicon_points="mat_fixations")[1]) == 1


def test_a_source_travels_and_lists_the_same_again(tmp_path):
    json_tree(tmp_path)
    source, items = load(tmp_path)
    assert_travels(source, items, load(tmp_path)[1])


def test_through_the_builder(tmp_path):
    json_tree(tmp_path)
    build(tmp_path / "out", source="salicon", input_dir=tmp_path)
    rows = {row["image/id"].decode(): row for row in read(tmp_path / "out")["train"]}
    assert {name: int(row["clickmap/participants"]) for name, row in rows.items()} == {
        f"images/{written.file_name(9)}": 2,
        f"images/{written.file_name(25)}": 1,
    }
