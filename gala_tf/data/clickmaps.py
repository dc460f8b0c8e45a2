"""Linear operators on click maps: blur, crop, flip, resize, bounding box.

Everything a map goes through on its way from counts to a training target is linear, and all of it
except the disc blur is separable. So each axis is one small matrix, and a map is two products away:

    target [h, w] = rows [h, H] @ counts [H, W] @ columns [w, W]^T
    rows, columns = resample_matrix(...) @ blur_matrix(...)

From 256x256 counts to a 14x14 target that is about a million multiply-adds. It runs on any device
(TensorFlow's antialiased and bicubic resizes have no TPU kernel), and for a box blur and an `area`
resize by a whole factor every number on the way is an integer: maps keep their exact ties, on
which a rank correlation depends.

Dimension letters: H W the stored map, h w the target, K the size of a blur; H comes before W.
TensorFlow is imported by the functions that use it: preparing data needs only the NumPy half.
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage
from scipy.linalg import toeplitz

_FORMS = "box:K, gaussian:K,SIGMA, disc:K or none (K odd, in pixels of the stored map)"


@dataclasses.dataclass(frozen=True)
class Blur:
    """A blur of a count map; side or diameter `size` and deviation `sigma` in stored pixels."""

    kind: str
    size: int = 1
    sigma: float = 0.0

    def __str__(self):
        """The text from which `parse_blur` makes an equal blur."""
        if self.kind == "none":
            return "none"
        return f"{self.kind}:{self.size}" + (f",{self.sigma}" if self.kind == "gaussian" else "")


NO_BLUR = Blur("none")


def parse_blur(text):
    """Reads "box:49", "gaussian:49,28", "disc:21" or "none".

    The paper blurs maps with "a 49x49 kernel" and gives no sigma; the kernel its authors released
    is flat within 0.65 %. Hence box:49 where the paper is followed. ValueError: another form, a
    size that is not odd and positive, a sigma that is not positive.
    """
    kind, _, numbers = text.partition(":")
    try:
        if kind == "gaussian":
            size, sigma = numbers.split(",")
            blur = Blur(kind, int(size), float(sigma))
            well_formed = 0 < blur.sigma < math.inf
        elif kind in ("box", "disc"):
            blur = Blur(kind, int(numbers))
            well_formed = True
        else:
            blur = NO_BLUR
            well_formed = text == "none"
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ValueError(f"A map blur must be {_FORMS}; received {text!r}.")
    if blur.size < 1 or blur.size % 2 == 0:
        raise ValueError(
            f"A map blur needs an odd, positive size, so that it has a centre; received {text!r}. "
            f"Use {_FORMS}."
        )
    return blur


def blur_taps(blur):
    """The weights of a separable blur along one axis, float64 [K]: box ones, gaussian of sum 1.

    ValueError: a disc, which is no product of two axes.
    """
    if blur.kind == "disc":
        raise ValueError(
            f"{blur} is not separable, so it has no taps along one axis; "
            "blur the map itself with blur_counts or blur_disc."
        )
    if blur.kind != "gaussian":
        return np.ones(blur.size)
    offsets = np.arange(blur.size) - blur.size // 2
    taps = np.exp(-0.5 * (offsets / blur.sigma) ** 2)
    return taps / taps.sum()


def blur_matrix(size, blur):
    """The blur along an axis of `size` pixels, zeros outside: float64 [size, size].

    ValueError: a disc, which is no product of two axes.
    """
    half = blur_taps(blur)[blur.size // 2 :]  # from the centre outwards
    return toeplitz(np.pad(half, (0, max(0, size - len(half))))[:size])


def _disc_half_widths(size):
    """Half the width of each of the K rows of a disc: centres at most K // 2 from its centre."""
    radius = size // 2
    return [math.isqrt(radius**2 - dy**2) for dy in range(-radius, radius + 1)]


