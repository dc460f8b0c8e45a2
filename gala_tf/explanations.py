"""Where a classifier looks: maps over images, of any Keras network.

Pure functions of a network and images; `make_explainer` compiles them. Images are what the network
takes, in its own value range and order of channels, and gradients are with respect to those.

A network may return logits [B, K], or probabilities of which `logit_network` removes the softmax,
or a dict with a "logits" entry, as those of `gala_tf.models` do.

    B images, H W the input's size, C channels, h w the size of a layer's output, K classes
"""

import keras
import tensorflow as tf

from gala_tf import losses

KINDS = ("attention", "gradient", "smoothgrad", "gradcam", "activity")
REDUCTIONS = {
    "max": tf.reduce_max,  # Simonyan et al. 2014, Smilkov et al. 2017, Xplique's Saliency
    "mean": tf.reduce_mean,
    "sum": tf.reduce_sum,
    "norm": lambda magnitude, axis: tf.norm(magnitude, axis=axis),  # L2
}


def class_scores(outputs):
    """[B, K] float32 of what a network returned.

    Raises:
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
    softmax is found as the last layer's own activation, or as a last layer of its own; anywhere
    else (in a nested or subclassed network) it stays. Layers before it are shared with `network`,
    its weights are copied.

    Raises:
        ValueError: layers that belonged to another network first, of which Keras gives no account.
    """
    outputs = getattr(network, "outputs", None)
    if not outputs or isinstance(_returned(network), dict) or len(outputs) != 1:
        return network, False
    chain = isinstance(network, keras.Sequential)
    last = (
        network.layers[-1]
        if chain
        else next((x for x in network.layers if _output_of(x) is outputs[0]), None)
    )
    if last is None:
        raise ValueError(
            f"The last layer of {network.name!r} cannot be told: its layers were part of another "
            "network first. Save the network and load it again."
        )
    alone = isinstance(last, (keras.layers.Softmax, keras.layers.Activation))
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    if not (softmax or isinstance(last, keras.layers.Softmax)):
        return network, False
    linear = None
    if not alone:
        linear = type(last).from_config({**last.get_config(), "activation": "linear"})
    if chain:
        layers = [*network.layers[:-1], *([linear] if linear else [])]
        logits = keras.Sequential([keras.Input(network.input_shape[1:]), *layers])
    else:
        logits = keras.Model(_inputs(network), linear(last.input) if linear else last.input)
    if linear:
        linear.set_weights(last.get_weights())
    return logits, True


def _returned(network):
    """What a functional or sequential network returns, as symbolic tensors."""
    # A Sequential has no `output` until it is called.
    return network.outputs[0] if isinstance(network, keras.Sequential) else network.output


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


