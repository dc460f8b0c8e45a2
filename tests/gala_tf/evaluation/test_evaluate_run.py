"""Evaluation against the same numbers by hand: Pillow, NumPy and SciPy, one image at a time."""

import dataclasses
import io
import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import small_data
import tensorflow as tf
from PIL import Image
from scipy import ndimage, stats

from gala_tf.data import dataset_info, eval_pipeline
from gala_tf.evaluation import answers, evaluate_run, naming, per_image, scores
from gala_tf.explain import network_parts
from gala_tf.runs import checkpoints, directory

LAYERS = {"stage1_block1_gala": 14, "stage2_block1_gala": 7}  # and the side of their maps


def build(data_dir, **changes):
    """(strategy, network, Config, DatasetInfo), with weights as if trained a little."""
    run_config = small_data.small_config(data_dir, "unused", **changes)
    info = dataset_info.load_info(str(data_dir))
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        network = directory.build_network(run_config, info.num_classes)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if variable.path.startswith("logits"):
            variable.assign(rng.normal(size=variable.shape))
        elif "moving" in variable.path:
            variable.assign(variable * rng.uniform(0.7, 1.4, variable.shape) + 0.1)
        elif variable.path.endswith(("additive", "multiplicative")):
            variable.assign(rng.uniform(0.1, 0.3, variable.shape))  # far from tanh's saturation
    return strategy, network, run_config, info


@pytest.fixture(scope="module")
def made(data_dir):
    return build(data_dir)


def evaluator_of(made, split="test", **changes):
    strategy, network, run_config, info = made
    run_config = dataclasses.replace(run_config, **changes)
    return evaluate_run.RunEvaluator(strategy, network, run_config, info, split)


def run(made, split="test", **changes):
    return evaluator_of(made, split, **changes).run()


@pytest.fixture(scope="module")
def evaluator(made):
    return evaluator_of(made)


@pytest.fixture(scope="module")
def predictions(evaluator):
    return evaluator.run()


def decode(feature):
    return np.asarray(Image.open(io.BytesIO(feature)))


def blurred_crop(counts):
    """box:5, then the central 28 of 32 pixels."""
    return ndimage.convolve(counts.astype(int), np.ones((5, 5), int), mode="constant")[2:-2, 2:-2]


@pytest.fixture(scope="module")
def by_hand(data_dir):
    """The test split in the order of its files: image, label, map [28, 28], participants' maps."""
    info, images = dataset_info.load_info(str(data_dir)), []
    for shard in info.splits["test"].shards:
        for serialized in tf.data.TFRecordDataset(str(data_dir / shard.file)).as_numpy_iterator():
            feature = tf.train.Example.FromString(serialized).features.feature
            counts = feature["clickmap/counts"].bytes_list.value[0]
            participants = feature["clickmap/by_participant"].bytes_list.value
            images.append(
                types.SimpleNamespace(
                    pixels=decode(feature["image/encoded"].bytes_list.value[0])[2:-2, 2:-2],
                    label=feature["image/class/label"].int64_list.value[0],
                    clickmap=blurred_crop(decode(counts)) if counts else None,
                    participants=[blurred_crop(decode(png)) for png in participants],
                )
            )
    return images


def cells(maps, size):
    """Sums over the cells of a grid, [28, 28] -> [size, size], cell by cell."""
    side = len(maps) // size
    return np.array(
        [
            [maps[y * side : (y + 1) * side, x * side : (x + 1) * side].sum() for x in range(size)]
            for y in range(size)
        ]
    )


@pytest.fixture(scope="module")
def images(made):
    """What the pipeline gives the network: uint8 [13, 28, 28, 3]."""
    _, _, run_config, info = made
    geometry = evaluate_run.paper_protocol(run_config, None, "test", LAYERS).geometry
    (batch,) = eval_pipeline.make_eval_dataset(
        run_config.data_dir, info, "test", batch_size=13, **geometry
    )
    return batch["image"].numpy()


def test_images_equal_pillows(images, by_hand):
    """But for the outermost column: chroma that is decoded in a crop has no neighbours there."""
    for image, expected in zip(images, by_hand, strict=True):
        np.testing.assert_array_equal(image[:, 1:-1], expected.pixels[:, 1:-1])
        np.testing.assert_allclose(image, expected.pixels.astype(int), atol=64)


