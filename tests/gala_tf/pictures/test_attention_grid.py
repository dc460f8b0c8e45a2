"""Pictures taken apart: panels against numbers, every message tried."""

import dataclasses
import os
import warnings

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gala_tf import config
from gala_tf.data import dataset_info, map_operators
from gala_tf.evaluation import evaluator
from gala_tf.pictures import attention_grid, panels

PANEL, GAP, MARGIN = attention_grid.PANEL, attention_grid.GAP, attention_grid.MARGIN
LAYERS = [f"stage3_block{block}_gala" for block in range(1, 7)]


def panel(picture, row, column, captions=True):
    """The P x P pixels of one panel."""
    top = attention_grid.TITLE_HEIGHT + row * (
        PANEL + GAP + (attention_grid.CAPTION_HEIGHT if captions else 0)
    )
    left = MARGIN + column * (PANEL + GAP)
    return picture[top : top + PANEL, left : left + PANEL].astype(int)


def is_grey(pixels):
    return (pixels.max(-1) == pixels.min(-1)).all()


@pytest.fixture
def parts():
    """Three images of the panels' own size, with maps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, PANEL, PANEL, 3), np.uint8)
    maps = {"a": rng.random((3, 14, 14)), "b": rng.random((3, 7, 7))}
    return images, rng.random((3, 28, 28)), maps


def test_grid_has_a_row_an_image_and_a_column_a_layer(parts):
    picture = attention_grid.attention_grid(*parts, captions=["x", "y", "z"])
    assert picture.dtype == np.uint8
    assert picture.shape == (44 + 3 * (192 + 28 + 6) + 26 + 14, 2 * 14 + 4 * 192 + 3 * 6, 3)
    without = attention_grid.attention_grid(*parts)
    assert without.shape[0] == picture.shape[0] - 3 * 28


def test_first_column_is_the_image_itself(parts):
    picture = attention_grid.attention_grid(*parts)
    for row, image in enumerate(parts[0]):
        np.testing.assert_array_equal(panel(picture, row, 0, captions=False), image)


def test_small_images_fill_their_panel(parts):
    _, human, maps = parts
    images = np.full((3, 64, 64, 3), (10, 200, 90), np.uint8)
    picture = attention_grid.attention_grid(images, human, maps)
    assert (panel(picture, 1, 0, captions=False) == (10, 200, 90)).all()


def test_overlay_equals_an_independent_blend(parts):
    """Bicubic by the matrices of clickmaps.py, luminance by ITU-R 601, colours by matplotlib."""
    images, human, maps = parts
    picture = attention_grid.attention_grid(images, human, maps)
    for column, values in enumerate([human[2], maps["a"][2], maps["b"][2]], start=1):
        side = values.shape[0]
        enlarge = map_operators.resample_matrix(side, PANEL, 0, side, "bicubic").numpy()
        scaled = (values - values.min()) / (values.max() - values.min())
        heat = np.clip(enlarge @ scaled @ enlarge.T, 0, 1)
        color = 255 * matplotlib.colormaps["inferno"](heat)[..., :3]
        grey = (images[2] @ [0.299, 0.587, 0.114])[..., None]
        opacity = (0.4 + 0.15 * heat)[..., None]
        expected = (1 - opacity) * grey + opacity * color
        difference = panel(picture, 2, column, captions=False) - expected
        # Rounding of the grey and of the result; of 256 colours, a neighbour now and then.
        assert np.abs(difference).max() < 4
        assert np.abs(difference).mean() < 0.6


def test_heat_lies_where_the_map_is_high():
    """A hot cell (1, 2) of 4 x 4 lights up around (1.5, 2.5) / 4 of the panel."""
    maps = np.zeros((1, 4, 4))
    maps[0, 1, 2] = 5.0
    picture = attention_grid.attention_grid(
        np.full((1, 32, 32, 3), 90, np.uint8), maps, {"a": maps}
    )
    light = panel(picture, 0, 2, captions=False).sum(-1)
    weight = np.maximum(light - 0.8 * light.max(), 0)
    rows, columns = np.mgrid[:PANEL, :PANEL] + 0.5
    assert (rows * weight).sum() / weight.sum() == pytest.approx(1.5 * PANEL / 4, abs=1)
    assert (columns * weight).sum() / weight.sum() == pytest.approx(2.5 * PANEL / 4, abs=1)


def test_every_map_has_its_own_scale(parts, monkeypatch):
    monkeypatch.setattr(panels, "FLAT", 0.0)  # without the mark
    images, human, maps = parts
    scaled = {"a": 1e-3 * maps["a"] + 7, "b": 1e4 * maps["b"] - 5}
    picture = attention_grid.attention_grid(images, human, maps).astype(int)
    same = attention_grid.attention_grid(images, 12.0 * human, scaled).astype(int)
    assert np.abs(picture - same).max() <= 3  # float32: a neighbouring colour


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan, np.inf])
def test_map_without_information_is_a_grey_panel_with_a_reason(parts, value):
    images, human, maps = parts
    human[1], maps["b"][0] = value, value
    if not np.isfinite(value):
        human[1, 1:], maps["b"][0, 1:] = 0.5, 0.5  # one bad row spoils a map
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = attention_grid.attention_grid(images, human, maps)
    assert is_grey(panel(picture, 1, 1, captions=False))
    assert is_grey(panel(picture, 0, 3, captions=False))
    assert not is_grey(panel(picture, 0, 1, captions=False))
    # The reason, in ink, in the middle of what is otherwise pale.
    assert panel(picture, 0, 3, captions=False)[80:112].min() < 60


def test_human_map_that_is_missing_and_one_that_is_flat_read_differently(parts):
    images, human, maps = parts
    images[:] = 128
    human[0], human[1] = 0.0, 2.0
    picture = attention_grid.attention_grid(images, human, maps)
    missing, flat = (panel(picture, row, 1, captions=False) for row in (0, 1))
    assert (missing != flat).any()


def test_captions_are_drawn_below_their_rows_and_never_run_out_of_the_picture(parts):
    captions = ["", "true: goldfish / said: koala", "true: " + "very " * 100 + "long"]
    picture = attention_grid.attention_grid(*parts, captions=captions)
    bottoms = [attention_grid.TITLE_HEIGHT + row * (PANEL + 28 + GAP) + PANEL for row in range(3)]
    empty, short, long = (picture[b : b + 28] for b in bottoms)
    assert empty.min() == 255
    assert 0 < (short < 100).any((0, 2)).sum() < 400
    assert short[:, :MARGIN].min() == 255
    assert (long < 100).any((0, 2)).nonzero()[0].max() > picture.shape[1] - MARGIN - 30
    assert long[:, -MARGIN:].min() == 255


def test_titles_are_layer_names_unless_given(parts):
    named = attention_grid.attention_grid(*parts)
    titled = attention_grid.attention_grid(
        *parts, layer_titles={"b": "layer 39\nstage3_block6_gala"}
    )
    column = slice(MARGIN + 3 * (PANEL + GAP), None)
    different = (named != titled).any(-1)
    assert different[: attention_grid.TITLE_HEIGHT, column].any()
    different[: attention_grid.TITLE_HEIGHT, column] = False
    assert not different.any()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda i, h, m: (i.astype(np.float32), h, m), r"images must be uint8.*float32 \(3"),
        (lambda i, h, m: (i[0], h, m), "images must be uint8"),
        (lambda i, h, m: (i[:0], h[:0], {}), r"N > 0.*\(0, 192"),
        (lambda i, h, m: (i, h[:2], m), r"human_maps must be .*each of the 3 images.*\(2, 28"),
        (lambda i, h, m: (i, h, {"a": m["a"][..., None]}), r"a must be \[N, h, w\].*14, 1\)"),
    ],
)
def test_wrong_shapes_are_refused(parts, change, message):
    with pytest.raises(ValueError, match=message):
        attention_grid.attention_grid(*change(*parts))


def test_wrong_number_of_captions_is_refused(parts):
    with pytest.raises(ValueError, match="captions .* expected 3, received 1"):
        attention_grid.attention_grid(*parts, captions=["one"])


def test_png_holds_the_picture(tmp_path, parts):
    picture = attention_grid.attention_grid(*parts)
    path = tmp_path / "new" / "figures" / "x.png"
    attention_grid.write_png(str(path), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert os.listdir(path.parent) == ["x.png"]


def test_default_layers_are_first_third_and_last():
    maps = dict.fromkeys(LAYERS)
    assert attention_grid.choose_layers(maps) == [LAYERS[0], LAYERS[2], LAYERS[5]]
    assert attention_grid.choose_layers(maps, [LAYERS[4], LAYERS[1]]) == [LAYERS[4], LAYERS[1]]
    assert attention_grid.choose_layers({"a": 0}) == ["a"]
    assert attention_grid.choose_layers({"a": 0, "b": 0}) == ["a", "b"]


def test_unknown_layer_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="no attention map of x. This network has a, b"):
        attention_grid.choose_layers({"a": 0, "b": 0}, ["a", "x"])


def test_titles_number_layers_as_the_paper_does():
    titles = attention_grid.paper_titles([LAYERS[0], LAYERS[5]], config.Config())
    assert titles == {
        LAYERS[0]: "layer 24\nstage3_block1_gala",
        LAYERS[5]: "layer 39\nstage3_block6_gala",
    }


def predictions(has_clickmap):
    count = len(has_clickmap)
    return evaluator.Predictions(
        label=np.arange(count) % 2,
        prediction=np.zeros(count, int),
        rank=None,
        cross_entropy=None,
        clickmap=np.ones((count, 4, 4)),
        has_clickmap=np.array(has_clickmap, bool),
        maps={"a": np.zeros((count, 4, 4)) + np.arange(count)[:, None, None]},
    )


def test_rows_are_spread_over_images_with_maps():
    def spread(given, count):
        return attention_grid.spread(given.has_clickmap, count)

    assert spread(predictions([1] * 9), 3).tolist() == [0, 4, 8]
    assert spread(predictions([0, 1, 0, 1, 1]), 2).tolist() == [1, 4]
    assert spread(predictions([0, 1, 0, 1, 1]), 10).tolist() == [1, 3, 4]
    assert spread(predictions([0] * 5), 3).tolist() == [0, 2, 4]


def test_spread_takes_flags_alone():
    assert attention_grid.spread(np.array([True, False, True]), 2).tolist() == [0, 2]
    assert attention_grid.spread(np.array([False, False]), 1).tolist() == [0]


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([1, 2])])
def test_grid_of_predictions_takes_the_same_rows_of_everything(monkeypatch, rows):
    monkeypatch.setattr(attention_grid, "attention_grid", lambda *a, **named: (*a, named))
    given = predictions([1, 1, 0, 1])
    images, human, maps, captions, titles, named = attention_grid.predictions_grid(
        np.zeros((2, 8, 8, 3), np.uint8), given, rows, ("cat", "dog"), ["a"], titles={"a": "A"}
    )
    assert images.shape == (2, 8, 8, 3)
    assert human[:, 0, 0].tolist() == [1, 0]  # image 2 has no map, whatever the array holds
    assert maps["a"][:, 0, 0].tolist() == [1, 2]
    assert captions == ["✗ true: dog / said: cat", "true: cat / said: cat"]
    assert named["wrong"].tolist() == [True, False] and named["human_title"] == "human map"
    assert titles == {"a": "A"}


def test_captions_tell_confidence_and_map_score(monkeypatch):
    monkeypatch.setattr(attention_grid, "attention_grid", lambda *a, **named: a[3])
    given = predictions([1, 1, 1])
    given.confidence = np.array([0.5, 0.995, 0.7])
    captions = attention_grid.predictions_grid(
        np.zeros((3, 8, 8, 3), np.uint8), given, slice(3), ("cat", "dog"),
        map_scores=np.array([0.456, np.nan, -0.1]),
    )  # fmt: skip
    assert [text.partition("said: ")[2] for text in captions] == [
        "cat (50 %), map score 0.46",
        "cat (100 %)",
        "cat (70 %), map score -0.10",
    ]


def test_a_nearly_flat_map_is_marked(parts):
    images, human, layer_maps = parts
    rng = np.random.default_rng(0)
    flat = {"a": 5 + 0.05 * rng.random((3, 4, 4)), "b": rng.random((3, 4, 4))}
    assert panels.flatness(flat["a"][0]).startswith("flat: varies by ")
    assert not panels.flatness(flat["b"][0]) and not panels.flatness(np.array([[0.0, 1.0]]))
    picture = attention_grid.attention_grid(images, human, flat)
    foot = panel(picture, 0, 2, captions=False)[-16:-1]
    assert (foot == 255).all(-1).mean() > 0.5  # a strip of paper with the words on it
    assert not (panel(picture, 0, 3, captions=False)[-16:-1] == 255).all(-1).any()


def test_wrong_answers_are_red(parts):
    captions, wrong = ["✗ true: a / said: b", "true: a / said: a", "true: b / said: b"], [1, 0, 0]
    picture = attention_grid.attention_grid(*parts, captions=captions, wrong=wrong).astype(int)
    top = attention_grid.TITLE_HEIGHT + PANEL
    rows = [picture[top + row * (PANEL + GAP + 28) :][:28] for row in range(3)]
    red = [((row[..., 0] - row[..., 1]) > 100).any() for row in rows]
    assert red == [True, False, False]


def test_simulated_maps_are_called_so(data_dir):
    info = dataset_info.load_info(str(data_dir))
    assert attention_grid.human_title(info) == "human map"
    built = {"command": "x --source quickstart", "name": "mine"}
    for changes in ({"name": "quickstart", "command": "x"}, built):
        changed = dataclasses.replace(info, **changes)
        assert attention_grid.human_title(changed) == "simulated map"
    mine = dataclasses.replace(info, name="quickstart", command="x --source=folder")
    assert attention_grid.human_title(mine) == "human map"  # a name says nothing
