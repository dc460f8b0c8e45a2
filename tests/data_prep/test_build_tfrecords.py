"""The builder, on tiny fake trees: the same bytes every time, no image in two splits."""

import dataclasses
import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from fake_trees import build, digests, read, write_classes, write_image, write_map
from PIL import Image

from data_prep.building import encoding, finish, shards, summary
from data_prep.building import flags as build_flags
from data_prep.sources import SOURCES, SourceOptions, folder, load_source
from gala_tf.command_line import help_page
from gala_tf.data import clickmaps, dataset_info, records
from gala_tf.data.images import BadImageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """Three classes of eight images; every other image has a map."""
    return write_classes(tmp_path / "images", 8)


def test_folder_builds_what_the_tree_holds(tree, tmp_path):
    info = build(tmp_path / "out", source="folder", input_dir=tree, split_proportions="2,1,1")
    assert dataset_info.load_info(str(tmp_path / "out")) == info
    assert info.class_names == ("ant", "bee", "cat")
    found = read(tmp_path / "out")
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 12,
        "validation": 6,
        "test": 6,
    }
    seen = set()
    for split, rows in found.items():
        assert info.splits[split].with_clickmap == sum(r["clickmap/counts"] != b"" for r in rows)
        for row in rows:
            name = row["image/id"].decode()
            seen.add(name)
            assert row["image/encoded"] == (tree / name).read_bytes()
            assert info.class_names[row["image/class/label"]] == name.split("/")[0]
            has_map = int(name.split("/")[1][0]) % 2
            assert row["clickmap/participants"] == has_map
            if has_map:
                expected = np.asarray(Image.open((tree / name).with_suffix(".png")))
                np.testing.assert_array_equal(
                    records.decode_counts(row["clickmap/counts"], 24, 32), expected
                )
                np.testing.assert_array_equal(
                    records.decode_blurred(row["clickmap/blurred"], 8),
                    encoding.blurred_grid(expected, "box:49", 8),
                )
                np.testing.assert_allclose(
                    row["clickmap/box"], clickmaps.extent_box(expected), rtol=1e-6
                )
    assert len(seen) == 24  # each image once, in one split
    assert info.clickmap_blur == "box:49" and info.image.min_height == 24


def test_same_command_same_bytes_and_the_seed_matters(tree, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        build(tmp_path / name, source="folder", input_dir=tree, seed=seed, num_shards=3)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert digests(tmp_path / "one") != digests(tmp_path / "three")
    names = [name for name in digests(tmp_path / "one") if name.startswith("train")]
    assert names == [f"train-0000{i}-of-00003.tfrecord" for i in range(3)]


def test_every_shard_has_every_class(tree, tmp_path):
    info = build(
        tmp_path / "out", source="folder", input_dir=tree, num_shards=3, split_proportions="1,0,0"
    )
    for path in dataset_info.check_shards(str(tmp_path / "out"), info, "train"):
        labels = [
            int(records.parse_example(s)["image/class/label"])
            for s in tf.data.TFRecordDataset(path)
        ]
        assert len(labels) == 8 and set(labels) == {0, 1, 2}
        assert labels != sorted(labels)


def test_a_plan_written_in_pieces_gives_the_same_bytes(tree, tmp_path, monkeypatch):
    build(tmp_path / "one", source="folder", input_dir=tree)
    monkeypatch.setattr("data_prep.building.plan.FLUSH_ITEMS", 5)
    monkeypatch.setattr("data_prep.building.duplicates.AT_ONCE", 5)
    build(tmp_path / "two", source="folder", input_dir=tree)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_remote_output_gets_the_same_shards(tree, tmp_path):
    """TensorFlow's in-memory file system stands for a bucket: rename does not reach it."""
    remote = "ram://records/out"
    info = build(remote, source="folder", input_dir=tree)
    assert info == build(tmp_path / "out", source="folder", input_dir=tree)
    assert dataset_info.load_info(remote) == info
    assert len(dataset_info.check_shards(remote, info, "train")) == 8
    assert not tf.io.gfile.exists(remote + "/.building")


def test_square_storage(tree, tmp_path):
    info = build(
        tmp_path / "out",
        source="folder",
        input_dir=tree,
        image_storage="square",
        square_size=16,
        clickmap_blur="box:3",
    )
    assert info.image == dataset_info.ImageGeometry("square", 16, 16, 16, 16)
    for row in read(tmp_path / "out")["train"]:
        assert records.decode_counts(row["clickmap/counts"] or b"", 16, 16).shape == (16, 16)
        assert tf.io.decode_jpeg(row["image/encoded"]).shape == (16, 16, 3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"source": "imagenette"}, "'imagenette' is unknown; known sources: quickstart, folder"),
        ({"source": "folder"}, "give their --input_dir"),
        ({"source": "quickstart", "input_dir": "x"}, "--input_dir means nothing to .*quickstart"),
        ({"source": "quickstart", "output_dir": ""}, "--output_dir is missing"),
        ({"source": "quickstart", "num_shards": 0}, "--num_shards must be at least 1, got 0"),
        ({"source": "quickstart", "clickmap_blur": "box:4"}, "box:4"),
        ({"source": "quickstart", "square_size": 64}, "--square_size means nothing without --ima"),
        (
            {"source": "quickstart", "image_storage": "square", "square_size": 8193},
            "--square_size must be at most 8192, got 8193",
        ),
        ({"source": "folder", "input_dir": "x", "split_proportions": "a,b"}, "list of numbers"),
    ],
)
def test_flags_that_make_no_sense(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**({"output_dir": tmp_path / "out"} | arguments))
    assert not (tmp_path / "out").exists()


