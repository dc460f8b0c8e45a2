"""Weights from files: of torchvision and timm (`.safetensors`), and of ours.

The ResNet of version v1 is torchvision's ("v1.5": strides in the 3x3, symmetric padding), so such a
state fits it whole. No file is unpickled: `.pth` is refused.

    C channels in, F filters, K classes
"""

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

# timm's copies of torchvision's weights: trained with the normalisation that the stem has.
IMAGENET = "timm/resnet{depth}.tv_in1k"
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)

SUFFIXES = (".safetensors", ".keras", ".weights.h5")
TO_SAFETENSORS = (
    'python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('{path}', map_location='cpu', weights_only=True), "
    "'{stem}.safetensors')\""
)

HEAD = "logits"


class Loaded(NamedTuple):
    """What became of a network's variables and of a file's, by their paths."""

    source: str
    loaded: list[str]  # of the network, from the file
    skipped: list[str]  # of the file, which have no place in the network
    new: list[str]  # of the network, which keep their initial values

    @property
    def new_layers(self) -> list[str]:
        """Layers of the network with a variable that the file does not have."""
        return _layers(self.new)

    def __str__(self):
        lines = [f"{self.source}: loaded {len(_layers(self.loaded))} layers"]
        for title, paths in (("skipped", self.skipped), ("new", self.new)):
            if paths:
                lines.append(f"  {title}: {', '.join(_layers(paths))}")
        if {HEAD} & set(_layers(self.skipped)) & set(self.new_layers):
            lines.append("  the file tells other classes apart: the head is new")
        return "\n".join(lines)


def _layers(paths):
    return list(dict.fromkeys(path.split("/")[0] for path in paths))


def load_weights(network: keras.Model, weights: str) -> Loaded:
    """Gives a network of `gala_tf.models` the weights of a file, by the layers' names.

    The head is left new where the file tells another number of classes apart, and so is attention
    that the file does not have. Everything else must be there, in its shape.

    Args:
        weights: a file's path: `.safetensors`, a state of torchvision's or timm's ResNet or one of
            our variables by path; `.keras` of ours, or `.weights.h5` of ours with the same layers.

    ValueError: no such file, another format, or weights of another network.
    """
    return copy_into(network, read_weights(weights, network), weights)


def copy_into(network: keras.Model, state: Mapping[str, Any], source: str) -> Loaded:
    """Assigns a state, {variable's path: array}, as `load_weights` says."""
    mine = {variable.path: variable for variable in network.weights}
    fits = {path for path, v in mine.items() if path in state and v.shape == state[path].shape}
    new = [path for path in mine if path not in fits]
    replaceable = _replaceable(network)
    wrong = [path for path in new if path.split("/")[0] not in replaceable]
    if wrong or not fits:
        path = (wrong or new)[0]
        has = f"{tuple(state[path].shape)}" if path in state else "nothing of that name"
        raise ValueError(
            f"{source}: weights of another network: {len(wrong)} of {len(mine)} variables of "
            f"{network.name!r} are not in it, beginning with {path}, expected "
            f"{tuple(mine[path].shape)}, found {has}. Build the network that they are of: its "
            "depth, version, widths and stem."
        )
    for path in fits:
        mine[path].assign(state[path])
    return Loaded(
        source,
        loaded=[path for path in mine if path in fits],
        skipped=[path for path in state if path not in fits],
        new=new,
    )


def _replaceable(network):
    """Layers that a file need not have: the head, and attention."""
    output = network.output if isinstance(network.output, dict) else {}
    return {HEAD, *output.get("attention", ())}


# --------------------------------------------------------------------------- reading


def read_weights(path: str, network: keras.Model) -> dict[str, np.ndarray]:
    """A file's arrays by the paths that our variables have; `network` tells the shape of an .h5."""
    if path.endswith((".pth", ".pt", ".bin", ".pkl", ".ckpt")):
        convert = TO_SAFETENSORS.format(path=path, stem=os.path.splitext(path)[0])
        raise ValueError(
            f"{path}: a pickle may run code when it is read, so it is not read. Convert it, where "
            f"you trust it: {convert}"
        )
    if not path.endswith(SUFFIXES) or not os.path.isfile(path):
        raise ValueError(
            f"{path}: expected an existing file that ends in {', '.join(SUFFIXES)}; or 'imagenet'."
        )
    if path.endswith(".safetensors"):
        return _of_safetensors(path)
    if path.endswith(".keras"):
        try:
            source = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises of every kind
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"{path} cannot be loaded: {reason}") from error
        return state_of(source)
    return state_of(_twin(path, network))


