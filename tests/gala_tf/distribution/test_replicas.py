"""Several replicas compute what one does; and the steps can be traced for a TPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_data
import tensorflow as tf

from gala_tf.runs import checkpoints, logs

pytestmark = pytest.mark.slow  # every test is of processes of its own

ROOT = Path(__file__).resolve().parents[3]
# As a script, fake_tpu would find tests/gala_tf before gala_tf; the root comes first here.
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests")])


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


def test_replicas_agree_with_one_device(data_dir, tmp_path):
    for steps in (1, 5):
        one, *several = (
            run_on(n, data_dir, tmp_path / f"{n}-{steps}", stop_after_steps=steps, epochs=1.0)
            for n in (1, 2, 4)
        )
        for other in several:
            assert_agree(one, other)


AVERAGE_STATISTICS = """
import numpy as np, tensorflow as tf
from gala_tf import models
from gala_tf.distribution import strategy
from gala_tf.training import step as train_step
where = strategy.make_strategy(cpu_devices=2)
with where.scope():
    network = models.build_model(
        stage_blocks=(1,), stage_widths=(4,), stem="tiny", image_size=8, attention_units="all")
images = np.random.default_rng(0).uniform(0, 255, (2, 4, 8, 8, 3)).astype("float32")
images[1] *= 0.2  # another brightness: another mean and variance
parts = where.experimental_distribute_values_from_function(
    lambda context: tf.constant(images[context.replica_id_in_sync_group]))
where.run(lambda x: network(x, training=True), args=(parts,))
for layer in (network.get_layer("stem_bn"), network.get_layer("stage1_block1_conv3_bn")):
    for variable in (layer.moving_mean, layer.moving_variance):
        variable.local = [v.numpy() for v in where.experimental_local_results(variable.value)]
        assert np.abs(variable.local[0] - variable.local[1]).max() > 1e-3, "replicas should differ"
train_step.make_average_statistics(where, network)()
for layer in (network.get_layer("stem_bn"), network.get_layer("stage1_block1_conv3_bn")):
    for variable in (layer.moving_mean, layer.moving_variance):
        for v in where.experimental_local_results(variable.value):
            np.testing.assert_allclose(v.numpy(), np.mean(variable.local, axis=0), rtol=1e-5)
print("averaged")
"""


def test_statistics_of_replicas_are_averaged():
    """Batch normalisation is per replica by default: before evaluation and saving they agree."""
    result = subprocess.run(
        [sys.executable, "-c", AVERAGE_STATISTICS], capture_output=True, text=True
    )
    assert result.stdout.strip().endswith("averaged"), result.stderr[-3000:]


@pytest.mark.parametrize(
    "precision, attention",
    [
        ("float32", "gala"),
        ("mixed_bfloat16", "gala"),
        ("mixed_bfloat16", "se"),
        ("mixed_bfloat16", "none"),
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
        [sys.executable, "-m", "fake_tpu", *small_data.flag_arguments(run_config)],
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    for step in ("train", "statistics", "evaluate"):
        assert f"traced {step}" in result.stdout
    assert result.stdout.count("TPUReplicate") >= 3
