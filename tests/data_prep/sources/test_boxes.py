"""Images and a CSV of boxes as a source."""

import pickle

import numpy as np
import pytest
from fake_trees import build, options, read, write_image
from faults.formats.boxes import write_boxes

from data_prep.sources import boxes
from data_prep.sources.splits import assign_splits
from gala_tf.data.images import BadImageError

ROWS = [
    ("cat/a.jpg", 1, 2, 4, 5, "cat"),
    ("dog/b.jpg", 0.6, 0, 31.4, 24, "dog"),
    ("cat/a.jpg", 2, 2, 30, 6, "cat"),
    ("dog/c.jpg", "", "", "", "", "dog"),
]


def tree(root, rows=ROWS, **others):
    for seed, name in enumerate(sorted({row[0] for row in rows})):
        write_image(root / name, seed)
    write_boxes(root / "boxes.csv", rows, **others)
    return root


def load(root, **others):
    source = boxes.load(options(root, **others))
    return source, {item.image_id: item for item in source.items}


def area(*parts):
    expected = np.zeros((24, 32), int)
    for rows, columns in parts:
        expected[rows, columns] += 1
    return expected


def test_boxes_become_counts(tmp_path):
    source, items = load(tree(tmp_path))
    assert source.class_names == ("cat", "dog")
    examples = {name: source.read(item) for name, item in items.items()}
    np.testing.assert_array_equal(
        examples["cat/a.jpg"].participant_maps,
        [area((slice(2, 5), slice(1, 4)), (slice(2, 6), slice(2, 30)))],
    )
    np.testing.assert_array_equal(
        examples["dog/b.jpg"].participant_maps, [area((slice(0, 24), slice(1, 31)))]
    )
    assert examples["dog/c.jpg"].participant_maps == ()
    assert [e.label for e in examples.values()] == [0, 1, 1]
    assert examples["dog/b.jpg"].image == (tmp_path / "dog/b.jpg").read_bytes()
    there = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(
        there(items["cat/a.jpg"]).participant_maps, examples["cat/a.jpg"].participant_maps
    )


def test_labels_are_the_folders_and_columns_come_in_any_order(tmp_path):
    rows = [("x/cat/a.jpg", 5, "n", 4, 1, 2), ("x/dog/b.jpg", 5, "n", 4, 1, 2)]
    columns = ("image", "ymax", "note", "xmax", "xmin", "ymin")
    source, items = load(tree(tmp_path, rows, columns=columns))
    assert source.class_names == ("cat", "dog")
    np.testing.assert_array_equal(
        source.read(items["x/cat/a.jpg"]).participant_maps, [area((slice(2, 5), slice(1, 4)))]
    )


def test_columns_in_capitals_are_read_those_that_may_be_missing_too(tmp_path):
    columns = ("Image", "XMIN", "YMIN", "XMAX", "YMAX", " Label ", "Participant")
    rows = [("a.jpg", 1, 2, 4, 5, "cat", "p"), ("a.jpg", 0, 0, 2, 2, "cat", "q")]
    source, items = load(tree(tmp_path, rows, columns=columns))
    assert source.class_names == ("cat",)
    assert len(source.read(items["a.jpg"]).participant_maps) == 2


def test_participants_are_kept_apart(tmp_path):
    rows = [
        ("a/a.jpg", 1, 2, 4, 5, "p"),
        ("a/a.jpg", 0, 0, 2, 2, "q"),
        ("a/a.jpg", 1, 2, 4, 5, "p"),
    ]
    columns = ("image", "xmin", "ymin", "xmax", "ymax", "participant")
    source, items = load(tree(tmp_path, rows, columns=columns))
    first = (slice(2, 5), slice(1, 4))
    np.testing.assert_array_equal(
        source.read(items["a/a.jpg"]).participant_maps,
        [area(first, first), area((slice(0, 2), slice(0, 2)))],
    )


def test_the_largest_box_decides(tmp_path, caplog):
    rows = [("a.jpg", 0, 0, 2, 2, "ant"), ("a.jpg", 4, 4, 9, 9, "bee")]
    with caplog.at_level("WARNING", logger="absl"):
        source, items = load(tree(tmp_path, rows))
    example = source.read(items["a.jpg"])
    assert source.class_names == ("bee",) and example.label == 0
    np.testing.assert_array_equal(example.participant_maps, [area((slice(4, 9), slice(4, 9)))])
    assert "1 boxes are left out: their image has a larger one's label" in caplog.text


def test_fractions(tmp_path, caplog):
    rows = [("a.jpg", 0.25, 0, 0.5, 0.5, "ant"), ("b.jpg", -0.1, 0.5, 1.1, 1, "ant")]
    tree(tmp_path, rows)
    with caplog.at_level("WARNING", logger="absl"):
        source, items = load(tmp_path, box_units="relative")
    np.testing.assert_array_equal(
        source.read(items["a.jpg"]).participant_maps, [area((slice(0, 12), slice(8, 16)))]
    )
    np.testing.assert_array_equal(
        source.read(items["b.jpg"]).participant_maps, [area((slice(12, 24), slice(0, 32)))]
    )
    assert "1 boxes reach out of their image" in caplog.text
    with pytest.raises(ValueError, match="Pass --box_units=relative"):
        write_boxes(tmp_path / "boxes.csv", rows[:1])
        load(tmp_path)
    with pytest.raises(ValueError, match=r"line 2: box \[1.0, 2.0, 4.0, 5.0\] is no fractions"):
        load(tree(tmp_path / "pixels"), box_units="relative")


