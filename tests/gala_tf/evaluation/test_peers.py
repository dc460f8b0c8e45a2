"""The same maps and scores from other people's packages, where they are installed.

Xplique and tf-explain for gradients, SmoothGrad and grad-CAM; Harmonization (Fel et al. 2022) for
human maps and scores. None is needed by this project: each test skips without its package. To run
them, in a virtual environment of their own with this project's [cpu] and [test]:

    pip install --no-deps xplique tf-explain harmonization
    pip install opencv-python-headless scikit-learn scikit-image einops deprecated \
        'tensorflow-probability[tf]'

Without dependencies, because Harmonization asks for tensorflow-addons, which ended with Keras 2;
its evaluation does not use it. The differences that tests find are properties of JUnit reports.
"""

import importlib
import importlib.util
import io
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gala_tf.evaluation import harmonization as map_metrics
from gala_tf.explain import explanations, network_parts

CLASSES, SIDE, BATCH = 5, 224, 3


def peer(name, *modules):
    """Modules of another package; skips, with the reason, where they cannot be imported."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    try:
        return [importlib.import_module(f"{name}.{module}") for module in modules]
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported: {error}")


@pytest.fixture
def harmonization(monkeypatch):
    """Its `evaluation` and `common`, without its models, which need packages of Keras 2."""
    spec = importlib.util.find_spec("harmonization")
    if spec is None:
        pytest.skip("harmonization is not installed")
    package = types.ModuleType("harmonization")
    package.__path__, package.__spec__ = list(spec.submodule_search_locations), spec
    monkeypatch.setitem(sys.modules, "harmonization", package)
    return peer("harmonization", "evaluation.clickme", "evaluation.metrics", "common")


@pytest.fixture
def network():
    """A small classifier of smooth functions, so that gradients are nowhere accidental."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(8, 7, strides=4, activation="tanh")(inputs)
    x = keras.layers.Conv2D(8, 5, strides=4, activation="gelu", name="last_conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(16, activation="tanh")(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="classes")(x))


@pytest.fixture
def images():
    return np.random.default_rng(0).random((BATCH, SIDE, SIDE, 3)).astype(np.float32)


LABELS = np.array([3, 0, 1])
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]


def check(record_property, name, ours, theirs, tolerance):
    """Notes the largest difference and the correlation; fails above `tolerance` of the largest."""
    ours, theirs = (np.asarray(x, np.float64).ravel() for x in (ours, theirs))
    scale = abs(theirs).max()
    difference = abs(ours - theirs).max()
    correlation = np.corrcoef(ours, theirs)[0, 1]
    record_property(name, f"difference {difference:.3g} of {scale:.3g}, r {correlation:.12f}")
    print(f"{name}: difference {difference:.3g} of at most {scale:.3g}, r = {correlation:.12f}")
    assert difference <= tolerance * scale


def test_gradient_equals_xpliques_saliency(network, images, record_property):
    (attributions,) = peer("xplique", "attributions")
    theirs = attributions.Saliency(network)(images, ONE_HOT)[..., 0]
    ours = explanations.saliency(explanations.input_gradient(network, images, LABELS))
    check(record_property, "Xplique, gradient", ours, theirs, 1e-5)


@pytest.mark.parametrize("samples, at_once", [(8, 1), (7, 3)])
def test_smoothgrad_equals_xpliques(
    network, images, record_property, monkeypatch, samples, at_once
):
    """On the same noise: theirs is drawn without a seed, and replaced by ours."""
    attributions, statistics = peer(
        "xplique", "attributions", "attributions.gradient_statistics.gradient_statistic"
    )
    noise = explanations.sample_noise(images, np.arange(BATCH), 4, np.arange(samples), 0.2)
    noisy = images[:, None] + noise.numpy()  # [B, n, H, W, C]

    def perturb(inputs, count, deviation):
        place = next(i for i in range(BATCH) if np.array_equal(inputs[0], images[i]))
        assert len(inputs) == 1 and count == samples
        return tf.constant(noisy[place])

    monkeypatch.setattr(statistics.GradientStatistic, "_perturb_samples", staticmethod(perturb))
    explainer = attributions.SmoothGrad(
        network, nb_samples=samples, batch_size=samples, reducer=None
    )
    theirs = explainer(images, ONE_HOT)
    ours = explanations.smoothgrad(
        network, images, LABELS, seed=4, samples=samples, noise=0.2, at_once=at_once
    )
    check(record_property, f"Xplique, SmoothGrad of {samples}", ours, theirs, 1e-5)


def test_smoothgrad_agrees_with_xpliques_own_noise(network, images, record_property):
    """Other draws of the same distribution: the means approach each other as samples grow."""
    (attributions,) = peer("xplique", "attributions")
    image, label = images[:1], LABELS[:1]
    deviation = 0.15 * float(np.ptp(image))
    theirs = attributions.SmoothGrad(network, nb_samples=64, noise=deviation, reducer=None)(
        image, ONE_HOT[:1]
    )
    ours = explanations.smoothgrad(network, image, label, samples=64, noise=0.15, at_once=8)
    check(record_property, "Xplique, SmoothGrad of 64, its own noise", ours, theirs, 0.15)
    assert np.corrcoef(np.ravel(ours), np.ravel(theirs))[0, 1] > 0.99


