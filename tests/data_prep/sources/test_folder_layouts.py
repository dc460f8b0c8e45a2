"""Folders as people have them: splits above, below or misspelt, hidden files, systems' own."""

import os
import re

import numpy as np
import pytest
from absl import flags, logging
from fake_trees import counts, options, write_image, write_map
from PIL import Image

from data_prep.building import flags as build_flags
from data_prep.building import plan, summary
from data_prep.readers import listing
from data_prep.sources import folder
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import BadMapError

SPLITS = ("train", "train", "validation", "test")


@pytest.fixture
def tree(tmp_path):
    """`place(pattern)` lays out two classes of four images: {c} the class, {s} the split, {i}."""

    def place(pattern, maps=""):
        for c, name in enumerate(("ant", "bee")):
            for i, split in enumerate(SPLITS):
                words = {"c": name, "s": split, "i": i}
                write_image(tmp_path / "images" / f"{pattern.format(**words)}.jpg", 10 * c + i)
                if maps:
                    write_map(tmp_path / "maps" / f"{maps.format(**words)}.png", counts(10 * c + i))
        return tmp_path / "images"

    return place


def load(root, maps=False, **more):
    """(source, {why: names left out}) of a tree."""
    with listing.recorded() as record:
        source = folder.load(options(root, maps_dir=str(root.parent / "maps") * maps, **more))
        items = list(source.items)
    return source, items, record.left_out


@pytest.mark.parametrize("names", [("Train", "VAL", "Test"), ("training", "valid", "testing")])
def test_split_folders_by_other_names(tree, names):
    root = tree("{s}/{c}/{i}")
    for old, new in zip(("train", "validation", "test"), names, strict=True):
        os.rename(root / old, root / new)
    source, items, _ = load(root)
    assert source.class_names == ("ant", "bee")
    assert sorted(item.split for item in items) == sorted(2 * SPLITS)


def test_proportions_beside_split_folders_are_said_to_mean_nothing(tree, tmp_path, caplog):
    flag_values = flags.FlagValues()
    build_flags.define(flag_values)
    flag_values(["", "--source=folder", "--split_proportions=8,1,1"])
    source, items, _ = load(tree("{s}/{c}/{i}"))
    images = {"train": 4, "validation": 2, "test": 2}
    with caplog.at_level("WARNING", logger="absl"):
        summary.say_missing_splits(flag_values, source, plan.BuildPlan({}, images, images))
    assert "--split_proportions means nothing here: splits are as in the folders" in caplog.text


def test_a_class_may_be_called_train(tree):
    root = tree("{c}/{i}")
    os.rename(root / "bee", root / "train")
    assert load(root)[0].class_names == ("ant", "train")


@pytest.mark.parametrize(
    "pattern, message",
    [
        (
            "{c}/{s}/{i}",
            r"splits test, train, validation inside its .* validation/ant/, not ant/",
        ),
        ("all/{c}/{i}", r"holds one folder, of which ant, bee .* Give --input_dir=.*images/all\."),
        ("{s}/{c}{i}", "holds no class folders with images"),
    ],
)
def test_levels_that_are_reversed_or_too_many(tree, pattern, message):
    with pytest.raises(ValueError, match=message):
        load(tree(pattern))


def test_maps_that_are_none_and_the_images_themselves(tree, tmp_path):
    root = tree("{c}/{i}")
    (tmp_path / "maps").mkdir()
    with pytest.raises(ValueError, match="--maps_dir=.* holds no map, .* or leave out the flag"):
        load(root, maps=True)
    np.savez(tmp_path / "maps/0.npz", counts())
    with pytest.raises(ValueError, match=r"holds no map, .*; it has '.*0\.npz'\. Convert them"):
        load(root, maps=True)
    os.rename(tmp_path / "maps", tmp_path / "away")
    (tmp_path / "maps").symlink_to(root)
    with pytest.raises(ValueError, match="--maps_dir=.* is --input_dir: images would be their own"):
        load(root, maps=True)


def test_what_is_hidden_or_leads_back_is_named(tree):
    root = tree("{c}/{i}")
    for name in (".cat/0.jpg", "ant/.0.jpg", "ant/.thumbnails/0.jpg", "__MACOSX/ant/._0.jpg"):
        write_image(root / name, 5)
    for name in (".DS_Store", "ant/.DS_Store", "ant/._0.jpg", "bee/._1.jpg"):  # nobody's loss
        (root / name).write_bytes(b"\0\5\x16\7")
    for name, target in {"up": root, "self": root / "ant", "none": root / "x"}.items():
        (root / "ant" / name).symlink_to(target)
    (root / "an").mkdir()
    write_image(root / "an/9.jpg", 6)
    (root / "ant/more").symlink_to(root / "an")  # a folder beside, whose name begins alike
    source, items, left_out = load(root)
    assert source.class_names == ("an", "ant", "bee")
    assert len(items) == 10 and {"an/9.jpg", "ant/more/9.jpg"} <= {item.image_id for item in items}
    found = {os.path.relpath(path, root) for paths in left_out.values() for path in paths}
    assert found == {
        *(".cat", "ant/.0.jpg", "ant/.thumbnails", "__MACOSX", "ant/up", "ant/self", "ant/none")
    }


def test_a_map_of_several_frames_is_no_map(tree, tmp_path):
    """The other participants would be lost."""
    root = tree("{c}/{i}", maps="{c}/{i}")
    (tmp_path / "maps/ant/0.png").unlink()
    frames = [Image.fromarray(np.full((24, 32), value, np.uint8)) for value in (1, 200)]
    frames[0].save(tmp_path / "maps/ant/0.gif", save_all=True, append_images=frames[1:])
    source, items, _ = load(root, maps=True)
    with pytest.raises(BadMapError, match=r"0\.gif.* 2 frames; save partici"):
        source.read(next(item for item in items if item.image_id == "ant/0.jpg"))


def test_a_damaged_image_is_not_its_maps_fault(tree):
    root = tree("{c}/{i}", maps="{c}/{i}")
    (root / "ant/0.jpg").write_bytes(b"<html>")
    source, items, _ = load(root, maps=True)
    with pytest.raises(BadImageError) as caught:
        source.read(next(item for item in items if item.image_id == "ant/0.jpg"))
    assert not isinstance(caught.value, BadMapError)


@pytest.mark.parametrize(
    "names, said",
    [
        (("ant",), "one class, 'ant'"),
        (("Ant", "ant", "bee"), r"alone: \['Ant', 'ant'\]"),
        (("ant", "ant ", "bee"), r"alone: \['ant', 'ant '\]"),
        (("ant", "bee"), ""),
    ],
)
def test_classes_that_nobody_meant(names, said, caplog):
    with caplog.at_level(logging.WARNING):
        summary.say_classes(names)
    assert bool(caplog.records) == bool(said)
    assert not said or re.search(said, caplog.text)
