"""SGD with Nesterov momentum (Sutskever et al. 2013), fed with gradients already summed."""

import keras


class SummedSGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD` for gradients already summed over replicas.

    The training step sums them itself, once, because it reports their norms; Keras would sum
    again. `tests/test_optimizers.py` fails if a new Keras stops honouring this override.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars


def make_optimizer(schedule, momentum: float, loss_scaling: bool) -> keras.optimizers.Optimizer:
    """The paper's optimizer: w <- w + m v - lr g, with v <- m v - lr g.

    Args:
        schedule: learning rate by step, from `schedules`.
        momentum: m.
        loss_scaling: scale the loss dynamically, so that float16 gradients do not underflow; a
            step whose gradients overflow is skipped and the scale halved.
    """
    optimizer = SummedSGD(schedule, momentum=momentum, nesterov=True)
    return keras.optimizers.LossScaleOptimizer(optimizer) if loss_scaling else optimizer
