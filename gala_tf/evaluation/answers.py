"""What a network answers: class, rank of the true one, cross-entropy, confidence of each image.

Twice, because two things are wanted of it: on the device in float32, so that a step compiles for
TPUs and only [B] numbers leave it; and on the host in float64 of anyone's classifier, which may
return probabilities. B images, K classes
"""

import numpy as np
import tensorflow as tf
from scipy import special

from gala_tf import losses
from gala_tf.explain import endings


def on_device(logits, label) -> dict:
    """prediction, rank, cross_entropy, confidence, [B] each, of logits [B, K] and true classes."""
    true_logit = tf.gather(logits, label, batch_dims=1)[:, None]
    # Ties and NaN count against the network. Not `~(logits < true_logit)`: TensorFlow
    # rewrites that to `>=` in graphs, which is false for NaN.
    ahead = (logits >= true_logit) | tf.math.is_nan(logits) | tf.math.is_nan(true_logit)
    return {
        "prediction": tf.argmax(logits, axis=1, output_type=tf.int32),
        # Not tf.math.count_nonzero: it counts in int64, which TPUs compute as pairs.
        "rank": tf.reduce_sum(tf.cast(ahead, tf.int32), axis=1) - 1,
        "cross_entropy": losses.cross_entropy(logits, label),
        "confidence": max_probability(logits),
    }


def max_probability(logits):
    """The largest softmax probability, [B, K] -> [B]; NaN where any logit is NaN or infinite."""
    largest = tf.reduce_max(tf.nn.softmax(logits), axis=1)  # a maximum may pass NaN over
    largest = tf.minimum(largest, 1.0)  # a device that rounds its quotient up gives 1.0000001
    return tf.where(tf.reduce_all(tf.math.is_finite(logits), axis=1), largest, float("nan"))


def on_host(class_scores, label, kind: str = "", dtype: str = "bfloat16") -> dict:
    """The same, of class scores [B, K] of one network, computed in `dtype`.

    `kind` is `endings.LOGITS`, PROBABILITIES (of one class) or SIGMOIDS (of each class by itself);
    empty: told by all rows together.
    """
    class_scores = np.asarray(class_scores, np.float64)
    kind = kind or endings.kind_of_numbers(class_scores, dtype)
    true = np.take_along_axis(class_scores, label[:, None], 1)  # [B, 1]
    if kind == endings.LOGITS:
        logs = special.log_softmax(class_scores, axis=1)
    else:
        # A probability that the dtype rounded to 0 counts as the smallest that it can hold.
        logs = np.log(np.maximum(class_scores, SMALLEST[dtype]))
    if kind == endings.SIGMOIDS:  # divided by their sum, as Keras' cross-entropy does
        logs -= special.logsumexp(logs, axis=1, keepdims=True)
    return {
        "prediction": class_scores.argmax(1).astype(np.int32),
        # Ties and NaN count against the network.
        "rank": (~(class_scores < true)).sum(1).astype(np.int32) - 1,
        "cross_entropy": -np.take_along_axis(logs, label[:, None], 1)[:, 0],
        "confidence": np.minimum(np.exp(logs.max(1)), 1.0),
    }


# Positive numbers; those below are rounded to 0 on the way.
SMALLEST = {"float64": 2.3e-308, "float32": 1.2e-38, "bfloat16": 1.2e-38, "float16": 6e-8}
