"""What Fig. 4 needs of trained networks: their answers, attention and gradients on some images.

N images, b a batch, S side of an image, h w of a map, C channels, K classes
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gala_tf import visualize

PAPER_LAYERS = (27, 33, 39)  # Fig. 4A
BATCH = 8  # images at a time through a network


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run with its best weights: what the figures need of it."""

    model_dir: str
    run_config: object
    trained_on: object  # dataset_info.DatasetInfo
    network: object
    step: int
    sizes: dict[str, int]  # {attention layer: height = width of its map}

    @property
    def name(self) -> str:
        """The network in the paper's words."""
        from gala_tf.evaluation import scores

        return scores.network_name(self.run_config)


@dataclasses.dataclass(frozen=True)
class Looks:
    """What a network says of N images: answers [N], their softmax [N], {layer: maps [N, h, w]}."""

    prediction: np.ndarray
    confidence: np.ndarray
    maps: dict[str, np.ndarray]


def open_run(model_dir: str, overrides: Sequence[str] = ()) -> Trained:
    """A run's network with its best weights, on this machine.

    Raises:
        ValueError: no run or weights, or a network without attention in space.
    """
    from gala_tf.runs import directory

    run_config, trained_on = directory.load(model_dir, ("--tpu=", *overrides))
    network, step = directory.trained_network(model_dir, "best", run_config, trained_on)
    volumes = network.output["attention"]
    sizes = {name: volume.shape[1] for name, volume in volumes.items() if volume.shape[1] > 1}
    if not sizes:
        raise ValueError(
            f"{model_dir}: its network (--attention={run_config.attention}) has no attention map. "
            "Figure 4 needs networks whose attention has an extent in space, as --attention=gala."
        )
    return Trained(model_dir, run_config, trained_on, network, step, sizes)


def paper_layers(trained: Trained) -> list[str]:
    """The attention layers that the paper draws, 27, 33, 39; or those that correspond to them.

    Where a network has no layers of those numbers: those at a third, two thirds and the end of its
    attention layers, each once.
    """
    from gala_tf import models

    unit, blocks = models.stage_layout(trained.run_config.depth, trained.run_config.stage_blocks)
    numbers = {models.layer_number(name, blocks, unit): name for name in trained.sizes}
    if all(number in numbers for number in PAPER_LAYERS):
        return [numbers[number] for number in PAPER_LAYERS]
    names = list(trained.sizes)
    ends = [-(-len(names) * third // 3) for third in (1, 2, 3)]  # rounded up
    return list(dict.fromkeys(names[end - 1] for end in ends))


def look(trained: Trained, images: np.ndarray, layers: Sequence[str]) -> Looks:
    """What a network says of images [N, S, S, 3] uint8, and where `layers` look."""
    import tensorflow as tf

    from gala_tf import losses

    prediction, confidence, maps = [], [], {name: [] for name in layers}
    for start in range(0, len(images), BATCH):
        outputs = trained.network(tf.constant(images[start : start + BATCH]), training=False)
        softmax = tf.nn.softmax(outputs["logits"]).numpy()  # [b, K]
        prediction.append(softmax.argmax(1))
        confidence.append(softmax.max(1))
        for name in layers:
            volume = outputs["attention"][name]  # [b, h, w, C]
            maps[name].append(losses.column_norm(volume).numpy()[..., 0])
    joined = {name: np.concatenate(parts) for name, parts in maps.items()}
    return Looks(np.concatenate(prediction), np.concatenate(confidence), joined)


def gradient_maps(trained: Trained, images, labels, rows, **smoothgrad) -> np.ndarray:
    """How strongly the true class's score depends on each pixel: [N, S, S] >= 0, SmoothGrad.

    Args:
        trained: the network.
        images: [N, S, S, 3] uint8.
        labels: [N] true classes.
        rows: [N] places in the split. The noise of an image depends on its place and the seed
            alone, so that two networks see the same, whatever else is drawn.
        smoothgrad: `seed`, `samples`, `noise` of `explanations.smoothgrad`.
    """
    from gala_tf.explain import explanations

    # Absolute values are summed over colours: so do those who published SmoothGrad in their code.
    explain = explanations.make_explainer(
        trained.network, "smoothgrad", reduction="sum", **smoothgrad
    )
    parts = []
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        _, maps = explain(
            images[part].astype(np.float32), labels[part], np.asarray(rows[part], np.int64)
        )
        parts.append(maps["smoothgrad"].numpy())
    return np.concatenate(parts)


def choose_rows(run_config, info, split, num_images, geometry) -> np.ndarray:
    """Places of at most `num_images` images of a split, as `visualize.spread` chooses.

    Raises:
        ValueError: no such split, an empty one, a damaged shard.
    """
    from gala_tf.data import dataset_info, input_pipeline, reading

    entry = info.require_split(split)
    if not entry.examples:
        raise ValueError(
            f"--split={split}: that split of {run_config.data_dir} has no images. It has "
            f"{ {name: part.examples for name, part in info.splits.items()} }."
        )
    dataset_info.check_shards(run_config.data_dir, info, split)
    has_clickmap = np.ones(entry.examples, bool)
    if 0 < entry.with_clickmap < entry.examples:  # only then does it take a pass to know which
        dataset = input_pipeline.make_eval_dataset(
            run_config.data_dir, info, split, batch_size=min(64, entry.examples), **geometry
        )
        with reading.named_records(run_config.data_dir, info, split):
            for batch in dataset:
                index = batch["image_index"].numpy()
                real = index >= 0  # -1 marks padding
                has_clickmap[index[real]] = batch["has_clickmap"].numpy()[real] > 0
    return visualize.spread(has_clickmap, num_images)