def test_every_number_equals_the_one_made_by_hand(made, predictions, images, by_hand):
    network = made[1]
    top1, top5, entropies, spearman = [], [], [], {name: [] for name in LAYERS}
    assert predictions.confidence.shape == (13,)
    for i, image in enumerate(by_hand):
        outputs = network(images[i : i + 1].astype("float32"), training=False)
        logits = outputs["logits"].numpy()[0].astype("float64")
        order = np.argsort(-logits)
        top1.append(order[0] == image.label)
        top5.append(image.label in order[:5])
        entropies.append(np.log(np.exp(logits).sum()) - logits[image.label])
        assert predictions.label[i] == image.label and predictions.prediction[i] == order[0]
        assert predictions.rank[i] == list(order).index(image.label)
        assert predictions.cross_entropy[i] == pytest.approx(entropies[-1], rel=1e-4)
        softmax = np.exp(logits) / np.exp(logits).sum()
        assert predictions.confidence[i] == pytest.approx(softmax.max(), rel=1e-4)
        assert predictions.has_clickmap[i] == (image.clickmap is not None)
        for name, size in LAYERS.items():
            reduced = np.linalg.norm(outputs["attention"][name].numpy()[0], axis=-1)
            np.testing.assert_allclose(predictions.maps[name][i], reduced, rtol=1e-3)
            if image.clickmap is not None:
                human = cells(image.clickmap, size)
                spearman[name].append(stats.spearmanr(reduced.ravel(), human.ravel()).statistic)
        human = np.zeros((14, 14)) if image.clickmap is None else cells(image.clickmap, 14)
        np.testing.assert_array_equal(predictions.clickmap[i], human)  # exactly: ties

    assert 0 < np.mean(top1) < 1
    numbers = scores.results(predictions, {14: {"value": 0.5}, 7: {"value": 0.4}})
    assert (numbers["examples"], numbers["final_layer"]) == (13, "stage2_block1_gala")
    assert numbers["top1"] == pytest.approx(np.mean(top1))
    assert numbers["top5"] == pytest.approx(np.mean(top5)) == 1.0  # of four classes
    assert numbers["cross_entropy"] == pytest.approx(np.mean(entropies), rel=1e-4)
    for name, values in spearman.items():
        found = numbers["maps"][name]
        assert (found["images"], found["undefined"]) == (len(values), 0) == (10, 0)
        assert found["spearman"] == pytest.approx(np.mean(values), abs=1e-3)
        assert found["standard_error"] == pytest.approx(stats.sem(values), abs=1e-3)
        assert found["fraction_of_ceiling"] == found["spearman"] / {14: 0.5, 7: 0.4}[found["grid"]]
        assert found["grid"] == LAYERS[name]


def test_centre_prior_by_hand(predictions, by_hand):
    y, x = np.mgrid[-13:14:2, -13:14:2]  # twice the distances, as whole numbers
    prior = [
        stats.spearmanr(-(y**2 + x**2).ravel(), cells(image.clickmap, 14).ravel()).statistic
        for image in by_hand
        if image.clickmap is not None
    ]
    found = scores.map_numbers(predictions)["stage1_block1_gala"]
    assert found.center_prior == pytest.approx(np.mean(prior), abs=1e-9)


def test_validation_numbers_are_the_same_numbers(predictions):
    numbers = scores.results(predictions, {14: {"value": 1.0}, 7: {"value": 1.0}})
    assert scores.validation_numbers(predictions, 6)["top5"] == numbers["top5"]
    assert scores.validation_numbers(predictions, 4) == {  # of so few, top-5 says nothing
        "top1": numbers["top1"],
        "cross_entropy": numbers["cross_entropy"],
        **{f"spearman/{name}": numbers["maps"][name]["spearman"] for name in LAYERS},
        "center_prior": numbers["maps"][list(LAYERS)[-1]]["center_prior"],
    }


