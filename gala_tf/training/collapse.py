"""Whether a layer's attention has collapsed: it then learns nothing more, and nothing else tells.

Two ways: every A is near 1 or -1, where tanh has no slope; or the map is the same everywhere.
"""

import tensorflow as tf

from gala_tf import losses

MOST_SATURATED = 0.95  # share of |A| > 0.99 from which a layer counts as collapsed
LEAST_VARIATION = 1e-3  # of the map over space, deviation / mean, below which it does
LOOKED_AT = 4  # images of a replica's batch: all of them cost 0.4 % of a step of GALA-ResNet-50


def names(network) -> tuple[str, ...]:
    """Names of what `measure` returns, in its order."""
    return tuple(
        f"{kind}/{name}"
        for name in _spatial(network.output["attention"])
        for kind in ("saturation", "variation")
        if kind == "variation" or hasattr(network.get_layer(name), "saturation")
    )


def measure(network, attention) -> list[tf.Tensor]:
    """Of a batch's volumes: each layer's share of saturated attention, and its map's variation.

    Of its first images alone; a row of the log is a mean over many batches.
    """
    found = []
    for name, volume in _spatial(attention).items():
        layer, volume = network.get_layer(name), volume[:LOOKED_AT]
        if hasattr(layer, "saturation"):
            found.append(layer.saturation(volume))
        maps = losses.column_norm(volume)
        deviation = tf.math.reduce_std(maps, axis=[1, 2, 3])
        found.append(tf.reduce_mean(deviation / tf.reduce_mean(maps, axis=[1, 2, 3])))
    return found


def _spatial(volumes):
    return {name: volume for name, volume in volumes.items() if volume.shape[1] > 1}


class Alarm:
    """Says once of each layer that its attention has collapsed."""

    def __init__(self):
        self._said = set()

    def look(self, step: int, numbers: dict[str, float]) -> list[str]:
        """Sentences about layers that have collapsed since; `numbers` are those of the log."""
        sentences = []
        for name, value in numbers.items():
            kind, _, layer = name.partition("/")
            if layer in self._said:
                continue
            if kind == "saturation" and value > MOST_SATURATED:
                what = f"{100 * value:.0f} % of its |A| are above 0.99, where tanh has no slope"
            elif kind == "variation" and value < LEAST_VARIATION:
                what = f"its map varies by {100 * value:.2g} % over space"
            else:
                continue
            self._said.add(layer)
            sentences.append(
                f"warning: the attention of {layer} has collapsed at step {step}: {what}. It may "
                "learn nothing more. Try a lower --map_loss_weight, --clip_gradient_norm=1, or "
                "--attention=gala_residual."
            )
        return sentences
