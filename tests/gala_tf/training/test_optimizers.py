"""Nesterov SGD against NumPy, gradients that are summed once, and loss scaling."""

import functools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from gala_tf.training import optimizers, schedules

SCHEDULE = schedules.PiecewiseConstant(0.2, [3], 0.1, warmup_steps=2)


def nesterov(weights, gradients, rates, momentum):
    """w <- w + m v - lr g with v <- m v - lr g (Sutskever et al. 2013), in float64."""
    velocity = np.zeros_like(weights)
    for gradient, rate in zip(gradients, rates, strict=True):
        velocity = momentum * velocity - rate * gradient
        weights = weights + momentum * velocity - rate * gradient
    return weights


def made(loss_scaling, momentum=0.9):
    """(optimizer, a variable [4] that it updates)."""
    variable = keras.Variable(np.arange(4.0), name="w")
    optimizer = optimizers.make_optimizer(SCHEDULE, momentum, loss_scaling)
    optimizer.build([variable])
    return optimizer, variable


@pytest.mark.parametrize("momentum", [0.9, 0.5])
@pytest.mark.parametrize("loss_scaling", [False, True])
def test_equals_numpy_over_five_steps(momentum, loss_scaling):
    optimizer, variable = made(loss_scaling, momentum)
    gradients = np.random.default_rng(0).normal(size=(5, 4))
    scale = float(optimizer.scale_loss(1.0))
    assert scale == (2**15 if loss_scaling else 1)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient * scale, "float32")], [variable])
    expected = nesterov(np.arange(4.0), gradients, [0.1, 0.2, 0.2, 0.02, 0.02], momentum)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert int(optimizer.iterations) == 5


def test_first_step_by_hand():
    optimizer, variable = made(False)
    optimizer.apply([keras.ops.ones(4)], [variable])
    # v = -0.1, so the weights move by 0.9 * -0.1 - 0.1 = -0.19.
    np.testing.assert_allclose(variable.numpy(), np.arange(4) - 0.19, rtol=1e-6)


def applied(optimizer, variable, gradient):
    optimizer.apply([gradient], [variable])


def test_one_kernel_computes_what_keras_composes():
    moved = []
    for one_kernel in (True, False):
        variable = keras.Variable(np.arange(4.0), name="w")
        optimizer = optimizers.make_optimizer(SCHEDULE, 0.9, False, one_kernel)
        optimizer.build([variable])
        apply = tf.function(functools.partial(applied, optimizer, variable))
        for gradient in np.random.default_rng(0).normal(size=(5, 4)).astype("float32"):
            apply(tf.constant(gradient))
        graph = apply.get_concrete_function(tf.TensorSpec([4])).graph
        kinds = {operation.type for operation in graph.get_operations()}
        assert ("ResourceApplyKerasMomentum" in kinds) == one_kernel
        moved.append((variable.numpy(), optimizer.momentums[0].numpy()))
    np.testing.assert_allclose(*moved, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_loss_scaling_skips_an_overflowing_step(bad):
    optimizer, variable = made(True)
    good = keras.ops.ones(4) * optimizer.scale_loss(1.0)
    optimizer.apply([good], [variable])
    watched = (variable, *optimizer.inner_optimizer.variables)  # and momentum, step counter
    before = [v.value.numpy() for v in watched]
    optimizer.apply([keras.ops.convert_to_tensor([1.0, bad, 1.0, 1.0])], [variable])
    for value, v in zip(before, watched, strict=True):
        np.testing.assert_array_equal(value, v.value.numpy())
    assert float(optimizer.scale_loss(1.0)) == 2**14


REPLICAS = """
import json
import keras
import tensorflow as tf
from gala_tf.distribution import strategy
from gala_tf.training import optimizers

strategy = strategy.make_strategy(cpu_devices=2)

def moved(make):
    # Replicas have gradients 1 and 2, summed by hand; each replica's weight after a step.
    with strategy.scope():
        variable = keras.Variable(0.0)
        optimizer = make()
        optimizer.build([variable])

    @tf.function
    def step():
        def replica():
            context = tf.distribute.get_replica_context()
            mine = tf.cast(context.replica_id_in_sync_group + 1, tf.float32)
            gradient = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
            optimizer.apply([optimizer.scale_loss(gradient)], [variable])
        strategy.run(replica)

    step()
    return [float(v) for v in strategy.experimental_local_results(variable.value)]

print(json.dumps({
    "ours": moved(lambda: optimizers.make_optimizer(1.0, 0.0, False)),
    "with momentum": moved(lambda: optimizers.make_optimizer(1.0, 0.5, False)),
    "scaled": moved(lambda: optimizers.make_optimizer(1.0, 0.0, True)),
    "keras": moved(lambda: keras.optimizers.SGD(1.0, nesterov=False)),
}))
"""


@pytest.mark.slow
def test_summed_gradients_are_not_summed_again():
    """Fails if Keras stops calling the method that SummedSGD overrides."""
    result = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    moved = json.loads(result.stdout.splitlines()[-1])
    assert moved["keras"] == [-6, -6]  # sums again: what the override is there for
    assert moved["ours"] == moved["scaled"] == [-3, -3]
    assert moved["with momentum"] == [-4.5, -4.5]  # Nesterov: 0.5 * -3 - 3


def test_override_is_of_a_method_that_keras_has():
    assert hasattr(keras.optimizers.SGD, "_all_reduce_sum_gradients")
