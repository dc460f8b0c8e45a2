"""What stands in experiments/library: splits are honest, and the README's tables are the rows'."""

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "library"
sys.path.insert(0, str(FOLDER))

import architectures  # noqa: E402
import fill_readme  # noqa: E402
import fine_tuning  # noqa: E402
import finished  # noqa: E402
import gates_and_loops  # noqa: E402


@pytest.mark.parametrize("module", [fine_tuning, gates_and_loops])
def test_runs_have_names_of_their_own_and_rows_are_theirs(module):
    names = [run.name for run in module.RUNS]
    assert len(set(names)) == len(names)
    rows = finished.load(str(FOLDER / f"{module.__name__}.jsonl"))
    assert set(rows) <= set(names)
    by_name = {}
    for run in module.RUNS:
        facts = dataclasses.asdict(run)
        by_name[run.name] = {**facts.pop("kind", {}), **facts}
    for name, row in rows.items():
        assert by_name[name].items() <= row.items()


def test_the_readme_has_the_tables_of_the_rows():
    text = (FOLDER / "README.md").read_text()
    assert fill_readme.filled(text) == text  # else: python experiments/library/fill_readme.py


def test_no_image_is_in_two_parts():
    classes = [np.arange(20) + 100 * label for label in range(3)]  # an "image" is its number
    parts = fine_tuning.split(classes, {"validation": 4, "train": 6}, seed=1)
    assert {name: len(images) for name, (images, _) in parts.items()} == {
        "validation": 12,
        "train": 18,
    }
    assert not set(parts["train"][0]) & set(parts["validation"][0])
    for images, labels in parts.values():
        np.testing.assert_array_equal(images // 100, labels)
    again = fine_tuning.split(classes, {"validation": 4, "train": 6}, seed=2)
    assert set(again["train"][0]) != set(parts["train"][0])


def test_all_gates_of_a_seed_begin_with_the_same_head():
    heads = []
    for gate in ("none", "gala"):
        network = fine_tuning.new_network(5, seed=3)
        if gate != "none":
            network = fine_tuning.models.add_attention(network, fine_tuning.UNITS, gate, classes=5)
            assert len(network.output["attention"]) == 6
        fine_tuning.set_head(network, seed=7)
        head = network.output["logits"]._keras_history.operation
        heads.append(keras.ops.convert_to_numpy(head.kernel))
    np.testing.assert_array_equal(*heads)


def test_a_failure_stands_in_the_table_by_name():
    row = {"architecture": "ResNet50", "backend": "jax", "step": "network", "version": "1.2"}
    good = row | {"units": 6, "channels": 8, "changed": 0.0, "map_loss": [2.0, 1.5]}
    good |= {"reloaded": 0.0, "probabilities": [[0.6, 0.4]]}
    said = {**row, "step": "predict", "off": 1e-6, "same_classes": False}
    rows = {("ResNet50", "jax", "network"): good, ("ResNet50", "jax", "predict"): said}
    assert "0; fits; 0; OTHER CLASSES" in architectures.table(rows)
    said["same_classes"] = True
    assert "0; fits; 0; 1e-06" in architectures.table(rows)
    good["probabilities"] = [[1.0, 0.0]]
    assert "0; fits; 0; same classes" in architectures.table(rows)
    rows = {("ResNet50", "jax", "network"): row | {"failed": "ValueError: fit: nan"}}
    assert "FAILED: ValueError: fit: nan" in architectures.table(rows)


def test_intervals_are_students():
    assert gates_and_loops.interval([1.0, 2.0, 3.0], 2) == "2.00 [-0.48, 4.48]"
    assert gates_and_loops.interval([1.0], 1) == "1.0"
