"""A data set is built on the way only where nobody can have meant another."""

import subprocess

import pytest
import small_data

from gala_tf.training import checks


@pytest.fixture
def asked(monkeypatch):
    """What would be built."""
    commands = []
    done = subprocess.CompletedProcess("", 0)
    monkeypatch.setattr(subprocess, "run", lambda command: commands.append(command) or done)
    return commands


def prepare(data_dir):
    """Nothing is really built, so that loading it fails."""
    run_config = small_data.small_config(data_dir, "RUN", build_data_with="quickstart")
    with pytest.raises(ValueError) as error:
        checks.prepare_data(run_config)
    return str(error.value)


def test_what_is_built_is_said_first(tmp_path, asked, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No data set at 'data/quickstart'" in prepare("data/quickstart")  # as in a new clone
    said = capsys.readouterr().out
    assert "no data set is there, so --build_data_with builds the built-in images with simu" in said
    assert "--output_dir=data/quickstart" in said and len(asked) == 1


@pytest.mark.parametrize("name", ["squars", "squares2", "Squares"])
def test_a_name_next_to_a_data_sets_is_taken_for_a_mistake(tmp_path, asked, data_dir, name):
    (tmp_path / "squares").symlink_to(data_dir)
    message = prepare(tmp_path / name)
    assert f"{tmp_path}/squares beside it is one: is it meant?" in message and not asked
    assert f"--source=quickstart --output_dir={tmp_path}/{name}" in message


def test_a_folder_that_is_not_there_is_not_made(tmp_path, asked):
    message = prepare(tmp_path / "datasest" / "mine")
    assert f"nor is the folder {tmp_path}/datasest. Is the name mistyped?" in message and not asked
