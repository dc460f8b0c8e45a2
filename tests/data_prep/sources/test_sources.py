"""The sources: folders of images and maps, and Tiny ImageNet's layout, as tiny fake trees."""

import numpy as np
import pytest
from fake_trees import build, counts, options, read, write_image, write_map

from data_prep.maps import count_maps
from data_prep.readers.images.map_files import read_map
from data_prep.sources import folder
from data_prep.sources import tiny_imagenet as tiny
from gala_tf.data import records


def test_split_folders_are_obeyed(tmp_path):
    root, expected = tmp_path / "images", {}
    for s, top in enumerate(("train", "val", "test")):
        for c, name in enumerate(("ant", "bee")):
            write_image(root / top / name / "1.jpg", 10 * s + c)
            expected[f"{top}/{name}/1.jpg"] = {"val": "validation"}.get(top, top)
    build(tmp_path / "out", source="folder", input_dir=root)
    found = read(tmp_path / "out")
    assert expected == {
        row["image/id"].decode(): split for split, rows in found.items() for row in rows
    }


def by_name(source):
    return {item.image_id: source.read(item) for item in source.items}


def test_maps_lie_beside_or_in_a_parallel_tree(tmp_path):
    images, maps = tmp_path / "images", tmp_path / "maps"
    people = np.stack([counts(1), counts(2), counts(3)]).astype(np.int64)
    write_image(images / "ant" / "a.JPEG", 0)
    write_image(images / "ant" / "b.png", 1)  # alone: an image
    write_image(images / "ant" / "c.jpeg", 2, mode="L")
    write_map(images / "ant" / "b.npy", people)
    write_map(images / "ant" / "c.png", counts(5).astype(np.uint16) * 300)
    (images / "ant" / "notes.txt").write_text("not an image")
    (images / "ant" / ".hidden.jpg").write_text("nor this")
    beside = by_name(folder.load(options(images)))
    assert set(beside) == {"ant/a.JPEG", "ant/b.png", "ant/c.jpeg"}
    assert beside["ant/a.JPEG"].participant_maps == ()
    np.testing.assert_array_equal(beside["ant/b.png"].participant_maps, people)
    np.testing.assert_array_equal(
        beside["ant/c.jpeg"].participant_maps[0], counts(5).astype(int) * 300
    )

    (images / "ant" / "c.png").unlink()
    write_map(maps / "ant" / "a.png", counts(7))
    parallel = by_name(folder.load(options(images, maps_dir=str(maps))))
    np.testing.assert_array_equal(parallel["ant/a.JPEG"].participant_maps[0], counts(7))
    assert parallel["ant/b.png"].participant_maps == ()


def test_maps_of_turned_images_are_in_the_displayed_frame(tmp_path):
    root = tmp_path / "in"
    write_image(root / "ant" / "a.jpg", 0, 24, 32, orientation=6)  # displayed 32 high
    write_map(root / "ant" / "a.npy", counts(0, 32, 24))
    build(tmp_path / "out", source="folder", input_dir=root, split_proportions="1,0,0")
    (row,) = read(tmp_path / "out")["train"]
    assert (row["image/height"], row["image/width"]) == (32, 24)
    np.testing.assert_array_equal(
        records.decode_counts(row["clickmap/counts"], 32, 24), counts(0, 32, 24)
    )


def test_fractions_become_counts_and_keep_their_order():
    values = np.random.default_rng(0).random((3, 5, 7))
    whole = count_maps.as_counts(values, "a.npy")
    assert whole.dtype.kind == "i" and 65_000 < whole.sum(0).max() <= 65_535
    ratio = whole.sum(0) / values.sum(0)
    assert np.ptp(ratio) / ratio.mean() < 1e-3
    np.testing.assert_array_equal(count_maps.as_counts(np.array([[[0.0, 3.0]]]), "a"), [[[0, 3]]])


def test_maps_of_another_size_are_resampled_and_said_so(tmp_path, caplog):
    write_image(tmp_path / "ant" / "a.jpg", 0)
    write_map(tmp_path / "ant" / "a.npy", counts(0, 12, 16))
    with caplog.at_level("WARNING", logger="absl"):
        (example,) = by_name(folder.load(options(tmp_path))).values()
    np.testing.assert_array_equal(
        example.participant_maps[0], np.kron(counts(0, 12, 16), np.ones((2, 2), int))
    )
    assert "is 12x16, its image 24x32" in caplog.text