@pytest.mark.parametrize("batch_size", [5, 50])  # the fixture's is 8; also 13 below
def test_every_image_once_for_any_batch_size(made, predictions, batch_size):
    found = run(made, eval_batch_size=batch_size)
    for name in ("label", "prediction", "rank", "clickmap", "has_clickmap"):
        np.testing.assert_array_equal(getattr(found, name), getattr(predictions, name))
    np.testing.assert_allclose(found.cross_entropy, predictions.cross_entropy, rtol=1e-4)
    for name, size in LAYERS.items():
        assert found.maps[name].shape == (13, size, size)
        np.testing.assert_allclose(found.maps[name], predictions.maps[name], rtol=1e-3)


def test_images_may_come_in_any_order(made, predictions):
    """As they do from several hosts; padding in between."""
    _, _, run_config, info = made
    evaluator = evaluator_of(made, eval_batch_size=5)
    ordered = eval_pipeline.make_eval_dataset(
        run_config.data_dir, info, "test", batch_size=5, **evaluator.protocol.geometry
    )
    evaluator.dataset = ordered.unbatch().shuffle(15, seed=1).batch(5, drop_remainder=True)
    found = evaluator.run()
    np.testing.assert_array_equal(found.label, predictions.label)
    np.testing.assert_array_equal(found.clickmap, predictions.clickmap)
    np.testing.assert_allclose(found.cross_entropy, predictions.cross_entropy, rtol=1e-4)


def test_again_and_the_picture(evaluator, predictions):
    """One Evaluator serves every validation of a run."""
    again = evaluator.run()
    np.testing.assert_array_equal(again.cross_entropy, predictions.cross_entropy)
    picture = evaluator.picture(predictions, 2)
    assert picture.dtype == np.uint8 and picture.ndim == 3
    np.testing.assert_array_equal(picture, evaluator.picture(again, 2))


@pytest.mark.parametrize(
    "examples, eval_batch, replicas, expected",
    [(13, 0, 1, 8), (13, 50, 1, 13), (13, 50, 4, 4), (13, 6, 4, 2), (13, 1, 4, 1)],
)
def test_batch_of_a_replica(made, monkeypatch, examples, eval_batch, replicas, expected):
    """No larger than the split needs, and rounded up to a whole number each."""
    strategy = types.SimpleNamespace(
        num_replicas_in_sync=replicas, distribute_datasets_from_function=lambda function: None
    )
    evaluator = evaluator_of((strategy, *made[1:]), eval_batch_size=eval_batch)
    assert (evaluator.examples, evaluator.replica_batch) == (examples, expected)


def test_shards_that_contradict_the_sidecar(made):
    """Two shards exchange their counts: one image has no place, another has two."""
    strategy, network, run_config, info = made
    shards = info.splits["test"].shards
    assert [shard.examples for shard in shards] == [5, 4, 4]
    wrong = [
        dataclasses.replace(shard, examples=count)
        for shard, count in zip(shards, (4, 5, 4), strict=True)
    ]
    split = dataclasses.replace(info.splits["test"], shards=tuple(wrong))
    info = dataclasses.replace(info, splits={**info.splits, "test": split})
    with pytest.raises(ValueError, match=r"each of 13 images once, but saw 13 \(12 different\)"):
        run((strategy, network, run_config, info))


def test_unknown_split(made):
    with pytest.raises(ValueError, match="no split 'tset'; it has"):
        run(made, split="tset")


class Constant:
    """A network of given logits [N, K] for images in order, and a map that is the image's."""

    def __init__(self, logits):
        self.logits = tf.constant(logits)
        self.output = self(tf.zeros([len(logits), 28, 28, 3]))

    def __call__(self, images, training=None):
        volume = tf.cast(images[:, ::2, ::2], tf.float32)  # [B, 14, 14, 3]
        return {"logits": self.logits, "attention": {}, "activity": {"unit": volume}}


