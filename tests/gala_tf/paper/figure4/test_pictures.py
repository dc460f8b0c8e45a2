"""Fig. 4 taken apart: gradients by hand, colours by sign, runs drawn end to end, every refusal."""

import dataclasses
import os

import keras
import numpy as np
import photographs
import pytest
import small_data
from absl import flags
from PIL import Image

from gala_tf import config, figures
from gala_tf.data import dataset_info, eval_pipeline
from gala_tf.evaluation import evaluate_run
from gala_tf.paper.figure4 import draw as figure4
from gala_tf.paper.figure4 import image_folder, networks, pictures
from gala_tf.pictures import panels
from gala_tf.runs import checkpoints
from gala_tf.runs import directory as run_directory

PANEL, GAP, MARGIN = pictures.PANEL, pictures.GAP, pictures.MARGIN


def test_gradient_is_scaled_to_its_99th_percentile():
    """Values 1...100: the percentile lies 99 % of the way from the 1st to the 100th, at 99.01."""
    strengths = np.arange(1.0, 101).reshape(1, 10, 10)
    expected = np.append(np.arange(1.0, 100) / 99.01, 1).reshape(1, 10, 10)
    np.testing.assert_allclose(pictures.normalised(strengths), expected, rtol=1e-12)


def test_each_image_is_scaled_by_itself_and_nothing_stays_nothing():
    strengths = np.stack([np.zeros((4, 4)), np.full((4, 4), 7.0)])
    assert pictures.normalised(strengths).tolist() == [[[0] * 4] * 4, [[1] * 4] * 4]
    strengths[0, 0, 0] = np.nan
    assert np.isnan(pictures.normalised(strengths)[0]).any()  # seen, not hidden


def test_difference_is_of_shares_not_of_scales():
    rng = np.random.default_rng(0)
    strengths = rng.random((2, 8, 8))
    assert not pictures.gradient_difference(strengths, strengths).any()
    np.testing.assert_allclose(
        pictures.gradient_difference(strengths, 1e-5 * strengths), 0, atol=1e-12
    )


def test_difference_by_hand():
    """Percentile 99 of (0, 1, 2, 4): 2 + 0.97 * 2 = 3.94; of (4, 4, 0, 0): 4."""
    red, blue = np.array([[[0.0, 1], [2, 4]]]), np.array([[[4.0, 4], [0, 0]]])
    expected = [[[-1, 1 / 3.94 - 1], [2 / 3.94, 1]]]
    difference = pictures.gradient_difference(red, blue)
    np.testing.assert_allclose(difference, expected, rtol=1e-12)
    np.testing.assert_array_equal(pictures.gradient_difference(blue, red), -difference)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 4, 4, 3)])
def test_gradients_of_other_images_are_not_compared(shape):
    with pytest.raises(ValueError, match=r"as \[N, S, S\] on the same images.*\(2, 4, 4"):
        pictures.gradient_difference(np.zeros((2, 4, 4) + shape[3:]), np.zeros(shape))


def test_gradient_of_a_linear_network_is_the_sum_of_its_weights_sizes():
    """logits = <images, weights of the class>: whatever the noise, |weights| summed over RGB."""
    images = keras.Input((6, 6, 3))
    layer = keras.layers.Dense(4, use_bias=False)
    network = keras.Model(images, {"logits": layer(keras.layers.Flatten()(images))})
    pixels = np.random.default_rng(0).integers(0, 256, (11, 6, 6, 3), np.uint8)  # two batches
    labels = np.arange(11, dtype=np.int32) % 4
    maps = networks.gradient_maps(
        network, pixels, labels, np.arange(11), seed=0, samples=3, noise=0.2
    )
    weights = np.abs(layer.kernel.numpy()).reshape(6, 6, 3, 4).sum(2)  # [6, 6, K]
    np.testing.assert_allclose(maps, np.moveaxis(weights, -1, 0)[labels], rtol=1e-5)


def test_gradients_depend_on_the_seed_and_the_place_in_the_split_alone():
    """The noise belongs to the image, so that both networks see it, whatever else is drawn."""
    images = keras.Input((6, 6, 3))
    hidden = keras.layers.Dense(5, "tanh")(keras.layers.Flatten()(images) / 255.0)
    network = keras.Model(images, {"logits": keras.layers.Dense(4)(hidden)})
    pixels = np.random.default_rng(0).integers(0, 256, (10, 6, 6, 3), np.uint8)
    labels, rows = np.arange(10, dtype=np.int32) % 4, 3 * np.arange(10)

    def maps(part=slice(None), seed=0):
        return networks.gradient_maps(
            network, pixels[part], labels[part], rows[part], seed=seed, samples=2, noise=0.15
        )

    every = maps()
    assert every.shape == (10, 6, 6)
    np.testing.assert_allclose(maps(slice(9, 10)), every[9:], rtol=1e-4)
    assert not np.allclose(maps(seed=1), every, rtol=1e-3)


