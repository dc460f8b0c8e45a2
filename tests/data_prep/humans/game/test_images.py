"""Pictures from folders: by class folder, or by a CSV of labels."""

import game_world
import pytest

from data_prep.humans.game import images


def test_a_csv_gives_classes_to_a_flat_folder(tmp_path):
    drawn = game_world.draw_pictures(tmp_path / "drawn", each=1)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(drawn.rglob("*.png"))):
        path.rename(flat / f"{number}.png")
    (tmp_path / "labels.csv").write_text("image,class\n0.png,n01440764\n2.png,night owl\n")
    found = list(images.in_folder(str(flat), str(tmp_path / "labels.csv")))
    assert [(one.path[-5:], one.wnid, one.label) for one in found] == [
        ("0.png", "n01440764", "tench"),
        ("2.png", "", "night owl"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image,class\na.png,\n", "line 2: expected image,class"),
        ("a.png,tench\n", "holds no .jpg or .png file that --labels"),
        ("image,class\nother.png,tench\n", "holds no .jpg or .png file that --labels"),
        (None, "cannot be read"),
    ],
)
def test_a_csv_at_fault_is_named(tmp_path, text, why):
    folder = game_world.draw_pictures(tmp_path / "drawn", each=1)
    if text is not None:
        (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=why):
        list(images.in_folder(str(folder), str(tmp_path / "labels.csv")))
