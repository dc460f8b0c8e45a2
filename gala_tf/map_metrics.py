"""Scores of attention against human maps, as Keras metrics: `gala_tf.metrics` exports them.

On any backend, inside a compiled step, with the numbers that `metrics.spearman` and Harmonization's
protocol give on the host.

    B batch, H W the grid of the attention, C channels, h w that of a human map, M = H * W
"""

import math

import keras
from keras import ops

from gala_tf import losses


class _MeanOverImages(keras.metrics.Metric):
    """The mean of a score over the images that have one; NaN over none."""

    def __init__(self, name, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.images = self.add_weight(name="images", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: human maps [B, h, w, 1] and attention [B, H, W, C]; weights [B]."""
        model = losses.column_norm(y_pred)[..., 0]  # [B, H, W]
        human = losses.resize_maps(ops.cast(y_true, "float32"), y_pred.shape[1:3], "area")[..., 0]
        rows = [ops.reshape(maps, (-1, maps.shape[1] * maps.shape[2])) for maps in (model, human)]
        score, defined = self.score(*rows)  # [B], [B] bool
        weight = ops.cast(ops.logical_and(defined, ops.any(rows[1] > 0, axis=1)), "float32")
        if sample_weight is not None:
            weight *= ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        self.total.assign_add(ops.sum(ops.where(weight > 0, score, 0.0) * weight))
        self.images.assign_add(ops.sum(weight))

    def result(self):
        """The mean so far."""
        return ops.divide(self.total, self.images)

    def score(self, model, human):
        raise NotImplementedError


@keras.saving.register_keras_serializable("gala_tf")
class MapAgreement(_MeanOverImages):
    """Mean Spearman correlation of attention with human maps, ties exact.

    `metrics.map_agreement` of the same maps, on the attention's own grid: columns are reduced to
    their L2 norms, human maps summed over cells. Images whose human map is empty, or either map
    constant or not finite, do not count; a sample weight of 0 leaves an image out, too.

    Exact but for a last rounding up to M = 369, a grid of 19 x 19. All pairs of places are
    compared: memory grows with B * M^2, so attention of the image's own size is too fine for it.
    """

    def __init__(self, name="map_agreement", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def score(self, model, human):
        a, b = _centred_ranks(model), _centred_ranks(human)
        finite = ops.all(ops.isfinite(model) & ops.isfinite(human), axis=1)
        variances = ops.sum(a * a, axis=1) * ops.sum(b * b, axis=1)
        defined = ops.logical_and(finite, variances > 0)
        return ops.sum(a * b, axis=1) / ops.sqrt(ops.where(defined, variances, 1.0)), defined


def _centred_ranks(rows):
    """Average ranks less their mean, [B, M]: ((how many below) - (how many above)) / 2."""
    below = ops.cast(rows[:, None, :] < rows[:, :, None], "float32")
    above = ops.cast(rows[:, None, :] > rows[:, :, None], "float32")
    return (ops.sum(below, axis=2) - ops.sum(above, axis=2)) / 2.0


@keras.saving.register_keras_serializable("gala_tf")
class TopOverlap(_MeanOverImages):
    """Mean overlap of the top of attention and human maps, as Fel et al. 2022 define it.

    The top lies strictly above the (100 - percent)th percentile of its own map, linearly
    interpolated; two empty tops score 0.

    Args:
        kind: "dice", 2 |A and B| / (|A| + |B|), or "iou", |A and B| / |A or B|.
        percent: size of the top, in (0, 100).
        name: by default `dice_top_10` and the like.

    ValueError: another kind, or a percentage out of its range.
    """

    def __init__(self, kind="dice", percent=10, name=None, dtype=None):
        if kind not in ("dice", "iou") or not 0 < percent < 100:
            raise ValueError(
                "TopOverlap: kind must be 'dice' or 'iou', and percent between 0 and 100. "
                f"Received: {kind!r}, {percent!r}."
            )
        super().__init__(name=name or f"{kind}_top_{percent:g}", dtype=dtype)
        self.kind, self.percent = kind, percent

    def score(self, model, human):
        a, b = (_top(rows, self.percent) for rows in (model, human))
        both = ops.sum(ops.cast(a & b, "float32"), axis=1)
        either = ops.sum(ops.cast(a | b, "float32"), axis=1)
        defined = ops.all(ops.isfinite(model) & ops.isfinite(human), axis=1)
        if self.kind == "iou":
            return both / ops.maximum(either, 1.0), defined
        return 2.0 * both / ops.maximum(both + either, 1.0), defined

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "percent": self.percent}


def _top(rows, percent):
    """Which places lie above the percentile, [B, M] bool; interpolated as NumPy does."""
    ordered = ops.sort(rows, axis=1)
    position = (rows.shape[1] - 1) * (100 - percent) / 100
    low = math.floor(position)
    part, last = position - low, rows.shape[1] - 1
    below, above = ordered[:, low], ordered[:, min(low + 1, last)]
    step = above - below
    threshold = below + step * part if part < 0.5 else above - step * (1.0 - part)
    return rows > threshold[:, None]
