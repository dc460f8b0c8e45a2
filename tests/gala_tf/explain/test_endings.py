"""What class scores are is told once for a network: by its last step, or by all rows together."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy import special

from gala_tf.evaluation import answers
from gala_tf.explain import endings, network_parts


def dense(activation=None):
    return lambda x: keras.layers.Dense(3, activation=activation)(x)


def after_dense(end, activation=None):
    return lambda x: end(keras.layers.Dense(3, activation=activation)(x))


def nested(activation):
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=activation)])
    return lambda x: inner(x)


# how it ends: (the end, what it is told to be, whether a softmax can be left out)
ENDS = {
    "logits": (dense(), "logits", False),
    "dense softmax": (dense("softmax"), "probabilities", True),
    "softmax layer": (after_dense(keras.layers.Softmax()), "probabilities", True),
    "activation": (after_dense(keras.layers.Activation("softmax")), "probabilities", True),
    "ops.softmax": (after_dense(ops.softmax), "probabilities", True),
    "softmax, cast": (after_dense(lambda x: ops.cast(x, "float16"), "softmax"), "probabilities", 1),
    "softmax, linear": (
        after_dense(keras.layers.Activation("linear", dtype="float32"), "softmax"),
        "probabilities",
        True,
    ),
    "softmax of a temperature": (after_dense(lambda x: ops.softmax(x / 2)), "probabilities", True),
    "softmax, dropout": (after_dense(keras.layers.Dropout(0.5), "softmax"), "probabilities", True),
    "softmax, reshape": (
        after_dense(lambda x: ops.reshape(ops.softmax(ops.reshape(x, (-1, 1, 3))), (-1, 3))),
        "probabilities",
        True,
    ),
    "nested softmax": (nested("softmax"), "probabilities", True),
    "nested logits": (nested(None), "logits", False),
    "cast": (after_dense(lambda x: ops.cast(x, "float32")), "logits", False),
    "temperature": (after_dense(lambda x: x / 2), "", False),
    "rescaling": (after_dense(keras.layers.Rescaling(0.5)), "", False),
    "log_softmax": (after_dense(ops.log_softmax), "logits", False),
    "sigmoid": (dense("sigmoid"), "sigmoids", False),
    "ops.sigmoid": (after_dense(ops.sigmoid), "sigmoids", False),
    "smoothed": (after_dense(lambda x: ops.softmax(x) * 0.9 + 0.1 / 3), "", False),
}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("name", ENDS)
def test_a_network_is_told_by_its_last_step(name, loaded, tmp_path):
    end, kind, removable = ENDS[name]
    inputs = keras.Input((4,))
    network = keras.Model(inputs, end(inputs))
    if loaded:
        network.save(tmp_path / "n.keras")
        network = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert endings.score_kind(network) == kind
    logits, left_out = network_parts.logit_network(network)
    assert left_out == bool(removable)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    if left_out:
        np.testing.assert_allclose(ops.softmax(logits(x)), network(x), atol=2e-3)
        assert endings.score_kind(logits) != "probabilities"
    else:
        assert logits is network


def test_layers_of_another_network_are_no_trouble():
    first = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    inputs = keras.Input((4,))
    again = keras.Model(inputs, first.layers[-1](inputs))
    logits, left_out = network_parts.logit_network(again)
    x = np.ones((2, 4), "float32")
    assert left_out
    np.testing.assert_allclose(ops.softmax(logits(x)), first(x), atol=1e-6)


class Subclassed(keras.Model):
    def call(self, x):
        return x


def test_what_cannot_be_seen_into_is_told_by_its_numbers():
    assert endings.score_kind(Subclassed()) == ""
    assert network_parts.logit_network(network := Subclassed()) == (network, False)
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (500, 10))
    assert endings.kind_of_numbers(special.softmax(logits, 1)) == "probabilities"
    assert endings.kind_of_numbers(logits) == endings.kind_of_numbers(abs(logits)) == "logits"
    assert endings.kind_of_numbers(special.expit(logits)) == "logits"
    mostly = special.softmax(logits, 1)
    mostly[7] *= 2  # one row is enough
    assert endings.kind_of_numbers(mostly) == "logits"
    mostly[7] = np.nan  # but one that is undefined says nothing
    assert endings.kind_of_numbers(mostly) == "probabilities"


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounded_probabilities_give_the_entropy_of_their_logits(dtype, classes):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (500, classes)).astype("float32")
    label = logits.argmax(1)
    rounded = tf.cast(tf.nn.softmax(tf.cast(logits, dtype)), "float32").numpy()
    true = answers.on_host(logits, label, "logits")
    for found in (answers.on_host(rounded, label), answers.on_host(rounded, label, "", dtype)):
        np.testing.assert_allclose(found["confidence"], true["confidence"], atol=0.02)
        difference = found["cross_entropy"].mean() - true["cross_entropy"].mean()
        assert abs(difference) < 0.02


def test_a_probability_rounded_to_0_has_a_finite_entropy():
    for dtype, most in {"float16": 17, "bfloat16": 88, "float32": 88, "float64": 709}.items():
        found = answers.on_host([[1.0, 0.0]], np.array([1]), "probabilities", dtype)
        assert most - 2 < found["cross_entropy"][0] < most and found["rank"] == 1


def test_sigmoids_are_divided_by_their_sum():
    """As Keras' categorical cross-entropy of them."""
    scores = special.expit(np.random.default_rng(0).normal(size=(6, 3)))
    label = np.array([0, 1, 2, 0, 1, 2])
    found = answers.on_host(scores, label, "sigmoids", "float32")
    expected = keras.losses.sparse_categorical_crossentropy(label, scores)
    np.testing.assert_allclose(found["cross_entropy"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["confidence"], (scores / scores.sum(1)[:, None]).max(1))


@pytest.mark.parametrize("kind", ["logits", "probabilities", "sigmoids", ""])
def test_one_class_has_nothing_to_tell_apart(kind):
    score = np.ones((3, 1)) if kind == "probabilities" else np.full((3, 1), 0.7)
    found = answers.on_host(score, np.zeros(3, int), kind)
    np.testing.assert_allclose(found["cross_entropy"], 0, atol=1e-12)
    np.testing.assert_allclose(found["confidence"], 1)


def test_the_coarsest_dtype_counts():
    x = keras.layers.Dense(3, dtype="mixed_bfloat16")(keras.Input((4,)))
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_bfloat16")])
    network.add(keras.layers.Activation("softmax", dtype="float32"))
    assert x.dtype == "bfloat16" and endings.coarsest_dtype(network) == "bfloat16"
    assert endings.coarsest_dtype(Subclassed()) == "float32"
