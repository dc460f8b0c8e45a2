"""Checkpoints are whole or not there: markers, rolling, and every kind of damage."""

import json
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from gala_tf.data import files
from gala_tf.runs import checkpoints
from gala_tf.training import optimizers


class State:
    """A small network and its optimizer, after `steps` updates, under a directory."""

    def __init__(self, directory, keep=3, units=3):
        inputs = keras.Input((4,))
        hidden = keras.layers.Dense(units, name="hidden")(inputs)
        self.network = keras.Model(inputs, keras.layers.Dense(2, name="logits")(hidden))
        self.optimizer = optimizers.make_optimizer(0.1, 0.9, loss_scaling=False)
        self.optimizer.build(self.network.trainable_variables)
        self.checkpoints = checkpoints.Checkpoints(
            str(directory), keep, model=self.network, optimizer=self.optimizer
        )

    def update(self):
        variables = self.network.trainable_variables
        self.optimizer.apply([keras.ops.ones_like(v) for v in variables], variables)

    def values(self):
        variables = [*self.network.variables, *self.optimizer.variables]
        return [v.value.numpy() for v in variables]

    def is_at(self, values):
        return all(np.array_equal(a, b) for a, b in zip(self.values(), values, strict=True))


@pytest.fixture
def saved(tmp_path):
    """Checkpoints of steps 10, 20 and 30: (directory, {step: values})."""
    directory, state, values = tmp_path / "checkpoints", None, {}
    state = State(directory)
    for step in (10, 20, 30):
        state.update()
        values[step] = state.values()
        state.checkpoints.save(step, top1=step / 100)
    return directory, values


@pytest.fixture
def errors(monkeypatch):
    """What is logged as an error."""
    lines = []
    monkeypatch.setattr(logging, "error", lambda text, *args: lines.append(text % args))
    return lines


def names(directory):
    return sorted(os.listdir(directory))


def test_restores_weights_momentum_and_step(saved):
    directory, values = saved
    fresh = State(directory)
    assert not fresh.is_at(values[30])
    facts = fresh.checkpoints.restore_newest()
    assert facts["step"] == 30 and facts["top1"] == 0.3
    assert fresh.is_at(values[30])
    assert int(fresh.optimizer.iterations) == 3


def test_training_goes_on_as_if_never_stopped(saved):
    directory, _ = saved
    one, other = State(directory), State(directory)
    one.checkpoints.restore_newest()
    one.update()
    other.checkpoints.restore_newest()
    other.update()
    assert one.is_at(other.values())


def test_nothing_to_restore(tmp_path):
    assert State(tmp_path / "none").checkpoints.restore_newest() is None
    assert checkpoints.complete(str(tmp_path / "none")) == []
    (tmp_path / "file").write_text("")
    assert checkpoints.complete(str(tmp_path / "file")) == []


def test_read_weights_needs_no_optimizer(saved):
    directory, values = saved
    fresh = State("unused")
    assert checkpoints.read_weights(fresh.network, str(directory))["step"] == 30
    for variable, value in zip(fresh.network.variables, values[30], strict=False):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert int(fresh.optimizer.iterations) == 0


def test_marker_names_every_file_with_its_size(saved):
    directory, _ = saved
    folder = directory / "step-00000030"
    facts = json.loads((folder / "complete.json").read_text())
    assert isinstance(facts.pop("checksum"), int)
    assert set(facts["files"]) == set(names(folder)) - {"complete.json"}
    assert {"variables.index", "variables.data-00000-of-00001"} == set(facts["files"])
    for name, size in facts["files"].items():
        assert (folder / name).stat().st_size == size
    assert checkpoints.complete(str(directory))[-1] == (str(folder), facts)


def test_marker_is_written_last(tmp_path, monkeypatch):
    """Everything else is on the disk before the marker appears."""
    seen = []
    monkeypatch.setattr(
        files,
        "to_disk",
        lambda path: seen.append(
            (
                os.path.basename(path),
                os.path.exists(os.path.join(os.path.dirname(path), checkpoints.MARKER)),
            )
        ),
    )
    State(tmp_path).checkpoints.save(1)
    assert [name for name, _ in seen] == [
        "variables.data-00000-of-00001",
        "variables.index",
        "complete.json.writing",
    ]
    assert not any(marked for _, marked in seen)
    assert checkpoints.complete(str(tmp_path))


def test_keeps_the_newest_few(tmp_path):
    state = State(tmp_path, keep=2)
    for step in (5, 100, 7_000, 123_456_789):  # also where the number outgrows its width
        state.checkpoints.save(step)
    assert names(tmp_path) == ["step-00007000", "step-123456789"]
    assert [facts["step"] for _, facts in checkpoints.complete(str(tmp_path))] == [
        7_000,
        123_456_789,
    ]


