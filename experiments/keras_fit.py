"""Trains a run's network by `keras.Model.fit`, on any backend of Keras, with maps from our shards.

    KERAS_BACKEND=jax python experiments/keras_fit.py --flagfile=experiments/quickstart.flags \\
        --data_dir=data/quickstart --model_dir=runs/quickstart_jax --seed=1

The same flags, data, schedule and objective as `gala_tf.train`, which is TensorFlow's; tf.data
feeds either, so that a seed's batches are the same. Initial weights are not: backends draw their
own. What the loop has beyond Keras' is not here, such as resuming, several machines, reports of
faults; flags of such things are refused. Writes `results.json`: the backend, top-1 error in % and
the last layer's map score on --test_split, by the weights that were best on --validation_split.
"""

import json
import os

import keras
import numpy as np
from absl import app

from gala_tf import config, losses, metrics, models
from gala_tf.command_line import parsing
from gala_tf.data import clickmaps, dataset_info, eval_pipeline, preprocessing
from gala_tf.evaluation import scores
from gala_tf.explain import network_parts
from gala_tf.runs import directory
from gala_tf.training import checks, plan, schedules, session

# Flags that change a run, and that nothing here reads.
NOT_HERE = (
    "tpu", "init_from", "freeze", "new_layers_rate", "clip_gradient_norm", "label_smoothing",
    "map_loss_reduction", "map_resize", "jit_compile", "stop_after_steps",
)  # fmt: skip


def check(cfg) -> None:
    """ValueError for what `gala_tf.train` can do and this cannot."""
    default = config.Config()
    ignored = [n for n in NOT_HERE if getattr(cfg, n) != getattr(default, n)]
    if ignored:
        raise ValueError(f"--{', --'.join(ignored)}: only gala_tf.train reads that. Leave it away.")
    for name in ("validation_split", "test_split", "map_loss_weight"):
        if not getattr(cfg, name):
            raise ValueError(f"--{name} must be set: this compares runs with maps by their score.")


def main(_):
    """Trains as the flags say."""
    cfg = config.from_flags()
    check(cfg)
    print(train(cfg))


def train(cfg) -> dict:
    """Trains the network that the flags describe, and returns what `results.json` holds."""
    info = dataset_info.load_info(cfg.data_dir)
    length = plan.make_plan(cfg, info, replicas=1)
    network = directory.build_network(cfg, info.num_classes)
    for kernel in models.decayed_kernels(network):
        kernel.regularizer = keras.regularizers.L2(cfg.weight_decay / 2)
    sizes = checks.supervised_sizes(network, cfg)
    target = cfg.map_target
    outputs = {name: network.output[name] for name in ("logits", target)}
    trained = keras.Model(network.inputs[0], outputs)
    trained.compile(
        keras.optimizers.SGD(
            schedules.make_schedule(cfg, length), momentum=cfg.momentum, nesterov=True
        ),
        loss={
            "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            target: {name: losses.ClickmapLoss() for name in sizes},
        },
        loss_weights={"logits": 1.0, target: dict.fromkeys(sizes, cfg.map_loss_weight)},
        metrics={"logits": ["accuracy"], target: {name: [] for name in sizes}},
    )
    best = Best(network, cfg, info)
    trained.fit(
        training_batches(cfg, info, sizes),
        epochs=len(length.validation_steps),
        steps_per_epoch=length.total_steps // len(length.validation_steps),
        callbacks=[best],
        verbose=2,
    )
    network.set_weights(best.weights)
    found = evaluate(network, cfg, info, cfg.test_split)
    found = {"backend": keras.backend.backend(), "seed": cfg.seed, **found}
    os.makedirs(cfg.model_dir, exist_ok=True)
    with open(os.path.join(cfg.model_dir, "results.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    return found


def training_batches(cfg, info, sizes):
    """Batches for fit: (images, targets by output, weights of images by output)."""
    order = session.input_pipeline.Order(seed=cfg.seed, shuffle_buffer=cfg.shuffle_buffer)
    batches = session.host_batches(cfg, info, sizes, "bicubic", order, cfg.global_batch_size)

    def for_fit(batch):
        images = preprocessing.mirror(batch["image"], batch["mirrored"])
        targets = {
            "logits": batch["label"],
            cfg.map_target: dict.fromkeys(sizes, batch["clickmap"]),
        }
        has = batch["has_clickmap"]
        weights = {"logits": has * 0.0 + 1.0, cfg.map_target: dict.fromkeys(sizes, has)}
        return images, targets, weights

    return batches.map(for_fit)


class Best(keras.callbacks.Callback):
    """Keeps the weights with the best validation top-1, ties to the lower cross-entropy."""

    def __init__(self, network, cfg, info):
        super().__init__()
        self.network = network  # not self.model, which returns what is trained alone
        self.evaluate = lambda: evaluate(network, cfg, info, cfg.validation_split)
        self.score, self.weights = None, None

    def on_epoch_end(self, epoch, logs=None):
        found = self.evaluate()
        score = (-found["error"], -found["cross_entropy"])
        if self.score is None or score > self.score:
            self.score, self.weights = score, self.network.get_weights()
        print(f"validation: {found}", flush=True)


def evaluate(network, cfg, info, split) -> dict:
    """Top-1 error in %, cross-entropy, and the last layer's map score, as `gala_tf.evaluate`."""
    sizes = network_parts.map_sizes(network)
    last = list(sizes)[-1]
    batches = eval_pipeline.make_eval_dataset(
        cfg.data_dir,
        info,
        split,
        batch_size=cfg.global_batch_size,
        image_size=cfg.image_size,
        clickmap_size=max(sizes.values()),
        clickmap_blur=clickmaps.parse_blur(cfg.clickmap_blur),
        crop_fraction=cfg.crop_fraction,
    )
    logits, maps, labels, humans = [], [], [], []
    for batch in batches.as_numpy_iterator():
        real = batch["image_index"] >= 0
        outputs = network.predict_on_batch(batch["image"])
        logits.append(outputs["logits"][real])
        columns = losses.column_norm(network_parts.scored_volumes(outputs)[last])
        maps.append(keras.ops.convert_to_numpy(columns)[real, ..., 0])
        labels.append(batch["label"][real])
        human = np.where(batch["has_clickmap"][:, None, None, None] > 0, batch["clickmap"], np.nan)
        humans.append(human[real, ..., 0])
    logits, maps, labels, humans = map(np.concatenate, (logits, maps, labels, humans))
    has = np.isfinite(humans).all((1, 2))
    agreement = metrics.map_agreement(maps[has], scores.block_sum(humans[has], sizes[last]), 0)
    logs = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
    logs -= logits.max(1, keepdims=True)
    return {
        "error": 100 * float((logits.argmax(1) != labels).mean()),
        "cross_entropy": -float(np.take_along_axis(logs, labels[:, None], 1).mean()),
        "map_score": agreement.spearman,
    }


if __name__ == "__main__":
    config.define_flags()
    # Not command.run, which insists on TensorFlow.
    app.run(main, flags_parser=lambda words: parsing.parse(words, __doc__, "", ""))