def input_gradient(network, images, labels=None):
    """Gradient of the score of one class with respect to the image (Simonyan et al. 2014).

    Args:
        network: see above; called with `training=False`.
        images: [B, H, W, C] float.
        labels: [B] classes; None: each image's predicted class.

    Returns:
        [B, H, W, C] float32, signed.
    """
    images = tf.cast(images, tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        score = _score(network(images, training=False), labels)
    return _not_none(tape.gradient(score, images), "the input")


def saliency(gradients, reduction="max"):
    """|gradient| over channels: [B, H, W, C] -> [B, H, W] >= 0.

    Args:
        gradients: of `input_gradient` or `smoothgrad`.
        reduction: a key of REDUCTIONS, by default as Xplique's Saliency.

    Raises:
        ValueError: an unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}; got {reduction!r}.")
    return REDUCTIONS[reduction](tf.abs(gradients), axis=-1)


def smoothgrad(
    network, images, labels=None, *, image_index=None, seed=0, samples=50, noise=0.15, at_once=1
):
    """Mean of the gradients at noisy copies of each image (SmoothGrad, Smilkov et al. 2017).

    The noise of copy i of an image depends on the seed, the image's index and i alone: not on the
    batch it came in, nor on `at_once`. Memory is that of the gradient of B * at_once images.

    Args:
        network, images, labels: as for `input_gradient`. With `labels` None the class is the one
            predicted for the image itself, the same for all its copies.
        image_index: [B] ints, by default 0..B-1; place in a split, say.
        seed: int.
        samples: number of copies, n; "little apparent change" above 50.
        noise: standard deviation / (maximum - minimum of the image); 0.1 to 0.2 in that paper.
        at_once: copies of an image that are computed side by side.

    Returns:
        [B, H, W, C] float32, signed: `saliency` makes a map of it, after the mean as in that paper.

    Raises:
        ValueError: `samples` or `at_once` below 1, or negative noise.
    """
    check_smoothgrad(samples, noise, at_once)
    images = tf.cast(images, tf.float32)
    if labels is None:
        labels = tf.argmax(class_scores(network(images, training=False)), axis=1)
    if image_index is None:
        image_index = tf.range(tf.shape(images)[0])

    def add_gradients(start, total):
        copies = tf.range(start, tf.minimum(start + at_once, samples))
        repeats = tf.size(copies)
        # [B * repeats, H, W, C]: the copies of an image side by side
        noisy = tf.repeat(images, repeats, axis=0) + tf.reshape(
            sample_noise(images, image_index, seed, copies, noise), [-1, *images.shape[1:]]
        )
        gradients = input_gradient(network, noisy, tf.repeat(labels, repeats))
        gradients = tf.reshape(gradients, tf.concat([[-1, repeats], tf.shape(images)[1:]], 0))
        total += tf.ensure_shape(tf.reduce_sum(gradients, axis=1), images.shape)
        return start + at_once, total

    _, total = tf.while_loop(
        lambda start, total: start < samples,
        add_gradients,
        (tf.constant(0), tf.zeros_like(images)),
        parallel_iterations=1,  # else memory would be that of several
    )
    return total / samples


def check_smoothgrad(samples=50, noise=0.15, at_once=1, seed=0):
    """ValueError for arguments of `smoothgrad` that make no sense."""
    if samples < 1 or at_once < 1 or noise < 0:
        raise ValueError(
            "SmoothGrad needs samples >= 1, at_once >= 1 and noise >= 0; received "
            f"{samples}, {at_once} and {noise}."
        )


def sample_noise(images, image_index, seed, copies, noise):
    """SmoothGrad's noise, [B, n, H, W, C]: normal, `noise` times each image's range of values.

    Args:
        images: [B, H, W, C] float32.
        image_index: [B] ints.
        seed: int.
        copies: [n] ints, the numbers of the copies.
        noise: as for `smoothgrad`.
    """
    fold_in = tf.random.experimental.stateless_fold_in
    count, shape = tf.size(copies), images.shape[1:]

    def draw(pair):
        image_seed = fold_in(tf.constant([seed, 0], tf.int64), pair[0])
        return tf.random.stateless_normal(shape, fold_in(image_seed, pair[1]))

    # Each image's copies one after the other: B * n pairs of image and copy.
    pairs = tf.stack(
        [
            tf.repeat(tf.cast(image_index, tf.int64), count),
            tf.tile(tf.cast(copies, tf.int64), [tf.size(image_index)]),
        ],
        axis=1,
    )
    normal = tf.map_fn(draw, pairs, fn_output_signature=tf.TensorSpec(shape, tf.float32))
    normal = tf.reshape(normal, tf.concat([[-1, count], shape], 0))
    extent = tf.reduce_max(images, axis=(1, 2, 3)) - tf.reduce_min(images, axis=(1, 2, 3))
    return normal * noise * extent[:, None, None, None, None]


def layer_network(network, layer):
    """A network that returns (that layer's output [B, h, w, C], what `network` returns).

    Args:
        network: a functional or sequential Keras network.
        layer: name of a layer whose output has a height and a width, of an entry of the network's
            "attention" or "activity" outputs; or None: the last layer with a map of its own.

    Raises:
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
    if isinstance(returned, dict):
        for part in ("attention", "activity"):
            volumes.update(returned.get(part, {}))
    volumes = {name: v for name, v in volumes.items() if _has_map(v)}
    if layer is None and volumes:
        layer = [x.name for x in network.layers if x.name in volumes][-1]
    if layer not in volumes:
        raise ValueError(
            f"No layer {layer!r} with a map [B, h, w, C] in {network.name!r}; it has "
            f"{', '.join(volumes) or 'none'}."
        )
    try:
        return keras.Model(_inputs(network), (volumes[layer], returned)), layer
    except ValueError as error:
        raise ValueError(
            f"The output of layer {layer!r} of {network.name!r} cannot be reached from its inputs "
            f"({error}). Choose another layer, or a map of gradients."
        ) from error


def _has_map(volume):
    return len(getattr(volume, "shape", ())) == 4 and volume.shape[1] != 1


def gradcam(layered, images, labels=None):
    """Grad-CAM (Selvaraju et al. 2017): ReLU of a layer's channels weighted by mean gradients.

    Args:
        layered: from `layer_network`; that work takes the last convolution, the default there.
        images, labels: as for `input_gradient`.

    Returns:
        [B, h, w] float32 >= 0, at the layer's size.
    """
    images = tf.cast(images, tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)  # so that the tape sees the layer's output
        volume, outputs = layered(images, training=False)
        score = _score(outputs, labels)
    gradients = _not_none(tape.gradient(score, volume), "the layer")
    weights = tf.reduce_mean(tf.cast(gradients, tf.float32), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * tf.cast(volume, tf.float32), axis=-1))


def attention_maps(outputs):
    """Reduced attention maps of one of our networks, {layer: [B, h, w]}, by column norms.

    Raises:
        ValueError: what the network returned has no attention with an extent in space.
    """
    volumes = _attention_volumes(outputs)
    return {name: losses.column_norm(volume)[..., 0] for name, volume in volumes.items()}


def _attention_volumes(outputs):
    volumes = outputs.get("attention", {}) if isinstance(outputs, dict) else {}
    volumes = {name: volume for name, volume in volumes.items() if _has_map(volume)}
    if not volumes:
        raise ValueError(
            "The network returns no attention map (only those of gala_tf with GALA do). Use "
            "gradient, smoothgrad, gradcam, or activity:LAYER."
        )
    return volumes


def parse_kind(text):
    """ "gradcam:conv5" -> ("gradcam", "conv5"); (kind, None) without a layer.

    Raises:
        ValueError: an unknown kind, a layer where none fits, or none where one is needed.
    """
    kind, colon, layer = text.partition(":")
    takes_layer = kind in ("activity", "gradcam")
    missing = (kind == "activity" or colon) and not layer
    if kind not in KINDS or missing or (layer and not takes_layer):
        raise ValueError(
            "maps must be attention, gradient, smoothgrad, gradcam, gradcam:LAYER or "
            f"activity:LAYER; received {text!r}."
        )
    return kind, layer or None


def make_explainer(network, maps, *, reduction="max", target="true", **smoothgrad_arguments):
    """A compiled function that explains batches.

    Args:
        network: see above; its softmax is not removed here (`logit_network`).
        maps: as `parse_kind` takes it.
        reduction: of gradients over channels, as for `saliency`.
        target: whose score is explained, the "true" class's or the "predicted" one's.
        smoothgrad_arguments: `seed`, `samples`, `noise`, `at_once`, as for `smoothgrad`.

    Returns:
        explain(images [B, H, W, C], labels [B], image_index [B]) ->
        (scores [B, K] float32, {name: map [B, h, w] float32}); `smoothgrad`'s noise alone depends
        on `image_index`.

    Raises:
        ValueError: an unknown choice or layer, or a network that has no such map.
    """
    kind, layer = parse_kind(maps)
    if target not in ("true", "predicted"):
        raise ValueError(f"target must be true or predicted; received {target!r}.")
    # Refused before the work, and not from inside a graph.
    saliency(tf.zeros([1, 1, 1, 1]), reduction)
    check_smoothgrad(**smoothgrad_arguments)
    if kind == "attention":
        _attention_volumes(_returned(network) if getattr(network, "inputs", None) else {})
    layered = None
    if kind in ("activity", "gradcam"):
        layered, layer = layer_network(network, layer)
    name = kind if layer is None else f"{kind}:{layer}"

    def one_map(images, labels, image_index):
        if kind == "activity":
            return losses.column_norm(layered(images, training=False)[0])[..., 0]
        if kind == "gradcam":
            return gradcam(layered, images, labels)
        if kind == "gradient":
            return saliency(input_gradient(network, images, labels), reduction)
        gradients = smoothgrad(
            network, images, labels, image_index=image_index, **smoothgrad_arguments
        )
        return saliency(gradients, reduction)

    @tf.function(reduce_retracing=True)
    def explain(images, labels, image_index):
        outputs = network(images, training=False)
        labels = labels if target == "true" else None
        if kind == "attention":
            return class_scores(outputs), attention_maps(outputs)
        return class_scores(outputs), {name: one_map(images, labels, image_index)}

    return explain


def _score(outputs, labels):
    """[B]: the score of each image's class; of the best one where `labels` is None."""
    scores = class_scores(outputs)
    if labels is None:
        labels = tf.argmax(scores, axis=1)
    return tf.gather(scores, tf.cast(labels, tf.int32), batch_dims=1)


def _not_none(gradients, where):
    if gradients is None:
        raise ValueError(f"The class score does not depend on {where} in a differentiable way.")
    return gradients
