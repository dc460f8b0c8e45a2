"""Attention layers, by the name that `--attention` takes.

The contract every layer keeps, so that any of them fits the slot in `models.resnet`:

    gated, attention = layer(x, training=training)

`x` and `gated` are [B, H, W, C]; `attention` is [B, H, W, C], or broadcasts to it ([B, 1, 1, C]
for squeeze-and-excitation). "None" for no attention is the absence of a layer: a Keras layer in a
functional model cannot return None.

Channels are last, always: where Keras is set to `channels_first` (keras.json), layers, networks
and the map loss refuse by name. The commands set the order for their own process.

To add a block: write `layers/mine.py`, add one line to ATTENTION; the tests in
`tests/gala_tf/layers/test_layers.py` pick it up from the table.
"""

from gala_tf.layers.batch_norm import BatchNorm
from gala_tf.layers.gala import GALA, LocalSaliency
from gala_tf.layers.gala_residual import GALAResidual
from gala_tf.layers.squeeze_excite import GlobalContext, SqueezeExcite

ATTENTION = {"none": None, "se": SqueezeExcite, "gala": GALA, "gala_residual": GALAResidual}

__all__ = [
    "ATTENTION",
    "GALA",
    "BatchNorm",
    "GALAResidual",
    "GlobalContext",
    "LocalSaliency",
    "SqueezeExcite",
]
