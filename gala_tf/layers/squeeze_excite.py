"""Squeeze-and-excitation (Hu et al. 2017): the paper's baseline, and the global half of GALA."""

import keras
from keras import ops

# "a scaled normal distribution" (Appendix): variance 1 / fan_in, truncated. He's fan_out variant
# saturates the tanh of GALA from the start (21-39 % of its attention).
SCALED_NORMAL = {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal"}


def scaled_normal(seed=None):
    """The initial value of every kernel of an attention block."""
    return keras.initializers.VarianceScaling(**SCALED_NORMAL, seed=seed)


def reduced_channels(channels, reduction_ratio, layer_name):
    """C / r, the width R of a bottleneck; ValueError where r does not divide C."""
    if channels % reduction_ratio:
        raise ValueError(
            f"{layer_name}: `reduction_ratio` must divide the number of channels. "
            f"Received: reduction_ratio={reduction_ratio} for {channels} channels; "
            f"choose a divisor of {channels}, or change the width of the network."
        )
    return channels // reduction_ratio


def check_channels_last(name):
    """ValueError where Keras is set to channels first: activities here are [B, H, W, C].

    What a tensor's axes mean cannot be told from its shape, so the setting is taken at its word.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{name}: Keras is set to image_data_format 'channels_first', and gala_tf is "
            "channels_last, [batch, height, width, channels]. Call "
            "keras.config.set_image_data_format('channels_last') before you build a network, or "
            "change image_data_format in ~/.keras/keras.json (or $KERAS_HOME/keras.json); bring "
            "tensors to that order with keras.ops.moveaxis(x, 1, -1)."
        )


def check_input(shape, layer_name):
    """ValueError unless `shape` is [B, H, W, C] with C known, and Keras agrees on that order."""
    check_channels_last(layer_name)
    if len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            f"{layer_name}: expected an input of shape [batch, height, width, channels] with a "
            f"known number of channels. Received: {tuple(shape)}."
        )


def check_reduction_ratio(reduction_ratio, layer_name):
    """ValueError unless r is a positive integer; returns it."""
    if not isinstance(reduction_ratio, int) or reduction_ratio < 1:
        raise ValueError(
            f"{layer_name}: `reduction_ratio` must be a positive integer. "
            f"Received: {reduction_ratio!r}."
        )
    return reduction_ratio


@keras.saving.register_keras_serializable("gala_tf")
class GlobalContext(keras.layers.Layer):
    """The global feature attention vector, g = W_expand(ReLU(W_shrink(p)))   (section 3.1).

    p are the spatial means of the channels. There is no non-linearity at the end: the caller
    chooses it (a sigmoid in SE, the tanh of the integration in GALA).

    Args:
        reduction_ratio: r, by which W_shrink narrows the C channels to R = C / r.

    Input [B, H, W, C], output [B, 1, 1, C], unbounded.
    """

    def __init__(self, reduction_ratio=4, **kwargs):
        super().__init__(**kwargs)
        self.reduction_ratio = check_reduction_ratio(reduction_ratio, self.name)

    def build(self, input_shape):
        check_input(input_shape, self.name)
        channels = input_shape[-1]
        reduced = reduced_channels(channels, self.reduction_ratio, self.name)
        self.shrink = self._dense(reduced, "relu", "shrink")
        self.expand = self._dense(channels, None, "expand")
        self.shrink.build((None, 1, 1, channels))
        self.expand.build((None, 1, 1, reduced))

    def _dense(self, units, activation, name):
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=scaled_normal(),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, x):
        p = ops.mean(x, axis=(1, 2), keepdims=True)  # [B, 1, 1, C]
        hidden = self.shrink(p)  # [B, 1, 1, R]
        return self.expand(hidden)  # [B, 1, 1, C]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, 1, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "reduction_ratio": self.reduction_ratio}


@keras.saving.register_keras_serializable("gala_tf")
class SqueezeExcite(keras.layers.Layer):
    """Channel attention: U' = U . sigmoid(g)   (Hu et al. 2017).

    Args:
        reduction_ratio: r; the paper compares SE and GALA at the same r = 4, Hu et al. use 16.
        return_attention: False returns the gated activity alone, as `keras.Sequential` needs.

    Input [B, H, W, C]; returns (gated [B, H, W, C], attention [B, 1, 1, C] in (0, 1)).
    """

    def __init__(self, reduction_ratio=4, *, return_attention=True, **kwargs):
        super().__init__(**kwargs)
        self.reduction_ratio = check_reduction_ratio(reduction_ratio, self.name)
        self.return_attention = bool(return_attention)

    def build(self, input_shape):
        check_input(input_shape, self.name)
        self.global_context = GlobalContext(
            self.reduction_ratio, dtype=self.dtype_policy, name="global_context"
        )
        self.global_context.build(input_shape)

    def call(self, x, training=None):
        g = self.global_context(x)  # [B, 1, 1, C]
        attention = ops.sigmoid(g)
        gated = x * attention
        return (gated, attention) if self.return_attention else gated

    def compute_output_shape(self, input_shape):
        shape, attention = tuple(input_shape), (input_shape[0], 1, 1, input_shape[-1])
        return (shape, attention) if self.return_attention else shape

    def get_config(self):
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "return_attention": self.return_attention,
        }
