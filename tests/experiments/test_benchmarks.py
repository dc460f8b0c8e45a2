"""The benchmarks' arithmetic and tables, and each step they time, run once and small.

None is timed here: `experiments/benchmarks` says how to run them.
"""

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

BENCHMARKS = Path(__file__).resolve().parents[2] / "experiments" / "benchmarks"
SMALL = ["--stage_blocks=1,1", "--stage_widths=8,8", "--stem=small", "--attention_units=all"]


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a module of the benchmarks; their flags are gone afterwards."""
    from absl import flags

    # At the end of the path: one is named as the package data_prep.
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCHMARKS)])
    known, modules = set(flags.FLAGS), set(sys.modules)
    yield importlib.import_module
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)
    for name in set(sys.modules) - modules:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


# --------------------------------------------------------------------------- FLOPs


def traced(function, *shapes):
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    return tf.function(function).get_concrete_function(*specs).graph


def gradients(function):
    def both(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = function(x, w)
        return tape.gradient(y, [x, w])

    return both


def test_flops_of_a_convolution_and_its_gradients_by_hand(benchmark):
    def convolution(x, w):
        return tf.nn.conv2d(x, w, strides=2, padding="VALID")

    count = benchmark("parts.flops").count_flops
    # [2, 9, 9, 5] by a 3x3 kernel, stride 2: 2 * 4 * 4 places, 7 channels of 3 * 3 * 5 each.
    forward = 2 * (2 * 4 * 4 * 7) * (3 * 3 * 5)
    shapes = (2, 9, 9, 5), (3, 3, 5, 7)
    assert count(traced(convolution, *shapes)) == forward
    # The value itself is traced, but not computed where gradients alone are asked for.
    assert count(traced(gradients(convolution), *shapes)) == 2 * forward


def test_flops_of_products_by_hand(benchmark):
    count = benchmark("parts.flops").count_flops
    assert count(traced(tf.matmul, (2, 3), (3, 5))) == 2 * 2 * 3 * 5
    assert count(traced(tf.matmul, (4, 2, 3), (4, 3, 5))) == 2 * 4 * 2 * 3 * 5
    assert count(traced(gradients(tf.matmul), (2, 3), (3, 5))) == 2 * 2 * 2 * 3 * 5


def test_flops_need_shapes(benchmark):
    with pytest.raises(ValueError, match="FLOPs need static shapes"):
        benchmark("parts.flops").count_flops(traced(tf.matmul, (None, 3), (3, 5)))


@pytest.mark.slow
def test_flops_of_keras_resnet50_are_the_published(benchmark):
    """3.858 GMAC a picture, He et al.'s ResNet-50 with its stride in the 1x1."""
    network = keras.applications.ResNet50(weights=None)
    graph = traced(lambda x: network(x, training=False), (1, 224, 224, 3))
    assert benchmark("parts.flops").count_flops(graph) == pytest.approx(2 * 3.858e9, rel=1e-3)


# --------------------------------------------------------------------------- tables


def result(flops, cpu, device="CPU, 2 core(s)"):
    """What a network's process would have said; wall times are twice the CPU's."""
    rounds = [{"wall": 2 * seconds, "cpu": seconds, "peak_mib": 100.0} for seconds in cpu]
    return {
        "flops": flops,
        "mib": {"imports": 40.0, "set_up": 25.0},
        "first_step_seconds": 7.0,
        "device": device,
        "versions": {"keras": "3"},
        "rounds": rounds,
    }


RESULTS = {"plain": result(4e9, [1.0, 2.0, 1.0]), "gated": result(5e9, [1.5, 2.2, 1.2])}


def test_ratios_are_of_the_same_round(benchmark):
    tables = benchmark("parts.tables")
    row = tables.rows(RESULTS, {"p": "plain", "gone": "of a network that did not run"})["gated"]
    assert tuple(row["p"]) == pytest.approx((1.2, 1.1, 1.5))  # of 1.5, 1.1, 1.2
    assert (row["floor"], row["gflop"], row["cpu"], row["wall"]) == (1.25, 5.0, 1.5, 3.0)
    assert "gone" not in row
    lines = tables.text({"gated": row}).splitlines()
    assert "1.20 (1.10-1.50)" in lines[1] and "/ p" in lines[0]
    assert len(lines[0]) == len(lines[1])


