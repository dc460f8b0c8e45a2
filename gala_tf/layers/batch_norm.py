"""Batch normalisation with the device's fused kernel, which Keras 3 does not use."""

import keras

MIN_EPSILON = 1e-5  # the kernel raises what is smaller to 1.001e-5, without a word


@keras.saving.register_keras_serializable("gala_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`: the same weights and arguments, fused where that fits.

    Keras 3 composes the operation of primitives; on a CPU a small network's training step then
    takes over twice as long. Numbers agree to float tolerance. Whatever the kernel cannot compute
    as Keras does runs in Keras' own implementation: see `fits_the_kernel`.

    Input and output of any shape; fused are [B, H, W, C].
    """

    def fits_the_kernel(self, inputs, mask=None) -> bool:
        """Whether the fused kernel computes what these arguments ask for."""
        return (
            keras.backend.backend() == "tensorflow"
            and mask is None
            and not (self.synchronized or self.renorm)
            and self.scale
            and self.center
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.epsilon >= MIN_EPSILON
            # Statistics and weights in float32, images in what the kernel takes.
            and self.variable_dtype == "float32"
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
            and self.compute_dtype in ("float32", "float16", "bfloat16")
        )

    def call(self, inputs, training=None, mask=None):
        if not self.fits_the_kernel(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # only this backend reaches here

        normalise_by_batch = bool(training) and self.trainable
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=None if normalise_by_batch else tf.convert_to_tensor(self.moving_mean),
            variance=None if normalise_by_batch else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=normalise_by_batch,
        )
        if normalise_by_batch:
            self.move(mean, self.biased(variance, inputs))
        return outputs

    def biased(self, variance, inputs):
        """Batch variance as Keras' moving average has it: the kernel returns the unbiased one."""
        import tensorflow as tf

        count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
        return variance * ((count - 1.0) / count)

    def move(self, mean, variance):
        """Moves the moving statistics towards a batch's [C]."""
        keep = self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
        self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))