def test_top_5_and_ties_that_count_against_the_network(made, predictions):
    strategy, _, run_config, info = made
    labels = predictions.label
    logits = np.zeros((13, 9), np.float32)
    places = [0, 1, 4, 5, 8, 0, 0, 0, 0, 0, 0, 0, 0]  # how many classes are above the true one
    for row, (label, place) in enumerate(zip(labels, places, strict=True)):
        others = [k for k in range(9) if k != label]
        logits[row, others] = -1 - np.arange(8)
        logits[row, others[:place]] = 1 + np.arange(place)
    logits[12] = 3  # all tie
    found = run((strategy, Constant(logits), run_config, info), eval_batch_size=13)
    np.testing.assert_array_equal(found.rank, [0, 1, 4, 5, 8, 0, 0, 0, 0, 0, 0, 0, 8])
    numbers = scores.accuracy_numbers(found)
    assert numbers["top1"] == pytest.approx(8 / 13) and numbers["top5"] == pytest.approx(10 / 13)


def test_nan_counts_against_the_network(made, predictions):
    strategy, _, run_config, info = made
    labels, rows = predictions.label, np.arange(13)
    logits = np.zeros((13, 9), np.float32)
    logits[rows, labels] = 1
    logits[rows[:4], (labels[:4] + 1) % 9] = np.nan  # another class: ranked before the true one
    logits[rows[4:8], labels[4:8]] = np.nan  # the true class: last
    logits[8:] = np.nan
    found = run((strategy, Constant(logits), run_config, info), eval_batch_size=13)
    np.testing.assert_array_equal(found.rank, [1] * 4 + [8] * 9)
    assert scores.accuracy_numbers(found)["top1"] == 0
    assert np.isnan(found.confidence).all()


def test_confidence_of_large_and_of_infinite_logits():
    logits = [[1e30, 0, 0], [-1e4, -1e4, -1e4], [np.inf, 0, 0], [-np.inf, 0, 0], [np.nan, 9, 1]]
    expected = [1, 1 / 3, np.nan, np.nan, np.nan]
    for function in (answers.max_probability, tf.function(answers.max_probability)):
        found = function(tf.constant(logits, tf.float32)).numpy()
        np.testing.assert_allclose(found, np.array(expected, np.float32))


def test_a_probability_that_a_device_rounds_above_1_is_1(monkeypatch):
    monkeypatch.setattr(tf.nn, "softmax", lambda logits: logits)
    rounded = tf.constant([[np.nextafter(np.float32(1), np.float32(2)), 0]])
    assert answers.max_probability(rounded).numpy() == 1


def test_block_sum_is_exact():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 2**24, (2, 12, 12)).astype(np.float32)  # sums beyond float32
    for size in (12, 6, 4, 3, 2, 1):
        expected = np.stack([cells(m.astype(np.int64), size) for m in maps])
        np.testing.assert_array_equal(scores.block_sum(maps, size), expected)


def volumes(**sides):
    return {name: np.zeros((2, side, side, 3)) for name, side in sides.items()}


@pytest.mark.parametrize(
    "attention, expected",
    [
        (volumes(a_gala=14, b_gala=7), ["a_gala", "b_gala"]),
        (volumes(a_se=1, b_se=1), ["a", "b"]),  # one number a channel: the gated activity instead
        ({}, ["a", "b"]),
    ],
)
def test_which_maps_are_scored(attention, expected):
    outputs = {"attention": attention, "activity": volumes(a=14, b=7)}
    assert list(network_parts.scored_volumes(outputs)) == expected


@pytest.mark.parametrize("attention", ["se", "none"])
def test_networks_without_a_map_of_attention_are_scored_by_activity(data_dir, attention):
    _, network, _, _ = build(data_dir, attention=attention, map_loss_weight=0.0)
    assert network_parts.map_sizes(network) == {"stage1_block1": 14, "stage2_block1": 7}


def test_geometry(made):
    run_config = made[2]
    geometry = evaluate_run.paper_protocol(run_config, None, "test", LAYERS).geometry
    assert (geometry["image_size"], geometry["crop_fraction"]) == (28, 0.875)
    assert geometry["clickmap_size"] == 14 and str(geometry["clickmap_blur"]) == "box:5"
    whole = dataclasses.replace(run_config, crop="center", crop_fraction=0.5)
    assert (
        evaluate_run.paper_protocol(whole, None, "test", LAYERS).geometry["crop_fraction"] == 0.5
    )  # as in training


