"""The numbers behind the plots by hand; and that every kind of split is drawn without a warning."""

import io

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
def test_every_kind_of_split_is_drawn(change):
    columns = make_columns(*((1,) if change == "one image" else ()), seed=1)
    if change == "no maps":
        columns["spearman/late"][:] = np.nan
    elif change == "no layers":
        columns = {name: column for name, column in columns.items() if "spearman" not in name}
    elif change == "no confidence":
        columns["confidence"][:] = np.nan
    elif change == "1000":
        columns = make_columns(9000, 1000)
    figure = plots.draw(columns, "a network")
    assert np.asarray(Image.open(io.BytesIO(plots.png(figure))).convert("L")).min() < 60
    text = texts(figure)
    assert ("no image has a map score" in text) == (change in ("one image", "no maps", "no layers"))
    assert ("no image has a confidence" in text) == (change == "no confidence")
    assert ("… 970 more …" in text) == (change == "1000")
