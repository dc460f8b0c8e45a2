"""The quickstart data set: deterministic, splits from disjoint strips, maps like participants'."""

import importlib.util
import io
import itertools
import sys
import time

import numpy as np
import pytest
from PIL import Image

from data_prep import sources
from data_prep.sources import quickstart
from gala_tf import metrics

COUNTS = {"train": 30, "validation": 12, "test": 30}


def pixels(example):
    return np.asarray(Image.open(io.BytesIO(example.image)))


@pytest.fixture(scope="module")
def data():
    return list(quickstart.examples(seed=0, **COUNTS))


def test_examples_keep_the_contract(data):
    assert len({example.image_id for example in data}) == len(data)
    for example in data:
        image = pixels(example)
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        assert len(example.participant_maps) == quickstart.PARTICIPANTS
        for counts in example.participant_maps:
            assert counts.shape == (64, 64) and np.issubdtype(counts.dtype, np.integer)
            assert counts.min() == 0 and counts.max() >= 1


def test_splits_have_their_sizes_and_classes_in_turn(data):
    for split, count in COUNTS.items():
        labels = [example.label for example in data if example.split == split]
        assert len(labels) == count
        assert np.bincount(labels).tolist() == [count // 6] * 6
    assert len(quickstart.CLASS_NAMES) == 6


def test_same_seed_gives_the_same_data_and_a_longer_split_starts_with_the_shorter(data):
    again = list(quickstart.examples(seed=0, train=12, validation=0, test=0))
    for first, second in zip(data, again, strict=False):
        assert first.image == second.image and first.image_id == second.image_id
        np.testing.assert_array_equal(first.participant_maps, second.participant_maps)


def test_another_seed_gives_another_data_set(data):
    other = list(quickstart.examples(seed=1, **COUNTS))
    images = {example.image for example in data} | {example.image for example in other}
    assert len(images) == 2 * sum(COUNTS.values())
    assert not {e.image_id for e in data} & {e.image_id for e in other}


@pytest.mark.parametrize("seed", [0, 1])
def test_no_strip_serves_two_splits(monkeypatch, seed):
    """Photographs whose every pixel names its own column: no column is in two splits' strips."""

    def columns_as_pixels(name):
        width = {"coins.png": 384, "retina.jpg": 1411}.get(name, 512)
        column = np.arange(width)
        pixel = np.stack([column // 256, column % 256, column * 0], axis=-1)
        return np.broadcast_to(pixel, (8, width, 3))

    monkeypatch.setattr(quickstart, "load_photograph", columns_as_pixels)
    monkeypatch.setattr(
        quickstart,
        "MATERIALS",
        {name: (file, (1.0, 1.0, 1.0)) for name, (file, _) in quickstart.MATERIALS.items()},
    )
    strips = quickstart._strips(seed)
    for name in [*quickstart.MATERIALS, *quickstart.SCENES]:
        columns = {
            split: np.concatenate([strip[0] for strip in strips[split][name]])
            for split in quickstart.SPLITS
        }
        columns = {split: c[:, 0].astype(int) * 256 + c[:, 1] for split, c in columns.items()}
        assert len(strips["train"][name]) == 2
        for one, other in itertools.combinations(columns.values(), 2):
            assert abs(one[:, None] - other).min() > 2 * quickstart.STRIP_GAP


def test_every_pixel_of_an_image_comes_from_its_own_splits_strips(monkeypatch):
    """Whole path: strips painted red, green, blue by split stay so in the JPEG of that split."""

    def colored(seed):
        names = [*quickstart.MATERIALS, *quickstart.SCENES]
        strips = {}
        for channel, split in enumerate(quickstart.SPLITS):
            strip = np.zeros((130, 130, 3), np.uint8)
            strip[..., channel] = 250
            strips[split] = {name: [strip] for name in names}
        return strips

    monkeypatch.setattr(quickstart, "_strips", colored)
    for example in quickstart.examples(train=6, validation=6, test=6):
        own = quickstart.SPLITS.index(example.split)
        image = pixels(example).astype(int)
        others = np.delete(image, own, axis=-1)
        # Shadows darken all channels alike, tints differ by 24 at most, and JPEG smears a little.
        assert (image[..., own] >= others.max(-1) - 8).all()
        assert np.median(image[..., own]) > 150


def test_maps_agree_with_the_figure_and_with_one_another_more_than_with_the_centre():
    data = list(quickstart.examples(seed=0, train=0, validation=0, test=90))
    maps = [np.stack([_box(counts, 13) for counts in e.participant_maps]) for e in data]
    flat = [m.reshape(len(m), -1) for m in maps]  # [P, 64 * 64] each
    ceiling = metrics.human_ceiling(flat, seed=0)
    center = metrics.center_prior(64, 64).reshape(1, -1).repeat(len(flat), axis=0)
    center = np.mean(metrics.spearman(center, np.stack([m.sum(0) for m in flat])))
    assert 0.45 < ceiling["value"] < 0.65
    assert abs(ceiling["null"]) < 0.15
    assert center < ceiling["value"] - 0.15


def test_bubbles_are_mostly_on_the_figure_and_some_are_not():
    figure = np.zeros((64, 64), bool)
    figure[10:34, 30:54] = True
    maps = [quickstart._participant(np.random.default_rng(i), figure) for i in range(200)]
    on_figure = np.array([counts[figure].sum() / counts.sum() for counts in maps])
    assert 0.6 < on_figure.mean() < 0.95
    assert on_figure.min() < 0.5  # some participants aim badly
    # 30 to 79 bubbles of 4x4 pixels, a few of them cut by the frame
    totals = [counts.sum() for counts in maps]
    assert 30 * 16 * 0.5 <= min(totals) and max(totals) <= 79 * 16


def test_missing_photograph_is_named_with_the_remedy():
    with pytest.raises(ValueError, match=r"nothing\.png.*scikit-image.*pip install"):
        quickstart.load_photograph("nothing.png")


def test_is_quick_and_needs_no_downloader(monkeypatch):
    """All 1104 images take about 8 s of one core, so 22 with the loading well under 3."""
    monkeypatch.setitem(sys.modules, "pooch", None)  # `import pooch` now fails
    start = time.process_time()
    assert sum(1 for _ in quickstart.examples(train=10, validation=2, test=10)) == 22
    assert time.process_time() - start < 3.0


def _box(counts, size):
    """Window sums, zero outside the image."""
    half = size // 2
    sums = np.pad(counts.astype(np.int64), (half + 1, half)).cumsum(0).cumsum(1)
    return sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"scikit-image, which is not installed.*\[quickstart\]"):
        sources.load_source("quickstart", sources.SourceOptions())
