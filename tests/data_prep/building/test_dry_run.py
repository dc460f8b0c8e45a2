"""--dry_run names all that is wrong at once and writes nothing; what is left out is counted."""

import json
import os
import re

import numpy as np
import pytest
from absl import flags
from fake_trees import build, counts, digests, read, write_classes, write_image, write_map
from PIL import Image

from data_prep.building import dry_run
from data_prep.building import flags as build_flags


def look(output_dir, *arguments, **options):
    flag_values = flags.FlagValues()
    build_flags.define(flag_values)
    options = {"output_dir": output_dir, "clickmap_grid": 8} | options
    flag_values(["x", *arguments, *(f"--{name}={value}" for name, value in options.items())])
    return dry_run.look(flag_values)


@pytest.fixture
def tree(tmp_path):
    return write_classes(tmp_path / "images", 4)


def test_everything_wrong_is_named_at_once_and_nothing_is_written(tree, tmp_path, capsys):
    (tree / "ant" / "0.jpg").write_bytes(b"no image")
    (tree / "bee" / "0.jpg").write_bytes((tree / "bee" / "2.jpg").read_bytes()[:500])
    write_map(tree / "cat" / "0.npy", np.full((24, 32), np.nan))
    write_map(tree / "cat" / "2.npy", np.ones((24, 64)))
    write_map(tree / "ant" / "2.npy", np.ones((24, 32, 1)))  # a map like any other
    (tree / "ant" / "notes.txt").write_text("x")
    (tree / "ant" / "gone.jpg").symlink_to("/nowhere/x.jpg")
    (tree / "empty").mkdir()
    write_map(tree / "bee" / "3.npy", np.ones((24, 32)))  # beside 3.png
    kwargs = {"source": "folder", "input_dir": tree, "split_proportions": "1,1,1"}
    assert not look(tmp_path / "out", "--dry_run", **kwargs)
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr().out
    for words in (
        "2 faults of the raw material end the build",
        "empty' holds no",
        "stem '3' has images ['3.jpg'] and maps ",
        "2 images are damaged; --on_bad_image=skip",
        "ant/0.jpg",
        "bee/0.jpg",
        "2 maps cannot be used; --on_bad_map=skip",
        "768 not a number (NaN)",
        "cat/2.npy' is 24x64",
        "notes.txt",
        "gone.jpg",
        "nothing was written. The build would fail.",
    ):
        assert words in said, words
    assert " at 0x" not in said and "null" not in said and "belong to no image" not in said
    (tree / "empty").rmdir()
    (tree / "bee" / "3.npy").unlink()
    skipping = {"on_bad_image": "skip", "on_bad_map": "skip"} | kwargs
    assert look(tmp_path / "out", "--dry_run", **skipping)
    assert "would succeed" in capsys.readouterr().out
    info = build(tmp_path / "out", **skipping)
    assert sum(split.examples for split in info.splits.values()) == 10
    listed = (tmp_path / "out" / "left_out.txt").read_text()
    assert "# 2 images are damaged" in listed and "# 2 maps cannot be used" in listed
    assert "notes.txt" in listed and "gone.jpg" in listed
    rows = [row for rows in read(tmp_path / "out").values() for row in rows]
    bare = {row["image/id"].decode() for row in rows if not row["clickmap/participants"]}
    assert {"cat/0.jpg", "cat/2.jpg"} <= bare and "ant/2.jpg" not in bare
    build(
        tmp_path / "out",
        "--overwrite",
        **(skipping | {"input_dir": write_classes(tmp_path / "b", 3)}),
    )
    assert "left_out.txt" not in digests(tmp_path / "out")


def test_a_bad_map_ends_the_build_unless_it_may_be_left_out(tree, tmp_path):
    write_map(tree / "cat" / "0.npy", np.full((24, 32), np.nan))
    with pytest.raises(ValueError, match=r"cat/0.npy'.*NaN.*--on_bad_map=skip"):
        build(tmp_path / "out", source="folder", input_dir=tree, on_bad_image="skip")


def test_all_rows_of_a_list_are_named_at_once(tree, tmp_path, capsys):
    lines = ["image,xmin,ymin,xmax,ymax", "ant/0.jpg,1,1,9,9", "ant/1.jpg,9,9,1,1", "../x,1,1,2,2"]
    (tree / "boxes.csv").write_text("\n".join(lines))
    assert not look(tmp_path / "out", source="boxes", input_dir=tree, split_proportions="1,0,0")
    said = capsys.readouterr().out
    assert "2 faults" in said and "line 3" in said and "line 4" in said


def _clicks(root):
    for i in range(4):
        write_image(root / "ant" / f"{i}.jpg", i)
    lines = ["image_path,clicks,user_id", 'ant/0.jpg,"[(1, 2), (3, 4)]",1', "ant/1.jpg,x,1"]
    lines += ['ant/2.jpg,"[(1, 2), (3, 4)]",', "one field", 'ant/3.jpg,"[(1, 2), (9, 9)]",2']
    text = "\n".join(lines).encode() + b"\nant/\xff.jpg,{},3\n"
    (root.parent / "clicks.csv").write_bytes(text)
    return {"clicks_file": root.parent / "clicks.csv"}, ["line 3", "line 4", "line 5", "line 7"]