def test_directory_without_a_marker_is_no_checkpoint(saved):
    directory, values = saved
    (directory / "step-00000030" / "complete.json").unlink()
    assert [facts["step"] for _, facts in checkpoints.complete(str(directory))] == [10, 20]
    state = State(directory)
    assert state.checkpoints.restore_newest()["step"] == 20
    assert state.is_at(values[20])
    state.checkpoints.save(25)
    assert names(directory) == ["step-00000010", "step-00000020", "step-00000025"]


def test_what_is_not_ours_stays(saved):
    directory, _ = saved
    (directory / "notes.txt").write_text("mine")
    (directory / "step-best").mkdir()
    (directory / "step-best" / "complete.json").write_text("{}")
    State(directory, keep=1).checkpoints.save(40)
    assert names(directory) == ["notes.txt", "step-00000040", "step-best"]
    assert [facts["step"] for _, facts in checkpoints.complete(str(directory))] == [40]


def test_same_step_again_replaces_it(saved):
    directory, _ = saved
    state = State(directory)
    (directory / "step-00000030" / "left-over").write_text("of another format")
    state.checkpoints.save(30, top1=0.9)
    folder = directory / "step-00000030"
    assert "left-over" not in names(folder)
    fresh = State(directory)
    assert fresh.checkpoints.restore_newest()["top1"] == 0.9
    assert fresh.is_at(state.values())


class Killed(Exception):
    """The end of a process."""


@pytest.mark.parametrize("after", ["the first file", "the data", "half of the marker"])
def test_interrupted_write_is_as_if_it_had_not_begun(saved, monkeypatch, after):
    directory, values = saved
    state = State(directory)
    state.checkpoints.restore_newest()
    state.update()

    def kill(path):
        name = os.path.basename(path)
        if name.startswith(checkpoints.MARKER):
            Path(path).write_text('{"step": 40, "fi')
            raise Killed
        if after == "the data" and name == "variables.index":
            raise Killed

    def kill_writing(prefix):
        Path(f"{prefix}.data-00000-of-00001").write_bytes(b"half of it")
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(files, "to_disk", kill)
        if after == "the first file":
            patch.setattr(state.checkpoints._checkpoint, "write", kill_writing)
        state.checkpoints.save(40)
    assert "step-00000040" in names(directory)

    fresh = State(directory)
    assert fresh.checkpoints.restore_newest()["step"] == 30
    assert fresh.is_at(values[30])
    fresh.update()
    fresh.checkpoints.save(40)
    assert names(directory) == ["step-00000020", "step-00000030", "step-00000040"]
    again = State(directory)
    assert again.checkpoints.restore_newest()["step"] == 40
    assert again.is_at(fresh.values())


def data_file(folder):
    return folder / "variables.data-00000-of-00001"


def truncate(folder, values):
    path = data_file(folder)
    path.write_bytes(path.read_bytes()[:-1])


def empty(folder, values):
    data_file(folder).write_bytes(b"")


def flip_a_byte(folder, values):
    """Inside a weight: only its checksum tells."""
    path, weight = data_file(folder), values[0].tobytes()
    contents = bytearray(path.read_bytes())
    contents[contents.index(weight) + 5] ^= 1
    path.write_bytes(contents)


def flip_a_byte_of_the_index(folder, values):
    path = folder / "variables.index"
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    path.write_bytes(contents)


def remove_data(folder, values):
    data_file(folder).unlink()


def remove_index(folder, values):
    (folder / "variables.index").unlink()


DAMAGES = {
    truncate: "expected .* bytes, got",
    empty: "expected .* bytes, got 0",
    flip_a_byte: "Checksum does not match",
    flip_a_byte_of_the_index: "",
    remove_data: "got no such file",
    remove_index: "variables.index: .* got no such file",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_newest_falls_back_to_the_one_before(saved, errors, damage):
    directory, values = saved
    damage(directory / "step-00000030", values[30])
    state = State(directory)
    assert state.checkpoints.restore_newest()["step"] == 20
    assert state.is_at(values[20])  # nothing of the damaged one is left
    (line,) = errors
    assert line.startswith(f"Checkpoint {directory}/step-00000030 cannot be used, trying the one")
    assert re.search(DAMAGES[damage], line)

    # What is written from there on counts, the damaged one does not push it out.
    assert "step-00000030" in names(directory)
    state.checkpoints.save(25)
    assert names(directory) == ["step-00000010", "step-00000020", "step-00000025"]
    assert State(directory).checkpoints.restore_newest()["step"] == 25


def test_all_damaged(saved, errors):
    directory, values = saved
    for step, damage in zip((10, 20, 30), (truncate, flip_a_byte, remove_index), strict=True):
        damage(directory / f"step-{step:08d}", values[step])
    with pytest.raises(ValueError, match=f"{directory}: none of the 3 checkpoints can be read"):
        State(directory).checkpoints.restore_newest()
    assert [re.search(r"step-\d+", line).group() for line in errors] == [
        "step-00000030",
        "step-00000020",
        "step-00000010",
    ]


def test_another_network_is_not_restored(saved, errors):
    directory, _ = saved
    with pytest.raises(ValueError, match="If the network's flags changed, use another --model_dir"):
        State(directory, units=5).checkpoints.restore_newest()
    assert len(errors) == 3


def test_read_weights_says_what_is_wrong(saved, tmp_path):
    directory, values = saved
    network = State("unused").network
    with pytest.raises(ValueError, match="holds no finished checkpoint. Train first, or point"):
        checkpoints.read_weights(network, str(tmp_path))
    with pytest.raises(ValueError, match="step-00000030 is damaged, or .* of another network"):
        checkpoints.read_weights(State("unused", units=5).network, str(directory))
    flip_a_byte(directory / "step-00000030", values[30])
    with pytest.raises(ValueError, match="step-00000030 is damaged, or .* Checksum"):
        checkpoints.read_weights(network, str(directory))
    truncate(directory / "step-00000030", values[30])
    with pytest.raises(ValueError, match=r"variables.data-.*: expected \d+ bytes, got \d+"):
        checkpoints.read_weights(network, str(directory))


def test_read_weights_of_a_deeper_network(saved):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3)(inputs)
    deeper = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dense(2)(hidden)))
    with pytest.raises(ValueError, match="checkpoint of another network"):
        checkpoints.read_weights(deeper, str(saved[0]))