def test_gpus_are_compared_by_wall_time(benchmark):
    tables = benchmark("parts.tables")
    assert tables.clock(RESULTS) == "cpu"
    assert tables.clock({"a": result(1, [1.0], "NVIDIA A100")}) == "wall"


def test_targets(benchmark):
    step, tables = benchmark("step"), benchmark("parts.tables")
    table = {
        step.OURS: {
            "Keras": tables.Spread(1 / 1.31, 0.1, 2),
            "torchvision": tables.spread([1 / 1.09]),
            "ResNet-50": tables.spread([1.0]),
        },
        step.MAPS: {"Keras": tables.spread([1.0]), "ResNet-50": tables.spread([1.077, 1.0, 2.0])},
    }
    fast, than_torch, cheap = step.verdicts(table)
    assert fast.endswith("1.310, target at least 1.3: met") and step.OURS in fast
    assert than_torch.endswith("1.090, target at least 1.1: MISSED")
    assert cheap.endswith("1.077, target at most 1.076: MISSED")
    assert step.verdicts({step.MAPS: {}}) == []


def test_what_is_compared_differs_in_what_it_says(benchmark):
    shared = {"batch": 8, "image_size": 224, "flags": ["--depth=18"]}
    for name in ("step", "xla", "supervision"):
        specs = benchmark(name).specs(shared)
        assert len({json.dumps(spec) for spec in specs.values()}) == len(specs) >= 3
        assert all(spec["batch"] == 8 and spec["image_size"] == 224 for spec in specs.values())
        for module in ("step", "xla", "supervision"):  # they declare the same flags
            sys.modules.pop(module, None)
        from absl import flags

        for flag in ("batch", "image_size", "steps", "repetitions", "network_flags", "json"):
            delattr(flags.FLAGS, flag)


def test_a_peer_without_an_environment_is_left_out_and_named(benchmark, monkeypatch, tmp_path):
    step = benchmark("step")
    monkeypatch.setattr(step.environments, "FOLDER", tmp_path / ".venvs")
    said = []
    monkeypatch.setattr("builtins.print", said.append)
    specs = {"mine": {"kind": "ours"}, "theirs": {"kind": "x", "environment": "torch"}}
    assert step.present(specs) == {"mine": {"kind": "ours"}}
    (line,) = said
    assert line.startswith("left out: theirs: no environment at") and line.endswith(" --only=torch")


# --------------------------------------------------------------------------- steps