def test_every_source_is_reachable_and_names_a_blur():
    for name, entry in SOURCES.items():
        clickmaps.parse_blur(entry.clickmap_blur)
        assert set(entry.reads) <= set(SourceOptions.__dataclass_fields__), name
    with pytest.raises(ValueError, match="unknown; known sources"):
        load_source("nothing", SourceOptions())


def test_an_existing_data_set_is_replaced_only_when_asked(tree, tmp_path):
    out = tmp_path / "out"
    build(out, source="folder", input_dir=tree, num_shards=4)
    (out / "mine.txt").write_text("stays")
    before = digests(out)
    with pytest.raises(ValueError, match="already holds a data set.*--overwrite"):
        build(out, source="folder", input_dir=tree)
    assert digests(out) == before
    build(out, "--overwrite", source="folder", input_dir=tree, num_shards=2)
    names = list(digests(out))
    assert "mine.txt" in names and "train-00001-of-00002.tfrecord" in names
    assert not any("of-00004" in name for name in names)
    assert read(out)["train"]


def test_a_failed_build_leaves_nothing_and_harms_nothing(tree, tmp_path):
    out = tmp_path / "out"
    build(out, source="folder", input_dir=tree)
    before = digests(out)
    whole = (tree / "cat" / "7.jpg").read_bytes()
    (tree / "cat" / "7.jpg").write_bytes(whole[:300])
    with pytest.raises(ValueError, match="'cat/7.jpg' .*cannot be opened.*--on_bad_image=skip"):
        build(out, "--overwrite", source="folder", input_dir=tree, num_shards=1)
    assert digests(out) == before
    with pytest.raises(ValueError, match="'cat/7.jpg'"):
        build(tmp_path / "new", source="folder", input_dir=tree, num_shards=1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "error", [BadImageError("bad"), OSError(errno.ENOSPC, "bad", "x")], ids=["image", "full disk"]
)
def test_finished_shards_are_kept_and_not_made_again(
    tree, tmp_path, monkeypatch, caplog, capsys, error
):
    """The last of three shards fails; the image is mended; the build goes on from there."""
    kwargs = {"source": "folder", "input_dir": tree, "num_shards": 3, "split_proportions": "1,0,0"}
    build(tmp_path / "whole", **kwargs)
    out = tmp_path / "out"
    made, broken = [], True
    encode = encoding.encode

    def fails_in_the_last(example, storage):
        made.append(example.image_id)
        if broken and len(made) > 16:
            raise error
        return encode(example, storage)

    monkeypatch.setattr(encoding, "encode", fails_in_the_last)
    ended = pytest.raises((ValueError, OSError), match="bad")
    with caplog.at_level("WARNING", logger="absl"), ended:
        build(out, **kwargs)
    assert "2 of 3 shards are finished and kept" in caplog.text
    assert sorted(digests(out / ".building"))[:2] == ["lock", "train-00000-of-00003.tfrecord"]
    with pytest.raises(ValueError, match=r"unfinished build that differs in seed \(0 there, 1 now"):
        build(out, seed=1, **kwargs)
    broken = False
    made.clear()
    build(out, **kwargs)
    assert "going on: 2 shards are finished" in capsys.readouterr().out
    assert len(made) == 8
    assert digests(out) == digests(tmp_path / "whole")
    assert not (out / ".building").exists()


