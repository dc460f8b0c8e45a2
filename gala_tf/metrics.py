"""Numbers an evaluation reports: agreement of attention with human maps, human ceiling.

NumPy in float64, on the host; `MapAgreement` and `TopOverlap` are the same numbers as metrics for
`compile` (`map_metrics`). The paper scores a model's attention by its rank correlation with
the human map, divided by the human ceiling. Ceilings from different estimators are different
quantities, so none leaves this module without its estimator's name.

Dimension letters: N images, P participants, h w the grid of a map, M = h * w.
"""

import dataclasses

import numpy as np

# Linsley et al. 2019, appendix, "Inter-rater reliability of the ClickMe maps": two random
# participants of one image, maps blurred with a 49x49 kernel, mean over 10,000 images; and the
# null, two participants of two different images.
PAPER_HUMAN_CEILING = 0.58
PAPER_NULL = 0.18

FOR_COMPILE = ("MapAgreement", "TopOverlap")


def __getattr__(name):
    # Late: Keras brings a backend along, and what builds data needs the NumPy half alone.
    if name not in FOR_COMPILE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gala_tf import map_metrics

    return getattr(map_metrics, name)


BLOCK_ELEMENTS = 2**16  # of maps ranked at once: what they need stays in a core's cache


def average_ranks(x):
    """Ranks from 1 along the last axis, ties sharing their mean rank: [..., M] -> float64 [..., M].

    Rows with a NaN have no ranks and become NaN.
    """
    x = np.asarray(x)
    m = x.shape[-1]
    rows = x.reshape(x.size // m, m) if m else x.reshape(0, 1)
    # Not a stable sort: equal values share a rank whatever their order, and others are faster.
    order = np.argsort(rows, axis=-1)
    order += np.arange(0, rows.size, m or 1)[:, None]  # places in all of x, not in a row
    order = order.ravel()
    ordered = rows.ravel()[order].reshape(rows.shape)
    starts = np.ones(rows.shape, bool)  # of runs of ties: where a value differs from the last
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
    if starts.all():  # no ties, as in most maps of attention
        by_order = np.tile(np.arange(1.0, m + 1), len(rows))
    else:
        first = np.flatnonzero(starts)
        length = np.diff(first, append=rows.size)
        by_order = np.repeat(first % m + (length + 1) / 2, length)
    ranks = np.empty(rows.size)
    ranks[order] = by_order
    ranks = ranks.reshape(rows.shape)
    ranks[np.isnan(ordered[:, -1])] = np.nan  # NaN comes last in sorted order
    return ranks.reshape(x.shape)


def spearman(a, b):
    """Spearman's rank correlation of each row: [N, M], [N, M] -> [N], NaN where a row is constant.

    Exact but for the last rounding: ranks are whole or half numbers, and so float64 holds their
    products and sums exactly, up to M = 200,000. ValueError: shapes that differ.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(
            f"spearman compares two arrays [N, M] row by row; received {list(a.shape)} and "
            f"{list(b.shape)}. Flatten maps to one row each, on the same grid."
        )
    rows = max(1, BLOCK_ELEMENTS // max(1, a.shape[1]))
    correlation = np.empty(len(a))
    for start in range(0, len(a), rows):
        block = slice(start, start + rows)
        correlation[block] = _spearman_block(a[block], b[block])
    return correlation


def _spearman_block(a, b):
    varied = _varies(a)
    if varied.any():
        varied = varied & _varies(b)
    if not varied.all():  # constant rows need no ranks
        correlation = np.full(len(a), np.nan)
        if varied.any():
            correlation[varied] = _spearman_block(a[varied], b[varied])
        return correlation
    middle = (a.shape[1] + 1) / 2  # the mean of the ranks, ties or not
    a, b = average_ranks(a), average_ranks(b)
    a -= middle
    b -= middle
    variances = np.einsum("nm,nm->n", a, a) * np.einsum("nm,nm->n", b, b)
    return np.einsum("nm,nm->n", a, b) / np.sqrt(variances)


def _varies(x):
    """Which rows are not constant: [N, M] -> [N] bool. A NaN differs from itself."""
    varies = (x[:, :1] != x[:, -1:]).any(1)  # in most maps that says enough
    return varies if varies.all() else (x != x[:, :1]).any(1)


def center_prior(height, width):
    """Minus the distance to the centre of the grid, [height, width], in pixels.

    Ranks are all that Spearman sees, so this stands for every isotropic centre prior at once.
    """
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width)[None, :] - (width - 1) / 2
    return -np.sqrt(y * y + x * x)  # not hypot: squares of halves are exact, and so are ties


def human_ceiling(maps, seed):
    """The paper's inter-participant reliability, and its null.

    For each image two different participants are drawn and their maps correlated; the value is
    the mean over images. The null takes the second participant from another image.
    Linsley et al. 2019, appendix, "Inter-rater reliability of the ClickMe maps".

    Args:
        maps: a list over images of arrays [P, M], P >= 2, blurred maps on one grid.
        seed: of the draws.

    Returns:
        dict: `value`; `standard_error` of it over images; `null` (NaN for one image); `images`, of
        which the value is the mean; `undefined`, images left out because a drawn map was
        constant; `estimator`, its name.

    ValueError: no image, or an image with fewer than two participants.
    """
    counts = [len(image) for image in maps]
    if not counts or min(counts) < 2:
        raise ValueError(
            f"The human ceiling needs images with two participants or more; received {len(counts)} "
            f"images, the least with {min(counts, default=0)}. Leave the others out, or use "
            f"PAPER_HUMAN_CEILING = {PAPER_HUMAN_CEILING}."
        )
    rng = np.random.default_rng(seed)
    pairs = np.stack([image[rng.permutation(len(image))[:2]] for image in maps])  # [N, 2, M]
    within = spearman(pairs[:, 0], pairs[:, 1])  # [N]
    across = spearman(pairs[:, 0], pairs[_derangement(len(pairs), rng), 1])  # [N]
    value, standard_error, images = _mean(within)
    return {
        "value": value,
        "standard_error": standard_error,
        "null": _mean(across)[0] if len(pairs) > 1 else np.nan,
        "images": images,
        "undefined": len(within) - images,
        "estimator": "mean Spearman of two random participants per image",
    }


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Spearman correlations of model maps with human maps, means over images; NaN over none."""

    spearman: float
    standard_error: float  # of `spearman`, over images
    images: int  # that entered the means
    undefined: int  # left out: the model's or the human map is constant or holds a NaN
    shuffled: float  # baseline: the model's map against another image's human map
    center_prior: float  # baseline: distance to the centre against the human map


def map_agreement(model_maps, human_maps, seed):
    """Compares model maps with human maps, both [N, h, w], beside two baselines over equal images.

    Args:
        model_maps, human_maps: one pair an image, on the same grid.
        seed: of the derangement that gives each model map another image's human map.

    ValueError: shapes that differ.
    """
    model_maps, human_maps = np.asarray(model_maps), np.asarray(human_maps)
    if model_maps.shape != human_maps.shape or model_maps.ndim != 3:
        raise ValueError(
            f"Model and human maps must share a shape [N, h, w]; received "
            f"{list(model_maps.shape)} and {list(human_maps.shape)}. Resize both to one grid."
        )
    n, height, width = model_maps.shape
    model, human = model_maps.reshape(n, -1), human_maps.reshape(n, -1)  # [N, M]
    correlation = spearman(model, human)
    defined = ~np.isnan(correlation)
    model, human = model[defined], human[defined]  # [images, M]
    value, standard_error, images = _mean(correlation)
    other = _derangement(images, np.random.default_rng(seed))
    prior = np.broadcast_to(center_prior(height, width).ravel(), human.shape)
    return Agreement(
        spearman=value,
        standard_error=standard_error,
        images=images,
        undefined=n - images,
        shuffled=_mean(spearman(model, human[other]))[0] if images > 1 else np.nan,
        center_prior=_mean(spearman(prior, human))[0],
    )


def _derangement(n, rng):
    """A permutation of range(n), n >= 2, without fixed points: each takes its ring neighbour."""
    ring = rng.permutation(n)
    partner = np.empty(n, int)
    partner[ring] = np.roll(ring, 1)
    return partner


def _mean(values):
    """Mean, its standard error, and the number of the values that are not NaN."""
    values = values[~np.isnan(values)]
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    standard_error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return mean, standard_error, n