def state_of(network: keras.Model) -> dict[str, np.ndarray]:
    """A network's variables by path."""
    return {v.path: keras.ops.convert_to_numpy(v) for v in network.weights}


def _twin(path, network):
    """The network as an .h5 file has it: with that file's classes, and its weights."""
    import h5py  # comes with Keras

    config = network.get_config()
    try:
        with h5py.File(path) as file:
            head = file.get("layers/class_logits/vars/0")
            classes = head.shape[1] if head is not None else None
        for layer in config["layers"]:
            if layer["name"] == HEAD and classes:
                layer["config"] |= {"units": classes, "class_names": []}
        twin = keras.Model.from_config(config)
        twin.load_weights(path)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path} is damaged, or of another network than {network.name!r}: {reason}. Such a "
            "file names no layers, so the network must have the same ones; a .keras file may have "
            "other attention."
        ) from error
    return twin


def _of_safetensors(path):
    try:
        from safetensors.numpy import load_file  # of the extra [pretrained]
    except ImportError as error:
        raise ValueError(
            f"{path}: reading it needs safetensors: pip install 'gala_tf[pretrained]'."
        ) from error
    try:
        state = load_file(path)
    except Exception as error:
        raise ValueError(f"{path} is damaged, or no .safetensors file: {error}.") from error
    state = {name: array for name, array in state.items() if not name.endswith(UNUSED)}
    return dict(of_torch(name, array) for name, array in state.items())


UNUSED = "num_batches_tracked"
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def of_torch(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """A torchvision or timm ResNet's entry as (our variable's path, array in our order of axes).

    Convolutions [F, C, h, w] -> [h, w, C, F], dense kernels [K, C] -> [C, K]; of other names and
    ours the entry as it is.
    """
    unit = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)\.(\w+)", name)
    if unit:
        stage, block, part, kind = unit.groups()
        ours = re.sub(r"^conv(\d)$", r"_conv\1", part)
        ours = re.sub(r"^bn(\d)$", r"_conv\1_bn", ours)
        ours = {"downsample.0": "_shortcut", "downsample.1": "_shortcut_bn"}.get(part, ours)
        layer = f"stage{stage}_block{int(block) + 1}{ours}" if ours != part else ""
    else:
        part, _, kind = name.rpartition(".")
        layer = {"conv1": "stem_conv", "bn1": "stem_bn", "fc": HEAD}.get(part, "")
    if not layer:
        return name, array
    if layer.endswith("_bn"):
        return f"{layer}/{BATCH_NORM.get(kind, kind)}", array
    if kind == "weight":
        order = (2, 3, 1, 0) if array.ndim == 4 else (1, 0)
        return f"{layer}/kernel", array.transpose(order)
    return f"{layer}/{kind}", array


def imagenet_file(depth: int, version: str = "v1") -> str:
    """The path of torchvision's ImageNet weights, from timm's repository on the hub or its cache.

    ValueError: there are none of that network, `huggingface_hub` is missing, or out of reach.
    """
    if depth not in IMAGENET_DEPTHS or version != "v1":
        raise ValueError(
            f"weights='imagenet' is there for version v1 of depths {IMAGENET_DEPTHS}. Received: "
            f"depth {depth}, {version}."
        )
    try:
        import huggingface_hub  # of the extra [pretrained]
    except ImportError as error:
        raise ValueError(
            "weights='imagenet' needs huggingface_hub: pip install 'gala_tf[pretrained]'."
        ) from error
    repository = IMAGENET.format(depth=depth)
    try:
        return huggingface_hub.hf_hub_download(repository, "model.safetensors")
    except Exception as error:  # of many kinds, its own and the network's
        raise ValueError(
            f"weights='imagenet': {repository} cannot be fetched ({type(error).__name__}). Fetch "
            "its model.safetensors where there is a network, and give its path."
        ) from error
