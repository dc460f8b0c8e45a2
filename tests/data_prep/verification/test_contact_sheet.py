"""Contact sheets, what they show, and the statistics beside them."""

import io
import json
import sqlite3

import numpy as np
import pytest
from PIL import Image

from data_prep.verification import (
    alignment,
    contact_sheet,
    dataset_statistics,
    findings,
    sheet_choice,
    statistics_page,
)
from data_prep.verification.contact_sheet import PANEL, Line, Triplet
from data_prep.verification.record_checks import Facts
from gala_tf.data import dataset_info

GREY = np.full((20, 40, 3), 100, np.uint8)


def facts(**changes):
    values = dict(
        image_id="a",
        label=0,
        height=64,
        width=64,
        digest=b"0",
        code=b"",
        participants=2,
        clicks=20,
        has_map=1,
        area=0.2,
        peak=3,
        border=0.0,
        center_y=0.5,
        center_x=0.25,
        contrast=0.3,
        contrast_mirrored=0.1,
        contrast_upside_down=0.1,
        contrast_transposed=0.1,
        spread=50.0,
    )
    return Facts(**(values | changes))


def store_of(*rows):
    """A store of (split, facts)."""
    store = findings.open_store(":memory:")
    findings.add_facts(
        store, [(split, f"{split}.x", i, 0, 0, *f) for i, (split, f) in enumerate(rows)]
    )
    return store


def info_of(classes=("cat", "dog", "owl")):
    split = dataset_info.Split(0, 0, 0, 0, ())
    geometry = dataset_info.ImageGeometry("original", 1, 1, 1, 1)
    return dataset_info.DatasetInfo(
        "pets",
        tuple(classes),
        {"train": split, "test": split},
        geometry,
        "none",
        8,
        None,
        "",
        0,
        "",
        "",
    )


def test_a_sheet_grows_with_its_lines_and_says_when_there_are_none():
    one = Line(("a",), [Triplet(GREY, None, ("id", "words"))])
    pages = [contact_sheet.draw("t", "s", [one] * n) for n in (1, 2, 5)]
    assert pages[0].width == pages[2].width
    step = pages[1].height - pages[0].height
    assert step > PANEL and pages[2].height == pages[0].height + 4 * step
    assert contact_sheet.draw("t", "s", []).height == pages[0].height


def test_panels_keep_the_proportions_of_pictures():
    panel = np.asarray(contact_sheet.fit(GREY))
    assert panel.shape == (PANEL, PANEL, 3)
    inside = (panel == 100).all(-1)
    assert inside[PANEL // 2].all() and not inside[5].any()
    assert inside[:, 0].sum() == PANEL // 2


def test_an_overlay_is_grey_where_nobody_clicked_and_coloured_where_they_did():
    image = np.zeros((4, 4, 3), np.uint8) + np.array([30, 60, 90], np.uint8)
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    mixed = contact_sheet.overlay(image, heat)
    np.testing.assert_array_equal(mixed[0, 0], [60, 60, 60])
    assert mixed[1, 2].max() > 180


def test_an_image_is_revealed_where_it_was_clicked():
    heat = np.zeros((40, 40))
    heat[10:14, 20:24] = 1
    shown = contact_sheet.revealed(np.zeros((40, 40, 3), np.uint8), heat)
    assert (shown[35, 5] == 255).all() and shown[11, 21].max() < 60


def test_names_are_cut_in_the_middle_and_keep_their_end():
    text = contact_sheet.shorten("train/n01440764/n01440764_10026.JPEG", 11, 120)
    assert "…" in text and text.endswith("0026.JPEG") and text.startswith("train"[:2])
    assert contact_sheet.shorten("short", 11, 120) == "short"


def test_classes_fill_pages_and_spread_over_all_when_there_are_too_many():
    rows = [("train", facts(label=label, image_id=str(label))) for label in range(45)]
    store, info = store_of(*rows), info_of(str(label) for label in range(45))
    pages = list(sheet_choice.by_class(store, info, 2))
    assert [len(page) for page in pages] == [10, 10]
    labels = [chosen[0].label for page in pages for _, chosen in page]
    assert labels[0] == 0 and labels[-1] == 44 and len(set(labels)) == 20
    assert [len(page) for page in sheet_choice.by_class(store, info, 9)] == [10, 10, 10, 10, 5]


def test_maps_are_shown_from_the_smallest_to_the_largest():
    rows = [("train", facts(area=i / 100, digest=bytes([i]))) for i in range(1, 100)]
    lines = sheet_choice.by_area(store_of(*rows, ("train", facts(has_map=0, area=0))))
    areas = [chosen[1].area for _, chosen in lines]
    assert areas == sorted(areas) and areas[3] == 0.5
    assert lines[0][1][0].area == 0.01 and lines[-1][1][-1].area == 0.99
    assert sheet_choice.by_area(store_of()) == []


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(has_map=0, area=0), "empty map"),
        (dict(area=0.97), "map covers more"),
        (dict(border=1.0), "all clicks at"),
        (dict(height=30), "image smaller"),
        (dict(height=400), "image longer than 3"),
        (dict(spread=0.5), "image of nearly"),
        (dict(peak=65_535), "counts at the limit"),
    ],
)
def test_every_suspicion_finds_its_record(changes, words):
    lines = sheet_choice.suspicious(store_of(("train", facts(**changes)), ("train", facts())), [])
    (title, chosen), *more = lines
    assert title[0].startswith(words) and title[-1] == "1 in all" and len(chosen) == 1
    assert not more


