"""Evaluates a split exactly once: errors, and how well attention agrees with people.

    python -m gala_tf.evaluate --model_dir=RUN --split=test

Reads the run's own flags, so that only what differs need be given. Writes
`RUN/results-<split>.json`, a row an image to `RUN/per_image-<split>.csv`, figures, and prints a
table. The map score is the paper's: the rank correlation of a layer's reduced attention map
(column-wise L2 norm) with the human map, as a fraction of the human ceiling; beside two baselines,
the centre prior and the network's maps against other images' human maps.

With `--model=NETWORK.keras --maps=gradient --data_dir=DATA`, scores any saved Keras classifier
instead (`gala_tf/evaluation/classifiers.py`, whose --help lists its flags).
"""

import dataclasses
import os
import re
import sys

from absl import flags

from gala_tf import command, config
from gala_tf.data import dataset_info
from gala_tf.distribution import consensus
from gala_tf.evaluation import scores


@dataclasses.dataclass
class Predictions:
    """What a network says of every image of a split, in the split's order; N images.

    Attributes:
        label: [N] true classes.
        prediction: [N] classes with the largest logit.
        rank: [N] how many classes are ranked at or above the true one; 0 is a hit.
        cross_entropy: [N] nats.
        clickmap: [N, h, w] exact blurred human maps; has_clickmap [N] bool tells which are real.
        maps: {layer: [N, h, w]} reduced attention (or, without, activity) maps.
        confidence: [N] largest softmax probability; NaN where a logit is NaN or infinite.
    """

    label: object
    prediction: object
    rank: object
    cross_entropy: object
    clickmap: object
    has_clickmap: object
    maps: dict
    confidence: object = None


class Evaluator:
    """Runs a network over one split, each image once on any number of replicas.

    Args:
        strategy: the `tf.distribute` strategy that the network's variables live in.
        network: from `models.build_model`.
        run_config: the Config (data_dir, geometry, batch sizes, click-map flags).
        info: the data set.
        split: its name.
    """

    def __init__(self, strategy, network, run_config, info, split):
        import tensorflow as tf

        from gala_tf.data import input_pipeline

        self.strategy, self.run_config, self.info, self.split = strategy, run_config, info, split
        self._images = None  # of the picture, read once
        self.examples = info.require_split(split).examples
        batch = run_config.eval_batch_size or run_config.global_batch_size
        # No more than the split needs, a whole number a replica.
        batch = min(batch, self.examples)
        self.replica_batch = -(-batch // strategy.num_replicas_in_sync)
        self.geometry = eval_geometry(run_config, map_sizes(network))
        self.replica_step = make_replica_step(network)  # `tpu_check` compiles it
        self.step = tf.function(self._make_step())
        self.dataset = strategy.distribute_datasets_from_function(
            lambda context: input_pipeline.make_eval_dataset(
                run_config.data_dir,
                info,
                split,
                batch_size=self.replica_batch,
                input_context=context,
                **self.geometry,
            )
        )

    def _make_step(self):
        import tensorflow as tf

        def step(iterator):
            per_replica = self.strategy.run(self.replica_step, args=(next(iterator),))
            return tf.nest.map_structure(lambda x: self.strategy.gather(x, axis=0), per_replica)

        return step

    def run(self, poll=lambda: None) -> Predictions:
        """Every image's predictions, in the split's order.

        Args:
            poll: called before each batch; may raise, to interrupt.

        Raises:
            ValueError: an image was seen not at all or twice, or a record cannot be read.
        """
        import numpy as np
        import tensorflow as tf

        from gala_tf.data import reading

        iterator, batches, seen = iter(self.dataset), [], 0
        while seen < self.examples:
            poll()
            try:
                with reading.named_records(self.run_config.data_dir, self.info, self.split):
                    batch = tf.nest.map_structure(lambda x: x.numpy(), self.step(iterator))
            except tf.errors.OutOfRangeError:
                break
            seen += int((batch["image_index"] >= 0).sum())  # -1 marks padding
            batches.append(batch)
        columns = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)
        index = columns.pop("image_index")
        order = np.argsort(index, kind="stable")[(index < 0).sum() :]
        if not np.array_equal(index[order], np.arange(self.examples)):
            raise ValueError(
                f"Evaluation of split {self.split!r} must see each of {self.examples} images once, "
                f"but saw {len(order)} ({len(np.unique(index[order]))} different). The shards do "
                f"not match {dataset_info.INFO_FILE}; build the data set again."
            )
        columns = tf.nest.map_structure(lambda x: x[order], columns)
        columns["has_clickmap"] = columns["has_clickmap"] > 0
        return Predictions(**columns)

    def picture(self, predictions: Predictions):
        """Some images of the split with human and attention maps, uint8 [H, W, 3]."""
        from gala_tf import visualize

        rows = visualize.spread_rows(predictions, PICTURE_ROWS)
        if self._images is None:
            self._images = visualize.read_images(
                self.run_config, self.info, self.split, rows, self.geometry
            )
        titles = visualize.paper_titles(predictions.maps, self.run_config)
        return visualize.predictions_grid(
            self._images, predictions, rows, self.info.class_names, titles=titles
        )


