"""Networks of the paper's kind as functions, as `keras.applications` has them.

    network = gala_resnet50(weights="imagenet", classes=10, attention="gala_residual")
    network(images)  # {"logits": [B, 10], "attention": {layer: ...}, "activity": {layer: ...}}

All take the arguments of `build`. Depths are 18, 34, 50, 101, 152 and 200, each plain, with
squeeze-and-excitation and with GALA, each in version v1 or v2.
"""

import functools
from collections.abc import Sequence

import keras

from gala_tf.models import pretrained
from gala_tf.models.by_name import build_model


def build(
    depth: int,
    attention: str,
    weights: str | None = None,
    *,
    classes: int = 1000,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    class_names: Sequence[str] = (),
    name: str | None = None,
    **network_arguments,
) -> keras.Model:
    """A ResNet for pixel values 0..255, RGB [B, H, W, 3], which it normalises itself.

    Args:
        depth, attention: bound by the functions of this module; `attention` may be given again,
            as "gala_residual" for a gate that leaves pretrained weights as they are at first.
        weights: None for random ones, "imagenet" (v1, depths 18 to 152), or a file: `.safetensors`
            of torchvision or timm, `.keras` or `.weights.h5` of ours (`pretrained.load_weights`).
            What was loaded is printed; another number of classes leaves the head new.
        include_top: False gives "features" [B, H', W', C] in place of "logits".
        class_names: kept in saved files; as many as `classes`.
        network_arguments: of `build_model`, such as version="v2" or attention_units="all".

    ValueError: arguments that describe no network, or weights of another one.
    """
    height, width, channels = input_shape
    if channels != 3:
        raise ValueError(f"input_shape must end in 3, RGB. Received: {tuple(input_shape)}.")
    network = build_model(
        depth=depth,
        attention=attention,
        num_classes=classes,
        include_top=include_top,
        image_size=(height, width),
        class_names=class_names,
        name=name or f"{'' if attention == 'none' else attention + '_'}resnet{depth}",
        **network_arguments,
    )
    if weights is not None:
        if weights == "imagenet":
            weights = pretrained.imagenet_file(depth, network_arguments.get("version", "v1"))
        print(pretrained.load_weights(network, weights))
    return network


def _function(name, depth, attention):
    function = functools.partial(build, depth, attention=attention)
    function.__doc__ = f"`build` with depth={depth} and attention={attention!r}."
    function.__name__ = name  # type: ignore[attr-defined]
    return function


resnet18 = _function("resnet18", 18, "none")
resnet34 = _function("resnet34", 34, "none")
resnet50 = _function("resnet50", 50, "none")
resnet101 = _function("resnet101", 101, "none")
resnet152 = _function("resnet152", 152, "none")
resnet200 = _function("resnet200", 200, "none")
se_resnet18 = _function("se_resnet18", 18, "se")
se_resnet34 = _function("se_resnet34", 34, "se")
se_resnet50 = _function("se_resnet50", 50, "se")
se_resnet101 = _function("se_resnet101", 101, "se")
se_resnet152 = _function("se_resnet152", 152, "se")
se_resnet200 = _function("se_resnet200", 200, "se")
gala_resnet18 = _function("gala_resnet18", 18, "gala")
gala_resnet34 = _function("gala_resnet34", 34, "gala")
gala_resnet50 = _function("gala_resnet50", 50, "gala")
gala_resnet101 = _function("gala_resnet101", 101, "gala")
gala_resnet152 = _function("gala_resnet152", 152, "gala")
gala_resnet200 = _function("gala_resnet200", 200, "gala")