def test_maps_of_an_aligned_run_are_scored_where_its_layers_look(made, data_dir):
    """A quarter of a cell of 2 pixels: the window of 28 begins half a pixel up and left."""
    run_config, info = made[2], dataset_info.load_info(str(data_dir))
    aligned = dataclasses.replace(run_config, map_alignment="receptive_field")
    plain = evaluate_run.paper_protocol(run_config, info, "test", LAYERS)
    shifted = evaluate_run.paper_protocol(aligned, info, "test", LAYERS)
    assert plain.geometry["clickmap_shift"] == 0 and shifted.geometry["clickmap_shift"] == 0.25
    ones, others = (p.read([1, 2, 3]) for p in (plain, shifted))
    np.testing.assert_array_equal(ones["image"], others["image"])
    # Sums over cells of two pixels that begin half a pixel before those of the plain cut.
    fine = dataclasses.replace(plain, sides={"fine": 28}).read([1, 2, 3])["clickmap"]
    left = np.roll(fine, (1, 1), (1, 2)), np.roll(fine, 1, 1), np.roll(fine, 1, 2), fine
    half = sum(w * part for w, part in zip((0.25, 0.25, 0.25, 0.25), left, strict=True))
    expected = half.reshape(3, 14, 2, 14, 2, 1).sum((2, 4))
    np.testing.assert_allclose(
        others["clickmap"][:, 1:, 1:], expected[:, 1:, 1:], rtol=1e-5, atol=1e-5
    )


def test_a_split_without_maps_has_no_map_numbers(predictions):
    bare = dataclasses.replace(predictions, has_clickmap=np.zeros(13, bool))
    assert scores.map_numbers(bare) == {}
    numbers = scores.results(bare, {})
    assert numbers["maps"] == {} and numbers["final_layer"] is None
    text = scores.table({"network": "N", "split": "test", "weights": "best", "step": 1, **numbers})
    assert len(text.splitlines()) == 2


def ceilings_of(run_config, info):
    protocol = evaluate_run.paper_protocol(run_config, info, "test", LAYERS)
    return scores.find_ceilings(protocol, LAYERS.values())


def test_ceiling_from_participants(made, by_hand):
    """All images have two participants, so the draw leaves no choice."""
    _, _, run_config, info = made
    pairs = [image.participants for image in by_hand if image.participants]
    assert len(pairs) == 10 and all(len(pair) == 2 for pair in pairs)
    values = [stats.spearmanr(*(cells(m, 7).ravel() for m in pair)).statistic for pair in pairs]
    ceilings = ceilings_of(run_config, info)
    assert list(ceilings) == [7, 14]
    ceiling = ceilings[7]
    assert ceiling["value"] == pytest.approx(np.mean(values), abs=1e-9)
    assert ceiling["images"] == 10 and "two random participants" in ceiling["estimator"]


def test_ceiling_of_the_data_set_or_else_none(made):
    _, _, run_config, info = made
    alone = dataclasses.replace(info.splits["test"], with_participants=0)
    info = dataclasses.replace(info, splits={"test": alone})
    ceiling = ceilings_of(run_config, info)[7]
    assert ceiling["value"] is None and "ClickMe: 0.58" in ceiling["estimator"]
    published = {"value": 0.7, "estimator": "theirs", "source": "a paper"}
    info = dataclasses.replace(info, human_ceiling=published)
    assert ceilings_of(run_config, info) == dict.fromkeys((14, 7), published)