@pytest.mark.slow
def test_our_step_runs(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run, count = benchmark("parts.step_worker").make_steps(
        "ours", batch=2, image_size=28, flags=[*SMALL, "--attention=gala"]
    )
    assert count() > 0
    wall, cpu = run(1)
    assert wall > 0 and cpu > 0


def test_unknown_kind_is_refused(benchmark):
    with pytest.raises(ValueError, match="kind must be one of ours, fit, harmonization"):
        benchmark("parts.step_worker").make_steps("theirs")


@pytest.mark.slow
def test_dead_worker_is_reported(benchmark):
    workers = benchmark("parts.workers")
    with pytest.raises(RuntimeError, match="mine: its process ended with 1"):
        workers.Worker("mine", kind="theirs")


@pytest.mark.slow
def test_step_for_xla_runs(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    flags = [*SMALL, "--attention=none", "--map_loss_weight=0"]
    make_steps = benchmark("parts.step_worker").make_steps
    _, count = make_steps("ours", batch=2, image_size=28, flags=flags)
    run, compiled = make_steps("ours", batch=2, image_size=28, flags=[*flags, "--jit_compile"])
    assert compiled() == count() > 0
    assert run(1)[0] > 0


@pytest.mark.slow
def test_command(tmp_path):
    path = tmp_path / "out.json"
    arguments = ["--batch=2", "--image_size=32", "--steps=1", "--repetitions=2", f"--json={path}"]
    arguments += [
        "--only=Keras ResNet-50 in fit,ResNet-50",
        "--network_flags=--depth=18 --width_multiplier=0.1",
    ]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "step.py"), *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(path.read_text())
    assert all(len(network["rounds"]) == 2 for network in found["networks"].values())
    assert all(network["flops"] > 0 for network in found["networks"].values())
    assert all(key in done.stdout for key in found["rows"])
    assert "target" in done.stdout


# --------------------------------------------------------------------------- precision


def losses(precision):
    """Four seeds, ten steps: float32's means 1, 2, 3, 6 (SD 2.160); bfloat16 a tenth above."""
    first = np.array([1.0, 2.0, 3.0, 6.0])[:, None] + np.zeros(10)
    spread = np.array([-0.1, 0.1, -0.1, 0.1])[:, None]
    return {
        precision.REFERENCE: first,
        "mixed_bfloat16": first + 0.1 + spread,
        "mixed_float16": first + 3 * (np.arange(10) == 9),  # the last step alone
        precision.DISTURBED: first + spread,
    }


def test_paired_differences_by_hand(benchmark):
    precision = benchmark("precision")
    table = precision.compare(losses(precision))
    assert table["float32"]["all"] == pytest.approx((3.0, 2.1602469))
    # Differences 0, .2, 0, .2: SD .11547, of the mean .057735; t(3, .95) = 2.353363.
    for stage in ("all", "end"):
        expected = (0.1, 0.1 - 0.1358715, 0.1 + 0.1358715)
        assert table["mixed_bfloat16"][stage][:3] == pytest.approx(expected)
    assert table["mixed_float16"]["all"].mean == pytest.approx(0.3)
    assert table["mixed_float16"]["end"].mean == pytest.approx(3.0)


def test_parity_needs_the_whole_interval_inside_the_margin(benchmark):
    precision = benchmark("precision")
    table = precision.compare(losses(precision))
    assert "NOT" not in precision.verdict(table, "mixed_bfloat16")
    assert "NOT shown (end: [+3.000, +3.000] against 2.160)" in precision.verdict(
        table, "mixed_float16"
    )
    row = table["mixed_bfloat16"]
    row["all"] = row["all"]._replace(mean=0.0, low=-2.2, high=2.2)  # too few seeds
    assert "NOT shown (all: " in precision.verdict(table, "mixed_bfloat16")


def test_a_loss_that_is_not_finite_is_no_parity(benchmark):
    precision = benchmark("precision")
    found = losses(precision)
    found["mixed_float16"][0, 3] = np.nan
    with pytest.raises(ValueError, match="1 of 4 values are not finite"):
        precision.compare(found)


def test_moving_means(benchmark):
    precision = benchmark("precision")
    np.testing.assert_allclose(precision.moving_mean(np.arange(4.0), 2), [0.5, 1.5, 2.5])
    np.testing.assert_allclose(precision.moving_mean(np.arange(4.0), 9), [1.5])


def test_curves_are_drawn(benchmark, tmp_path):
    from PIL import Image

    precision = benchmark("precision")
    precision.draw(losses(precision), 2, str(tmp_path / "curves.png"))
    image = Image.open(io.BytesIO((tmp_path / "curves.png").read_bytes()))
    assert min(image.size) > 300


def test_runs_that_were_made_are_kept(benchmark, tmp_path):
    precision = benchmark("precision")
    path = str(tmp_path / "precision.json")
    kept = precision.Kept(path, 2, "--image_size=28")
    kept.curves["mixed_float16"][3] = precision.Curve([2.5, 1.25], 1)
    kept.save()
    again = precision.Kept(path, 2, "--image_size=28")
    assert again.curves == kept.curves
    with pytest.raises(ValueError, match="precision.json holds runs of .*'steps': 2.*another"):
        precision.Kept(path, 3, "--image_size=28")


@pytest.mark.slow
def test_pairs_differ_in_arithmetic_alone(benchmark, data_dir):
    precision = benchmark("precision")
    small = [f"--data_dir={data_dir}", "--image_size=28", "--clickmap_blur=box:5", *SMALL]
    first, again, disturbed, half = (
        precision.train(run, 0, 3, [*small, "--global_batch_size=8"])
        for run in ("float32", "float32", precision.DISTURBED, "mixed_float16")
    )
    assert len(first.loss) == 3 and again == first
    assert 0 < abs(disturbed.loss[0] - first.loss[0]) < 1e-3
    assert 0 < abs(half.loss[0] - first.loss[0]) < 0.1
    assert 0 <= half.skipped <= 3
