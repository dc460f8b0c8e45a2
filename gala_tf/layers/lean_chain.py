"""BN, ReLU and a convolution or pooling as one operation that keeps BN's input for its gradient.

By itself each keeps what it needs: BN its input, ReLU and the convolution the same tensor behind
ReLU, and a padded copy of it where there is padding. All but the first follow from the first and
two vectors, so here they are computed again when the gradient arrives. TensorFlow only.
"""

from collections.abc import Callable

from gala_tf.layers.batch_norm import BatchNorm


def normalise_relu(norm: BatchNorm, inputs, tail: Callable, kernel=None):
    """`tail(relu(norm(inputs)), kernel)` in training, with moving statistics moved.

    `inputs` [B, H, W, C] must suit the kernel (`norm.fits_the_kernel`). `tail` takes [B, H, W, C]
    and `kernel`, a tensor of its dtype or None, and uses no variable.
    """
    import tensorflow as tf

    scale, offset = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
    weights = [] if kernel is None else [kernel]

    @tf.custom_gradient
    def compute(inputs, scale, offset, *weights):
        normalised, mean, variance, *reserved = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=[], variance=[], epsilon=norm.epsilon,
            is_training=True,
        )  # fmt: skip
        outputs = tail(tf.nn.relu(normalised), *(weights or [None]))

        def gradient(upstream, _mean, _variance):
            # After the gradient is there: sooner, it would be kept like what it replaces.
            with tf.control_dependencies([upstream]):
                again = tf.raw_ops.FusedBatchNormV3(
                    x=inputs, scale=scale, offset=offset, mean=mean,
                    variance=norm.biased(variance, inputs), epsilon=norm.epsilon, is_training=False,
                ).y  # fmt: skip
                hidden = tf.nn.relu(again)
                with tf.GradientTape() as tape:
                    tape.watch([hidden, *weights])
                    # A convolution's own gradients do not use this, and in a graph it never runs.
                    tailed = tail(hidden, *(weights or [None]))
            of_hidden, *of_weights = tape.gradient(tailed, [hidden, *weights], upstream)
            of_inputs, of_scale, of_offset, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.raw_ops.ReluGrad(gradients=of_hidden, features=hidden),
                x=inputs, scale=scale, reserve_space_1=reserved[0], reserve_space_2=reserved[1],
                reserve_space_3=reserved[2], epsilon=norm.epsilon, is_training=True,
            )  # fmt: skip
            return of_inputs, of_scale, of_offset, *of_weights

        return (outputs, mean, variance), gradient

    outputs, mean, variance = compute(inputs, scale, offset, *weights)
    norm.move(mean, norm.biased(variance, inputs))
    return outputs
