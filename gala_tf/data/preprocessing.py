"""Geometry: one window and one mirror flag, for the image and for its click map alike.

A window is an int32 tensor [4] = (top, left, height, width) in pixels of the stored image; [B, 4]
are windows of as many images. It is drawn once, then `cut_image` and `cut_clickmap` apply it, so
that both show the same piece of the world. Pixels stay uint8: normalising them here, on the host,
would cost a third of the input's throughput, so the model does it. Mirroring them here would cost a
tenth, so the training step does that, with `mirror`; a map is mirrored in its cut, where it costs
nothing.

Randomness is stateless: the same seed [2] gives the same window, in any thread and after any
restart. `random_flip` draws from a stream of its own, so both may be given one seed.

Dimension letters: H W the stored image, S the side of the network's input, h the side of the map.
"""

import numpy as np
import tensorflow as tf

from gala_tf.data import clickmaps, map_operators

FLIP_STREAM = 1  # folded into the seed: else the flip would reuse the bits of the window


def _square_side(height, width, crop_fraction):
    """Side of a crop, at least one pixel, and the short side it is a fraction of: int32, int32."""
    short = tf.minimum(height, width)
    side = tf.round(tf.cast(short, tf.float32) * crop_fraction)
    return tf.maximum(tf.cast(side, tf.int32), 1), short


def paper_window(seed, height, width, crop_fraction):
    """The paper's crop: a square of fixed size at a random place.

    It lies anywhere in the central square of the short side: for 256x256 and 0.875 a 224 crop at
    offsets 0 to 32, both included.

    `height` and `width` are of one stored image, or of many, int32 [B]; `crop_fraction` is the side
    of the crop / short side of the image, in (0, 1].
    """
    side, short = _square_side(height, width, crop_fraction)
    places = tf.cast(short - side + 1, tf.float32)[..., None]
    drawn = tf.random.stateless_uniform(tf.concat([tf.shape(side), [2]], 0), seed)  # [0, 1)
    offset = tf.cast(drawn * places, tf.int32)
    corner = offset + tf.stack([height - short, width - short], -1) // 2
    return tf.concat([corner, tf.stack([side, side], -1)], axis=-1)


def inception_window(seed, height, width):
    """The inception crop: 8 to 100 % of the area, width / height in 3/4 to 4/3, any place.

    The aspect is uniform, then the height is, among those that give a legal area. Where 10 draws
    do not fit the image, the window is the whole image.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        image_size=tf.stack([height, width, 3]),
        bounding_boxes=tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed=seed,
        min_object_covered=0.0,  # the "object" is the whole image: 0.1 would forbid areas below it
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0),
        max_attempts=10,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def fixed_side(height, width, crop_fraction):
    """Side of the paper's and of the central crop of images of one size, all ints."""
    # In float32, as for windows: 0.7 * 45 is 31.5 there, and rounds to 32.
    side = np.float32(min(height, width)) * np.float32(crop_fraction)
    return max(int(np.round(side)), 1)


