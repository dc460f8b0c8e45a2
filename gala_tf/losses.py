"""The objective, Eq. 1: cross-entropy plus lambda times the click-map loss; and L2.

Pure functions of tensors. Each returns a value per image, [B]: the caller divides the sum over the
images it sees by the size of the *global* batch, so that the result does not depend on how images
fall on replicas, and images without a map count 0. `ClickmapLoss` is the same for `compile`.

    B batch, H W space, C channels, K classes, h w the grid of a click map
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

    Of attention it is the paper's "reduced attention map", which figures show and scores compare.
    """
    _check_channels_last()
    volume = ops.cast(volume, "float32")
    # The gradient of this product reaches `volume` once, as half of a square's. That of ops.square
    # needs 2 A, which TensorFlow computes early, and keeps. That of volume * volume arrives twice,
    # and three gradients of one volume TensorFlow sums in an order that depends on timing.
    half = ops.sum(volume * ops.stop_gradient(volume), axis=-1, keepdims=True)
    squares = 2.0 * half - ops.stop_gradient(half)  # the same number, and all of the gradient
    return ops.sqrt(squares + EPSILON)


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
        volume: what the map supervises, [B, H, W, C]: A_l of Eq. 1, read as the module's gated
            output or as its attention; in the paper's control a ResNet's activity. Any float
            dtype, the loss is computed in float32.
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
            f"(resize it with losses.resize_maps). Received: clickmap "
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


@keras.saving.register_keras_serializable("gala_tf")
class ClickmapLoss(keras.losses.Loss):
    """Eq. 1's map loss of one volume, attention or gated output, for `compile`.

    `y_true` are click maps [B, h, w, 1], resized to the volume; `y_pred` is the volume
    [B, H, W, C]. Images without a map have sample weight 0, or a map of zeros: both count 0. With
    the default reduction they count in the mean's denominator, as in Eq. 1 over a batch.

    Args:
        resize: how maps become as coarse as the volume: "bicubic" (the paper), "bilinear" or
            "area".
        reduction, name: as in `keras.losses.Loss`. Lambda is `loss_weights` of `compile`.
    """

    def __init__(
        self, resize="bicubic", reduction="sum_over_batch_size", name="clickmap_loss", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        _check_resize(resize)
        self.resize = resize

    def call(self, y_true, y_pred):
        clickmap = resize_maps(y_true, y_pred.shape[1:3], self.resize)
        return clickmap_loss(y_pred, clickmap, 1.0)

    def get_config(self):
        return {**super().get_config(), "resize": self.resize}


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


# --------------------------------------------------------------------------- resizing maps


def _triangle(x):
    return ops.maximum(1.0 - ops.abs(x), 0.0)


def _keys_cubic(x):
    """Keys' cubic convolution kernel with a = -1/2, as in TensorFlow's and Pillow's bicubic."""
    x = ops.abs(x)
    to_2, to_1 = ops.maximum(2.0 - x, 0.0), ops.maximum(1.0 - x, 0.0)
    return 0.5 * to_2 * to_2 * (to_2 - 1.0) + to_1 * to_1 * (1.0 - 2.0 * to_1)


KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def resize_maps(maps, size, method="bicubic"):
    """Click maps at another height and width, antialiased: [B, h, w, 1] -> [B, H, W, 1].

    Two small matrix products, so that every backend and device has it. Static shapes.

    Args:
        maps: float, >= 0; so is the result, although bicubic kernels undershoot.
        size: pixels of a square, or (H, W).
        method: "bilinear", "bicubic", or "area": sums over cells, which keep ties of whole counts
            where H and W divide h and w.

    ValueError: an unknown method.
    """
    _check_resize(method)
    height, width = (size, size) if isinstance(size, int) else size
    if tuple(maps.shape[1:3]) == (height, width):
        return maps
    rows = _resize_matrix(maps.shape[1], height, method)
    columns = _resize_matrix(maps.shape[2], width, method)
    maps = ops.cast(maps, "float32")
    return ops.maximum(ops.einsum("yh,bhwc,xw->byxc", rows, maps, columns), 0.0)


def _resize_matrix(in_size, out_size, method):
    """One axis of a resize, [out, in] float32: `map_operators.resample_matrix` of a whole map."""
    scale = ops.divide(ops.cast(in_size, "float32"), out_size)
    lower = ops.arange(out_size, dtype="float32")[:, None] * scale
    pixels = ops.arange(in_size, dtype="float32")  # pixel i covers [i, i + 1)
    if method == "area":
        overlap = ops.minimum(lower + scale, pixels + 1.0) - ops.maximum(lower, pixels)
        return ops.maximum(overlap, 0.0)
    distance = (pixels + 0.5) - (lower + 0.5 * scale)
    weights = KERNELS[method](distance / ops.maximum(scale, 1.0))
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _check_resize(method):
    if method not in (*KERNELS, "area"):
        raise ValueError(
            f"The resize of a map must be one of {sorted([*KERNELS, 'area'])}; received {method!r}."
        )
