import io
import itertools
import json
import pickle
import re
import zipfile
import zlib

import numpy as np
import pytest
from faults.formats import clickme_clicks as fmt
from PIL import Image

from data_prep.maps import rasterise
from data_prep.readers.clicks import click_files, click_npz, click_table
from data_prep.readers.imagenet import imagenet_classes
from data_prep.sources import SOURCES, Item, SourceOptions, clickme_clicks, splits
from gala_tf.data.images import BadImageError

POINTS = [(10, 20), (30, 40), (50, 60)]


def picture(path, height=64, width=64, orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    colour = tuple(zlib.crc32(path.name.encode()).to_bytes(4, "big")[:3])  # one for every name
    Image.new("RGB", (width, height), colour).save(path, exif=exif)


def row(image, clicks, user="1", **others):
    return {"image_path": image, "clicks": clicks, "user_id": user} | others


@pytest.fixture
def tree(tmp_path):
    """Two classes of three images, 64x64: cat/c0.jpg ... dog/d2.jpg."""
    for name in ("cat", "dog"):
        for number in range(3):
            picture(tmp_path / "images" / name / f"{name[0]}{number}.jpg")
    return tmp_path


def load(root, rows, form="postgres", columns=("image_path", "clicks", "user_id"), **others):
    fmt.write_csv(root / "clicks.csv", rows, form, columns)
    options = {"input_dir": str(root / "images"), "clicks_file": str(root / "clicks.csv")} | others
    return clickme_clicks.load(SourceOptions(**options))


def read(source):
    return {item.image_id: source.read(item) for item in source.items}


@pytest.mark.parametrize("form", fmt.FORMS)
def test_all_text_forms(form):
    assert click_files.parse_clicks(fmt.FORMS[form](POINTS)) == tuple(POINTS)
    assert click_files.parse_clicks(fmt.FORMS[form]([])) == ()
    assert click_files.parse_clicks(fmt.FORMS[form](POINTS[:1])) == ((10, 20),)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint16, np.float32, np.float64])
def test_what_numpy_writes(kind):
    """Lists of its scalars, of its arrays, whole arrays: `repr` and `str` of each."""
    array = np.array(POINTS, kind)
    forms = [[tuple(p) for p in array], [list(p) for p in array], list(array), array]
    for form in (*forms, tuple(tuple(p) for p in array)):
        for text in (repr(form), str(form), repr(form).replace("np.", "numpy.")):
            assert click_files.parse_clicks(text) == tuple(POINTS), text
    one = repr([tuple(array[0])]), repr(array[:1]), str(array[:1]), repr((tuple(array[0]),))
    assert all(click_files.parse_clicks(text) == ((10, 20),) for text in one)
    for nothing in (array[:0], np.array([], kind), (), [], set()):
        assert click_files.parse_clicks(repr(nothing)) == ()
    half = click_files.parse_clicks("[(np.float64(1.5), np.float64(nan))]")
    assert half[0][0] == 1.5 and np.isnan(half[0][1])


def test_numbers_of_clicks():
    assert click_files.parse_clicks("[[1, 2], [-3.5, 4e1]]") == ((1, 2), (-3.5, 40.0))
    x, y = click_files.parse_clicks(" [ ( nan , 2 ) ] ")[0]
    assert np.isnan(x) and y == 2 and isinstance(y, int)
    assert click_files.parse_clicks("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "(1,2)",
        "{1,2}",
        "[(1,2]",
        "[(1,2),]",
        "[(1,2)}",
        "[(1,2)] x",
        "[(1,2,3)]",
        "[(1,)]",
        '{"(1,2),(3,4)"}',
        '{"(1,2)}',
        "[(a,b)]",
        "[(1,2) (3,4)]",
        "__import__('os').system('false')",
        "[(１,２)]",
        "[(1e9999,2)]",
        "[(np.int64(1)2,3)]",
        "[(np.int64(1,2),3)]",
        "[(np.str_('1'),2)]",
        "[(os.int64(1),2)]",
        "array([1, 2])",
        "array([[1, 2, 3]])",
        "[[1 2 3]]",
        "[[1 2], [3 4]]",
        "[[1 2]\n ...\n [3 4]]",
        "array([[1, 2],\n       ...,\n       [3, 4]])",
        "((1, 2)",
        "((1, 2),,)",
        "array([" + "[1, 2]," * 20_000 + "])",
        "[" + "[1 2]" * 20_000,
        "[(" + "1" * 5000 + ",2)]",
        "{" + " " * 100_000 + "x",
        "[" + "(1,2)," * 20_000 + "]",
    ],
)
def test_other_text_is_refused_at_once(text):
    with pytest.raises(ValueError, match="clicks are .* expected"):
        click_files.parse_clicks(text)


