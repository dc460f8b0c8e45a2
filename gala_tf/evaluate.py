"""Evaluates a split exactly once: errors, and how well attention agrees with people.

    python -m gala_tf.evaluate --model_dir=RUN --split=test

Reads the run's own flags, so that only what differs need be given. Writes
`RUN/results-<split>.json` and prints a table. The map score is the paper's: the rank correlation of
a layer's reduced attention map (column-wise L2 norm) with the human map, as a fraction of the human
ceiling; beside two baselines, the centre prior and the network's maps against other images' human
maps.
"""

import dataclasses
import json
import math
import os
import re

from absl import flags

from gala_tf import command, config, files, metrics, records


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
    """

    label: object
    prediction: object
    rank: object
    cross_entropy: object
    clickmap: object
    has_clickmap: object
    maps: dict


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

        from gala_tf import input_pipeline

        self.strategy, self.run_config, self.info, self.split = strategy, run_config, info, split
        self._images = None  # of the picture, read once
        self.examples = info.require_split(split).examples
        batch = run_config.eval_batch_size or run_config.global_batch_size
        # No more than the split needs, a whole number a replica.
        batch = min(batch, self.examples)
        self.replica_batch = -(-batch // strategy.num_replicas_in_sync)
        self.geometry = eval_geometry(run_config, map_sizes(network))
        self.step = tf.function(self._make_step(network))
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

    def _make_step(self, network):
        import tensorflow as tf

        from gala_tf import losses

        def replica_step(batch):
            outputs = network(batch["image"], training=False)
            logits, label = outputs["logits"], batch["label"]  # [b, K], [b]
            true_logit = tf.gather(logits, label, batch_dims=1)[:, None]
            # Ties and NaN count against the network. Not `~(logits < true_logit)`: TensorFlow
            # rewrites that to `>=` in graphs, which is false for NaN.
            ahead = (logits >= true_logit) | tf.math.is_nan(logits) | tf.math.is_nan(true_logit)
            rank = tf.math.count_nonzero(ahead, axis=1, dtype=tf.int32) - 1
            maps = {
                name: losses.column_norm(volume)[..., 0]  # [b, h, w]
                for name, volume in scored_volumes(outputs).items()
            }
            return {
                "label": label,
                "prediction": tf.argmax(logits, axis=1, output_type=tf.int32),
                "rank": rank,
                "cross_entropy": losses.cross_entropy(logits, label),
                "clickmap": batch["clickmap"][..., 0],
                "has_clickmap": batch["has_clickmap"],
                "image_index": batch["image_index"],
                "maps": maps,
            }

        def step(iterator):
            per_replica = self.strategy.run(replica_step, args=(next(iterator),))
            return tf.nest.map_structure(lambda x: self.strategy.gather(x, axis=0), per_replica)

        return step

    def run(self) -> Predictions:
        """Every image's predictions, in the split's order.

        Raises:
            ValueError: an image was seen not at all or twice, or a record cannot be read.
        """
        import numpy as np
        import tensorflow as tf

        from gala_tf import input_pipeline

        iterator, batches, seen = iter(self.dataset), [], 0
        while seen < self.examples:
            try:
                with input_pipeline.named_records(self.run_config.data_dir, self.info, self.split):
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
                f"not match {records.INFO_FILE}; build the data set again."
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
    from gala_tf import clickmaps

    return {
        "image_size": run_config.image_size,
        "crop_fraction": run_config.crop_fraction,
        "clickmap_size": max(sizes.values()),
        "clickmap_blur": clickmaps.parse_blur(run_config.clickmap_blur),
    }


def accuracy_numbers(predictions: Predictions) -> dict[str, float]:
    """Top-1 and top-5 accuracy in 0..1, and mean cross-entropy in nats."""
    return {
        "top1": float((predictions.rank < 1).mean()),
        "top5": float((predictions.rank < 5).mean()),
        "cross_entropy": float(predictions.cross_entropy.mean()),
    }


def map_numbers(predictions: Predictions, seed: int = 0) -> dict[str, metrics.MapAgreement]:
    """{layer: agreement with the human maps}, over the images that have one."""
    rows = predictions.has_clickmap
    human = predictions.clickmap[rows]
    return (
        {
            name: metrics.map_agreement(maps[rows], block_sum(human, maps.shape[1]), seed)
            for name, maps in predictions.maps.items()
        }
        if rows.any()
        else {}
    )


def block_sum(maps, size: int):
    """Sums over size x size cells, [N, h, w] -> [N, size, size] float64.

    Exact for integer maps where size divides h and w: ties stay ties.
    """
    from gala_tf import clickmaps

    rows, columns = (
        clickmaps.resample_matrix(side, size, 0.0, side, "area", dtype="float64").numpy()
        for side in maps.shape[1:]
    )
    return rows @ maps.astype("float64") @ columns.T


def validation_numbers(predictions: Predictions) -> dict[str, float]:
    """Flat numbers for the log: accuracy, and the Spearman of each layer's map."""
    maps = map_numbers(predictions)
    return {
        **accuracy_numbers(predictions),
        **{f"spearman/{name}": agreement.spearman for name, agreement in maps.items()},
    }


