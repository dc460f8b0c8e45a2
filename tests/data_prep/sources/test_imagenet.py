"""ILSVRC12 in all its layouts: the same examples from each, or an error that says what is wrong."""

import importlib.util
import json
import os
import pickle
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from fake_trees import build, options, read, write_image
from faults.formats import imagenet as fake
from PIL import Image

from data_prep import sources
from data_prep.readers.imagenet import (
    imagenet_boxes,
    imagenet_classes,
    imagenet_files,
    imagenet_ground_truth,
)
from data_prep.sources import imagenet
from gala_tf.data.images import BadImageError

WNIDS = imagenet_classes.wnids()
TRAIN = {
    "n01440764": {f"n01440764_{i}.JPEG": fake.picture(i) for i in (9, 10026)},
    "n02105855": {"n02105855_2933.JPEG": fake.picture(3, file_format="PNG")},
    "n04371774": {"n04371774_5854.JPEG": fake.picture(4, mode="CMYK")},
}
NUMBERS = (1, 2, 293, 1000)  # of validation images whose class is known
VAL = {fake.val_name(i): fake.picture(100 + i) for i in NUMBERS}
VAL_WNIDS = {fake.val_name(i): imagenet_classes.KNOWN_VALIDATION[i] for i in NUMBERS}


@pytest.fixture(scope="module")
def truth():
    """50,000 WordNet ids, 50 of each class, the known images' in their places."""
    known = imagenet_classes.KNOWN_VALIDATION
    others = [wnid for wnid in WNIDS for _ in range(50)]
    for wnid in known.values():
        others.remove(wnid)
    others = iter(np.random.default_rng(0).permutation(others).tolist())
    return [known.get(i) or next(others) for i in range(1, 50_001)]


def numbers(wnids, order):
    by_wnid = {w: imagenet_classes.number_of(label, order) for label, w in enumerate(WNIDS)}
    return [by_wnid[wnid] for wnid in wnids]


def examples(root, **others):
    source = imagenet.load(options(root, **others))
    return {item.image_id: source.read(item) for item in source.items}


def summary(found):
    return {name: (e.image, e.label, e.split, len(e.participant_maps)) for name, e in found.items()}


def expected():
    train = {
        f"train/{wnid}/{name}": (data, WNIDS.index(wnid), "train", 0)
        for wnid, files in TRAIN.items()
        for name, data in files.items()
    }
    validation = {
        f"validation/{name}": (data, WNIDS.index(VAL_WNIDS[name]), "validation", 0)
        for name, data in VAL.items()
    }
    return train | validation


@pytest.mark.parametrize("train", ["folders", "tar", "class tars"])
@pytest.mark.parametrize("validation", ["flat", "sorted", "tar"])
def test_all_layouts_give_the_same_examples(tmp_path, truth, train, validation):
    if train == "folders":
        fake.write_train_folders(tmp_path, TRAIN)
    elif train == "tar":
        fake.write_train_tar(tmp_path, TRAIN)
    else:
        tars = {f"{wnid}.tar": fake.tar_bytes(files) for wnid, files in TRAIN.items()}
        fake.write_files(tmp_path / "train", tars)
    if validation == "sorted":
        fake.write_val_sorted(tmp_path, VAL, VAL_WNIDS)
    else:
        write = fake.write_val_flat if validation == "flat" else fake.write_val_tar
        write(tmp_path, VAL)
        fake.write_lines(
            tmp_path / "ILSVRC2012_validation_ground_truth.txt", numbers(truth, "devkit")
        )
    assert summary(examples(tmp_path)) == expected()


def test_what_was_found_is_said(tmp_path, capsys, caplog):
    fake.write_train_folders(tmp_path, TRAIN)
    fake.write_val_sorted(tmp_path, VAL, VAL_WNIDS)
    (tmp_path / "train" / "n01440764" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "n01440764" / ".DS_Store").write_text("hidden")
    examples(tmp_path)
    printed = capsys.readouterr().out
    assert "train (class folders)" in printed and "val (class folders)" in printed
    assert "train: 4 of ILSVRC12's 1,281,167 images, 3 of 1000 classes\n" in printed
    assert "train: no image of 997 classes: n01443537, n01484850" in printed
    assert "validation: 4 of ILSVRC12's 50,000 images, 4 of 1000 classes\n" in printed
    assert "1 files of train are no images; left out: train/n01440764/notes.txt" in caplog.text


