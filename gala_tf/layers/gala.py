"""GALA: global-and-local attention (section 3.1, Fig. 3).

B batch, H W space, C channels, R = C / r reduced channels
"""

import keras
from keras import ops

from gala_tf.layers import own_gradients
from gala_tf.layers.squeeze_excite import (
    GlobalContext,
    check_input,
    check_reduction_ratio,
    reduced_channels,
    scaled_normal,
)

SATURATED = 0.99  # |A| beyond this counts as saturated: the slope of tanh is below 0.02


@keras.saving.register_keras_serializable("gala_tf")
class LocalSaliency(keras.layers.Layer):
    """The local feature attention map, S = V_collapse * ReLU(V_shrink * U)   (section 3.1).

    Both V are 1x1 convolutions, so S at a place depends on the C activities at that place only.

    Args:
        reduction_ratio: r, by which V_shrink narrows the C channels to R = C / r.
        saliency_bias: initial value of V_collapse's bias. Above 0 a new network passes most of
            its activity on (A = tanh of something positive) rather than half of it inverted.
            The paper gives no value; ours is 1.

    Input [B, H, W, C], output [B, H, W, 1], unbounded.
    """

    def __init__(self, reduction_ratio=4, saliency_bias=1.0, **kwargs):
        super().__init__(**kwargs)
        self.reduction_ratio = check_reduction_ratio(reduction_ratio, self.name)
        self.saliency_bias = float(saliency_bias)

    def build(self, input_shape):
        check_input(input_shape, self.name)
        reduced = reduced_channels(input_shape[-1], self.reduction_ratio, self.name)
        self.shrink = self._conv1x1(reduced, "relu", 0.0, "shrink")
        self.collapse = self._conv1x1(1, None, self.saliency_bias, "collapse")
        self.shrink.build(input_shape)
        self.collapse.build((*input_shape[:-1], reduced))

    def _conv1x1(self, filters, activation, bias, name):
        return keras.layers.Conv2D(
            filters,
            kernel_size=1,
            activation=activation,
            kernel_initializer=scaled_normal(),
            bias_initializer=keras.initializers.Constant(bias),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, x):
        hidden = self.shrink(x)  # [B, H, W, R]
        return self.collapse(hidden)  # [B, H, W, 1]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)

    def get_config(self):
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "saliency_bias": self.saliency_bias,
        }


@keras.saving.register_keras_serializable("gala_tf")
class GALA(keras.layers.Layer):
    """Global-and-local attention: U' = U . tanh(a (G + S) + m (G . S))   (section 3.1).

    `a` and `m` [C] weigh, channel by channel, the additive and the multiplicative combination of
    global context and local saliency. Both start at 1: at 0 about half of the gradients vanish.

    Args:
        reduction_ratio: r of both pathways; 4 in the paper.
        saliency_bias: see `LocalSaliency`.
        return_attention: False returns the gated activity alone, as `keras.Sequential` needs.

    Input [B, H, W, C]; returns (gated [B, H, W, C], attention [B, H, W, C] in [-1, 1]): attention
    may silence an activity, pass it on, or flip its sign.
    """

    weights_start = "ones"  # of a and m
    gate_at_zero = 0.0  # the gate where a (G + S) + m (G . S) is 0

    def __init__(self, reduction_ratio=4, saliency_bias=1.0, *, return_attention=True, **kwargs):
        super().__init__(**kwargs)
        self.reduction_ratio = check_reduction_ratio(reduction_ratio, self.name)
        self.saliency_bias = float(saliency_bias)
        self.return_attention = bool(return_attention)

    def build(self, input_shape):
        check_input(input_shape, self.name)
        self.global_context = GlobalContext(
            self.reduction_ratio, dtype=self.dtype_policy, name="global_context"
        )
        self.local_saliency = LocalSaliency(
            self.reduction_ratio, self.saliency_bias, dtype=self.dtype_policy, name="local_saliency"
        )
        self.global_context.build(input_shape)
        self.local_saliency.build(input_shape)
        channels = input_shape[-1]
        start = self.weights_start
        self.additive = self.add_weight(shape=(channels,), initializer=start, name="additive")
        self.multiplicative = self.add_weight(
            shape=(channels,), initializer=start, name="multiplicative"
        )

    def call(self, x, training=None):
        g = self.global_context(x)  # [B, 1, 1, C]
        s = self.local_saliency(x)  # [B, H, W, 1]
        attention = self.gate(self.integrate(g, s))  # [B, H, W, C]
        gated = x * attention
        return (gated, attention) if self.return_attention else gated

    def integrate(self, g, s):
        """a (G + S) + m (G . S), [B, H, W, C].

        Written as S (a + m g) + a g: one multiply-add with two vectors per image, so that neither
        pathway is ever tiled to [B, H, W, C], where memory traffic would cost more than the
        arithmetic.
        """
        slope = self.additive + self.multiplicative * g  # [B, 1, 1, C]
        offset = self.additive * g  # [B, 1, 1, C]
        return own_gradients.multiply_add(s, slope, offset)

    def gate(self, integrated):
        """What an activity is multiplied by, and what is returned as attention."""
        return ops.tanh(integrated)

    def saturation(self, attention):
        """The share of a returned attention whose tanh is beyond 0.99, where it has no gradient."""
        beyond = ops.abs(ops.cast(attention, "float32") - self.gate_at_zero) > SATURATED
        return ops.mean(ops.cast(beyond, "float32"))

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        return (shape, shape) if self.return_attention else shape

    def get_config(self):
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "saliency_bias": self.saliency_bias,
            "return_attention": self.return_attention,
        }


@keras.saving.register_keras_serializable("gala_tf")
class ResidualGALA(GALA):
    """GALA that starts as the identity: U' = U . (1 + A), with A as in `GALA` and a = m = 0.

    Put into a trained network, it changes no output until it is trained, to the bit; the paper's
    gate replaces activities by A times themselves. Not in the paper.

    The attention returned is the gate, 1 + A, in [0, 2]: it is what maps on attention supervise.
    Eq. 1 is scale-free, so A itself has no gradient at 0 and an unbounded one beside it; 1 + A
    starts as a uniform map, from which gradients reach a and m, and from their first step on the
    rest.

    Args, input and output: as for `GALA`.
    """

    weights_start = "zeros"
    gate_at_zero = 1.0

    def gate(self, integrated):
        return 1.0 + ops.tanh(integrated)