PICTURE_ROWS = 8


def make_replica_step(network):
    """One evaluation step of one replica: batch -> columns of `Predictions`, and `image_index`."""
    import tensorflow as tf

    from gala_tf import losses

    def replica_step(batch):
        outputs = network(batch["image"], training=False)
        logits, label = outputs["logits"], batch["label"]  # [b, K], [b]
        true_logit = tf.gather(logits, label, batch_dims=1)[:, None]
        # Ties and NaN count against the network. Not `~(logits < true_logit)`: TensorFlow
        # rewrites that to `>=` in graphs, which is false for NaN.
        ahead = (logits >= true_logit) | tf.math.is_nan(logits) | tf.math.is_nan(true_logit)
        # Not tf.math.count_nonzero: it counts in int64, which TPUs compute as pairs.
        rank = tf.reduce_sum(tf.cast(ahead, tf.int32), axis=1) - 1
        maps = {
            name: losses.column_norm(volume)[..., 0]  # [b, h, w]
            for name, volume in scored_volumes(outputs).items()
        }
        return {
            "label": label,
            "prediction": tf.argmax(logits, axis=1, output_type=tf.int32),
            "rank": rank,
            "cross_entropy": losses.cross_entropy(logits, label),
            "confidence": max_probability(logits),
            "clickmap": batch["clickmap"][..., 0],
            "has_clickmap": batch["has_clickmap"],
            "image_index": batch["image_index"],
            "maps": maps,
        }

    return replica_step


def max_probability(logits):
    """The largest softmax probability, [B, K] -> [B]; NaN where any logit is NaN or infinite."""
    import tensorflow as tf

    largest = tf.reduce_max(tf.nn.softmax(logits), axis=1)  # a maximum may pass NaN over
    return tf.where(tf.reduce_all(tf.math.is_finite(logits), axis=1), largest, float("nan"))


def scored_volumes(outputs) -> dict:
    """The volumes whose columns are compared with human maps, {layer: [B, H, W, C]}.

    Attention where it has an extent in space (GALA); else the activity of the same units, gated by
    SE or, in a plain ResNet, as it is.
    """
    spatial = {name: volume for name, volume in outputs["attention"].items() if volume.shape[1] > 1}
    return spatial or outputs["activity"]


def map_sizes(network) -> dict[str, int]:
    """{layer: height = width of its map in pixels} of the layers whose maps are scored."""
    return {name: volume.shape[1] for name, volume in scored_volumes(network.output).items()}


def eval_geometry(run_config, sizes) -> dict:
    """Arguments of the evaluation pipeline: centre crop, and maps as fine as the finest layer."""
    from gala_tf.data import clickmaps

    return {
        "image_size": run_config.image_size,
        "crop_fraction": run_config.crop_fraction,
        "clickmap_size": max(sizes.values()),
        "clickmap_blur": clickmaps.parse_blur(run_config.clickmap_blur),
    }