def test_the_list_is_lazy_and_reading_needs_little(tmp_path):
    fake.write_train_tar(tmp_path, TRAIN)
    source = imagenet.load(options(tmp_path))
    assert source.class_names == imagenet_classes.class_names()
    again = list(imagenet.load(options(tmp_path)).items)
    items = list(source.items)
    assert items == again and len(pickle.dumps(source.read)) < 1000
    item = items[0]
    path, offset, size, label, boxes = json.loads(item.key)
    assert (path, label, boxes) == ("ILSVRC2012_img_train.tar", 0, None)
    data = (tmp_path / path).read_bytes()[offset : offset + size]
    assert data == pickle.loads(pickle.dumps(source.read))(item).image
    assert "\n" not in item.key


def test_the_odd_files_become_jpegs_that_training_can_crop(tmp_path):
    """The published list of one PNG and 22 CMYK files, all named .JPEG."""
    files = [(fake.PNG_FILE, "PNG", "RGB")]
    files += [(name, "JPEG", "CMYK") for name in fake.CMYK_FILES]
    assert len(files) == 23
    classes = {}
    for seed, (stem, file_format, mode) in enumerate(files):
        data = fake.picture(seed, mode=mode, file_format=file_format)
        classes.setdefault(stem.split("_")[0], {})[f"{stem}.JPEG"] = data
    fake.write_train_tar(tmp_path / "in", classes)
    info = build(tmp_path / "out", source="imagenet", input_dir=tmp_path / "in")
    rows = read(tmp_path / "out", info)["train"]
    assert len(rows) == 23
    for row in rows:
        name = os.path.basename(row["image/id"].decode())
        original = classes[name.split("_")[0]][name]
        cropped = tf.io.decode_and_crop_jpeg(row["image/encoded"], [2, 3, 8, 8], channels=3).numpy()
        with Image.open(tf.io.gfile.GFile(_saved(tmp_path, original), "rb")) as image:
            wanted = np.asarray(image.convert("RGB"), int)[2:10, 3:11]
        assert np.abs(cropped - wanted).mean() < 12  # encoded anew, but not inverted
        assert row["image/class/label"] == WNIDS.index(name.split("_")[0])


def _saved(tmp_path, data):
    (tmp_path / "image").write_bytes(data)
    return str(tmp_path / "image")


