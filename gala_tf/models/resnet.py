"""ResNets (He et al. 2016) with a slot for an attention layer in every residual unit.

The units are drawn in `residual_units`. Layer names (`stage3_block1_gala`) are API: checkpoints,
plots and logs refer to them, and `tests/golden/` guards them.

    B batch, H W space, C channels, K classes
"""

import re
from collections.abc import Callable, Sequence

import keras
import numpy as np

from gala_tf.layers.squeeze_excite import check_channels_last
from gala_tf.models.residual_units import EXPANSION, STEMS, Layers

# depth: (kind of unit, units in stages 1 to 4)
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
}
STAGE_WIDTHS = (64, 128, 256, 512)


def unit_names(stage_blocks: Sequence[int]) -> list[str]:
    """Names of all residual units in forward order: `stage1_block1`, ..."""
    return [
        f"stage{stage}_block{block}"
        for stage, blocks in enumerate(stage_blocks, start=1)
        for block in range(1, blocks + 1)
    ]


def select_units(attention_units: str, stage_blocks: Sequence[int]) -> list[str]:
    """The units that `attention_units` names, in forward order.

    Args:
        attention_units: `all`, a stage (`stage3`), or a comma-separated list of stages and units
            (`stage2,stage3_block6`).
        stage_blocks: units in each stage.

    ValueError: a name that is neither a stage nor a unit of this network.
    """
    names = unit_names(stage_blocks)
    wanted = [part.strip() for part in attention_units.split(",") if part.strip()]
    chosen = set()
    for part in wanted:
        found = [n for n in names if part == "all" or n == part or n.split("_")[0] == part]
        if not found:
            raise ValueError(
                f"attention_units={attention_units!r}: {part!r} is neither `all`, a stage nor a "
                f"unit of this network, whose units are {', '.join(names)}."
            )
        chosen.update(found)
    return [name for name in names if name in chosen]


def layer_number(name: str, stage_blocks: Sequence[int], unit: str = "bottleneck") -> int:
    """The paper's number of a unit's last convolution, counted from 0 along the main path.

    In a ResNet-50 the six units of stage 3 are layers 24, 27, 30, 33, 36 and 39.

    Args:
        name: a unit (`stage3_block1`) or a layer in it (`stage3_block1_gala`).
        stage_blocks: units in each stage.
        unit: `bottleneck` (three convolutions) or `basic` (two).
    """
    found = re.match(r"stage(\d+)_block(\d+)", name)
    if not found:
        raise ValueError(f"{name!r} names no unit, such as stage3_block1.")
    stage, block = map(int, found.groups())
    units = sum(stage_blocks[: stage - 1]) + block
    return units * (3 if unit == "bottleneck" else 2)