def results(predictions: Predictions, ceilings: dict) -> dict:
    """All numbers of a split, ready for JSON. `ceilings` are from `find_ceilings`."""
    layers = {}
    for name, agreement in map_numbers(predictions).items():
        grid = predictions.maps[name].shape[1]  # maps are compared at grid x grid
        ceiling = ceilings[grid]["value"]
        fraction = agreement.spearman / ceiling if ceiling else None
        layers[name] = {
            **dataclasses.asdict(agreement),
            "grid": grid,
            "fraction_of_ceiling": fraction,
        }
    final = list(layers)[-1] if layers else None
    return {
        "examples": len(predictions.label),
        **accuracy_numbers(predictions),
        "maps": layers,
        "final_layer": final,
        "human_ceiling": ceilings[layers[final]["grid"]] if final else None,
    }


def find_ceilings(run_config, info, split, sizes) -> dict[int, dict]:
    """The human ceiling of a split on every layer's grid, {side: ceiling}.

    Estimated from the split's participants where it has their single maps; else what the data
    set's authors published, if `dataset_info.json` knows it; else there is none: the reliability of
    other maps of other images is no ceiling of these.

    Returns:
        {side: {"value", "estimator", ...}}: the estimator's name, which goes wherever the value
        goes, says what it is and on which grid and blur. `value` is None for no ceiling.
    """
    from gala_tf import input_pipeline

    if info.require_split(split).with_participants:
        geometry = eval_geometry(run_config, sizes)
        del geometry["image_size"]
        ceilings = {}
        for side in sorted(set(sizes.values())):
            geometry["clickmap_size"] = side
            maps = input_pipeline.participant_maps(run_config.data_dir, info, split, **geometry)
            ceilings[side] = metrics.human_ceiling(maps, seed=0)
            ceilings[side]["estimator"] += f", {side}x{side}, blur {run_config.clickmap_blur}"
        return ceilings
    known = info.human_ceiling or {
        "value": None,
        "estimator": "none: no image has maps of two participants, and none is published for this "
        f"data set (ClickMe: {metrics.PAPER_HUMAN_CEILING}, Linsley et al. 2019)",
    }
    return dict.fromkeys(sizes.values(), known)


def table(numbers: dict) -> str:
    """The results as text for a screen."""
    lines = [
        f"{numbers['network']}, {numbers['split']} split, {numbers['examples']} images, "
        f"{numbers['weights']} weights (step {numbers['step']})",
        f"  top-1 error {100 * (1 - numbers['top1']):6.2f} %    "
        f"top-5 error {100 * (1 - numbers['top5']):6.2f} %",
    ]
    if not numbers["maps"]:
        return "\n".join(lines)

    def line(name, rho, standard_error, ceiling):
        columns = [_cell(rho, "8.3f"), _cell(standard_error, "7.3f")]
        return f"    {name:<25}{''.join(columns)}{_cell(ceiling and 100 * ceiling, '10.1f')}"

    ceiling = numbers["human_ceiling"]
    final = numbers["maps"][numbers["final_layer"]]
    relative = (lambda rho: rho / ceiling["value"]) if ceiling["value"] else (lambda rho: None)
    lines += [
        f"  agreement with human maps: Spearman on {final['grid']}x{final['grid']}, blur "
        f"{numbers['clickmap_blur']}, mean over {final['images']} images",
        "    layer                         rho   s.e.  % of ceiling",
        *(
            line(name, m["spearman"], m["standard_error"], m["fraction_of_ceiling"])
            for name, m in numbers["maps"].items()
        ),
        line("centre prior", final["center_prior"], None, relative(final["center_prior"])),
        line("shuffled (final layer)", final["shuffled"], None, relative(final["shuffled"])),
        f"    human ceiling {_cell(ceiling['value'], '.3f')}: {ceiling['estimator']}",
    ]
    return "\n".join(lines)


def _cell(value, form):
    """A number as text; a dash, as wide, for one that is undefined."""
    if value is None or math.isnan(value):
        return "-".rjust(int(form.split(".")[0] or 1))
    return format(value, form)


