"""keras.applications' ResNet-50 in `fit` on JAX; in a Python that has both, and no TensorFlow.

    python jax_worker.py '{"batch": 8, "image_size": 224, "classes": 1000, ...}'

As a user of Keras would write it, with weight decay as L2 of the kernels; batches in memory.
`answering` says what it prints. Nobody counts its FLOPs here: they are those of the same network on
TensorFlow.
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import jax  # noqa: E402
import keras  # noqa: E402
import keras_resnet50  # noqa: E402
from answering import answer, cores, timed  # noqa: E402


def make_steps(batch, image_size, classes, learning_rate, momentum, weight_decay):
    """(run(count) -> seconds (wall, cpu), None)."""
    network = keras_resnet50.compiled(image_size, classes, learning_rate, momentum, weight_decay)
    images, labels = keras_resnet50.pictures(2 * batch, image_size, classes)

    def batches():
        number = 0
        while True:
            part = slice(number % 2 * batch, (number % 2 + 1) * batch)
            yield images[part], labels[part]
            number += 1

    def steps(count):
        network.fit(batches(), steps_per_epoch=count, verbose=0)

    # All of `fit`: its callbacks do not wait for the steps that they tell of.
    return lambda count: timed(lambda: steps(count)), None


def describe():
    """The device, and versions of what computes."""
    device = jax.devices()[0]
    versions = {"jax": jax.__version__, "keras": keras.__version__}
    return {
        "device": cores() if device.platform == "cpu" else device.device_kind,
        "versions": versions,
    }


if __name__ == "__main__":
    answer(lambda: make_steps(**json.loads(sys.argv[1])), describe)
