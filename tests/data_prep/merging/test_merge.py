"""Merging: maps of one source on the images of another, found by name or by the picture."""

import csv
import functools
import itertools
import json
import pickle

import numpy as np
import pytest
from photographs import Resampling, central_square, jpeg, photograph, squashed
from PIL import Image

from data_prep.maps import geometry
from data_prep.merging import content_join, map_frames, merge, pair, source_hashes
from data_prep.readers.imagenet.imagenet_classes import LABEL_ORDERS
from data_prep.sources import Item, Source, SourceOptions
from gala_tf.data import schema
from gala_tf.data.images import BadImageError, decode_image

NAMES = ("ant", "bee", "cat")
SIZES = ((150, 200), (210, 160), (180, 180))


def read_image(root, item):
    """A base: JPEG files; the key is `label file`."""
    label, file = item.key.split(" ", 1)
    data = (root / file).read_bytes()
    return schema.Example(item.image_id, data, int(label), split=item.split)


def read_map(root, item):
    """Maps: the key names an NPZ file of image, maps [P, h, w], label and clicks."""
    with np.load(root / item.key, allow_pickle=False) as arrays:
        if arrays["image"].shape == (1,):
            raise BadImageError(f"{item.image_id!r} is damaged")
        return schema.Example(
            item.image_id,
            arrays["image"] if arrays["image"].size else b"",
            int(arrays["label"]),
            tuple(arrays["maps"]),
            int(arrays["clicks"]),
            item.split,
        )


def counts(seed, height=256, width=256):
    return np.random.default_rng(seed).integers(0, 9, (height, width))


