"""Map files as people have them: channels, colours, depths, rotation."""

import numpy as np
import pytest
from fake_trees import counts, write_map
from PIL import Image

from data_prep.readers.images.map_files import is_lossy, read_map
from gala_tf.data.schema import BadMapError


@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 1), (1, 24, 32), (1, 24, 32, 1)])
def test_one_channel_is_a_map(tmp_path, shape):
    np.save(tmp_path / "a.npy", counts().reshape(shape))
    np.testing.assert_array_equal(read_map(str(tmp_path / "a.npy")), counts()[None])


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "tif", "gif"])
def test_exact_formats_keep_every_value(tmp_path, ending):
    write_map(tmp_path / f"a.{ending}", counts())
    np.testing.assert_array_equal(read_map(str(tmp_path / f"a.{ending}")), counts()[None])
    assert not is_lossy(f"a.{ending}")


def test_16_bits_and_floats_of_a_tiff_are_kept(tmp_path):
    Image.fromarray(counts().astype(np.uint16) * 999).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_map(str(tmp_path / "a.tif"))[0], counts() * 999.0)
    Image.fromarray(counts().astype(np.float32)).save(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_map(str(tmp_path / "b.tif"))[0], counts())


def test_grey_saved_as_colours_is_a_map_and_colours_are_none(tmp_path):
    grey = Image.fromarray(counts())
    for mode in ("RGB", "RGBA", "P", "LA"):
        grey.convert(mode).save(tmp_path / f"{mode}.png")
        np.testing.assert_array_equal(read_map(str(tmp_path / f"{mode}.png")), counts()[None])
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    with pytest.raises(BadMapError, match="red.png.*not a grey one"):
        read_map(str(tmp_path / "red.png"))
    Image.new("LA", (8, 8), (9, 9)).save(tmp_path / "thin.png")
    with pytest.raises(BadMapError, match="thin.png.*transparent"):
        read_map(str(tmp_path / "thin.png"))


def test_a_map_is_turned_as_its_image_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(counts()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_map(str(tmp_path / "a.png"))[0], np.rot90(counts(), -1))


def test_a_map_of_no_numbers_is_said_in_words(tmp_path):
    values = np.ones((4, 5))
    values[0] = np.nan
    values[1, :2] = np.inf, -1
    np.save(tmp_path / "a.npy", values)
    words = r"a.npy'.*got -1.0...1.0: of 20 values 5 not a number \(NaN\), 1 infinite, 1 negative"
    with pytest.raises(BadMapError, match=words):
        read_map(str(tmp_path / "a.npy"))


def test_no_message_shows_a_python_object(tmp_path):
    for name in ("a.png", "a.jpg", "a.tif", "a.npy"):
        (tmp_path / name).write_bytes(b"no map")
        with pytest.raises(BadMapError, match=f"{name}'") as caught:
            read_map(str(tmp_path / name))
        assert " at 0x" not in str(caught.value)
