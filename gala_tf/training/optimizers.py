"""SGD with Nesterov momentum (Sutskever et al. 2013), fed with gradients already summed."""

from collections.abc import Mapping

import keras


class SummedSGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD` for gradients already summed over replicas.

    The training step sums them itself, once, because it reports their norms; Keras would sum
    again. `test_optimizers.py` fails if a new Keras stops honouring this override.

    With `one_kernel`, each variable is updated by one kernel, which reads and writes it once. Keras
    composes the update of eight operations, and each goes over all weights; compilers fuse them.

    `rate_factors` {variable's path: factor} multiply the learning rate of some variables.
    """

    def __init__(self, *arguments, one_kernel=True, rate_factors=(), **named):
        super().__init__(*arguments, **named)
        self.one_kernel = one_kernel
        self.rate_factors = dict(rate_factors)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        """Moves a variable by a gradient of its shape, and its velocity; `learning_rate` > 0."""
        if self.rate_factors:
            path = self._trainable_variables[self._get_variable_index(variable)].path
            learning_rate *= self.rate_factors.get(path, 1.0)
        backend = keras.backend.backend()
        if not self.one_kernel or not self.momentum or backend != "tensorflow":
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf  # only this backend reaches here

        velocity = self.momentums[self._get_variable_index(variable)].value
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.constant(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


def make_optimizer(
    schedule,
    momentum: float,
    loss_scaling: bool,
    one_kernel: bool = True,
    clip_norm: float = 0.0,
    rate_factors: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """The paper's optimizer, with momentum m: w <- w + m v - lr g, with v <- m v - lr g.

    `loss_scaling` scales the loss dynamically, so that float16 gradients do not underflow; a step
    whose gradients overflow is skipped and the scale halved. `clip_norm` is the longest that the
    whole gradient may be; 0: any.
    """
    optimizer = SummedSGD(
        schedule,
        momentum=momentum,
        nesterov=True,
        one_kernel=one_kernel,
        rate_factors=rate_factors or {},
        global_clipnorm=clip_norm or None,
    )
    return keras.optimizers.LossScaleOptimizer(optimizer) if loss_scaling else optimizer
