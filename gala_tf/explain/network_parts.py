"""Any Keras network, seen from inside: logits without the softmax, layers, what has a map.

B images, h w the size of a layer's output, C channels, K classes
"""

import keras
import tensorflow as tf

from gala_tf.data.contracts import Outputs, Tensor
from gala_tf.explain import endings


def class_scores(outputs):
    """[B, K] float32 of what a network returned.

    ValueError: a dict without "logits", or anything else that is not one tensor [B, K].
    """
    scores = outputs.get("logits") if isinstance(outputs, dict) else outputs
    if isinstance(scores, (list, tuple)) and len(scores) == 1:
        scores = scores[0]
    if scores is None or isinstance(scores, (list, tuple)) or len(scores.shape) != 2:
        received = keras.tree.map_structure(lambda x: list(getattr(x, "shape", ())), outputs)
        raise ValueError(
            "A classifier must return one tensor [B, K], or a dict whose 'logits' are one. "
            f"Received: {received}."
        )
    return tf.cast(scores, tf.float32)


def logit_network(network):
    """The network with a final softmax left out, and whether there was one to leave out.

    Gradients of a probability mix those of all logits, and vanish where the network is certain. A
    softmax is found as an activation of the last layer, as a last layer or operation of its own,
    also before a cast, and at the end of a network inside the network; in a subclassed network it
    stays. Layers before it are shared with `network`, its weights are copied.
    """
    graph = endings.functional(network)
    if graph is None:
        return network, False
    end = endings.ending(graph)
    if isinstance(end.step, keras.Model):
        inner, left_out = logit_network(end.step)
        logits = inner(end.given[0]) if left_out else None
    elif endings.is_softmax(end.step):
        logits = _without_softmax(end.step, end.given[0])
    else:
        logits = None
    if logits is None:
        return network, False
    for step in end.passing:
        logits = step(logits)
    return keras.Model(_inputs(graph), logits), True


def _without_softmax(step, given):
    """What a layer gives without its softmax; what a softmax alone was given."""
    if not hasattr(step, "kernel"):
        return given
    linear = type(step).from_config({**step.get_config(), "activation": "linear"})
    logits = linear(given)
    linear.set_weights(step.get_weights())
    return logits


def _inputs(network):
    # A list of one would make Keras warn at every call with a bare tensor.
    return network.inputs[0] if len(network.inputs) == 1 else network.inputs


def _output_of(layer):
    """A layer's output in the network it is part of, or None; of several calls, the first."""
    try:
        # Not layer.output, which for a network inside a network is a tensor of its own graph.
        return keras.Operation.output.fget(layer)
    except (AttributeError, ValueError):  # never called
        return None


def layer_network(network, layer):
    """A network that returns (that layer's output [B, h, w, C], what `network` returns); its name.

    Args:
        network: a functional or sequential Keras network.
        layer: name of a layer whose output has a height and a width, of an entry of the network's
            "attention" or "activity" outputs; or None: the last layer with a map of its own.

    ValueError: no such layer, or one without a map.
    """
    if not getattr(network, "inputs", None):
        raise ValueError(
            f"Layers of {network.name!r} cannot be looked into: it is not built from layers with "
            "known inputs and outputs (functional or sequential). Use a map of gradients."
        )
    if isinstance(network, keras.Sequential):
        # Called again: a loaded Sequential keeps tensors of more than one graph.
        volumes, returned = {}, network.inputs[0]
        for part in network.layers:
            returned = volumes[part.name] = part(returned)
    else:
        volumes, returned = {x.name: _output_of(x) for x in network.layers}, network.output
    if isinstance(returned, dict):  # of ours, whose attention and activity have names of their own
        for part in ("attention", "activity"):
            volumes.update(returned.get(part, {}))
    volumes = {name: v for name, v in volumes.items() if has_map(v)}
    if layer is None and volumes:
        layer = [x.name for x in network.layers if x.name in volumes][-1]
    if layer not in volumes:
        raise ValueError(
            f"No layer {layer!r} with a map [B, h, w, C] in {network.name!r}; it has "
            f"{', '.join(volumes) or 'none'}."
        )
    part = next((part for part in network.layers if part.name == layer), None)
    if getattr(part, "data_format", None) == "channels_first":
        raise ValueError(
            f"Layer {layer!r} of {network.name!r} has data_format 'channels_first': its output is "
            "[B, C, h, w], and maps are taken of [B, h, w, C]. Build the network channels_last, or "
            "use a map of gradients."
        )
    try:
        # A layer may be the network's and be called beside the path from its inputs.
        return keras.Model(_inputs(network), (volumes[layer], returned)), layer
    except ValueError as error:
        raise ValueError(
            f"The output of layer {layer!r} of {network.name!r} cannot be reached from its inputs "
            f"({error}). Choose another layer, or a map of gradients."
        ) from error


def has_map(volume) -> bool:
    """Whether a tensor is [B, h, w, C] with an extent in space."""
    return len(getattr(volume, "shape", ())) == 4 and volume.shape[1] != 1


def scored_volumes(outputs: Outputs) -> dict[str, Tensor]:
    """The volumes whose columns are compared with human maps, {layer: [B, H, W, C]}.

    Of what a network of `gala_tf.models` returned: attention where it has an extent in space
    (GALA); else the activity of the same units, gated by SE or, in a plain ResNet, as it is.
    """
    spatial = {name: volume for name, volume in outputs["attention"].items() if volume.shape[1] > 1}
    return spatial or outputs["activity"]


def map_sizes(network) -> dict[str, int]:
    """{layer: height = width of its map in pixels} of the layers whose maps are scored."""
    return {name: volume.shape[1] for name, volume in scored_volumes(network.output).items()}
