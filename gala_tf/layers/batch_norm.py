"""Batch normalisation with the device's fused kernel, which Keras 3 does not use."""

import keras


@keras.saving.register_keras_serializable("gala_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`: the same weights and arguments, computed fused.

    Keras 3 composes the operation of primitives; on a CPU a small network's training step then
    takes over twice as long. Numbers agree to float tolerance. With `synchronized=True`, or on
    another backend than TensorFlow, Keras' own implementation runs.

    Input and output [B, H, W, C].
    """

    def call(self, inputs, training=None, mask=None):
        if self.synchronized or keras.backend.backend() != "tensorflow" or len(inputs.shape) != 4:
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
            # The kernel returns the unbiased variance; Keras' moving average is of the biased one.
            count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
            variance *= (count - 1.0) / count
            keep = self.momentum
            self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
            self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))
        return outputs
