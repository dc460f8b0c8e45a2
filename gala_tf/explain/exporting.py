"""Writes a network down so that it is used without this project's training code.

DIR/model.keras    the network itself, for fine-tuning: needs keras and `gala_tf.layers`
DIR/saved_model    a TensorFlow SavedModel, for serving: needs TensorFlow alone
"""

import os
from collections.abc import Sequence

import tensorflow as tf

from gala_tf import losses
from gala_tf.data import files, places
from gala_tf.explain import network_parts
from gala_tf.layers import ClassLogits

KERAS_FILE, SAVED_MODEL = "model.keras", "saved_model"
PATTERN_SIGNS = "*?[]\\"


def export_network(
    network, class_names: Sequence[str], output_dir: str, overwrite: bool = False
) -> list[str]:
    """Writes `network` in both forms; each appears under its name only when it is whole.

    `class_names` are K, in the order of the logits; other files in `output_dir` are left alone.
    Returns the paths written. ValueError: an output exists already, or the network has another
    number of classes.
    """
    check_output(output_dir, overwrite)
    classes = network.output["logits"].shape[-1]
    if classes != len(class_names):
        raise ValueError(
            f"The network tells {classes} classes apart, but there are {len(class_names)} names. "
            "Give the names of the data set that it was trained on."
        )
    for layer in network.layers:
        if isinstance(layer, ClassLogits):
            layer.class_names = class_names  # kept in the .keras file
    tf.io.gfile.makedirs(output_dir)
    writers = {
        KERAS_FILE: network.save,
        SAVED_MODEL: lambda path: _write_saved_model(network, class_names, path),
    }
    for name, write in writers.items():
        # A prefix: Keras wants its suffix to be .keras.
        unfinished = os.path.join(output_dir, f".gala_tf-unfinished-{name}")
        _remove(unfinished)  # what a killed export left
        try:
            with files.naming(unfinished):
                write(unfinished)
        except (OSError, tf.errors.OpError):  # makes room, where a disk is full
            _remove(unfinished)
            raise
        _replace(unfinished, os.path.join(output_dir, name))
    return [os.path.join(output_dir, name) for name in writers]


def check_output(output_dir: str, overwrite: bool) -> None:
    """ValueError if an export would replace something and `overwrite` does not allow it.

    What is no export is replaced in no case. Nor is anything written that TensorFlow cannot read:
    it takes the path of a SavedModel as a pattern.
    """
    places.check_can_be_directory(output_dir, "output_dir")
    if files.is_local(output_dir) and set(os.path.abspath(output_dir)) & set(PATTERN_SIGNS):
        raise ValueError(
            f"--output_dir={output_dir}: TensorFlow loads no SavedModel from a path with any of "
            f"{' '.join(PATTERN_SIGNS)} in it. Give another name."
        )
    there = [
        name
        for name in (KERAS_FILE, SAVED_MODEL)
        if tf.io.gfile.exists(os.path.join(output_dir, name))
    ]
    for name in there:
        if not _is_export(os.path.join(output_dir, name)):
            raise ValueError(
                f"--output_dir={output_dir}: {name} there is no export of a network. Use another "
                "directory, or move it away."
            )
    if there and not overwrite:
        raise ValueError(
            f"--output_dir={output_dir}: {there[0]} exists there already. Use another directory, "
            "or --overwrite to replace it."
        )


def _is_export(path):
    """Whether a Keras file, which is a zip, or a SavedModel."""
    if path.endswith(SAVED_MODEL):
        return tf.io.gfile.exists(os.path.join(path, "saved_model.pb"))
    if tf.io.gfile.isdir(path):
        return False
    with files.open_binary(path) as file:
        return file.read(2) == b"PK"


def _write_saved_model(network, class_names, path):
    module = tf.Module()
    # The variables alone: a tracked Keras model would bring its layers' objects along.
    module.weights = [weight.value for weight in network.weights]

    images_spec = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, name="images")

    @tf.function(input_signature=[images_spec])
    def predict(images):
        outputs = network(images, training=False)
        volumes = network_parts.scored_volumes(outputs)
        final = volumes[list(volumes)[-1]]  # [B, h, w, C]
        return {
            "probabilities": tf.nn.softmax(outputs["logits"]),  # [B, K]
            "attention": losses.column_norm(final)[..., 0],  # [B, h, w]
        }

    @tf.function(input_signature=[])
    def names():
        return tf.constant(list(class_names))  # [K]

    module.predict, module.class_names = predict, names
    tf.saved_model.save(module, path, signatures={"serving_default": predict, "class_names": names})


def _replace(source, target):
    """Renames `source` to `target`; an old target goes away whole, never half."""
    if tf.io.gfile.exists(target):
        old = os.path.join(os.path.dirname(target), f".gala_tf-old-{os.path.basename(target)}")
        _remove(old)
        tf.io.gfile.rename(target, old)
        tf.io.gfile.rename(source, target)
        _remove(old)
    else:
        tf.io.gfile.rename(source, target)


def _remove(path):
    """Deletes a file or a directory, if there is one."""
    if tf.io.gfile.isdir(path):
        tf.io.gfile.rmtree(path)
    elif tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)
