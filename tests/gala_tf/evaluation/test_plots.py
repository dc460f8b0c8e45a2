"""The numbers behind the plots by hand; and that every kind of split is drawn without a warning."""

import numpy as np
import pytest
from PIL import Image

from gala_tf.evaluation import plots


def make_columns(n=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(n) * 7 % classes  # every class has an image
    score = rng.normal(0.3, 0.2, n).clip(-1, 1)
    score[::7] = np.nan
    return {
        "image_id": np.array([f"{i}.jpg" for i in range(n)], object),
        "label": label,
        "class_name": np.array([f"class {k}" for k in label], object),
        "rank": rng.integers(0, 3, n),
        "confidence": rng.uniform(1 / classes, 1, n),
        "has_clickmap": ~np.isnan(score),
        "spearman/early": np.full(n, np.nan),
        "spearman/late": score,
    }


def test_error_by_class_by_hand():
    columns = {
        "label": np.array([2, 0, 0, 0, 2, 5]),
        "class_name": np.array(["c", "a", "a", "a", "c", "f"], object),
        "rank": np.array([0, 3, 0, 1, 0, 2]),
    }
    found = plots.error_by_class(columns)
    assert [name for name, _ in found] == ["f", "a", "c"]  # worst first
    assert [interval.mean for _, interval in found] == pytest.approx([1, 2 / 3, 0])
    assert [interval.n for _, interval in found] == [1, 3, 2]
    assert all(interval.low <= interval.mean <= interval.high for _, interval in found)


def test_bins_of_the_map_score_by_hand(monkeypatch):
    monkeypatch.setattr(plots, "LEAST_IN_BIN", 2)
    score = np.array([0.1, 0.9, np.nan, 0.2, 0.8, 0.5])
    correct = np.array([0, 1, 1, 1, 1, 0], bool)
    bins = plots.accuracy_by_map_score(score, correct)
    assert [sorted(part) for part, _, _ in bins] == [[0.1, 0.2], [0.5, 0.8, 0.9]]
    assert [(hits, n) for _, hits, n in bins] == [(1, 2), (2, 3)]


def test_bins_hold_all_images_and_never_part_ties():
    rng = np.random.default_rng(0)
    score, correct = rng.normal(size=1000), rng.random(1000) < 0.5
    bins = plots.accuracy_by_map_score(score, correct)
    assert [n for _, _, n in bins] == [100] * 10
    assert sum(hits for _, hits, _ in bins) == correct.sum()
    assert all(
        one.max() < other.min() for (one, *_), (other, *_) in zip(bins, bins[1:], strict=False)
    )
    coarse = plots.accuracy_by_map_score(np.round(score), correct)
    assert sum(n for _, _, n in coarse) == 1000
    seen = np.concatenate([np.unique(part) for part, _, _ in coarse])
    assert len(seen) == len(np.unique(seen))
    assert len(plots.accuracy_by_map_score(np.ones(500), correct[:500])) == 1
    assert len(plots.accuracy_by_map_score(score[:39], correct[:39])) == 1
    assert plots.accuracy_by_map_score(np.full(9, np.nan), correct[:9]) == []


def texts(figure):
    return "\n".join(
        text for axes in figure.axes for text in (
            axes.get_title(), axes.get_xlabel(), axes.get_ylabel(),
            *(item.get_text() for item in axes.texts),
            *(label.get_text() for label in axes.get_yticklabels()),
        )
    )  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_every_number_says_how_many_images():
    columns = make_columns(300)
    columns["confidence"][:4] = np.nan
    figure = plots.draw(columns, "a network")
    text = texts(figure)
    assert "a network: 300 images" in figure.get_suptitle()
    assert "n = 296, 4 left out" in text and "n = 257" in text and "late" in text
    assert f"class 1  ({(columns['label'] == 1).sum()})" in text
    assert f"all images, {100 * (columns['rank'] > 0).mean():.1f}" in text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("change", ["one image", "no maps", "no layers", "no confidence", "1000"])
def test_every_kind_of_split_is_drawn(change, tmp_path):
    columns = make_columns(*((1,) if change == "one image" else ()), seed=1)
    if change == "no maps":
        columns["spearman/late"][:] = np.nan
    elif change == "no layers":
        columns = {name: column for name, column in columns.items() if "spearman" not in name}
    elif change == "no confidence":
        columns["confidence"][:] = np.nan
    elif change == "1000":
        columns = make_columns(9000, 1000)
    path = tmp_path / "figures" / "diagnostics-test.png"
    plots.write(str(path), columns, "a network")
    assert np.asarray(Image.open(path).convert("L")).min() < 60
    text = texts(plots.draw(columns, "a network"))
    assert ("no image has a map score" in text) == (change in ("one image", "no maps", "no layers"))
    assert ("no image has a confidence" in text) == (change == "no confidence")
    assert ("… 970 more …" in text) == (change == "1000")
