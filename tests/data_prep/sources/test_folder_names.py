"""Names as a Mac writes them, and names that are no UTF-8."""

import json
import os
import unicodedata

import numpy as np
from PIL import Image

from data_prep.sources import SourceOptions, folder


def test_decomposed_names_find_their_images(tmp_path):
    name = "cr\u00e8me"
    images, maps = tmp_path / "i" / name, tmp_path / "m" / unicodedata.normalize("NFD", name)
    images.mkdir(parents=True)
    maps.mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (8, 8), (i * 9, 9, 9)).save(images / f"\u00e9{i}.jpg")
        map_name = unicodedata.normalize("NFD", f"\u00e9{i}.png")
        Image.fromarray(np.eye(8, dtype="uint8")).save(maps / map_name)
    options = SourceOptions(input_dir=str(tmp_path / "i"), maps_dir=str(tmp_path / "m"))
    source = folder.load(options)
    assert source.class_names == (name,)
    assert all(json.loads(item.key)[1] for item in source.items)


def test_a_name_that_is_no_utf8_is_left_out_and_named(tmp_path, caplog):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "a.jpg")
    with open(os.fsencode(tmp_path / "cat") + b"/\xe9.jpg", "wb") as file:
        file.write(b"")
    with caplog.at_level("WARNING", logger="absl"):
        items = list(folder.load(SourceOptions(input_dir=str(tmp_path))).items)
    assert [item.image_id for item in items] == ["cat/a.jpg"]
    assert r"\xe9.jpg" in caplog.text
