"""The rows of the tables: six networks, told apart by their flags."""

import dataclasses

import pytest

from gala_tf import config
from gala_tf.paper.report import lines
from gala_tf.paper.rows import FIGURE_7_ROW, ROWS


@pytest.mark.parametrize("key", ROWS)
def test_a_run_with_a_rows_flags_is_of_that_row(key):
    run_config = dataclasses.replace(config.Config(), **ROWS[key].overrides(6.0))
    assert lines.row_of(run_config) == key
    assert (run_config.map_loss_weight > 0) == ROWS[key].has_maps


def test_flags_tell_rows_apart():
    flags = [tuple(sorted(row.overrides(1.0).items())) for row in ROWS.values()]
    assert len(set(flags)) == len({row.name for row in ROWS.values()}) == 6
    assert {len(row) for row in flags} == {4}


def test_names_are_the_papers():
    assert [row.name for row in ROWS.values()] == [
        "ResNet-50",
        "SE-ResNet-50",
        "GALA-ResNet-50 no ClickMe",
        "GALA-ResNet-50 w/ ClickMe",
        "ResNet-50 w/ ClickMe",
        "GALA-ResNet-50 w/ b. boxes",
    ]


def test_lambda_zero_of_figure_7_is_a_row_without_maps():
    without = dict(ROWS[FIGURE_7_ROW].flags) | {"map_loss_weight": 0.0}
    assert without == ROWS["gala"].overrides(6.0)
