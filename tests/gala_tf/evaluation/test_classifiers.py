"""Evaluation of saved classifiers: against `evaluate`, and against SciPy one image at a time."""

import csv
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_data
import tensorflow as tf
from scipy import special, stats

from gala_tf.data import dataset_info, records, schema, tfrecord_files
from gala_tf.evaluation import (
    answers,
    classifiers,
    evaluate_run,
    harmonization,
    per_image,
    protocols,
)
from gala_tf.evaluation.request import Request
from gala_tf.explain import explanations, saved_models
from gala_tf.runs import directory as run_directory

BLUR = "box:5"


@pytest.fixture(scope="module")
def gala(data_dir, tmp_path_factory):
    """(network, the path it is saved at)."""
    network = run_directory.build_network(small_data.small_config(data_dir, "unused"), 4)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if variable.path.startswith("logits"):
            variable.assign(rng.normal(size=variable.shape))
        elif variable.path.endswith(("additive", "multiplicative")):
            variable.assign(rng.uniform(0.1, 0.3, variable.shape))
    path = str(tmp_path_factory.mktemp("gala") / "gala.keras")
    network.save(path)
    return network, path


def plain_network(classes=4, side=32, activation="softmax"):
    """Somebody's classifier: any size of input if `side` is None."""
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(6, 5, strides=2, activation="tanh", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation=activation)(x))


def saved(directory, network, name="plain.keras"):
    path = str(directory / name)
    network.save(path)
    return path


def evaluated(path, data_dir, directory, **changes):
    """(numbers, per-image columns) of an evaluation."""
    request = Request(path, str(data_dir), clickmap_blur=BLUR, output_dir=str(directory), **changes)
    numbers = classifiers.evaluate_classifier(request)
    (table,) = directory.glob("per_image-*.csv")
    (results,) = directory.glob("results-*.json")
    assert json.loads(results.read_text())["conventions"].keys() == numbers["conventions"].keys()
    return numbers, per_image.load(str(table))


def data(data_dir, size, **changes):
    info = dataset_info.load_info(str(data_dir))
    return dict(
        data_dir=str(data_dir),
        info=info,
        split="test",
        image_size=size,
        clickmap_blur=BLUR,
        **changes,
    )


def test_attention_by_the_papers_convention_equals_evaluate(gala, data_dir, tmp_path, capsys):
    network, path = gala
    run_config = small_data.small_config(data_dir, "unused")
    info = dataset_info.load_info(str(data_dir))
    strategy = tf.distribute.get_strategy()
    evaluator = evaluate_run.RunEvaluator(strategy, network, run_config, info, "test")
    predictions = evaluator.run()
    expected = evaluator.protocol.numbers(predictions)

    numbers, columns = evaluated(
        path, data_dir, tmp_path, maps="attention", batch_size=5, conventions=("paper",)
    )
    found = numbers["conventions"]["paper"]
    for key in ("top1", "top5", "cross_entropy"):
        assert found[key] == pytest.approx(expected[key], rel=1e-5)
    assert found["human_ceiling"] == expected["human_ceiling"]
    assert list(found["maps"]) == list(expected["maps"])
    for layer, agreement in expected["maps"].items():
        assert found["maps"][layer] == pytest.approx(agreement, abs=2e-3)  # float32: near-ties
    ids = per_image.columns_of(predictions, columns["image_id"], info.class_names)
    np.testing.assert_array_equal(columns["rank"], ids["rank"])
    np.testing.assert_allclose(columns["confidence"], ids["confidence"], rtol=1e-4)
    text = capsys.readouterr().out
    assert "paper: 13 images" in text and "14x14, n = 10" in text


