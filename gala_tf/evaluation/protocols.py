"""What a network is shown, and how its maps are scored against people's: one class a protocol.

* `Paper` (Linsley et al. 2019): central crop; human counts blurred and summed exactly over the
  cells of the map's grid; Spearman, and its fraction of the human ceiling of this data set.
* `Harmonization` (Fel et al. 2022): the whole central square at 256x256, squashed to the network's
  input; human maps through that work's own blur; Spearman, Dice and IoU of the top 10 % at 224x224;
  its Spearman divided by its constant 0.6575 (`harmonization`).
* `Given`: images in memory, for pictures; nothing is scored.

The network sees other crops in the first two, so it runs once for each. What the evaluator asks of
a protocol: `title`, `batch_size`, `places` (the images' places in the split, ascending), `batches`
for one host, `naming_records` around each step, and `compare`, which brings maps of a batch to the
grid where they are compared, or scores them at once.

N images, B of a batch, h w the grid of a map
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from gala_tf.data import (
    clickmaps,
    dataset_info,
    eval_pipeline,
    map_operators,
    preprocessing,
    reading,
    records,
)
from gala_tf.evaluation import harmonization, scores

INPUT_MAPS = ("gradient", "smoothgrad")  # as large as the input
INPUT_MAPS_GRID = 14  # that of the paper's attention maps


@dataclasses.dataclass(frozen=True)
class Data:
    """A split as a protocol shows it to a network."""

    data_dir: str
    info: dataset_info.DatasetInfo
    split: str
    image_size: int  # side of the network's input, pixels
    batch_size: int = 32  # images a step, all replicas together
    # Of the paper's protocol, as the flags of `config`
    crop_fraction: float = 0.875
    clickmap_blur: str = "box:49"
    map_alignment: str = "grid"
    # By which map scores are divided: `data`, this data set's, if known; or `clickme`, as published
    ceiling: str = "data"

    @property
    def title(self) -> str:
        """The split, in messages."""
        return f"split {self.split!r}"

    @property
    def places(self) -> np.ndarray:
        """Of all images of the split, [N]."""
        return np.arange(self.info.require_split(self.split).examples)

    def clickmap_geometry(self, side: int) -> dict:
        """How human maps are cut for a grid of `side` cells: arguments of the pipelines."""
        return {
            "clickmap_size": side,
            "clickmap_blur": clickmaps.parse_blur(self.clickmap_blur),
            "crop_fraction": self.crop_fraction,
            "clickmap_shift": map_operators.alignment_shift(
                self.map_alignment, side, self.image_size
            ),
        }

    def naming_records(self):
        """A context in which an error of reading names shard and record."""
        return reading.named_records(self.data_dir, self.info, self.split)


@dataclasses.dataclass(frozen=True)
class Paper(Data):
    """The paper's protocol; `sides` is {map: side of the grid on which it is compared}."""

    _: dataclasses.KW_ONLY
    sides: Mapping[str, int]

    name = "paper"

    @property
    def geometry(self) -> dict:
        """Arguments of the evaluation pipeline: central crop, maps as fine as the finest layer."""
        return {"image_size": self.image_size, **self.clickmap_geometry(max(self.sides.values()))}

    def batches(self, batch_size: int, input_context=None):
        """Central crops, and exact sums of blurred counts; padded to full batches."""
        return eval_pipeline.make_eval_dataset(
            self.data_dir,
            self.info,
            self.split,
            batch_size=batch_size,
            input_context=input_context,
            **self.geometry,
        )

    def read(self, places: Sequence[int]) -> dict:
        """What the network is shown at some places of the split: `read_examples`."""
        return eval_pipeline.read_examples(
            self.data_dir, self.info, self.split, places, self.geometry
        )

    def compare(self, batch: dict) -> dict:
        """Brings each map to its grid: sums over cells, where it is finer."""
        maps = {name: batch["maps"][name] for name in self.sides}
        for name, side in self.sides.items():
            if maps[name].shape[1] != side:
                maps[name] = scores.block_sum(maps[name], side)
        return {**batch, "maps": maps}

    def numbers(self, predictions) -> dict:
        """The numbers of an evaluation, ready for JSON: `scores.results` with these ceilings."""
        ceilings = scores.find_ceilings(self, self.sides.values())
        return scores.results(predictions, ceilings)


def compared_sides(maps, grid: int = 0) -> dict[str, int]:
    """{map: side of the grid on which the paper's protocol compares it}, of {map: [B, h, w]}.

    A layer's map is compared on its own grid; gradients, as large as the input, are summed over the
    cells of 14x14, the grid of the paper's attention; with a `grid`, all are over that one's.
    ValueError: a map that is not square, or coarser than `grid`.
    """
    sides = {}
    for name, made in maps.items():
        height, width = made.shape[1:]
        if height != width or grid > height:
            raise ValueError(
                f"The map {name} is {height}x{width}: expected a square, no coarser than "
                f"--grid={grid}. Give --grid=0 (each map's own) or at most its side."
            )
        sides[name] = grid or (min(height, INPUT_MAPS_GRID) if name in INPUT_MAPS else height)
    return sides


