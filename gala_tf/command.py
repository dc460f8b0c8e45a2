"""What all commands of this package share: how they start, and how they fail."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable

from absl import app, flags, logging

# Builds of TensorFlow: they unpack into one directory, where the last one installed wins.
TENSORFLOW_BUILDS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")


def check_tensorflow() -> None:
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
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: the commands need Keras' TensorFlow "
            "backend. Unset the variable, or set it to tensorflow."
        )


def run(main: Callable[[], None], errors: tuple[type[Exception], ...] = (ValueError,)) -> None:
    """Parses the flags and calls `main`. What the user can mend ends in one line, not a traceback.

    Args:
        main: takes nothing; reads `flags.FLAGS`.
        errors: whose messages are written for users; `--verbosity=1` shows their tracebacks too.
    """

    def start(arguments):
        if len(arguments) > 1:
            raise app.UsageError(f"unexpected arguments: {' '.join(arguments[1:])}")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # TensorFlow logs through absl, too
        try:
            check_tensorflow()
            main()
        except errors as error:
            logging.debug("the error below comes from here", exc_info=True)
            sys.exit(f"error: {error} (--verbosity=1 shows where)")

    app.run(start)
