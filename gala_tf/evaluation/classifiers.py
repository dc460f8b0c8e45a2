"""Evaluates any saved Keras classifier on a split, and the agreement of its maps with people's.

Writes `results-SPLIT-MODEL-MAPS.json` and `per_image-SPLIT-MODEL-MAPS.csv` (`per_image`), and
prints a table. Maps are scored by two protocols (`protocols`), the paper's and Harmonization's,
whose numbers are not comparable: each is printed with its grid, its n and its ceiling.
"""

import dataclasses
import os
import re
from typing import Any

import keras
import tensorflow as tf

from gala_tf.data import dataset_info, eval_pipeline, places
from gala_tf.evaluation import per_image, protocols, readers, scores
from gala_tf.evaluation.evaluator import Evaluator
from gala_tf.evaluation.request import Request
from gala_tf.explain import endings, explanations, network_parts, saved_models

KINDS = {
    endings.LOGITS: "logits",
    endings.PROBABILITIES: "probabilities",
    endings.SIGMOIDS: "a probability for each class by itself (cross-entropy and confidence: "
    "divided by their sum)",
}


def evaluate_classifier(request: Request) -> dict:
    """Evaluates a saved classifier: prints a table, writes the results and the per-image table.

    Returns what the JSON file holds. ValueError: an unusable model, map or data set; before the
    split is run, but for damaged records.
    """
    keras.config.set_image_data_format("channels_last")  # whatever this machine's keras.json says
    explanations.parse_kind(request.maps)
    stem = os.path.splitext(os.path.basename(request.model))[0]
    name = re.sub(r"[^\w.,=-]+", "_", f"{request.split}-{stem}-{request.maps}")
    directory = request.output_dir or os.path.dirname(request.model)
    results = os.path.join(directory, f"results-{name}.json")
    table_path = os.path.join(directory, f"per_image-{name}.csv")
    places.check_file(results, "output_dir", ('"conventions"', '"model"'))
    places.check_file(table_path, "output_dir", per_image.HEADS)
    info = dataset_info.load_info(request.data_dir)
    dataset_info.check_shards(request.data_dir, info, request.split)

    network, softmax_left_out = saved_models.load_model(request.model), False
    size = saved_models.input_size(network, request.image_size)
    saved_models.check_classes(network, size, info, request.data_dir)
    if request.score == "logit":
        network, softmax_left_out = network_parts.logit_network(network)
    reader = readers.any_classifier(
        network,
        request.maps,
        request.input_scaling,
        reduction=request.reduction,
        target=request.target,
        samples=request.samples,
        noise=request.noise,
        seed=request.seed,
        at_once=request.samples_at_once,
    )
    told_by = "its last step" if reader.kind else "the first images' scores"

    found: dict[str, dict] = {}
    columns: dict[str, Any] = {}
    ids = eval_pipeline.image_ids(request.data_dir, info, request.split)
    for protocol in make_protocols(request, info, size, reader):
        evaluator = Evaluator(tf.distribute.get_strategy(), reader, protocol)
        predictions = evaluator.run(progress=protocol.name)
        reader = reader._replace(kind=evaluator.score_kind)  # the same for the other protocol
        found[protocol.name] = protocol.numbers(predictions)
        # The answers are those of the first protocol: crops differ, and so may predictions.
        columns = columns or per_image.columns_of(predictions, ids, info.class_names)
        scored = predictions.scores.items()
        columns |= {f"{protocol.name}/{score}": values for score, values in scored}
    numbers = {
        **dataclasses.asdict(request),
        "model": os.path.basename(request.model),
        "data_set": info.name,
        "classes": info.num_classes,
        "simulated_maps": info.simulated,
        "image_size": size,
        "softmax_left_out": softmax_left_out,
        "class_scores": reader.kind,
        "class_scores_told_by": told_by,
        "conventions": found,
    }
    print(table(numbers))
    per_image.write(table_path, columns)
    scores.write_json(results, numbers)  # last: where there are results, there is all the rest
    print("wrote", results, table_path)
    return numbers


def make_protocols(request: Request, info, size: int, reader) -> list:
    """The protocols asked for; ValueError: a map that the paper's cannot compare on `--grid`."""
    # What the maps' sides are, a black image tells.
    nothing = tf.zeros([1], tf.int32)
    _, black = reader.look(tf.zeros([1, size, size, 3]), nothing, nothing)
    sides = protocols.compared_sides(black, request.grid)
    shown = dict(
        data_dir=request.data_dir,
        info=info,
        split=request.split,
        image_size=size,
        batch_size=request.batch_size,
        crop_fraction=request.crop_fraction,
        clickmap_blur=request.clickmap_blur,
        ceiling=request.ceiling,
    )
    made = {
        "paper": protocols.Paper(**shown, sides=sides),
        "harmonization": protocols.Harmonization(**shown),
    }
    return [made[name] for name in request.conventions]


def table(numbers: dict) -> str:
    """The results as text for a screen."""
    softmax = " (softmax left out)" if numbers["softmax_left_out"] else ""
    of = f" of the {numbers['target']} class's {numbers['score']}{softmax}"
    # Attention and activity are of no class.
    has_gradient = numbers["maps"].partition(":")[0] in ("gradient", "smoothgrad", "gradcam")
    lines = [
        f"{numbers['model']}, {numbers['split']} split of {numbers['data_set']}, "
        f"maps: {numbers['maps']}{of if has_gradient else ''}",
        f"  class scores are {KINDS[numbers['class_scores']]}{softmax}, told by "
        f"{numbers['class_scores_told_by']}",
    ]
    for name, found in numbers["conventions"].items():
        errors = scores.errors(found | {"classes": numbers["classes"]})
        lines.append(f"  {name}: {found['examples']} images, {errors}")
        write = _paper_line if name == "paper" else _harmonization_line
        lines += [f"    {key}: {write(m)}" for key, m in found["maps"].items()]
        if ceiling := found["human_ceiling"]:
            value = "none" if ceiling["value"] is None else f"{ceiling['value']:.4f}"
            n = f", n = {ceiling['images']}" if "images" in ceiling else ""
            words = ceiling["estimator"].removeprefix("none: ")
            human = "" if numbers["simulated_maps"] else "human "
            lines.append(f"    {human}ceiling {value}: {words}{n}")
        else:
            lines.append("    no image of this split has a map")
    return "\n".join(lines)


def _paper_line(found):
    return (
        f"Spearman {found['spearman']:.3f} (s.e. {found['standard_error']:.3f}) on "
        f"{found['grid']}x{found['grid']}, n = {found['images']}{_fraction(found)}; shuffled "
        f"{found['shuffled']:.3f}, centre prior {found['center_prior']:.3f}"
    )


def _harmonization_line(found):
    names = {"spearman": "Spearman", "dice": "Dice of the top 10 %", "iou": "IoU of the top 10 %"}
    parts = (
        f"{title} {found[key]['mean']:.3f} (s.e. {found[key]['standard_error']:.3f}, n = "
        f"{found[key]['images']})"
        for key, title in names.items()
    )
    return f"{', '.join(parts)} on {found['grid']}x{found['grid']}{_fraction(found)}"


def _fraction(found):
    fraction = found["fraction_of_ceiling"]
    return "" if fraction is None else f", {100 * fraction:.1f} % of the ceiling"
