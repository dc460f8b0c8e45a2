"""Which weights are a run's result: the best by validation, or without one the last."""

import math
import os

import pytest
import small_data

from gala_tf.data import dataset_info
from gala_tf.paper.report import runs
from gala_tf.runs import directory
from gala_tf.training import checks, loop, resume

BEST = {"best_top1": 0.25, "best_cross_entropy": 1.0}


@pytest.mark.parametrize(
    "top1, cross_entropy, better",
    [
        (0.5, 9.0, True),
        (0.25, 0.9, True),  # a tie
        (0.25, 1.0, False),  # the first of equals
        (0.25, math.nan, False),
        (0.0, 0.1, False),
    ],
)
def test_ties_go_to_the_lower_cross_entropy(top1, cross_entropy, better):
    assert resume.is_best({"top1": top1, "cross_entropy": cross_entropy}, BEST) is better


def test_the_edges_of_the_rule():
    worst = {"top1": 0.0, "cross_entropy": math.nan}
    assert resume.is_best(worst, {"best_top1": -1.0, "best_cross_entropy": None})
    tie = {"top1": 0.25, "cross_entropy": 0.5}
    assert not resume.is_best(tie, {**BEST, "best_cross_entropy": None})  # an older checkpoint
    assert resume.is_best(tie, {**BEST, "best_cross_entropy": math.nan})


@pytest.fixture(scope="module")
def unvalidated(data_dir, tmp_path_factory):
    """A run of five steps without a validation split."""
    run_config = small_data.small_config(
        data_dir,
        tmp_path_factory.mktemp("runs") / "last",
        validation_split="",
        test_split="test",
        epochs=1.0,
        warmup_epochs=0.0,
        eval_every_epochs=0.4,
    )
    return run_config, loop.train_and_evaluate(run_config)


def test_without_validation_the_last_weights_are_the_result(unvalidated):
    run_config, results = unvalidated
    assert results["validation"] == {} and results["test"]["weights"] == "last"
    assert results["test"]["step"] == 5
    names = set(os.listdir(run_config.model_dir))
    assert "best" not in names and {"results-test.json", "per_image-test.csv"} <= names
    assert directory.open_run(run_config.model_dir, weights="best").step == 5


def test_a_report_takes_them(unvalidated):
    run_config, results = unvalidated
    [run] = runs.read_runs([run_config.model_dir])
    assert run.results["top1"] == results["test"]["top1"] and run.validation_top1 is None


@pytest.mark.slow
def test_such_a_run_resumes(unvalidated):
    run_config, _ = unvalidated
    assert loop.train_and_evaluate(run_config)["test"]["step"] == 5


def without(data_dir, tmp_path, *gone):
    """(data set of fewer splits, its directory)."""
    counts = {name: n for name, n in small_data.COUNTS.items() if name not in gone}
    return small_data.build(tmp_path, counts), str(tmp_path)


def test_a_missing_split_names_the_flag_and_the_remedy(data_dir, tmp_path):
    _, place = without(data_dir, tmp_path, "validation")
    config = small_data.small_config
    with pytest.raises(ValueError, match="--validation_split=validation: .* no split") as error:
        checks.prepare_data(config(place, "run"))
    text = str(error.value)
    assert "it has test, train" in text and "--split_proportions=" in text
    assert "--validation_split= (empty)" in text
    assert checks.prepare_data(config(place, "run", validation_split="")).name == "squares"
    with pytest.raises(ValueError, match="--test_split=tests: .* leave the flag empty"):
        checks.prepare_data(config(place, "run", validation_split="", test_split="tests"))
    with pytest.raises(ValueError, match="--train_split=: .* no split ''"):
        checks.prepare_data(config(place, "run", validation_split="", train_split=""))


def test_training_images_neither_choose_nor_test_the_weights(data_dir, caplog):
    def prepare(**splits):
        return checks.prepare_data(small_data.small_config(data_dir, "run", **splits))

    with pytest.raises(ValueError, match="--validation_split=train is --train_split: best/ would"):
        prepare(validation_split="train")
    with pytest.raises(ValueError, match="--test_split=train is --train_split.*--split=train"):
        prepare(test_split="train")
    with caplog.at_level("WARNING", logger="absl"):
        prepare(test_split="test")
        assert "optimistic" not in caplog.text
        prepare(test_split="validation")  # as for Table 4
    assert "--test_split=validation is --validation_split: best/ is chosen on" in caplog.text


def test_an_empty_split_is_refused(data_dir, tmp_path):
    info, place = without(data_dir, tmp_path)
    empty = dataset_info.Split(0, 0, 0, 0, ())
    small_data.describe(
        tmp_path, {**info.splits, "validation": empty}, class_names=info.class_names
    )
    with pytest.raises(ValueError, match="--validation_split=validation: that split holds no"):
        checks.prepare_data(small_data.small_config(place, "run"))