IMAGE = np.full((8, 8, 3), 100, np.uint8)


def test_red_where_the_first_network_prefers_and_blue_where_the_second():
    difference = np.zeros((8, 8))
    difference[:, :4], difference[:, 4:] = 1, -1
    pixels = np.asarray(panels.difference_panel(IMAGE, difference, 80)).astype(int)
    under = 0.3 * 100 + 0.7 * 255
    for place, color in ((5, panels.RED), (75, panels.BLUE)):
        expected = 0.15 * under + 0.85 * np.array(color)
        np.testing.assert_allclose(pixels[40, place], expected, atol=2)


def test_no_difference_is_neutral_and_said():
    panel = np.asarray(panels.difference_panel(IMAGE, np.zeros((8, 8)), 152))
    assert (panel.max(-1) == panel.min(-1)).all()  # grey
    assert panel.min() < 80 < 180 < np.median(panel)  # ink on pale


def test_nearly_no_difference_looks_like_none():
    """The scale is fixed: rounding errors are not blown up to full colours."""
    noise = 1e-6 * np.random.default_rng(0).normal(size=(8, 8))
    panel = np.asarray(panels.difference_panel(IMAGE, noise, 80)).astype(int)
    assert np.ptp(panel) <= 1


@pytest.mark.parametrize("color", [panels.RED, panels.BLUE])
def test_tint_is_strongest_where_the_map_is(color):
    attention = np.zeros((4, 4))
    attention[:2] = 3.0
    pixels = np.asarray(panels.tinted(IMAGE, attention, 80, color)).astype(int)
    under = 0.5 * 100 + 0.5 * 255
    np.testing.assert_allclose(pixels[5, 40], 0.15 * under + 0.85 * np.array(color), atol=1)
    np.testing.assert_allclose(pixels[75, 40], under, atol=1)


def test_revealed_image_is_itself_where_attended_and_fades_to_paper():
    attention = np.zeros((4, 4))
    attention[:2] = 3.0
    pixels = np.asarray(panels.revealed(IMAGE, attention, 80)).astype(int)
    np.testing.assert_allclose(pixels[5, 40], 100, atol=1)
    np.testing.assert_allclose(pixels[75, 40], 0.12 * 100 + 0.88 * 255, atol=1)


@pytest.mark.parametrize("value", [2.0, np.nan])
@pytest.mark.parametrize("draw", ["tinted", "heat_panel", "revealed"])
def test_map_without_information_is_pale_and_says_so(draw, value):
    attention = np.full((4, 4), value)
    arguments = {
        "tinted": (IMAGE, attention, 152, panels.RED),
        "heat_panel": (attention, 152),
        "revealed": (IMAGE, attention, 152),
    }[draw]
    panel = np.asarray(getattr(panels, draw)(*arguments))
    assert (panel.max(-1) == panel.min(-1)).all()
    assert panel.min() < 80


def side(name, count=2, columns=3):
    maps = np.random.default_rng(1).random((columns, count, 7, 7))
    titles = [f"layer {number}\nunit" for number in range(columns)]
    return pictures.Side(name, dict(zip(titles, maps, strict=True)), ["said: x"] * count)


def panel_at(picture, top, left):
    return picture[top : top + PANEL, left : left + PANEL].astype(int)


def test_picture_a_has_its_groups_in_their_colours():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, PANEL, PANEL, 3), np.uint8)
    differences = np.ones((2, 9, 9))
    picture = pictures.picture_a(
        images, rng.random((2, 7, 7)), differences, side("ours"), side("other", columns=1),
        ["a", "b"], ["a note"],
    )  # fmt: skip
    group = 3 * (PANEL + GAP) - GAP
    lefts = [MARGIN, MARGIN + group + 24, MARGIN + 2 * (group + 24)]
    assert picture.shape[1] == lefts[2] + PANEL + MARGIN
    top = 28 + 40 + (PANEL + 26 + GAP)  # of the second row
    np.testing.assert_array_equal(panel_at(picture, top, lefts[0]), images[1])
    mean = [
        panel_at(picture, top, left).mean((0, 1))
        for left in (lefts[0] + 2 * (PANEL + GAP), lefts[1], lefts[2])
    ]
    for place, redder in enumerate([True, True, False]):
        assert (mean[place][0] > mean[place][2] + 20) == redder
        assert (mean[place][2] > mean[place][0] + 20) != redder
    assert tuple(picture[28, lefts[1] + 5]) == panels.RED  # the rule below the name
    assert tuple(picture[28, lefts[2] + 5]) == panels.BLUE


