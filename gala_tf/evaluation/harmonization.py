"""Map agreement as Fel et al. 2022 (Harmonization) report it: Spearman at 224x224, Dice and IoU.

That work follows the paper's question with another measure: whole images, a human map that goes
through 64x64 pixels and a small Gaussian, and a ceiling whose computation is not published. Numbers
of the two conventions are not comparable, so each carries its name. NumPy, on the host.

Dimension letters: N images, H W the grid of a map, M = H * W.
"""

import numpy as np

from gala_tf import metrics
from gala_tf.data import map_operators

# The human ceiling by which that work divides its Spearman: the constant of its first public
# version; the released package 0.0.9 rounds it to 0.65753.
HARMONIZATION_CEILING = 0.6575315343478081
HARMONIZATION_ESTIMATOR = "constant of Fel et al. 2022 for ClickMe, 224x224; estimator unpublished"

STORED_SIDE = 256  # of its images and maps
BLURRED_SIDE = 64  # where its maps are blurred
COMPARED_SIDE = 224  # where they are compared
BLUR_SIZE, BLUR_SIGMA = 10, 10.0  # pixels of the 64x64 map


def dice_top(a, b, percent=10):
    """Dice coefficient of the top pixels of two maps: 2 |A and B| / (|A| + |B|).

    The top is what lies strictly above the (100 - percent)th percentile of its own map, linearly
    interpolated, in float32. So pixels that tie with the threshold all stay out, and where more
    than `percent` of a map share its maximum, its top is empty. Two empty tops score 0.

    Of maps [N, H, W]: [N] float64 in 0..1; NaN for a map that holds a NaN (Fel et al.: 0).
    ValueError: shapes that differ.
    """
    both, either, undefined = _overlap(a, b, percent)
    # |A| + |B| = |A and B| + |A or B|
    return np.where(undefined, np.nan, 2 * both / np.maximum(both + either, 1))


def iou_top(a, b, percent=10):
    """Intersection over union of the top pixels of two maps; all else as `dice_top`."""
    both, either, undefined = _overlap(a, b, percent)
    return np.where(undefined, np.nan, both / np.maximum(either, 1))


def _overlap(a, b, percent):
    """Pixels in both tops and in either, [N] each, and whether a map holds a NaN, [N]."""
    a, b = (np.asarray(maps, np.float32) for maps in (a, b))
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(
            f"Maps must share a shape [N, H, W]; received {list(a.shape)} and {list(b.shape)}. "
            "Resize both to one grid."
        )
    tops = []
    for maps in (_flat(a), _flat(b)):  # [N, M]
        threshold = np.percentile(maps, 100 - percent, axis=1, keepdims=True)  # [N, 1]
        tops.append(maps > threshold)
    undefined = np.isnan(a).any((1, 2)) | np.isnan(b).any((1, 2))
    return (tops[0] & tops[1]).sum(1), (tops[0] | tops[1]).sum(1), undefined


def harmonization_agreement(model_maps, human_maps):
    """That work's three scores of each image: {"spearman", "dice", "iou"}, [N] each.

    Maps are [N, 224, 224], people's from `harmonization_maps`; a Spearman is NaN where one is
    constant.
    """
    flat = [_flat(np.asarray(maps, np.float32)) for maps in (model_maps, human_maps)]
    return {
        "spearman": metrics.spearman(*flat),
        "dice": dice_top(model_maps, human_maps),
        "iou": iou_top(model_maps, human_maps),
    }


def _flat(maps):
    """[N, H, W] -> [N, M], N = 0 too."""
    return maps.reshape(len(maps), maps.shape[1] * maps.shape[2])


def harmonization_maps(counts):
    """Human maps as that work prepares them: [N, 256, 256] -> float32 [N, 224, 224].

    To 64x64 (bilinear without antialiasing: the mean of the inner 2x2 of every 4x4 pixels, the rest
    is not seen); blurred there by 10x10 taps of a Gaussian with sigma 10 pixels, zeros outside;
    then to 224x224 (bilinear). An even kernel has no centre: along a row its taps reach from 5
    pixels on one side of their peak to 4 on the other, along a column from 4 to 5, so that maps
    shift. All of it is linear and separable: one matrix an axis, in float64. ValueError: another
    size.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 3 or counts.shape[1:] != (STORED_SIDE, STORED_SIDE):
        raise ValueError(
            f"Human maps must be [N, {STORED_SIDE}, {STORED_SIDE}] counts; received "
            f"{list(counts.shape)}."
        )
    down = _bilinear(STORED_SIDE, BLURRED_SIDE)
    up = _bilinear(BLURRED_SIDE, COMPARED_SIDE)
    vertical, horizontal = (up @ _blur_matrix(peak) @ down for peak in (4, 5))  # [224, 256]
    return (vertical @ counts @ horizontal.T).astype(np.float32)


def enlarge(maps):
    """Model maps [N, h, w], h = w, at the size of comparison, float32 [N, 224, 224]: bicubic.

    As Xplique, which that work uses, enlarges a grad-CAM; it leaves 224x224 maps as they are.
    """
    side = maps.shape[1]
    if side == COMPARED_SIDE:
        return np.asarray(maps, np.float32)
    matrix = map_operators.resample_matrix(side, COMPARED_SIDE, 0, side, "bicubic").numpy()
    return matrix @ np.asarray(maps, np.float32) @ matrix.T


def _bilinear(in_size, out_size):
    """Bilinear resampling of one axis between pixel centres, no antialiasing: [out, in]."""
    centres = (np.arange(out_size) + 0.5) * in_size / out_size - 0.5
    centres = np.clip(centres, 0, in_size - 1)  # beyond the outermost centres: the edge pixel
    return np.maximum(1 - np.abs(centres[:, None] - np.arange(in_size)), 0)


def _blur_matrix(peak):
    """One axis of the blur, [64, 64]: 10 taps, of which number `peak` is the largest."""
    taps = np.exp(-0.5 * ((np.arange(BLUR_SIZE) - peak) / BLUR_SIGMA) ** 2)
    taps /= taps.sum()
    # TensorFlow's SAME puts (size - 1) // 2 of the taps before the pixel; convolutions there are
    # correlations.
    places = np.arange(BLURRED_SIDE)
    tap = places[None, :] - places[:, None] + (BLUR_SIZE - 1) // 2  # [out, in]
    return np.where((tap >= 0) & (tap < BLUR_SIZE), taps[np.clip(tap, 0, BLUR_SIZE - 1)], 0.0)
