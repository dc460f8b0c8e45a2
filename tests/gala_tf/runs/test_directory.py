"""What a run leaves about itself, and that it is found again, or refused by name."""

import dataclasses
import json
import os
import subprocess
import types

import numpy as np
import pytest
import small_data

from gala_tf import config, models
from gala_tf.data import dataset_info
from gala_tf.runs import checkpoints
from gala_tf.runs import directory as run_directory


@pytest.fixture
def run(data_dir, tmp_path):
    """A run that has started: (Config, DatasetInfo)."""
    run_config = small_data.small_config(data_dir, tmp_path / "deep" / "run")
    info = dataset_info.load_info(run_config.data_dir)
    run_directory.start(run_config, info)
    return run_config, info


def contents(directory):
    return {name: open(os.path.join(directory, name)).read() for name in os.listdir(directory)}


def test_start_writes_and_open_run_reads(run):
    run_config, info = run
    assert set(os.listdir(run_config.model_dir)) == {
        "run.flags",
        "environment.json",
        "trained_on.json",
    }
    opened = run_directory.open_run(run_config.model_dir)
    assert opened == run_directory.OpenRun(run_config.model_dir, run_config, info, None, None)


def test_run_flags_launch_the_run_again(run):
    run_config, _ = run
    flagfile = os.path.join(run_config.model_dir, "run.flags")
    assert config.from_arguments([f"--flagfile={flagfile}"], "here") == run_config


def test_overrides(run):
    run_config, _ = run
    changed = run_directory.open_run(
        run_config.model_dir, ("--data_dir=/elsewhere", "--noflip", "--stage_blocks=2,2")
    )
    assert changed.config == dataclasses.replace(
        run_config, data_dir="/elsewhere", flip=False, stage_blocks=(2, 2)
    )


def test_environment_grows_by_one_entry_a_session(run):
    run_config, info = run
    path = os.path.join(run_config.model_dir, "environment.json")
    first = json.load(open(path))
    run_directory.start(run_config, info)
    both = json.load(open(path))
    assert len(first) == 1 and len(both) == 2 and both[0] == first[0]
    assert set(both[1]) == {
        "started",
        "command",
        "git_commit",
        "versions",
        "devices",
        "machine",
        "changed_flags",
    }
    assert both[1]["changed_flags"] == {}
    assert both[1]["versions"].keys() == {"gala_tf", "python", "tensorflow", "keras", "numpy"}
    assert both[1]["versions"]["numpy"] == np.__version__
    assert any("CPU:0" in device for device in both[1]["devices"])
    assert both[1]["started"].endswith("+00:00")


@pytest.mark.parametrize(
    "error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")]
)
def test_no_git_is_no_error(run, monkeypatch, error):
    def no_git(*_, **__):
        raise error

    monkeypatch.setattr(
        run_directory,
        "subprocess",
        types.SimpleNamespace(run=no_git, CalledProcessError=subprocess.CalledProcessError),
    )
    assert run_directory._environment()["git_commit"] is None


def test_allowing_changes_is_a_wish_of_one_session(run):
    run_config, info = run
    changed = dataclasses.replace(run_config, momentum=0.5, allow_flag_changes=True)
    run_directory.check(changed, info)
    run_directory.start(changed, info)
    assert run_directory.open_run(run_config.model_dir).config == dataclasses.replace(
        run_config, momentum=0.5
    )


def test_check_of_a_new_directory_writes_nothing(data_dir, tmp_path):
    run_config = small_data.small_config(data_dir, tmp_path / "new")
    run_directory.check(run_config, dataset_info.load_info(str(data_dir)))
    assert not os.path.exists(run_config.model_dir)


def test_check_lets_the_same_run_go_on(run):
    run_config, info = run
    before = contents(run_config.model_dir)
    run_directory.check(run_config, info)
    run_directory.check(
        dataclasses.replace(run_config, steps_per_loop=1, cpu_devices=2, data_dir="gs://copy"), info
    )
    assert contents(run_config.model_dir) == before


