"""Evaluates any saved Keras classifier on a split, and the agreement of its maps with people's.

    python -m gala_tf.evaluation.classifiers --model=MODEL.keras --maps=gradient --data_dir=DATA

Writes `results-SPLIT-MODEL-MAPS.json` and `per_image-SPLIT-MODEL-MAPS.csv` (`per_image`), and
prints a table. Map agreement is scored by the two `conventions`, the paper's and Harmonization's,
whose numbers are not comparable: each is printed with its grid, its n and its ceiling.
"""

import dataclasses
import json
import os
import re

from absl import flags

from gala_tf import command
from gala_tf.data import dataset_info, files
from gala_tf.evaluation import protocols, scores
from gala_tf.explain import saved_models


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of a model; FLAGS_HELP says what each field means."""

    model: str
    data_dir: str
    split: str = "test"
    maps: str = "gradient"
    conventions: tuple[str, ...] = protocols.NAMES
    input_scaling: str = "none"
    image_size: int = 0
    target: str = "true"
    score: str = "logit"
    reduction: str = "max"
    grid: int = 0
    crop_fraction: float = 0.875
    clickmap_blur: str = "box:49"
    samples: int = 50
    noise: float = 0.15
    seed: int = 0
    samples_at_once: int = 1
    batch_size: int = 32
    output_dir: str = ""


FLAGS_HELP = {
    "model": "A classifier in Keras' own format, NAME.keras.",
    "data_dir": "Directory of the shards: a data set of the classes that the model tells apart.",
    "split": "Split to evaluate.",
    "maps": "attention (our networks), gradient, smoothgrad, gradcam[:LAYER] or activity:LAYER.",
    "conventions": "How maps are scored; by default both.",
    "input_scaling": "What the model takes: none = pixels 0..255 RGB; 0..1; -1..1; caffe = BGR "
    "minus ImageNet's mean; torch = 0..1, minus the mean, by the deviation.",
    "image_size": "Height = width of the model's input, if the model leaves it open.",
    "target": "Class whose score gradients are of: the true one, or the one predicted.",
    "score": "Gradients of the logit (a final softmax is left out), or of the output as it is "
    "(what Xplique and Harmonization do).",
    "reduction": "Of absolute gradients over channels.",
    "grid": "Grid of the paper's convention; 0 = a layer's own, 14 for maps of the input's size.",
    "crop_fraction": "Side of the paper's central crop / short side of the image.",
    "clickmap_blur": "Blur of human maps in the paper's convention, as for training.",
    "samples": "SmoothGrad: noisy copies of an image.",
    "noise": "SmoothGrad: deviation of the noise / range of the image's values.",
    "seed": "SmoothGrad: of the noise.",
    "samples_at_once": "SmoothGrad: copies of an image in memory at the same time.",
    "batch_size": "Images per step.",
    "output_dir": "Where to write; default: beside the model.",
}
CHOICES = {
    "conventions": protocols.NAMES,
    "input_scaling": tuple(saved_models.INPUT_SCALING),
    "target": ("true", "predicted"),
    "score": ("logit", "output"),
    "reduction": ("max", "mean", "sum", "norm"),
}
AT_LEAST_1 = ("samples", "samples_at_once", "batch_size")


def check(request: Request) -> None:
    """ValueError for what no model and no data set could make right."""
    from gala_tf.data import clickmaps

    for name, choices in CHOICES.items():
        value = getattr(request, name)
        values = value if isinstance(value, tuple) else (value,)
        if not values or not set(values) <= set(choices):
            raise ValueError(f"--{name} must be of {', '.join(choices)}; received {value!r}.")
    for name in AT_LEAST_1:
        if getattr(request, name) < 1:
            raise ValueError(f"--{name} must be positive; received {getattr(request, name)}.")
    for name in ("noise", "grid", "image_size"):
        if getattr(request, name) < 0:
            raise ValueError(f"--{name} must not be negative; got {getattr(request, name)}.")
    if not 0 < request.crop_fraction <= 1:
        raise ValueError(f"--crop_fraction must be in (0, 1]; received {request.crop_fraction}.")
    clickmaps.parse_blur(request.clickmap_blur)


def make_explainer(network, request: Request):
    """(explain, whether a softmax was left out): scaling of the input and `explanations` in one.

    Returns:
        explain(images 0..255, labels [B], indices [B]) -> (class scores [B, K], {name: map}).

    Raises:
        ValueError: a map that the network does not have.
    """
    from gala_tf.explain import explanations, network_parts

    removed = False
    if request.score == "logit":
        network, removed = network_parts.logit_network(network)
    explain = explanations.make_explainer(
        network,
        request.maps,
        reduction=request.reduction,
        target=request.target,
        samples=request.samples,
        noise=request.noise,
        seed=request.seed,
        at_once=request.samples_at_once,
    )

    def explain_pixels(images, labels, indices):
        return explain(saved_models.scale_input(images, request.input_scaling), labels, indices)

    return explain_pixels, removed


def evaluate_model(request: Request) -> dict:
    """Evaluates a saved classifier: prints a table, writes the results and the per-image table.

    Returns:
        What the JSON file holds.

    Raises:
        ValueError: an unusable choice, model, map or data set; before the split is run, but for
            damaged records.
    """
    import tensorflow as tf

    from gala_tf.data import eval_pipeline
    from gala_tf.evaluation import per_image
    from gala_tf.explain import explanations

    check(request)
    explanations.parse_kind(request.maps)
    info = dataset_info.load_info(request.data_dir)
    dataset_info.check_shards(request.data_dir, info, request.split)
    network = saved_models.load_model(request.model)
    size = saved_models.input_size(network, request.image_size)
    saved_models.check_classes(network, size, info, request.data_dir)
    explain, removed = make_explainer(network, request)
    nothing = tf.zeros([1], tf.int32)
    _, black = explain(tf.zeros([1, size, size, 3]), nothing, nothing)
    sides = protocols.compared_sides(black, request.grid)
    data = protocols.Data(
        request.data_dir,
        info,
        request.split,
        size,
        request.batch_size,
        request.crop_fraction,
        request.clickmap_blur,
    )
    found, columns = {}, {}
    ids = eval_pipeline.image_ids(request.data_dir, info, request.split)
    for name in request.conventions:
        predictions, scored = protocols.run(name, explain, data, sides)
        if name == "paper":
            found[name] = protocols.paper_numbers(predictions, data, sides)
        else:
            found[name] = protocols.harmonization_numbers(predictions, scored)
        # The answers are those of the first convention: crops differ, and so may predictions.
        columns = columns or per_image.columns_of(predictions, ids, info.class_names)
        columns |= {f"{name}/{score}": values for score, values in scored.items()}
    numbers = {
        **dataclasses.asdict(request),
        "model": os.path.basename(request.model),
        "data_set": info.name,
        "image_size": size,
        "softmax_left_out": removed,
        "conventions": found,
    }
    print(table(numbers))
    print("wrote", *_write(request, numbers, columns))
    return numbers


def _write(request, numbers, columns):
    """Writes both files; returns their paths."""
    from gala_tf.evaluation import per_image

    stem = os.path.splitext(os.path.basename(request.model))[0]
    name = re.sub(r"[^\w.,=-]+", "_", f"{request.split}-{stem}-{request.maps}")
    directory = request.output_dir or os.path.dirname(request.model)
    results, table_path = (
        os.path.join(directory, file) for file in (f"results-{name}.json", f"per_image-{name}.csv")
    )
    per_image.write(table_path, columns)
    # Last: where there are results, there is all the rest.
    files.write(results, json.dumps(scores.without_nan(numbers), indent=1, allow_nan=False) + "\n")
    return results, table_path


def table(numbers: dict) -> str:
    """The results as text for a screen."""
    softmax = " (softmax left out)" if numbers["softmax_left_out"] else ""
    of = f" of the {numbers['target']} class's {numbers['score']}{softmax}"
    has_gradient = numbers["maps"].partition(":")[0] in ("gradient", "smoothgrad", "gradcam")
    lines = [
        f"{numbers['model']}, {numbers['split']} split of {numbers['data_set']}, "
        f"maps: {numbers['maps']}{of if has_gradient else ''}"
    ]
    for name, found in numbers["conventions"].items():
        lines.append(
            f"  {name}: {found['examples']} images, top-1 error {100 * (1 - found['top1']):.2f} %, "
            f"top-5 error {100 * (1 - found['top5']):.2f} %"
        )
        write = _paper_line if name == "paper" else _harmonization_line
        lines += [f"    {key}: {write(m)}" for key, m in found["maps"].items()]
        if ceiling := found["human_ceiling"]:
            value = "none" if ceiling["value"] is None else f"{ceiling['value']:.4f}"
            lines.append(
                f"    human ceiling {value}: {ceiling['estimator'].removeprefix('none: ')}"
            )
        else:
            lines.append("    no image of this split has a human map")
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


def define_flags() -> None:
    """Declares a flag for each field of Request; `conventions` is a list."""
    for field in dataclasses.fields(Request):
        name, text = field.name, FLAGS_HELP[field.name]
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        if isinstance(default, tuple):
            flags.DEFINE_list(name, list(default), f"{text} <{'|'.join(CHOICES[name])}>")
        elif name in CHOICES:
            flags.DEFINE_enum(name, default, CHOICES[name], text)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text)
        else:
            flags.DEFINE_string(name, default, text, required=required)


def main():
    """Evaluates as the flags say."""
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(Request)}
    evaluate_model(Request(**{**values, "conventions": tuple(values["conventions"])}))


if __name__ == "__main__":
    define_flags()
    command.run(main)
