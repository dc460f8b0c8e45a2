"""The numbers of an evaluation: errors, map scores with their ceilings and baselines, the table.

N images, h w the grid of a map, L scored layers
"""

import dataclasses
import json
import math
import os

from gala_tf import metrics
from gala_tf.data import eval_pipeline, files, map_operators
from gala_tf.evaluation import naming, significance

TOP5_CLASSES = 5  # of so many, or fewer, the five best hold the true one anyhow


def accuracy_numbers(predictions) -> dict[str, float]:
    """Top-1 and top-5 accuracy in 0..1, and mean cross-entropy in nats."""
    return {
        "top1": float((predictions.rank < 1).mean()),
        "top5": float((predictions.rank < 5).mean()),
        "cross_entropy": float(predictions.cross_entropy.mean()),
    }


def map_numbers(predictions, seed: int = 0) -> dict[str, metrics.Agreement]:
    """{layer: agreement with the human maps}, over the images that have one."""
    with_map = predictions.has_clickmap
    if not with_map.any():
        return {}
    human = predictions.clickmap[with_map]
    # As fine as the finest layer: summed over the cells of the coarser ones, exactly.
    return {
        name: metrics.map_agreement(maps[with_map], block_sum(human, maps.shape[1]), seed)
        for name, maps in predictions.maps.items()
    }


def block_sum(maps, size: int):
    """Sums over size x size cells, [N, h, w] -> [N, size, size] float64.

    Exact for integer maps where size divides h and w: ties stay ties.
    """
    vertical, horizontal = (
        map_operators.resample_matrix(side, size, 0.0, side, "area", dtype="float64").numpy()
        for side in maps.shape[1:]
    )
    return vertical @ maps.astype("float64") @ horizontal.T


def validation_numbers(predictions, classes: int) -> dict[str, float]:
    """Flat numbers for the log: accuracy, each layer's Spearman, the centre prior's.

    Without top-5 where it says nothing of so few `classes`.
    """
    maps, numbers = map_numbers(predictions), accuracy_numbers(predictions)
    if classes <= TOP5_CLASSES:
        del numbers["top5"]
    for name, agreement in maps.items():
        numbers[f"spearman/{name}"] = agreement.spearman
        numbers["center_prior"] = agreement.center_prior  # of the last layer
    return numbers


def image_scores(predictions, places, layer: str):
    """Spearman of single images' maps of a layer, [N] at `places`; NaN without a human map."""
    maps, clickmaps = predictions.maps[layer][places], predictions.clickmap[places]
    human = block_sum(clickmaps, maps.shape[1])
    found = metrics.spearman(maps.reshape(len(maps), -1), human.reshape(len(maps), -1))
    found[~predictions.has_clickmap[places]] = math.nan
    return found


def results(predictions, ceilings: dict) -> dict:
    """All numbers of a split, ready for JSON. `ceilings` are from `find_ceilings`."""
    layers = {}
    for name, agreement in map_numbers(predictions).items():
        grid = predictions.maps[name].shape[1]  # maps are compared at grid x grid
        ceiling = ceilings[grid]["value"]
        fraction = agreement.spearman / ceiling if ceiling else None
        own = {"grid": grid, "fraction_of_ceiling": fraction}
        layers[name] = {**dataclasses.asdict(agreement), **own}
    final = list(layers)[-1] if layers else None
    calibration, _ = significance.expected_calibration_error(
        predictions.confidence, predictions.rank < 1
    )
    return {
        "examples": len(predictions.label),
        **accuracy_numbers(predictions),
        "expected_calibration_error": calibration,  # of 15 bins
        "maps": layers,
        "final_layer": final,
        "human_ceiling": ceilings[layers[final]["grid"]] if final else None,
    }


CLICKME_CEILING = {
    "value": metrics.PAPER_HUMAN_CEILING,
    "estimator": "Linsley et al. 2019 for ClickMe, asked for by --ceiling=clickme",
}


def is_clickme(info) -> bool:
    """Whether a data set's maps are ClickMe's: by its published ceiling, or from which release.

    A file of clicks alone does not say so: those of one's own game, and of gaze, are such files.
    """
    published = (info.human_ceiling or {}).get("value") == metrics.PAPER_HUMAN_CEILING
    releases = ("--source=clickme_release", "--source=clickme_harmonization")
    return published or any(source in info.command for source in releases)