def test_gradcam_equals_xpliques(network, images, record_property):
    (attributions,) = peer("xplique", "attributions")
    theirs = attributions.GradCAM(network)(images, ONE_HOT)[..., 0]
    layered, layer = network_parts.layer_network(network, None)
    assert layer == "last_conv"
    ours = explanations.gradcam(layered, images, LABELS)
    enlarged = tf.image.resize(ours[..., None], (SIDE, SIDE), "bicubic")
    check(record_property, "Xplique, grad-CAM", enlarged, theirs, 1e-5)
    # TensorFlow's bicubic weights come from a table of 1024 places, ours from the formula.
    enlarged = map_metrics.enlarge(ours.numpy())
    check(record_property, "Xplique, grad-CAM, enlarged by us", enlarged, theirs, 2e-3)


def test_gradient_equals_tf_explains(network, images, record_property):
    (vanilla,) = peer("tf_explain", "core.vanilla_gradients")
    for label in range(CLASSES):
        theirs = vanilla.VanillaGradients.compute_gradients(images, network, label)
        ours = explanations.input_gradient(network, images, np.full(BATCH, label))
        check(record_property, f"tf-explain, gradient of class {label}", ours, theirs, 1e-5)


def test_smoothgrad_equals_tf_explains(network, images, record_property):
    """Theirs averages gradients of the cross-entropy: ours, of minus the log-probability."""
    (smoothgrad,) = peer("tf_explain", "core.smoothgrad")
    logits = network.output
    probabilities = keras.Model(network.inputs[0], keras.layers.Softmax()(logits))
    logs = keras.Model(network.inputs[0], keras.layers.Activation("log_softmax")(logits))
    samples = 6
    noise = explanations.sample_noise(images, np.arange(BATCH), 9, np.arange(samples), 0.1)
    noisy = (images[:, None] + noise.numpy()).reshape(-1, SIDE, SIDE, 3)
    for label in (0, 4):
        theirs = smoothgrad.SmoothGrad.get_averaged_gradients(noisy, probabilities, label, samples)
        ours = explanations.smoothgrad(
            logs, images, np.full(BATCH, label), seed=9, samples=samples, noise=0.1
        )
        name = f"tf-explain, SmoothGrad of class {label}"
        check(record_property, name, -ours.numpy(), theirs, 1e-5)


@pytest.mark.parametrize("kind", ["continuous", "tied", "flat top", "constant"])
def test_scores_equal_harmonizations(harmonization, record_property, kind):
    _, theirs, _ = harmonization
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, SIDE, SIDE)).astype(np.float32)
    b += a
    if kind == "tied":
        a, b = np.round(2 * a), np.round(2 * b)
    elif kind == "flat top":
        b = np.minimum(b, 0.5)
    elif kind == "constant":
        b[:] = 1
    ours = map_metrics.harmonization_agreement(a, b)
    expected = {
        "spearman": theirs.spearman_correlation(a, b),
        "dice": theirs.dice(a, b),
        "iou": theirs.intersection_over_union(a, b),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-6)
        difference = np.nanmax(abs(ours[name] - values)) if not np.isnan(values).all() else 0
        record_property(f"{name}, {kind}", f"difference {difference:.3g}")
        print(f"Harmonization, {name}, {kind}: difference {difference:.3g}")


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def published_records(path, count):
    """A shard in that work's format; returns the maps as their decoder gives them."""
    rng, maps = np.random.default_rng(1), []
    with tf.io.TFRecordWriter(path) as writer:
        for label in range(count):
            grey = np.zeros((256, 256), np.uint8)
            for top, left in rng.integers(0, 240, (30, 2)):
                grey[top : top + 14, left : left + 14] += 8
            values = {
                "image": jpeg(rng.integers(0, 256, (256, 256, 3), np.uint8)),
                "heatmap": jpeg(grey),
            }
            maps.append(tf.io.decode_jpeg(values["heatmap"]).numpy()[..., 0])
            features = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for name, value in values.items()
            }
            features["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return np.stack(maps)


def test_evaluation_equals_harmonizations(harmonization, network, tmp_path, record_property):
    """From their records through their loader, Xplique's gradients and their scores."""
    clickme, _, common = harmonization
    path = str(tmp_path / "val.tfrecords")
    counts = published_records(path, 4)
    dataset = common.clickme_dataset.load_clickme([path], 2)
    dataset = dataset.map(lambda image, human, label: (image, human, label[:, :CLASSES]))
    theirs = clickme.evaluate_clickme(
        network, clickme_val_dataset=dataset, preprocess_inputs=lambda x: x / 255.0
    )
    human = map_metrics.harmonization_maps(counts)
    batches = list(dataset.as_numpy_iterator())
    expected = np.concatenate([batch[1][..., 0] for batch in batches])
    check(record_property, "Harmonization, human maps", human, expected, 3e-6)
    shown = np.concatenate([batch[0] for batch in batches]) / 255.0
    gradients = explanations.input_gradient(network, shown, np.arange(4))
    ours = map_metrics.harmonization_agreement(explanations.saliency(gradients).numpy(), human)
    for name, values in ours.items():
        difference = abs(values - theirs[name]).max()
        record_property(f"evaluation, {name}", f"difference {difference:.3g}")
        print(f"Harmonization's evaluation, {name}: difference {difference:.3g}")
        # Not of the same maps bit for bit: both sides' float32 maps have near-ties of their own.
        assert difference < 1e-5 if name == "spearman" else difference < 1e-3
    same = map_metrics.harmonization_agreement(explanations.saliency(gradients).numpy(), expected)
    for name, values in same.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-6)
    mean = same["spearman"].mean() / clickme.HUMAN_SPEARMAN_CEILING
    assert theirs["alignment_score"] == pytest.approx(mean, abs=1e-6)
    assert clickme.HUMAN_SPEARMAN_CEILING == pytest.approx(
        map_metrics.HARMONIZATION_CEILING, abs=5e-6
    )
