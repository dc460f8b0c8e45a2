"""Where a classifier looks: maps over images, of any Keras network.

Pure functions of a network and images; `make_explainer` compiles them. Images are what the network
takes, in its own value range and order of channels, and gradients are with respect to those.

A network may return logits [B, K], or probabilities, of which `network_parts.logit_network` removes
the softmax, or a dict with a "logits" entry, as those of `gala_tf.models` do.

    B images, H W the input's size, C channels, h w the size of a layer's output, K classes
"""

import tensorflow as tf

from gala_tf import losses
from gala_tf.explain import network_parts

KINDS = ("attention", "gradient", "smoothgrad", "gradcam", "activity")
REDUCTIONS = {
    "max": tf.reduce_max,  # Simonyan et al. 2014, Smilkov et al. 2017, Xplique's Saliency
    "mean": tf.reduce_mean,
    "sum": tf.reduce_sum,
    "norm": lambda magnitude, axis: tf.norm(magnitude, axis=axis),  # L2
}


def input_gradient(network, images, labels=None):
    """Gradient of the score of one class with respect to the image (Simonyan et al. 2014).

    Of images [B, H, W, C] and classes [B], by default each image's predicted one: [B, H, W, C]
    float32, signed. The network is called with `training=False`.
    """
    images = tf.cast(images, tf.float32)
    # Of the weights no gradient is asked for: not watching them saves their activities.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        score = _score(network(images, training=False), labels)
    return _not_none(tape.gradient(score, images), "the input")


def saliency(gradients, reduction="max"):
    """|gradient| over channels: [B, H, W, C] -> [B, H, W] >= 0; `reduction` is of REDUCTIONS."""
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
        samples: number of copies, n; "little apparent change" above 50.
        noise: standard deviation / (maximum - minimum of the image); 0.1 to 0.2 in that paper.
        at_once: copies of an image that are computed side by side.

    Returns [B, H, W, C] float32, signed: `saliency` makes a map of it, after the mean as in that
    paper. ValueError: `samples` or `at_once` below 1, or negative noise.
    """
    check_smoothgrad(samples, noise, at_once)
    images = tf.cast(images, tf.float32)
    if labels is None:
        labels = tf.argmax(network_parts.class_scores(network(images, training=False)), axis=1)
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

    `copies` are [n] ints, the numbers of the copies.
    """
    fold_in = tf.random.experimental.stateless_fold_in
    count, shape = tf.size(copies), images.shape[1:]

    def draw(pair):
        image_seed = fold_in(tf.constant([seed, 0], tf.int64), pair[0])
        return tf.random.stateless_normal(shape, fold_in(image_seed, pair[1]))

    # Each image's copies one after the other: B * n pairs of image and copy.
    of_images = tf.repeat(tf.cast(image_index, tf.int64), count)
    of_copies = tf.tile(tf.cast(copies, tf.int64), [tf.size(image_index)])
    pairs = tf.stack([of_images, of_copies], axis=1)
    normal = tf.map_fn(draw, pairs, fn_output_signature=tf.TensorSpec(shape, tf.float32))
    normal = tf.reshape(normal, tf.concat([[-1, count], shape], 0))
    extent = tf.reduce_max(images, axis=(1, 2, 3)) - tf.reduce_min(images, axis=(1, 2, 3))
    return normal * noise * extent[:, None, None, None, None]


def gradcam(layered, images, labels=None):
    """Grad-CAM (Selvaraju et al. 2017): ReLU of a layer's channels weighted by mean gradients.

    `layered` is from `layer_network`; that work takes the last convolution, the default there.
    Images and labels are as for `input_gradient`: [B, h, w] float32 >= 0, at the layer's size.
    """
    images = tf.cast(images, tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)  # so that the tape sees the layer's output
        volume, outputs = layered(images, training=False)
        score = _score(outputs, labels)
    gradients = _not_none(tape.gradient(score, volume), "the layer")
    weights = tf.reduce_mean(tf.cast(gradients, tf.float32), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * tf.cast(volume, tf.float32), axis=-1))


def attention_volumes(outputs):
    """The attention of one of our networks, {layer: [B, h, w, C]}.

    ValueError: what the network returned has none with an extent in space.
    """
    volumes = outputs.get("attention", {}) if isinstance(outputs, dict) else {}
    volumes = {name: volume for name, volume in volumes.items() if network_parts.has_map(volume)}
    if not volumes:
        raise ValueError(
            "The network returns no attention map (only those of gala_tf with GALA do). Use "
            "gradient, smoothgrad, gradcam, or activity:LAYER."
        )
    return volumes


def parse_kind(text):
    """ "gradcam:conv5" -> ("gradcam", "conv5"); (kind, None) without a layer.

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
        network: see above; its softmax is not removed here (`network_parts.logit_network`).
        maps: as `parse_kind` takes it.
        reduction: of gradients over channels, as for `saliency`.
        target: whose score is explained, the "true" class's or the "predicted" one's.
        smoothgrad_arguments: `seed`, `samples`, `noise`, `at_once`, as for `smoothgrad`.

    Returns explain(images [B, H, W, C], labels [B], image_index [B]) -> (scores [B, K] float32,
    {name: map [B, h, w] float32}); `smoothgrad`'s noise alone depends on `image_index`. ValueError:
    an unknown choice or layer, or a network that has no such map.
    """
    kind, layer = parse_kind(maps)
    if target not in ("true", "predicted"):
        raise ValueError(f"target must be true or predicted; received {target!r}.")
    # Refused before the work, and not from inside a graph.
    saliency(tf.zeros([1, 1, 1, 1]), reduction)
    check_smoothgrad(**smoothgrad_arguments)
    if kind == "attention":
        attention_volumes(getattr(network, "output", None))
    layered = None
    if kind in ("activity", "gradcam"):
        layered, layer = network_parts.layer_network(network, layer)
    name = kind if layer is None else f"{kind}:{layer}"

    def one_map(images, labels, image_index):
        if kind == "activity":
            return losses.column_norm(layered(images, training=False)[0])[..., 0]
        if kind == "gradcam":
            return gradcam(layered, images, labels)
        if kind == "gradient":
            return saliency(input_gradient(network, images, labels), reduction)
        named = {"image_index": image_index, **smoothgrad_arguments}
        return saliency(smoothgrad(network, images, labels, **named), reduction)

    # The last batch of a split is shorter than the others: one graph does for all.
    @tf.function(reduce_retracing=True)
    def explain(images, labels, image_index):
        outputs = network(images, training=False)
        labels = labels if target == "true" else None
        if kind == "attention":
            volumes = attention_volumes(outputs).items()
            maps = {layer: losses.column_norm(volume)[..., 0] for layer, volume in volumes}
        else:
            maps = {name: one_map(images, labels, image_index)}
        return network_parts.class_scores(outputs), maps

    return explain


def _score(outputs, labels):
    """[B]: the score of each image's class; of the best one where `labels` is None."""
    scores = network_parts.class_scores(outputs)
    if labels is None:
        labels = tf.argmax(scores, axis=1)
    return tf.gather(scores, tf.cast(labels, tf.int32), batch_dims=1)


def _not_none(gradients, where):
    if gradients is None:
        raise ValueError(f"The class score does not depend on {where} in a differentiable way.")
    return gradients