def test_too_many_clicks():
    with pytest.raises(ValueError, match="100001 clicks, expected at most 100000"):
        click_files.parse_clicks("[" + ",".join(["(1,2)"] * 100_001) + "]")


def rows_of(path):
    return list(click_files.read_csv(str(path)))


def test_csv_rows(tmp_path):
    columns = ["image_path", "clicks", "user_id", "timestamp", "user_catch_trial", "is_mobile", "z"]
    values = {"user_catch_trial": "0.5", "is_mobile": "True", "timestamp": "2024-10-06 12:30:00+00"}
    fmt.write_csv(tmp_path / "a.csv", [row("a/b.JPEG", POINTS, "7", **values)], columns=columns)
    (found,) = rows_of(tmp_path / "a.csv")
    assert found[1:] == ("a/b.JPEG", tuple(POINTS), "7", 1728217800.0, 0.5, True)
    assert found.where.endswith("a.csv', line 2")


def test_csv_as_spreadsheets_save_it(tmp_path):
    text = '\ufeffImage_Path,clicks,USER_ID,Timestamp\r\na.png,"[(1, 2), (3, 4)]",9,7\r\n\r\n'
    (tmp_path / "a.csv").write_bytes(text.encode())
    (found,) = rows_of(tmp_path / "a.csv")
    assert found.clicks == ((1, 2), (3, 4)) and found.user == "9" and found.timestamp == 7


@pytest.mark.parametrize(
    "line, message",
    [
        ('a.png,{"(1,2)","(3,4)"},1', "not CSV"),
        ("a.png,[(1;2)],1", "clicks are"),
        (',"[(1, 2)]",1', "image_path is empty"),
        ('a.png,"[(1, 2)]",', "user_id is empty"),
        ('a.png,"[(1, 2)', "not CSV"),
        ("a.png", "1 fields, the first line has 3"),
        ('a.png,"' + "x" * 200_000 + '",1', "not CSV: field larger"),
    ],
)
def test_bad_rows_name_file_and_line(tmp_path, line, message):
    (tmp_path / "a.csv").write_text('image_path,clicks,user_id\nb.png,"[(1, 2)]",1\n' + line)
    found = rows_of(tmp_path / "a.csv")
    assert isinstance(found[0], click_files.Submission)
    assert isinstance(found[1], click_files.BadRowError)
    # An open quote runs on to the end: the line is where it was given up.
    assert re.search(rf"a.csv', line [3-9]\d*: {message}", str(found[1]))


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("timestamp", "yesterday", "timestamp is 'yesterday', expected seconds"),
        ("timestamp", "inf", "expected a finite number"),
        ("user_catch_trial", "good", "user_catch_trial is 'good', expected a number"),
        ("user_catch_trial", "95", "0...1; divide percentages by 100"),
        ("is_mobile", "perhaps", "is_mobile is 'perhaps', expected true or false"),
    ],
)
def test_bad_fields(tmp_path, column, value, message):
    columns = ["image_path", "clicks", "user_id", column]
    fmt.write_csv(tmp_path / "a.csv", [row("a.png", POINTS, **{column: value})], columns=columns)
    (found,) = rows_of(tmp_path / "a.csv")
    assert message in str(found) and isinstance(found, click_files.BadRowError)


