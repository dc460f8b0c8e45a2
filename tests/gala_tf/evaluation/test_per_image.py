"""Rows of an evaluation: what is in them, that they read back, and that they match the results."""

import types

import numpy as np
import pytest
from scipy import stats

from gala_tf import metrics
from gala_tf.evaluation import naming, per_image, scores

NAMES = ("cat", "dog, wild", 'the "other"')


def make_predictions(n=40, seed=0):
    """Images of which 1 in 4 has no human map, one a constant map, one a network that diverged."""
    rng = np.random.default_rng(seed)
    clickmap = rng.integers(0, 9, (n, 6, 6)).astype(np.float32)
    has_clickmap = np.arange(n) % 4 > 0
    clickmap[~has_clickmap] = 0
    clickmap[5] = 2  # constant
    maps = {
        "b_early": rng.random((n, 6, 6)),
        "a_late": rng.random((n, 3, 3)) + np.arange(9).reshape(3, 3) / 9,
    }
    maps["a_late"][6] = 1  # constant
    cross_entropy = rng.random(n).astype(np.float32)
    confidence = rng.uniform(1 / 3, 1, n).astype(np.float32)
    confidence[7] = cross_entropy[7] = np.nan
    return types.SimpleNamespace(
        label=rng.integers(0, 3, n).astype(np.int32),
        prediction=rng.integers(0, 3, n).astype(np.int32),
        rank=rng.integers(0, 3, n).astype(np.int32),
        cross_entropy=cross_entropy,
        confidence=confidence,
        clickmap=clickmap,
        has_clickmap=has_clickmap,
        maps={name: values.astype(np.float32) for name, values in maps.items()},
    )


IDS = [f"folder/naïve, {i}.jpg" for i in range(40)]


@pytest.fixture(scope="module")
def predictions():
    return make_predictions()


@pytest.fixture(scope="module")
def columns(predictions):
    return per_image.columns_of(predictions, IDS, NAMES)


def test_columns_by_hand(predictions, columns):
    assert list(columns) == [
        "image_id",
        "label",
        "class_name",
        "prediction",
        "rank",
        "cross_entropy",
        "confidence",
        "has_clickmap",
        "spearman/b_early",
        "spearman/a_late",
        "center_prior",
        "clickmap_sum",
    ]
    assert per_image.layers(columns) == ["b_early", "a_late"]
    assert list(columns["image_id"]) == IDS
    for i in range(40):
        assert columns["class_name"][i] == NAMES[predictions.label[i]]
        cells = predictions.clickmap[i].reshape(3, 2, 3, 2).sum((1, 3))
        found = [columns[f"spearman/{name}"][i] for name in ("b_early", "a_late")]
        if i % 4 == 0 or i == 5:
            assert np.isnan(found).all()
            assert np.isnan(columns["center_prior"][i])
        else:
            early, late = (predictions.maps[name][i] for name in ("b_early", "a_late"))
            expected = stats.spearmanr(early.ravel(), predictions.clickmap[i].ravel()).statistic
            assert found[0] == pytest.approx(expected, abs=1e-12)
            if i == 6:
                assert np.isnan(found[1])
            else:
                expected = stats.spearmanr(late.ravel(), cells.ravel()).statistic
                assert found[1] == pytest.approx(expected, abs=1e-12)
            prior = -np.array([2, 1, 2, 1, 0, 1, 2, 1, 2])
            expected = stats.spearmanr(prior, cells.ravel()).statistic
            assert columns["center_prior"][i] == pytest.approx(expected, abs=1e-12)
        total = columns["clickmap_sum"][i]
        assert np.isnan(total) if i % 4 == 0 else total == predictions.clickmap[i].sum()


def test_means_of_columns_are_the_results(predictions, columns):
    numbers = scores.results(predictions, {6: {"value": 0.5}, 3: {"value": 0.4}})
    assert numbers["top1"] == (columns["rank"] < 1).mean()
    assert numbers["top5"] == (columns["rank"] < 5).mean()
    assert np.isnan(numbers["cross_entropy"]) and np.isnan(columns["cross_entropy"].mean())
    for name in ("b_early", "a_late"):
        layer, column = numbers["maps"][name], columns[f"spearman/{name}"]
        defined = column[~np.isnan(column)]
        assert layer["spearman"] == pytest.approx(defined.mean(), abs=1e-14)
        assert layer["standard_error"] == pytest.approx(stats.sem(defined), abs=1e-14)
        assert layer["images"] == len(defined)
        assert layer["images"] + layer["undefined"] == columns["has_clickmap"].sum() == 30
    prior = columns["center_prior"][~np.isnan(columns["spearman/a_late"])]
    assert numbers["maps"]["a_late"]["center_prior"] == pytest.approx(prior.mean(), abs=1e-14)