def test_faults_that_can_be_shown_come_first():
    store = store_of(("train", facts()), ("train", facts(label=7)))
    findings.add_faults(store, [findings.Fault("train.x", 1, "label 7")])
    (title, chosen), *_ = sheet_choice.suspicious(store, [])
    assert title[0] == "fault" and chosen[0].label == 7


def code(*flipped):
    bits = np.random.default_rng(0).integers(0, 2, 256, dtype=np.uint8)
    bits[list(flipped)] ^= 1
    return np.packbits(bits).tobytes()


def test_nearly_equal_pictures_are_found_across_splits_only():
    rows = [
        ("train", facts(digest=b"1", code=code())),
        ("test", facts(digest=b"2", code=code(3, 40, 70, 100, 130, 160, 200))),  # 7 bits
        ("test", facts(digest=b"3", code=code(*range(100, 140)))),
        ("train", facts(digest=b"4", code=code(5))),
        ("test", facts(digest=b"1", code=code())),  # equal: a fault, not a near one
    ]
    found = findings.nearly_across_splits(store_of(*rows))
    assert [(near.first, near.second, near.bits) for near in found] == [(4, 5, 1), (1, 2, 7)]


def test_cells_are_means_over_the_whole_picture():
    values = np.arange(64 * 32, dtype=np.float64).reshape(64, 32)
    expected = values.reshape(16, 4, 16, 2).mean((1, 3))
    np.testing.assert_allclose(alignment.cells(values), expected, rtol=1e-6)
    np.testing.assert_array_equal(alignment.cells(np.ones((37, 53))), np.ones((16, 16)))
    np.testing.assert_array_equal(alignment.cells(np.ones((5, 200))), np.ones((16, 16)))


def test_a_map_on_its_image_agrees_more_than_turned():
    rng = np.random.default_rng(0)
    image = np.full((64, 64, 3), 128, np.uint8)
    image[8:24, 36:56] = rng.integers(0, 256, (16, 20, 3))
    grid = np.zeros((64, 64), np.float32)
    grid[8:24, 36:56] = 1
    there, *turned = alignment.agreement(grid, alignment.local_contrast(image))
    assert there > 0.9 and max(turned) < 0.3
    assert alignment.agreement(np.ones((64, 64)), alignment.local_contrast(image)) == [0.0] * 4


@pytest.mark.parametrize("images, difference, warned", [(100, -0.1, True), (100, 0.1, False)])
def test_maps_that_fit_better_turned_are_worth_a_warning(images, difference, warned):
    found = alignment.compare("mirrored", images, 0.3, difference, difference**2 + 0.01)
    assert found.error == pytest.approx(0.1 / np.sqrt(images - 1))
    assert bool(found.warning) == warned
    assert not warned or "better mirrored" in found.warning
    assert not alignment.compare("mirrored", 5, 0.3, -0.1, 0.02).warning  # too few to tell


def test_statistics_by_hand():
    store = store_of(
        ("train", facts(participants=1, clicks=10, area=0.1)),
        ("train", facts(participants=3, clicks=60, area=0.3)),
        ("train", facts(participants=0, clicks=0, has_map=0, area=0, label=1, contrast=None)),
        ("test", facts(participants=2, clicks=0, has_map=0, area=0, label=2, contrast=None)),
    )
    found = dataset_statistics.collect(store, info_of(), {"train": np.full((8, 8), 1 / 64)})
    everything, train = found["all"], found["splits"]["train"]
    shown = [everything[name] for name in ("images", "with_clickmap", "empty_maps")]
    assert shown == [4, 2, 1]
    assert everything["maps"] == 6 and everything["maps_per_image"] == 2
    assert everything["clicks_per_map"] == 70 / 4  # of maps whose clicks are known
    assert train["area"] == {"0%": 0.1, "5%": 0.1, "25%": 0.1, "50%": 0.1} | {
        key: 0.3 for key in ("75%", "95%", "100%")
    }
    assert train["missing_classes"] == ["owl"]
    assert found["participants_per_image"] == {0: 1, 1: 1, 2: 1, 3: 1}
    assert found["clicks_per_map"] == {10: 1, 20: 1}
    assert found["images_per_label"] == {0: 2, 1: 1, 2: 1}
    assert found["alignment"][0]["difference"] == pytest.approx(0.2)
    json.dumps(found)
    text = statistics_page.page(found, "table")
    assert "| maps an image, mean | 2.00 | 2.41 |" in text and "1: owl" in text
    assert Image.open(io.BytesIO(statistics_page.figure(found))).width == 1300


def test_a_data_set_without_maps_has_statistics_too():
    none = dict(has_map=0, participants=0, clicks=0, area=0, center_y=None, center_x=None)
    none |= dict.fromkeys(("contrast", *alignment.TURNS))
    found = dataset_statistics.collect(store_of(("train", facts(**none))), info_of(), {})
    assert found["all"]["maps_per_image"] is None
    assert "There are no maps." in statistics_page.page(found, "")
    assert statistics_page.figure(found).startswith(b"\x89PNG")


def test_the_store_is_a_file_of_rows(tmp_path):
    part = findings.open_store(str(tmp_path / "part"))
    findings.add_facts(part, [("train", "f", 0, 12, 34, *facts())])
    findings.add_faults(part, [findings.Fault("f", None, "why")])
    part.commit()
    part.close()
    store = findings.open_store(str(tmp_path / "all"))
    findings.join(store, str(tmp_path / "part"))
    findings.join(store, str(tmp_path / "part"))
    assert findings.count(store, "records") == 2
    assert list(findings.all_faults(store)) == [findings.Fault("f", None, "why")] * 2
    assert isinstance(store, sqlite3.Connection)