def test_bad_csv_files(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("image,clicks\n")
    with pytest.raises(ValueError, match=r"columns image_path, user_id must occur.*'image'"):
        rows_of(path)
    path.write_text("")
    with pytest.raises(ValueError, match="columns image_path, clicks, user_id must occur"):
        rows_of(path)
    path.write_bytes(b"image_path,clicks,us\xe9r_id\n")
    with pytest.raises(ValueError, match="line 1: not UTF-8"):
        rows_of(path)
    path.write_bytes(b"image_path,clicks,user_id\n\xff\xfe,{},1\na.png,{},2\n")
    wrong, sound = rows_of(path)
    assert "line 2: not UTF-8" in str(wrong) and sound.user == "2"


NPZ_ROWS = [
    row("imagenet/val/n01440764/a.JPEG", POINTS, "5", user_catch_trial=1.0, is_mobile=[False]),
    row("imagenet/val/n01440764/b.JPEG", [], "6", user_catch_trial=0.5, is_mobile=[]),
    row("imagenet/val/n01440764/c.JPEG", POINTS[:2], "7", user_catch_trial=0.95, is_mobile=[True]),
]


def plain(**changes):
    """The layout without objects; a change to None takes a column away."""
    columns = {
        "file_pointer": np.asarray([r["image_path"] for r in NPZ_ROWS]),
        "clickmap_x": np.asarray([10, 30, 50, 10, 30]),
        "clickmap_y": np.asarray([20, 40, 60, 20, 40]),
        "clickmap_offsets": np.asarray([0, 3, 3, 5]),
        "user_id": np.asarray([5, 6, 7]),
        "user_catch_trial": np.asarray([1.0, 0.5, 0.95]),
        "is_mobile": np.asarray([False, False, True]),
    } | changes
    return {name: value for name, value in columns.items() if value is not None}


def npz(path, **columns):
    np.savez(path, **columns)
    return list(click_npz.read_npz(str(path)))


def check_npz(found):
    assert [r.image_path[-6:] for r in found] == ["a.JPEG", "b.JPEG", "c.JPEG"]
    assert [r.clicks for r in found] == [tuple(POINTS), (), tuple(POINTS[:2])]
    assert [r.user for r in found] == ["5", "6", "7"]
    assert [r.catch_score for r in found] == [1.0, 0.5, 0.95]
    assert [r.mobile for r in found] == [False, False, True]


def test_published_npz_is_refused_and_converts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fmt.write_npz("clicks.npz", NPZ_ROWS)
    with pytest.raises(ValueError, match="holds Python objects.*pickle.*may run code") as error:
        list(click_npz.read_npz("clicks.npz"))
    assert click_npz.CONVERSION in str(error.value)
    exec(click_npz.CONVERSION, {})
    check_npz(list(click_npz.read_npz("clicks_plain.npz")))


def test_plain_npz(tmp_path, monkeypatch):
    check_npz(npz(tmp_path / "a.npz", **plain()))
    monkeypatch.setattr(click_npz, "CHUNK", 2)
    check_npz(npz(tmp_path / "a.npz", **plain()))
    nested = plain(is_mobile=np.asarray([[0], [0], [1]]), user_id=np.asarray(["5", "6", "7"]))
    check_npz(npz(tmp_path / "a.npz", **nested))


def test_an_npz_of_percentages_is_refused_row_by_row(tmp_path):
    found = npz(tmp_path / "a.npz", **plain(user_catch_trial=np.asarray([1.0, 95.0, np.nan])))
    assert [isinstance(row, click_files.BadRowError) for row in found] == [False, True, False]
    assert "row 1: user_catch_trial is 95, expected the share" in str(found[1])


def test_npz_of_equal_numbers_of_clicks(tmp_path):
    x, y = np.asarray([[1, 2]] * 3), np.asarray([[3, 4.5]] * 3)
    changes = {"clickmap_x": x, "clickmap_y": y, "clickmap_offsets": None, "is_mobile": None}
    found = npz(tmp_path / "a.npz", **plain(**changes), timestamp=np.asarray([3, np.nan, 5]))
    assert [r.clicks for r in found] == [((1, 3), (2, 4.5))] * 3
    assert [r.mobile for r in found] == [None] * 3
    assert [r.timestamp for r in found] == [3.0, None, 5.0]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"user_id": None}, "arrays user_id are missing"),
        ({"user_id": np.zeros(2)}, "'user_id' is of dtype float64"),
        ({"user_id": np.zeros(2, int)}, "'user_id' has shape .* expected 3 rows"),
        ({"clickmap_y": np.zeros(4)}, "one shape"),
        ({"clickmap_offsets": None}, "one shape"),
        ({"clickmap_offsets": np.asarray([0, 3, 2, 5])}, "row 1: clickmap_offsets go from 3 to 2"),
        ({"clickmap_offsets": np.asarray([0, 3, 3, 9])}, "nor to pass 5"),
        ({"clickmap_offsets": np.asarray([0, 1, 2, 3])}, "end with 3, but there are 5"),
        ({"clickmap_offsets": np.asarray([1, 3, 3, 5])}, "begin with 1, expected 0"),
        ({"file_pointer": np.asarray(["a" * 5000] * 3)}, "bytes a value"),
        ({"user_id": np.asarray(3)}, "has shape"),
    ],
)
def test_bad_npz(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        npz(tmp_path / "a.npz", **plain(**changes))


def test_npz_bad_rows(tmp_path):
    names = np.asarray([b"a.png", b"", b"\xff.png"])
    found = npz(tmp_path / "a.npz", **plain(file_pointer=names))
    assert "row 1: file_pointer is empty" in str(found[1])
    assert "row 2: not UTF-8" in str(found[2])


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **plain())
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(ValueError, match="cannot be read as NPZ"):
        list(click_npz.read_npz(str(path)))
    place = whole.index(np.asarray([10, 30, 50]).tobytes())
    path.write_bytes(whole[:place] + b"\x0b" + whole[place + 1 :])
    with pytest.raises(ValueError, match="Bad CRC-32"):
        list(click_npz.read_npz(str(path)))


