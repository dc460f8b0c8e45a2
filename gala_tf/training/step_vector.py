"""What a training step reports: one float32 vector, because one tensor leaves the device fastest.

S scalars, V trainable variables, N batch normalisations
"""

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf


class Parts(NamedTuple):
    """A step's vector by its parts: tensors on the device, arrays on the host."""

    scalars: Any  # [S] losses and accuracy
    squared_norms: Any  # [V] of the gradients
    finite: Any  # [N] 1 where batch statistics are finite
    unsound: Any  # how many images of the batch have something wrong with them, by kind
    collapse: Any  # saturation and variation of attention, by layer (`collapse`)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The names of a vector's entries, in its order."""

    scalars: tuple[str, ...]
    variables: tuple[str, ...]
    norms: tuple[str, ...]  # batch normalisations in forward order
    checks: tuple[str, ...]  # what may be wrong with an image
    attention: tuple[str, ...]  # the attention layers among those that hold the variables
    collapse: tuple[str, ...] = ()  # what `collapse.measure` returns

    @property
    def width(self) -> int:
        """Number of entries."""
        return sum(self._sizes())

    def pack(self, parts: Parts) -> tf.Tensor:
        """The vector [width]."""
        return tf.concat([tf.stack(parts.scalars), *parts[1:]], axis=0)

    def unpack(self, vector) -> Parts:
        """Its parts, of a tensor or an array."""
        ends = [sum(self._sizes()[: i + 1]) for i in range(len(Parts._fields))]
        return Parts(*(vector[i:j] for i, j in zip([0, *ends], ends, strict=False)))

    def named_scalars(self, parts: Parts) -> dict[str, float]:
        """{name: value} on the host."""
        return dict(zip(self.scalars, parts.scalars.tolist(), strict=True))

    def _sizes(self):
        parts = (self.scalars, self.variables, self.norms, self.checks, self.collapse)
        return [len(names) for names in parts]


def describe(layout: Layout, means) -> dict[str, float]:
    """Numbers for the log from the mean vector of some steps.

    {name: value}: losses, `top1` in 0..1, `gradient_norm`, and `gradient_norm/<layer>` of every
    attention layer, `saturation/<layer>` and `variation/<layer>` (`collapse`); norms are root mean
    squares over the steps.
    """
    parts = layout.unpack(means)
    by_layer = {}
    for name, square in zip(layout.variables, parts.squared_norms, strict=True):
        layer = name.split("/")[0]
        by_layer[layer] = by_layer.get(layer, 0.0) + float(square)
    return {
        **layout.named_scalars(parts),
        "gradient_norm": float(parts.squared_norms.sum()) ** 0.5,
        **{
            f"gradient_norm/{layer}": value**0.5
            for layer, value in by_layer.items()
            if layer in layout.attention
        },
        **dict(zip(layout.collapse, map(float, parts.collapse), strict=True)),
    }
