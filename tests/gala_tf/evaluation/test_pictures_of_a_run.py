"""Learning curves and the confusion matrix are drawn of what was measured."""

import json

import numpy as np
import pytest
from PIL import Image

from gala_tf.evaluation import confusion, curves


def ink(path):
    """How much of a picture is not paper."""
    with Image.open(path) as picture:
        return float((np.asarray(picture.convert("L")) < 250).mean())


@pytest.mark.parametrize("with_maps", [True, False])
def test_curves(tmp_path, with_maps):
    lines = []
    for step in (10, 20, 30):
        lines.append(
            {"step": step, "kind": "train", "loss": 3.0 / step, "cross_entropy": 2.0 / step}
        )
        lines[-1] |= {"map_loss": 1.0 / step if with_maps else 0.0, "top1": step / 40}
        lines.append({"step": step, "kind": "validation", "cross_entropy": 0.2, "top1": step / 50})
        if with_maps:
            lines[-1] |= {"spearman/a": step / 60, "spearman/b": step / 70, "center_prior": 0.3}
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves.write(str(tmp_path), "a title", "validation")
    assert ink(tmp_path / curves.FILE) > 0.01


def test_curves_of_a_run_that_has_just_begun(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    curves.write(str(tmp_path), "a title", "validation")
    assert (tmp_path / curves.FILE).exists()


def test_confusion(tmp_path):
    columns = {"label": np.array([0, 0, 1, 2]), "prediction": np.array([0, 1, 1, 0])}
    np.testing.assert_array_equal(confusion.counts(columns, 3), [[1, 1, 0], [0, 1, 0], [1, 0, 0]])
    confusion.write(str(tmp_path / "c.png"), columns, ["a", "b", "c" * 40], "a title")
    assert ink(tmp_path / "c.png") > 0.01
