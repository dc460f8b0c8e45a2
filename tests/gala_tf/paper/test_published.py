"""Rows are told apart by their flags; what the paper says of its tables holds of what was typed."""

import dataclasses
import json

import pytest

from gala_tf import config, metrics
from gala_tf.paper import published
from gala_tf.paper.published import FIGURE_7_ROW, ROWS


@pytest.mark.parametrize("key", ROWS)
def test_a_run_with_a_rows_flags_is_of_that_row(key):
    run_config = dataclasses.replace(config.Config(), **ROWS[key].overrides(6.0))
    assert published.row_of(run_config) == key
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
    assert ROWS[FIGURE_7_ROW].overrides(0.0) == ROWS["gala"].overrides(6.0)


TABLES = {number: published.table(number) for number in (1, 2, 3, 4)}


def test_counts():
    """Rows x columns: 4 x 3, 3 x 2, 6 x 3, 5 x 2."""
    counted = {number: sum(map(len, rows.values())) for number, rows in TABLES.items()}
    assert counted == {1: 12, 2: 6, 3: 18, 4: 10}


@pytest.mark.parametrize("number", TABLES)
def test_tables_are_whole(number):
    table = published.document()["tables"][str(number)]
    assert isinstance(table["page"], int) and table["section"]
    assert table["split"] == ("test" if number in (1, 3) else "validation")
    assert (table["stars"] or {}).get("p_below") == (0.01 if number in (1, 3) else None)
    for key, row in TABLES[number].items():
        assert key in ROWS
        for metric, value in row.items():
            assert metric in ("top1_error", "top5_error", "maps")
            assert 0 < value < 100 and round(value, 2) == value


@pytest.mark.parametrize("number", TABLES)
def test_top5_error_is_the_smaller(number):
    assert all(row["top5_error"] < row["top1_error"] for row in TABLES[number].values())


def test_table_1_is_part_of_table_3():
    assert all(TABLES[3][key] == row for key, row in TABLES[1].items())
    assert set(TABLES[3]) - set(TABLES[1]) == {"resnet_clickmaps", "gala_boxes"}


def test_rows_are_in_the_papers_order_which_is_that_of_top1_error():
    for number in (1, 3, 4):
        errors = [row["top1_error"] for row in TABLES[number].values()]
        assert errors == sorted(errors, reverse=True)


def test_what_the_text_says_of_the_tables():
    clickme = TABLES[3]
    # 4.3: GALA beats both; all with attention predict maps better than ResNet-50; w/ ClickMe best.
    for other in ("resnet", "se"):
        assert clickme["gala"]["top1_error"] < clickme[other]["top1_error"]
    assert all(clickme[k]["maps"] > clickme["resnet"]["maps"] for k in ("se", "gala"))
    assert max(clickme, key=lambda key: clickme[key]["maps"]) == "gala_clickmaps"
    # 5: SE overfits, so it is behind ResNet-50.
    assert clickme["se"]["top1_error"] > clickme["resnet"]["top1_error"]
    # Appendix: top-5 error cut by about a quarter; 1 - 31.04 / 40.65 = 0.236
    cut = 1 - clickme["gala"]["top5_error"] / clickme["resnet"]["top5_error"]
    assert cut == pytest.approx(0.236, abs=5e-4)
    # Table 4: maps make it the most accurate; Table 2: GALA a little ahead of SE.
    best = min(TABLES[4], key=lambda key: TABLES[4][key]["top1_error"])
    assert best == "gala_clickmaps"
    assert TABLES[2]["se"]["top1_error"] - TABLES[2]["gala"]["top1_error"] == pytest.approx(0.53)


def test_references_of_table_2():
    rows = published.document()["tables"]["2"]["rows"]
    assert {key: row["reference"] for key, row in rows.items()} == {
        "resnet": {"top1_error": 24.70, "top5_error": 7.80},
        "se": {"top1_error": 23.29, "top5_error": 6.62},
        "gala": None,
    }


def test_figure_7():
    points = published.document()["figure_7"]["values"]
    assert [(point["row"], point["lambda"], point["value"]) for point in points] == [
        ("gala", 0, 62.96),
        (FIGURE_7_ROW, None, 87.62),  # the caption names none
    ]


def test_reliability_is_the_one_of_metrics():
    reliability = published.document()["human_reliability"]
    assert reliability["value"] == metrics.PAPER_HUMAN_CEILING
    assert reliability["shuffled"] == 0.18


def test_no_key_comes_twice():
    """json.loads would keep the last one in silence."""

    def unique(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys))
        return dict(pairs)

    json.loads(published.PATH.read_text(), object_pairs_hook=unique)
