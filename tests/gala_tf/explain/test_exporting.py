"""Exports come back, in processes that know less than this one, as the networks they were."""

import errno
import os
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import small_data
import tensorflow as tf
from absl import flags

from gala_tf import config, export, losses, models
from gala_tf.explain import exporting
from gala_tf.runs import checkpoints
from gala_tf.runs import directory as run_directory

NAMES = ("cat", "Bär", "dog", "emu")
SIZE = 32
TOLERANCE = 1e-5  # of the largest value
FINAL = {"none": "activity", "se": "activity", "gala": "attention"}

WITHOUT_THIS_PROJECT = """
import sys
for name in ("keras", "tf_keras", "gala_tf"):
    sys.modules[name] = None  # importing it is an ImportError from here on
import numpy as np
import tensorflow as tf

directory, images, results = sys.argv[1:]
served = tf.saved_model.load(directory)
images = np.load(images)
outputs = served.predict(images)
again = served.signatures["serving_default"](images=tf.constant(images[:1]))
assert set(again) == set(outputs) == {"probabilities", "attention"}, (set(again), set(outputs))
names = [name.decode("utf-8") for name in served.class_names().numpy()]
np.savez(results, names=names, one=again["probabilities"], **outputs)
"""

WITH_LAYERS_ALONE = """
import sys
import gala_tf.layers
import keras
import numpy as np

file, images, results = sys.argv[1:]
network = keras.saving.load_model(file)  # in safe mode
outputs = network(np.load(images), training=False)
flat = {"logits": outputs["logits"]}
for kind in ("attention", "activity"):
    flat.update({f"{kind}/{name}": np.asarray(keras.ops.cast(value, "float32"))
                 for name, value in outputs[kind].items()})
np.savez(results, **flat)
ours = {".".join(name.split(".")[:2]) for name in sys.modules if name.split(".")[0] == "gala_tf"}
assert ours == {"gala_tf", "gala_tf.layers", "gala_tf.command_line"}  # the last: Ctrl-C, no more
"""


def build(attention, precision="float32"):
    """A small network with nothing at its initial value."""
    keras.utils.set_random_seed(7)
    keras.config.set_dtype_policy(precision)
    network = models.build_model(
        attention=attention,
        stage_blocks=(1, 1, 1),
        stage_widths=(4, 4, 8),
        stem="small",
        image_size=SIZE,
        num_classes=len(NAMES),
    )
    rng = np.random.default_rng(7)
    for weight in network.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif "kernel" not in weight.path:
            weight.assign(weight + 0.3 * rng.standard_normal(weight.shape))
    logits = network.get_layer("logits")
    logits.kernel.assign(rng.standard_normal(logits.kernel.shape))
    # Around 0, where softmax is most sensitive.
    logits.bias.assign_sub(np.mean(network(make_images())["logits"], axis=0))
    return network


def make_images(count=5):
    """Noise of different colours, for predictions that differ."""
    rng = np.random.default_rng(3)
    color = rng.uniform(0, 255, (count, 1, 1, 3))
    return (color * rng.uniform(0, 1, (count, SIZE, SIZE, 3))).astype(np.float32)


