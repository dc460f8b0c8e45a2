"""What Fig. 4 needs of trained networks: their answers, attention and gradients on some images.

N images, S side of an image, h w of a map
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from gala_tf import config, models
from gala_tf.data import dataset_info
from gala_tf.evaluation import protocols, readers
from gala_tf.evaluation.evaluator import Evaluator, Predictions
from gala_tf.explain import network_parts
from gala_tf.pictures import attention_grid
from gala_tf.runs import directory

PAPER_LAYERS = (27, 33, 39)  # Fig. 4A


def open_with_attention(model_dir: str, overrides: Sequence[str] = ()) -> directory.OpenRun:
    """A run with its best weights, on this machine.

    ValueError: no run or weights, or a network without attention in space.
    """
    run = directory.open_run(model_dir, ("--tpu=", *overrides), "best")
    if not any(map(network_parts.has_map, run.network.output["attention"].values())):
        raise ValueError(
            f"{model_dir}: its network (--attention={run.config.attention}) has no attention map. "
            "Figure 4 needs networks whose attention has an extent in space, as --attention=gala."
        )
    return run


def paper_layers(layers: Sequence[str], run_config: config.Config) -> list[str]:
    """Of attention layers those that the paper draws, 27, 33, 39; or that correspond to them.

    Where a network has no layers of those numbers: those at a third, two thirds and the end of its
    attention layers, each once.
    """
    unit, blocks = models.stage_layout(run_config.depth, run_config.stage_blocks)
    numbers = {models.layer_number(name, blocks, unit): name for name in layers}
    if all(number in numbers for number in PAPER_LAYERS):
        return [numbers[number] for number in PAPER_LAYERS]
    ends = [-(-len(layers) * third // 3) for third in (1, 2, 3)]  # rounded up
    return list(dict.fromkeys(layers[end - 1] for end in ends))


def look(network, images: np.ndarray) -> Predictions:
    """What a network says of images [N, S, S, 3] uint8, and where its layers look."""
    reader, shown = readers.our_network(network), protocols.Given(images)
    return Evaluator(tf.distribute.get_strategy(), reader, shown).run()


def gradient_maps(network, images, labels, places, **smoothgrad) -> np.ndarray:
    """How strongly the true class's score depends on each pixel: [N, S, S] >= 0, SmoothGrad.

    Args:
        places: [N] in the split. The noise of an image depends on its place and the seed
            alone, so that two networks see the same, whatever else is drawn.
        smoothgrad: `seed`, `samples`, `noise` of `explanations.smoothgrad`.
    """
    # Absolute values are summed over colours: so do those who published SmoothGrad in their code.
    reader = readers.any_classifier(network, "smoothgrad", reduction="sum", **smoothgrad)
    shown = protocols.Given(images, labels, places)
    return Evaluator(tf.distribute.get_strategy(), reader, shown).run().maps["smoothgrad"]


def choose_places(protocol: protocols.Paper, num_images: int) -> np.ndarray:
    """Places of at most `num_images` images of a split, as `attention_grid.spread` chooses.

    ValueError: no such split, an empty one, a damaged shard.
    """
    info, split = protocol.info, protocol.split
    entry = info.require_split(split)
    if not entry.examples:
        raise ValueError(
            f"--split={split}: that split of {protocol.data_dir} has no images. It has "
            f"{ {name: part.examples for name, part in info.splits.items()} }."
        )
    dataset_info.check_shards(protocol.data_dir, info, split)
    has_clickmap = np.ones(entry.examples, bool)
    if 0 < entry.with_clickmap < entry.examples:  # only then does it take a pass to know which
        with protocol.naming_records():
            for batch in protocol.batches(min(64, entry.examples)):
                index = batch["image_index"].numpy()
                real = index >= 0  # -1 marks padding
                has_clickmap[index[real]] = batch["has_clickmap"].numpy()[real] > 0
    return attention_grid.spread(has_clickmap, num_images)