def test_a_data_set_is_the_same_from_folders_and_tars(tmp_path):
    fake.write_train_folders(tmp_path / "folders", TRAIN)
    fake.write_val_sorted(tmp_path / "folders", VAL, VAL_WNIDS)
    fake.write_train_tar(tmp_path / "tars", TRAIN)
    fake.write_val_tar(tmp_path / "tars", VAL)
    listed = "".join(f"{name} {wnid}\n" for name, wnid in VAL_WNIDS.items())
    (tmp_path / "tars" / "val.txt").write_text(listed)
    shards = []
    for name in ("folders", "tars"):
        build(tmp_path / name / "out", source="imagenet", input_dir=tmp_path / name)
        paths = sorted((tmp_path / name / "out").glob("*tfrecord*"))
        shards.append({path.name: path.read_bytes() for path in paths})
    assert shards[0] and shards[0] == shards[1]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda root: None, "holds neither train/ nor val/"),
        (lambda root: (root / "train").mkdir(), "found 0, 0 and 0"),
        (
            lambda root: fake.write_files(root / "train" / "0", {"a.JPEG": b""}),
            "Folders named by numbers must be named by WordNet ids",
        ),
        (
            lambda root: [fake.write_train_folders(root, TRAIN), fake.write_train_tar(root, TRAIN)],
            r"holds the train images more than once: \['train', 'ILSVRC2012_img_train.tar'\]",
        ),
        (lambda root: fake.write_val_flat(root, VAL), "lie unsorted.*pass --ground_truth=FILE"),
        (lambda root: fake.write_val_tar(root, VAL), "lie unsorted.*pass --ground_truth=FILE"),
        (
            lambda root: [
                fake.write_val_flat(root, VAL),
                fake.write_val_sorted(root, VAL, VAL_WNIDS),
            ],
            "only one of these; found 4, 0 and 4",
        ),
        (
            lambda root: fake.write_train_folders(root, {"n00000001": {"a.JPEG": b""}}),
            "n00000001 is none of ILSVRC12's 1000 classes",
        ),
        (
            lambda root: fake.write_train_folders(root, {"n01440764": {"n01443537_1.JPEG": b""}}),
            "'n01443537_1' is of class n01443537 .goldfish.* but got label 0, n01440764 .tench",
        ),
        (
            lambda root: fake.write_val_sorted(
                root, VAL, dict.fromkeys(VAL, WNIDS[490])
            ),  # as if the kit's number were an index
            "490 is its number in the order 'devkit'",
        ),
        (
            lambda root: (root / "ILSVRC2012_img_train.tar").write_bytes(
                fake.tar_bytes({"n01440764_9.JPEG": b"x"})
            ),
            "'n01440764_9.JPEG' is unknown: it lies outside the class folders",
        ),
    ],
)
def test_trees_that_make_no_sense(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(ValueError, match=message):
        examples(tmp_path)


def test_flags_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        examples(tmp_path / "nowhere")
    fake.write_train_folders(tmp_path, TRAIN)
    with pytest.raises(ValueError, match="is for validation images, and .* has none"):
        examples(tmp_path, ground_truth="list.txt")
    with pytest.raises(ValueError, match="--boxes='nowhere' does not exist"):
        examples(tmp_path, boxes="nowhere")
    with pytest.raises(ValueError, match="none of its boxes belongs to an image"):
        examples(tmp_path, boxes=str(tmp_path))  # images, no XML
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="--boxes=.* holds no annotations"):
        examples(tmp_path, boxes=str(tmp_path / "empty"))


