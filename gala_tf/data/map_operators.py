"""Operators on click maps as TensorFlow's: crop, flip, resize, blur, and the box control.

From 256x256 counts to a 14x14 target the two products of `clickmaps` are about a million
multiply-adds. They run on any device (TensorFlow's antialiased and bicubic resizes have no TPU
kernel), and for a box blur and an `area` resize by a whole factor every number on the way is an
integer: maps keep their exact ties, on which a rank correlation depends.

Dimension letters: H W the stored map, h w the target, K the size of a blur; H comes before W.
"""

import numpy as np
import tensorflow as tf

from gala_tf.data.clickmaps import blur_taps, disc_half_widths


def _triangle(x):
    return tf.maximum(1.0 - tf.abs(x), 0.0)


def _keys_cubic(x):
    """Keys' cubic convolution kernel with a = -1/2, as in TensorFlow's and Pillow's bicubic."""
    # 1.5 |x|^3 - 2.5 |x|^2 + 1 below 1 and -0.5 |x|^3 + 2.5 |x|^2 - 4 |x| + 2 from 1 to 2, by the
    # distances to 2 and to 1, which are 0 beyond: cheaper than to choose among the pieces.
    x = tf.abs(x)
    to_2, to_1 = tf.maximum(2.0 - x, 0.0), tf.maximum(1.0 - x, 0.0)
    return 0.5 * to_2 * to_2 * (to_2 - 1.0) + to_1 * to_1 * (1.0 - 2.0 * to_1)


KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def alignment_shift(alignment, size, image_size):
    """By how much of a cell the cells of a layer's map are to look up and left, 0 to 0.5.

    Every stride of the networks is padded symmetrically, so cell i of a layer of stride s looks at
    the centre of pixel s i, (s - 1) / 2 pixels before the middle of its s pixels.

    Args:
        alignment: "grid", the map's cells lie over the image as the layer's do; or
            "receptive_field", they lie where the layer's cells look.
        size: cells of the layer along a side.
        image_size: pixels of the network's input along a side.

    ValueError: an unknown alignment.
    """
    shifts = {"grid": 0.0, "receptive_field": (1 - size / image_size) / 2}
    if alignment not in shifts:
        raise ValueError(
            f"The alignment of maps must be one of {', '.join(shifts)}; received {alignment!r}."
        )
    return shifts[alignment]


def resample_matrix(
    in_size, out_size, start, extent, method, flip=False, dtype="float32", shift=0.0
):
    """One axis of crop, flip and resize, as a matrix [out_size, in_size].

    Pixel i covers [i, i + 1), its centre is i + 0.5. The window [start, start + extent) is cut
    into `out_size` equal cells, one for each row of the matrix.

    * bilinear, bicubic: a kernel at the cell's centre, widened to the cell where a cell is wider
      than a pixel (antialiasing). Rows sum to 1: a tap outside the stored map is left out and
      the others share its weight. Pixels outside the window but inside the map do count.
    * area: the overlap of cell and pixel, not normalised. With whole `start` and whole
      `extent / out_size` the weights are 0 and 1, and sums of integer counts stay integers.

    Args:
        in_size: pixels of the stored map along this axis, int or scalar int tensor.
        out_size: pixels of the target, int.
        start, extent: the window in pixels of the stored map, numbers or scalar tensors, not
            necessarily whole; or tensors [B] for as many matrices, [B, out_size, in_size].
        method: "bilinear", "bicubic" or "area".
        flip: bool, or bool tensor of the shape of `start`; True reverses the rows, which mirrors
            the target.
        dtype: of the result: "float64" where sums above 2^24 must stay exact.
        shift: in cells, by which all cells look towards the target's first one: up and left, also
            where the target is mirrored.

    ValueError: an unknown method.
    """
    if method not in (*KERNELS, "area"):
        raise ValueError(
            f"The resize of a map must be one of {sorted([*KERNELS, 'area'])}; received {method!r}."
        )
    start, extent = tf.cast(start, dtype), tf.cast(extent, dtype)
    scale = extent / out_size  # stored pixels per target pixel
    cells = tf.range(out_size, dtype=dtype) - shift  # [out]
    cells = tf.where(tf.convert_to_tensor(flip)[..., None], out_size - 1 - cells, cells)
    pixels = tf.cast(tf.range(in_size), dtype)  # [in]
    lower = (start[..., None] + cells * scale[..., None])[..., None]  # [out, 1]
    scale = scale[..., None, None]
    if method == "area":
        overlap = tf.minimum(lower + scale, pixels + 1) - tf.maximum(lower, pixels)
        return tf.maximum(overlap, 0)  # [out, in]
    distance = (pixels + 0.5) - (lower + 0.5 * scale)  # [out, in]
    weights = KERNELS[method](distance / tf.maximum(scale, 1))
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def blur_operator(matrix, blur):
    """matrix [out, in] @ blur_matrix(in, blur): [out, in], for an `in` known only at run time.

    The few rows of the matrix are convolved instead of the map: out * in * K multiply-adds.
    ValueError: a disc, which is no product of two axes.
    """
    if blur.kind == "none":
        return matrix
    taps = tf.constant(blur_taps(blur), matrix.dtype)
    return tf.nn.conv1d(matrix[:, :, None], taps[:, None, None], stride=1, padding="SAME")[:, :, 0]


def blur_disc(counts, blur):
    """The disc blur of a float map [H, W], zeros outside: [H, W]; exact while the dtype is."""
    half_widths = np.array(disc_half_widths(blur.size))[:, None]  # [K, 1]
    disc = np.abs(np.arange(blur.size) - blur.size // 2) <= half_widths  # [K, K]
    kernel = tf.constant(disc[:, :, None, None], counts.dtype)  # [K, K, 1, 1]
    return tf.nn.conv2d(counts[None, :, :, None], kernel, strides=1, padding="SAME")[0, :, :, 0]


def box_map(box, height, width, dtype="float32"):
    """The bounding-box control: 1 inside a rectangle, 0 outside, [H, W]; to be blurred like counts.

    Args:
        box: (ymin, xmin, ymax, xmax), fractions of height and width as from `extent_box`. Edges
            are rounded to whole pixels, which undoes the rounding of float32 fractions.
        height, width: of the map in pixels, ints or scalar int tensors.
    """

    def profile(lower, upper, size):  # [size] of 0 and 1
        edges = tf.round(tf.cast([lower, upper], "float64") * tf.cast(size, "float64"))
        pixels = tf.cast(tf.range(size), "float64")
        return tf.cast((pixels >= edges[0]) & (pixels < edges[1]), dtype)

    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(box))
    return profile(ymin, ymax, height)[:, None] * profile(xmin, xmax, width)[None, :]
