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


def formats():
    """What Pillow can write as well as read, and may read here."""
    Image.init()
    return sorted(set(Image.SAVE) & set(Image.OPEN) - predicting.NEVER_READ)


STUBS = {"BUFR", "GRIB", "HDF5"}  # Pillow knows their names, and needs another program
NUMBERS = {"SPIDER"}  # of no known range


@pytest.mark.parametrize("kind", [kind for kind in formats() if kind not in STUBS])
def test_every_format_that_pillow_reads(kind, tmp_path):
    photo = photographs.photograph(0).resize((96, 80))
    path = tmp_path / "picture"
    for mode in ("RGB", "P", "L", "1", "F"):
        try:
            photo.convert(mode).save(path, kind)
            break
        except (OSError, ValueError, KeyError):
            continue
    if kind in NUMBERS:
        with pytest.raises(images.BadImageError, match="numbers of 32 bits .* what is white"):
            predicting.read_picture(str(path), 32, 1.0)
        return
    photo.save(tmp_path / "plain.png")
    expected = predicting.read_picture(str(tmp_path / "plain.png"), 32, 1.0).astype(int)
    if mode in ("L", "1"):
        expected = expected @ np.array([0.299, 0.587, 0.114])
        expected = np.repeat(expected[..., None], 3, axis=2)
    found = predicting.read_picture(str(path), 32, 1.0)
    sizes = {"ICNS": 32, "ICO": 32}  # of other sizes inside, and of other sides
    tolerance = {"1": 40, "P": 25}.get(mode, sizes.get(kind, 6))
    assert found.shape == (32, 32, 3)
    assert np.abs(found - expected).mean() < tolerance


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bit_grey_keeps_its_shades(kind, tmp_path):
    """Not clipped, which would be white: black to white, from left to right."""
    ramp = np.linspace(0, 65_535, 64).astype("uint16")[None].repeat(64, 0)
    Image.fromarray(ramp).save(tmp_path / "grey", kind)
    found = predicting.read_picture(str(tmp_path / "grey"), 64, 1.0).astype(int)
    assert np.ptp(found, axis=2).max() == 0
    np.testing.assert_allclose(found[32, :, 0], ramp[0] // 256, atol=3)


def test_a_phones_picture_is_turned_upright(tmp_path):
    """An MPO, which opens as a format of its own, with an EXIF orientation."""
    photo = photographs.photograph(0).resize((96, 80))
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    photo.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[photo], exif=exif)
    photo.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")
    with Image.open(tmp_path / "phone.jpg") as opened:
        assert opened.format == "MPO"
    found, expected = (
        predicting.read_picture(str(tmp_path / name), 32, 1.0).astype(int)
        for name in ("phone.jpg", "upright.png")
    )
    assert np.abs(found - expected).mean() < 6


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


class Returned(keras.Model):
    """Gives its pixels as class scores, after `end`; its last step tells nothing."""

    def __init__(self, end, dtype):
        super().__init__(dtype=dtype)
        self.end = end

    def call(self, images, training=False):
        return self.end(images[:, 0, 0, :])


def look_at(batches, end, dtype="float32"):
    """The confidences of batches of class scores [B, 3], one after the other."""
    model = predicting.Model(Returned(end, dtype), 1, "abc", 1.0, "")
    look = predicting.make_look(model, "none")
    return [look(np.array(rows)[:, None, None, :])[0]["confidence"] for rows in batches]


def test_later_pictures_do_not_change_what_class_scores_are():
    _, small = look_at([[[5.0, -3, 1]], [[0.2, 0.3, 0.5]]], end=lambda x: x)
    assert small == pytest.approx(1 / (1 + np.exp(-0.2) + np.exp(-0.3)))  # logits, as the first


def test_a_softmax_rounded_to_bfloat16_stays_one():
    logits = np.random.default_rng(0).normal(0, 2, (64, 3)).astype("float32")
    exact = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    (found,) = look_at(
        [logits],
        lambda x: keras.ops.softmax(keras.ops.cast(x, "bfloat16")),
        "mixed_bfloat16",
    )
    np.testing.assert_allclose(found, exact.max(1), atol=0.02)


def test_the_command_prints_csv_without_a_directory(keras_file, pictures, monkeypatch, capsys):
    values = types.SimpleNamespace(
        pictures=[str(pictures / "a.jpg")], model=keras_file, output_dir="", class_names="",
        input_scaling="none", image_size=0, crop_fraction=0.0, layers=None, batch_size=2,
    )  # fmt: skip
    monkeypatch.setattr(flags, "FLAGS", values)
    predict.main()
    header, row = capsys.readouterr().out.splitlines()
    assert header == "file,class,confidence,problem" and row.startswith(f"{pictures}/a.jpg,")
