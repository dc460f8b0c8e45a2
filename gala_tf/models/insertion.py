"""Attention put into a network that is there already, its weights kept.

base = keras.applications.ResNet50(weights="imagenet")
network = add_attention(base, attention="gala_residual", classes=10)
network.output  # {"logits": [B, 10], "attention": {"conv4_block1_3_bn_gala_residual": ...}}
"""

import re
from collections.abc import Callable, Sequence

import keras

from gala_tf.layers import ATTENTION, ClassLogits
from gala_tf.layers.squeeze_excite import check_channels_last

# Names of networks in keras.applications: of the layer that gives a unit's final activity, "in a
# dense path", before the shortcut is added (in a DenseNet: before it is appended).
FAMILIES = {
    r"resnet\d+": r".*_3_bn",
    r"resnet\d+v2": r".*_3_conv",
    r"mobilenetv2.*": r".*_project_BN",
    r"MobileNetV3.*": r".*project_bn",
    r"efficientnet.*": r".*project_bn",
    r"convnext.*": r".*_layer_scale",
    r"densenet\d+": r".*_2_conv",
}
STRIDE = 16  # of the units that get attention by default: 14x14 cells at 224 pixels, the paper's


def add_attention(
    network: keras.Model,
    units: str | Sequence[str] | None = None,
    attention: str | Callable[[str], keras.layers.Layer] = "gala",
    *,
    classes: int | None = None,
    class_names: Sequence[str] = (),
    **arguments,
) -> keras.Model:
    """The network with an attention layer behind each of some layers, and their volumes by name.

    The network given stays as it is: the new one has layers of its own, with the same names and
    copies of the weights. A softmax at its end is left out.

    Args:
        network: functional or sequential, with one output. With "gala_residual" the new one gives
            its logits to the bit.
        units: names of layers whose output is [B, H, W, C], or a pattern that whole names match.
            None: the units of the networks of `keras.applications` in FAMILIES, at stride 16.
        attention: a key of `layers.ATTENTION`, or a function from a name to such a layer.
        classes: another number of classes, whose head is new: it replaces the last dense layer, or
            follows features.
        class_names: of a new head, kept in saved files.
        arguments: of the layer, such as `reduction_ratio`.

    Returns model(images) -> {"logits": [B, K], or "features" of a network without a head,
    "attention": {UNIT_ATTENTION: [B, H, W, C]}}; other outputs of a dict stay.

    ValueError: no such layer, or one without a map; or the head cannot be replaced.
    """
    check_channels_last("add_attention")
    make, suffix = _maker(attention, arguments)
    if isinstance(network, keras.Sequential):
        network = _functional(network)
    if not hasattr(network, "_run_through_graph"):
        raise ValueError(
            f"add_attention needs a functional or sequential network, whose layers are known. "
            f"Received: {network.name!r}, a {type(network).__name__}."
        )
    chosen = choose_units(network, units)
    output = network.output["logits"] if isinstance(network.output, dict) else network.outputs[0]
    ending = output._keras_history.operation
    replaced = classes is not None and _is_head(ending)
    volumes: dict = {}

    def clone(step):
        if not isinstance(step, keras.layers.Layer):
            return step  # an operation of keras.ops: it has no weights
        config = step.get_config()
        if step is ending and _is_softmax(step) and "activation" in config:
            config["activation"] = "linear"
        copy = type(step).from_config(config)
        if step is ending:
            ends.append(copy)
        return copy

    def call(step, *args, **kwargs):
        if step in ends:
            if replaced:
                return _new_head(step, args[0], classes, class_names)
            if type(step).__name__ == "Softmax":
                return args[0]
        given = step(*args, **kwargs)
        name = getattr(step, "name", "")
        if name in chosen:
            layer = f"{name}_{suffix}"
            given, volumes[layer] = make(layer)(given)
        return given

    ends: list = []
    copy = keras.models.clone_model(network, clone_function=clone, call_function=call)
    result = _with_outputs(copy, volumes, classes, class_names)
    for layer in network.layers:
        if layer.weights and not (layer is ending and replaced):
            result.get_layer(layer.name).set_weights(layer.get_weights())
    return result