@pytest.mark.parametrize("shape", [(48, 64), (12, 16), (7, 9), (14, 19)])
def test_proportions_are_judged_within_half_a_pixel(shape):
    assert count_maps.fit_map(np.zeros(shape, int), 24, 32, "a").shape == (24, 32)


@pytest.mark.parametrize("shape", [(32, 24), (24, 24), (12, 17), (48, 66)])
def test_maps_of_other_proportions_are_refused(tmp_path, shape, caplog):
    write_image(tmp_path / "ant" / "a.jpg", 0)
    write_map(tmp_path / "ant" / "a.npy", np.ones(shape, int))
    with pytest.raises(ValueError, match=rf"a\.npy' is {shape[0]}x{shape[1]}, its image 24x32"):
        by_name(folder.load(options(tmp_path)))
    assert "resampled" not in caplog.text


@pytest.mark.parametrize(
    "values, message",
    [
        (np.zeros((24, 32, 3, 1)), r"shape \(24, 32, 3, 1\)"),
        (np.zeros((24, 32, 3)), r"shape \(24, 32, 3\), which is that of colours"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.full((24, 32), -1), "finite and >= 0, got -1...-1"),
        (np.full((24, 32), np.nan), "finite and >= 0"),
        (np.full((24, 32), "a"), "dtype <U1"),
        (np.full((2, 24, 32), 40_000), "sum to 80000 over participants"),
    ],
)
def test_maps_that_make_no_sense(tmp_path, values, message):
    write_map(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=f"a.npy.*{message}"):
        read_map(str(tmp_path / "a.npy"))


def test_npy_files_that_claim_more_than_they_hold(tmp_path):
    """A head of a few bytes claimed 4 TB of memory; an NPZ file under this name was no array."""
    head = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        file.write(bytes(4000))
    for make in (lambda: None, lambda: np.savez(open(path, "wb"), a=np.ones((24, 32)))):
        make()
        with pytest.raises(ValueError, match="a.npy' cannot be read"):
            read_map(str(path))


def test_a_second_photograph_is_no_map(tmp_path):
    write_image(tmp_path / "a.png", 0)
    with pytest.raises(ValueError, match="a.png' cannot be read: .*mode 'RGB'.*rename it"):
        read_map(str(tmp_path / "a.png"))
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="b.png' cannot be read"):
        read_map(str(tmp_path / "b.png"))