def _tiny(root):
    for name in ("train/n1/images/a.JPEG", "train/n1/images/b.JPEG", "val/images/c.JPEG"):
        write_image(root / name, len(name), 64, 64)
    (root / "wnids.txt").write_text("n1\nx1\nn1\n")
    (root / "words.txt").write_text("n2\tcat\n")
    (root / "train/n1/n1_boxes.txt").write_text(
        "a.JPEG\t0\t0\t5\nb.JPEG\t0\t0\t5\t5\n../c 1 1 2 2\n"
    )
    (root / "val/val_annotations.txt").write_text(
        "c.JPEG\tn1\t0\t0\t5\t5\nd.JPEG\tn9\t0\t0\t5\t5\n"
    )
    return {}, ["wnids.txt', line 2", "wnids.txt', line 3", "lacks n1", "line 1", "line 3", "'n9'"]


def _ground_truth(root):
    for number in (1, 2):
        write_image(root / f"val/ILSVRC2012_val_{number:08d}.JPEG", number)
    lines = ["ILSVRC2012_val_00000001.JPEG 65", "x.JPEG 5", "ILSVRC2012_val_00000001.JPEG 65"]
    (root / "val.txt").write_text("\n".join([*lines, "ILSVRC2012_val_00049000.JPEG 5000"]))
    return {}, ["line 2", "line 3", "image 49000", "_00000002.JPEG' is not in the ground truth"]


def _coco(root):
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 24, "width": 32} for i in range(3)]
    box = {"bbox": [1, 1, 5, 5], "segmentation": [[1, 1, 5, 1, 5, 5]]}
    objects = [{"id": i, "image_id": i, "category_id": 1, **box} for i in range(3)]
    objects += [{"id": 8, "image_id": 77, "category_id": 1, **box}, "no object"]
    objects += [{"id": 9, "image_id": 1, "category_id": 5, **box}]
    for image in images:
        write_image(root / "train2017" / image["file_name"], image["id"])
    listed = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "a"}]}
    (root / "annotations").mkdir()
    (root / "annotations/instances_train2017.json").write_text(json.dumps(listed))
    return {}, ["annotation id 8", "annotation id 9: category_id 5", "annotations[4] must be"]


@pytest.mark.parametrize(
    "source, write",
    [
        ("clickme_clicks", _clicks),
        ("tiny_imagenet", _tiny),
        ("imagenet", _ground_truth),
        ("coco", _coco),
    ],
)
def test_a_dry_run_names_the_faults_of_every_row(tmp_path, capsys, source, write):
    (tmp_path / "in").mkdir()
    more, words = write(tmp_path / "in")
    assert not look(tmp_path / "out", source=source, input_dir=tmp_path / "in", **more)
    said = capsys.readouterr().out
    assert f"{len(words)} faults of the raw material" in said, said
    for word in words:
        assert word in said, word
    assert "would fail" in said or "No image was read" in said
    with pytest.raises(ValueError):  # a build ends at the first
        build(tmp_path / "out", source=source, input_dir=tmp_path / "in", **more)


def test_very_many_faults_go_into_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dry_run, "MOST_SHOWN", 3)
    more, words = _clicks(tmp_path / "in")
    assert not look(tmp_path / "out", source="clickme_clicks", input_dir=tmp_path / "in", **more)
    said = capsys.readouterr().out
    (path,) = re.findall(r"4 faults .* \(all of them: (\S+)\):", said)
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    os.remove(path)
    assert len(lines) == 4 and all(word in line for word, line in zip(words, lines, strict=True))


@pytest.mark.parametrize("source", ["boxes", "coco", "tiny_imagenet"])
def test_images_on_no_list_are_named(tmp_path, caplog, source):
    root = tmp_path / "in"
    if source == "boxes":
        write_classes(root, 4)
        (root / "boxes.csv").write_text("image,xmin,ymin,xmax,ymax\nant/0.jpg,1,1,9,9\n")
        lone = ["ant/1.jpg", "cat/3.png"]
    elif source == "coco":
        root.mkdir()
        _coco(root)
        path = root / "annotations/instances_train2017.json"
        listed = json.loads(path.read_text())
        path.write_text(json.dumps({**listed, "annotations": listed["annotations"][:3]}))
        lone = ["train2017/cr\u00e8me.jpg", "train2017/deep/9.png"]
    else:
        root.mkdir()
        _tiny(root)
        (root / "wnids.txt").write_text("n1\n")
        (root / "words.txt").write_text("n1\tcat\n")
        (root / "train/n1/n1_boxes.txt").write_text("a.JPEG\t0\t0\t5\t5\n")
        (root / "val/val_annotations.txt").write_text("c.JPEG\tn1\t0\t0\t5\t5\n")
        lone = ["train/n1/images/b.JPEG", "train/n7/images/x.JPEG", "val/images/e.png"]
    for name in lone:
        write_image(root / name, len(name))
    flags = (
        {"validation_fraction": 0} if source == "tiny_imagenet" else {"split_proportions": "1,0,0"}
    )
    flags = {} if source == "coco" else flags
    with caplog.at_level("WARNING", logger="absl"):
        build(tmp_path / "out", source=source, input_dir=root, **flags)
    assert "image files are on no list; left out: " in caplog.text
    listed = (tmp_path / "out" / "left_out.txt").read_text()
    for name in lone:
        assert name in listed, listed
    assert "ant/0.jpg" not in listed and "train2017/0.jpg" not in listed


