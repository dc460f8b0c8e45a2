"""Which TensorFlow is installed, and which backend Keras will use."""

import importlib.metadata
import importlib.util
import os

# Builds of TensorFlow: they unpack into one directory, where the last one installed wins.
TENSORFLOW_BUILDS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")


def check() -> None:
    """ValueError unless one build of TensorFlow is installed, and Keras set to use it."""
    found = []
    for build in TENSORFLOW_BUILDS:
        try:
            found.append(f"{build} {importlib.metadata.version(build)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    none = not found and importlib.util.find_spec("tensorflow") is None
    if none or len(found) > 1:
        raise ValueError(
            f"Exactly one build of TensorFlow must be installed; found {' and '.join(found) or 0}. "
            "In a new virtual environment install one of the extras: "
            "pip install -e '.[cpu]', '.[gpu]' or '.[tpu]'."
        )
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: the commands need Keras' TensorFlow "
            "backend. Unset the variable, or set it to tensorflow."
        )
