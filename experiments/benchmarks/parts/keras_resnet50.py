"""keras.applications' ResNet-50 as a user of Keras would train it, on whatever backend Keras has.

With the regularisation and optimizer of ours; needs no more than Keras and NumPy, so that the
worker of another environment can import it.
"""

import keras
import numpy as np


def compiled(
    image_size: int,
    classes: int,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    **arguments,
) -> keras.Model:
    """The network, ready for `fit`; `arguments` go to `compile`."""
    network = keras.applications.ResNet50(
        weights=None,
        input_shape=(image_size, image_size, 3),
        classes=classes,
        classifier_activation=None,
    )
    for layer in network.layers:
        if isinstance(getattr(layer, "kernel", None), keras.Variable):
            layer.kernel.regularizer = keras.regularizers.L2(weight_decay / 2)
    network.compile(
        keras.optimizers.SGD(learning_rate, momentum=momentum, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **arguments,
    )
    return network


def pictures(count: int, image_size: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise and classes: float32 [count, S, S, 3], int32 [count]."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, image_size, image_size, 3)).astype("float32")
    return images, rng.integers(classes, size=count, dtype=np.int32)
