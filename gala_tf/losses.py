"""The objective, Eq. 1: cross-entropy plus lambda times the click-map loss; and L2.

Pure functions of tensors. Each returns a value per image, [B]: the caller divides the sum over the
images it sees by the size of the *global* batch, so that the result does not depend on how images
fall on replicas, and images without a map count 0.

    B batch, H W space, C channels, K classes
"""

import keras
from keras import ops

# Inside every square root: its gradient at 0 would be infinite. Small beside any real map: the
# squared norm of a one-pixel map is 1, that of a typical attention column about 100.
EPSILON = 1e-12


def cross_entropy(logits, labels, label_smoothing=0.0):
    """L_C of Eq. 1. Logits [B, K] and 0-based labels [B] -> nats [B] >= 0, float32."""
    logits = ops.cast(logits, "float32")
    classes = logits.shape[-1]
    # Not ops.one_hot: it compares 64-bit integers, which TPUs compute as pairs.
    is_class = ops.equal(ops.cast(labels, "int32")[:, None], ops.arange(classes, dtype="int32"))
    targets = ops.cast(is_class, "float32")  # [B, K]
    targets = targets * (1.0 - label_smoothing) + label_smoothing / classes
    return keras.losses.categorical_crossentropy(targets, logits, from_logits=True)


def column_norm(volume):
    """The L2 norm of every column: [B, H, W, C] -> [B, H, W, 1], float32 (section 4).

    This "reduced attention map" is what click maps supervise and what figures show.
    """
    _check_channels_last()
    volume = ops.cast(volume, "float32")
    return ops.sqrt(ops.sum(ops.square(volume), axis=-1, keepdims=True) + EPSILON)


def unit_norm(maps):
    """Maps divided by their L2 norms over space, [B, H, W, 1]; an all-zero map stays zero."""
    maps = ops.cast(maps, "float32")
    # Scaled to a maximum of 1 first, so that EPSILON means the same for maps of any scale.
    peak = ops.max(ops.abs(maps), axis=(1, 2, 3), keepdims=True)  # [B, 1, 1, 1]
    maps = maps / ops.stop_gradient(ops.where(peak > 0.0, peak, 1.0))
    norm = ops.sqrt(ops.sum(ops.square(maps), axis=(1, 2, 3), keepdims=True) + EPSILON)
    return maps / norm


def clickmap_loss(volume, clickmap, has_clickmap):
    """One layer's term of Eq. 1: || R / ||R|| - A / ||A|| ||, the unsquared L2 distance.

    A is `volume` with its columns reduced to their L2 norms. Both maps are scaled to unit norm, so
    the loss depends on neither's scale and lies in [0, sqrt 2].

    Args:
        volume: an attention volume, or in the paper's control an activity volume, [B, H, W, C];
            any float dtype, the loss is computed in float32.
        clickmap: R, [B, H, W, 1], >= 0, at the volume's H and W.
        has_clickmap: [B], 1 where the image has a map; images with 0, and images whose map is
            empty or not finite, have loss 0 and gradient 0.

    Returns:
        [B] float32.

    Raises:
        ValueError: `clickmap` is of another height or width than `volume`, or not of one channel;
            or Keras is set to channels first.
    """
    _check_channels_last()
    if clickmap.shape[-1] != 1:
        raise ValueError(
            "A click map is [batch, height, width, 1], channels last, and so is the volume it "
            f"supervises, [batch, height, width, channels]. Received: clickmap "
            f"{tuple(clickmap.shape)}, volume {tuple(volume.shape)}."
        )
    if tuple(volume.shape[1:3]) != tuple(clickmap.shape[1:3]):
        raise ValueError(
            "A click map must have the height and width of the volume it supervises "
            f"(resize it with map_operators.resize_maps). Received: clickmap "
            f"{tuple(clickmap.shape)}, volume {tuple(volume.shape)}."
        )
    clickmap = ops.cast(clickmap, "float32")
    finite = ops.all(ops.isfinite(clickmap), axis=(1, 2, 3))  # [B]
    clickmap = ops.where(finite[:, None, None, None], clickmap, 0.0)  # NaN x 0 would still be NaN
    counts = ops.logical_and(ops.any(clickmap > 0.0, axis=(1, 2, 3)), has_clickmap > 0.0)

    difference = unit_norm(clickmap) - unit_norm(column_norm(volume))  # [B, H, W, 1]
    squared = ops.sum(ops.square(difference), axis=(1, 2, 3))  # [B]
    distance = ops.sqrt(squared + EPSILON) - EPSILON**0.5  # exactly 0 for identical maps
    return ops.where(counts, distance, 0.0)


def _check_channels_last():
    """As `layers.squeeze_excite.check_channels_last`: axes cannot be told from a shape."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Keras is set to image_data_format 'channels_first', and gala_tf's losses are "
            "channels_last, [batch, height, width, channels]. Call "
            "keras.config.set_image_data_format('channels_last'), or change image_data_format in "
            "~/.keras/keras.json; bring tensors to that order with keras.ops.moveaxis(x, 1, -1)."
        )


def l2_loss(kernels):
    """Half the sum of squares of `kernels`, a scalar, float32; times the weight decay it is L2."""
    return sum(half_square_sum(ops.cast(kernel, "float32")) for kernel in kernels)


def half_square_sum(tensor):
    """Half the sum of squares of a float32 tensor, a scalar.

    By one kernel where the backend has it: the squares are never stored, and the gradient is the
    tensor times a scalar.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # only this backend reaches here

        return tf.nn.l2_loss(tensor)
    return 0.5 * ops.sum(ops.square(tensor))
