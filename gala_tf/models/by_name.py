"""Networks by name and size: what `--depth`, `--attention` and their kin build."""

import inspect
from collections.abc import Sequence

import keras

from gala_tf.layers import ATTENTION
from gala_tf.layers.squeeze_excite import check_channels_last
from gala_tf.models.resnet import DEPTHS, STAGE_WIDTHS, build_resnet, scaled_widths


def stage_layout(depth: int, stage_blocks: Sequence[int] = ()) -> tuple[str, tuple[int, ...]]:
    """(kind of unit, units per stage) of a depth in the table, or of a layout of your own.

    Args:
        depth: 18, 34, 50, 101, 152 or 200; unused where `stage_blocks` is given.
        stage_blocks: units per stage of a bottleneck network that is in no table.
    """
    if stage_blocks:
        return "bottleneck", tuple(stage_blocks)
    if depth not in DEPTHS:
        raise ValueError(
            f"depth must be one of {sorted(DEPTHS)} (or give stage_blocks). Received: {depth!r}."
        )
    return DEPTHS[depth]


def build_model(
    *,
    attention: str = "gala",
    attention_units: str = "stage3",
    reduction_ratio: int = 4,
    saliency_bias: float = 1.0,
    depth: int = 50,
    stage_blocks: Sequence[int] = (),
    stage_widths: Sequence[int] = (),
    width_multiplier: float = 1.0,
    **resnet_arguments,
) -> keras.Model:
    """A ResNet with the attention layer called `attention`; see `resnet.build_resnet`.

    Args:
        attention: a key of `layers.ATTENTION`.
        attention_units: which units get it: `stage3`, `all`, or a list of units.
        depth, stage_blocks: the layout, by table or by hand.
        stage_widths: channels per stage; by default 64, 128, 256, 512.

    ValueError: an unknown attention or depth, or arguments `build_resnet` refuses.
    """
    check_channels_last("build_model")
    if attention not in ATTENTION:
        raise ValueError(
            f"attention must be one of {', '.join(ATTENTION)}. Received: {attention!r}."
        )
    layer_class = ATTENTION[attention]
    # A layer gets those of the two that its constructor names.
    offered = {"reduction_ratio": reduction_ratio, "saliency_bias": saliency_bias}
    taken = inspect.signature(layer_class).parameters if layer_class else {}
    arguments = {key: value for key, value in offered.items() if key in taken}

    unit, blocks = stage_layout(depth, stage_blocks)
    widths = tuple(stage_widths) or STAGE_WIDTHS[: len(blocks)]
    return build_resnet(
        unit=unit,
        stage_blocks=blocks,
        stage_widths=scaled_widths(widths, width_multiplier),
        make_attention=layer_class and (lambda name: layer_class(**arguments, name=name)),
        attention_suffix=attention,
        attention_units=attention_units,
        **resnet_arguments,
    )


def parameters() -> set[str]:
    """Names of all that `build_model` takes: flags of the same names describe a network."""
    named = {
        *inspect.signature(build_model).parameters,
        *inspect.signature(build_resnet).parameters,
    }
    return named - {"resnet_arguments"}
