"""A partner from the SavedModel that `gala_tf.export` writes; so a network trained here can play.

The one file of `data_prep.humans` that imports TensorFlow, since nothing else runs a SavedModel. It
is imported only when such a partner is asked for.
"""

import contextlib
import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from data_prep.humans.game.partners.classes import from_names
from data_prep.humans.game.partners.looking import Looking
from data_prep.humans.game.rules import Rules


def load(argument: str, rules: Rules) -> Looking:
    """`--partner=savedmodel:DIR`, DIR or its `saved_model`."""
    folder = Path(argument)
    folder = folder / "saved_model" if (folder / "saved_model").is_dir() else folder
    if not (folder / "saved_model.pb").is_file():
        raise ValueError(
            f"--partner=savedmodel:{argument}: no SavedModel there. `python -m gala_tf.export "
            "--model_dir=RUN --output_dir=DIR` writes one."
        )
    with contextlib.suppress(RuntimeError):  # too late where TensorFlow has run before
        tf.config.threading.set_intra_op_parallelism_threads(1)
    network = SavedModel(folder)
    name, sha256 = folder.resolve().parent.name, folder_sha256(folder)
    about = {"name": name, "kind": "savedmodel", "sha256": sha256}
    return Looking(network, from_names(network.class_names), rules, about)


class SavedModel:
    """A network of `gala_tf.export`.

    Attributes:
        side: of its input, px.
        class_names: in the order of its outputs.
    """

    def __init__(self, folder: Path):
        self._loaded = tf.saved_model.load(str(folder))
        signatures = self._loaded.signatures
        if "serving_default" not in signatures or "class_names" not in signatures:
            raise ValueError(
                f"{folder} has the signatures {', '.join(signatures) or 'none'}; expected "
                "serving_default and class_names, as gala_tf.export writes them."
            )
        self._predict = signatures["serving_default"]
        ((self._input, spec),) = self._predict.structured_input_signature[1].items()
        self.side = spec.shape[1]
        (names,) = signatures["class_names"]().values()
        self.class_names = tuple(name.decode() for name in names.numpy())

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Of pictures [B, S, S, 3] of 0..255: float32 [B, K]."""
        images = tf.constant(pixels, tf.float32)
        return self._predict(**{self._input: images})["probabilities"].numpy()


def folder_sha256(folder: Path) -> str:
    """Names the content of all files in a folder, with their paths inside it."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return whole.hexdigest()