def test_a_file_reads_back_exactly(columns, tmp_path):
    path = str(tmp_path / "deep" / "per_image-test.csv")
    per_image.write(path, columns)
    found = per_image.load(path)
    assert list(found) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(found[name], values)  # all digits, NaN where NaN
    kinds = {name: found[name].dtype for name in ("image_id", "rank", "has_clickmap", "confidence")}
    assert list(kinds.values()) == [object, np.int64, np.bool_, np.float64]
    text = (tmp_path / "deep" / "per_image-test.csv").read_bytes().decode("utf-8")
    assert text.count("\n") == 41 and "nan" not in text and "\r" not in text
    assert not list((tmp_path / "deep").glob("*.writing"))
    per_image.write(path, found)
    assert (tmp_path / "deep" / "per_image-test.csv").read_text(encoding="utf-8") == text


def test_a_table_saved_by_a_spreadsheet_reads_back(columns, tmp_path):
    """A byte-order mark, and names in capitals; those of layers stay."""
    path = tmp_path / "saved.csv"
    per_image.write(str(path), columns)
    head, _, rest = path.read_text(encoding="utf-8").partition("\n")
    head = head.replace("image_id", "Image_ID").replace("rank", " RANK ")
    path.write_text(f"{head}\n{rest}", encoding="utf-8-sig")
    assert list(per_image.load(str(path))) == list(columns)


def test_names_with_line_ends_and_infinities(columns, tmp_path):
    odd = {name: values[:3].copy() for name, values in columns.items()}
    odd["image_id"][:] = ["a\nb", 'c"d,\r\ne', ""]
    odd["cross_entropy"][0] = np.inf
    path = str(tmp_path / "odd.csv")
    per_image.write(path, odd)
    for name, values in per_image.load(path).items():
        np.testing.assert_array_equal(values, odd[name])


def test_no_image_has_a_map():
    predictions = make_predictions()
    predictions.has_clickmap = np.zeros(40, bool)
    columns = per_image.columns_of(predictions, IDS, NAMES)
    for name in ("spearman/b_early", "spearman/a_late", "center_prior", "clickmap_sum"):
        assert np.isnan(columns[name]).all()


def test_a_table_of_no_images_reads_back(columns, tmp_path):
    path = str(tmp_path / "none.csv")
    per_image.write(path, {name: values[:0] for name, values in columns.items()})
    assert {name: len(values) for name, values in per_image.load(path).items()} == dict.fromkeys(
        columns, 0
    )


def test_the_rule_of_names():
    best = {"weights": "best", "changed_flags": {}}
    assert per_image.path_of("run", "test", best) == "run/per_image-test.csv"
    other = {"weights": "newest", "changed_flags": {"clickmap_blur": "gaussian:5,1.5"}}
    name = "per_image-test-newest-clickmap_blur=gaussian_5,1.5.csv"
    assert per_image.path_of("run", "test", other) == f"run/{name}"
    assert naming.result_name("test", other) in name


def test_as_many_names_as_images(predictions):
    with pytest.raises(ValueError, match="each of the 40 images evaluated; received 39"):
        per_image.columns_of(predictions, IDS[:-1], NAMES)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text.replace("confidence", "trust"), "confidence missing"),
        (lambda text: text.replace("center_prior", "label"), "one is there twice"),
        (lambda text: "", "image_id, class_name.* missing"),
        (lambda text: text[: text.rindex(",")], "row 41: expected 12 cells, received 11"),
        (lambda text: text[: text.rindex(",") + 1] + "x", "column clickmap_sum must hold numbers"),
        (lambda text: text.replace(",cat,", ",cat,."), "prediction must hold whole numbers"),
    ],
)
def test_damaged_files_are_refused(columns, tmp_path, change, message):
    path = tmp_path / "per_image-test.csv"
    per_image.write(str(path), columns)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as raised:
        per_image.load(str(path))
    assert str(path) in str(raised.value)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="No file .*gala_tf.evaluate"):
        per_image.load(str(tmp_path / "none.csv"))


def test_only_the_same_images_are_paired(columns):
    per_image.require_same_images({"a": columns, "b": dict(columns)})
    per_image.require_same_images({"a": columns})
    turned = {name: values[::-1] for name, values in columns.items()}
    fewer = {name: values[1:] for name, values in columns.items()}
    for other in (turned, fewer, {**columns, "label": columns["label"] + 1}):
        with pytest.raises(ValueError, match="^b is of other images.* than a .*image by image"):
            per_image.require_same_images({"a": columns, "b": other})


def test_rows_use_the_metric_of_the_results(predictions):
    """One definition of the rank correlation for both."""
    rows = predictions.has_clickmap
    flat = (
        predictions.maps["b_early"][rows].reshape(30, 36),
        predictions.clickmap[rows].reshape(30, 36),
    )
    column = per_image.columns_of(predictions, IDS, NAMES)["spearman/b_early"]
    np.testing.assert_array_equal(column[rows], metrics.spearman(*flat))
