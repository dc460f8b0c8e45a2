"""Runners: whoever makes the shards, the bytes are the same; a killed build goes on."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_trees import build, digests, write_classes

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Three classes of forty images; every other image has a map."""
    return write_classes(tmp_path_factory.mktemp("images"), 40)


def made(directory):
    """Checksums of the shards, once nothing else lies there but the description of them.

    The description is left out: it quotes the command.
    """
    found = digests(directory)
    assert set(found) == set(os.listdir(directory))  # no staging directory
    del found["dataset_info.json"]
    return found


def flags_for(tree, out):
    return {"source": "folder", "input_dir": tree, "output_dir": out, "num_shards": 12}


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    build(**flags_for(tree, out))
    return made(out)


def test_beam_that_is_not_installed_is_named(tree, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ValueError, match=r"--runner=DirectRunner needs Apache Beam.*\[beam\]"):
        build(**flags_for(tree, tmp_path / "out"), runner="DirectRunner")
    with pytest.raises(ValueError, match="--beam_options means nothing to --runner=local"):
        build(**flags_for(tree, tmp_path / "out"), beam_options="--project=mine")


@pytest.mark.slow
def test_beam_writes_the_same_bytes(tree, whole, tmp_path):
    pytest.importorskip("apache_beam", reason="the extra [beam] is not installed")
    build(**flags_for(tree, tmp_path / "out"), runner="DirectRunner")
    assert made(tmp_path / "out") == whole


@pytest.mark.slow
def test_beam_names_what_is_wrong(tree, tmp_path):
    pytest.importorskip("apache_beam", reason="the extra [beam] is not installed")
    shutil.copytree(tree, tmp_path / "images")
    (tmp_path / "images" / "cat" / "7.jpg").write_bytes(b"no image at all")
    flags = flags_for(tmp_path / "images", tmp_path / "out")
    with pytest.raises(ValueError, match="'cat/7.jpg'.*--on_bad_image=skip"):
        build(**flags, runner="DirectRunner")
    with pytest.raises(ValueError, match="--runner=NoRunner"):
        build(**flags, runner="NoRunner")


@pytest.mark.slow
def test_worker_processes_write_the_same_bytes(tree, whole, tmp_path):
    build(**flags_for(tree, tmp_path / "out"), num_workers=2)
    assert made(tmp_path / "out") == whole


@pytest.mark.slow
def test_worker_processes_name_what_is_wrong(tree, tmp_path, caplog):
    shutil.copytree(tree, tmp_path / "images")
    (tmp_path / "images" / "cat" / "7.jpg").write_bytes(b"no image at all")
    with pytest.raises(ValueError, match="'cat/7.jpg'.*--on_bad_image=skip"):
        build(**flags_for(tmp_path / "images", tmp_path / "out"), num_workers=2)


@pytest.mark.slow
def test_killed_at_ten_random_moments(tree, whole, tmp_path):
    """kill -9 of the builder, then the same command: the same bytes, every time."""
    out = tmp_path / "out"
    words = [f"--{name}={value}" for name, value in flags_for(tree, out).items()]
    command = [sys.executable, "-m", "data_prep.build_tfrecords", "--num_workers=2", *words]
    command.append("--clickmap_grid=8")
    quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = time.monotonic()
    subprocess.run(command, **quiet, check=True)
    whole_seconds = time.monotonic() - started
    rng = random.Random(0)
    killed = 0
    for _ in range(10):
        shutil.rmtree(out)
        process = subprocess.Popen(command, **quiet)
        # From when the plan may be there; most of the time before is Python's own start.
        time.sleep(rng.uniform(0.3, 1) * whole_seconds)
        process.kill()  # nothing, if it has ended already
        process.wait()
        # Written last: with it the set is whole, and the command would refuse to build it again.
        if not (out / "dataset_info.json").exists():
            killed += 1
            subprocess.run(command, **quiet, check=True)
        assert made(out) == whole
    assert killed >= 5
