"""Rows and lines of a report: which network a run is, and which runs are repetitions."""

import dataclasses
import types

import fake_runs
import pytest

from gala_tf.paper import published
from gala_tf.paper.report import lines as grouping


def run(name="run", validation=0.5, **arguments):
    made = fake_runs.run_config(**arguments)
    return types.SimpleNamespace(
        name=name, config=made, results={"network": "odd"}, validation_top1=validation
    )


@pytest.mark.parametrize("row", published.ROWS)
@pytest.mark.parametrize("weight", [0.3, 6.0])
def test_row_of_is_the_inverse_of_the_rows_flags(row, weight):
    assert published.row_of(fake_runs.run_config(row, weight)) == row


def test_flags_without_effect_do_not_change_the_row():
    idle = fake_runs.run_config("gala", map_source="boxes", map_target="attention")
    assert published.row_of(idle) == "gala"
    assert published.row_of(fake_runs.run_config("resnet", map_target="attention")) == "resnet"


@pytest.mark.parametrize(
    "changes",
    [
        dict(attention="se", map_loss_weight=1.0),
        dict(map_target="attention"),
        dict(row="resnet_clickmaps", map_source="boxes"),
        dict(attention="mine"),
    ],
)
def test_other_networks_have_no_row(changes):
    made = dataclasses.replace(
        fake_runs.run_config(changes.pop("row", "gala_clickmaps")), **changes
    )
    with pytest.raises(ValueError, match="No row of the paper's tables has --attention="):
        published.row_of(made)
    assert grouping.words_of(made) == grouping.NO_ROW


def test_lines_join_seeds_and_flags_without_effect():
    runs = [
        run("a", row="se", seed=2),
        run("b", row="gala", seed=1, map_source="boxes"),
        run("c", row="gala", seed=0),
        run("d", row="se", seed=0, saliency_bias=3.0),
        run("e", row="resnet", seed=0, reduction_ratio=8),
        run("f", row="resnet", seed=1),
        run("g", row="gala", seed=2, saliency_bias=3.0),  # this one matters
    ]
    lines, repeated = grouping.make_lines(runs)
    names = [(line.row, [member.name for member in line.runs]) for line in lines]
    assert names == [
        ("resnet", ["e", "f"]),
        ("se", ["d", "a"]),
        ("gala", ["c", "b"]),
        ("gala", ["g"]),
    ]
    assert lines[2].label == "GALA-ResNet-50 no ClickMe (--saliency_bias=1)"
    assert lines[0].label == "ResNet-50" and not repeated


def test_the_same_run_twice_counts_once():
    runs = [run("a", seed=0), run("b", seed=0), run("c", seed=1, data_dir="elsewhere")]
    lines, repeated = grouping.make_lines(runs)
    assert [[member.name for member in line.runs] for line in lines] == [["a", "c"]]
    assert [(out.name, standing.name) for out, standing in repeated] == [("b", "a")]


def test_networks_of_no_row_come_last_under_their_own_name():
    lines, _ = grouping.make_lines([run(map_target="attention"), run(row="gala_boxes")])
    # Of its flags, not of stored results: earlier versions called it as the paper's network.
    own = "GALA-ResNet-(1,1,2,1) w/ maps on its attention"
    assert [line.label for line in lines] == ["GALA-ResNet-50 w/ b. boxes", own]


def sweep(validations):
    runs = [
        run(f"{weight:g}-{seed}", value, map_loss_weight=weight, seed=seed)
        for weight, values in validations.items()
        for seed, value in enumerate(values)
    ]
    return grouping.make_lines([*runs, run(row="gala_boxes", map_loss_weight=2.0)])[0]


def test_lambda_is_chosen_on_validation():
    lines = sweep({0.3: (0.5, 0.6), 1.0: (0.9, 0.4), 6.0: (0.6, 0.1)})
    chosen, reasons = grouping.choose_lambdas(lines, None)
    assert [(line.row, line.map_loss_weight) for line in chosen] == [
        ("gala_clickmaps", 1.0),
        ("gala_boxes", 2.0),
    ]
    assert chosen[0].label == "GALA-ResNet-50 w/ ClickMe"
    assert len(reasons) == 1 and "0.3: 55.0 %, 1: 65.0 %, 6: 35.0 %" in reasons[0]


def test_the_smallest_of_equal_lambdas_or_the_one_asked_for():
    lines = sweep({0.3: (0.5,), 1.0: (0.7,), 6.0: (0.7,)})
    assert grouping.choose_lambdas(lines, None)[0][0].map_loss_weight == 1.0
    chosen, reasons = grouping.choose_lambdas(lines, 0.3)
    assert chosen[0].map_loss_weight == 0.3 and "--table_lambda" in reasons[0]
    with pytest.raises(ValueError, match="--table_lambda=2: .* --map_loss_weight=0.3, 1, 6"):
        grouping.choose_lambdas(lines, 2.0)


def test_lambda_without_validation_must_be_said():
    lines = sweep({0.3: (0.5,), 1.0: (None,)})
    with pytest.raises(ValueError, match="Run '1-0' has no validation top-1.*--table_lambda"):
        grouping.choose_lambdas(lines, None)
    assert grouping.choose_lambdas(lines, 1.0)[0]


def test_reference_is_the_one_that_differs_least():
    runs = [run(version="v1"), run(version="v2"), run(row="se", version="v2"), run(row="gala")]
    lines, _ = grouping.make_lines(runs)
    by_row = {line.row: line for line in lines if line.row != "gala_clickmaps"}
    assert grouping.nearest_reference(by_row["se"], lines).flags["version"] == "v2"
    assert grouping.nearest_reference(by_row["gala"], lines).flags["version"] == "v1"
    assert grouping.nearest_reference(lines[-1], lines) is None  # is itself one
    assert grouping.nearest_reference(by_row["se"], [by_row["se"]]) is None
