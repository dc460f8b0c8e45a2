"""Learning rates at every step against float64 references, and by hand where it matters."""

import keras
import numpy as np
import pytest
import small_data

from gala_tf.training import plan, schedules


def piecewise_reference(step, base_rate, boundaries, factor, warmup_steps):
    passed = sum(step >= boundary for boundary in boundaries)
    warm_up = min(1.0, (step + 1) / warmup_steps) if step < warmup_steps else 1.0
    return base_rate * np.float64(factor) ** passed * warm_up


def cosine_reference(step, base_rate, total_steps, warmup_steps):
    if step < warmup_steps:
        return base_rate * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return base_rate * 0.5 * (1 + np.cos(np.pi * progress))


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


@pytest.mark.parametrize(
    "boundaries, warmup",
    [((30, 60, 80, 90), 5), ((30, 60, 80, 90), 0), ((3, 7), 10), ((), 4), ((20, 20), 1)],
)
def test_piecewise_at_every_step(boundaries, warmup):
    arguments = (0.4, boundaries, 0.1, warmup)
    expected = [piecewise_reference(step, *arguments) for step in range(105)]
    found = rates(schedules.PiecewiseConstant(*arguments), range(105))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("warmup", [0, 1, 9, 99])
def test_cosine_at_every_step(warmup):
    arguments = (0.4, 100, warmup)
    expected = [cosine_reference(step, *arguments) for step in range(105)]
    found = rates(schedules.Cosine(*arguments), range(105))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert (found >= 0).all()


def test_piecewise_by_hand():
    schedule = schedules.PiecewiseConstant(0.8, [10, 20], 0.5, warmup_steps=4)
    expected = {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 0.8, 9: 0.8, 10: 0.4, 19: 0.4, 20: 0.2, 999: 0.2}
    np.testing.assert_allclose(rates(schedule, expected), list(expected.values()), rtol=1e-6)


def test_cosine_by_hand():
    schedule = schedules.Cosine(1.0, 14, warmup_steps=2)
    expected = {0: 0.5, 1: 1.0, 2: 1.0, 6: 0.75, 8: 0.5, 10: 0.25, 14: 0.0, 999: 0.0}
    np.testing.assert_allclose(rates(schedule, expected), list(expected.values()), atol=1e-7)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_steps_may_be_tensors(dtype):
    """As the optimizer's counter is; also far along a run of ImageNet's length."""
    schedule = schedules.PiecewiseConstant(0.4, [37_534, 75_068], 0.1, 6_256)
    for step, rate in ((6_255, 0.4), (37_533, 0.4), (37_534, 0.04), (75_068, 0.004)):
        assert float(schedule(keras.ops.cast(step, dtype))) == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize(
    "schedule",
    [schedules.PiecewiseConstant(0.3, [5, 9], 0.2, 3), schedules.Cosine(0.3, 20, 3)],
    ids=lambda schedule: type(schedule).__name__,
)
def test_config_round_trip(schedule):
    copies = [
        type(schedule).from_config(schedule.get_config()),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule)),
    ]
    for copy in copies:
        assert copy.get_config() == schedule.get_config()
        np.testing.assert_array_equal(rates(copy, range(22)), rates(schedule, range(22)))


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"boundaries must ascend. Received: \[9, 5\]"):
        schedules.PiecewiseConstant(0.1, (9, 5), 0.1)
    with pytest.raises(ValueError, match="fewer than total_steps. Received: 20 and 20"):
        schedules.Cosine(0.1, 20, 20)


def test_flags_in_epochs_become_steps():
    """40 images in batches of 8: 5 steps an epoch; the rate scales with batch / 256."""
    length = plan.Plan(5.0, 100, (100,), 0)
    changes = dict(epochs=20.0, learning_rate_per_256=0.64, warmup_epochs=2.0)
    schedule = schedules.make_schedule(
        small_data.small_config(
            "d", "m", schedule="piecewise", decay_epochs=(6.0, 12.5), decay_factor=0.5, **changes
        ),
        length,
    )
    assert schedule.get_config() == {
        "base_rate": pytest.approx(0.02),
        "boundaries": [30, 62],
        "factor": 0.5,
        "warmup_steps": 10,
    }
    schedule = schedules.make_schedule(small_data.small_config("d", "m", **changes), length)
    assert schedule.get_config() == {
        "base_rate": pytest.approx(0.02),
        "total_steps": 100,
        "warmup_steps": 10,
    }