@pytest.mark.slow
def test_harmonizations_convention_one_image_at_a_time(data_dir, tmp_path, capsys):
    """The definitions again, with other operations: a gradient by hand, SciPy, sets of pixels."""
    network = plain_network(side=64)
    path = saved(tmp_path, network)
    numbers, columns = evaluated(
        path,
        data_dir,
        tmp_path,
        conventions=("harmonization",),
        input_scaling="0..1",
        batch_size=4,
        ceiling="clickme",
    )
    assert numbers["softmax_left_out"]
    text = capsys.readouterr().out
    assert "harmonization: 13 images" in text and "gradient of the true class's logit" in text
    assert "human ceiling 0.6575: constant of Fel et al. 2022" in text
    logits = keras.Model(network.inputs[0], network.layers[-1].input)
    weights = network.layers[-1].get_weights()
    found = {"spearman": [], "dice": [], "iou": []}
    for batch in protocols.Harmonization(**data(data_dir, 64)).batches(1):
        assert batch["image"].shape == (1, 64, 64, 3) and batch["clickmap"].shape == (
            1,
            256,
            256,
            1,
        )
        with tf.GradientTape() as tape:
            image = batch["image"] / 255
            tape.watch(image)
            score = (logits(image) @ weights[0] + weights[1])[0, int(batch["label"][0])]
        gradient = abs(tape.gradient(score, image).numpy()).max(-1)  # [1, 64, 64]
        model = tf.image.resize(gradient[..., None], (224, 224), "bicubic").numpy()[0, ..., 0]
        if not batch["has_clickmap"][0]:
            continue
        human = harmonization.harmonization_maps(batch["clickmap"].numpy()[..., 0])[0]
        found["spearman"].append(stats.spearmanr(model.ravel(), human.ravel()).statistic)
        tops = [set(np.flatnonzero(m > np.percentile(m, 90))) for m in (model, human)]
        found["dice"].append(2 * len(tops[0] & tops[1]) / (len(tops[0]) + len(tops[1])))
        found["iou"].append(len(tops[0] & tops[1]) / len(tops[0] | tops[1]))
    rows = columns["has_clickmap"]
    scored = numbers["conventions"]["harmonization"]["maps"]["gradient"]
    for name, values in found.items():
        column = columns[f"harmonization/{name}/gradient"]
        np.testing.assert_allclose(column[rows], values, atol=1e-3)  # float32: near-ties
        assert np.isnan(column[~rows]).all()
        assert scored[name]["mean"] == pytest.approx(column[rows].mean(), abs=1e-12)
        expected = column[rows].std(ddof=1) / rows.sum() ** 0.5
        assert scored[name]["standard_error"] == pytest.approx(expected, abs=1e-12)
        assert (scored[name]["images"], scored[name]["undefined"]) == (rows.sum(), 0)
    fraction = scored["spearman"]["mean"] / 0.6575315343478081
    assert scored["fraction_of_ceiling"] == pytest.approx(fraction)


