"""The command `tpu_check`: its search and its verdicts; and, where its environment is, the whole.

The slow tests need the virtual environment that the command makes (2.6 GB): run it once, or set
GALA_TPU_ENVIRONMENT.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gala_tf import config
from gala_tf.tpu_checking import check, summary, verdicts

TESTS = Path(__file__).resolve().parents[2]


class Compiler(check.Check):
    """Memory as it grows: `fixed`, and so much an image; above `bend` images less, as near the
    limit compilers find ways. Counts what it compiles."""

    def __init__(self, fixed, image, limit, bend=10**9, slope=1.0):
        self.fixed, self.image, self.limit = fixed, image, limit
        self.bend, self.slope, self.compiled = bend, slope, []

    def step(self, name, topology, chip, replicas, batch):
        self.compiled.append(batch)
        images = min(batch, self.bend) + max(0, batch - self.bend) * self.slope
        need = self.fixed + self.image * images
        row = {"batch_per_core": batch, "variable_bytes": self.fixed}
        if need > self.limit:
            refused = {"compiles": False, "stopped_by": "memory", "needed": need - self.fixed}
            return {**row, **refused}
        return {**row, "compiles": True, "stopped_by": None, "peak_bytes": need}

    def search(self, start):
        chip = {"hbm_bytes": self.limit}
        first = self.step("train", "v3:2x2x1", chip, 8, start)
        return self.largest_batch("v3:2x2x1", chip, 8, first)


@pytest.mark.parametrize("start", [8, 128, 1000])
def test_proportional_memory_is_found_at_once(start):
    compiler = Compiler(fixed=1000, image=10, limit=5100)  # 410 images, 408 = 51 x 8
    assert compiler.search(start) == {"fits": 408, "too_large": 416}
    assert len(compiler.compiled) <= 4


@pytest.mark.parametrize("slope, bend, most", [(0.5, 200, 600), (2.0, 320, 360), (0.2, 390, 440)])
def test_memory_that_bends_is_searched(slope, bend, most):
    """What fits was compiled, what does not was refused, and the truth lies between."""
    compiler = Compiler(1000, 10, 5000, bend, slope)
    found = compiler.search(128)
    assert found["fits"] in compiler.compiled
    assert found["too_large"] in compiler.compiled
    assert 0.88 * most <= found["fits"] <= most < found["too_large"] <= 1.15 * most
    assert len(compiler.compiled) <= 1 + check.TRIES


def test_nothing_fits():
    compiler = Compiler(fixed=5000, image=10, limit=4000)
    found = compiler.search(64)
    assert found["fits"] == 0 and found["too_large"] is not None


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "gala_tf.tpu_check", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--topology=v9:2x2"], "--topology=v9:2x2: expected GENERATION:CHIPS"),
        (["--steps=train,fly"], "--steps=train,fly: there are train, evaluate"),
    ],
)
def test_bad_flags_end_at_once(arguments, message, tmp_path):
    result = run(*arguments, f"--environment={tmp_path / 'none'}")
    assert result.returncode == 1 and message in result.stderr
    assert not (tmp_path / "none").exists(), "no environment is made for them"


def test_the_batch_must_divide():
    assert check.share_of_batch(1024, 8) == 128
    with pytest.raises(ValueError, match="--global_batch_size=1000 does not divide by the 16"):
        check.share_of_batch(1000, 16)


ROW = {
    "batch_per_core": 128,
    "stopped_by": None,
    "peak_bytes": 4 * 2**30,
    "hbm_bytes": 16 * 2**30,
    "flops": 3e12,
    "bytes_accessed": 40e9,
    "floor": {"seconds": 0.1, "flops": 0.05, "bytes": 0.1, "images_per_second": 10240.0},
    "lint": {"shares": {"bf16": 0.75, "f32": 0.25}, "faults": {}},
}
FINDING = {"operation": "Cumsum", "node": "a/b", "detail": "s64[8]", "share": 0.0}


def report(**rows):
    return {
        "network": "GALA-ResNet-50 w/ maps",
        "precision": "mixed_bfloat16",
        "image_size": 224,
        "num_classes": 1000,
        "passes": False,
        "faults": ["here"],
        "topologies": {
            "v3:2x2x1": {
                "devices": 8,
                "kind": "TPU v3",
                "devices_per_chip": 2,
                "chip": {"flops": 123e12, "bandwidth": 900e9},
                "batch_per_core": 128,
                "replicas": 8,
                "steps": rows,
                "largest_batch": {"fits": 408, "too_large": 416},
            }
        },
    }


def test_faults_name_topology_step_and_reason():
    broken = {**ROW, "lint": {"shares": {}, "faults": {"int64": [FINDING] * 2}}}
    stopped = {"batch_per_core": 128, "stopped_by": "ResizeBicubic (a): no"}
    assert check.faults(report(train=ROW)) == []
    assert check.faults(report(train=broken, evaluate=stopped)) == [
        "v3:2x2x1 train: lint int64, 2 operations",
        "v3:2x2x1 evaluate: ResizeBicubic (a): no",
    ]


def test_the_table_says_everything():
    broken = {**ROW, "lint": {"shares": {}, "faults": {"int64": [FINDING] * 7}}}
    stopped = {"batch_per_core": 128, "stopped_by": "ResizeBicubic (a): no"}
    text = summary.table(report(train=ROW, other=broken, evaluate=stopped))
    for words in (
        "GALA-ResNet-50 w/ maps, mixed_bfloat16, 224 px, 1000 classes",
        "8 x TPU v3",
        "128 images a core, 1024 in all",
        "75.00 % bf16, 25.00 % f32",
        "LINT int64: Cumsum (a/b): s64[8]",
        "and 2 more",
        "NO  ResizeBicubic (a): no",
        "408 images a core fit, 416 do not (compiled)",
        "verdict: here",
    ):
        assert words in text, words
    (row,) = [line for line in text.splitlines() if line.split()[:2] == ["train", "yes"]]
    assert row.split()[2:] == [
        "4.00",
        "16.00",
        "3.000",
        "40.0",
        "100.00",
        "50.00",
        "100.00",
        "10240",
    ]


NETWORK = [
    "--stage_blocks=1,1,2",
    "--stage_widths=8,8,16",
    "--stem=small",
    "--image_size=56",
    "--clickmap_blur=box:13",
    "--global_batch_size=64",
    "--precision=mixed_bfloat16",
    "--num_classes=6",
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("verdicts")


@pytest.mark.slow
def test_a_small_network_compiles_for_a_v3(where, kept, tmp_path):
    output = tmp_path / "report.json"
    arguments = [*NETWORK, f"--cache_dir={kept}", f"--output={output}"]
    result = run(*arguments)
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    found = json.loads(output.read_text())["topologies"]["v3:2x2x1"]
    assert (found["devices"], found["devices_per_chip"], found["replicas"]) == (8, 2, 8)
    assert 15 * 2**30 < found["hbm_bytes"] < 16 * 2**30
    for name in ("train", "evaluate"):
        step = found["steps"][name]
        assert step["compiles"] and step["lint"]["faults"] == {}
        assert 0 < step["peak_bytes"] < 2**30
        assert step["lint"]["shares"]["bf16"] > 0.99
        # The compiler counts all arithmetic, the lint that of matrix products.
        assert 1 < step["flops"] / (2 * step["lint"]["multiply_adds"]) < 1.5
    trained, evaluated = found["steps"]["train"], found["steps"]["evaluate"]
    assert 2.5 < trained["lint"]["multiply_adds"] / evaluated["lint"]["multiply_adds"] < 3
    assert trained["variable_bytes"] <= trained["argument_bytes"]
    # Variables give their memory to their new values, and the compiler agrees.
    assert trained["shared_bytes"] > 0.95 * trained["variable_bytes"]
    verdicts_kept = sorted(path.name for path in kept.iterdir())
    again = run(*arguments)
    assert again.stdout == result.stdout
    assert sorted(path.name for path in kept.iterdir()) == verdicts_kept, "nothing compiled anew"


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant, words",
    [
        ("no_kernel", "ResizeBicubic (ResizeBicubic): TPUs have no such operation"),
        ("dynamic_shape", "LINT dynamic: Where (boolean_mask/Where): shape [None, 1]"),
        ("dynamic_resize", "ResizeBilinear (resize/ResizeBilinear): its shape is dynamic"),
        ("print", "StringFormat (StringFormat): TPUs have no such operation"),
    ],
)
def test_planted_defects_are_caught_by_name(where, kept, plant, words, monkeypatch):
    monkeypatch.setattr(verdicts, "LOWERING", "faults.planted_defects")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("PLANTED_DEFECT", plant)
    run_config = config.from_arguments(NETWORK[:-1], "test")
    asked = check.Request(
        ["v3:2x2x1"],
        ["train"],
        num_classes=6,
        environment=str(where.directory),
        cache_dir=str(kept),
    )
    found = check.check(run_config, "planted", asked)
    assert not found["passes"]
    assert words in summary.table(found)


@pytest.mark.slow
def test_a_batch_that_does_not_fit(where, kept):
    result = run(*NETWORK, "--steps=train", "--batch_per_core=65536", f"--cache_dir={kept}")
    assert result.returncode == 1, result.stdout + result.stderr[-3000:]
    assert "the batch does not fit: 65536 images need" in result.stdout


@pytest.mark.slow
def test_flags_that_training_refuses_are_refused(where, kept):
    result = run(*NETWORK, "--attention=se", "--map_loss_weight=1", f"--cache_dir={kept}")
    assert result.returncode == 1
    assert "there is no attention with an extent in space" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_topology_libtpu_does_not_know(where, kept):
    result = run(*NETWORK, "--topology=v3:7x7x7", f"--cache_dir={kept}")
    assert result.returncode == 1 and "error: --topology=v3:7x7x7: " in result.stderr


@pytest.mark.slow
def test_gradients_are_summed_over_all_cores(where):
    """Once a variable, by the compiler's all-reduce."""
    run_config = config.from_arguments(NETWORK[:-1], "test")
    lowered = verdicts.lower(where, "train", run_config, 8, 6)
    sums = [line for line in lowered.text.splitlines() if " all-reduce(" in line]
    assert sums and all("replica_groups={{0,1,2,3,4,5,6,7}}" in line for line in sums)