def _window_sums(counts, size, axis):
    """Sums of `size` neighbours (odd), zeros outside; exact: differences of int64 running sums."""
    length = counts.shape[axis]
    nothing = np.zeros_like(counts.take([0], axis))
    sums = np.concatenate([nothing, counts.cumsum(axis)], axis)  # [..., length + 1]: of the first n
    centres = np.arange(length)
    upto = sums.take(np.minimum(centres + size // 2 + 1, length), axis)
    before = sums.take(np.maximum(centres - size // 2, 0), axis)
    return upto - before


def blur_counts(counts, blur):
    """The exact blur of count maps, with zeros outside the image.

    Args:
        counts: integers or booleans [..., H, W].
        blur: a `Blur`.

    Returns [..., H, W]: int64 window sums for box and disc, the counts for none; float64 weighted
    means for gaussian. ValueError: counts that are not integers, whose sums would not be exact.
    """
    counts = np.asarray(counts)
    if counts.dtype.kind not in "iub" or counts.ndim < 2:
        raise ValueError(
            f"Count maps must be integers [..., H, W]; received {counts.dtype} "
            f"{list(counts.shape)}. Scale and round the maps to integers first."
        )
    counts = counts.astype(np.int64)
    if blur.kind == "none":
        return counts
    if blur.kind == "box":
        return _window_sums(_window_sums(counts, blur.size, -2), blur.size, -1)
    if blur.kind == "gaussian":
        rows = ndimage.convolve1d(counts * 1.0, blur_taps(blur), axis=-2, mode="constant")
        return ndimage.convolve1d(rows, blur_taps(blur), axis=-1, mode="constant")
    # A disc is a stack of row runs: running sums cost K additions a pixel, a convolution K^2.
    radius, height = blur.size // 2, counts.shape[-2]
    padded = np.pad(counts, [(0, 0)] * (counts.ndim - 2) + [(radius, radius), (0, 0)])
    return sum(
        _window_sums(padded[..., row : row + height, :], 2 * half + 1, -1)
        for row, half in enumerate(_disc_half_widths(blur.size))
    )


def extent_box(counts):
    """The smallest rectangle that covers all counts > 0 of a map [H, W].

    Returns (ymin, xmin, ymax, xmax) in fractions of H and W, the maxima being the outer edges of
    the last pixels, so that a full map gives (0, 0, 1, 1); None for an empty map.
    """
    positive = np.asarray(counts) > 0
    height, width = positive.shape
    rows, columns = np.flatnonzero(positive.any(1)), np.flatnonzero(positive.any(0))
    if not rows.size:
        return None
    edges = rows[0] / height, columns[0] / width, (rows[-1] + 1) / height, (columns[-1] + 1) / width
    return tuple(map(float, edges))


def _triangle(x):
    import tensorflow as tf

    return tf.maximum(1.0 - tf.abs(x), 0.0)


def _keys_cubic(x):
    """Keys' cubic convolution kernel with a = -1/2, as in TensorFlow's and Pillow's bicubic."""
    import tensorflow as tf

    # 1.5 |x|^3 - 2.5 |x|^2 + 1 below 1 and -0.5 |x|^3 + 2.5 |x|^2 - 4 |x| + 2 from 1 to 2, by the
    # distances to 2 and to 1, which are 0 beyond: cheaper than to choose among the pieces.
    x = tf.abs(x)
    to_2, to_1 = tf.maximum(2.0 - x, 0.0), tf.maximum(1.0 - x, 0.0)
    return 0.5 * to_2 * to_2 * (to_2 - 1.0) + to_1 * to_1 * (1.0 - 2.0 * to_1)


KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def resample_matrix(in_size, out_size, start, extent, method, flip=False, dtype="float32"):
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

    ValueError: an unknown method.
    """
    import tensorflow as tf

    if method not in (*KERNELS, "area"):
        raise ValueError(
            f"The resize of a map must be one of {sorted([*KERNELS, 'area'])}; received {method!r}."
        )
    start, extent = tf.cast(start, dtype), tf.cast(extent, dtype)
    scale = extent / out_size  # stored pixels per target pixel
    cells = tf.range(out_size, dtype=dtype)  # [out]
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


def resize_maps(maps, size, method):
    """Whole square maps, [B, h, h, 1] -> [B, size, size, 1], on the device; static shapes.

    Two products a map, which a TPU can do: it has neither a bicubic nor an antialiased resize.

    Args:
        maps: float32, >= 0; so is the result, although bicubic kernels undershoot.
        size: pixels.
        method: "bilinear", "bicubic" or "area", as in `resample_matrix`.
    """
    import tensorflow as tf

    current = maps.shape[1]
    if current == size:
        return maps
    matrix = resample_matrix(current, size, 0, current, method)  # [size, h]
    resized = tf.einsum("yh,bhwc,xw->byxc", matrix, maps, matrix)  # [B, size, size, 1]
    return tf.maximum(resized, 0.0)


def blur_operator(matrix, blur):
    """matrix [out, in] @ blur_matrix(in, blur): [out, in], for an `in` known only at run time.

    The few rows of the matrix are convolved instead of the map: out * in * K multiply-adds.
    ValueError: a disc, which is no product of two axes.
    """
    import tensorflow as tf

    if blur.kind == "none":
        return matrix
    taps = tf.constant(blur_taps(blur), matrix.dtype)
    return tf.nn.conv1d(matrix[:, :, None], taps[:, None, None], stride=1, padding="SAME")[:, :, 0]


def blur_disc(counts, blur):
    """The disc blur of a float map [H, W], zeros outside: [H, W]; exact while the dtype is."""
    import tensorflow as tf

    half_widths = np.array(_disc_half_widths(blur.size))[:, None]  # [K, 1]
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
    import tensorflow as tf

    def profile(lower, upper, size):  # [size] of 0 and 1
        edges = tf.round(tf.cast([lower, upper], "float64") * tf.cast(size, "float64"))
        pixels = tf.cast(tf.range(size), "float64")
        return tf.cast((pixels >= edges[0]) & (pixels < edges[1]), dtype)

    ymin, xmin, ymax, xmax = tf.unstack(tf.convert_to_tensor(box))
    return profile(ymin, ymax, height)[:, None] * profile(xmin, xmax, width)[None, :]