@pytest.mark.parametrize("count, columns, rows", [(1, 1, 1), (3, 3, 1), (5, 3, 2)])
def test_picture_b_is_a_grid_of_triplets(count, columns, rows):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, PANEL, PANEL, 3), np.uint8)
    picture = pictures.picture_b(images, rng.random((count, 7, 7)), ["x"] * count, ["note"])
    group = 3 * (PANEL + GAP) - GAP
    assert picture.shape[1] == 2 * MARGIN + columns * (group + 24) - 24
    assert picture.shape[0] == 40 + rows * (PANEL + 26 + GAP) + 10 + 2 * 18 + MARGIN
    top = 40 + (rows - 1) * (PANEL + 26 + GAP)
    left = MARGIN + (count - 1) % columns * (group + 24)
    np.testing.assert_array_equal(panel_at(picture, top, left), images[-1])


def with_layers(names, **layout):
    return [f"{name}_gala" for name in names], config.Config(**layout)


def stage3(count):
    return [f"stage3_block{block}" for block in range(1, count + 1)]


@pytest.mark.parametrize(
    "names, layout, expected",
    [
        (stage3(6), {}, [2, 4, 6]),  # layers 27, 33, 39
        (stage3(6), {"stage_blocks": (1, 1, 6, 1)}, [2, 4, 6]),
        (stage3(23), {"depth": 101}, [2, 4, 6]),
        (stage3(4), {"stage_blocks": (1, 1, 4, 1)}, [2, 3, 4]),
        (stage3(2), {"stage_blocks": (1, 1, 2)}, [1, 2]),
        (stage3(1), {"stage_blocks": (1, 1, 1)}, [1]),
        (["stage1_block1", *stage3(6), "stage4_block1"], {}, [2, 4, 6]),
    ],
)
def test_layers_are_the_papers_or_correspond(names, layout, expected):
    chosen = networks.paper_layers(*with_layers(names, **layout))
    assert chosen == [f"stage3_block{block}_gala" for block in expected]


def make_run(data_dir, model_dir, info, **changes):
    """A run whose best weights are those it began with."""
    run_config = small_data.small_config(data_dir, model_dir, **changes)
    run_directory.start(run_config, info)
    network = run_directory.build_network(run_config, info.num_classes)
    checkpoints.Checkpoints(str(model_dir / "best"), 1, model=network).save(5, validation={})
    return str(model_dir)


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory):
    """Two small networks of other seeds on one data set."""
    root, info = tmp_path_factory.mktemp("runs"), dataset_info.load_info(str(data_dir))
    return [
        make_run(data_dir, root / "maps", info),
        make_run(data_dir, root / "none", info, seed=1, map_loss_weight=0.0),
    ]


@pytest.fixture
def fast(monkeypatch):
    """Drawing without the gradients; yields what was given to the picture."""
    drawn, real = [], pictures.picture_a
    monkeypatch.setattr(
        networks, "gradient_maps", lambda network, images, *a, **k: images.astype(float).sum(-1)
    )
    monkeypatch.setattr(
        pictures, "picture_a", lambda *a, **k: drawn.append((*a, k)) or real(*a, **k)
    )
    return drawn


def draw(runs, tmp_path, **arguments):
    output = str(tmp_path / "a.png")
    return figure4.draw_4a(*runs, **{"num_images": 2, "output": output, **arguments})