def find_ceilings(data, sides) -> dict[int, dict]:
    """The human ceiling of a split on the grids that `sides` lists, {side: {"value", "estimator"}}.

    Estimated from the split's participants where it has their single maps, which are cut as the
    split's are; else what the data set's authors published, if `dataset_info.json` knows it; else
    there is none (None): the reliability of other maps of other images is no ceiling of these. The
    estimator's name goes wherever the value goes, and says what it is and on which grid and blur.
    `data` is a `protocols.Data`.
    """
    if data.ceiling == "clickme":
        return dict.fromkeys(sides, CLICKME_CEILING)
    if data.info.require_split(data.split).with_participants:
        ceilings = {}
        for side in sorted(set(sides)):
            seen = data.clickmap_geometry(side)
            maps = eval_pipeline.participant_maps(data.data_dir, data.info, data.split, **seen)
            ceilings[side] = metrics.human_ceiling(maps, seed=0)
            ceilings[side]["estimator"] += f", {side}x{side}, blur {data.clickmap_blur}"
        return ceilings
    known = data.info.human_ceiling or {
        "value": None,
        "estimator": "none: no image has maps of two participants, and none is published for this "
        f"data set (ClickMe: {metrics.PAPER_HUMAN_CEILING}, Linsley et al. 2019)",
    }
    return dict.fromkeys(sides, known)


def table(numbers: dict) -> str:
    """The results as text for a screen."""
    lines = [
        f"{numbers['network']}, {numbers['split']} split, {numbers['examples']} images, "
        f"{numbers['weights']} weights (step {numbers['step']})",
        f"  {errors(numbers, 6)}",
    ]
    if not numbers["maps"]:
        return "\n".join(lines)

    def line(name, rho, standard_error, ceiling):
        columns = [_cell(rho, "8.3f"), _cell(standard_error, "7.3f")]
        return f"    {name:<25}{''.join(columns)}{_cell(ceiling and 100 * ceiling, '10.1f')}"

    people = not numbers.get("simulated_maps")  # results of before do not say
    origin = "human" if people else "simulated"
    ceiling = numbers["human_ceiling"]
    final = numbers["maps"][numbers["final_layer"]]
    relative = (lambda rho: rho / ceiling["value"]) if ceiling["value"] else (lambda rho: None)
    # Layers may differ: of a constant map there is no correlation.
    counts = sorted({m["images"] for m in numbers["maps"].values()})
    n = f"{counts[0]} images" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} images a layer"
    lines += [
        f"  agreement with {origin} maps: Spearman on {final['grid']}x{final['grid']}, blur "
        f"{numbers['clickmap_blur']}, mean over {n}",
        "    layer                         rho   s.e.  % of ceiling",
        *(
            line(name, m["spearman"], m["standard_error"], m["fraction_of_ceiling"])
            for name, m in numbers["maps"].items()
        ),
        line("centre prior", final["center_prior"], None, relative(final["center_prior"])),
        line("shuffled (final layer)", final["shuffled"], None, relative(final["shuffled"])),
        f"    {'human ' * people}ceiling {_cell(ceiling['value'], '.3f')}: {ceiling['estimator']}"
        + (f", n = {ceiling['images']}" if "images" in ceiling else ""),
    ]
    return "\n".join(lines)


def errors(numbers: dict, width: int = 0) -> str:
    """Top-1 and top-5 error as text; top-5 only where it could be more than 0."""
    names = {"top-1": "top1", "top-5": "top5"}
    if numbers.get("classes", math.inf) <= TOP5_CLASSES:
        del names["top-5"]
    separator = "    " if width else ", "
    return separator.join(
        f"{name} error {100 * (1 - numbers[key]):{width}.2f} %" for name, key in names.items()
    )


def _cell(value, form):
    """A number as text; a dash, as wide, for one that is undefined."""
    if value is None or math.isnan(value):
        return "-".rjust(int(form.split(".")[0] or 1))
    return format(value, form)


def write_results(model_dir: str, split: str, numbers: dict) -> str:
    """Writes `results-<result_name>.json` into the run directory; returns its path."""
    path = os.path.join(model_dir, f"results-{naming.result_name(split, numbers)}.json")
    write_json(path, numbers)
    return path


def write_json(path: str, numbers: dict) -> None:
    """Writes numbers for anyone to read: JSON knows no NaN and no infinity, they become null."""

    def without_nan(value):
        if isinstance(value, dict):
            return {key: without_nan(part) for key, part in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    files.write(path, json.dumps(without_nan(numbers), indent=1, allow_nan=False) + "\n")
