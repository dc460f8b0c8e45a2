"""Evaluates a run: its network with its trained weights, by the paper's protocol; and draws it."""

import os
from collections.abc import Sequence

import numpy as np

from gala_tf import config
from gala_tf.data import dataset_info, eval_pipeline, places
from gala_tf.data.contracts import Network, Strategy
from gala_tf.distribution import consensus
from gala_tf.distribution.strategy import make_strategy
from gala_tf.evaluation import confusion, naming, per_image, plots, protocols, readers, scores
from gala_tf.evaluation.evaluator import Evaluator, Predictions
from gala_tf.explain import network_parts
from gala_tf.pictures import attention_grid
from gala_tf.runs import directory, logs

PICTURED = 8  # images in a run's own picture


def paper_protocol(run_config: config.Config, info, split: str, sides) -> protocols.Paper:
    """The paper's protocol as a run's flags say, for maps of `sides`, {layer: side}."""
    return protocols.Paper(
        run_config.data_dir,
        info,
        split,
        image_size=run_config.image_size,
        batch_size=run_config.eval_batch_size or run_config.global_batch_size,
        crop_fraction=run_config.crop_fraction,
        clickmap_blur=run_config.clickmap_blur,
        map_alignment=run_config.map_alignment,
        sides=sides,
    )


class RunEvaluator(Evaluator):
    """The evaluator of one of our networks on a split, as a run's flags say.

    Of those, geometry, batch sizes and the blur of maps count; `network` is from
    `models.build_model`, its variables in `strategy`.
    """

    def __init__(
        self, strategy: Strategy, network: Network, run_config: config.Config, info, split: str
    ):
        self.run_config = run_config
        protocol = paper_protocol(run_config, info, split, network_parts.map_sizes(network))
        super().__init__(strategy, readers.our_network(network), protocol)
        self._images: dict[int, np.ndarray] = {}  # {count: images}, read once for all validations

    def picture(
        self, predictions: Predictions, count: int = PICTURED, layers: Sequence[str] | None = None
    ) -> np.ndarray:
        """`count` images of the split with human maps and those of layers, uint8 [H, W, 3].

        Which images, `attention_grid.spread` says, and which layers, `choose_layers`.
        """
        places = attention_grid.spread(predictions.has_clickmap, count)
        if count not in self._images:
            self._images[count] = self.protocol.read(places)["image"]
        names = attention_grid.choose_layers(predictions.maps, layers)
        map_scores = scores.image_scores(predictions, places, names[-1]) if names else None
        titles = attention_grid.paper_titles(list(predictions.maps), self.run_config)
        info = self.protocol.info
        return attention_grid.predictions_grid(
            self._images[count], predictions, places, info.class_names, layers, titles,
            human_title=attention_grid.human_title(info), map_scores=map_scores,
        )  # fmt: skip


def evaluate_run(model_dir: str, split: str, which: str, overrides=(), strategy=None) -> dict:
    """Evaluates a run's `best` or `newest` weights on a split: prints a table, writes the files.

    `overrides` are flags that differ from the run's, `--name=value` each; without a `strategy` it
    is this machine, as those say. Returns what the JSON file holds; {} on workers that are not the
    chief, which alone writes. ValueError: no run, no such split, damaged data, or data of other
    classes than the run's.
    """
    places.check_can_be_directory(model_dir, "model_dir")  # before the work
    run, info = open_with_data(model_dir, split, overrides)
    # What differs from the run's own flags goes into the files' names.
    changed = config.changed_flags(directory.open_run(model_dir).config, run.config)
    strategy = strategy or make_strategy(
        run.config.tpu, run.config.tpu_zone, run.config.gcp_project, run.config.cpu_devices
    )
    with strategy.scope():
        run = run.with_weights(which)
    which = run.result_weights(which)
    consensus.agree(strategy, {f"the {which} weights": f"step {run.step}"}, "Start again.")
    evaluator = RunEvaluator(strategy, run.network, run.config, info, split)
    logs.say(f"evaluating: {evaluator.examples} images of split {split}; compiling comes first")
    predictions = evaluator.run(progress=split)
    if not consensus.is_chief(strategy):  # the others had to take part in every step until here
        return {}
    numbers = {
        "network": naming.network_name(run.config),
        "data_set": info.name,
        "split": split,
        "classes": info.num_classes,
        "simulated_maps": info.simulated,
        "weights": which,
        "step": run.step,
        "clickmap_blur": run.config.clickmap_blur,
        "crop_fraction": run.config.crop_fraction,
        "changed_flags": {name: new for name, (_, new) in changed.items()},
        **evaluator.protocol.numbers(predictions),
    }
    print(scores.table(numbers))
    ids = eval_pipeline.image_ids(run.config.data_dir, info, split)
    columns = per_image.columns_of(predictions, ids, info.class_names)
    written = _write(model_dir, numbers, columns, evaluator.picture(predictions), info.class_names)
    print("wrote", ", ".join(written))
    return numbers


