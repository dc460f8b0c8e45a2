"""The quickstart pictures as a folder: its own pictures, each with its figure."""

import numpy as np
import pytest
from PIL import Image

from data_prep.humans.demo import figures
from data_prep.sources import quickstart


def test_pictures_and_figures_lie_side_by_side(tmp_path):
    folder = tmp_path / "new"
    assert figures.write(folder, (6, 2, 1)) == 9
    pictures = sorted((folder / "pictures").rglob("*.jpg"))
    masks = sorted((folder / "masks").rglob("*.png"))
    inside = [path.relative_to(folder / "pictures").with_suffix("") for path in pictures]
    assert inside == [path.relative_to(folder / "masks").with_suffix("") for path in masks]
    assert {path.parts[0] for path in inside} == {"train", "validation", "test"}
    assert {path.parts[1] for path in inside} == set(quickstart.CLASS_NAMES)
    one = quickstart.example(0, "train", 3)
    name = f"train/{quickstart.CLASS_NAMES[3]}/{one.image_id}"
    assert (folder / "pictures" / f"{name}.jpg").read_bytes() == one.image
    # All five simulated participants of the data set itself know the figure.
    mask = np.asarray(Image.open(folder / "masks" / f"{name}.png"))
    painted = sum(one.participant_maps)
    assert set(np.unique(mask)) == {0, 255} and 300 < (mask > 0).sum() < 900
    assert painted[mask > 0].mean() > 5 * painted[mask == 0].mean()


def test_an_existing_folder_is_kept(tmp_path):
    with pytest.raises(ValueError, match="exists"):
        figures.write(tmp_path, (1, 1, 1))