def test_hostile_tars(tmp_path):
    inner = fake.tar_bytes({"../../n01440764_9.JPEG": b"x"})
    path = tmp_path / "ILSVRC2012_img_train.tar"
    path.write_bytes(fake.tar_bytes({"n01440764.tar": inner}))
    with pytest.raises(
        ValueError, match=r"train.tar', its entry 'n01440764.tar': entry '../../n01"
    ):
        examples(tmp_path)
    path.write_bytes(fake.tar_bytes({"n01440764.tar": b""}, type=tarfile.SYMTYPE, linkname="/etc"))
    with pytest.raises(ValueError, match=r"train.tar': entry 'n01440764.tar' is a symbolic link"):
        examples(tmp_path)
    whole = fake.tar_bytes({"n01440764.tar": fake.tar_bytes(TRAIN["n01440764"])})
    path.write_bytes(whole[: len(whole) // 20])
    with pytest.raises(ValueError, match=r"train.tar'.*(cut off|claims)"):
        examples(tmp_path)


def test_images_that_are_too_large_to_be_images(tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet_files, "MAX_IMAGE_BYTES", 100)
    fake.write_train_folders(tmp_path / "a", TRAIN)
    with pytest.raises(BadImageError, match="n01440764_10026.JPEG' has more than 100 bytes"):
        examples(tmp_path / "a")
    fake.write_train_tar(tmp_path / "b", TRAIN)
    with pytest.raises(ValueError, match="entry 'n01440764_10026.JPEG' claims .* at most 100"):
        examples(tmp_path / "b")


def test_every_form_gives_the_same_labels(tmp_path, truth):
    wanted = numbers(truth, "sorted")
    fake.write_lines(tmp_path / "devkit.txt", numbers(truth, "devkit"))
    fake.write_lines(tmp_path / "wnids.txt", truth)
    fake.write_val_txt(tmp_path / "val.txt", wanted)
    fake.write_solution_csv(tmp_path / "LOC.csv", truth)
    marked = b"\xef\xbb\xbf" + (tmp_path / "LOC.csv").read_bytes()
    (tmp_path / "LOC.csv").write_bytes(marked)
    for name, form in (
        ("devkit.txt", "numbers in the order 'devkit', line n = image n"),
        ("wnids.txt", "WordNet ids, line n = image n"),
        ("val.txt", "numbers in the order 'sorted', by image name"),
        ("LOC.csv", "WordNet ids, by image name"),
    ):
        found = imagenet_ground_truth.read_ground_truth(str(tmp_path / name))
        assert found.labels[0] == -1 and found.labels[1:].tolist() == wanted
        assert found.form == form


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("order", imagenet_classes.LABEL_ORDERS)
def test_another_order_is_named_and_can_be_given(tmp_path, truth, order, named):
    path = tmp_path / "list.txt"
    write = fake.write_val_txt if named else fake.write_lines
    write(path, numbers(truth, order))
    usual = "sorted" if named else "devkit"
    if order != usual:
        message = rf"not in the order '{usual}': image 1 .* pass --ground_truth_order={order}\."
        with pytest.raises(ValueError, match=message):
            imagenet_ground_truth.read_ground_truth(str(path))
    found = imagenet_ground_truth.read_ground_truth(str(path), order)
    assert found.labels[1:].tolist() == numbers(truth, "sorted")


def change(lines, **changes):
    lines = list(lines)
    for number, value in changes.items():
        lines[int(number[1:]) - 1] = value
    return lines


@pytest.mark.parametrize(
    "lines, message",
    [
        (lambda t: [n - 1 for n in numbers(t, "devkit")], "are ILSVRC2012_ID less 1: add 1"),
        (lambda t: t[1:] + t[:1], "image 1 is of class n01751748, the list says n09193705"),
        (lambda t: numbers(t[1:] + t[:1], "devkit"), "fit no known order: the lines moved"),
        (lambda t: t[:20_000] + t[20_001:] + t[-1:], "image 25000 is of class n03595614, the"),
        (lambda t: change(t, n9="n01440764", n10="n01440764"), "of every class, this list"),
        (lambda t: change(t, n9="n00000001"), "n00000001 of image 9 is none of ILSVRC12's"),
        (lambda t: change(t, n9="cat"), "list.txt', line 9: expected a class"),
        (lambda t: change(t, n9=""), "line 9: expected a class.* got ''"),
        (lambda t: change(t, n9="7 8"), "line 9: expected a class.* got '7 8'"),
        (lambda t: change(t, n9="7"), "mixes numbers and WordNet ids, as n"),
        (lambda t: change(numbers(t, "devkit"), n9="1001"), "image 9: Class number 1001"),
        (lambda t: change(numbers(t, "devkit"), n9="-3"), "line 9: expected a class"),
        (lambda t: t + t[:1], "has 50001 lines; expected one for each"),
        (lambda t: [], "has 0 lines"),
        (lambda t: ["x" * 2**26], "no list of 50,000 classes has"),
        (
            lambda t: [f"ILSVRC2012_val_{i:08d} {i}" for i in range(1, 50_001)],
            "counts the images and has no classes",
        ),
        (
            lambda t: ["ILSVRC2012_val_00000009 7", "ILSVRC2012_val_00000009.JPEG 7"],
            "line 2: .*each image once",
        ),
        (lambda t: ["n01440764_9.JPEG 7"], "line 1: expected"),
        (lambda t: ["ILSVRC2012_val_00050001 7"], "line 1: expected"),
    ],
)
def test_lists_that_make_no_sense(tmp_path, truth, lines, message):
    fake.write_lines(tmp_path / "list.txt", lines(truth))
    with pytest.raises(ValueError, match=message):
        imagenet_ground_truth.read_ground_truth(str(tmp_path / "list.txt"))


def test_lists_of_a_few_images(tmp_path, truth, caplog):
    fake.write_val_flat(tmp_path, VAL)
    path = tmp_path / "val.txt"
    path.write_text("val/ILSVRC2012_val_00000009.JPEG 7\n")
    assert imagenet_ground_truth.read_ground_truth(str(path)).labels[9] == 7
    assert "nothing proves its label order 'sorted'" in caplog.text
    with pytest.raises(ValueError, match="'ILSVRC2012_val_00000001.JPEG' is not in the ground tru"):
        examples(tmp_path)
    fake.write_lines(path, numbers(truth, "devkit")[:1000])
    assert len(examples(tmp_path)) == 4
    assert "lists 1000 of the 50,000" in caplog.text


def test_sorted_folders_and_a_list_must_agree(tmp_path, truth):
    name = fake.val_name(9)  # none of those whose class is known here
    fake.write_val_sorted(tmp_path, {name: VAL[fake.val_name(1)]}, {name: truth[8]})
    fake.write_lines(tmp_path / "list.txt", truth)
    assert len(examples(tmp_path, ground_truth=str(tmp_path / "list.txt"))) == 1
    other = next(wnid for wnid in truth if wnid != truth[8])
    (tmp_path / "val" / truth[8]).rename(tmp_path / "val" / other)
    with pytest.raises(ValueError, match=f"lies in {other}, but is of class {truth[8]} by"):
        examples(tmp_path, ground_truth=str(tmp_path / "list.txt"))


def test_the_real_list(tmp_path):
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None:
        pytest.skip("tensorflow_datasets is not installed")
    folder = os.path.join(os.path.dirname(spec.origin), "datasets", "imagenet2012")
    path = os.path.join(folder, "validation_labels.txt")
    with open(path) as file:
        wnids = file.read().split()
    fake.write_lines(tmp_path / "devkit.txt", numbers(wnids, "devkit"))
    by_id = imagenet_ground_truth.read_ground_truth(path)
    by_number = imagenet_ground_truth.read_ground_truth(str(tmp_path / "devkit.txt"))
    np.testing.assert_array_equal(by_id.labels, by_number.labels)
    assert by_id.labels[1] == 65


def test_boxes_of_the_csv(tmp_path, capsys):
    fake.write_train_folders(tmp_path, TRAIN)
    fake.write_box_csv(
        tmp_path / "boxes.csv",
        {
            "n04371774_5854": [(0.25, 0.5, 1, 1)],
            "n01440764_9": [(0, 0, 0.5, 0.5), (0.25, 0.25, 0.75, 1)],
            "n09999999_9": [(0, 0, 1, 1)],
        },
    )
    path = tmp_path / "boxes.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # saved anew by a spreadsheet
    found = examples(tmp_path, boxes=str(path))
    maps = {name.split("/")[-1]: e.participant_maps for name, e in found.items()}
    assert maps["n01440764_10026.JPEG"] == () == maps["n02105855_2933.JPEG"]
    wanted = np.zeros((24, 32), int)
    wanted[:12, :16] += 1
    wanted[6:, 8:24] += 1
    np.testing.assert_array_equal(maps["n01440764_9.JPEG"], [wanted])
    assert maps["n04371774_5854.JPEG"][0].sum() == 12 * 24
    printed = capsys.readouterr().out
    assert "CSV, 4 boxes of 3 images" in printed and "1000 classes, 2 with boxes" in printed


@pytest.mark.parametrize("layout", ["organisers", "kaggle", "classes"])
def test_boxes_of_the_xml(tmp_path, layout):
    fake.write_train_folders(tmp_path / "in", TRAIN)
    fake.write_val_sorted(tmp_path / "in", VAL, VAL_WNIDS)
    root = tmp_path / "boxes"
    base = {"organisers": "Annotation", "kaggle": "Annotations/CLS-LOC/train", "classes": ""}
    folder = root / base[layout] / "n01440764"
    # People were shown another size (64x48) than the file's (32x24); one box leaves the picture,
    # one has minimum and maximum swapped.
    fake.write_xml(folder / "n01440764_9.xml", 64, 48, [(16, 12, 80, 48), (32, 24, 16, 12)])
    fake.write_xml(folder / "n01440764_10026.xml", 64, 48, [(80, 0, 90, 10)])
    if layout == "kaggle":
        path = root / "Annotations/CLS-LOC/val" / "ILSVRC2012_val_00000002.xml"
        fake.write_xml(path, 32, 24, [(0, 0, 32, 24)], name="n09193705", folder="val")
    found = examples(tmp_path / "in", boxes=str(root))
    wanted = np.zeros((24, 32), int)
    wanted[6:, 8:] += 1
    wanted[6:12, 8:16] += 1
    maps = {name: e.participant_maps for name, e in found.items()}
    np.testing.assert_array_equal(maps["train/n01440764/n01440764_9.JPEG"], [wanted])
    assert maps["train/n01440764/n01440764_10026.JPEG"] == ()  # wholly outside
    count = len(maps["validation/ILSVRC2012_val_00000002.JPEG"])
    assert count == (layout == "kaggle")


def test_a_box_covers_a_pixel_at_least():
    data = fake.picture(0)
    for box in ((0.5, 0.5, 0.5001, 0.5001), (0.9999, 0.9999, 1, 1), (0, 0, 0.0001, 0.0001)):
        assert imagenet_boxes.box_map([box], data, "a").sum() == 1
    assert imagenet_boxes.box_map([(0, 0, 1, 1)], data, "a").sum() == 24 * 32
    assert imagenet_boxes.box_map([(0.5, 0, 0.5, 1)], data, "a") is None
    assert imagenet_boxes.box_map([(0, 0, 1, 1)], b"no image", "a") is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_their_image(orientation):
    from PIL import ImageOps

    stored = np.zeros((24, 32), np.uint8)
    stored[3:6, 8:16] = 1
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(image))
    data = fake.picture(0, orientation=orientation)
    counts = imagenet_boxes.box_map([(8 / 32, 3 / 24, 16 / 32, 6 / 24)], data, "a")
    np.testing.assert_array_equal(counts, wanted)


@pytest.mark.parametrize(
    "line",
    ["a.JPEG,0,0,1", "a.JPEG,0,0,1,1.5", "a.JPEG,0.5,0,0.4,1", "a.JPEG,nan,0,1,1", "a.JPEG,x,0,1,1"]
    + [",0,0,1,1", "ImageId,PredictionString", "x" * 65 + ",0,0,1,1", "é.JPEG,0,0,1,1", ""],
)
def test_box_lines_that_make_no_sense(tmp_path, line):
    (tmp_path / "boxes.csv").write_text(f"n01440764_9.JPEG,0,0,1,1\n{line}\n")
    with pytest.raises(ValueError, match="boxes.csv', line 2: expected name,xmin,ymin,xmax,ymax"):
        imagenet_boxes.open_boxes(str(tmp_path / "boxes.csv"))
    (tmp_path / "boxes.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="boxes.csv', line 1: expected"):
        imagenet_boxes.open_boxes(str(tmp_path / "boxes.csv"))


def test_boxes_of_other_images(tmp_path):
    fake.write_train_folders(tmp_path, TRAIN)
    fake.write_box_csv(tmp_path / "boxes.csv", {"n09999999_9": [(0, 0, 1, 1)]})
    with pytest.raises(ValueError, match="none of its boxes belongs to an image"):
        examples(tmp_path, boxes=str(tmp_path / "boxes.csv"))


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    "<annotation><size><width>&b;</width></size></annotation>"
)


@pytest.mark.parametrize(
    "text, message",
    [
        (ENTITIES, "has a document type"),
        (ENTITIES.encode("utf-16"), "has a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><annotation/>', "has a document type"),
        ("<annotation>&xxe;</annotation>", "undefined entity"),
        ("<annotation>", "no element found"),
        ("", "no element found"),
        ("<annotation/>", "not enough values"),
        ("x" * (2**20 + 1), "more than 1048576 bytes"),
        ("<a><width>0</width><height>5</height></a>", "size is 0.0x5.0"),
        ("<a><width>nan</width><height>5</height><xmin>1</xmin></a>", "not all four corners"),
        ("<a><width>inf</width><height>5</height></a>", "size is infx5.0"),
        ("<a><width>abc</width><height>5</height></a>", "could not convert"),
    ],
)
def test_annotations_that_make_no_sense(tmp_path, text, message):
    path = tmp_path / "a.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadImageError, match=f"a.xml' cannot be used: .*{message}"):
        imagenet_boxes.read_xml(str(path))


def test_a_damaged_annotation_names_its_file(tmp_path):
    fake.write_train_folders(tmp_path / "in", TRAIN)
    path = tmp_path / "boxes" / "Annotation" / "n01440764" / "n01440764_9.xml"
    fake.write_xml(path, 64, 48, [(16, 12, 80, 48)])
    path.write_bytes(path.read_bytes()[:-30])
    source = imagenet.load(options(tmp_path / "in", boxes=str(tmp_path / "boxes")))
    item = next(item for item in source.items if item.image_id.endswith("_9.JPEG"))
    with pytest.raises(BadImageError, match="n01440764_9.xml' cannot be used"):
        source.read(item)


def test_a_bucket_is_read_like_a_folder(truth, tmp_path):
    """TensorFlow's file system in memory stands for gs://: nothing else can open it."""
    root = "ram://test_imagenet"
    fake.write_train_tar(tmp_path, {"n01440764": TRAIN["n01440764"]})
    fake.write_lines(tmp_path / "LOC_val_solution.csv", truth)
    fake.write_box_csv(tmp_path / "boxes.csv", {"n01440764_9": [(0, 0, 0.5, 0.5)]})
    fake.write_val_flat(tmp_path, VAL)
    for path in [*tmp_path.iterdir(), *(tmp_path / "val").iterdir()]:
        if path.is_file():
            with tf.io.gfile.GFile(f"{root}/{path.relative_to(tmp_path)}", "wb") as file:
                file.write(path.read_bytes())
    found = examples(root, boxes=f"{root}/boxes.csv")
    assert len(found) == 6
    assert found["train/n01440764/n01440764_9.JPEG"].participant_maps[0].sum() == 12 * 16
    assert (
        found["train/n01440764/n01440764_10026.JPEG"].image
        == TRAIN["n01440764"]["n01440764_10026.JPEG"]
    )
    tar = f"{root}/ILSVRC2012_img_train.tar"
    data = (tmp_path / "ILSVRC2012_img_train.tar").read_bytes()
    tf.io.gfile.remove(tar)  # this file system would keep the old end
    with tf.io.gfile.GFile(tar, "wb") as file:
        file.write(data[: len(data) // 10])
    with pytest.raises(ValueError, match=r"train.tar'.*(cut off|claims)"):
        examples(root)


def test_it_is_in_the_table():
    assert "imagenet" in sources.SOURCES
    for name in sources.SOURCES["imagenet"].reads:
        assert hasattr(sources.SourceOptions(), name)


def test_real_images(real_data, tmp_path):
    """Ten of the public sample, laid out as train folders."""
    for path in sorted((real_data / "imagenet_sample").glob("*.JPEG"))[:10]:
        wnid = path.stem.split("_")[0]
        fake.write_files(tmp_path / "train" / wnid, {path.name: path.read_bytes()})
    found = examples(tmp_path)
    assert len(found) == 10
    assert all(name.split("/")[1] == WNIDS[e.label] for name, e in found.items())


@pytest.mark.parametrize(
    "name", ["ILSVRC2012_val_00000001_n01751748.JPEG", "n01751748_sea_snake.JPEG"]
)
def test_names_that_hold_their_class_need_no_list(tmp_path, name):
    write_image(tmp_path / "val" / name, 0)
    (item,) = imagenet.load(options(tmp_path)).items
    assert json.loads(item.key)[3] == imagenet_classes.wnids().index("n01751748")
    write_image(tmp_path / "val" / "holiday.JPEG", 1)
    with pytest.raises(ValueError, match="names do not tell their classes.*--ground_truth"):
        imagenet.load(options(tmp_path))
