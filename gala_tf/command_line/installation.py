"""Which TensorFlow is installed, and which backend Keras will use."""

import importlib.metadata
import importlib.util
import json
import os
import sys

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
    _choose_backend()


def _choose_backend():
    """Sets Keras to TensorFlow in this process; ValueError if the variable names another backend.

    The variable is of this shell, so its user means the command. keras.json is of all programs on
    the machine: what it says is told to be overridden.
    """
    asked = os.environ.get("KERAS_BACKEND", "")
    if asked not in ("", "tensorflow"):
        raise ValueError(
            f"KERAS_BACKEND={asked}: the commands need Keras' TensorFlow backend, and this one has "
            "done nothing. Unset the variable, or set it to tensorflow. The library runs on "
            "others: gala_tf/layers/README.md."
        )
    path, configured = _configured_backend()
    if not asked and configured != "tensorflow":
        print(
            f"note: {path} sets Keras to {configured}; this command runs on TensorFlow all the "
            "same. KERAS_BACKEND=tensorflow says so, too.",
            file=sys.stderr,
            flush=True,
        )
    os.environ["KERAS_BACKEND"] = "tensorflow"  # processes that this one starts inherit it


def _configured_backend() -> tuple[str, str]:
    """(path of keras.json, the backend it names); TensorFlow is the default, as in Keras."""
    home = os.path.expanduser("~")
    home = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")  # as Keras has it
    path = os.path.join(os.environ.get("KERAS_HOME", home), "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            return path, str(json.load(file).get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):  # Keras, too, goes on without it
        return path, "tensorflow"
