"""What can be asked of a saved classifier: one field a flag of `gala_tf.evaluate --model=...`."""

import dataclasses

from gala_tf import command

PROTOCOLS = ("paper", "harmonization")


@dataclasses.dataclass(frozen=True)
class Request:
    """A saved classifier, the split it is evaluated on, and how. Names are the flags' names."""

    model: str = command.flag("", "A classifier in Keras' own format, NAME.keras.", path=True)
    data_dir: str = command.flag(
        "",
        "Directory of the shards: a data set of the classes that the model tells apart.",
        path=True,
    )
    split: str = command.flag("test", "Split to evaluate.")
    maps: str = command.flag(
        "gradient",
        "attention (our networks), gradient, smoothgrad, gradcam[:LAYER] or activity:LAYER.",
    )
    conventions: tuple[str, ...] = command.flag(
        PROTOCOLS, "How maps are scored; by default both.", PROTOCOLS
    )
    input_scaling: str = command.flag(
        "none",
        "What the model takes: none = pixels 0..255 RGB; 0..1; -1..1; caffe = BGR minus ImageNet's "
        "mean; torch = 0..1, minus the mean, by the deviation.",
        ("none", "0..1", "-1..1", "caffe", "torch"),
    )
    image_size: int = command.flag(
        0,
        "Height = width of the model's input, if the model leaves it open.",
        within=command.NOT_NEGATIVE,
    )
    target: str = command.flag(
        "true",
        "Class whose score gradients are of: the true one, or the one predicted.",
        ("true", "predicted"),
    )
    score: str = command.flag(
        "logit",
        "Gradients of the logit (a final softmax is left out), or of the output as it is (what "
        "Xplique and Harmonization do).",
        ("logit", "output"),
    )
    reduction: str = command.flag(
        "max", "Of absolute gradients over channels.", ("max", "mean", "sum", "norm")
    )
    grid: int = command.flag(
        0,
        "Grid of the paper's convention; 0 = a layer's own, 14 for maps of the input's size.",
        within=command.NOT_NEGATIVE,
    )
    crop_fraction: float = command.flag(
        0.875,
        "Side of the paper's central crop / short side of the image.",
        within=command.AT_MOST_1,
    )
    clickmap_blur: str = command.flag(
        "box:49", "Blur of human maps in the paper's convention, as for training."
    )
    ceiling: str = command.flag(
        "data",
        "Human ceiling that map scores are divided by: `data` = this data set's own, none where it "
        "is not known; `clickme` = what was published for ClickMe.",
        ("data", "clickme"),
    )
    samples: int = command.flag(
        50, "SmoothGrad: noisy copies of an image.", within=command.POSITIVE
    )
    noise: float = command.flag(
        0.15,
        "SmoothGrad: deviation of the noise / range of the image's values.",
        within=command.NOT_NEGATIVE,
    )
    seed: int = command.flag(0, "SmoothGrad: of the noise.", within=command.SEED)
    samples_at_once: int = command.flag(
        1, "SmoothGrad: copies of an image in memory at the same time.", within=command.POSITIVE
    )
    batch_size: int = command.flag(32, "Images per step.", within=command.POSITIVE)
    output_dir: str = command.flag("", "Where to write; default: beside the model.", path=True)

    def __post_init__(self):
        """ValueError for what no model and no data set could make right."""
        command.check(self)
