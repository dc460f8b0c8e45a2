"""Two published ways to score a network's maps against people's, each under its name.

* `paper` (Linsley et al. 2019, as `gala_tf.evaluate` reads it): central crop; human counts blurred
  and summed exactly over the cells of the map's grid; Spearman, and its fraction of the human
  ceiling of this data set.
* `harmonization` (Fel et al. 2022): the whole central square at 256x256, squashed to the network's
  input; human maps through that work's own blur; Spearman, Dice and IoU of the top 10 % at 224x224;
  its Spearman divided by its constant 0.6575 (`map_metrics`).

The network sees other crops in the two, so it runs once for each.
N images, B of a batch
"""

import dataclasses

import numpy as np

from gala_tf import config
from gala_tf.data import clickmaps, dataset_info
from gala_tf.evaluation import harmonization, scores

NAMES = ("paper", "harmonization")
INPUT_MAPS = ("gradient", "smoothgrad")  # as large as the input
INPUT_MAPS_GRID = 14  # that of the paper's attention maps


@dataclasses.dataclass(frozen=True)
class Data:
    """A split as a convention shows it to a network.

    Attributes:
        data_dir, info, split: the data set.
        image_size: side of the network's input, pixels.
        batch_size: B.
        crop_fraction, clickmap_blur: of the paper's convention, as the flags of `config`.
    """

    data_dir: str
    info: dataset_info.DatasetInfo
    split: str
    image_size: int
    batch_size: int = 32
    crop_fraction: float = 0.875
    clickmap_blur: str = "box:49"

    @property
    def examples(self) -> int:
        """Images of the split, N."""
        return self.info.require_split(self.split).examples


