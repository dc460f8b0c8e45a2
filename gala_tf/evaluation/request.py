"""What can be asked of a saved classifier: one field a flag of `gala_tf.evaluate --model=...`."""

import dataclasses
from typing import Any

from gala_tf import command

PROTOCOLS = ("paper", "harmonization")


def _flag(default: Any, help: str, *choices: str, path: bool = False):
    return command.flag(default, help, choices, path=path)


@dataclasses.dataclass(frozen=True)
class Request:
    """A saved classifier, the split it is evaluated on, and how. Names are the flags' names."""

    model: str = _flag(
        "",
        "A classifier in Keras' own format, NAME.keras.",
        path=True,
    )
    data_dir: str = _flag(
        "",
        "Directory of the shards: a data set of the classes that the model tells apart.",
        path=True,
    )
    split: str = _flag("test", "Split to evaluate.")
    maps: str = _flag(
        "gradient",
        "attention (our networks), gradient, smoothgrad, gradcam[:LAYER] or activity:LAYER.",
    )
    conventions: tuple[str, ...] = _flag(
        PROTOCOLS, "How maps are scored; by default both.", *PROTOCOLS
    )
    input_scaling: str = _flag(
        "none",
        "What the model takes: none = pixels 0..255 RGB; 0..1; -1..1; caffe = BGR minus ImageNet's "
        "mean; torch = 0..1, minus the mean, by the deviation.",
        *("none", "0..1", "-1..1", "caffe", "torch"),
    )
    image_size: int = _flag(0, "Height = width of the model's input, if the model leaves it open.")
    target: str = _flag(
        "true",
        "Class whose score gradients are of: the true one, or the one predicted.",
        *("true", "predicted"),
    )
    score: str = _flag(
        "logit",
        "Gradients of the logit (a final softmax is left out), or of the output as it is (what "
        "Xplique and Harmonization do).",
        *("logit", "output"),
    )
    reduction: str = _flag(
        "max", "Of absolute gradients over channels.", *("max", "mean", "sum", "norm")
    )
    grid: int = _flag(
        0, "Grid of the paper's convention; 0 = a layer's own, 14 for maps of the input's size."
    )
    crop_fraction: float = _flag(
        0.875, "Side of the paper's central crop / short side of the image."
    )
    clickmap_blur: str = _flag(
        "box:49", "Blur of human maps in the paper's convention, as for training."
    )
    samples: int = _flag(50, "SmoothGrad: noisy copies of an image.")
    noise: float = _flag(0.15, "SmoothGrad: deviation of the noise / range of the image's values.")
    seed: int = _flag(0, "SmoothGrad: of the noise.")
    samples_at_once: int = _flag(1, "SmoothGrad: copies of an image in memory at the same time.")
    batch_size: int = _flag(32, "Images per step.")
    output_dir: str = _flag(
        "",
        "Where to write; default: beside the model.",
        path=True,
    )

    def __post_init__(self):
        """ValueError for what no model and no data set could make right."""
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            values = value if isinstance(value, tuple) else (value,)
            if choices and not (values and set(values) <= set(choices)):
                raise ValueError(
                    f"--{field.name} must be of {', '.join(choices)}; received {value!r}."
                )
        for name in ("samples", "samples_at_once", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be positive; received {getattr(self, name)}.")
        for name in ("noise", "grid", "image_size"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} must not be negative; got {getattr(self, name)}.")
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"--crop_fraction must be in (0, 1]; received {self.crop_fraction}.")