def test_table():
    layer = {
        "spearman": 0.29,
        "standard_error": 0.01,
        "center_prior": 0.116,
        "shuffled": -0.058,
        "fraction_of_ceiling": 0.5,
        "grid": 14,
        "images": 17000,
    }
    text = scores.table(
        {
            "network": "GALA-ResNet-50 w/ maps",
            "split": "test",
            "examples": 17581,
            "weights": "best",
            "step": 100,
            "clickmap_blur": "box:49",
            "top1": 0.5071,
            "top5": 0.7227,
            "final_layer": "stage3_block6_gala",
            "maps": {
                "stage3_block1_gala": layer,
                "stage3_block6_gala": {**layer, "spearman": 0.58, "fraction_of_ceiling": 1.0},
            },
            "human_ceiling": {"value": 0.58, "estimator": "published"},
        }
    )
    assert (
        text
        == """\
GALA-ResNet-50 w/ maps, test split, 17581 images, best weights (step 100)
  top-1 error  49.29 %    top-5 error  27.73 %
  agreement with human maps: Spearman on 14x14, blur box:49, mean over 17000 images
    layer                         rho   s.e.  % of ceiling
    stage3_block1_gala          0.290  0.010      50.0
    stage3_block6_gala          0.580  0.010     100.0
    centre prior                0.116      -      20.0
    shuffled (final layer)     -0.058      -     -10.0
    human ceiling 0.580: published"""
    )


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, "GALA-ResNet-50 w/ maps"),
        (dict(map_source="boxes"), "GALA-ResNet-50 w/ b. boxes"),
        (dict(map_loss_weight=0.0), "GALA-ResNet-50 no maps"),
        (dict(attention="se", map_loss_weight=0.0), "SE-ResNet-50"),
        (dict(attention="none", map_loss_weight=0.0), "ResNet-50"),
        (dict(map_target="attention"), "GALA-ResNet-50 w/ maps on its attention"),
        (dict(attention="none"), "ResNet-50 w/ maps"),
        (dict(attention="mine", depth=18), "mine-ResNet-18 w/ maps"),
        (dict(stage_blocks=(1, 1, 6, 1)), "GALA-ResNet-(1,1,6,1) w/ maps"),
    ],
)
def test_networks_have_the_papers_names(data_dir, changes, expected):
    run_config = small_data.small_config(data_dir, "run", stage_blocks=(), map_loss_weight=6.0)
    assert naming.network_name(dataclasses.replace(run_config, **changes)) == expected


def test_results_are_json_that_anyone_reads(tmp_path):
    numbers = {
        "top1": 0.5,
        "maps": {"a": {"spearman": float("nan"), "images": 0}},
        "weights": "best",
        "changed_flags": {},
    }
    path = scores.write_results(str(tmp_path), "test", numbers)
    assert path == str(tmp_path / "results-test.json")
    text = (tmp_path / "results-test.json").read_text()
    assert "NaN" not in text
    assert json.loads(text) == {**numbers, "maps": {"a": {"spearman": None, "images": 0}}}


def test_other_weights_and_flags_do_not_replace_results(tmp_path):
    numbers = {"weights": "newest", "changed_flags": {"clickmap_blur": "gaussian:5,1.5"}}
    path = scores.write_results(str(tmp_path), "test", numbers)
    assert path == str(tmp_path / "results-test-newest-clickmap_blur=gaussian_5,1.5.json")


def test_data_of_other_classes_is_refused(made):
    info = made[3]
    other = dataclasses.replace(info, class_names=tuple(reversed(info.class_names)))
    evaluate_run.check_same_classes(info, info, "data")
    with pytest.raises(ValueError, match="--data_dir=data has other classes, or another order"):
        evaluate_run.check_same_classes(info, other, "data")


@pytest.fixture
def untrained(made, tmp_path):
    """The directory of a run that has weights, of step 7."""
    _, network, run_config, info = made
    run_config = dataclasses.replace(run_config, model_dir=str(tmp_path))
    directory.start(run_config, info)
    checkpoints.Checkpoints(str(tmp_path / "best"), 1, model=network).save(7)
    return tmp_path


def test_evaluate_run(untrained, made, predictions, capsys):
    found = evaluate_run.evaluate_run(str(untrained), "test", "best", ("--eval_batch_size=5",))
    assert (found["network"], found["split"], found["step"]) == (
        "GALA-ResNet-(1,1) w/ maps",
        "test",
        7,
    )
    assert found["cross_entropy"] == pytest.approx(predictions.cross_entropy.mean(), rel=1e-4)
    assert json.loads((untrained / "results-test.json").read_text()) == found
    for name in ("attention", "diagnostics", "confusion"):
        assert (untrained / "figures" / f"{name}-test.png").read_bytes()[1:4] == b"PNG"
    printed = capsys.readouterr().out
    assert scores.table(found) in printed and f"{untrained}/results-test.json" in printed
    for name in (
        "per_image-test.csv",
        "figures/attention-test.png",
        "figures/diagnostics-test.png",
        "figures/confusion-test.png",
    ):
        assert f"{untrained}/{name}" in printed
    check_rows(str(untrained / "per_image-test.csv"), found, made, predictions)


