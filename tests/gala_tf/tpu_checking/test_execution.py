"""`tpu_check --execute`: what is compared and how; and, where the environment is, the whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_data
import tensorflow as tf
from faults import planted_defects

from gala_tf import config
from gala_tf.tpu_checking import (
    cases,
    distances,
    executing,
    execution,
    lowering,
    pure_step,
    replica_values,
    steps,
    verdicts,
)

TESTS = Path(__file__).resolve().parents[2]


# ---------------------------------------------------------------------- distances


def one(**values):
    return {name: [np.array(value)] for name, value in values.items()}


def test_a_distance_is_a_share_of_the_update():
    old, theirs = one(w=[0.0, 0.0], count=3), one(w=[3.0, 4.0], count=4)
    ours, again = one(w=[3.0, 4.5], count=4), one(w=[3.001, 4.0], count=4)
    compared = distances.compare(["w", "count"], old, theirs, ours, [again], [])
    w, count = compared.distances
    assert (w.share, w.yardstick) == (pytest.approx(0.1), pytest.approx(0.0002))
    assert count == distances.Distance("count", 0.0, 0.0)
    assert [d.name for d in compared.at_fault] == ["w"]
    assert compared.summary()["worst_name"] == "w"


def test_the_farthest_replica_and_the_longest_yardstick_count():
    old = {"w": [np.zeros(1), np.zeros(1)]}
    theirs = {"w": [np.ones(1), np.full(1, 2.0)]}
    ours = {"w": [np.ones(1), np.full(1, 2.5)]}
    themselves = {"w": [np.full(1, 1.01), np.full(1, 2.0)]}
    ourselves = {"w": [np.ones(1), np.full(1, 2.4)]}  # of an update of 2.5
    (d,) = distances.compare(["w"], old, theirs, ours, [themselves], [ourselves]).distances
    assert (d.share, d.yardstick) == (pytest.approx(0.25), pytest.approx(0.04))


@pytest.mark.parametrize("ours", [2.0, float("nan"), float("inf")])
def test_what_one_side_leaves_alone_is_at_fault_whatever_the_yardstick(ours):
    old = theirs = one(w=[1.0])
    compared = distances.compare(["w"], old, theirs, one(w=[ours]), [one(w=[1.5])], [])
    assert [d.name for d in compared.at_fault] == ["w"]


def test_a_variable_that_the_program_does_not_know_must_not_have_moved():
    old, theirs = one(a=[1.0], b=[1.0]), one(a=[1.0], b=[2.0])
    compared = distances.compare(["a", "b"], old, theirs, {}, [theirs], [])
    assert [d.name for d in compared.at_fault] == ["b"]


def test_one_small_yardstick_counts_as_the_usual_one():
    found = [distances.Distance(str(i), 1e-3, 1e-3) for i in range(9)]
    lucky = distances.Distance("lucky", 2e-3, 0.0)
    assert distances.Compared((*found, lucky)).at_fault == []
    off = distances.Distance("off", 2e-2, 0.0)
    assert distances.Compared((*found, off)).at_fault == [off]


def test_an_update_of_less_than_its_roundings_is_not_judged_but_named():
    found = [distances.Distance(str(i), 1e-3, 1e-3) for i in range(9)]
    cancels = distances.Distance("cancels", 9.6, 1.4)
    summary = distances.Compared((*found, cancels)).summary()
    assert summary["at_fault"] == [] and summary["not_judged"] == ["cancels"]
    assert summary["worst"] == summary["yardstick_worst"] == 1e-3
    broken = distances.Distance("broken", float("nan"), 1.4)
    assert distances.Compared((*found, broken)).at_fault == [broken]


def test_a_variable_that_moves_by_its_last_digit_alone_is_not_judged():
    old = theirs = one(w=[1.0, 3.0])
    digit, more = (one(w=np.array([1 + by, 3 + by])) for by in (2.0**-22, 2.0**-19))
    compared = distances.compare(["w"], old, theirs, digit, [digit], [])
    assert compared.at_fault == [] and compared.summary()["not_judged"] == ["w"]
    (moved,) = distances.compare(["w"], old, theirs, more, [digit], []).at_fault
    assert moved.share == float("inf")


def test_outputs_are_compared_with_how_they_vary():
    theirs = one(entropy=[1.0, 3.0], label=[2, 2])
    ours = one(entropy=[1.0, 3.1], label=[2, 2])
    entropy, label = distances.compare(
        ["entropy", "label"], distances.Means(theirs), theirs, ours, [theirs], []
    ).distances
    assert entropy.share == pytest.approx(0.1 / 2**0.5)
    assert label.share == 0.0


def test_disturbed_values_are_off_by_a_part_alike_on_all_replicas():
    values = [[np.float32([1, 100]), np.float32([2, 200])], [np.int64(7), np.int64(7)]]
    assert executing.disturbed(values, 0.0, 1) is values
    (one, two), counts = executing.disturbed(values, 1e-3, 1)
    assert one.dtype == np.float32 and counts == [7, 7]
    assert 0 < np.max(np.abs(one / values[0][0] - 1)) <= 1.001e-3
    np.testing.assert_allclose(one / values[0][0], two / values[0][1], rtol=1e-6)
    again, other = (executing.disturbed(values, 1e-3, seed)[0][0] for seed in (1, 2))
    assert np.array_equal(again, one) and not np.array_equal(other, one)


def test_values_of_replicas_are_kept(tmp_path):
    same, different = np.ones((2, 3)), np.float32([1, np.nan])
    path = str(tmp_path / "v.npz")
    replica_values.save(path, {"a b": [same, same], "c": [different, different + 1]})
    with replica_values.Saved(path) as saved:
        assert saved.names == ["a b", "c"] and "c" in saved and "d" not in saved
        for kept, wanted in (
            (saved["a b"], [same, same]),
            (saved["c"], [different, different + 1]),
        ):
            np.testing.assert_array_equal(kept, wanted)
    assert len(np.load(path).files) == 3


# ---------------------------------------------------------------------- cases


def test_cases_cover_precision_replicas_and_maps():
    assert len(set(cases.NAMES)) == len(cases.CASES) == 8
    assert {(c.precision, c.replicas, c.maps) for c in cases.CASES} == {
        (p, n, m) for p in ("float32", "mixed_bfloat16") for n in (1, 2) for m in (True, False)
    }
    assert any(c.synchronized and c.replicas == 2 for c in cases.CASES)


def test_a_case_changes_what_it_says():
    case = next(c for c in cases.CASES if c.name == "mixed_bfloat16/2/maps/synchronized")
    made = case.of(config.Config(momentum=0.8, tpu="local"), 4)
    assert (made.precision, made.global_batch_size, made.cpu_devices) == ("mixed_bfloat16", 8, 2)
    assert made.synchronized_batch_norm and made.tpu == "" and made.momentum == 0.8
    assert made.map_resize == "bilinear" and made.map_loss_weight == 6.0
    bare = next(c for c in cases.CASES if c.name == "float32/1/no_maps")
    assert bare.of(config.Config(map_resize="bicubic"), 4).map_resize == "bicubic"
    assert bare.of(config.Config(), 4).map_loss_weight == 0.0


def test_cases_are_chosen_by_name():
    run_config, without = config.Config(), config.Config(map_loss_weight=0.0)
    assert cases.chosen([], run_config) == list(cases.CASES)
    assert not any(case.maps for case in cases.chosen([], without))
    (case,) = cases.chosen(["float32/2/no_maps"], without)
    assert case.replicas == 2
    with pytest.raises(ValueError, match="--cases=float16/1: there are float32/1/maps, "):
        cases.chosen(["float16/1"], run_config)
    with pytest.raises(ValueError, match="--cases=float32/1/maps: --map_loss_weight is 0"):
        cases.chosen(["float32/1/maps"], without)


def test_made_up_batches_are_batches():
    specs = {
        "image": tf.TensorSpec([8, 28, 28, 3], tf.uint8),
        "label": tf.TensorSpec([8], tf.int32),
        "clickmap": tf.TensorSpec([8, 7, 7, 1], tf.float32),
        "has_clickmap": tf.TensorSpec([8], tf.float32),
        "mirrored": tf.TensorSpec([8], tf.float32),
    }
    made = cases.made_up_batch(specs, 4, (0, 1))
    for name, spec in specs.items():
        assert made[name].shape == spec.shape and made[name].dtype == spec.dtype.as_numpy_dtype
    assert made["label"].max() < 4
    has = made["clickmap"].reshape(8, -1).max(1) > 0.1
    np.testing.assert_array_equal(has, made["has_clickmap"])
    assert made["image"].std() > 20
    again = cases.made_up_batch(specs, 4, (0, 1))
    assert all(np.array_equal(made[n], again[n]) for n in specs)
    assert not np.array_equal(made["image"], cases.made_up_batch(specs, 4, (0, 2))["image"])


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("step", verdicts.STEPS)
def test_every_parameter_and_result_of_a_step_has_its_name(step, tmp_path):
    traced = steps.trace(step, small_data.small_config("", tmp_path, map_resize="bilinear"), 1, 4)
    pure = pure_step.PureStep(traced.function)
    names = lowering.parameter_names(traced, pure)
    assert len(set(names["variables"])) == len(pure.variables)
    assert len(names["arguments"]) == len(pure.arguments)
    assert len(names["results"]) == pure.outputs
    by_name = dict(zip(names["variables"], pure.variables, strict=True))
    kernel = traced.owner.network.get_layer("stem_conv").kernel
    assert by_name[kernel.path] is kernel.value
    argument = dict(zip(names["arguments"], pure.arguments, strict=True))["image"]
    assert argument.shape[-1] == 3
    if step == "train":
        assert names["results"] == ["vector"]
        momenta = [n for n in names["variables"] if n.endswith("momentum")]
        assert len(momenta) == len(traced.owner.network.trainable_variables)
    else:
        assert {"cross_entropy", "maps/stage1_block1_gala"} <= set(names["results"])


# ---------------------------------------------------------------------- the report

FOUND = {"share": 0.1, "yardstick": 1e-4}


def report(*at_fault, stopped_by=None):
    row = {
        "worst": 1e-3,
        "worst_name": "a/kernel",
        "median": 1e-5,
        "yardstick_worst": 2e-3,
        "not_judged": [],
        "yardstick_median": 1e-5,
        "at_fault": [{"name": name, **FOUND} for name in at_fault],
    }
    clean = {**row, "at_fault": []}
    found = {
        "train": {"stopped_by": None, "steps": [clean, row, row]},
        "evaluate": {"stopped_by": stopped_by, "steps": [clean]},
    }
    return execution.finished(
        {
            "network": "GALA",
            "image_size": 56,
            "num_classes": 6,
            "batch_per_replica": 8,
            "cases": {"float32/1/maps": found},
        }
    )


def test_the_verdict_is_a_sentence():
    assert report()["passes"]
    text = execution.table(report())
    assert "verdict: in 1 cases the program for TPUs does to every variable what" in text
    (row,) = [line for line in text.splitlines() if "train 2" in line]
    assert row.split() == [
        "float32/1/maps", "train", "2", "1.0e-03", "1.0e-05", "2.0e-03", "1.0e-05", "a/kernel"
    ]  # fmt: skip


def test_the_verdict_names_the_first_step_and_its_variables():
    found = report("b/kernel", "c/bias", "d", "e", "f")
    assert not found["passes"]
    assert found["faults"] == [
        "float32/1/maps train, step 2: b/kernel by 1.0e-01 (yardstick 1.0e-04), c/bias by 1.0e-01 "
        "(yardstick 1.0e-04), d by 1.0e-01 (yardstick 1.0e-04) and 2 more"
    ]
    stopped = report(stopped_by="ResizeBicubic (a): TPUs have no such operation")
    assert stopped["faults"] == [
        "float32/1/maps evaluate: ResizeBicubic (a): TPUs have no such operation"
    ]


def test_bad_cases_end_at_once(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "gala_tf.tpu_check", "--execute", "--cases=float64/1/maps",
         f"--environment={tmp_path / 'none'}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 1 and "--cases=float64/1/maps: there are" in result.stderr
    assert not (tmp_path / "none").exists()


# ---------------------------------------------------------------------- the whole

NETWORK = [
    "--stage_blocks=1,1,2",
    "--stage_widths=8,8,16",
    "--stem=small",
    "--image_size=56",
    "--attention_units=stage2,stage3",  # on two grids, so that a step resizes maps
    "--clickmap_blur=box:13",
    "--map_resize=bicubic",
]
CLASSES = 6


@pytest.fixture(scope="module")
def two_replicas(where, tmp_path_factory):
    """What TensorFlow does on two replicas, with which the clean and the planted are compared."""
    case = next(c for c in cases.CASES if c.name == "float32/2/maps/synchronized")
    run_config = case.of(config.from_arguments(NETWORK, "test"), cases.BATCH)
    directory = tmp_path_factory.mktemp("two_replicas")
    executed = execution.Executed(where, run_config, CLASSES, str(directory))
    executed.refer()
    return executed


@pytest.mark.slow
@pytest.mark.parametrize("step", verdicts.STEPS)
def test_two_replicas_do_what_tensorflow_does(two_replicas, step):
    """All-reduces of gradients and of synchronised statistics are executed."""
    found = two_replicas.step(step)
    assert execution.faults("two", {step: found}) == []
    for row in found["steps"]:
        assert row["median"] < 1e-2 and row["yardstick_median"] < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant, named, spared",
    [
        ("momentum", "summed_sgd/logits_kernel_momentum", None),
        ("all_reduce", "stem_conv/kernel", "logits/kernel"),
        ("local_batch", "stage3_block2_gala/local_saliency/shrink/kernel", "logits/kernel"),
        ("bilinear", "stage3_block2_gala/local_saliency/shrink/kernel", "logits/kernel"),
    ],
)
def test_what_changes_the_numbers_is_caught_by_the_variables_name(
    two_replicas, plant, named, spared, monkeypatch
):
    monkeypatch.setattr(verdicts, "LOWERING", "faults.planted_defects")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("PLANTED_DEFECT", plant)
    assert plant in planted_defects.WRONG
    found = two_replicas.step("train")
    first = [d["name"] for d in found["steps"][0]["at_fault"]]
    assert named in first and spared not in first
    (line,) = execution.faults("two", {"train": found})
    assert line.startswith(f"two train, step 1: {first[0]} by ")


@pytest.mark.slow
def test_one_replica_without_maps_by_the_command(where, tmp_path):
    output = tmp_path / "report.json"
    result = subprocess.run(
        [sys.executable, "-m", "gala_tf.tpu_check", "--execute", *NETWORK,
         "--attention_units=stage3", f"--num_classes={CLASSES}",
         "--cases=float32/1/no_maps,mixed_bfloat16/1/no_maps",
         f"--output={output}"],
        capture_output=True, text=True, env={**os.environ},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    assert "verdict: in 2 cases the program for TPUs does to every variable" in result.stdout
    found = json.loads(output.read_text())["cases"]
    exact, coarse = (
        found[f"{p}/1/no_maps"]["train"]["steps"] for p in ("float32", "mixed_bfloat16")
    )
    assert len(exact) == len(coarse) == execution.STEPS
    assert exact[0]["median"] < 1e-3 < coarse[0]["median"] < 0.3
