"""Starting from weights that are there: what is loaded, frozen, trained at another rate."""

import json
import os

from gala_tf import config
from gala_tf.data import files
from gala_tf.models import pretrained
from gala_tf.models.pretrained import Loaded
from gala_tf.runs import checkpoints, directory, logs

INITIAL_FILE = "initial_weights.json"  # in the run directory: what was loaded, skipped and new


def initialise(network, run_config: config.Config) -> Loaded | None:
    """Gives a new network the weights of `--init_from`; says what was loaded, skipped and new.

    A run that goes on from a checkpoint reads what it noted instead, and needs no file. ValueError:
    there are no such weights, or of another network.
    """
    source, model_dir = run_config.init_from, run_config.model_dir
    if not source:
        return None
    noted = os.path.join(model_dir, INITIAL_FILE)
    if files.exists(noted) and checkpoints.complete(os.path.join(model_dir, "checkpoints")):
        with files.open_binary(noted) as file:
            return Loaded(**json.load(file))
    try:
        loaded = _load(network, run_config, source)
    except ValueError as error:
        raise ValueError(f"--init_from={source}: {error}") from error
    logs.say(str(loaded))
    return loaded


def _load(network, run_config, source):
    if source == "imagenet":
        path = pretrained.imagenet_file(run_config.depth, run_config.version)
        return pretrained.load_weights(network, path)
    if files.exists(os.path.join(source, directory.FLAGS_FILE)):
        run = directory.open_run(source, weights="best")
        return pretrained.copy_into(network, pretrained.state_of(run.network), source)
    return pretrained.load_weights(network, source)


def note(model_dir: str, loaded: Loaded | None) -> None:
    """Writes into the run directory what `initialise` found."""
    if loaded is not None:
        path = os.path.join(model_dir, INITIAL_FILE)
        files.write(path, json.dumps(loaded._asdict(), indent=1) + "\n")


def freeze(network, parts) -> None:
    """Leaves the layers of some parts as they are, their batch statistics, too.

    Args:
        parts: `stem`, `stage1`, a unit or a layer: what layers' names begin with.

    ValueError: a part without a layer.
    """
    layers = [layer for layer in network.layers if layer.weights]
    for part in parts:
        chosen = [layer for layer in layers if f"{layer.name}_".startswith(f"{part}_")]
        if not chosen:
            raise ValueError(
                f"--freeze={','.join(parts)}: the network has no part {part!r}. Name stem, stages "
                "(stage1), units (stage1_block1) or layers."
            )
        for layer in chosen:
            layer.trainable = False


def rate_factors(network, loaded: Loaded | None, new_layers_rate: float) -> dict[str, float]:
    """{variable's path: factor on the learning rate} of what `--init_from` left new.

    ValueError: there is no `--init_from`, but another rate.
    """
    if new_layers_rate == 1:
        return {}
    if loaded is None:
        raise ValueError(
            f"--new_layers_rate={new_layers_rate} is of layers that --init_from leaves new. Give "
            "--init_from, too, or leave the flag away."
        )
    new = set(loaded.new)
    return {v.path: new_layers_rate for v in network.trainable_variables if v.path in new}