def test_check_names_every_flag_that_changed(run):
    run_config, info = run
    changed = dataclasses.replace(
        run_config, momentum=0.5, decay_epochs=(1.0,), steps_per_loop=1, attention="se"
    )
    with pytest.raises(ValueError) as error:
        run_directory.check(changed, info)
    assert str(error.value) == (
        f"--model_dir={run_config.model_dir} holds a run with other flags "
        "(--attention: was 'gala', is 'se'; --decay_epochs: was (30.0, 60.0, 80.0, 90.0), "
        "is (1.0,); --momentum: was 0.9, is 0.5). Use another --model_dir, the old flags, "
        "or --allow_flag_changes if this is meant."
    )


def test_check_refuses_another_data_set(run):
    run_config, info = run
    other = dataclasses.replace(info, seed=1)
    with pytest.raises(ValueError, match=r"holds another data set than .* \(its trained_on.json"):
        run_directory.check(run_config, other)
    run_directory.check(dataclasses.replace(run_config, allow_flag_changes=True), other)


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match=f"--model_dir={tmp_path}: no run.flags there, so no run"):
        run_directory.open_run(str(tmp_path))


def test_flags_of_another_version(run):
    run_config, _ = run
    path = os.path.join(run_config.model_dir, "run.flags")
    with open(path, "a") as file:
        file.write("--gone_since=3\n")
    with pytest.raises(ValueError, match=f"{path}: Unknown command line flag 'gone_since'"):
        run_directory.open_run(run_config.model_dir)


def test_run_without_its_data_sets_sidecar(run):
    run_config, _ = run
    os.remove(os.path.join(run_config.model_dir, "trained_on.json"))
    with pytest.raises(ValueError, match="trained_on.json' does not exist"):
        run_directory.open_run(run_config.model_dir)


def weights(network):
    return [variable.numpy() for variable in network.variables]


def test_network_is_the_flags_and_the_seed(data_dir):
    def built(**changes):
        return weights(
            run_directory.build_network(small_data.small_config(data_dir, "run", **changes), 4)
        )

    one, same, other = built(), built(), built(seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_precision(data_dir, precision):
    network = run_directory.build_network(
        small_data.small_config(data_dir, "run", precision=precision), 4
    )
    assert network.get_layer("stage1_block1_conv1").compute_dtype == precision.split("_")[1]
    assert network.output["logits"].dtype == "float32"
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}


def test_open_run_with_weights(run):
    run_config, info = run
    trained = run_directory.build_network(run_config, info.num_classes)
    for variable in trained.variables:
        if "seed" not in variable.path:
            variable.assign(variable + 0.125)
    for which, folder, step in (("best", "best", 7), ("newest", "checkpoints", 9)):
        directory = os.path.join(run_config.model_dir, folder)
        checkpoints.Checkpoints(directory, 1, model=trained).save(step)
        found = run_directory.open_run(run_config.model_dir, weights=which)
        assert (found.config, found.info, found.step) == (run_config, info, step)
        for a, b in zip(weights(found.network), weights(trained), strict=True):
            np.testing.assert_array_equal(a, b)


def test_open_run_with_weights_before_there_are_weights(run):
    run_config, _ = run
    with pytest.raises(ValueError, match="best holds no finished checkpoint"):
        run_directory.open_run(run_config.model_dir, weights="best")


def test_open_run_with_weights_with_flags_of_another_one(run):
    run_config, info = run
    directory = os.path.join(run_config.model_dir, "best")
    network = run_directory.build_network(run_config, info.num_classes)
    checkpoints.Checkpoints(directory, 1, model=network).save(1)
    with pytest.raises(ValueError, match="checkpoint of another network"):
        run_directory.open_run(run_config.model_dir, ("--stage_widths=16,16",), "best")


def test_every_flag_of_the_network_reaches_it():
    """By its name, which is the same in the flags and in `models`."""
    names = [field.name for field in dataclasses.fields(config.Config)]
    of_network = names[names.index("depth") : names.index("epochs")]
    assert "attention_units" in of_network and "image_size" not in of_network
    assert set(of_network) | {"image_size", "num_classes"} <= models.parameters()
    assert models.parameters() & set(names) == {*of_network, "image_size"}


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_run_flags_that_is_empty_or_cut_off_is_said(run, share):
    path = os.path.join(run[0].model_dir, "run.flags")
    os.truncate(path, int(share * os.path.getsize(path)))
    with pytest.raises(ValueError, match=f"{path} is (empty|cut off).*start the run's training"):
        run_directory.open_run(run[0].model_dir)
