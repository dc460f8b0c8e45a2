"""The real loop on a small data set: it learns, resumes exactly, and refuses what cannot work."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import small_data
import tensorflow as tf
from run_weights import assert_same_weights, weights

from gala_tf import models
from gala_tf.data import dataset_info
from gala_tf.runs import checkpoints, directory, logs
from gala_tf.training import checks, loop, non_finite, optimizers, plan, step
from gala_tf.training.non_finite import NonFiniteLossError


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """A whole run: (Config, what train_and_evaluate returned)."""
    run_config = small_data.small_config(
        data_dir,
        tmp_path_factory.mktemp("run"),
        test_split="test",
        epochs=12.0,
        eval_every_epochs=4.0,
    )
    return run_config, loop.train_and_evaluate(run_config)


def test_run_learns(finished):
    """The loss falls, attention moves to where the maps are, and colours are told apart."""
    run_config, results = finished
    log = logs.read_metrics(run_config.model_dir)
    losses = [line for line in log if line["kind"] == "train"]
    assert losses[-1]["cross_entropy"] < 0.6 * losses[0]["cross_entropy"]
    assert losses[-1]["map_loss"] < 0.8 * losses[0]["map_loss"]
    final = results["test"]["maps"]["stage2_block1_gala"]
    assert final["spearman"] > final["shuffled"] + 0.2
    assert results["test"]["top1"] > 0.5  # chance: 0.25


def test_run_directory_is_complete(finished):
    run_config, results = finished
    names = set(os.listdir(run_config.model_dir))
    assert {
        "run.flags",
        "environment.json",
        "trained_on.json",
        "metrics.jsonl",
        "checkpoints",
        "best",
        "figures",
        "results-test.json",
    } <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    stored = json.loads(open(os.path.join(run_config.model_dir, "results-test.json")).read())
    assert stored == json.loads(json.dumps(results["test"]))
    assert stored["examples"] == 13 and stored["human_ceiling"]["images"] == 10
    again = directory.open_run(run_config.model_dir)
    assert again.config == run_config
    assert again.info == dataset_info.load_info(run_config.data_dir)


def test_log_holds_what_a_reader_needs(finished):
    run_config, _ = finished
    line = next(line for line in logs.read_metrics(run_config.model_dir) if line["kind"] == "train")
    assert {
        "step",
        "loss",
        "cross_entropy",
        "map_loss",
        "l2",
        "top1",
        "learning_rate",
        "epoch",
        "gradient_norm",
        "images_per_second",
        "map_loss/stage1_block1",
        "gradient_norm/stage2_block1_gala",
    } <= set(line)
    assert line["loss"] == pytest.approx(
        line["cross_entropy"] + run_config.map_loss_weight * line["map_loss"] + line["l2"], rel=1e-5
    )
    assert line["map_loss"] == pytest.approx(
        line["map_loss/stage1_block1"] + line["map_loss/stage2_block1"], rel=1e-5
    )
    validation = [x for x in logs.read_metrics(run_config.model_dir) if x["kind"] == "validation"]
    assert [line["step"] for line in validation] == [20, 40, 60]


def test_best_is_the_best_validation(finished):
    run_config, _ = finished
    validation = [x for x in logs.read_metrics(run_config.model_dir) if x["kind"] == "validation"]
    _, facts = checkpoints.complete(os.path.join(run_config.model_dir, "best"))[-1]
    top1 = [line["top1"] for line in validation]
    assert facts["validation"]["top1"] == max(top1)
    best = max(validation, key=lambda line: (line["top1"], -line["cross_entropy"]))
    assert facts["step"] == best["step"]
    rolling = checkpoints.complete(os.path.join(run_config.model_dir, "checkpoints"))
    assert len(rolling) == run_config.keep_checkpoints


@pytest.mark.parametrize("stops", [(23,), pytest.param((4, 23, 41), marks=pytest.mark.slow)])
def test_stopped_run_resumes_bit_for_bit(finished, tmp_path, stops):
    """Stops inside an epoch, after a validation, and is what it would have been."""
    whole, _ = finished
    parts = dataclasses.replace(whole, model_dir=str(tmp_path))
    for stop in (*stops, 0):
        loop.train_and_evaluate(dataclasses.replace(parts, stop_after_steps=stop))
    assert_same_weights(weights(whole.model_dir), weights(parts.model_dir))
    assert_same_weights(weights(whole.model_dir, "best"), weights(parts.model_dir, "best"))
    mine, theirs = (
        [
            {k: v for k, v in line.items() if k != "images_per_second"}
            for line in logs.read_metrics(d)
            if line["kind"] == "validation"
        ]
        for d in (whole.model_dir, parts.model_dir)
    )
    assert mine == theirs


@pytest.mark.slow
def test_steps_per_loop_changes_nothing(data_dir, tmp_path):
    for n in (1, 50):
        loop.train_and_evaluate(
            small_data.small_config(data_dir, tmp_path / str(n), steps_per_loop=n, epochs=2.0)
        )
    assert_same_weights(weights(tmp_path / "1"), weights(tmp_path / "50"))


@pytest.mark.slow
def test_seed_changes_the_run(data_dir, tmp_path):
    for seed in (0, 1):
        loop.train_and_evaluate(
            small_data.small_config(
                data_dir, tmp_path / str(seed), seed=seed, epochs=1.0, warmup_epochs=0.0
            )
        )
    a, b = weights(tmp_path / "0"), weights(tmp_path / "1")
    assert any(np.any(a[name] != b[name]) for name in a)


@pytest.mark.slow
def test_killed_run_resumes_bit_for_bit(data_dir, tmp_path):
    """kill -9, three times, at moments of no meaning; then to the end."""
    changes = dict(epochs=24.0, checkpoint_every_steps=2, steps_per_loop=1, eval_every_epochs=3.0)
    whole = small_data.small_config(data_dir, tmp_path / "whole", **changes)
    killed = small_data.small_config(data_dir, tmp_path / "killed", **changes)
    command = [sys.executable, "-m", "gala_tf.train"]
    subprocess.run([*command, *small_data.flag_arguments(whole)], check=True)

    kills = 0
    for steps_before_kill in (3, 31, 64):
        process = subprocess.Popen([*command, *small_data.flag_arguments(killed)])
        while process.poll() is None:
            done = checkpoints.complete(os.path.join(killed.model_dir, "checkpoints"))
            if done and done[-1][1]["step"] >= steps_before_kill:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
            time.sleep(0.02)
    assert kills == 3
    subprocess.run([*command, *small_data.flag_arguments(killed)], check=True)
    assert_same_weights(weights(whole.model_dir), weights(killed.model_dir))
    assert_same_weights(weights(whole.model_dir, "best"), weights(killed.model_dir, "best"))


SINGLY = [
    dict(attention="none", map_loss_weight=0.0),
    dict(attention="se", map_loss_weight=0.0),
    dict(attention="gala", map_loss_weight=0.0),
    dict(map_source="boxes"),
    dict(attention="none"),
    dict(map_target="attention"),
    dict(precision="mixed_bfloat16", version="v2"),
    dict(precision="mixed_float16"),
    dict(schedule="piecewise", decay_epochs=(0.5,), crop="inception", map_resize="bilinear"),
    dict(crop="center", flip=False, clickmap_blur="gaussian:5,1.5", label_smoothing=0.1),
    dict(attention="gala_residual", map_alignment="receptive_field", map_units="stage2_block1"),
]


@pytest.mark.parametrize(
    "changes",
    [
        SINGLY[1] | SINGLY[6],
        SINGLY[10],
        *(pytest.param(changes, marks=pytest.mark.slow) for changes in SINGLY),
    ],
    ids=str,
)
def test_every_variant_trains(data_dir, tmp_path, changes):
    run_config = small_data.small_config(
        data_dir, tmp_path, **{"epochs": 1.0, "warmup_epochs": 0.0, **changes}
    )
    results = loop.train_and_evaluate(run_config)
    assert np.isfinite(results["validation"]["cross_entropy"])
    line = logs.read_metrics(run_config.model_dir)[-2]
    assert (line["map_loss"] > 0) == (run_config.map_loss_weight > 0)


def refused(message, run_config):
    with pytest.raises(ValueError, match=message):
        loop.train_and_evaluate(run_config)
    assert not os.path.exists(os.path.join(run_config.model_dir, "run.flags"))


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(data_dir=""), "--data_dir is not set"),
        (dict(data_dir="/nowhere"), "No data set at '/nowhere'"),
        (dict(train_split="training"), "--train_split=training: .* no split 'training'; it has"),
        (dict(model_dir=""), "--model_dir is not set"),
        (
            dict(global_batch_size=41),
            "--global_batch_size=41 is more than the 40 images .* at most 40",
        ),
        (
            dict(attention="none", map_target="attention"),
            "--map_loss_weight=1.0 with --attention=none: .* --map_loss_weight=0",
        ),
        (
            dict(attention="se", map_target="attention"),
            "--attention=se: there is no attention with an extent in space",
        ),
        (
            dict(map_units="stage1,stage2_block9"),
            "--map_units=stage1,stage2_block9: 'stage2_block9' is neither .* stage2_block1\\.",
        ),
        (
            dict(map_alignment="receptive_field"),
            r"--map_alignment=receptive_field .* grids of \[7, 14\] cells.* --map_units",
        ),
        (
            dict(attention="gema"),
            "attention must be one of none, se, gala, gala_residual. Received: 'gema'",
        ),
        (dict(attention_units="stage4"), "'stage4' is neither .* stage2_block1"),
        (dict(depth=51, stage_blocks=()), "depth must be one of .* Received: 51"),
        (dict(clickmap_blur="box:4"), "odd, positive size"),
        (
            dict(image_size=64),
            "--image_size=64 contradicts .* crops of 28 px .* about 28.* --square_size=73",
        ),
        (
            dict(tpu="my-tpu"),
            "a TPU given by name reads and writes on its own machine.* gs:// path",
        ),
    ],
)
def test_contradictions_are_refused_before_training(data_dir, tmp_path, changes, message):
    run_config = dataclasses.replace(small_data.small_config(data_dir, tmp_path / "run"), **changes)
    refused(message, run_config)


def test_jit_compile_where_it_cannot_be_is_refused(data_dir):
    run_config = small_data.small_config(data_dir, "run", jit_compile=True)
    checks.check_jit_compile(run_config, 1)
    with pytest.raises(ValueError, match="--jit_compile with 2 replicas: TensorFlow cannot"):
        checks.check_jit_compile(run_config, 2)
    on_tpu = dataclasses.replace(run_config, tpu="local")
    with pytest.raises(ValueError, match="--jit_compile with --tpu=local: .* always compiled"):
        checks.check_jit_compile(on_tpu, 1)
    checks.check_jit_compile(dataclasses.replace(on_tpu, jit_compile=False), 8)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_jit_compile_computes_the_same(data_dir, tmp_path, precision):
    """To rounding: XLA sums in another order."""
    lines = []
    for jit_compile in (False, True):
        run_config = small_data.small_config(
            data_dir,
            tmp_path / str(jit_compile),
            jit_compile=jit_compile,
            precision=precision,
            epochs=1.0,
            warmup_epochs=0.0,
        )
        loop.train_and_evaluate(run_config)
        lines.append(logs.read_metrics(run_config.model_dir)[0])
    for name in ("loss", "map_loss", "l2", "gradient_norm"):
        tolerance = 1e-3 if precision == "float32" else 3e-2
        assert lines[1][name] == pytest.approx(lines[0][name], rel=tolerance)


def test_batch_that_does_not_divide_is_refused(data_dir):
    info = dataset_info.load_info(str(data_dir))
    with pytest.raises(
        ValueError, match="--global_batch_size=10 .* by the 4 replicas; use 8 or 12"
    ):
        plan.make_plan(small_data.small_config(data_dir, "run", global_batch_size=10), info, 4)


def test_damaged_data_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    info = small_data.build(data)
    shard = data / info.splits["validation"].shards[1].file
    shard.write_bytes(shard.read_bytes()[:-3])
    refused(f"{shard.name}.*expected .* bytes", small_data.small_config(data, tmp_path / "run"))


def test_maps_wanted_but_none_there_is_refused(data_dir, tmp_path, monkeypatch):
    info = dataset_info.load_info(str(data_dir))
    bare = dataclasses.replace(info.splits["train"], with_clickmap=0)
    bare = dataclasses.replace(info, splits={**info.splits, "train": bare})
    monkeypatch.setattr(dataset_info, "load_info", lambda _: bare)
    refused(
        "no image of split 'train' .* has a click map",
        small_data.small_config(data_dir, tmp_path / "run"),
    )


def test_changed_flags_are_refused_by_name(finished):
    run_config, _ = finished
    changed = dataclasses.replace(run_config, momentum=0.8, seed=3, steps_per_loop=7)
    with pytest.raises(ValueError, match="--momentum: was 0.9, is 0.8; --seed: was 0, is 3") as e:
        loop.train_and_evaluate(changed)
    assert "steps_per_loop" not in str(e.value)  # does not change the result
    allowed = dataclasses.replace(changed, allow_flag_changes=True, seed=0, test_split="")
    loop.train_and_evaluate(allowed)  # is finished already: nothing to do
    assert directory.open_run(run_config.model_dir).config.momentum == 0.8
    directory.start(run_config, dataset_info.load_info(run_config.data_dir))  # as it was


def test_another_data_set_is_refused(finished, tmp_path):
    run_config, _ = finished
    small_data.build(tmp_path, counts={"train": 40, "validation": 12, "test": 14})
    with pytest.raises(ValueError, match="holds another data set than the one"):
        loop.train_and_evaluate(dataclasses.replace(run_config, data_dir=str(tmp_path)))


def test_non_finite_loss_names_step_and_layer(data_dir, tmp_path, monkeypatch):
    """A weight that is NaN from a checkpoint on: the loop stops, and keeps the checkpoint."""
    run_config = small_data.small_config(data_dir, tmp_path, checkpoint_every_steps=2)
    original = checkpoints.Checkpoints.save

    def save_and_poison(self, step, **facts):
        path = original(self, step, **facts)
        kernel = self._checkpoint.model.get_layer("stage2_block1_conv2").kernel
        kernel.assign(kernel * np.nan)
        return path

    monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_poison)
    with pytest.raises(NonFiniteLossError) as error:
        loop.train_and_evaluate(run_config)
    assert "not finite at step 3" in str(error.value)
    assert "'stage2_block1_conv2_bn', but still finite at 'stage2_block1_conv1_bn'" in str(
        error.value
    )
    kept = weights(run_config.model_dir)
    assert all(np.all(np.isfinite(v)) for v in kept.values() if v.dtype == np.float32)
    rolling = os.path.join(run_config.model_dir, "checkpoints")
    assert checkpoints.complete(rolling)[-1][1]["step"] == 2


def test_diverging_run_stops(data_dir, tmp_path):
    with pytest.raises(NonFiniteLossError, match="Try a lower --learning_rate_per_256"):
        loop.train_and_evaluate(
            small_data.small_config(
                data_dir, tmp_path, learning_rate_per_256=1e20, warmup_epochs=0.0
            )
        )


def test_other_hardware_is_refused(finished):
    run_config, _ = finished
    facts = {"replicas": 8, "map_resize": "bilinear", "step": 3}
    place = {"replicas": 8, "map_resize": "bicubic"}
    with pytest.raises(
        ValueError, match=r"other hardware \(map_resize: was bilinear, is bicubic\)"
    ):
        checks.check_place(run_config, place, facts)
    checks.check_place(dataclasses.replace(run_config, allow_flag_changes=True), place, facts)
    checks.check_place(run_config, place, {**facts, **place})


def test_weights_that_overflow_are_not_saved(data_dir, tmp_path, monkeypatch):
    """Loss and gradients are finite, the update is not: no checkpoint of it is kept."""
    monkeypatch.setattr(non_finite, "non_finite_variable", lambda _: "logits/kernel")
    run_config = small_data.small_config(data_dir, tmp_path)
    with pytest.raises(NonFiniteLossError, match="logits/kernel is not finite after step 5"):
        loop.train_and_evaluate(run_config)
    assert checkpoints.complete(os.path.join(run_config.model_dir, "checkpoints")) == []


def test_non_finite_variable_is_found():
    network = models.build_model(
        stage_blocks=(1,), stage_widths=(4,), stem="tiny", image_size=8, attention_units="all"
    )
    assert non_finite.non_finite_variable(network) is None
    network.get_layer("stage1_block1_gala").additive.assign([np.inf] * 16)
    assert non_finite.non_finite_variable(network) == "stage1_block1_gala/additive"


def test_the_step_mirrors_the_images_that_the_batch_says():
    network = models.build_model(
        stage_blocks=(1,), stage_widths=(4,), stem="tiny", image_size=8, attention_units="all"
    )
    optimizer = optimizers.make_optimizer(0.0, 0.9, False)  # moves no weight
    optimizer.build(network.trainable_variables)
    objective = step.Objective(
        map_sizes={"stage1_block1_gala": 8},
        global_batch_size=4,
        replicas=1,
        map_loss_weight=1.0,
        map_target="attention",
        map_resize="bilinear",
        weight_decay=0.0,
        label_smoothing=0.0,
    )
    replica_step, layout = step.make_replica_step(network, optimizer, objective)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)

    def losses(images, mirrored):
        clickmap = tf.reshape(tf.range(256.0), [4, 8, 8, 1])
        batch = {"image": images, "label": [0, 1, 2, 3], "clickmap": clickmap}
        batch |= {"has_clickmap": [1.0] * 4, "mirrored": mirrored}
        vector = replica_step({name: tf.convert_to_tensor(value) for name, value in batch.items()})
        return layout.named_scalars(layout.unpack(vector.numpy()))

    already = images.copy()
    already[[0, 2]] = images[[0, 2], :, ::-1]
    assert losses(images, [1.0, 0.0, 1.0, 0.0]) == losses(already, [0.0] * 4)
    assert losses(images, [1.0, 0.0, 1.0, 0.0]) != losses(images, [0.0] * 4)


def test_bad_record_in_the_middle_is_named(tmp_path):
    """A flipped byte: the size is right, so only reading finds it."""
    data = tmp_path / "data"
    data.mkdir()
    info = small_data.build(data)
    shard = data / info.splits["train"].shards[1].file
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=rf"[Rr]ecord \d+ of shard '.*{shard.name}'"):
        loop.train_and_evaluate(small_data.small_config(data, tmp_path / "run"))


def test_plan():
    split = types.SimpleNamespace(examples=100, shards=[types.SimpleNamespace(examples=100)])
    info = types.SimpleNamespace(require_split=lambda _: split)
    length = plan.make_plan(
        small_data.small_config("d", "m", epochs=2.5, global_batch_size=30, eval_every_epochs=1.0),
        info,
        3,
    )
    assert length.total_steps == 8  # 250 / 30
    assert length.validation_steps == (3, 7, 8)  # 3.3, 6.7 and the end
    assert length.next_stop(0, 100) == 3 and length.next_stop(3, 2) == 5


@pytest.mark.slow
def test_command_line_errors_are_one_line(tmp_path):
    def run(*arguments):
        result = subprocess.run(
            [sys.executable, "-m", "gala_tf.train", *arguments], capture_output=True, text=True
        )
        return result.returncode, result.stderr

    code, text = run("--learning_rte=3")
    assert code != 0 and text.startswith("error: there is no flag --learning_rte")
    code, text = run(f"--data_dir={tmp_path}/data", f"--model_dir={tmp_path}/run")
    assert code == 1 and text.strip().splitlines()[-1].startswith("error: No data set at")
    assert "Traceback" not in text
