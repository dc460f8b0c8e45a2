"""GALA as a residual gate: attention adds to an activity instead of replacing it.

Not in the paper; for its question of what a gate costs a network (experiments/README.md).
"""

import keras

from gala_tf.layers.gala import GALA


@keras.saving.register_keras_serializable("gala_tf")
class GALAResidual(GALA):
    """U' = U . (1 + A), A as of `GALA`; as attention it returns 1 + A, in [0, 2].

    However small A gets, the activity passes: a map loss cannot silence the dense path.
    """

    def call(self, x, training=None):
        _, attention = super().call(x, training=training)
        return x * (1 + attention), 1 + attention