def test_an_unfinished_build_of_other_flags_is_discarded_only_when_asked(tree, tmp_path):
    kwargs = {"source": "folder", "input_dir": tree}
    build(tmp_path / "whole", **kwargs)
    leave_unfinished(tmp_path / "out", tree)
    with pytest.raises(ValueError, match="--overwrite to discard"):
        build(tmp_path / "out", **kwargs)
    build(tmp_path / "out", "--overwrite", **kwargs)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def leave_unfinished(out, tree):
    """A build with another seed, stopped after its first shard."""
    make = shards.ShardJob.make

    def once(self, split, index, progress=lambda: None):
        if any(self.finished(s, i) for s, n in self.shards.items() for i in range(n)):
            raise ValueError("stopped here")
        make(self, split, index, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards.ShardJob, "make", once)
        with pytest.raises(ValueError, match="stopped here"):
            build(out, source="folder", input_dir=tree, seed=7)


def test_two_builds_at_once_are_refused(tree, tmp_path):
    import fcntl

    (tmp_path / "out" / ".building").mkdir(parents=True)
    with open(tmp_path / "out" / ".building" / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="Another build is writing in"):
            build(tmp_path / "out", source="folder", input_dir=tree)
    build(tmp_path / "out", source="folder", input_dir=tree)  # what a killed build left: no lock


def test_an_image_that_vanished_is_named(tree, tmp_path, monkeypatch):
    leave_unfinished(tmp_path / "out", tree)
    for path in (tree / "cat").iterdir():
        path.unlink()
    for i in range(8):
        write_image(tree / "cat" / f"{i}x.jpg", i)
    with pytest.raises(ValueError, match=r"'cat/\d.jpg' was there when .* planned, and is gone"):
        build(tmp_path / "out", source="folder", input_dir=tree, seed=7)


@pytest.mark.parametrize("moves", range(4))
def test_a_build_killed_while_publishing_goes_on(tree, tmp_path, monkeypatch, moves):
    """Stopped after the old description went and some shards came; an old data set was there."""
    kwargs = {"source": "folder", "input_dir": tree, "num_shards": 3, "num_eval_shards": 1}
    build(tmp_path / "whole", **kwargs)
    out = tmp_path / "out"
    build(out, **kwargs, seed=5)
    move = finish.move
    calls = []

    def dies(*args):
        if len(calls) == moves:
            raise KeyboardInterrupt
        calls.append(args)
        return move(*args)

    monkeypatch.setattr(finish, "move", dies)
    with pytest.raises(KeyboardInterrupt):
        build(out, "--overwrite", **kwargs)
    assert not (out / "dataset_info.json").exists()
    monkeypatch.setattr(finish, "move", move)
    build(out, **kwargs)  # no --overwrite: the shards there are its own
    assert digests(out) == digests(tmp_path / "whole")


def test_damaged_images_can_be_left_out(tree, tmp_path, caplog):
    (tree / "cat" / "7.jpg").write_bytes(b"no image at all")  # it has a map
    with caplog.at_level("WARNING", logger="absl"):
        info = build(tmp_path / "out", source="folder", input_dir=tree, on_bad_image="skip")
    assert sum(split.examples for split in info.splits.values()) == 23
    assert "1 damaged images were left out" in caplog.text and "cat/7.jpg" in caplog.text


def test_a_split_whose_images_are_all_left_out_is_no_split(tmp_path):
    """Its empty shard lay there unlisted, so that nobody could read the data set."""
    for seed, top in enumerate(("train", "test")):
        write_image(tmp_path / "in" / top / "ant" / "a.jpg", seed)
    (tmp_path / "in" / "test" / "ant" / "a.jpg").write_bytes(b"no image at all")
    kwargs = {"source": "folder", "input_dir": tmp_path / "in", "on_bad_image": "skip"}
    assert list(build(tmp_path / "out", **kwargs).splits) == ["train"]
    assert list(read(tmp_path / "out")) == ["train"]
    (tmp_path / "in" / "train" / "ant" / "a.jpg").write_bytes(b"no image at all")
    before = digests(tmp_path / "out")
    with pytest.raises(ValueError, match="gave no image that could be written"):
        build(tmp_path / "out", overwrite=True, **kwargs)
    assert digests(tmp_path / "out") == before


