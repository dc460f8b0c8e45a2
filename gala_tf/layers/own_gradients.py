"""Operations whose gradients are written by hand where the backend is TensorFlow.

Elsewhere, and for numbers, each is what its first line says: automatic gradients give the same sums
in another order, through more memory.

    B batch, H W space, C channels
"""

import keras


def multiply_add(s, slope, offset):
    """s . slope + offset: [B, H, W, 1], [B, 1, 1, C], [B, 1, 1, C] -> [B, H, W, C].

    Automatic gradients are sums of [B, H, W, C] products, each of them written to memory first;
    here they are two small matrix products.
    """
    if keras.backend.backend() != "tensorflow":
        return s * slope + offset
    import tensorflow as tf  # only this backend reaches here

    @tf.custom_gradient
    def compute(s, slope, offset):
        def gradient(upstream):
            images, channels = tf.shape(upstream)[0], upstream.shape[-1]
            rows = tf.reshape(upstream, [images, -1, channels])  # [B, HW, C]
            flat = tf.reshape(s, [images, 1, -1])  # [B, 1, HW]
            weights = tf.concat([flat, tf.ones_like(flat)], axis=1)  # [B, 2, HW]
            sums = tf.matmul(weights, rows)  # [B, 2, C], over space
            by_place = tf.matmul(rows, tf.reshape(slope, [images, channels, 1]))  # [B, HW, 1]
            of_slope, of_offset = (tf.reshape(x, tf.shape(slope)) for x in tf.unstack(sums, axis=1))
            return tf.reshape(by_place, tf.shape(s)), of_slope, of_offset

        return s * slope + offset, gradient

    return compute(s, slope, offset)
