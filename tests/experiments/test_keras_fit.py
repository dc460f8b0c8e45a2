"""`keras.Model.fit` on our shards: it learns, counts as the evaluation does, ignores no flag."""

import dataclasses
import json
import sys
from pathlib import Path

import keras
import pytest
import small_data

from gala_tf.runs import directory
from gala_tf.training import loop

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments"))

import keras_fit  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("target", ["activity", "attention"])
def test_it_trains_and_writes_what_it_found(data_dir, tmp_path, target):
    cfg = small_data.small_config(
        data_dir, tmp_path, test_split="test", epochs=2.0, map_target=target
    )
    keras_fit.check(cfg)
    found = keras_fit.train(cfg)
    assert found == json.loads((tmp_path / "results.json").read_text())
    assert found["backend"] == keras.backend.backend()
    assert 0 <= found["error"] <= 100 and -1 <= found["map_score"] <= 1


@pytest.mark.slow
def test_its_numbers_are_those_of_the_evaluation(data_dir, tmp_path):
    cfg = small_data.small_config(data_dir, tmp_path, test_split="test", epochs=2.0)
    test = loop.train_and_evaluate(cfg)["test"]
    run = directory.open_run(str(tmp_path), weights="best")
    found = keras_fit.evaluate(run.network, cfg, run.info, "test")
    assert found["error"] == pytest.approx(100 * (1 - test["top1"]), abs=1e-4)
    assert found["cross_entropy"] == pytest.approx(test["cross_entropy"], rel=1e-4)
    last = test["maps"][test["final_layer"]]
    assert found["map_score"] == pytest.approx(last["spearman"], abs=1e-5)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"label_smoothing": 0.1, "init_from": "x"}, "--init_from, --label_smoothing: on"),
        ({"map_loss_weight": 0.0}, "--map_loss_weight must be set"),
        ({"validation_split": ""}, "--validation_split must be set"),
    ],
)
def test_what_it_cannot_do_is_refused(data_dir, tmp_path, changes, words):
    cfg = small_data.small_config(data_dir, tmp_path, test_split="test")
    with pytest.raises(ValueError, match=words):
        keras_fit.check(dataclasses.replace(cfg, **changes))