def test_skipping_begun_cannot_be_taken_back(tree, tmp_path, monkeypatch):
    (tree / "cat" / "7.jpg").write_bytes(b"no image at all")
    kwargs = {"source": "folder", "input_dir": tree}
    with monkeypatch.context() as patch:
        patch.setattr(finish, "clear", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(tmp_path / "out", on_bad_image="skip", **kwargs)
    with pytest.raises(ValueError, match="1 damaged images were left out when this build was beg"):
        build(tmp_path / "out", **kwargs)
    build(tmp_path / "out", on_bad_image="skip", **kwargs)


def test_the_same_picture_in_two_splits(tmp_path, caplog):
    root = tmp_path / "images"
    write_image(root / "train" / "ant" / "a.png", 0)
    write_image(root / "train" / "ant" / "b.png", 1)
    write_image(root / "train" / "ant" / "c.png", 1)  # repeats b, in the same split
    (root / "test" / "ant").mkdir(parents=True)
    # Another file of the same pixels.
    image = Image.open(root / "train" / "ant" / "a.png")
    image.save(root / "test" / "ant" / "z.png", compress_level=1)
    with pytest.raises(
        ValueError, match=r"'train/ant/a.png' \(train\) and 'test/ant/z.png' \(test\) show the same"
    ):
        build(tmp_path / "out", source="folder", input_dir=root)
    with caplog.at_level("WARNING", logger="absl"):
        info = build(tmp_path / "out", source="folder", input_dir=root, on_duplicate="drop")
    assert {name: split.examples for name, split in info.splits.items()} == {"train": 2, "test": 1}
    assert "train/ant/a.png (train) = test/ant/z.png (test)" in caplog.text
    assert "1 images repeat another of their split" in caplog.text


@pytest.mark.parametrize(
    "change, message",
    [
        ({"label": 3}, "'ant/0.jpg': label 3, but there are only 3 classes"),
        ({"split": "dev"}, r"'ant/0.jpg' \(train\) was listed, .* \(dev\) was read"),
        ({"image_id": "x"}, "'ant/0.jpg' .* was listed, 'x' .* was read"),
    ],
)
def test_sources_gone_wrong_are_named(tree, tmp_path, monkeypatch, change, message):
    read_one = folder._read

    def wrong(root, labels, item):
        example = read_one(root, labels, item)
        is_first = item.image_id == "ant/0.jpg"
        return dataclasses.replace(example, **change) if is_first else example

    monkeypatch.setattr(folder, "_read", wrong)
    with pytest.raises(ValueError, match=message):
        build(tmp_path / "out", source="folder", input_dir=tree, split_proportions="1,0,0")


def test_an_empty_map_is_a_map_without_extent(tmp_path):
    root = tmp_path / "in"
    write_image(root / "ant" / "a.jpg", 0)
    write_map(root / "ant" / "a.png", np.zeros((24, 32), np.uint8))
    info = build(tmp_path / "out", source="folder", input_dir=root, split_proportions="1,0,0")
    (row,) = read(tmp_path / "out")["train"]
    assert info.splits["train"].with_clickmap == 0
    assert row["clickmap/counts"] != b"" and not row["clickmap/box"].any()
    assert row["clickmap/blurred"] == bytes(64)


def test_table_has_a_line_for_each_split(tree, tmp_path):
    info = build(tmp_path / "out", source="folder", input_dir=tree, split_proportions="2,1,1")
    lines = summary.format_table(info).splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        [name, str(s.examples), str(s.with_clickmap), f"{s.classes}/3"]
        for name, s in info.splits.items()
    ]


def test_help_names_sources_and_lists_all_flags():
    flag_values = flags.FlagValues()
    build_flags.define(flag_values)
    page = help_page.page("", flag_values, build_flags.sources_text(), full=True)
    for name in SOURCES:
        assert f"\n  {name} " in page
    for kind in (build_flags.BuildOptions, SourceOptions):
        for field in dataclasses.fields(kind):
            assert f"\n  --{field.name}" in page


@pytest.mark.slow
def test_the_command_ends_with_a_message_not_a_traceback(tmp_path):
    words = ["-m", "data_prep.build_tfrecords", "--source=x", f"--output_dir={tmp_path / 'out'}"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: --source='x' is unknown" in done.stderr and "Traceback" not in done.stderr


def test_real_photographs_build(real_data, tmp_path):
    """Twelve of the sample, grey and small ones among them, one a class, some with maps."""
    root = tmp_path / "images"
    files = sorted((real_data / "imagenet_sample").iterdir())
    grey = [f for f in files if Image.open(f).mode == "L"][:2]
    small = sorted(files, key=lambda f: min(Image.open(f).size))[:2]
    for path in {*files[:8], *grey, *small}:
        target = root / path.stem / path.name
        target.parent.mkdir(parents=True)
        target.write_bytes(path.read_bytes())
    write_map(
        root / files[0].stem / f"{files[0].stem}.npy",
        np.ones(Image.open(files[0]).size[::-1], np.int64),
    )
    for storage in ("original", "square"):
        info = build(
            tmp_path / storage,
            source="folder",
            input_dir=root,
            image_storage=storage,
            split_proportions="1,0,0",
        )
        rows = read(tmp_path / storage, info)["train"]
        assert len(rows) == len(list(root.iterdir()))
        for row in rows:
            image = tf.io.decode_and_crop_jpeg(
                row["image/encoded"],
                [0, 0, int(row["image/height"]), int(row["image/width"])],
                channels=3,
            )
            if storage == "square":
                assert image.shape == (256, 256, 3)