def build_resnet(
    *,
    unit: str,
    stage_blocks: Sequence[int],
    stage_widths: Sequence[int] = STAGE_WIDTHS,
    version: str = "v1",
    stem: str = "imagenet",
    image_size: int | tuple[int | None, int | None] = 224,
    num_classes: int = 1000,
    include_top: bool = True,
    class_names: Sequence[str] = (),
    make_attention: Callable[[str], keras.layers.Layer] | None = None,
    attention_suffix: str = "attention",
    attention_units: str = "stage3",
    zero_init_residual: bool = False,
    batch_norm_momentum: float = 0.9,
    batch_norm_epsilon: float = 1e-5,
    synchronized_batch_norm: bool = False,
    stride_in_1x1: bool = False,
    name: str = "resnet",
) -> keras.Model:
    """A ResNet that returns its logits and, by name, what its attention looks at.

    Args:
        stage_blocks: units in each stage; every stage after the first halves H and W.
        stage_widths: channels of each stage's inner convolutions, 4 times as many at a
            bottleneck's end.
        version: `v1` or `v2`, as drawn above.
        stem: a key of STEMS.
        image_size: height = width of the images in pixels, or (height, width); None: any.
        include_top: False ends in "features" [B, H', W', C] in place of "logits".
        class_names: K names in the order of the logits, which saved files then hold; or none.
        make_attention: layer name -> an attention layer (contract: `gala_tf.layers`), or None.
        attention_suffix: ends the names of the attention layers: `stage3_block1_<suffix>`.
        attention_units: which units have the slot (`select_units`).
        zero_init_residual: start units without attention as the identity (last gamma = 0; v1
            only). A unit with a gate keeps gamma = 1: a gate on zeros has no gradient.
        batch_norm_momentum, batch_norm_epsilon, synchronized_batch_norm: batch normalisation;
            synchronized = statistics over all replicas.
        stride_in_1x1: a bottleneck's stride in its first convolution, as He et al. had it, rather
            than in the 3x3 ("v1.5").

    Returns:
        model(images [B, H, W, 3], pixel values 0..255) -> {
            "logits": [B, K] float32,
            "attention": {`stage3_block1_gala`: [B, H', W', C]}, empty without attention,
            "activity": {`stage3_block1`: [B, H', W', C]}, the dense path's final activity, gated
                where there is a gate, of every unit with the slot}.

    Raises:
        ValueError: an argument out of its choices, a unit that does not exist, or Keras is set to
            channels first.
    """
    check_channels_last(name)
    _check(unit, stage_blocks, stage_widths, version, stem, zero_init_residual)
    layers = Layers(
        unit=unit,
        version=version,
        slots=select_units(attention_units, stage_blocks),
        make_attention=make_attention,
        attention_suffix=attention_suffix,
        zero_init_residual=zero_init_residual,
        batch_norm=dict(
            momentum=batch_norm_momentum,
            epsilon=batch_norm_epsilon,
            synchronized=synchronized_batch_norm,
        ),
        stride_in_1x1=stride_in_1x1,
    )
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    images = keras.Input((*sides, 3), name="image")
    x = layers.stem(images, stem, stage_widths[0])
    for stage, (blocks, width) in enumerate(zip(stage_blocks, stage_widths, strict=True), start=1):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = layers.residual_unit(x, width, stride, f"stage{stage}_block{block}")
    features = layers.features(x)
    top = {"logits": layers.head(features, num_classes, class_names)}
    outputs = {
        **(top if include_top else {"features": features}),
        "attention": layers.attention,
        "activity": layers.activity,
    }
    return keras.Model(images, outputs, name=name)


def _check(unit, stage_blocks, stage_widths, version, stem, zero_init_residual):
    if version not in ("v1", "v2"):
        raise ValueError(f"version must be 'v1' or 'v2'. Received: {version!r}.")
    if version == "v2" and zero_init_residual:
        raise ValueError(
            "zero_init_residual needs version='v1': a pre-activation unit ends in a convolution, "
            "without a gamma to start at 0."
        )
    if unit not in EXPANSION:
        raise ValueError(f"unit must be one of {sorted(EXPANSION)}. Received: {unit!r}.")
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {sorted(STEMS)}. Received: {stem!r}.")
    if len(stage_blocks) != len(stage_widths):
        raise ValueError(
            "stage_blocks and stage_widths must name the same number of stages. "
            f"Received: {tuple(stage_blocks)} and {tuple(stage_widths)}."
        )


def scaled_widths(widths: Sequence[int], multiplier: float) -> tuple[int, ...]:
    """Stage widths times `multiplier`, rounded to multiples of 4 (so that r = 4 divides them)."""
    return tuple(max(4, int(np.round(width * multiplier / 4)) * 4) for width in widths)


def decayed_kernels(model: keras.Model) -> list[keras.Variable]:
    """The variables that weight decay acts on: kernels of convolutions and dense layers.

    By role, not by name: not batch normalisation, biases, nor GALA's `a` and `m`. Layers inside
    attention layers count, whatever their class, if they have a kernel; frozen ones do not.
    """
    return [
        layer.kernel
        for layer in model._flatten_layers(include_self=False)
        if isinstance(getattr(layer, "kernel", None), keras.Variable) and layer.kernel.trainable
    ]