class Harmonization(Data):
    """The protocol of Fel et al. 2022.

    Its maps of 224x224 would fill the memory: they are scored batch by batch. The predictions hold
    the scores instead, and of each human map its sum.
    """

    name = "harmonization"

    def batches(self, batch_size: int, input_context=None):
        """Batches as that work prepares them: `image` float32, `clickmap` [B, 256, 256, 1].

        Unpadded; the counts are not yet blurred (`harmonization_maps`).
        """
        del input_context  # on one host alone
        side, size = harmonization.STORED_SIDE, self.image_size
        names = ["image/encoded", "image/height", "image/width", "image/class/label"]

        def prepare(index, serialized):
            record = records.parse_example(serialized, [*names, "clickmap/counts"])
            shape = height, width = reading.image_shape(record)
            # The central square at 256x256: so its images and maps are stored.
            window = preprocessing.center_window(height, width, 1.0)
            # By TensorFlow's default transform, as that work's loader does: a faster one than that
            # of training and of the paper's protocol, 1.3 grey levels away on average, up to 17.
            image = preprocessing.cut_image(record["image/encoded"], window, side, dct_method="")
            counts = records.decode_counts(record["clickmap/counts"], *shape)
            counts = preprocessing.cut_clickmap(
                counts, window, False, shape, side, "area", dtype="float64"
            )
            return {
                # Without antialiasing or rounding.
                "image": tf.image.resize(tf.cast(image, tf.float32), [size, size], "bilinear"),
                "label": tf.cast(record["image/class/label"], tf.int32),
                "clickmap": counts,
                "has_clickmap": tf.cast(tf.reduce_any(counts > 0), tf.float32),
                "image_index": tf.cast(index, tf.int32),
            }

        return (
            tf.data.TFRecordDataset(dataset_info.check_shards(self.data_dir, self.info, self.split))
            .enumerate()
            .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(batch_size)
            .prefetch(tf.data.AUTOTUNE)
        )

    def compare(self, batch: dict) -> dict:
        """Scores the maps, {"SCORE/MAP": [B]}; NaN for images without a human map."""
        with_map, counts = batch["has_clickmap"], batch["clickmap"]
        human = harmonization.harmonization_maps(counts[with_map])
        found = {}
        for name, maps in batch["maps"].items():
            maps = harmonization.enlarge(maps[with_map])
            for score, values in harmonization.harmonization_agreement(maps, human).items():
                found[f"{score}/{name}"] = np.full(len(with_map), np.nan)
                found[f"{score}/{name}"][with_map] = values
        sums = counts.sum((1, 2), keepdims=True)
        return {**batch, "maps": {}, "scores": found, "clickmap": sums}

    def numbers(self, predictions) -> dict:
        """That work's numbers, ready for JSON: means over images, their standard errors and n."""
        maps: dict[str, dict] = {}
        with_map = int(predictions.has_clickmap.sum())
        ceiling = self.find_ceiling()
        for column, values in predictions.scores.items():
            score, _, name = column.partition("/")
            numbers = maps.setdefault(name, {"grid": harmonization.COMPARED_SIDE})
            numbers[score] = _mean(values[~np.isnan(values)], with_map)
            if score == "spearman":
                value, mean = ceiling["value"], numbers[score]["mean"]
                numbers["fraction_of_ceiling"] = mean / value if value else None
        return {
            "examples": len(predictions.label),
            **scores.accuracy_numbers(predictions),
            "maps": maps,
            "human_ceiling": ceiling if with_map else None,
        }

    def find_ceiling(self) -> dict:
        """That work's constant where the maps are ClickMe's, or it was asked for; else none."""
        if self.ceiling == "clickme" or scores.is_clickme(self.info):
            return {
                "value": harmonization.HARMONIZATION_CEILING,
                "estimator": harmonization.HARMONIZATION_ESTIMATOR,
            }
        return {
            "value": None,
            "estimator": "none: the published constant, "
            f"{harmonization.HARMONIZATION_CEILING:.4f}, is of ClickMe's maps, and these are "
            "others (--ceiling=clickme divides by it)",
        }


def _mean(values, with_map):
    n = len(values)
    return {
        "mean": float(values.mean()) if n else np.nan,
        "standard_error": float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
        "images": n,
        "undefined": with_map - n,  # a constant map (Spearman), or one that holds a NaN
    }


@dataclasses.dataclass
class Given:
    """Images that are there already, [N, S, S, 3] uint8; they have no human map here."""

    images: np.ndarray
    # [N] true classes; None where there are none: ranks and entropies mean nothing then
    labels: np.ndarray | None = None
    # [N] in a split, ascending, on which the noise of explanations depends; None: 0..N-1
    places: np.ndarray | None = None
    batch_size: int = 8
    title: str = "the images given"

    def __post_init__(self):
        if self.labels is None:
            self.labels = np.zeros(len(self.images), np.int32)
        if self.places is None:
            self.places = np.arange(len(self.images))

    def naming_records(self):
        """Nothing is read, so there is nothing to name."""
        return contextlib.nullcontext()

    def batches(self, batch_size: int, input_context=None):
        """The images in their order, unpadded."""
        del input_context  # on one host alone
        count = len(self.images)
        columns = {
            "image": self.images,
            "label": np.asarray(self.labels, np.int32),
            "clickmap": np.zeros((count, 1, 1, 1), np.float32),
            "has_clickmap": np.zeros(count, np.float32),
            "image_index": np.asarray(self.places, np.int32),
        }
        return tf.data.Dataset.from_tensor_slices(columns).batch(batch_size)

    def compare(self, batch: dict) -> dict:
        """Maps stay as they are."""
        return batch