def test_npz_that_claims_more_than_it_has(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    about = {"descr": "<i8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(header, about)
    np.savez(path, **plain(clickmap_x=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("clickmap_x.npy", header.getvalue() + bytes(800))
    with pytest.raises(ValueError, match="clickmap_x.*should be int64.*but has 800 bytes"):
        list(click_npz.read_npz(str(path)))


def flipped(data, seed):
    """The file with a few bytes changed, or cut short."""
    rng = np.random.default_rng(seed)
    data = bytearray(data)
    if seed % 5 == 0:
        return bytes(data[: rng.integers(len(data))])
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] ^= 1 << rng.integers(8)
    return bytes(data)


@pytest.mark.parametrize("kind", ["csv", "npz", "npz_compressed"])
def test_damage_is_named_or_harmless(tmp_path, kind):
    path = str(tmp_path / f"clicks.{kind[:3]}")
    if kind == "csv":
        fmt.write_csv(path, NPZ_ROWS)
    else:
        (np.savez_compressed if "compressed" in kind else np.savez)(path, **plain())
    whole = open(path, "rb").read()
    reader = clickme_clicks.READERS[f".{kind[:3]}"]
    named = 0
    for seed in range(80):
        with open(path, "wb") as file:
            file.write(flipped(whole, seed))
        try:
            bad = [r for r in reader(path) if isinstance(r, click_files.BadRowError)]
        except ValueError as error:
            bad = [error]
        assert all(f"clicks.{kind[:3]}'" in str(error) for error in bad)
        named += bool(bad)
    assert named > (5 if kind == "csv" else 60)  # the rest is other numbers, or unread bytes


def test_filters_in_order_each_reported(tree, capsys):
    columns = ["image_path", "clicks", "user_id", "timestamp", "user_catch_trial", "is_mobile"]
    good = {"user_catch_trial": 1, "is_mobile": "false"}
    rows = [
        row("x/c0.jpg", POINTS, "late", timestamp=9, **good),
        row("x/c0.jpg", [(1, 1), (2, 2)], "late", timestamp=5, **good),  # earlier: this one stays
        row("x/c0.jpg", POINTS, "cheat", user_catch_trial=0.94, is_mobile=""),
        row("x/c0.jpg", POINTS, "unknown", user_catch_trial="", is_mobile=""),
        row("x/c0.jpg", POINTS, "phone", user_catch_trial=1, is_mobile="t"),
        row("x/c0.jpg", POINTS, "limit", user_catch_trial=0.95, is_mobile=""),
        row("x/c0.jpg", [], "empty", **good),
        row("x/c0.jpg", [(1, 1)], "single", **good),
        row("x/c0.jpg", "[(1, 1), (nan, 1)]", "nan", **good),
        row("x/c0.jpg", [], "twice", **good),
        row("x/c0.jpg", POINTS, "twice", **good),  # the first counts, though it is empty
        row("x/zebra.jpg", POINTS, "1", **good),
        row("x/d0.jpg", POINTS, "alone", **good),
    ]
    source = load(tree, rows, columns=columns, max_clicks=2, min_participants=2)
    found = read(source)
    said = capsys.readouterr().out.splitlines()
    assert list(found) == ["cat/c0.jpg"]
    example = found["cat/c0.jpg"]
    assert len(example.participant_maps) == 2 and example.clicks == 4
    # A bubble of round(14 x 64 / 256) = 4 pixels (3.5 rounds up).
    for counts, points in zip(
        example.participant_maps, ([(1, 1), (2, 2)], POINTS[:2]), strict=True
    ):
        np.testing.assert_array_equal(counts, rasterise.rasterise_bubbles(points, 4, 64, 64))
    assert said[:-1] == [
        "clicks: 13 submissions read",
        "clicks: removed 0 submissions that could not be read",
        "clicks: removed 2 submissions of catch score < 0.95",
        "clicks: removed 1 submissions from phones",
        "clicks: removed 1 submissions on images that are not there, for example 'x/zebra.jpg'",
        "clicks: removed 1 clicks whose coordinates are not finite",
        "clicks: removed 2 later submissions of one person on one image",
        "clicks: removed 4 submissions of fewer than 2 clicks",
        "clicks: removed 2 clicks after the first 2, of 2 submissions",  # "limit" and "alone"
        "clicks: removed 1 submissions on 1 images of fewer than 2 participants",
        "clicks: 2 submissions on 1 images are left",
    ]


def test_filters_can_be_turned_off(tree, capsys):
    columns = ["image_path", "clicks", "user_id", "user_catch_trial", "is_mobile"]
    rows = [
        row("c0.jpg", POINTS, "1", user_catch_trial=0, is_mobile="1"),
        row("c0.jpg", [(5, 5)], "1", user_catch_trial="", is_mobile="1"),
    ]
    off = {"min_catch_score": 0.0, "exclude_mobile": False, "first_submission_only": False}
    found = read(load(tree, rows, columns=columns, min_clicks=1, **off))
    assert len(found["cat/c0.jpg"].participant_maps) == 2
    assert "catch" not in capsys.readouterr().out


def test_files_without_the_columns_are_kept_and_said(tree, capsys):
    load(tree, [row("c0.jpg", POINTS)])
    said = capsys.readouterr().out
    assert "kept 1 submissions whose file has no column user_catch_trial" in said
    assert "kept 1 submissions whose file has no column is_mobile" in said


def test_bad_rows_fail_or_are_counted(tree, capsys):
    rows = [row("c0.jpg", POINTS), row("c0.jpg", "[(1;2)]", "2")]
    with pytest.raises(ValueError, match=r"clicks.csv', line 3: clicks are '\[\(1;2\)\]'"):
        load(tree, rows)
    found = read(load(tree, rows, on_bad_row="skip"))
    assert len(found["cat/c0.jpg"].participant_maps) == 1
    assert "removed 1 submissions that could not be read, for example" in capsys.readouterr().out


def test_several_files(tree):
    for name in ("a", "b"):
        fmt.write_csv(tree / f"{name}.csv", [row("c0.jpg", POINTS, name)], "python")
    np.savez(
        tree / "c.npz",
        **plain(
            file_pointer=np.asarray(["x/c0.jpg", "x/c1.jpg", "x/c2.jpg"]),
            user_catch_trial=np.ones(3),
        ),
    )
    source = load(tree, [row("d0.jpg", POINTS)], clicks_file=str(tree / "[abc].*"))
    assert {name: e.clicks for name, e in read(source).items()} == {"cat/c0.jpg": 9}


def test_nothing_left(tree, capsys):
    with pytest.raises(ValueError, match="no submission is left"):
        load(tree, [row("zebra.jpg", POINTS)])


def test_equal_names_need_the_prefix(tree):
    picture(tree / "images/dog/c0.jpg")
    rows = [row("CO3D/dog/c0.jpg", POINTS), row("elsewhere/cat/c0.jpg", POINTS)]
    with pytest.raises(ValueError, match=r"c0.jpg' and .*c0.jpg' both answer to 'c0'"):
        load(tree, rows)
    for prefix in ("CO3D", "CO3D/"):
        assert list(read(load(tree, rows, click_path_prefix=prefix))) == ["dog/c0.jpg"]


def test_names_in_files_never_become_paths(tree):
    picture(tree / "secret.jpg")
    rows = [row("../secret.jpg", POINTS), row("/etc/passwd", POINTS), row("c0.jpg", POINTS)]
    assert list(read(load(tree, rows))) == ["cat/c0.jpg"]


def test_labels_and_unclicked(tree):
    source = load(tree, [row("d1.jpg", POINTS)], include_unclicked=True)
    assert source.class_names == ("cat", "dog") and source.human_ceiling is None
    found = read(source)
    assert len(found) == 6
    assert [found[name].label for name in sorted(found)] == [0, 0, 0, 1, 1, 1]
    assert [name for name, e in found.items() if e.participant_maps] == ["dog/d1.jpg"]


def test_imagenet_labels(tmp_path):
    stems = {"n01440764": "n01440764_1", "n01443537": "ILSVRC2012_val_00000262"}
    for wnid, stem in stems.items():
        picture(tmp_path / "images" / wnid / f"{stem}.JPEG")
    rows = [row(f"imagenet/val/{wnid}/{stem}.JPEG", POINTS) for wnid, stem in stems.items()]
    source = load(tmp_path, rows)
    assert source.class_names == imagenet_classes.class_names()
    assert {name[:9]: e.label for name, e in read(source).items()} == {
        "n01440764": 0,
        "n01443537": 1,
    }


def test_flat_images_take_their_class_from_names_or_clicks(tmp_path):
    stems = ("ILSVRC2012_val_00000262", "n01440764_1")
    for stem in stems:
        picture(tmp_path / "images" / f"{stem}.JPEG")
    rows = [row(f"imagenet/val/n01443537/{stems[0]}.JPEG", POINTS), row(stems[1], POINTS)]
    found = read(load(tmp_path, rows))
    assert {name: e.label for name, e in found.items()} == {
        f"{stems[0]}.JPEG": 1,
        f"{stems[1]}.JPEG": 0,
    }
    rows[0]["image_path"] = "ILSVRC2012_val_00000262.JPEG"
    with pytest.raises(ValueError, match="1 images, for example 'ILSVRC.*no class folder"):
        load(tmp_path, rows)


def test_wrong_class_folders(tmp_path):
    picture(tmp_path / "images/n01440764/ILSVRC2012_val_00000262.JPEG")
    rows = [row("imagenet/val/n01443537/ILSVRC2012_val_00000262.JPEG", POINTS)]
    with pytest.raises(ValueError, match="line 2: .*is of class n01443537, but .*n01440764"):
        load(tmp_path, rows)
    # Image 293 is known to be a tench.
    picture(tmp_path / "images/n01443537/ILSVRC2012_val_00000293.JPEG")
    source = load(tmp_path, [row("ILSVRC2012_val_00000293.JPEG", POINTS)])
    with pytest.raises(ValueError, match="ILSVRC2012_val_00000293.*tench"):
        list(source.items)


def test_splits_equal_assign_splits(tree):
    rows = [row(f"{name}.jpg", POINTS) for name in ("c0", "c2", "d0", "d1", "d2")]
    source = load(tree, rows, split_proportions=(2, 1, 1), seed=3)
    classes = {"cat": ["cat/c0.jpg", "cat/c2.jpg"], "dog": [f"dog/d{i}.jpg" for i in range(3)]}
    expected = splits.assign_splits(classes, (2, 1, 1), 3)
    items = list(source.items)
    assert {item.image_id: item.split for item in items} == expected
    assert "in proportion 2, 1, 1" in source.split_rule
    again = load(tree, reversed(rows), split_proportions=(2, 1, 1), seed=3)
    assert [item[:2] for item in again.items] == [item[:2] for item in items]
    with pytest.raises(ValueError, match="--split_proportions must be"):
        load(tree, rows, split_proportions=(1, 1))


def test_split_folders(tmp_path):
    for name in ("train/cat/a.jpg", "val/cat/b.jpg"):
        picture(tmp_path / "images" / name)
    rows = [row("a.jpg", POINTS), row("b.jpg", POINTS)]
    source = load(tmp_path, rows)
    assert {i.image_id: i.split for i in source.items} == {
        "train/cat/a.jpg": "train",
        "val/cat/b.jpg": "validation",
    }
    assert source.split_rule == "as in the folders: train, validation" and source.class_names == (
        "cat",
    )
    picture(tmp_path / "images/stray/c.jpg")
    with pytest.raises(ValueError, match="split folders, and also 'stray/c.jpg'"):
        load(tmp_path, rows)


def item(points, path="a.jpg"):
    return Item(path, "train", json.dumps({"path": path, "label": 0, "clicks": points}))


def test_native_bubbles_scale_with_the_short_side(tmp_path):
    picture(tmp_path / "a.jpg", 300, 400)  # 14 x 300 / 256 = 16.4 pixels
    example = clickme_clicks.read_item(item([[[100, 50], [1, 1]]]), str(tmp_path), "native", 14)
    (counts,) = example.participant_maps
    assert counts.shape == (300, 400) and counts[42:58, 92:108].all() and counts[50, 100] == 1
    assert counts.sum() == 16 * 16 + 9 * 9 and example.clicks == 2


def test_game_frame_is_the_central_square(tmp_path):
    picture(tmp_path / "a.jpg", 512, 1024)
    points = [[[128, 128], [0, 0], [255.5, 255.5]]]
    example = clickme_clicks.read_item(item(points), str(tmp_path), "256", 14)
    (counts,) = example.participant_maps
    assert counts[242:270, 498:526].all()  # centre (512, 256), side 28
    assert counts[:14, 256:270].all() and counts[498:, 754:768].all()
    # Nothing on what the canvas did not show, though bubbles reach 14 pixels further.
    assert counts.sum() == 28 * 28 + 14 * 14 + 15 * 15 - 15 * 15 + counts[497:, 753:768].sum()
    assert not counts[:, :256].any() and not counts[:, 768:].any()


def test_game_frame_of_a_256_image_is_the_identity(tmp_path):
    picture(tmp_path / "a.jpg", 256, 256)
    points = np.random.default_rng(0).uniform(0, 256, (20, 2)).tolist()
    examples = [
        clickme_clicks.read_item(item([points]), str(tmp_path), frame, 14).participant_maps[0]
        for frame in ("native", "256")
    ]
    np.testing.assert_array_equal(*examples)
    np.testing.assert_array_equal(examples[0], rasterise.rasterise_bubbles(points, 14, 256, 256))


@pytest.mark.parametrize("height, width", [(301, 400), (400, 301), (300, 300), (256, 300)])
def test_game_frame_agrees_with_preparing_first(tmp_path, height, width):
    """Painting on the original and then cropping gives what painting on the crop does, nearly."""
    from data_prep.maps import geometry
    from gala_tf.data.images import decode_image

    picture(tmp_path / "a.jpg", height, width)
    points = np.random.default_rng(1).uniform(0, 256, (74, 2)).tolist()
    example = clickme_clicks.read_item(item([points]), str(tmp_path), "256", 14)
    image = decode_image(example.image, "a")
    (square,) = geometry.square_example(example, image, 256)[0].participant_maps
    expected = rasterise.rasterise_bubbles(points, 14, 256, 256)
    assert np.corrcoef(square.ravel(), expected.ravel())[0, 1] > 0.95
    assert abs(square.sum() / expected.sum() - 1) < 0.1


def test_displayed_frame_follows_exif(tmp_path):
    picture(tmp_path / "a.jpg", 300, 400, orientation=6)  # shown 400 high, 300 wide
    example = clickme_clicks.read_item(item([[[10, 390], [12, 390]]]), str(tmp_path), "native", 14)
    (counts,) = example.participant_maps
    assert counts.shape == (400, 300) and counts[390, 10] == 2


def test_clicks_at_and_beyond_the_edge(tmp_path, caplog):
    picture(tmp_path / "a.jpg", 256, 256)
    points = [[-6.9, 5], [-7.6, 5], [5, 262.4], [5, 262.5], [1e300, 5], [-5, -5]]
    example = clickme_clicks.read_item(item([points, [[-50, -50]]]), str(tmp_path), "native", 14)
    # -6.9: pixels floor(-13.4) = -14 ... -1: outside. 262.4: from 255: one row inside.
    touching = [click_table.touches(x, y, 14, 256, 256) for x, y in points]
    assert touching == [False, False, True, False, False, True]
    assert len(example.participant_maps) == 1 and example.clicks == 2
    assert "5 of 7 clicks lie outside the image" in caplog.text
    assert "1 of 2 people" in caplog.text


@pytest.mark.parametrize("side", [1, 2, 5, 14])
def test_touches_as_rasterise_bubbles(side):
    values = np.arange(-9, 13, 0.5)
    for x, y in itertools.product(values, values[::3]):
        painted = rasterise.rasterise_bubbles([(x, y)], side, 4, 5).any()
        assert click_table.touches(x, y, side, 4, 5) == painted


def test_game_frame_drops_outside_while_listing(tree, capsys):
    inside = [(5, 5), (100, 100), (250, 250)] * 14
    rows = [row("c0.jpg", [*inside, (300, 5), (-9, 5)]), row("c1.jpg", [(5, 5), (300, 300)])]
    found = read(load(tree, rows, click_frame="256"))
    assert list(found) == ["cat/c0.jpg"] and found["cat/c0.jpg"].clicks == 42
    said = capsys.readouterr().out
    assert "removed 3 clicks whose bubbles lie outside 256x256 pixels" in said
    assert "removed 1 submissions of fewer than 2 clicks" in said


def test_wrong_frames_are_errors(tmp_path):
    names = [f"p{i}.jpg" for i in range(12)]
    for name in names:
        picture(tmp_path / "images/cat" / name, 600, 800)
    game = [row(name, [(i * 10, 255 - i * 10) for i in range(25)]) for name in names]
    with pytest.raises(ValueError, match="No click on 12 images .*beyond pixel 255.*=256"):
        load(tmp_path, game)
    assert len(list(load(tmp_path, game, click_frame="256").items)) == 12
    native = [row(name, [(i * 30, i * 20) for i in range(25)]) for name in names]
    with pytest.raises(ValueError, match="clicks lie outside their image, with --click_frame=256"):
        load(tmp_path, native, click_frame="256")
    assert len(list(load(tmp_path, native).items)) == 12
    far = [row(name, [(i * 80, i * 80) for i in range(25)]) for name in names]
    with pytest.raises(ValueError, match="clicks lie outside their image, with --click_frame=nat"):
        load(tmp_path, far)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bubble_side": 0}, "--bubble_side must be at least 1, got 0"),
        ({"min_clicks": -1}, "--min_clicks must be at least 0"),
        ({"max_clicks": -1}, "--max_clicks must be at least 0"),
        ({"min_participants": 0}, "--min_participants must be at least 1"),
        ({"min_catch_score": 95.0}, "--min_catch_score must be in 0...1, got 95"),
        ({"click_frame": "224"}, "--click_frame is '224', expected one of"),
        ({"on_bad_row": "x"}, "--on_bad_row is 'x'"),
        ({"clicks_file": ""}, "--clicks_file is missing"),
        ({"clicks_file": "/nowhere/*.csv"}, "does not exist, and as a pattern fits none"),
        ({"clicks_file": __file__}, "not a file that ends in .csv or .npz"),
        ({"input_dir": "/nowhere"}, "--input_dir='/nowhere' is not a folder"),
    ],
)
def test_options(tree, options, message):
    with pytest.raises(ValueError, match=message):
        load(tree, [row("c0.jpg", POINTS)], **options)


def test_no_images(tmp_path):
    (tmp_path / "images/cat").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no images"):
        load(tmp_path, [row("c0.jpg", POINTS)])


def test_contract(tree):
    source = load(tree, [row("c0.jpg", POINTS), row("c0.jpg", POINTS, "2")])
    (found,) = source.items
    assert "\n" not in found.key
    reader = pickle.loads(pickle.dumps(source.read))
    example, again = source.read(found), reader(found)
    assert example.image == again.image and example.split == found.split
    for a, b in zip(example.participant_maps, again.participant_maps, strict=True):
        np.testing.assert_array_equal(a, b)
    fields = SourceOptions.__dataclass_fields__
    assert set(SOURCES["clickme_clicks"].reads) <= set(fields)


def test_damaged_and_missing_images(tree):
    (tree / "images/cat/c0.jpg").write_bytes(b"no image")
    source = load(tree, [row("c0.jpg", POINTS), row("c1.jpg", POINTS)])
    items = list(source.items)
    bad = next(i for i in items if i.image_id == "cat/c0.jpg")
    with pytest.raises(BadImageError, match="c0.jpg' cannot be opened"):
        source.read(bad)
    (tree / "images/cat/c1.jpg").unlink()
    with pytest.raises(BadImageError, match="c1.jpg' does not exist"):
        source.read(next(i for i in items if i.image_id == "cat/c1.jpg"))


def test_through_the_builder(tree):
    from fake_trees import build
    from fake_trees import read as read_records

    people = [row("c0.jpg", POINTS, str(user)) for user in range(3)]
    rows = [*people, *(row(f"d{i}.jpg", POINTS, "9") for i in range(3))]
    fmt.write_csv(tree / "clicks.csv", rows)
    build(
        tree / "out",
        source="clickme_clicks",
        input_dir=tree / "images",
        clicks_file=tree / "clicks.csv",
        split_proportions="1,0,0",
    )
    records = {r["image/id"].decode(): r for r in read_records(tree / "out")["train"]}
    assert sorted(records) == ["cat/c0.jpg", "dog/d0.jpg", "dog/d1.jpg", "dog/d2.jpg"]
    assert records["cat/c0.jpg"]["clickmap/participants"] == 3
    assert records["cat/c0.jpg"]["clickmap/clicks"] == 9
    assert len(records["cat/c0.jpg"]["clickmap/by_participant"]) == 3
