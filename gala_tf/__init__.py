"""GALA: networks that learn what and where to attend, with humans in the loop.

A reproduction of Linsley, Shiebler, Eberhardt and Serre, "Learning what and where to attend"
(ICLR 2019), in TensorFlow and Keras 3. Where to look:

    layers/     the attention blocks (GALA, squeeze-and-excitation): the contribution
    models/     the ResNet they live in
    losses.py   Eq. 1: cross-entropy plus the click-map loss
    train.py    the loop;  evaluate.py, visualize.py, export.py: what follows it
    records.py  the data, which `data_prep` builds

Importing this package imports nothing heavy: `import gala_tf.layers` and friends do.
"""

import os

# TensorFlow's C++ start-up chatter; errors still show. Set the variable yourself to see it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Before the first import of keras. The layers run on other backends, too; the loop is TensorFlow's.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

__version__ = "0.1.0"
