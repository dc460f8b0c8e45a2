"""Predictions on pictures: which files, what is said of each, and what is drawn."""

import csv
import types

import keras
import numpy as np
import photographs
import pytest
from absl import flags
from PIL import Image

from gala_tf import models, predict
from gala_tf.data import images
from gala_tf.evaluation import predicting

NAMES = ["cat", "Bär", "dog"]


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    network = models.resnet18(
        classes=3, input_shape=(32, 32, 3), width_multiplier=1 / 16, attention="gala",
        class_names=NAMES,
    )  # fmt: skip
    network.get_layer("logits").kernel.assign(np.random.default_rng(0).normal(size=(32, 3)) * 3)
    path = str(tmp_path_factory.mktemp("model") / "net.keras")
    network.save(path)
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "inside" / "deeper").mkdir(parents=True)
    photographs.photograph(0).save(folder / "a.jpg")
    photographs.photograph(1).save(folder / "inside" / "b.png")
    photographs.photograph(2).save(folder / "inside" / "deeper" / "c.tga")  # no data set takes it
    (folder / "inside" / "bad.png").write_bytes(b"\x89PNG nothing")
    (folder / "notes.txt").write_text("not looked at")
    return folder


def rows_of(directory):
    with open(directory / predicting.TABLE, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_folders_and_files_become_a_table_and_pictures(keras_file, pictures, tmp_path):
    out = tmp_path / "out"
    predicting.predict([str(pictures), str(pictures / "a.jpg")], keras_file, str(out))
    rows = rows_of(out)
    assert [row["file"].removeprefix(f"{pictures}/") for row in rows] == [
        "a.jpg",
        "inside/b.png",
        "inside/bad.png",
        "inside/deeper/c.tga",
    ]
    assert rows[2]["class"] == "" and "cannot identify" in rows[2]["problem"]
    network = keras.saving.load_model(keras_file, safe_mode=True)
    for row in (rows[0], rows[1], rows[3]):
        pixels = predicting.read_picture(row["file"], 32, predicting.CROP_FRACTION)
        logits = np.asarray(network(pixels[None].astype("float32"))["logits"][0], "float64")
        probability = np.exp(logits) / np.exp(logits).sum()
        assert row["class"] == NAMES[logits.argmax()]
        assert float(row["confidence"]) == pytest.approx(probability.max(), abs=1e-4)
    drawn = sorted(
        str(p.relative_to(out / "attention")) for p in (out / "attention").rglob("*.png")
    )
    assert drawn == ["a.jpg.png", "inside/b.png.png", "inside/deeper/c.tga.png"]
    with Image.open(out / "attention" / "a.jpg.png") as picture:
        assert picture.width > 2 * picture.height  # the image, and two layers
    predicting.predict([str(pictures)], keras_file, str(out))  # its own directory: again


def test_what_cannot_be_is_refused_before_the_work(keras_file, pictures, tmp_path):
    with pytest.raises(ValueError, match="name pictures or folders"):
        predicting.predict([], keras_file)
    with pytest.raises(ValueError, match="missing: no such file or folder"):
        predicting.predict(["missing"], keras_file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no file in this folder"):
        predicting.predict([str(tmp_path / "empty")], keras_file)
    (tmp_path / "names").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match="2 lines, one a class, .* 3 classes"):
        predicting.predict([str(pictures)], keras_file, class_names=str(tmp_path / "names"))
    other = tmp_path / "other"
    other.mkdir()
    (other / predicting.TABLE).write_text("mine")
    with pytest.raises(ValueError, match="of another origin"):
        predicting.predict([str(pictures)], keras_file, str(other))


def test_postscript_is_not_read(pictures):
    path = pictures / "evil.jpg"
    photographs.photograph(0).save(path, "EPS")
    with pytest.raises(images.BadImageError, match="cannot identify"):
        predicting.read_picture(str(path), 32, 1.0)


def test_add_attention_and_any_classifier(pictures, tmp_path, capsys):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    plain = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x), name="plain")
    plain.save(tmp_path / "plain.keras")
    models.add_attention(plain, "conv", "gala_residual").save(tmp_path / "gala.keras")
    found = {}
    for name in ("plain", "gala"):
        out = tmp_path / name
        found[name] = predicting.predict(
            [str(pictures / "a.jpg")], str(tmp_path / f"{name}.keras"), str(out)
        )
        assert (out / "attention").exists() == (name == "gala")
    a, b = (found[name][0] for name in ("plain", "gala"))
    assert a["class"] == b["class"] in ("0", "1")  # neither holds names
    assert a["confidence"] == pytest.approx(b["confidence"], abs=1e-5)
    assert "no pictures: the model returns no attention map" in capsys.readouterr().out


def test_the_command_prints_csv_without_a_directory(keras_file, pictures, monkeypatch, capsys):
    values = types.SimpleNamespace(
        pictures=[str(pictures / "a.jpg")], model=keras_file, output_dir="", class_names="",
        input_scaling="none", image_size=0, crop_fraction=0.0, layers=None, batch_size=2,
    )  # fmt: skip
    monkeypatch.setattr(flags, "FLAGS", values)
    predict.main()
    header, row = capsys.readouterr().out.splitlines()
    assert header == "file,class,confidence,problem" and row.startswith(f"{pictures}/a.jpg,")