def test_an_empty_outline_leaves_out_its_image_or_its_map(tmp_path):
    images, objects = [], []
    for i in range(4):
        write_image(tmp_path / "in" / "train2017" / f"{i}.jpg", i)
        images.append({"id": i, "file_name": f"{i}.jpg", "height": 24, "width": 32})
        outline = [[5, 5, 25, 5, 25, 20]] if i else []
        objects.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [5, 5, 9, 9],
                "segmentation": outline,
            }
        )
    (tmp_path / "in" / "annotations").mkdir()
    listed = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "in" / "annotations" / "instances_train2017.json").write_text(json.dumps(listed))
    kwargs = {"source": "coco", "input_dir": tmp_path / "in"}
    for flag, number in (("on_bad_image", 3), ("on_bad_map", 4)):
        info = build(tmp_path / flag, **kwargs, **{flag: "skip"})
        assert (info.splits["train"].examples, info.splits["train"].with_clickmap) == (number, 3)
    with pytest.raises(
        ValueError, match="annotation id 0.*got .*on_bad_map=skip.*on_bad_image=skip"
    ):
        build(tmp_path / "out", **kwargs)


def test_a_class_name_that_is_no_text_is_refused_before_the_build(tmp_path):
    (tmp_path / "in").mkdir()
    _coco(tmp_path / "in")
    path = tmp_path / "in/annotations/instances_train2017.json"
    listed = json.loads(path.read_text())
    listed |= {"annotations": listed["annotations"][:3]}
    listed["categories"][0]["name"] = "caf\udce9"
    path.write_text(json.dumps(listed))
    with pytest.raises(ValueError, match=r"Class names must be text, got \['caf\\udce9'\]"):
        build(tmp_path / "out", source="coco", input_dir=tmp_path / "in")
    assert not (tmp_path / "out").exists()


def test_what_is_neither_file_nor_folder_is_named(tree, tmp_path, caplog):
    os.mkfifo(tree / "ant" / "pipe.jpg")
    (tree / os.fsdecode(b"ant/caf\xe9.jpg")).write_bytes((tree / "ant/0.jpg").read_bytes())
    with caplog.at_level("WARNING", logger="absl"):
        build(tmp_path / "out", source="folder", input_dir=tree)
    listed = (tmp_path / "out" / "left_out.txt").read_text()
    assert "ant/pipe.jpg" in listed and "ant/caf\\xe9.jpg" in listed


def test_too_few_images_for_a_validation_split_are_said_before_the_build(tree, tmp_path, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        build(tmp_path / "out", source="folder", input_dir=tree)
    assert "No image falls into split test: 12 images are too few" in caplog.text
    assert "--split_proportions=8,1,1" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING", logger="absl"):
        build(tmp_path / "two", source="folder", input_dir=tree, split_proportions="8,1,1")
    assert "No image falls" not in caplog.text
    with caplog.at_level("WARNING", logger="absl"):
        build(tmp_path / "one", source="folder", input_dir=tree, split_proportions="1,0,0")
    assert "validation or test: --split_proportions=1,0,0 leaves it empty" in caplog.text
    assert "Training then needs --validation_split=" in caplog.text


def test_maps_of_every_format_are_read_and_lossy_ones_said(tmp_path, caplog):
    for i, ending in enumerate(("jpg", "bmp", "tif", "PNG", "npy")):
        write_image(tmp_path / "in" / "ant" / f"{i}.jpg", i)
        path = tmp_path / "maps" / "ant" / f"{i}.{ending}"
        write_map(path, counts(i) * 40)
    with caplog.at_level("WARNING", logger="absl"):
        info = build(
            tmp_path / "out",
            source="folder",
            input_dir=tmp_path / "in",
            maps_dir=tmp_path / "maps",
            split_proportions="1,0,0",
        )
    assert info.splits["train"].with_clickmap == 5
    assert "1 maps are JPEG or WebP files" in caplog.text and "0.jpg" in caplog.text


def test_images_of_every_format_and_depth_of_folder_are_taken(tmp_path, caplog):
    names = ("a.jpg", "b.webp", "c.bmp", "d.jfif", "e.gif", "f.TIF", "g.JPEG", "batch/h.png")
    for i, name in enumerate(names):
        path = tmp_path / "in" / "ant" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i * 30, 9, 9)).save(path, "JPEG" if "jfif" in name else None)
    with caplog.at_level("WARNING", logger="absl"):
        info = build(
            tmp_path / "out", source="folder", input_dir=tmp_path / "in", split_proportions="1,0,0"
        )
    assert info.splits["train"].examples == len(names)
    assert "1 images lie in folders inside class folders" in caplog.text
    assert "ant/batch (1)" in caplog.text