def check_rows(path, numbers, made, predictions):
    """The CSV of a run has an image a row, and its columns' means are the results."""
    columns = per_image.load(path)
    _, _, run_config, info = made
    ids = eval_pipeline.image_ids(run_config.data_dir, info, "test")
    assert list(columns["image_id"]) == ids and len(set(ids)) == 13
    np.testing.assert_array_equal(columns["label"], predictions.label)
    np.testing.assert_array_equal(columns["has_clickmap"], predictions.has_clickmap)
    assert numbers["top1"] == (columns["rank"] < 1).mean()
    assert numbers["top5"] == (columns["rank"] < 5).mean()
    assert numbers["cross_entropy"] == pytest.approx(columns["cross_entropy"].mean(), rel=1e-6)
    bins = np.ceil(15 * columns["confidence"])
    gaps = (columns["rank"] < 1) - columns["confidence"]
    calibration = sum(abs(gaps[bins == one].sum()) for one in set(bins)) / len(gaps)
    assert numbers["expected_calibration_error"] == pytest.approx(calibration, rel=1e-5)
    assert per_image.layers(columns) == list(LAYERS) == list(numbers["maps"])
    for name in LAYERS:
        defined = columns[f"spearman/{name}"][columns["has_clickmap"]]
        assert np.isfinite(defined).all() and len(defined) == 10
        assert numbers["maps"][name]["spearman"] == pytest.approx(defined.mean(), abs=1e-14)
    prior = np.nanmean(columns["center_prior"])
    assert numbers["maps"]["stage2_block1_gala"]["center_prior"] == pytest.approx(prior, abs=1e-14)


@pytest.mark.slow
def test_files_of_changed_flags_have_names_of_their_own(untrained):
    evaluate_run.evaluate_run(str(untrained), "test", "best", ("--clickmap_blur=none",))
    names = {path.name for path in untrained.glob("*-test*")}
    assert names == {
        "results-test-clickmap_blur=none.json",
        "per_image-test-clickmap_blur=none.csv",
    }
    assert (untrained / "figures" / "diagnostics-test-clickmap_blur=none.png").exists()


def test_evaluate_run_refuses_what_is_not_there(untrained):
    with pytest.raises(ValueError, match="no split 'tset'"):
        evaluate_run.evaluate_run(str(untrained), "tset", "best")
    with pytest.raises(ValueError, match="checkpoints holds no finished checkpoint"):
        evaluate_run.evaluate_run(str(untrained), "test", "newest")
    with pytest.raises(ValueError, match="no run.flags there"):
        evaluate_run.evaluate_run(str(untrained / "best"), "test", "best")
    with pytest.raises(ValueError, match="--data_dir=/moved of .* is not there"):
        evaluate_run.evaluate_run(str(untrained), "test", "best", ("--data_dir=/moved",))


@pytest.mark.slow
def test_command(untrained):
    def command(*arguments):
        result = subprocess.run(
            [sys.executable, "-m", "gala_tf.evaluate", f"--model_dir={untrained}", *arguments],
            capture_output=True,
            text=True,
        )
        return result.returncode, result.stdout, result.stderr.strip().splitlines()

    code, text, _ = command("--split=validation", "--clickmap_blur=none", "--eval_batch_size=5")
    assert code == 0 and "validation split, 12 images, best weights (step 7)" in text
    name = "results-validation-clickmap_blur=none.json"
    numbers = json.loads((untrained / name).read_text())
    assert numbers["examples"] == 12
    assert sorted(os.listdir(untrained / "figures")) == [
        "attention-validation-clickmap_blur=none.png",
        "confusion-validation-clickmap_blur=none.png",
        "diagnostics-validation-clickmap_blur=none.png",
    ]
    assert (untrained / "per_image-validation-clickmap_blur=none.csv").exists()

    code, _, errors = command("--split=tset")
    assert code == 1 and errors[-1].startswith("error: Data set 'squares' has no split 'tset'")
    code, _, errors = command("test")
    assert code != 0 and "unexpected arguments: test" in "\n".join(errors)