def test_two_runs_side_by_side(runs, tmp_path, fast):
    path = draw(runs, tmp_path, num_images=9, samples=7, seed=3)
    assert path == str(tmp_path / "a.png")
    images, human, _, red, blue, words = fast[0]
    assert images.shape == (9, 28, 28, 3) and human.shape == (9, 14, 14)
    assert human.any((1, 2)).all()
    assert (red.name, blue.name) == ("GALA-ResNet-(1,1) w/ maps", "GALA-ResNet-(1,1) no maps")
    assert list(red.maps) == ["layer 3\nstage1_block1_gala", "layer 6\nstage2_block1_gala"]
    assert (
        red.maps["layer 6\nstage2_block1_gala"] != blue.maps["layer 6\nstage2_block1_gala"]
    ).any()
    true = [caption.split(": ")[1].split(" (")[0] for caption in words["captions"]]
    said = [answer.split("said: ")[1].split(",")[0] for answer in red.captions]
    marked = [answer.startswith("✗ ") for answer in red.captions]
    assert marked == [a != b for a, b in zip(true, said, strict=True)] and True in marked
    notes = "\n".join(words["notes"])
    for part in ("9 of 13 images", "7 samples", "seed 3", "step 5", "correspond to 27, 33 and 39"):
        assert part in notes


def test_answers_are_the_networks_own(runs):
    network = networks.open_with_attention(runs[0]).network
    images = np.random.default_rng(0).integers(0, 256, (11, 28, 28, 3), np.uint8)
    looks = networks.look(network, images)
    outputs = network(images, training=False)
    logits = outputs["logits"].numpy().astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_array_equal(looks.prediction, softmax.argmax(1))
    np.testing.assert_allclose(looks.confidence, softmax.max(1), rtol=1e-5)
    for name, volume in outputs["attention"].items():
        norm = np.linalg.norm(volume.numpy(), axis=-1)
        np.testing.assert_allclose(looks.maps[name], norm, rtol=1e-4, atol=1e-5)


def opened(info, **changes):
    """A run as far as `check_pair` looks."""
    run_config = small_data.small_config("data", "run", **changes)
    return run_directory.OpenRun("run", run_config, info)


def test_runs_that_cannot_be_compared_are_refused(data_dir):
    info = dataset_info.load_info(str(data_dir))
    ours, check = opened(info), figure4.check_pair
    check(ours, opened(info, seed=1, map_loss_weight=0.0), "")
    other = opened(dataclasses.replace(info, class_names=info.class_names[::-1]))
    for given in ("", "data"):
        with pytest.raises(ValueError, match="other classes, or another order.*red.*yellow"):
            check(ours, other, given)
    other = opened(dataclasses.replace(info, name="circles"))
    with pytest.raises(ValueError, match="another data set.*circles.*Give --data_dir"):
        check(ours, other, "")
    check(ours, other, "data")  # said which
    with pytest.raises(ValueError, match="--image_size is 28 in .* and 32 in"):
        check(ours, opened(info, image_size=32), "")
    with pytest.raises(ValueError, match="--crop_fraction is 0.875 in .* and 1.0 in"):
        check(ours, opened(info, crop_fraction=1.0), "")


def test_network_without_attention_maps_is_refused(data_dir, tmp_path):
    info = dataset_info.load_info(str(data_dir))
    run = make_run(data_dir, tmp_path, info, attention="se")
    with pytest.raises(ValueError, match=r"--attention=se\) has no attention map"):
        networks.open_with_attention(run)


def test_wrong_run_data_set_or_number_is_refused(runs, data_dir, tmp_path):
    with pytest.raises(ValueError, match="no run.flags"):
        draw([str(tmp_path), runs[0]], tmp_path)
    with pytest.raises(ValueError, match="--num_images must be positive"):
        draw(runs, tmp_path, num_images=0)
    info = dataset_info.load_info(str(data_dir))
    other_classes = dataclasses.replace(info, class_names=info.class_names[::-1])
    dataset_info.save_info(str(tmp_path), other_classes)
    with pytest.raises(ValueError, match="--data_dir=.* has other classes, or another order"):
        draw(runs, tmp_path, data_dir=str(tmp_path))


def choose(data_dir, split="test", count=99):
    run_config = small_data.small_config(data_dir, "run")
    info = dataset_info.load_info(str(data_dir))
    protocol = evaluate_run.paper_protocol(run_config, info, split, {"layer": 14})
    return networks.choose_places(protocol, count)


def test_split_that_is_not_there_or_empty_is_refused(data_dir, tmp_path):
    with pytest.raises(ValueError, match="no split 'nothere'"):
        choose(data_dir, "nothere")
    small_data.build(tmp_path, {"train": 2, "test": 0}, shards=1)
    with pytest.raises(ValueError, match="--split=test: .* has no images.*'train': 2"):
        choose(tmp_path)