def test_splits_are_the_folders_or_dealt(tmp_path):
    rows = [(f"{top}/cat/{n}.jpg", 1, 2, 4, 5, "cat") for top in ("train", "val") for n in "ab"]
    source, items = load(tree(tmp_path / "a", rows))
    assert {item.image_id.split("/")[0]: item.split for item in items.values()} == {
        "train": "train",
        "val": "validation",
    }
    names = [f"{c}/{n}.jpg" for c in "xy" for n in range(6)]
    tree(tmp_path / "b", [(name, 1, 2, 4, 5, name[0]) for name in names])
    proportions = (1, 1, 1)
    source, items = load(tmp_path / "b", split_proportions=proportions, seed=3)
    classes = {c: [name for name in names if name[0] == c] for c in "xy"}
    assert {k: v.split for k, v in items.items()} == assign_splits(classes, proportions, 3)
    with pytest.raises(ValueError, match=r"in split folders \['train'\], others in \['x'\]"):
        load(tree(tmp_path / "c", [rows[0], ("x/a.jpg", 1, 2, 4, 5, "cat")]))


def test_boxes_outside_are_cut_off_and_said(tmp_path, caplog):
    source, items = load(tree(tmp_path, [("a.jpg", -3, 20, 50, 90, "ant")]))
    with caplog.at_level("WARNING", logger="absl"):
        maps = source.read(items["a.jpg"]).participant_maps
    np.testing.assert_array_equal(maps, [area((slice(20, 24), slice(0, 32)))])
    assert "line 2: box" in caplog.text and "cut off" in caplog.text
    source, items = load(tree(tmp_path, [("a.jpg", 40, 0, 50, 9, "ant")]))
    with pytest.raises(BadImageError, match="boxes.csv', line 2: box .* wholly outside its image"):
        source.read(items["a.jpg"])


@pytest.mark.parametrize(
    "row, message",
    [
        ("a.jpg,1,2,x,4,c", "line 2: xmin, ymin, xmax, ymax = 1, 2, x, 4: expected finite"),
        ("a.jpg,1,2,,4,c", "line 2: .* expected finite"),
        ("a.jpg,1,2,nan,4,c", "line 2: .* expected finite"),
        ("a.jpg,1,2,1e99,4,c", "line 2: .* expected finite"),
        ("a.jpg,5,2,3,4,c", "line 2: .*maxima not below the minima"),
        ("a.jpg,1,2,3,4", "line 2: 5 fields, the first line has 6"),
        ("../a.jpg,1,2,3,4,c", "line 2: image name '../a.jpg' must be"),
        ("/a.jpg,1,2,3,4,c", "line 2: image name"),
        ("a.jpg,1,2,3,4,", "line 2: image 'a.jpg' has no label"),
        ('a.jpg,1,2,3,4,"c', "line 2: not CSV: unexpected end"),
        ("", "lists no images"),
    ],
)
def test_rows_that_make_no_sense(tmp_path, row, message):
    (tmp_path / "boxes.csv").write_text(f"image,xmin,ymin,xmax,ymax,label\n{row}\n")
    with pytest.raises(ValueError, match=f"boxes.csv'.*{message}"):
        load(tmp_path)


def test_files_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="boxes.csv' does not exist"):
        load(tmp_path)
    path = tmp_path / "boxes.csv"
    for text in ("", "a.jpg,1,2,3,4\n", "image,xmin,xmin,ymin,ymax,xmax\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="boxes.csv', line 1: columns .* must occur once each"):
            load(tmp_path)
    path.write_bytes(b"image,xmin,ymin,xmax,ymax,label\na\xff.jpg,1,2,3,4,c\n")
    with pytest.raises(ValueError, match="line 2: not UTF-8"):
        load(tmp_path)
    path.write_text("image,xmin,ymin,xmax,ymax\na.jpg,1,2,3,4\n")
    with pytest.raises(ValueError, match="image 'a.jpg' has no label"):
        load(tmp_path)


def test_images_that_are_not_there(tmp_path):
    source, items = load(tree(tmp_path))
    (tmp_path / "cat/a.jpg").unlink()
    with pytest.raises(BadImageError, match="a.jpg' does not exist, but boxes.csv lists it"):
        source.read(items["cat/a.jpg"])
    (tmp_path / "dog/b.jpg").write_bytes(b"")
    with pytest.raises(BadImageError, match="empty"):
        source.read(items["dog/b.jpg"])


def test_through_the_builder(tmp_path):
    build(tmp_path / "out", source="boxes", input_dir=tree(tmp_path), split_proportions="1,0,0")
    rows = {row["image/id"].decode(): row for row in read(tmp_path / "out")["train"]}
    assert {name: int(row["clickmap/participants"]) for name, row in rows.items()} == {
        "cat/a.jpg": 1,
        "dog/b.jpg": 1,
        "dog/c.jpg": 0,
    }
