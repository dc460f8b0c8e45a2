"""A score is divided by the ceiling of its own data, or by one that was asked for by name."""

import dataclasses

import numpy as np
import pytest

from gala_tf import metrics
from gala_tf.data import dataset_info
from gala_tf.evaluation import evaluator, harmonization, protocols, scores

SHARD = dataset_info.Shard("test.tfrecord", 4, 9, "")
INFO = dataset_info.DatasetInfo(
    name="invented",
    class_names=("a", "b"),
    splits={"test": dataset_info.Split(4, 3, 0, 2, (SHARD,))},
    image=dataset_info.ImageGeometry("square", 32, 32, 32, 32),
    clickmap_blur="box:5",
    clickmap_grid=16,
    human_ceiling=None,
    split_rule="by hand",
    seed=0,
    command="data_prep.build_tfrecords --source=folder",
    tool_version="test",
)
CLICKME = {"value": metrics.PAPER_HUMAN_CEILING, "estimator": "published", "source": "paper"}
PREDICTIONS = evaluator.Predictions(
    label=np.zeros(4, int),
    prediction=np.zeros(4, int),
    rank=np.zeros(4, int),
    cross_entropy=np.zeros(4),
    clickmap=np.ones((4, 1, 1)),
    has_clickmap=np.array([True, True, True, False]),
    maps={},
    scores={f"{score}/gradient": np.array([0.3, 0.5, np.nan, np.nan]) for score in
            ("spearman", "dice", "iou")},
)  # fmt: skip


def harmonization_numbers(info=INFO, **changes):
    return protocols.Harmonization("", info, "test", 32, **changes).numbers(PREDICTIONS)


def test_invented_maps_have_no_ceiling_of_clickme():
    found = harmonization_numbers()
    assert found["maps"]["gradient"]["fraction_of_ceiling"] is None
    assert found["human_ceiling"]["value"] is None
    assert "--ceiling=clickme" in found["human_ceiling"]["estimator"]
    paper = scores.find_ceilings(protocols.Paper("", INFO, "test", 32, sides={"m": 7}), [7])
    assert paper[7]["value"] is None


@pytest.mark.parametrize(
    "changes",
    [{"human_ceiling": CLICKME}, {"command": "data_prep.build_tfrecords --source=clickme_release"}],
)
def test_clickmes_own_maps_have_it(changes):
    found = harmonization_numbers(dataclasses.replace(INFO, **changes))
    expected = 0.4 / harmonization.HARMONIZATION_CEILING
    assert found["maps"]["gradient"]["fraction_of_ceiling"] == pytest.approx(expected)


def test_clicks_of_ones_own_game_are_not_clickmes():
    command = "data_prep.build_tfrecords --source=clickme_clicks"
    found = harmonization_numbers(dataclasses.replace(INFO, command=command))
    assert found["human_ceiling"]["value"] is None


def test_a_ceiling_may_be_asked_for_by_name():
    found = harmonization_numbers(ceiling="clickme")
    assert found["human_ceiling"]["value"] == harmonization.HARMONIZATION_CEILING
    asked = protocols.Paper("", INFO, "test", 32, ceiling="clickme", sides={"m": 7})
    ceiling = scores.find_ceilings(asked, [7])[7]
    assert ceiling["value"] == 0.58 and "asked for by --ceiling=clickme" in ceiling["estimator"]


def test_each_score_has_its_own_n():
    found = harmonization_numbers()["maps"]["gradient"]["spearman"]
    assert found["images"] == 2 and found["undefined"] == 1 and found["mean"] == pytest.approx(0.4)


def layer(images):
    return {
        "spearman": 0.5, "standard_error": 0.1, "images": images, "undefined": 0, "shuffled": 0.1,
        "center_prior": 0.2, "grid": 7, "fraction_of_ceiling": 0.5,
    }  # fmt: skip


def printed(**changes):
    numbers = {
        "network": "N", "split": "test", "examples": 60, "weights": "best", "step": 3, "classes": 4,
        "top1": 0.5, "top5": 1.0, "clickmap_blur": "box:5", "final_layer": "b",
        "maps": {"a": layer(40), "b": layer(40)},
        "human_ceiling": {"value": 1.0, "estimator": "two participants", "images": 12},
    }  # fmt: skip
    return scores.table({**numbers, **changes})


def test_the_table_says_n_of_maps_and_of_the_ceiling():
    assert "mean over 40 images" in printed() and "two participants, n = 12" in printed()
    assert "mean over 40 to 41 images a layer" in printed(maps={"a": layer(41), "b": layer(40)})


def test_top5_is_shown_where_it_says_something():
    assert "top-5" not in printed() and "top-5" not in printed(classes=5)
    assert "top-5 error   0.00 %" in printed(classes=6)


def test_simulated_maps_are_not_called_peoples():
    said = printed(simulated_maps=True)
    assert "agreement with simulated maps" in said and "human" not in said
    assert "agreement with human maps" in printed(simulated_maps=False)
    assert "    human ceiling 1.000" in printed(simulated_maps=False)