def test_storage_out_of_reach_is_no_damage(saved, monkeypatch):
    """It stops the run: nothing may be taken for damaged, and deleted, for a minute's outage."""
    directory, _ = saved
    state = State(directory)
    outage = tf.errors.UnavailableError(None, None, "try again later")

    def unavailable(*_):
        raise outage

    monkeypatch.setattr(state.checkpoints._checkpoint, "read", unavailable)
    with pytest.raises(tf.errors.UnavailableError):
        state.checkpoints.restore_newest()


def test_facts_can_be_amended(saved):
    directory, values = saved
    state = State(directory)
    state.checkpoints.amend(30, top1=0.7, validation_due=False)
    facts = State(directory).checkpoints.restore_newest()
    assert (facts["step"], facts["top1"], facts["validation_due"]) == (30, 0.7, False)
    checkpoints.check_files(str(directory / "step-00000030"), facts)
    fresh = State(directory)
    fresh.checkpoints.restore_newest()
    assert fresh.is_at(values[30])


def marked(facts):
    """A marker whose checksum is right."""
    return json.dumps({**facts, "checksum": checkpoints._checksum(facts)}).encode()


@pytest.mark.parametrize(
    "text, message",
    [
        (b"\xff\xfe", "is damaged"),
        (b"[]", "does not say which files"),
        (b'{"step": 30}', "does not say which files"),
        (marked({"step": 31, "files": {}}), "it is of step 31"),
        (b'{"step": 30, "files": {}}', "it fails its checksum"),
        (b'{"step": 30, "files": {}, "checksum": 1}', "it fails its checksum"),
    ],
)
def test_a_damaged_marker_is_left_out_loudly(saved, errors, text, message):
    directory, _ = saved
    (directory / "step-00000030" / "complete.json").write_bytes(text)
    assert [facts["step"] for _, facts in checkpoints.complete(str(directory))] == [10, 20]
    assert message in errors[0] and "step-00000030" in errors[0]


def test_a_checkpoint_that_was_never_finished_is_named(saved, monkeypatch):
    directory, _ = saved
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: lines.append(text % args))
    (directory / "step-00000030" / "complete.json").unlink()
    assert State(directory).checkpoints.restore_newest()["step"] == 20
    assert lines == [
        f"{directory}/step-00000030 has no complete.json: it was never finished, and is left out"
    ]


def test_what_cannot_be_written_leaves_nothing(saved, monkeypatch):
    directory, _ = saved
    state = State(directory)

    def full(prefix):
        Path(f"{prefix}.data-00000-of-00001").write_bytes(b"half of it")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(state.checkpoints._checkpoint, "write", full)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        state.checkpoints.save(40)
    assert names(directory) == ["step-00000010", "step-00000020", "step-00000030"]


def test_a_checkpoint_that_is_deleted_meanwhile_is_left_out(tmp_path, monkeypatch):
    """A run that goes on deletes what is too old while another process looks."""
    counter = tf.Variable(0.0)
    rolling = checkpoints.Checkpoints(str(tmp_path), 3, counter=counter)
    rolling.save(1)
    newest = rolling.save(2)
    read = checkpoints._read_marker

    def read_late(marker):
        if "00000001" in marker:
            os.remove(marker)
        return read(marker)

    monkeypatch.setattr(checkpoints, "_read_marker", read_late)
    assert [path for path, _ in checkpoints.complete(str(tmp_path))] == [newest]