def center_window(height, width, crop_fraction):
    """The evaluation crop: the central square, `crop_fraction` of the short side."""
    side, _ = _square_side(height, width, crop_fraction)
    return tf.stack([(height - side) // 2, (width - side) // 2, side, side], -1)


def random_flip(seed, shape=()):
    """A bool tensor, True half of the time."""
    seed = tf.random.experimental.stateless_fold_in(seed, FLIP_STREAM)
    return tf.random.stateless_uniform(shape, seed) < 0.5


def split_seed(seed, count):
    """Seeds of their own for so many images: int64 [count, 2]."""
    return tf.random.stateless_uniform([count, 2], seed, None, None, tf.int64)


def mirror(images, mirrored):
    """The images [B, S, S, 3], left and right exchanged where `mirrored` [B] is not 0."""
    return tf.where(mirrored[:, None, None, None] > 0, tf.reverse(images, axis=[2]), images)


def cut_image(encoded, window, image_size, resize="bilinear", dct_method="INTEGER_ACCURATE"):
    """Decodes only the window of a JPEG, RGB or grey, and resizes it: uint8 [S, S, 3].

    `resize` is "bilinear" or "bicubic", antialiased, which changes nothing in a window of S x S
    pixels; None where all windows are, which is cheaper than asking each. `dct_method` is of
    TensorFlow's decoder, whose own default may differ from build to build.
    """
    image = tf.io.decode_and_crop_jpeg(encoded, window, channels=3, dct_method=dct_method)
    if resize:
        image = tf.round(_resize(image, image_size, resize))
        # Bicubic kernels overshoot 0...255.
        image = (tf.saturate_cast if resize == "bicubic" else tf.cast)(image, tf.uint8)
    return tf.ensure_shape(image, [image_size, image_size, 3])


def _resize(image, size, method):
    """`tf.image.resize` with antialiasing, bit for bit, in half the time: float32 [S, S, 3].

    TensorFlow's kernel runs along rows of pixels three numbers at a time, and down columns a whole
    row at a time. So both axes are done as columns, each with all else as one row of channels.
    """
    kernel = {"bilinear": "triangle", "bicubic": "keyscubic"}[method]

    def resize_height(pixels):  # [H, W, 3] -> [S, W, 3]
        height, width = tf.unstack(tf.shape(pixels)[:2])
        columns = tf.raw_ops.ScaleAndTranslate(
            images=tf.reshape(pixels, [1, height, 1, 3 * width]),
            size=[size, 1],
            scale=[size / tf.cast(height, tf.float32), 1.0],
            translation=[0.0, 0.0],
            kernel_type=kernel,
            antialias=True,
        )  # [1, S, 1, 3 W] float32
        return tf.reshape(columns, [size, width, 3])

    def transpose(pixels):
        return tf.transpose(pixels, [1, 0, 2])

    return transpose(resize_height(transpose(resize_height(image))))


def cut_clickmap(
    counts,
    window,
    flip,
    image_shape,
    size,
    method,
    blur=clickmaps.NO_BLUR,
    dtype="float32",
    shift=0.0,
):
    """Blurs a map, cuts the window out of it, resizes and mirrors it: float32 [h, h, 1].

    Without a blur it takes batches, too: every argument may have a leading dimension B.

    Args:
        counts: [H', W'], a grid of any size that spans the whole stored image: the count map
            itself, or a small blurred one. The window is scaled to it.
        window: int32 [4], in pixels of the stored image.
        flip: bool or scalar bool tensor.
        image_shape: (height, width) of the stored image, ints or scalar int tensors.
        size: h.
        method: "bilinear", "bicubic" (may undershoot 0) or "area", as in `resample_matrix`.
        blur: applied before the cut, in pixels of the grid.
        dtype: of the arithmetic. "float64" sums integer counts exactly up to 2^53; the final
            rounding to float32 keeps equal values equal and never swaps two.
        shift: in cells, as in `resample_matrix`.
    """
    counts = tf.cast(counts, dtype)
    if blur.kind == "disc":
        counts, blur = map_operators.blur_disc(counts, blur), clickmaps.NO_BLUR

    def operator(axis, mirrored):
        grid = tf.shape(counts)[axis - 2]
        pixels = tf.cast(image_shape[axis], dtype)
        # Multiplied before divided: exact where grid and image agree.
        start = tf.cast(window[..., axis], dtype) * tf.cast(grid, dtype) / pixels
        extent = tf.cast(window[..., 2 + axis], dtype) * tf.cast(grid, dtype) / pixels
        matrix = map_operators.resample_matrix(
            grid, size, start, extent, method, mirrored, dtype, shift
        )
        return map_operators.blur_operator(matrix, blur)

    rows = operator(axis=0, mirrored=False)  # [h, H']
    columns = operator(axis=1, mirrored=flip)  # [h, W']
    target = tf.linalg.matmul(rows @ counts, columns, transpose_b=True)  # [h, h]
    return tf.cast(target, tf.float32)[..., None]
