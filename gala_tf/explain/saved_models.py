"""Saved Keras classifiers of anyone's: loading them, and giving them images in their own range."""

import zipfile

import keras
import tensorflow as tf

import gala_tf.layers  # noqa: F401  registers our layers with Keras
from gala_tf.explain import network_parts

# How pixel values 0..255 RGB become a network's input: of two, keras.applications' name of it.
INPUT_SCALING = {"none": None, "0..1": None, "-1..1": "tf", "caffe": "caffe", "torch": "torch"}


def load_model(path: str):
    """A saved Keras network; layers of `gala_tf` are known, code in the file is not run.

    ValueError: no such file, another format, layers that Keras does not know, or a Lambda.
    """
    if not path.endswith(".keras") or not tf.io.gfile.exists(path):
        raise ValueError(
            f"--model={path}: expected an existing file in Keras 3's format, whose name ends in "
            ".keras. Save the network with network.save('NAME.keras')."
        )
    if tf.io.gfile.isdir(path) or not zipfile.is_zipfile(path):
        raise ValueError(
            f"--model={path} is no file in Keras 3's format, or cut off. Save it again."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises of every kind
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"--model={path} cannot be loaded ({type(error).__name__}: {reason}). Only layers of "
            "Keras and of gala_tf are known, and code stored in a file (Lambda) is never run. "
            "Rebuild the network from such layers and save it again."
        ) from error


def scale_input(images, scaling: str):
    """Pixels 0..255 RGB [B, H, W, 3], uint8 or float, in a network's own value range, float32.

    `scaling` is a key of INPUT_SCALING. `caffe`: BGR, minus ImageNet's mean; `torch`: 0..1, minus
    ImageNet's mean, by its deviation; these two and -1..1 are keras.applications' own. ValueError:
    an unknown scaling.
    """
    if scaling not in INPUT_SCALING:
        raise ValueError(
            f"--input_scaling must be one of {', '.join(INPUT_SCALING)}; received {scaling!r}."
        )
    images = tf.cast(images, tf.float32)
    if scaling == "0..1":
        return images / 255.0
    mode = INPUT_SCALING[scaling]
    if mode is None:
        return images
    return keras.applications.imagenet_utils.preprocess_input(
        images, data_format="channels_last", mode=mode
    )


def input_size(network, image_size: int) -> int:
    """Height = width of the network's input in pixels: its own, or where it has none, the flag's.

    ValueError: the two contradict each other, both are missing, or the input is no RGB square.
    """
    shape = getattr(network, "input_shape", None) or (None, None, None, 3)
    if isinstance(shape, dict) and len(shape) == 1:
        shape = next(iter(shape.values()))
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (None, 3):
        raise ValueError(f"--model must take RGB images [B, H, W, 3]. Its input has shape {shape}.")
    sides = {side for side in (*shape[1:3], image_size) if side}
    if len(sides) != 1:
        raise ValueError(
            f"--image_size={image_size}, and the model's input is {shape[1]}x{shape[2]}: expected "
            "one square size. Give --image_size where the model leaves it open, and only there."
        )
    return sides.pop()


def check_classes(network, size: int, info, data_dir: str) -> None:
    """ValueError unless the network tells as many classes apart as the data set has.

    It is called for one black image, H = W = `size`.
    """
    outputs = network(tf.zeros([1, size, size, 3]), training=False)
    classes = network_parts.class_scores(outputs).shape[1]
    if classes != info.num_classes:
        raise ValueError(
            f"--model tells {classes} classes apart, but the data set at --data_dir={data_dir} has "
            f"{info.num_classes}: labels would mean something else. Use the data set, in the order "
            "of classes, that the model was trained on."
        )