def draw_run(
    model_dir: str,
    split: str,
    num_images: int,
    layers: Sequence[str] | None = None,
    output: str = "",
    overrides: tuple[str, ...] = (),
) -> str:
    """Draws the attention of a run's best weights on a split; returns the path of the picture.

    By default it is `figures/attention-<split>.png` in the run directory; `overrides` are as for
    `evaluate_run`. ValueError: no run or weights, no such split or layer, or a damaged data set.
    """
    if num_images < 1:
        raise ValueError(f"--num_images must be positive. Received: {num_images}.")
    if output:
        places.check_file(output, "output", (places.PNG_SIGNATURE,), ".png")
    else:
        places.check_can_be_directory(model_dir, "model_dir")
    run, info = open_with_data(model_dir, split, overrides)
    strategy = make_strategy()
    with strategy.scope():
        run = run.with_weights("best")
    attention_grid.choose_layers(network_parts.map_sizes(run.network), layers)  # before the work
    evaluator = RunEvaluator(strategy, run.network, run.config, info, split)
    logs.say(f"looking at {evaluator.examples} images of split {split}; compiling comes first")
    picture = evaluator.picture(evaluator.run(progress=split), num_images, layers)
    output = output or os.path.join(model_dir, "figures", f"attention-{split}.png")
    attention_grid.write_png(output, picture)
    return output


def open_with_data(model_dir: str, split: str, overrides=()):
    """(run without weights, DatasetInfo at its `--data_dir`), for this machine, and checked.

    ValueError: no run, no such split, missing or damaged shards, or other classes.
    """
    here = ("--tpu=", "--cpu_devices=1", *overrides)  # training may have been elsewhere
    run = directory.open_run(model_dir, here)
    run.require_data()
    info = dataset_info.load_info(run.config.data_dir)
    info.require_split(split, "split")
    check_same_classes(run.info, info, run.config.data_dir)
    dataset_info.check_shards(run.config.data_dir, info, split)
    return run, info


def check_same_classes(trained_on, info, data_dir: str) -> None:
    """ValueError unless a data set has the classes, in the order, that a network was trained on."""
    if info.class_names != trained_on.class_names:
        raise ValueError(
            f"--data_dir={data_dir} has other classes, or another order of them, than the data set "
            f"the network was trained on: {len(info.class_names)}, beginning with "
            f"{', '.join(info.class_names[:3])}; not {len(trained_on.class_names)}, beginning with "
            f"{', '.join(trained_on.class_names[:3])}. Labels would mean something else."
        )


def _write(model_dir, numbers, columns, picture, class_names):
    """All files of an evaluation, whose paths it returns."""
    split = numbers["split"]
    name = naming.result_name(split, numbers)
    attention, drawn = (
        os.path.join(model_dir, "figures", f"{kind}-{name}.png")
        for kind in ("attention", "diagnostics")
    )
    attention_grid.write_png(attention, picture)
    title = f"{numbers['network']}, {split} split of {numbers['data_set']}"
    plots.write(drawn, columns, title)
    confused = []
    if len(class_names) <= confusion.MOST_CLASSES:
        confused = [os.path.join(model_dir, "figures", f"confusion-{name}.png")]
        confusion.write(confused[0], columns, class_names, title)
    table = per_image.path_of(model_dir, split, numbers)
    per_image.write(table, columns)
    # Last: who finds results finds all the rest.
    return scores.write_results(model_dir, split, numbers), table, attention, drawn, *confused