def run_in_new_process(script, source, images, tmp_path):
    """Runs `script` on a source and images; returns the arrays that it saved."""
    np.save(tmp_path / "images.npy", images)
    results = str(tmp_path / "results.npz")
    done = subprocess.run(
        [sys.executable, "-c", script, source, str(tmp_path / "images.npy"), results],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert done.returncode == 0, done.stderr
    return dict(np.load(results))


def flatten(outputs):
    flat = {"logits": np.asarray(outputs["logits"])}
    for kind in ("attention", "activity"):
        for name, value in outputs[kind].items():
            flat[f"{kind}/{name}"] = np.asarray(keras.ops.cast(value, "float32"))
    return flat


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def expected_of_saved_model(network, attention, images):
    """Probabilities and the last unit's column norms, by NumPy from the network's outputs."""
    # As a graph, as in evaluation: fusion moves bfloat16 results by units of 2 ** -8.
    outputs = tf.function(network)(images, training=False)
    logits = np.asarray(outputs["logits"], np.float64)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    volume = list(outputs[FINAL[attention]].values())[-1]
    volume = np.asarray(keras.ops.cast(volume, "float32"), np.float64)
    return exponentials / exponentials.sum(1, keepdims=True), np.sqrt((volume**2).sum(-1))


@pytest.mark.parametrize(
    "attention, precision",
    [
        pytest.param("none", "float32", marks=pytest.mark.slow),
        pytest.param("se", "float32", marks=pytest.mark.slow),
        pytest.param("gala", "float32", marks=pytest.mark.slow),
        ("gala", "mixed_bfloat16"),
    ],
)
def test_exports_agree_with_their_source(tmp_path, attention, precision):
    network, images = build(attention, precision), make_images()
    keras_file, saved_model = exporting.export_network(network, NAMES, str(tmp_path / "out"))

    expected = flatten(network(images, training=False))
    keras.config.set_dtype_policy("float32")  # a reader's own policy changes nothing
    actual = flatten(keras.saving.load_model(keras_file)(images, training=False))
    assert actual.keys() == expected.keys()
    for name in expected:
        assert_close(actual[name], expected[name])

    served = tf.saved_model.load(saved_model)
    probabilities, attention_map = expected_of_saved_model(network, attention, images)
    assert probabilities.std(0).max() > 0.02  # the images tell apart what they should
    for count in (1, 5):  # the batch size is free
        outputs = served.predict(images[:count])
        assert_close(outputs["probabilities"], probabilities[:count])
        assert_close(outputs["attention"], attention_map[:count])
        assert outputs["attention"].shape == (count, 4, 4)
        assert outputs["probabilities"].dtype == outputs["attention"].dtype == tf.float32


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network, and the two paths that it was exported to."""
    network = build("gala")
    return network, exporting.export_network(network, NAMES, str(tmp_path_factory.mktemp("gala")))


@pytest.mark.slow
def test_saved_model_needs_tensorflow_alone(exported, tmp_path):
    (network, (_, saved_model)), images = exported, make_images()
    results = run_in_new_process(WITHOUT_THIS_PROJECT, saved_model, images, tmp_path)
    probabilities, attention = expected_of_saved_model(network, "gala", images)
    assert_close(results["probabilities"], probabilities)
    assert_close(results["attention"], attention)
    assert_close(results["one"], probabilities[:1])
    assert results["names"].tolist() == list(NAMES)


@pytest.mark.slow
def test_keras_file_needs_the_layers_alone(exported, tmp_path):
    (network, (keras_file, _)), images = exported, make_images()
    results = run_in_new_process(WITH_LAYERS_ALONE, keras_file, images, tmp_path)
    expected = flatten(network(images, training=False))
    assert results.keys() == expected.keys()
    for name in expected:
        assert_close(results[name], expected[name])


def test_reloaded_network_trains(exported):
    network = keras.saving.load_model(exported[1][0])
    assert network.get_layer("logits").class_names == NAMES
    with tf.GradientTape() as tape:
        volume = network(make_images(), training=True)["attention"]["stage3_block1_gala"]
        loss = tf.reduce_sum(losses.column_norm(volume))
    assert tape.gradient(loss, network.get_layer("stem_conv").kernel.value) is not None


def test_attention_is_the_last_scored_layers(tmp_path):
    """With attention everywhere the last unit is stage 2's, which is coarser: 8 x 8."""
    network = models.build_model(
        attention="gala",
        attention_units="all",
        stage_blocks=(1, 1),
        stage_widths=(4, 4),
        stem="small",
        image_size=SIZE,
        num_classes=4,
    )
    _, saved_model = exporting.export_network(network, NAMES, str(tmp_path))
    served = tf.saved_model.load(saved_model)
    outputs = served.predict(make_images(2))
    volume = network(make_images(2), training=False)["attention"]["stage2_block1_gala"]
    assert outputs["attention"].shape == (2, 8, 8)
    assert_close(outputs["attention"], losses.column_norm(volume)[..., 0])


def tree(directory):
    return sorted(os.listdir(directory))


def tiny(bias=0.0):
    """A network of two layers that answers as ours do: what is written, not by whom."""
    images = keras.Input((8, 8, 3))
    volume = keras.layers.Conv2D(2, 3, name="unit")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(volume)
    logits = keras.layers.Dense(4, bias_initializer=keras.initializers.Constant(bias))(pooled)
    return keras.Model(images, {"logits": logits, "attention": {}, "activity": {"unit": volume}})


def test_existing_output_is_refused_and_stays(tmp_path):
    network = tiny()
    for name in ("model.keras", "saved_model"):
        old = tmp_path / name
        old.write_text("precious")
        for overwrite in (False, True):  # not ours
            with pytest.raises(ValueError, match=f"{name} there is no export of a network"):
                exporting.export_network(network, NAMES, str(tmp_path), overwrite)
            assert old.read_text() == "precious"
        old.unlink()
    assert tree(tmp_path) == []
    exporting.export_network(network, NAMES, str(tmp_path))
    kept = (tmp_path / "model.keras").read_bytes()
    with pytest.raises(ValueError, match="model.keras exists there already.*--overwrite"):
        exporting.export_network(network, NAMES, str(tmp_path))
    assert (tmp_path / "model.keras").read_bytes() == kept


def test_overwriting_replaces_both_and_leaves_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    exporting.export_network(tiny(), NAMES, str(tmp_path))
    network = tiny([9.0, 0.0, 0.0, 0.0])
    paths = exporting.export_network(network, NAMES, str(tmp_path), overwrite=True)
    assert tree(tmp_path) == ["model.keras", "notes.txt", "saved_model"]
    black = np.zeros((1, 8, 8, 3), np.float32)
    assert keras.saving.load_model(paths[0])(black)["logits"][0, 0] == 9
    served = tf.saved_model.load(paths[1])
    assert served.predict(black)["probabilities"][0, 0] > 0.99


def test_killed_export_leaves_no_output_and_the_next_one_cleans_up(tmp_path, monkeypatch):
    def killed(module, path, **_):
        os.makedirs(path)
        (Path(path) / "half").write_text("")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tf.saved_model, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            exporting.export_network(tiny(), NAMES, str(tmp_path))
    assert tree(tmp_path) == [".gala_tf-unfinished-saved_model", "model.keras"]
    exporting.export_network(tiny(), NAMES, str(tmp_path), overwrite=True)
    assert tree(tmp_path) == ["model.keras", "saved_model"]
    assert not (tmp_path / "saved_model" / "half").exists()


def test_a_full_disk_is_named_and_holds_no_half_of_a_network(tmp_path, monkeypatch):
    def full(path):
        Path(path).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")  # as Keras: of no file

    network = tiny()
    monkeypatch.setattr(network, "save", full)
    with pytest.raises(OSError, match="No space left on device: '.*-unfinished-model.keras'"):
        exporting.export_network(network, NAMES, str(tmp_path))
    assert tree(tmp_path) == []


def test_names_must_be_as_many_as_classes(tmp_path):
    with pytest.raises(ValueError, match="tells 4 classes apart, but there are 2 names"):
        exporting.export_network(tiny(), ("a", "b"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run with different best and newest weights: logit biases 1 and 2."""
    directory = tmp_path_factory.mktemp("run")
    model_dir = str(directory / "run")
    info = small_data.describe(directory, {}, class_names=NAMES)
    run_config = config.Config(
        model_dir=model_dir,
        image_size=8,
        stage_blocks=(1,),
        stage_widths=(4,),
        stem="tiny",
        attention_units="all",
    )
    run_directory.start(run_config, info)
    network = run_directory.build_network(run_config, len(NAMES))
    for step, which in enumerate(("best", "checkpoints"), start=1):
        network.get_layer("logits").bias.assign([step, 0.0, 0.0, 0.0])
        checkpoints.Checkpoints(os.path.join(model_dir, which), 1, model=network).save(step)
    return model_dir


@pytest.mark.parametrize("which, bias", [("best", 1.0), ("newest", 2.0)])
def test_a_run_is_exported_with_the_weights_asked_for_and_not_twice(
    run_dir, tmp_path, monkeypatch, capsys, which, bias
):
    output_dir = str(tmp_path / "out")
    values = types.SimpleNamespace(
        model_dir=run_dir, output_dir=output_dir, checkpoint=which, overwrite=False
    )
    monkeypatch.setattr(flags, "FLAGS", values)
    export.main()
    paths = [f"{output_dir}/{name}" for name in ("model.keras", "saved_model")]
    assert capsys.readouterr().out.splitlines() == [f"wrote {path}" for path in paths]
    assert keras.saving.load_model(paths[0]).get_layer("logits").bias[0] == bias
    names = tf.saved_model.load(paths[1]).class_names().numpy()
    assert [name.decode("utf-8") for name in names] == list(NAMES)
    with pytest.raises(ValueError, match=f"--output_dir={output_dir}: .* exists"):
        export.main()
