"""How commands start: with exactly one TensorFlow; and how they fail: in one line."""

import importlib.metadata
import importlib.util
import subprocess
import sys

import pytest

from gala_tf import command, config


def pretend_installed(monkeypatch, *names):
    def version(name):
        if name in names:
            return "2.20.0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.parametrize("build", command.TENSORFLOW_BUILDS)
def test_one_build_is_fine(monkeypatch, build):
    pretend_installed(monkeypatch, build)
    command.check_tensorflow()


def test_no_build_names_the_extras(monkeypatch):
    pretend_installed(monkeypatch)
    command.check_tensorflow()  # a build of another name, such as a nightly one
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"found 0\. .*pip install -e '\.\[cpu\]'"):
        command.check_tensorflow()


def test_two_builds_are_named(monkeypatch):
    pretend_installed(monkeypatch, "tensorflow", "tensorflow-tpu")
    with pytest.raises(ValueError, match="found tensorflow 2.20.0 and tensorflow-tpu 2.20.0"):
        command.check_tensorflow()


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax: .* TensorFlow backend"):
        command.check_tensorflow()


OWN_FLAGS = {
    "train": config.names(),
    "evaluate": [*config.names(), "split", "checkpoint"],
    "visualize": ["model_dir", "data_dir", "split", "num_images", "layers", "output"],
    "export": ["model_dir", "output_dir", "checkpoint", "overwrite"],
}


@pytest.mark.parametrize("name", OWN_FLAGS)
def test_help_shows_every_flag_without_tensorflow(name):
    """What makes --help slow is importing these."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"gala_tf.{name}", "--help"],
        capture_output=True,
        text=True,
    )
    imported = {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
    assert not {"tensorflow", "keras", "matplotlib"} & imported
    for flag in OWN_FLAGS[name]:
        assert f"--{flag}" in result.stdout or f"--[no]{flag}" in result.stdout, flag