def test_images_of_256_pixels_are_prepared_as_published(tmp_path):
    """Resized without antialiasing or rounding; counts are as stored."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (256, 256, 3)).astype(np.uint8)
    counts = rng.poisson(0.01, (256, 256))
    encoded = records.encode_example(
        schema.Example("a", pixels, 2, (counts,)),
        blurred=np.zeros((16, 16), np.uint8),
        box=(0, 0, 1, 1),
    )
    small_data.build(tmp_path, {"test": 1}, shards=1)
    shard = tfrecord_files.write_shard(
        str(tmp_path / dataset_info.shard_name("test", 0, 1)), [encoded]
    )
    info = dataset_info.load_info(str(tmp_path))
    split = dataset_info.Split(1, 1, 0, 1, (shard,))
    dataset_info.save_info(
        str(tmp_path), info.__class__(**{**vars(info), "splits": {"test": split}})
    )
    (batch,) = protocols.Harmonization(**data(tmp_path, 224)).batches(32)
    jpeg = tf.io.parse_single_example(
        encoded, {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    )["image/encoded"]
    decoded = tf.cast(tf.io.decode_jpeg(jpeg), tf.float32)
    expected = tf.image.resize(decoded, (224, 224), "bilinear", antialias=False)
    np.testing.assert_array_equal(batch["image"][0], expected)
    np.testing.assert_array_equal(batch["clickmap"][0, ..., 0], counts)


def test_gradients_are_compared_on_cells_of_14x14(data_dir, tmp_path):
    path = saved(tmp_path, plain_network(side=28))
    _, columns = evaluated(path, data_dir, tmp_path, conventions=("paper",), score="output")
    network, rho = keras.saving.load_model(path), []
    for batch in protocols.Paper(**data(data_dir, 28), sides={"a": 14}).batches(1):
        with tf.GradientTape() as tape:
            image = tf.cast(batch["image"], tf.float32)
            tape.watch(image)
            score = network(image)[0, int(batch["label"][0])]
        gradient = abs(tape.gradient(score, image)[0].numpy()).max(-1).astype(float)
        cells = gradient.reshape(14, 2, 14, 2).sum((1, 3))
        human = batch["clickmap"][0, ..., 0].numpy()
        has_map = batch["has_clickmap"][0] > 0
        rho.append(stats.spearmanr(cells.ravel(), human.ravel())[0] if has_map else np.nan)
    np.testing.assert_allclose(columns["spearman/gradient"], rho, atol=1e-3)


def test_a_split_without_human_maps_has_accuracy_alone(tmp_path, capsys):
    small_data.build(tmp_path, {"test": 1}, shards=1)  # image 0 has no map
    path = saved(tmp_path, plain_network(side=None))
    numbers, columns = evaluated(path, tmp_path, tmp_path, image_size=28, maps="gradcam")
    assert numbers["conventions"]["paper"]["maps"] == {}
    found = numbers["conventions"]["harmonization"]["maps"]["gradcam:conv"]
    assert found["spearman"]["images"] == 0 and np.isnan(found["spearman"]["mean"])
    assert not columns["has_clickmap"].any()
    assert "no image of this split has a map" in capsys.readouterr().out


def test_answers_of_logits_and_of_probabilities():
    logits = np.array([[2.0, 1.0, -1.0], [0.0, 0.0, 3.0], [1.0, np.nan, 0.0]])
    label = np.array([1, 0, 0])
    found = answers.on_host(logits, label)
    np.testing.assert_array_equal(found["rank"], [1, 2, 1])  # ties and NaN count against it
    np.testing.assert_array_equal(found["prediction"][:2], [0, 2])
    probabilities = special.softmax(logits[:2], axis=1)
    expected = -np.log(probabilities[[0, 1], label[:2]])
    np.testing.assert_allclose(found["cross_entropy"][:2], expected)
    np.testing.assert_allclose(found["confidence"][:2], probabilities.max(1))
    again = answers.on_host(probabilities, label[:2])
    for key in ("rank", "prediction", "cross_entropy", "confidence"):
        np.testing.assert_allclose(again[key], found[key][:2])


def test_input_scaling_by_hand():
    pixels = np.array([[[[0, 127.5, 255]]]], np.float32)
    expected = {
        "none": [0, 127.5, 255],
        "0..1": [0, 0.5, 1],
        "-1..1": [-1, 0, 1],
        "caffe": [255 - 103.939, 127.5 - 116.779, 0 - 123.68],  # blue first
        "torch": [-0.485 / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225],
    }
    assert list(expected) == list(saved_models.INPUT_SCALING)
    for scaling, values in expected.items():
        found = saved_models.scale_input(pixels, scaling)
        np.testing.assert_allclose(found, [[[values]]], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="--input_scaling must be one of none.*received 'tf'"):
        saved_models.scale_input(pixels, "tf")


def test_our_networks_load_with_their_layers(gala):
    network, path = gala
    image = np.random.default_rng(0).uniform(0, 255, (1, 28, 28, 3)).astype(np.float32)
    loaded = saved_models.load_model(path)
    np.testing.assert_array_equal(loaded(image)["logits"], network(image)["logits"])


def test_what_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none.keras: expected an existing file"):
        saved_models.load_model(str(tmp_path / "none.keras"))
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ValueError, match="whose name ends in .keras"):
        saved_models.load_model(str(tmp_path / "model.h5"))
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="broken.keras is no file in Keras 3's format, or cut off"):
        saved_models.load_model(str(tmp_path / "broken.keras"))
    code = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Lambda(lambda x: x * 2)])
    with pytest.raises(ValueError, match="cannot be loaded .*is never run"):
        saved_models.load_model(saved(tmp_path, code))


def test_the_size_of_the_input():
    assert saved_models.input_size(plain_network(side=32), 0) == 32
    assert saved_models.input_size(plain_network(side=None), 40) == 40
    for side, image_size in ((32, 40), (None, 0)):
        with pytest.raises(ValueError, match=f"--image_size={image_size}, and the model's input"):
            saved_models.input_size(plain_network(side=side), image_size)
    grey = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="must take RGB images"):
        saved_models.input_size(grey, 0)


def test_models_that_do_not_fit_are_refused(data_dir, tmp_path):
    path = saved(tmp_path, plain_network(classes=5))
    with pytest.raises(ValueError, match="tells 5 classes apart, but the data set .* has 4"):
        classifiers.evaluate_classifier(Request(path, str(data_dir)))
    path = saved(tmp_path, plain_network())
    for changes, message in (
        ({"maps": "attention"}, "returns no attention map"),
        ({"maps": "activity:other"}, "No layer 'other' with a map"),
        ({"maps": "gradcam", "grid": 20}, "conv is 14x14: expected a square, no coarser than"),
        ({"split": "other"}, "no split 'other'"),
        ({"conventions": ()}, "--conventions must be one of paper, harmonization"),
        ({"conventions": ("all",)}, "--conventions must be one of paper, harmonization"),
        ({"score": "loss"}, "--score must be one of logit, output"),
        ({"samples": 0}, "--samples must be positive"),
        ({"noise": -1.0}, "--noise must be not negative"),
        ({"crop_fraction": 1.5}, "--crop_fraction must be above 0 and at most 1"),
        ({"clickmap_blur": "box"}, "A map blur must be"),
    ):
        with pytest.raises(ValueError, match=message):
            request = Request(path, str(data_dir), **changes)
            classifiers.evaluate_classifier(request)
    assert not list(tmp_path.glob("results*"))


def test_choices_are_those_there_are():
    fields = Request.__dataclass_fields__
    assert fields["reduction"].metadata["choices"] == tuple(explanations.REDUCTIONS)
    assert fields["input_scaling"].metadata["choices"] == tuple(saved_models.INPUT_SCALING)
    names = tuple(protocol.name for protocol in (protocols.Paper, protocols.Harmonization))
    assert fields["conventions"].default == fields["conventions"].metadata["choices"] == names


@pytest.mark.slow
def test_the_command(gala, data_dir, tmp_path):
    arguments = ["--maps=smoothgrad", "--samples=2", "--clickmap_blur=box:5", "--batch_size=4"]
    result = subprocess.run(
        [
            *(sys.executable, "-m", "gala_tf.evaluate", f"--model={gala[1]}"),
            *(f"--data_dir={data_dir}", f"--output_dir={tmp_path}", *arguments),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "smoothgrad of the true class's logit" in result.stdout
    with open(tmp_path / "per_image-test-gala-smoothgrad.csv") as file:
        assert len(list(csv.reader(file))) == 14