def compared_sides(maps, grid: int = 0) -> dict[str, int]:
    """{map: side of the grid on which the paper's convention compares it}.

    A layer's map is compared on its own grid, as in `evaluate`; gradients, as large as the input,
    are summed over the cells of 14x14, the grid of the paper's attention.

    Args:
        maps: {name: [B, h, w]}.
        grid: 0, or the grid for all of them.

    Raises:
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


# --------------------------------------------------------------------------- what networks see


def paper_batches(data: Data, clickmap_size: int):
    """Batches as `evaluate` sees them: central crop, exact sums of blurred counts."""
    from gala_tf.data import input_pipeline

    return input_pipeline.make_eval_dataset(
        data.data_dir,
        data.info,
        data.split,
        batch_size=min(data.batch_size, data.examples),
        clickmap_size=clickmap_size,
        **_geometry(data),
    )


def _geometry(data):
    return {
        "image_size": data.image_size,
        "crop_fraction": data.crop_fraction,
        "clickmap_blur": clickmaps.parse_blur(data.clickmap_blur),
    }


def harmonization_batches(data: Data):
    """Batches as that work prepares them, unpadded: `image` float32, `clickmap` [B, 256, 256, 1].

    The central square is brought to 256x256 (its images and maps are stored so), then the image to
    the input's size: bilinear, without antialiasing or rounding. The counts are not yet blurred
    (`map_metrics.harmonization_maps`). Its own JPEG decoder may differ by a grey level here and
    there: ours is the exact one.
    """
    import tensorflow as tf

    from gala_tf.data import preprocessing, records

    side, size = harmonization.STORED_SIDE, data.image_size
    names = ["image/encoded", "image/height", "image/width", "image/class/label"]

    def prepare(index, serialized):
        record = records.parse_example(serialized, [*names, "clickmap/counts"])
        shape = [tf.cast(record[name], tf.int32) for name in names[1:3]]
        window = preprocessing.center_window(*shape, 1.0)
        image = preprocessing.cut_image(record["image/encoded"], window, side)
        counts = records.decode_counts(record["clickmap/counts"], *shape)
        counts = preprocessing.cut_clickmap(
            counts, window, False, shape, side, "area", dtype="float64"
        )
        return {
            "image": tf.image.resize(tf.cast(image, tf.float32), [size, size], "bilinear"),
            "label": tf.cast(record["image/class/label"], tf.int32),
            "clickmap": counts,
            "has_clickmap": tf.cast(tf.reduce_any(counts > 0), tf.float32),
            "image_index": tf.cast(index, tf.int32),
        }

    return (
        tf.data.TFRecordDataset(dataset_info.check_shards(data.data_dir, data.info, data.split))
        .enumerate()
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(data.batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


# --------------------------------------------------------------------------- running a network


def run(convention: str, explain, data: Data, sides: dict[str, int]):
    """What a network says of a split, and the scores of its maps.

    Args:
        convention: one of NAMES.
        explain: as from `explanations.make_explainer`, but of pixels 0..255: (images, labels,
            indices) -> (class scores [B, K], {name: map [B, h, w]}).
        data: the split.
        sides: from `compared_sides`; used by the paper's convention.

    Returns:
        (`evaluate.Predictions`, {"SCORE/MAP": [N], NaN where there is none}). By `paper` the
        predictions hold the maps, and the second is empty: `scores` and `per_image` take it from
        there. By `harmonization` maps of 224x224 would fill the memory: they are scored batch by
        batch, the predictions hold none, and their `clickmap` is each map's sum.

    Raises:
        ValueError: a record cannot be read, or an image was seen not at all or twice.
    """
    import tensorflow as tf
    from tqdm import tqdm

    from gala_tf.data import reading

    of_paper = convention == "paper"
    dataset = paper_batches(data, max(sides.values())) if of_paper else harmonization_batches(data)
    parts = []
    progress = tqdm(total=data.examples, desc=convention, unit="image", disable=None)
    with reading.named_records(data.data_dir, data.info, data.split):
        for batch in dataset:
            found = explain(batch["image"], batch["label"], batch["image_index"])
            # Without padding, whose index is -1.
            (class_scores, maps), batch = _real((found, batch), batch["image_index"] >= 0)
            human, has_map = batch["clickmap"][..., 0], batch["has_clickmap"] > 0
            if of_paper:
                maps = {name: _on_grid(maps[name], side) for name, side in sides.items()}
            else:
                maps = _harmonization_scores(maps, human, has_map)
                human = human.sum((1, 2), keepdims=True)
            parts.append(
                {
                    **answers(class_scores, batch["label"]),
                    "clickmap": human,
                    "has_clickmap": has_map,
                    "maps": maps,
                    "image_index": batch["image_index"],
                }
            )
            progress.update(len(has_map))
    progress.close()
    columns = tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
    return _predictions(columns, data, of_paper)


def _real(tensors, mask):
    import tensorflow as tf

    return tf.nest.map_structure(lambda tensor: tensor.numpy()[mask.numpy()], tensors)


def _predictions(columns, data, of_paper):
    from gala_tf import evaluate

    index = columns.pop("image_index")
    if not np.array_equal(index, np.arange(data.examples)):
        raise ValueError(
            f"Evaluation of split {data.split!r} must see each of {data.examples} images once, but "
            f"saw {len(index)} ({len(np.unique(index))} different). The shards do not match "
            f"{dataset_info.INFO_FILE}; build the data set again."
        )
    scored = {} if of_paper else columns.pop("maps")
    return evaluate.Predictions(**{"maps": {}, **columns}), scored


def answers(class_scores, label) -> dict:
    """label, prediction, rank, cross_entropy, confidence of a batch, [B] each, as `evaluate` does.

    Args:
        class_scores: [B, K] logits; or probabilities, which are known by their sum of 1.
        label: [B].
    """
    from scipy import special

    class_scores = np.asarray(class_scores, np.float64)
    true = np.take_along_axis(class_scores, label[:, None], 1)  # [B, 1]
    close_to_1 = abs(class_scores.sum(1, keepdims=True) - 1) < 1e-3
    probabilities = (class_scores >= 0).all(1, keepdims=True) & close_to_1
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(
            probabilities,
            np.log(np.maximum(class_scores, 0)),
            special.log_softmax(class_scores, axis=1),
        )
    return {
        "label": label,
        "prediction": class_scores.argmax(1).astype(np.int32),
        # Ties and NaN count against the network.
        "rank": (~(class_scores < true)).sum(1).astype(np.int32) - 1,
        "cross_entropy": -np.take_along_axis(logs, label[:, None], 1)[:, 0],
        "confidence": np.exp(logs.max(1)),
    }


def _on_grid(maps, side):
    return maps if maps.shape[1] == side else scores.block_sum(maps, side)


def _harmonization_scores(maps, human, has_map):
    """{"SCORE/MAP": [B]} of a batch; NaN for images without a human map."""
    human = harmonization.harmonization_maps(human[has_map])
    columns = {}
    for name, model_maps in maps.items():
        model_maps = harmonization.enlarge(model_maps[has_map])
        found = harmonization.harmonization_agreement(model_maps, human)
        for score, values in found.items():
            columns[f"{score}/{name}"] = np.full(len(has_map), np.nan)
            columns[f"{score}/{name}"][has_map] = values
    return columns


# --------------------------------------------------------------------------- numbers


def paper_numbers(predictions, data: Data, sides: dict[str, int]) -> dict:
    """The numbers of `evaluate`, ready for JSON: `scores.results` with this split's ceilings."""
    run_config = config.Config(
        data_dir=data.data_dir,
        image_size=data.image_size,
        crop_fraction=data.crop_fraction,
        clickmap_blur=data.clickmap_blur,
    )
    ceilings = scores.find_ceilings(
        run_config, data.info, data.split, _geometry(data), sides.values()
    )
    return scores.results(predictions, ceilings)


def harmonization_numbers(predictions, columns) -> dict:
    """That work's numbers, ready for JSON: means over images, with their standard errors and n.

    Args:
        predictions, columns: from `run`.
    """
    maps, with_map = {}, int(predictions.has_clickmap.sum())
    for column, values in columns.items():
        score, _, name = column.partition("/")
        values = values[~np.isnan(values)]
        n = len(values)
        numbers = maps.setdefault(name, {"grid": harmonization.COMPARED_SIDE})
        numbers[score] = {
            "mean": float(values.mean()) if n else np.nan,
            "standard_error": float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
            "images": n,
            "undefined": with_map - n,  # a constant map (Spearman), or one that holds a NaN
        }
        if score == "spearman":
            numbers["fraction_of_ceiling"] = (
                numbers[score]["mean"] / harmonization.HARMONIZATION_CEILING
            )
    return {
        "examples": len(predictions.label),
        **scores.accuracy_numbers(predictions),
        "maps": maps,
        "human_ceiling": {
            "value": harmonization.HARMONIZATION_CEILING,
            "estimator": harmonization.HARMONIZATION_ESTIMATOR,
        },
    }
