"""How an evaluation reads a network: what it answers, and where it looks.

b images of a replica's batch, S side of an image, h w of a map, K classes
"""

from collections.abc import Callable
from typing import NamedTuple

from gala_tf import losses
from gala_tf.data.contracts import Network
from gala_tf.explain import endings, explanations, network_parts, saved_models


class Reader(NamedTuple):
    """A network's answers and maps of a batch."""

    # (images [b, S, S, 3] with pixels 0..255, labels [b], places in the split [b]) -> (class scores
    # [b, K], {name: map [b, h, w]})
    look: Callable
    # `look` holds a compiled function of its own, and else it is compiled with the step around
    # it, and its class scores are logits
    compiled: bool
    # What its class scores are, `endings.score_kind`; empty: the first batch tells
    kind: str = endings.LOGITS
    dtype: str = "float32"  # in which they were computed, the coarsest


def our_network(network: Network) -> Reader:
    """Of a network of `gala_tf.models`: logits, and the reduced maps of its scored layers."""

    def look(images, labels, image_index):
        outputs = network(images, training=False)
        maps = {
            name: losses.column_norm(volume)[..., 0]  # [b, h, w]
            for name, volume in network_parts.scored_volumes(outputs).items()
        }
        return outputs["logits"], maps

    return Reader(look, compiled=False)


def any_classifier(network, maps: str, input_scaling: str = "none", **arguments) -> Reader:
    """Of any Keras classifier, with one of `explanations`' maps (`parse_kind`).

    Its softmax, if it has one, is not removed here. `input_scaling` is that of
    `saved_models.scale_input`, `arguments` are of `explanations.make_explainer`. ValueError: an
    unknown choice, or a map that the network does not have.
    """
    explain = explanations.make_explainer(network, maps, **arguments)

    def look(images, labels, image_index):
        # Outside of the compiled part: a graph would replace divisions by other roundings.
        images = saved_models.scale_input(images, input_scaling)
        return explain(images, labels, image_index)

    kind = endings.score_kind(network)
    return Reader(look, compiled=True, kind=kind, dtype=endings.coarsest_dtype(network))