def test_trees_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        folder.load(options(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="no class folders"):
        folder.load(options(tmp_path))
    (tmp_path / "ant" / "deep").mkdir(parents=True)
    with pytest.raises(ValueError, match="ant' holds no JPEG or PNG"):
        folder.load(options(tmp_path))
    write_image(tmp_path / "ant" / "a.jpg", 0)
    with pytest.raises(ValueError, match="--maps_dir=.* is not a folder"):
        folder.load(options(tmp_path, maps_dir=str(tmp_path / "nowhere")))
    write_image(tmp_path / "ant" / "a.jpeg", 0)
    with pytest.raises(ValueError, match="stem 'a' has images .*'a.jpeg', 'a.jpg'.*one image"):
        folder.load(options(tmp_path))
    (tmp_path / "ant" / "a.jpeg").unlink()
    write_image(tmp_path / "train" / "ant" / "a.jpg", 0)
    with pytest.raises(ValueError, match=r"split folders \['train'\] and also \['ant'\]"):
        folder.load(options(tmp_path))


def test_classes_outside_train_only_are_refused(tmp_path):
    write_image(tmp_path / "train" / "ant" / "a.jpg", 0)
    write_image(tmp_path / "test" / "Ant" / "a.jpg", 1)
    with pytest.raises(ValueError, match=r"classes \['Ant'\] occur outside train/ only"):
        folder.load(options(tmp_path))


def test_maps_that_fit_nothing_are_refused(tmp_path):
    write_image(tmp_path / "images" / "ant" / "a.jpg", 0)
    write_map(tmp_path / "maps" / "a.png", counts())
    with pytest.raises(ValueError, match="Of 1 map files .* none belongs.*ant/a.png"):
        folder.load(options(tmp_path / "images", maps_dir=str(tmp_path / "maps")))


@pytest.fixture
def tiny_tree(tmp_path):
    """Two classes of ten and three images, in Tiny ImageNet's layout."""
    root = tmp_path / "tiny"
    wnids = ("n02", "n01")
    root.mkdir()
    (root / "wnids.txt").write_text("n02\nn01\n")
    (root / "words.txt").write_text("n01\tcrane\nn02\tcrane, machine\nn03\tother\n")
    lines = []
    for c, wnid in enumerate(wnids):
        for i in range(10):
            write_image(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", 50 * c + i, 64, 64)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(
            "".join(f"{wnid}_{i}.JPEG\t{i}\t2\t63\t{i + 2}\n" for i in range(10))
        )
        for i in range(3):
            name = f"val_{3 * c + i}.JPEG"
            write_image(root / "val" / "images" / name, 1000 + 3 * c + i, 64, 64)
            lines.append(f"{name}\t{wnid}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    return root


def test_tiny_imagenet(tiny_tree, tmp_path):
    info = build(
        tmp_path / "out", source="tiny_imagenet", input_dir=tiny_tree, validation_fraction=0.2
    )
    assert info.class_names == ("crane (n01)", "crane (n02)")  # sorted by id
    assert info.clickmap_blur == "none"
    found = read(tmp_path / "out")
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 16,
        "validation": 4,
        "test": 6,
    }
    for split, rows in found.items():
        for row in rows:
            name = row["image/id"].decode()
            assert name.startswith("val/") == (split == "test")
            total = records.decode_counts(row["clickmap/counts"], 64, 64).numpy()
            expected = np.zeros((64, 64), int)
            if split == "test":
                expected[:] = 1
            else:
                i = int(name.removesuffix(".JPEG").split("_")[-1])
                assert row["image/class/label"] == ("n02" in name)
                expected[2 : i + 3, i:64] = 1  # maxima are inclusive
            np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize(
    "path, change, message",
    [
        ("wnids.txt", None, "is not Tiny ImageNet: .*wnids.txt"),
        ("words.txt", lambda t: t.replace("n02", "n05"), r"words.txt lacks n02"),
        ("train/n01/n01_boxes.txt", None, "n01_boxes.txt' does not exist"),
        ("train/n01/n01_boxes.txt", lambda t: t.replace("\t63", ""), "line 1: expected 1 name"),
        ("train/n01/n01_boxes.txt", lambda t: t.replace("63", "64"), "box .* must be"),
        ("train/n01/n01_boxes.txt", lambda t: t.replace("n01_3", "n01_99"), "does not exist"),
        ("val/val_annotations.txt", lambda t: t.replace("n01", "n09"), r"the class 'n09', which"),
        ("wnids.txt", lambda t: t.replace("n01", "n02"), "wnids.txt', line 2: .*each once"),
        ("wnids.txt", lambda t: t.replace("n01", "../n01"), "wnids.txt', line 2"),
        ("train/n01/n01_boxes.txt", lambda t: "", "n01_boxes.txt' lists no image"),
        ("train/n01/n01_boxes.txt", lambda t: t.replace("n01_3", "n01_2"), "line 4: .*twice"),
        ("train/n01/n01_boxes.txt", lambda t: t.replace("n01_3", "../3"), "boxes.txt', line 4: im"),
        ("train/n01/n01_boxes.txt", lambda t: t.replace("n01_3", "n01_9\udcff"), "not UTF-8"),
    ],
)
def test_tiny_imagenet_that_is_damaged(tiny_tree, path, change, message):
    path = tiny_tree / path
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()), "utf-8", "surrogateescape")
    with pytest.raises(ValueError, match=message):
        by_name(tiny.load(options(tiny_tree)))


def test_tiny_imagenet_validation_fraction(tiny_tree):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got 1.5"):
        tiny.load(options(tiny_tree, validation_fraction=1.5))


def test_real_tiny_imagenet_boxes_are_inclusive(real_data):
    root = real_data / "tiny_imagenet10"
    source = tiny.load(options(root, validation_fraction=0.1))
    assert sum(1 for _ in source.items) == 5500 and "goldfish" in source.class_names
    wnids = (root / "wnids.txt").read_text().split()
    boxes = [a.box for wnid in wnids for a in tiny._train_annotations(str(root), wnid)]
    boxes = np.array(boxes)
    assert boxes.min() == 0 and boxes.max() == 63
    assert (boxes[:, 2] == 63).sum() > 1000 and (boxes[:, :2] <= boxes[:, 2:]).all()
