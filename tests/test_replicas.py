"""Several replicas compute what one does; and the steps can be traced for a TPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_data
import tensorflow as tf

from gala_tf import checkpoints, logs

TESTS = Path(__file__).parent


def run_on(devices, data_dir, model_dir, **changes):
    """A run in a process of its own (devices are fixed once TensorFlow has started)."""
    run_config = small_data.small_config(
        data_dir,
        model_dir,
        cpu_devices=devices,
        synchronized_batch_norm=True,
        warmup_epochs=0.0,
        test_split="test",
        **changes,
    )
    subprocess.run(
        [sys.executable, "-m", "gala_tf.train", *small_data.flag_arguments(run_config)], check=True
    )
    path, _ = checkpoints.complete(os.path.join(model_dir, "checkpoints"))[-1]
    reader = tf.train.load_checkpoint(os.path.join(path, checkpoints.PREFIX))
    weights = {
        name: reader.get_tensor(name)
        for name, dtype in reader.get_variable_to_dtype_map().items()
        if dtype == tf.float32
    }
    return weights, logs.read_metrics(model_dir)


def assert_agree(one, several):
    """Losses, gradient norms and evaluation, then weights, to float tolerance.

    After the first step of Nesterov SGD from rest, weights have moved by -(1 + momentum) x rate x
    gradient and momentum slots hold -rate x gradient: equal weights are equal gradients.
    """
    for mine, theirs in zip(one[1], several[1], strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine.keys() - {"images_per_second", "kind"}:
            assert theirs[name] == pytest.approx(mine[name], rel=2e-4, abs=1e-5), name
    assert one[0].keys() == several[0].keys()
    for name in one[0]:
        np.testing.assert_allclose(
            several[0][name], one[0][name], rtol=1e-3, atol=2e-5, err_msg=name
        )


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_replicas_agree_with_one_device(data_dir, tmp_path, devices):
    for steps in (1, 5):
        one = run_on(1, data_dir, tmp_path / f"one-{steps}", stop_after_steps=steps, epochs=1.0)
        several = run_on(
            devices, data_dir, tmp_path / f"several-{steps}", stop_after_steps=steps, epochs=1.0
        )
        assert_agree(one, several)


@pytest.mark.parametrize(
    "precision, attention",
    [
        ("float32", "gala"),
        ("mixed_bfloat16", "gala"),
        pytest.param("mixed_bfloat16", "se", marks=pytest.mark.slow),
        pytest.param("mixed_bfloat16", "none", marks=pytest.mark.slow),
    ],
)
def test_steps_trace_for_a_tpu(data_dir, tmp_path, precision, attention):
    run_config = small_data.small_config(
        data_dir,
        tmp_path,
        precision=precision,
        attention=attention,
        map_resize="bilinear",
        map_loss_weight=1.0 if attention == "gala" else 0.0,
    )
    result = subprocess.run(
        [sys.executable, str(TESTS / "fake_tpu.py"), *small_data.flag_arguments(run_config)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    for step in ("train", "statistics", "evaluate"):
        assert f"traced {step}" in result.stdout
    assert result.stdout.count("TPUReplicate") >= 3