def test_images_are_chosen_among_those_with_a_map(data_dir):
    ids = eval_pipeline.image_ids(str(data_dir), dataset_info.load_info(str(data_dir)), "test")
    numbers = [int(name.split("/")[1]) for name in ids]
    with_map = [row for row, number in enumerate(numbers) if number % 5]
    assert choose(data_dir).tolist() == with_map
    assert choose(data_dir, count=2).tolist() == [with_map[0], with_map[-1]]


def test_images_without_any_map_are_drawn_all_the_same(runs, tmp_path, fast, monkeypatch):
    """And runs of one kind are told apart by their directories."""
    real = small_data.make_example
    monkeypatch.setattr(small_data, "make_example", lambda i, split: real(5 * i, split))
    small_data.build(tmp_path, {"test": 3}, shards=1)
    assert choose(tmp_path).tolist() == [0, 1, 2]
    draw([runs[0], runs[0] + "/"], tmp_path, data_dir=str(tmp_path), num_images=9)
    images, human, differences, red, blue, words = fast[0]
    assert len(images) == 3 and not human.any() and not differences.any()
    assert "with a human map" not in words["notes"][0]
    assert red.name == blue.name == "GALA-ResNet-(1,1) w/ maps, maps"


@pytest.fixture
def folder(tmp_path):
    """JPEGs that are not square, and a file that is none of ours."""
    directory = tmp_path / "photographs"
    directory.mkdir()
    for seed, (height, width) in enumerate([(60, 90), (90, 60), (40, 41)]):
        picture = photographs.photograph(seed, height, width)
        (directory / f"{seed}.{'JPEG' if seed else 'jpg'}").write_bytes(photographs.jpeg(picture))
    (directory / "notes.txt").write_text("not an image")
    return directory


def test_folder_is_cut_as_evaluation_does(folder):
    run_config = config.Config(image_size=30, crop_fraction=0.5)
    paths = image_folder.image_paths(str(folder))
    assert [os.path.basename(path) for path in paths] == ["0.jpg", "1.JPEG", "2.JPEG"]
    images = image_folder.read_images(paths, run_config)
    assert images.shape == (3, 30, 30, 3) and images.dtype == np.uint8
    for path, image in zip(paths[:2], images, strict=False):  # 30 pixels of 60: cut, not resized
        pixels = np.asarray(Image.open(path)).astype(int)
        top, left = (pixels.shape[0] - 30) // 2, (pixels.shape[1] - 30) // 2
        difference = np.abs(pixels[top : top + 30, left : left + 30] - image)
        assert difference.mean() < 0.5 and difference.max() < 9  # colours at the cut's edges


@pytest.mark.parametrize("ending", [".png", ".PNG", ".bmp", ".webp", ".gif", ".jfif"])
def test_other_formats_are_read(tmp_path, ending):
    picture = photographs.photograph(0, 60, 90)
    kind = Image.registered_extensions()[ending.lower()]
    picture.save(tmp_path / f"a{ending}", kind, **({"lossless": True} if kind == "WEBP" else {}))
    (path,) = image_folder.image_paths(str(tmp_path))
    (found,) = image_folder.read_images([path], config.Config(image_size=60, crop_fraction=1.0))
    expected = np.asarray(picture)[:, 15:75].astype(int)
    assert abs(found - expected).mean() < (25 if kind == "GIF" else 8)


def test_folder_is_drawn_zero_shot_and_finer_at_larger_size(runs, folder, tmp_path, monkeypatch):
    drawn, real = [], pictures.picture_b
    monkeypatch.setattr(pictures, "picture_b", lambda *a: drawn.append(a) or real(*a))
    for size in (28, 56):
        output = str(tmp_path / f"{size}.png")
        path = figure4.draw_4b(
            runs[0], str(folder), num_images=2, output=output, overrides=[f"--image_size={size}"]
        )
        assert path == output and Image.open(path).size[0] > 900
    (images, maps, captions, notes), (_, finer, *_) = drawn
    assert images.shape == (2, 28, 28, 3)
    assert maps.shape == (2, 7, 7) and finer.shape == (2, 14, 14)
    assert captions[0].startswith("0.jpg; said: ") and captions[1].startswith("2.JPEG; said: ")
    assert "on 2 images of photographs, zero-shot" in notes[0]
    assert "layer 6 (stage2_block1_gala): attention on 7x7" in notes[1]
    assert "87.5 % of the short side, at 28x28 pixels" in notes[1]


