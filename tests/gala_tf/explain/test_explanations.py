"""Maps of small networks against NumPy: by hand, by finite differences, by their definitions."""

import keras
import numpy as np
import pytest
import small_data
import tensorflow as tf

from gala_tf.explain import explanations, network_parts
from gala_tf.runs import directory

SIDE, CLASSES = 6, 3


def dense_network(activation=None):
    """Flatten, 5 tanh units, classes: small enough for finite differences."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(CLASSES, activation=activation, name="classes"),
        ]
    )


def score_by_hand(network, image, label):
    """The logit in float64, from the weights."""
    shrink, shrink_bias, expand, expand_bias = (w.astype(np.float64) for w in network.get_weights())
    hidden = np.tanh(image.ravel() @ shrink + shrink_bias)
    return (hidden @ expand + expand_bias)[label]


def gradient_by_hand(network, image, label, step=1e-5):
    """Central differences, [H, W, C] float64."""
    image = image.astype(np.float64)
    gradient = np.zeros_like(image)
    for place in np.ndindex(image.shape):
        change = np.zeros_like(image)
        change[place] = step
        above = score_by_hand(network, image + change, label)
        below = score_by_hand(network, image - change, label)
        gradient[place] = (above - below) / (2 * step)
    return gradient


def conv_network():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="classes")(x))


@pytest.fixture
def images():
    return np.random.default_rng(0).random((4, SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def gala(data_dir):
    return directory.build_network(small_data.small_config(data_dir, "unused"), 4)


def pixels(count, side):
    return np.random.default_rng(1).uniform(0, 255, (count, side, side, 3)).astype(np.float32)


LABELS = np.array([0, 2, 1, 2])


def test_gradient_equals_finite_differences(images):
    network = dense_network()
    gradients = explanations.input_gradient(network, images, LABELS).numpy()
    for image, label, gradient in zip(images, LABELS, gradients, strict=True):
        expected = gradient_by_hand(network, image, label)
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_without_labels_the_predicted_class_is_explained(images):
    network = dense_network()
    predicted = network(images).numpy().argmax(1)
    assert not np.array_equal(predicted, LABELS)
    np.testing.assert_array_equal(
        explanations.input_gradient(network, images),
        explanations.input_gradient(network, images, predicted),
    )


def test_gradients_are_of_inference(images):
    """Dropout is off, and batch normalisation uses its moving statistics."""
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.BatchNormalization(epsilon=0.0),
            keras.layers.Dropout(0.9),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    network.layers[0].moving_variance.assign([4.0, 1.0, 0.25])
    gradient = explanations.input_gradient(network, images, LABELS).numpy()
    expected = np.eye(3)[LABELS] * [0.5, 1, 2] / SIDE**2  # [B, C]
    np.testing.assert_allclose(
        gradient, np.broadcast_to(expected[:, None, None], gradient.shape), 1e-6
    )


def test_saliency_by_hand():
    gradient = np.array([[[[3.0, -4.0, 0.0]]]], np.float32)
    for reduction, expected in {"max": 4, "mean": 7 / 3, "sum": 7, "norm": 5}.items():
        found = explanations.saliency(gradient, reduction)
        np.testing.assert_allclose(found, [[[expected]]], rtol=1e-6)
    with pytest.raises(ValueError, match="max, mean, sum, norm; got 'median'"):
        explanations.saliency(gradient, "median")


def test_smoothgrad_is_the_mean_of_gradients_at_noisy_copies(images):
    network = dense_network()
    arguments = dict(image_index=np.array([7, 3, 0, 9]), seed=5)
    noise = explanations.sample_noise(images, arguments["image_index"], 5, np.arange(3), 0.2)
    found = explanations.smoothgrad(network, images, LABELS, samples=3, noise=0.2, **arguments)
    for row in range(len(images)):
        copies = images[row] + noise[row].numpy()
        expected = np.mean([gradient_by_hand(network, copy, LABELS[row]) for copy in copies], 0)
        np.testing.assert_allclose(found[row], expected, atol=1e-6)


def test_noise_has_the_deviation_asked_for():
    images = np.zeros((2, 40, 40, 3), np.float32)
    images[0, 0, 0], images[1, 0, 0] = 10, -2  # ranges 10 and 2
    noise = explanations.sample_noise(images, [0, 1], 0, tf.range(8), 0.1).numpy()
    assert noise.shape == (2, 8, 40, 40, 3)
    np.testing.assert_allclose(noise.std((1, 2, 3, 4)), [1, 0.2], rtol=0.02)
    np.testing.assert_allclose(noise.mean((1, 2, 3, 4)), 0, atol=0.02)
    flat = noise.reshape(16, -1)
    assert abs(np.corrcoef(flat) - np.eye(16)).max() < 0.06  # every copy has noise of its own


def test_smoothgrad_depends_on_seed_and_image_but_not_on_the_batch(images):
    network, index = dense_network(), np.array([4, 5, 6, 7])

    def run(rows=slice(None), **changes):
        arguments = dict(image_index=index[rows], samples=5, noise=0.3, seed=1) | changes
        return explanations.smoothgrad(network, images[rows], LABELS[rows], **arguments).numpy()

    whole = run()
    np.testing.assert_array_equal(run(), whole)
    for at_once in (2, 5, 8):  # 2 leaves a rest, 8 are more than there are
        np.testing.assert_allclose(run(at_once=at_once), whole, rtol=1e-5, atol=1e-7)
    turned = slice(None, None, -1)
    np.testing.assert_allclose(run(turned)[turned], whole, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(run(slice(2, 3)), whole[2:3], rtol=1e-5, atol=1e-7)
    for other in (run(seed=2), run(image_index=index + 1), run(samples=4)):
        assert abs(other - whole).max() > 1e-4


def test_smoothgrad_without_noise_is_the_gradient(images):
    network = dense_network()
    found = explanations.smoothgrad(network, images, samples=3, noise=0.0)
    expected = explanations.input_gradient(network, images)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"at_once": 0}, {"noise": -0.1}])
def test_smoothgrad_refuses(images, wrong):
    with pytest.raises(ValueError, match="needs samples >= 1, at_once >= 1 and noise >= 0"):
        explanations.smoothgrad(dense_network(), images, LABELS, **wrong)


def test_gradcam_of_a_pooled_convolution_is_its_class_activation_map():
    network, images = conv_network(), pixels(4, 8)
    layered, layer = network_parts.layer_network(network, None)
    assert layer == "conv"
    volume = keras.Model(network.inputs[0], network.get_layer("conv").output)(images).numpy()
    weights = network.get_layer("classes").kernel.numpy()[:, LABELS].T  # [B, C]
    expected = np.maximum(np.einsum("bhwc,bc->bhw", volume, weights) / 36, 0)
    found = explanations.gradcam(layered, images, LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert expected.max() > 0


def test_layers_without_maps_are_refused(gala):
    network = conv_network()
    with pytest.raises(ValueError, match="No layer 'pool' with a map .* it has .*conv"):
        network_parts.layer_network(network, "pool")
    with pytest.raises(ValueError, match="it has none"):
        network_parts.layer_network(
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), ""
        )

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="cannot be looked into"):
        network_parts.layer_network(Own(), "conv")
    network_parts.layer_network(gala, "stage1_block1")  # by the names of our outputs
    network_parts.layer_network(gala, "stage1_block1_gala")


def test_a_network_inside_a_network_is_a_layer(tmp_path):
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    outer = keras.Sequential(
        [keras.Input((8, 8, 3)), inner, keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    )
    images = pixels(4, 8)
    outer.save(tmp_path / "outer.keras")
    outer = keras.saving.load_model(tmp_path / "outer.keras")  # its graph is not its layers' first
    layered, layer = network_parts.layer_network(outer, None)
    assert layer == inner.name
    inner = outer.get_layer(inner.name)
    volume, scores = layered(images)
    np.testing.assert_allclose(volume, inner(images), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(scores, outer(images), rtol=1e-4, atol=1e-3)
    assert explanations.gradcam(layered, images, LABELS).shape == (4, 6, 6)
    with pytest.raises(ValueError, match="No layer 'conv' with a map"):
        network_parts.layer_network(outer, "conv")


def test_a_layer_beside_the_path_has_no_gradient():
    inputs = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(inputs)
    network = keras.Model(inputs, keras.layers.Dense(CLASSES)(flat))
    beside = keras.layers.Conv2D(2, 3)(inputs)
    layered = keras.Model(inputs, (beside, network.output))
    with pytest.raises(ValueError, match="does not depend on the layer"):
        explanations.gradcam(layered, pixels(4, 8), LABELS)


def test_attention_and_activity_are_column_norms(gala):
    images, index = pixels(2, 28), np.arange(2)
    outputs = gala(images, training=False)
    scores, maps = explanations.make_explainer(gala, "attention")(images, index, index)
    np.testing.assert_allclose(scores, outputs["logits"], atol=1e-5)
    assert list(maps) == ["stage1_block1_gala", "stage2_block1_gala"]
    for name, found in maps.items():
        expected = np.linalg.norm(outputs["attention"][name], axis=-1)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    explain = explanations.make_explainer(gala, "activity:stage2_block1")
    ((name, found),) = explain(images, index, index)[1].items()
    expected = np.linalg.norm(outputs["activity"]["stage2_block1"], axis=-1)
    assert name == "activity:stage2_block1"
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("attention", ["none", "se"])
def test_networks_without_spatial_attention_are_refused(data_dir, attention):
    run_config = small_data.small_config(data_dir, "unused", attention=attention)
    network = directory.build_network(run_config, 4)
    with pytest.raises(ValueError, match="returns no attention map"):
        explanations.make_explainer(network, "attention")
    with pytest.raises(ValueError, match="returns no attention map"):
        explanations.make_explainer(dense_network(), "attention")


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("form", ["dense", "activation", "softmax"])
def test_a_final_softmax_is_left_out(images, tmp_path, form, functional):
    network = dense_network("softmax" if form == "dense" else None)
    if form != "dense":
        last = keras.layers.Softmax() if form == "softmax" else keras.layers.Activation("softmax")
        network = keras.Sequential([*network.layers, last])
        network.build((None, SIDE, SIDE, 3))
    if functional:
        inputs = x = keras.Input((SIDE, SIDE, 3))
        for layer in keras.models.clone_model(network).layers:
            x = layer(x)
        network = keras.Model(inputs, x)
        if form == "dense":  # loaded or not
            network.save(tmp_path / "network.keras")
            network = keras.saving.load_model(tmp_path / "network.keras")
    logits, removed = network_parts.logit_network(network)
    assert removed
    np.testing.assert_allclose(tf.nn.softmax(logits(images)), network(images), atol=1e-6)
    gradient = explanations.input_gradient(logits, images, LABELS)
    expected = gradient_by_hand(network, images[0], LABELS[0])
    np.testing.assert_allclose(gradient[0], expected, atol=1e-6)


def test_what_has_no_final_softmax_stays(gala):
    for network in (dense_network(), gala, conv_network()):
        assert network_parts.logit_network(network) == (network, False)


def test_outputs_that_are_no_scores_are_refused():
    for outputs in ({"other": tf.zeros([2, 3])}, [tf.zeros([2, 3])] * 2, tf.zeros([2, 4, 4, 3])):
        with pytest.raises(ValueError, match=r"one tensor \[B, K\]"):
            network_parts.class_scores(outputs)
    assert network_parts.class_scores([tf.zeros([2, 3])]).shape == (2, 3)


@pytest.mark.parametrize("maps", ["gradients", "activity", "activity:", "gradient:conv", ""])
def test_unknown_maps_are_refused(maps):
    with pytest.raises(ValueError, match=f"activity:LAYER; received '{maps}'"):
        explanations.parse_kind(maps)


def test_maps_are_read():
    assert explanations.parse_kind("gradcam") == ("gradcam", None)
    assert explanations.parse_kind("activity:block_1/conv") == ("activity", "block_1/conv")


def test_explainers_equal_the_functions_they_compile(images):
    network, index = dense_network(), np.arange(4)
    explain = explanations.make_explainer(network, "smoothgrad", samples=2, noise=0.1, seed=3)
    scores, maps = explain(images, LABELS, index)
    expected = explanations.smoothgrad(network, images, LABELS, samples=2, noise=0.1, seed=3)
    np.testing.assert_allclose(scores, network(images), atol=1e-6)
    np.testing.assert_allclose(maps["smoothgrad"], abs(expected.numpy()).max(-1), 1e-5, 1e-7)
    explain = explanations.make_explainer(network, "gradient", target="predicted", reduction="sum")
    expected = abs(explanations.input_gradient(network, images).numpy()).sum(-1)
    maps = explain(images[:3], LABELS[:3], index[:3])[1]  # the end of a split
    np.testing.assert_allclose(maps["gradient"], expected[:3], 1e-5, 1e-7)


def test_explainers_refuse_before_the_work():
    network = dense_network()
    for wrong in ({"target": "best"}, {"reduction": "median"}, {"samples": 0}):
        with pytest.raises(ValueError, match="must be one of|must be true or|needs samples"):
            explanations.make_explainer(network, "gradient", **wrong)
