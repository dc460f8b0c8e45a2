"""What a step minimises: L2's gradients, which it adds by itself and last."""

import numpy as np
import pytest
import tensorflow as tf

from gala_tf import losses
from gala_tf.training import step


def objective(**changes):
    given = dict(
        map_sizes={},
        global_batch_size=8,
        replicas=1,
        map_loss_weight=0.0,
        map_target="attention",
        map_resize="bilinear",
        weight_decay=1e-4,
        label_smoothing=0.0,
    )
    return step.Objective(**(given | changes))


@pytest.mark.parametrize("replicas, scale", [(1, 1.0), (4, 1.0), (2, 1024.0)])
def test_l2_added_last_is_l2_to_the_bit(replicas, scale):
    rng = np.random.default_rng(0)
    kernel, bias = (tf.Variable(rng.normal(size=s).astype("float32")) for s in ((3, 3, 8), (8,)))
    x = tf.constant(rng.normal(size=(2, 3, 3, 8)), tf.float32)
    aim = objective(replicas=replicas)

    @tf.function
    def both():
        with tf.GradientTape(persistent=True) as tape:
            rest = tf.reduce_sum(tf.sin(x * kernel + bias))
            l2 = aim.weight_decay * losses.l2_loss([kernel]) / replicas
            whole, bare = (rest + l2) * scale, rest * scale
        automatic = tape.gradient(whole, [kernel, bias])
        found = tape.gradient(bare, [kernel, bias])
        return automatic, aim.add_l2(found, [kernel, bias], [kernel], tf.constant(scale))

    automatic, added = both()
    np.testing.assert_array_equal(added[1], automatic[1])
    np.testing.assert_array_equal(added[0], automatic[0])
    assert np.any(added[0] != tf.cos(x[0] * kernel + bias))


def test_automatic_gradients_are_of_eq_1_alone():
    """Else L2 would count twice."""
    kernel = tf.Variable(tf.ones([4, 5]))
    batch = {"label": tf.constant([1] * 8), "clickmap": None, "has_clickmap": None}
    with tf.GradientTape() as tape:
        terms = objective().terms({"logits": tf.ones([8, 4]) @ kernel}, batch, [kernel])
        assert float(terms.l2) == pytest.approx(0.5 * 20 * 1e-4)
        assert float(terms.loss) == pytest.approx(float(terms.cross_entropy + terms.l2))
    found = tape.gradient(terms.loss, kernel)
    with tf.GradientTape() as tape:
        bare = objective(weight_decay=0.0).terms(
            {"logits": tf.ones([8, 4]) @ kernel}, batch, [kernel]
        )
    np.testing.assert_array_equal(found, tape.gradient(bare.loss, kernel))