def evaluate_run(model_dir: str, split: str, which: str, overrides=(), strategy=None) -> dict:
    """Evaluates a run's weights on a split: prints a table, writes results and figures.

    Args:
        model_dir: the run directory.
        split: a split of the data set at the run's `--data_dir`.
        which: `best` or `newest` (`run_directory.load_network`).
        overrides: flags that differ from the run's, `--name=value` each.
        strategy: where to compute; by default this machine, as the flags in `overrides` say.

    Returns:
        What the JSON file holds; {} on workers that are not the chief, which alone writes.

    Raises:
        ValueError: no run, no such split, damaged data, or data of other classes than the run's.
    """
    from gala_tf.data import input_pipeline
    from gala_tf.distribution.strategy import make_strategy
    from gala_tf.evaluation import per_image
    from gala_tf.runs import directory

    here = ("--tpu=", "--cpu_devices=1", *overrides)  # training may have been elsewhere
    run_config, trained_on = directory.load(model_dir, here)
    changed = config.changed_flags(directory.load(model_dir)[0], run_config)
    info = dataset_info.load_info(run_config.data_dir)
    check_classes(trained_on, info, run_config.data_dir)
    dataset_info.check_shards(run_config.data_dir, info, split)
    strategy = strategy or make_strategy(
        run_config.tpu, run_config.tpu_zone, run_config.gcp_project, run_config.cpu_devices
    )
    with strategy.scope():
        network, step = directory.trained_network(model_dir, which, run_config, trained_on)
    consensus.agree(strategy, {f"the {which} weights": f"step {step}"}, "Start again.")
    evaluator = Evaluator(strategy, network, run_config, info, split)
    predictions = evaluator.run()
    if not consensus.is_chief(strategy):
        return {}
    sides = map_sizes(network).values()
    ceilings = scores.find_ceilings(run_config, info, split, evaluator.geometry, sides)
    numbers = {
        "network": scores.network_name(run_config),
        "data_set": info.name,
        "split": split,
        "weights": which,
        "step": step,
        "clickmap_blur": run_config.clickmap_blur,
        "crop_fraction": run_config.crop_fraction,
        "changed_flags": {name: new for name, (_, new) in changed.items()},
        **scores.results(predictions, ceilings),
    }
    print(scores.table(numbers))
    ids = input_pipeline.image_ids(run_config.data_dir, info, split)
    columns = per_image.columns_of(predictions, ids, info.class_names)
    written = _write(model_dir, numbers, columns, evaluator.picture(predictions))
    print("wrote", ", ".join(written))
    return numbers


def _write(model_dir, numbers, columns, picture):
    """All files of an evaluation, whose paths it returns."""
    from gala_tf import visualize
    from gala_tf.evaluation import per_image, plots

    split, figures = numbers["split"], os.path.join(model_dir, "figures")
    name = scores.result_name(split, numbers)
    attention = os.path.join(figures, f"attention-{name}.png")
    visualize.write_png(attention, picture)
    drawn = os.path.join(figures, f"diagnostics-{name}.png")
    title = f"{numbers['network']}, {split} split of {numbers['data_set']}"
    plots.write(drawn, columns, title)
    rows = per_image.path_of(model_dir, split, numbers)
    per_image.write(rows, columns)
    # Last: who finds results finds all the rest.
    return scores.write_results(model_dir, split, numbers), rows, attention, drawn


def check_classes(trained_on, info, data_dir: str) -> None:
    """ValueError unless a data set has the classes, in the order, that a network was trained on."""
    if info.class_names != trained_on.class_names:
        raise ValueError(
            f"--data_dir={data_dir} has other classes, or another order of them, than the data set "
            f"the network was trained on: {len(info.class_names)}, beginning with "
            f"{', '.join(info.class_names[:3])}; not {len(trained_on.class_names)}, beginning with "
            f"{', '.join(trained_on.class_names[:3])}. Labels would mean something else."
        )


def main():
    """Evaluates as the flags say; training flags that are given override the run's own."""
    given = [name for name in config.names() if flags.FLAGS[name].present]
    overrides = tuple(flags.FLAGS[name].serialize() for name in given if name != "model_dir")
    evaluate_run(flags.FLAGS.model_dir, flags.FLAGS.split, flags.FLAGS.checkpoint, overrides)


if __name__ == "__main__":
    if any(re.match(r"--?model(=|$)", argument) for argument in sys.argv[1:]):
        # Not a run: flags of the same names mean other things there.
        from gala_tf.evaluation import classifiers

        classifiers.define_flags()
        command.run(classifiers.main)
    else:
        config.define_flags(shown=("model_dir", "data_dir", "eval_batch_size", "tpu"))
        flags.DEFINE_string("split", "test", "Split to evaluate.")
        flags.DEFINE_enum("checkpoint", "best", ["best", "newest"], "Which weights.")
        command.run(main)
