"""Pictures from folders: by class folder, or by a CSV of labels; and files as people have them."""

import os
import unicodedata

import game_world
import numpy as np
import pytest
from PIL import Image

from data_prep.humans.game import frames, images
from data_prep.readers import listing
from gala_tf.data.images import ORIENTATION, BadImageError


def test_a_csv_gives_classes_to_a_flat_folder(tmp_path):
    drawn = game_world.draw_pictures(tmp_path / "drawn", each=1)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(drawn.rglob("*.png"))):
        path.rename(flat / f"{number}.png")
    (tmp_path / "labels.csv").write_text("Image,Class\n0.png,n01440764\n2.png,night owl\n")
    found = list(images.in_folder(str(flat), str(tmp_path / "labels.csv")))
    assert [(one.path[-5:], one.wnid, one.label) for one in found] == [
        ("0.png", "n01440764", "tench"),
        ("2.png", "", "night owl"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image,class\na.png,\n", "line 2: expected image,class"),
        ("a.png,tench\n", "line 1: columns image, class must occur once each"),
        ("image,class\nother.png,tench\n", "holds no picture .* that --labels"),
        (None, "cannot be read"),
    ],
)
def test_a_csv_at_fault_is_named(tmp_path, text, why):
    folder = game_world.draw_pictures(tmp_path / "drawn", each=1)
    if text is not None:
        (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=why):
        list(images.in_folder(str(folder), str(tmp_path / "labels.csv")))


def test_what_is_no_picture_is_said_and_links_are_followed(tmp_path):
    folder, elsewhere = tmp_path / "pictures", tmp_path / "elsewhere"
    for place in (folder / "cat", folder / ".git", elsewhere):
        place.mkdir(parents=True)
    for path in ("cat/a.WebP", "cat/b.tif", "cat/._a.jpg", ".git/c.png", "cat/notes.txt"):
        (folder / path).touch()
    (elsewhere / "d.jpe").touch()
    (folder / "dog").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)  # must not go round for ever
    with open(os.fsencode(folder / "cat") + b"/\xff.png", "wb"):
        pass
    with listing.recorded() as said:
        found = [os.path.relpath(one.path, folder) for one in images.in_folder(str(folder))]
    assert found == ["cat/a.WebP", "cat/b.tif", "dog/d.jpe"]
    (names,) = said.left_out.values()
    assert [name.split("/")[-1] for name in names] == ["notes.txt'", r"\udcff.png'"]


def test_a_picture_that_a_mac_decomposed_is_on_the_list_and_others_are_said(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("käfer.jpg", "other.jpg"):
        (folder / unicodedata.normalize("NFD", name)).touch()
    list_file = tmp_path / "labels.csv"
    list_file.write_text("\ufeffimage,class\nkäfer.jpg,beetle\n", encoding="utf-8")
    with listing.recorded() as said:
        (found,) = images.in_folder(str(folder), str(list_file))
    assert found.label == "beetle"
    assert [[os.path.basename(n) for n in names] for names in said.left_out.values()] == [
        ["other.jpg"]
    ]


@pytest.mark.parametrize("orientation", [1, 6, 9, 65535])
def test_only_a_sound_orientation_turns_a_picture(tmp_path, orientation):
    left_dark = np.zeros((256, 256, 3), np.uint8)
    left_dark[:, 128:] = 255
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[0x9286] = b"\x00odd"  # beside it, what writing all tags anew fails on
    Image.fromarray(left_dark).save(tmp_path / "a.jpg", exif=tags, quality=95)
    pixels = frames.make(str(tmp_path / "a.jpg")).pixels
    dark = pixels[:100].mean() < 50 if orientation == 6 else pixels[:, :100].mean() < 50
    assert dark


def test_transparent_pixels_are_white_not_what_lies_under_them(tmp_path):
    pixels = np.full((256, 256, 4), (255, 0, 0, 255), np.uint8)
    pixels[:, 128:] = (0, 255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shown = frames.make(str(tmp_path / "a.png")).pixels
    assert np.abs(shown[128, 200].astype(int) - 255).max() < 3 and shown[128, 50, 0] > 240


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadImageError, match="a.jpg"):
        frames.make(str(path))