def test_data_set_of_other_classes_is_drawn(runs, data_dir, tmp_path, monkeypatch):
    info = dataset_info.load_info(str(data_dir))
    for shard in info.splits["test"].shards:
        os.symlink(data_dir / shard.file, tmp_path / shard.file)
    names = ("cat", "dog", "zebra", "gnu", "person")
    other = dataclasses.replace(
        info, name="coco", class_names=names, splits={"test": info.splits["test"]}
    )
    dataset_info.save_info(str(tmp_path), other)
    drawn = []
    monkeypatch.setattr(
        pictures, "picture_b", lambda *a: drawn.append(a) or np.zeros((4, 4, 3), np.uint8)
    )
    for directory in (tmp_path, data_dir):
        figure4.draw_4b(
            runs[0], data_dir=str(directory), num_images=3, output=str(tmp_path / "x.png")
        )
    (images, _, captions, notes), (same, _, _, known) = drawn
    assert len(images) == 3 and np.array_equal(images, same)
    assert captions[0].split("; ")[0] in [f"true: {name}" for name in names[:4]]
    assert captions[0].split("said: ")[1].split(",")[0] in info.class_names
    assert "of coco, test, zero-shot" in notes[0]
    assert "zero-shot" not in known[0]  # its own data set


def test_wrong_folder_or_file_is_refused(runs, folder, tmp_path):
    draw_b = figure4.draw_4b
    with pytest.raises(ValueError, match="either --images .* or --data_dir"):
        draw_b(runs[0])
    with pytest.raises(ValueError, match="either --images .* or --data_dir"):
        draw_b(runs[0], str(folder), data_dir="x")
    with pytest.raises(ValueError, match="--images=.*nothere: no such folder"):
        draw_b(runs[0], str(folder / "nothere"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"no file there ends in .*\.jpg.*\.png"):
        draw_b(runs[0], str(empty))
    with pytest.raises(ValueError, match="--num_images must be positive"):
        draw_b(runs[0], str(folder), num_images=0)
    (empty / "a.jpg").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"a\.jpg.* cannot be decoded"):
        draw_b(runs[0], str(empty))
    whole = (folder / "1.JPEG").read_bytes()
    for damaged in (whole[:40], whole[: len(whole) // 2]):
        (empty / "a.jpg").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.jpg.* cannot be decoded"):
            draw_b(runs[0], str(empty))


def command(monkeypatch, *arguments):
    values = flags.FlagValues()
    figures.define_flags(values)
    values(["", *arguments])
    monkeypatch.setattr(flags, "FLAGS", values)
    figures.main()


@pytest.mark.slow
def test_command_draws_both_figures(runs, folder, tmp_path, monkeypatch, capsys):
    """Nothing replaced: gradients, too."""
    drawn, real = [], pictures.picture_a
    monkeypatch.setattr(pictures, "picture_a", lambda *a, **k: drawn.append(a) or real(*a, **k))
    ours, other = (f"--{n}_dir={run}" for n, run in zip(("model", "reference"), runs, strict=True))
    command(monkeypatch, "--figure=4a", ours, other, "--num_images=1", "--samples=2")
    path = os.path.join(runs[0], "figures", "figure-4a-test.png")
    assert capsys.readouterr().out == f"wrote {path}\n" and os.path.exists(path)
    differences = drawn[0][2]
    assert differences.shape == (1, 28, 28) and -1 <= differences.min() < 0 < differences.max() <= 1
    output = str(tmp_path / "b.png")
    command(monkeypatch, "--figure=4b", ours, f"--images={folder}", f"--output={output}")
    assert capsys.readouterr().out == f"wrote {output}\n" and os.path.exists(output)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--figure=4b"], "--figure=4b needs --model_dir"),
        (["--figure=4a", "--model_dir=x"], "needs --reference_dir"),
        (["--figure=4a", "--model_dir=x", "--images=y"], "--images: only --figure=4b reads that"),
        (
            ["--figure=4b", "--model_dir=x", "--samples=9", "--seed=1"],
            "--seed, --samples: only --figure=4a",
        ),
        (["--figure=4b", "--model_dir=x", "--images=y", "--split=test"], "--split is of a data"),
        (["--figure=4b", "--model_dir=x", "--images=nothere"], "no such folder"),
    ],
)
def test_mistakes_of_the_command_are_named(monkeypatch, arguments, message):
    with pytest.raises(ValueError, match=message):
        command(monkeypatch, *arguments)