def choose_units(network: keras.Model, units: str | Sequence[str] | None = None) -> list[str]:
    """Names of the layers that `add_attention` puts attention behind, in forward order."""
    maps = {layer.name: layer.output for layer in network.layers if _has_map(layer)}
    if units is None:
        pattern = next((p for n, p in FAMILIES.items() if re.fullmatch(n, network.name)), None)
        side = network.inputs[0].shape[1]
        if pattern is None or side is None:
            raise ValueError(
                f"add_attention: name the units of {network.name!r}; they are known of networks "
                f"of keras.applications with a fixed input size. It has {_some(maps)}."
            )
        grid = -(-side // STRIDE)
        found = [n for n, v in maps.items() if v.shape[1] == grid and re.fullmatch(pattern, n)]
    elif isinstance(units, str):
        found = [name for name in maps if re.fullmatch(units, name)]
    else:
        missing = [name for name in units if name not in maps]
        if missing:
            raise ValueError(
                f"add_attention: {network.name!r} has no layer {', '.join(missing)} with a map "
                f"[B, H, W, C]; it has {_some(maps)}."
            )
        found = [name for name in maps if name in units]
    if not found:
        raise ValueError(
            f"add_attention: units={units!r} names no layer of {network.name!r} with a map "
            f"[B, H, W, C]; it has {_some(maps)}."
        )
    return found


def _some(names, most=60):
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


def _has_map(layer):
    if isinstance(layer, keras.layers.InputLayer):
        return False
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # several outputs, or none of its own
        return False
    return len(shape) == 4 and shape[1] != 1


def _maker(attention, arguments):
    """(name -> layer, what ends the layers' names)."""
    if callable(attention):
        return attention, "attention"
    layer_class = ATTENTION.get(attention)
    if layer_class is None:
        known = ", ".join(name for name, layer in ATTENTION.items() if layer)
        raise ValueError(f"attention must be one of {known}. Received: {attention!r}.")
    return (lambda name: layer_class(**arguments, name=name)), attention


def _functional(network):
    """A sequential network as a graph, with the same layers."""
    inputs = outputs = keras.Input(network.input_shape[1:], dtype=network.inputs[0].dtype)
    for layer in network.layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name=network.name)


def _is_softmax(step):
    if type(step).__name__ == "Softmax":
        return True
    return getattr(step, "activation", None) is keras.activations.softmax


def _is_head(step):
    return isinstance(step, keras.layers.Dense) or _is_softmax(step)


def _new_head(step, given, classes, class_names):
    if not isinstance(step, keras.layers.Dense):
        raise ValueError(
            f"classes={classes}: the head can be replaced where a dense layer is last; here it is "
            f"{step.name!r}, a {type(step).__name__}. Build the network with include_top=False."
        )
    return _head(classes, class_names)(given)


def _head(classes, class_names):
    return ClassLogits(classes, class_names=class_names, dtype="float32", name="logits")


def _with_outputs(copy, volumes, classes, class_names):
    if isinstance(copy.output, dict):
        attention = {**copy.output.get("attention", {}), **volumes}
        return keras.Model(copy.inputs, {**copy.output, "attention": attention}, name=copy.name)
    output = copy.outputs[0]
    if classes is not None and not isinstance(output._keras_history.operation, ClassLogits):
        if len(output.shape) == 4:
            output = keras.layers.GlobalAveragePooling2D(name="head_pool")(output)
        output = _head(classes, class_names)(output)
    key = "logits" if len(output.shape) == 2 else "features"
    # One input, not a list of one: Keras would warn at every call with a bare tensor.
    inputs = copy.inputs[0] if len(copy.inputs) == 1 else copy.inputs
    return keras.Model(inputs, {key: output, "attention": volumes}, name=copy.name)