class World:
    """Nine photographs in three classes, and map records made of some of them."""

    def __init__(self, root):
        self.root, self.base_items, self.map_items = root, [], []
        for number in range(9):
            self.add_image(number)

    def add_image(self, seed, name=None, split="train", label=None, picture=None):
        label = seed % 3 if label is None else label
        picture = picture or photograph(seed, *SIZES[seed // 3 % 3])
        name = name or f"{NAMES[label]}/{seed}.jpg"
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture if isinstance(picture, bytes) else jpeg(picture))
        self.base_items.append(Item(name, split, f"{label} {name}"))

    def add_map(
        self, seed, picture=None, label=None, maps=None, name=None, clicks=1, split="train"
    ):
        number = len(self.map_items)
        if picture is None:
            picture = np.asarray(central_square(photograph(seed, *SIZES[seed // 3 % 3])))
        maps = counts(number)[None] if maps is None else maps
        label = seed % 3 if label is None else label
        file = f"{number}.npz"
        np.savez(self.root / file, image=picture, maps=maps, label=label, clicks=clicks)
        self.map_items.append(Item(name or f"archive/{number}", split, file))

    def base(self):
        read = functools.partial(read_image, self.root)
        return Source(NAMES, iter(self.base_items), read, "by hand")

    def maps(self, names=NAMES):
        read = functools.partial(read_map, self.root)
        return Source(names, iter(self.map_items), read, "theirs", {"value": 0.58})

    def merge(self, names=NAMES, **options):
        return merge.merge(self.base(), self.maps(names), **options)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def examples(source):
    read = pickle.loads(pickle.dumps(source.read))
    return {item.image_id: read(item) for item in source.items}


def test_the_square_of_a_laid_map_is_the_map_again():
    for side in (7, 8):
        for height, width in itertools.product(range(side, 34), repeat=2):
            original = np.arange(1, side * side + 1).reshape(side, side)
            laid = map_frames.lay(original, height, width, "crop", "m")
            assert laid.shape == (height, width)
            example = schema.Example("x", b"", 0, (laid,))
            square, _ = geometry.square_example(example, Image.new("RGB", (width, height)), side)
            np.testing.assert_array_equal(square.participant_maps[0], original)
            covered = (laid > 0).sum()
            assert covered == min(height, width) ** 2  # and no more than the central square


def test_frames_by_hand():
    one = np.array([[1, 2], [3, 4]])
    crop = map_frames.lay(one, 2, 4, "crop", "m")
    np.testing.assert_array_equal(crop, [[0, 1, 2, 0], [0, 3, 4, 0]])
    squash = map_frames.lay(one, 2, 4, "squash", "m")
    np.testing.assert_array_equal(squash, [[1, 1, 2, 2], [3, 3, 4, 4]])
    inner = map_frames.lay(np.ones((7, 7), int), 8, 10, "crop224", "m")
    assert inner.sum() == 49 and inner[:7, 1:8].all() or inner[1:, 2:9].all()
    exact = map_frames.lay(np.ones((224, 224), int), 256, 300, "crop224", "m")
    assert exact.sum() == 224**2 and exact[16:240, 38:262].all()
    assert map_frames.lay(one, 2, 2, "crop", "m") is one
    assert map_frames.lay(one, 2, 2, "squash", "m") is one
    whole = np.arange(8).reshape(2, 4)  # not square: of the whole image
    np.testing.assert_array_equal(map_frames.lay(whole, 4, 8, "crop", "m")[::2, ::2], whole)
    with pytest.raises(ValueError, match="'m' is 2x4, its image 5x5"):
        map_frames.lay(whole, 5, 5, "crop", "m")


def test_maps_find_their_images_by_content(world, capsys):
    for seed in (0, 1, 3, 5, 7):
        world.add_map(seed, clicks=seed + 1)
    merged = world.merge()
    assert merged.class_names == NAMES and merged.human_ceiling == {"value": 0.58}
    assert merged.split_rule.startswith("by hand; maps of another source joined by content to 5 of")
    found = examples(merged)
    assert list(found) == [item.image_id for item in world.base_items]
    for number, seed in enumerate((0, 1, 3, 5, 7)):
        example = found[world.base_items[seed].image_id]
        assert example.clicks == seed + 1
        (laid,) = example.participant_maps
        shape = SIZES[seed // 3 % 3]
        assert laid.shape == shape
        np.testing.assert_array_equal(laid, map_frames.lay(counts(number), *shape, "crop", "m"))
    for seed in (2, 4, 6, 8):
        example = found[world.base_items[seed].image_id]
        assert example.participant_maps == () and example.clicks == 0
    printed = capsys.readouterr().out
    assert "joined by content (frame: crop): 5 of 5 records, to 5 of 9 images" in printed


@pytest.mark.parametrize("frame", ["crop224", "squash"])
def test_other_frames_are_found_out(world, capsys, frame):
    for seed in range(6):
        picture = photograph(seed, *SIZES[seed // 3 % 3])
        picture = squashed(picture) if frame == "squash" else central_square(picture)
        if frame == "crop224":
            picture = picture.crop((16, 16, 240, 240))
        maps = counts(seed, *picture.size)[None]
        world.add_map(seed, np.asarray(picture), maps=maps)
    found = examples(world.merge())
    assert f"(frame: {frame})" in capsys.readouterr().out
    (laid,) = found["ant/0.jpg"].participant_maps
    expected = map_frames.lay(counts(0, *picture.size), 150, 200, frame, "m")
    np.testing.assert_array_equal(laid, expected)


def test_several_records_of_an_image_are_participants(world, capsys):
    world.add_map(0, clicks=3)
    world.add_map(1)
    world.add_map(0, clicks=4)
    world.add_map(0, maps=counts(0)[None], clicks=5)  # the first again
    two = np.stack([counts(8), counts(9)])
    world.add_map(1, maps=two, clicks=0)
    found = examples(world.merge())
    expected = [map_frames.lay(counts(n), 150, 200, "crop", "m") for n in (0, 2)]
    np.testing.assert_array_equal(found["ant/0.jpg"].participant_maps, expected)
    assert found["ant/0.jpg"].clicks == 7
    assert len(found["bee/1.jpg"].participant_maps) == 3
    assert found["bee/1.jpg"].clicks == 0  # one of them unknown
    text = "images with several records: 2; records repeated: 1"
    assert text in capsys.readouterr().out


def test_scaled_maps_are_scaled_again_where_their_sum_is_too_large(world):
    for peak in (65_534, 65_534):
        maps = np.zeros((1, 256, 256), np.int64)
        maps[0, 100:140, 100:140] = peak
        maps[0, 100 + len(world.map_items), 100] = peak // 2
        world.add_map(6, maps=maps)
    maps = examples(world.merge())["ant/6.jpg"].participant_maps
    assert len(maps) == 2 and sum(maps).max() <= schema.MAX_COUNT
    assert maps[0].max() == pytest.approx(65_535 / 2, abs=2)


def test_doubtful_matches_are_reported_and_joined_on_demand(world, tmp_path, capsys):
    world.add_image(0, "ant/twin.jpg")
    world.add_image(20, "ant/damaged.jpg", label=0, picture=b"no image")
    world.add_map(0)
    world.add_map(3)
    world.add_map(77, label=1)  # of no image
    world.add_map(4, maps=np.zeros((0, 256, 256), int))  # without a map
    report = tmp_path / "deep" / "report.csv"
    source = world.merge(report_path=str(report))
    assert "0.jpg" not in str([i for i in source.items if json.loads(i.key)[1]])
    rows = list(csv.DictReader(report.open()))
    assert [(r["map_id"], r["verdict"], r["joined"]) for r in rows] == [
        ("archive/0", "twins", "no"),
        ("archive/2", "unmatched", "no"),
    ]
    assert {rows[0]["best_image_id"], rows[0]["second_image_id"]} == {"ant/0.jpg", "ant/twin.jpg"}
    assert rows[0]["distance"] == rows[0]["second_distance"] and float(rows[0]["correlation"]) > 0.9
    with Image.open(report.with_suffix(".png")) as sheet:
        assert sheet.height > 128
        assert np.asarray(sheet)[:128, :128].std() > 10  # the pictures are there
    printed = capsys.readouterr().out
    for text in ("1 matched", "1 twins", "1 unmatched", "1 without a map", "1 images of the base"):
        assert text in printed
    assert "2 of 5" not in printed
    joined = world.merge(accept_doubtful=True, report_path=str(report))
    assert [i.image_id for i in joined.items if json.loads(i.key)[1]] == ["ant/0.jpg", "ant/3.jpg"]
    assert next(csv.DictReader(report.open()))["joined"] == "yes"
    assert "1 of these accepted" in capsys.readouterr().out


def test_damaged_map_records(world, capsys):
    world.add_map(0)
    world.add_map(1, picture=np.zeros(1, np.uint8))
    with pytest.raises(BadImageError, match="'archive/1' is damaged"):
        world.merge()
    world.merge(on_bad_image="skip")
    assert "1 damaged" in capsys.readouterr().out


def test_labels_in_another_order_are_an_error(world):
    for seed in range(6):
        world.add_map(seed, label=(seed + 1) % 3)
    with pytest.raises(ValueError, match="another order.*6 show an image of another") as error:
        world.merge(join="content")
    assert all(repr(order) in str(error.value) for order in LABEL_ORDERS)


def test_classes_are_matched_by_their_names(world, capsys):
    names = ("bee", "dog", "ant", "cat")
    for seed in range(6):
        world.add_map(seed, label=names.index(NAMES[seed % 3]))
    world.add_map(50, label=names.index("dog"))
    found = examples(world.merge(names))
    assert [len(found[i.image_id].participant_maps) for i in world.base_items] == [1] * 6 + [0] * 3
    assert "1 of a class that the base lacks" in capsys.readouterr().out


def test_label_tables():
    table = functools.partial(pair.label_table, by_index=True)
    assert table("ab", "ab") is None
    assert table("ab", "bac") == (1, 0, -1)
    assert table(["n01440764", "n01443537"], ["goldfish", "tench"]) == (1, 0)
    assert table("ab", "xy") is None  # the pictures will tell
    assert pair.label_table("ab", "xyz", by_index=False) == ()
    with pytest.raises(ValueError, match="2 classes.*the maps 3"):
        table("ab", "xyz")


def test_nothing_in_common(world):
    for seed in (60, 61):
        world.add_map(seed)
    with pytest.raises(ValueError, match="Of 2 map records none was joined.*2 unmatched"):
        world.merge()


@pytest.mark.parametrize("mode", ["auto", "name"])
def test_maps_find_their_images_by_name(tmp_path, capsys, mode):
    world = World(tmp_path)
    world.add_image(10, "val/ILSVRC2012_val_00000001.JPEG", "validation")
    world.add_image(11, "train/n01440764_10026.JPEG")
    world.add_map(10, name="clickme_val/7/ILSVRC2012_val_00000001.JPEG", split="validation")
    world.add_map(11, name="n01440764/n01440764_10026.npy", split="test")
    world.add_map(0, name="x/0.png", picture=np.zeros(0, np.uint8))  # without its picture
    world.add_map(0, name="x/unknown", maps=counts(9)[None])
    report = tmp_path / "report.csv"
    found = examples(world.merge(join=mode, report_path=str(report)))
    assert {name for name, e in found.items() if e.participant_maps} == {
        "ant/0.jpg",
        "val/ILSVRC2012_val_00000001.JPEG",
        "train/n01440764_10026.JPEG",
    }
    printed = capsys.readouterr().out
    assert "joined by name (frame: crop): 3 of 4 records" in printed
    assert "test -> train 1" in printed and "validation ->" not in printed
    (row,) = csv.DictReader(report.open())
    assert (row["map_id"], row["verdict"]) == ("x/unknown", "unmatched")


def test_equal_names_are_told_apart_by_folder(world, capsys):
    for label in (0, 1):
        world.add_image(30 + label, f"{NAMES[label]}/same.jpg", label=label)
    world.add_map(30, name="ant/same.npy", label=0)
    world.add_map(31, name="other/same.npy", label=1)
    source = world.merge(join="name")
    assert [i.image_id for i in source.items if json.loads(i.key)[1]] == ["ant/same.jpg"]
    assert "1 of a name that several images have" in capsys.readouterr().out


def test_a_name_is_checked_against_the_picture_and_the_label(world):
    world.add_map(5, name="0.jpg", label=0)
    with pytest.raises(ValueError, match="'0.jpg' was joined to image 'ant/0.jpg'.*correlation"):
        world.merge(join="name")
    world.map_items.clear()
    world.add_map(0, name="0.jpg", label=2)
    with pytest.raises(ValueError, match="label 2, its image 'ant/0.jpg' label 0.*sorted_from_1"):
        world.merge(join="name")
    world.map_items.clear()
    world.add_map(0, name="zero.jpg")
    with pytest.raises(ValueError, match="none is named as one image.*'zero.jpg' and 'ant/0.jpg'"):
        world.merge(join="name")


def test_native_maps_joined_by_name_stay_as_they_are(world):
    own = counts(3, 150, 200)
    world.add_map(0, photograph(0), name="0.jpg", maps=own[None])
    for join in ("name", "content"):
        (laid,) = examples(world.merge(join=join))["ant/0.jpg"].participant_maps
        np.testing.assert_array_equal(laid, own)


def test_stems():
    assert pair.stem("a.b/imagenet_val_ILSVRC2012_val_00000009.JPEG") == (
        "ILSVRC2012_val_00000009",
        True,
    )
    assert pair.stem("n01440764/n01440764_1.JPEG.npy") == ("n01440764_1", True)
    assert pair.stem("f/Dog.v2.PNG") == ("Dog.v2", False)
    assert pair.stem("f/dog.jpg.npy") == ("dog", False)
    assert pair.stem("clickme_train.tfrecords/123") == ("123", False)


def test_maps_are_chosen_by_their_split(world, capsys):
    world.add_map(0, split="test")
    world.add_map(1, split="train")
    found = examples(world.merge(maps_splits=["train"]))
    assert [name for name, e in found.items() if e.participant_maps] == ["bee/1.jpg"]
    assert "left out (--maps_splits): 1" in capsys.readouterr().out
    with pytest.raises(ValueError, match="lists none of --maps_splits=validation, and 2 of others"):
        world.merge(maps_splits=["validation"])
    with pytest.raises(ValueError, match="--maps_splits='val': expected some of train"):
        world.merge(maps_splits=["val"])
    with pytest.raises(ValueError, match="--join='both': expected one of auto"):
        world.merge(join="both")


def test_a_base_with_maps_of_its_own_is_refused(world):
    world.add_map(0)
    with pytest.raises(ValueError, match="has maps of its own"):
        merge.merge(world.maps(), world.maps(), join="name")


def test_an_empty_base(world):
    world.base_items.clear()
    world.add_map(0)
    with pytest.raises(ValueError, match="source of images lists none"):
        world.merge()


def test_hashes_are_kept_and_damaged_ones_made_anew(world, tmp_path, monkeypatch):
    monkeypatch.setattr(source_hashes, "BLOCK", 4)
    world.add_map(0)
    cache = tmp_path / "cache"
    first = [tuple(item) for item in world.merge(cache_dir=str(cache)).items]
    files = sorted(cache.iterdir())
    assert len(files) == 4  # 9 images, 1 map
    files[0].write_bytes(b"damaged")
    made = []
    true = source_hashes._hash_block
    monkeypatch.setattr(source_hashes, "_hash_block", lambda *a: made.append(len(a[1])) or true(*a))
    assert [tuple(item) for item in world.merge(cache_dir=str(cache)).items] == first
    assert len(made) == 1  # the damaged block alone
    with pytest.raises(ValueError, match="must be a local folder"):
        world.merge(cache_dir="gs://bucket/cache")


@pytest.mark.slow
def test_processes_give_the_same(world):
    for seed in (0, 4):
        world.add_map(seed)
    one = [tuple(item) for item in world.merge().items]
    assert [tuple(item) for item in world.merge(num_workers=2).items] == one


def test_nearest_two_by_hand():
    among = np.zeros((3, 4), np.uint64)
    among[:, 0] = 0b1, 0b111, 0b1111
    codes = np.zeros((2, 4), np.uint64)
    codes[1, 0] = 0b1111
    best, distance, second, second_distance = content_join.nearest_two(codes, among)
    assert best.tolist() == [0, 2] and distance.tolist() == [1, 0]
    assert second.tolist() == [1, 1] and second_distance.tolist() == [3, 1]
    *_, second, far = content_join.nearest_two(codes, among[:1])
    assert second.tolist() == [-1, -1] and far.tolist() == [content_join.FAR] * 2


def test_verdicts_at_their_limits():
    def verdict(distance, second):
        found = content_join.Match(
            "crop", np.zeros(1), np.array([distance]), np.zeros(1), np.array([second]), {}
        )
        return found.verdicts[0]

    assert verdict(48, 68) == "matched" and verdict(48, 67) == "twins"
    assert verdict(49, 256) == "doubtful" and verdict(72, 256) == "doubtful"
    assert verdict(73, 256) == "unmatched"


def test_load_refuses_what_cannot_be_merged():
    options = SourceOptions(maps_source="folder")
    with pytest.raises(ValueError, match="cannot be laid on --source=quickstart.*imagenet"):
        merge.load("quickstart", options)
    with pytest.raises(ValueError, match="give their --maps_dir"):
        merge.load("folder", options)
    with pytest.raises(ValueError, match="--maps_source='foldr' is unknown.*folder"):
        merge.load("folder", options.replace(maps_source="foldr"))
    assert "join" in merge.options_read("folder", "folder")
    assert "join" not in merge.options_read("folder", "")


def test_two_folders_through_the_builder(tmp_path):
    from fake_trees import build, read

    images, maps = tmp_path / "images", tmp_path / "maps"
    for number in range(6):
        name = NAMES[number % 2]
        for root, picture in (
            (images, photograph(number)),
            (maps, central_square(photograph(number))),
        ):
            (root / name).mkdir(parents=True, exist_ok=True)
            stem = f"{number}" if root == images else f"other{number}"
            (root / name / f"{stem}.jpg").write_bytes(jpeg(picture))
            if root == maps:
                np.save(root / name / f"{stem}.npy", counts(number))
    build(
        tmp_path / "out",
        source="folder",
        input_dir=images,
        maps_source="folder",
        maps_dir=maps,
        image_storage="square",
        split_proportions="1,0,0",
    )
    rows = read(tmp_path / "out")["train"]
    assert len(rows) == 6
    for row in rows:
        # Photographs are smaller than the maps: at their own 150 pixels, every other mark or so.
        assert row["clickmap/participants"] == 1 and row["clickmap/counts"]


def test_the_archive_on_class_folders(tmp_path, capsys):
    from faults.formats import clickme_release

    wnids = ("n01440764", "n01443537", "n01484850")  # labels 0, 1, 2
    written = []
    for number in range(6):
        picture = photograph(number, 300, 360)
        path = tmp_path / "images" / wnids[number % 3] / f"{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture))
        pixels = np.asarray(central_square(picture, resampling=Resampling.BICUBIC), np.float32)
        heatmap = counts(number).astype(np.float32)
        if number < 4:
            written.append(clickme_release.record(pixels / 255, number % 3, heatmap, 3))
    (tmp_path / "archive").mkdir()
    clickme_release.write_records(str(tmp_path / "archive" / "clickme_test.tfrecords"), written)
    options = SourceOptions(
        input_dir=str(tmp_path / "images"),
        maps_source="clickme_release",
        maps_dir=str(tmp_path / "archive"),
        split_proportions=(1, 0, 0),
    )
    source = merge.load("folder", options)
    assert source.class_names == wnids and source.human_ceiling["value"] == 0.58
    found = examples(source)
    assert "4 of 4 records, to 4 of 6 images" in (printed := capsys.readouterr().out)
    assert "test -> train 4" in printed
    for number in range(6):
        example = found[f"{wnids[number % 3]}/{number}.JPEG"]
        assert len(example.participant_maps) == (number < 4) and example.label == number % 3
        if number < 4:  # --image_storage=square gives the archive's own map back
            image = decode_image(example.image, "x")
            square, _ = geometry.square_example(example, image, 256)
            np.testing.assert_array_equal(square.participant_maps[0], counts(number))