def write_results(model_dir: str, split: str, numbers: dict) -> str:
    """Writes `results-<split>.json` into the run directory; returns its path.

    Numbers of other weights than the best, or under flags that change them, do not replace those:
    the file's name says what differs.
    """
    changed = [f"{name}={value}" for name, value in numbers["changed_flags"].items()]
    parts = [split, *([] if numbers["weights"] == "best" else [numbers["weights"]]), *changed]
    name = re.sub(r"[^\w.,=-]+", "_", "-".join(parts))
    path = os.path.join(model_dir, f"results-{name}.json")
    text = json.dumps(_without_nan(numbers), indent=1, allow_nan=False) + "\n"
    files.write(path, text)
    return path


def _without_nan(numbers):
    """JSON knows no NaN: an undefined number becomes null."""
    if isinstance(numbers, dict):
        return {key: _without_nan(value) for key, value in numbers.items()}
    return None if isinstance(numbers, float) and math.isnan(numbers) else numbers


def evaluate_run(model_dir: str, split: str, which: str, overrides=(), strategy=None) -> dict:
    """Evaluates a run's weights on a split: prints a table, writes results and a figure.

    Args:
        model_dir: the run directory.
        split: a split of the data set at the run's `--data_dir`.
        which: `best` or `newest` (`run_directory.load_network`).
        overrides: flags that differ from the run's, `--name=value` each.
        strategy: where to compute; by default this machine, as the flags in `overrides` say.

    Returns:
        What the JSON file holds.

    Raises:
        ValueError: no run, no such split, damaged data, or data of other classes than the run's.
    """
    from gala_tf import run_directory, visualize
    from gala_tf.strategy import make_strategy

    here = ("--tpu=", "--cpu_devices=1", *overrides)  # training may have been elsewhere
    run_config, trained_on = run_directory.load(model_dir, here)
    changed = config.changed_flags(run_directory.load(model_dir)[0], run_config)
    info = records.load_info(run_config.data_dir)
    check_classes(trained_on, info, run_config.data_dir)
    records.check_shards(run_config.data_dir, info, split)
    strategy = strategy or make_strategy(
        run_config.tpu, run_config.tpu_zone, run_config.gcp_project, run_config.cpu_devices
    )
    with strategy.scope():
        _, _, network, step = run_directory.load_network(model_dir, which, here)
    evaluator = Evaluator(strategy, network, run_config, info, split)
    predictions = evaluator.run()
    ceilings = find_ceilings(run_config, info, split, map_sizes(network))
    numbers = {
        "network": network_name(run_config),
        "data_set": info.name,
        "split": split,
        "weights": which,
        "step": step,
        "clickmap_blur": run_config.clickmap_blur,
        "crop_fraction": run_config.crop_fraction,
        "changed_flags": {name: new for name, (_, new) in changed.items()},
        **results(predictions, ceilings),
    }
    print(table(numbers))
    figure = os.path.join(model_dir, "figures", f"attention-{split}.png")
    visualize.write_png(figure, evaluator.picture(predictions))
    print("wrote", write_results(model_dir, split, numbers), "and", figure)
    return numbers


def check_classes(trained_on, info, data_dir: str) -> None:
    """ValueError unless a data set has the classes, in the order, that a network was trained on."""
    if info.class_names != trained_on.class_names:
        raise ValueError(
            f"--data_dir={data_dir} has other classes, or another order of them, than the data set "
            f"the network was trained on: {len(info.class_names)}, beginning with "
            f"{', '.join(info.class_names[:3])}; not {len(trained_on.class_names)}, beginning with "
            f"{', '.join(trained_on.class_names[:3])}. Labels would mean something else."
        )


def network_name(run_config) -> str:
    """The network in the paper's words, e.g. "GALA-ResNet-50 w/ maps"."""
    prefix = {"none": "", "se": "SE-", "gala": "GALA-"}.get(
        run_config.attention, f"{run_config.attention}-"
    )
    blocks = ",".join(map(str, run_config.stage_blocks))
    size = f"({blocks})" if blocks else str(run_config.depth)
    if run_config.map_loss_weight > 0:
        suffix = {"clickmaps": " w/ maps", "boxes": " w/ b. boxes"}[run_config.map_source]
    else:
        suffix = " no maps" if run_config.attention == "gala" else ""
    return f"{prefix}ResNet-{size}{suffix}"


def main():
    """Evaluates as the flags say; training flags that are given override the run's own."""
    given = [name for name in config.names() if flags.FLAGS[name].present]
    overrides = tuple(flags.FLAGS[name].serialize() for name in given if name != "model_dir")
    evaluate_run(flags.FLAGS.model_dir, flags.FLAGS.split, flags.FLAGS.checkpoint, overrides)


if __name__ == "__main__":
    config.define_flags()
    flags.adopt_module_key_flags(config)
    flags.DEFINE_string("split", "test", "Split to evaluate.")
    flags.DEFINE_enum("checkpoint", "best", ["best", "newest"], "Which weights.")
    command.run(main)
