"""Reliability: known answers of simulated participants, and whole runs over small data sets."""

import dataclasses
import json
import os
import pickle

import numpy as np
import pytest
import small_data
import tensorflow as tf
from absl import flags
from PIL import Image
from scipy import stats

from data_prep.raters import estimators, report
from data_prep.raters import maps as reliability_maps
from data_prep.raters import results as reliability_results
from data_prep.raters.estimators import BETWEEN_DATA_SETS, ESTIMATORS
from data_prep.raters.flags import ReliabilityOptions
from data_prep.sources import quickstart
from gala_tf import command, metrics
from gala_tf.data import clickmaps, dataset_info, eval_pipeline, records, schema, tfrecord_files
from gala_tf.evaluation import protocols, scores

PIXELS = 200  # of simulated maps
DRAW = reliability_results.draw


@pytest.fixture(autouse=True)
def no_figure(monkeypatch):
    """Drawing takes longer than measuring; one test does it."""
    monkeypatch.setattr(reliability_results, "draw", lambda found: b"")


def expected_spearman(pearson, pixels=PIXELS):
    """Mean of Spearman's rho of `pixels` pairs of normal numbers; exact (Moran 1948)."""
    slope, half = np.arcsin(pearson), np.arcsin(pearson / 2)
    return 6 / (np.pi * (pixels + 1)) * (slope + (pixels - 2) * half)


def grouped(rho, people):
    """Pearson correlation of the sums of two groups of people whose own correlation is rho."""
    return people * rho / (1 + (people - 1) * rho)


def simulate(rng, rho, participants, pixels=PIXELS, shared=None):
    """Maps [P, M] for every image: normal numbers, two participants correlated by rho [N]."""
    maps = []
    for own, people in zip(rho, participants, strict=True):
        signal = rng.normal(size=pixels) if shared is None else shared
        noise = rng.normal(size=(people, pixels))
        maps.append(np.sqrt(own) * signal + np.sqrt(1 - own) * noise)
    return maps


def measure(maps, estimator, seed=0, num_splits=4, **options):
    """The path of the command, on arrays."""
    rng = np.random.default_rng(seed)
    pairs = [estimator.pairs(len(image), rng, num_splits) for image in maps]
    matrices = [
        estimators.block_correlations([maps[i] for i in block], [pairs[i] for i in block])
        for block in estimators.blocks([len(image) for image in maps], estimator, PIXELS)
    ]
    return estimators.summarise(matrices, estimator, seed=seed, **options)


@pytest.mark.parametrize("participants", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_known_reliability(name, participants):
    rho, n = 0.4, 300
    half = participants // 2
    pearson = {
        "two_participants": rho,
        "split_half": grouped(rho, half),
        # One against the sum of P - 1: the covariance is (P - 1) rho.
        "leave_one_out": rho * np.sqrt((participants - 1) / (1 + (participants - 2) * rho)),
    }[name]
    maps = simulate(np.random.default_rng(participants), [rho] * n, [participants] * n)
    found = measure(maps, ESTIMATORS[name], bootstrap=300, permutations=99)
    expected = expected_spearman(pearson)
    # Five standard errors: of all these draws none fails by chance.
    error = found.values.std() / np.sqrt(n)
    assert abs(found.uncorrected - expected) < 5 * error < 0.03
    assert abs(found.null) < 0.02
    assert found.p == 0.01  # no permutation of 99 comes near
    assert (found.images, found.undefined) == (n, 0)
    assert found.interval[0] < found.value < found.interval[1]


def test_spearman_brown_predicts_the_agreement_of_two_full_groups():
    """Against an independent simulation, and against the formula on Pearson correlations."""
    rho, n, people = 0.3, 400, 4
    rng = np.random.default_rng(0)
    found = measure(simulate(rng, [rho] * n, [people] * n), ESTIMATORS["split_half"])
    groups = [image.reshape(2, people, -1).sum(1) for image in simulate(rng, [rho] * n, [8] * n)]
    independent = np.mean([stats.spearmanr(*two).statistic for two in groups])
    assert found.value == pytest.approx(independent, abs=0.01)
    assert found.value == pytest.approx(expected_spearman(grouped(rho, people)), abs=0.01)
    assert found.value == pytest.approx(2 * found.uncorrected / (1 + found.uncorrected), abs=1e-12)
    assert grouped(rho, 4) == pytest.approx(estimators.spearman_brown(grouped(rho, 2)))  # exact


def test_interval_covers_the_truth_as_often_as_it_says():
    """Images of varied reliability, from a population whose mean is known by quadrature."""
    grid = np.linspace(0.1, 0.9, 2001)
    truth = expected_spearman(grid, 60).mean()
    rng = np.random.default_rng(0)
    hits = []
    for seed in range(200):
        maps = simulate(rng, rng.uniform(0.1, 0.9, 40), [2] * 40, pixels=60)
        estimator = ESTIMATORS["two_participants"]
        found = measure(maps, estimator, seed, bootstrap=200, permutations=0)
        hits.append(found.interval[0] <= truth <= found.interval[1])
        assert np.isnan(found.p)
    # Over 2,000 seeds it was 0.929: percentiles of 40 images are a little narrow. Of 200 seeds the
    # standard error is 0.018.
    assert 0.86 <= np.mean(hits) <= 0.985


def null_ps(estimator, participants, times, num_splits=2):
    """p of images that all share one field: nothing in a map depends on the image."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=60)
    ps = []
    for seed in range(times):
        people = rng.permutation(participants)
        maps = simulate(rng, [0.3] * len(people), people, 60, shared)
        found = measure(maps, estimator, seed, num_splits, bootstrap=1, permutations=49)
        ps.append(found.p)
    return np.array(ps)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_p_is_uniform_where_the_image_plays_no_part(name):
    ps = null_ps(ESTIMATORS[name], [2, 2, 2, 2, 3, 3, 3, 5, 5], 200)
    steps = np.round(ps * 50).astype(int)  # 1 ... 50, equally likely
    assert steps.min() >= 1 and steps.max() <= 50
    five = np.histogram(steps, np.arange(0.5, 51, 10))[0]  # about 40 each
    assert stats.chisquare(five).pvalue > 0.001
    assert (ps <= 0.1).mean() < 0.17


def test_exchanging_maps_of_few_and_of_many_people_would_make_p_too_small():
    wrong = ESTIMATORS["split_half"]._replace(among_equals=False)
    people = [2] * 6 + [12] * 6
    assert (null_ps(wrong, people, 100, num_splits=1) <= 0.1).mean() > 0.4
    assert (null_ps(ESTIMATORS["split_half"], people, 100, num_splits=1) <= 0.1).mean() < 0.2


def test_what_all_images_share_shows_in_the_null_not_in_p():
    rng = np.random.default_rng(1)
    maps = simulate(rng, [0.4] * 200, [2] * 200, shared=rng.normal(size=PIXELS))
    found = measure(maps, ESTIMATORS["two_participants"])
    assert found.null > 0.3
    assert found.value == pytest.approx(found.null, abs=0.02) and found.p > 0.01


def test_pairs():
    rng = np.random.default_rng(0)
    halves, every = estimators.split_halves, ESTIMATORS["leave_one_out"].pairs(3, rng, 1)
    assert every == [((0,), (1, 2)), ((1,), (0, 2)), ((2,), (0, 1))]
    for people, distinct in ((2, 1), (3, 3), (4, 3), (5, 15), (6, 10)):
        found = halves(people, rng, 20)
        as_sets = {frozenset(map(frozenset, pair)) for pair in found}
        assert len(found) == len(as_sets) == distinct
    for people in (2, 5, 6, 9, 30):
        for pair in halves(people, rng, 8):
            used = pair[0] + pair[1]
            assert len(pair[0]) == len(pair[1]) == people // 2
            assert len(set(used)) == len(used) and set(used) <= set(range(people))
    assert len(halves(30, rng, 8)) == 8
    drawn = {estimators.two_participants(3, rng, 1)[0] for _ in range(200)}
    assert drawn == {((i,), (j,)) for i in range(3) for j in range(3) if i != j}


def test_block_correlations_are_spearmans_with_exact_ties():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 4, (3, 3, 30))  # many ties
    pairs = [[((0,), (1, 2)), ((1,), (0,))]] * 3
    matrix = estimators.block_correlations(maps, pairs)
    for i in range(3):
        for j in range(3):
            one = stats.spearmanr(maps[i, 0], maps[j, 1] + maps[j, 2]).statistic
            two = stats.spearmanr(maps[i, 1], maps[j, 0]).statistic
            assert matrix[i, j] == pytest.approx((one + two) / 2, abs=1e-12)


def test_constant_maps_are_left_out_and_counted():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(2, 30)) for _ in range(5)] + [np.ones((2, 30))]
    maps[2][1] = 7
    found = measure(maps, ESTIMATORS["two_participants"])
    assert (found.images, found.undefined) == (4, 2)
    right = [stats.spearmanr(*maps[i]).statistic for i in (0, 1, 3, 4)]
    assert found.value == pytest.approx(np.mean(right), abs=1e-12)
    # Of several pairs those that are defined count: leaving out 0 or 1 leaves the other, varied.
    maps = [rng.normal(size=(3, 30)), rng.normal(size=(3, 30))]
    maps[0][2] = 0
    found = measure(maps, ESTIMATORS["leave_one_out"])
    assert found.images == 2 and found.undefined == 0
    assert found.values[0] == pytest.approx(stats.spearmanr(*maps[0][:2]).statistic, abs=1e-12)


def test_one_image_and_none():
    rng = np.random.default_rng(0)
    one = measure([rng.normal(size=(2, 30))], ESTIMATORS["two_participants"])
    assert np.isfinite(one.value) and one.images == 1
    assert np.isnan([one.null, one.p, *one.interval]).all()
    none = measure([np.ones((2, 30))], ESTIMATORS["split_half"])
    assert DRAW({"one": one, "none": none}).startswith(b"\x89PNG")
    assert np.isnan([none.value, none.null, none.p]).all()
    assert (none.images, none.undefined) == (0, 1)


def test_blocks_cover_all_images_and_mix_equals_only():
    participants = np.random.default_rng(0).integers(2, 6, 333)
    for estimator in (*ESTIMATORS.values(), BETWEEN_DATA_SETS):
        found = estimators.blocks(participants, estimator, 100)
        assert sorted(np.concatenate(found)) == list(range(333))
        assert max(map(len, found)) <= estimators.BLOCK_IMAGES
        if estimator.among_equals:
            assert all(len(set(participants[block])) == 1 for block in found)
    large = estimators.blocks([40] * 60, ESTIMATORS["leave_one_out"], 256**2)
    assert {len(block) for block in large} == {6}
    assert all(len(b) >= 2 for b in estimators.blocks([9] * 60, ESTIMATORS["split_half"], 10**8))


def write(directory, images, shards=2, sizes=(24, 24), blur="box:5", **changes):
    """A data set of {image id: maps}, written record by record; returns its info."""
    directory.mkdir(parents=True, exist_ok=True)
    serialized = []
    for image_id, maps in images.items():
        shape = maps[0].shape if len(maps) else sizes
        example = schema.Example(
            image_id, np.zeros((*shape, 3), np.uint8), 0, tuple(maps), split="test"
        )
        box = clickmaps.extent_box(sum(maps)) or (0, 0, 0, 0) if len(maps) else None
        grid = np.zeros((4, 4), np.uint8) if len(maps) else None
        serialized.append(records.encode_example(example, blurred=grid, box=box))
    written = tuple(
        tfrecord_files.write_shard(
            str(directory / dataset_info.shard_name("test", i, shards)), serialized[i::shards]
        )
        for i in range(shards)
    )
    frames = [np.shape(maps[0]) for maps in images.values() if len(maps)] + [sizes]
    heights, widths = zip(*frames, strict=True)
    split = dataset_info.Split(
        examples=len(images),
        with_clickmap=sum(len(maps) > 0 for maps in images.values()),
        with_participants=sum(len(maps) > 1 for maps in images.values()),
        classes=1,
        shards=written,
    )
    image = dataset_info.ImageGeometry(
        "original", min(heights), max(heights), min(widths), max(widths)
    )
    small_data.describe(directory, {"test": split}, image=image, clickmap_blur=blur, **changes)
    return dataset_info.load_info(str(directory))


def clicked(rng, participants, shape=(24, 24)):
    """Maps of people who like the same spot."""
    spot = rng.uniform(4, np.array(shape) - 4)
    maps = []
    for _ in range(participants):
        counts = np.zeros(shape, np.int64)
        points = np.clip(spot + rng.normal(0, 4, (12, 2)), 0, np.array(shape) - 1).astype(int)
        np.add.at(counts, tuple(points.T), 1)
        maps.append(counts)
    return maps


def run(directory, **options):
    flag_values = flags.FlagValues()
    command.define_flags(ReliabilityOptions, flag_values)
    options = {"data_dir": directory, "bootstrap": 50, "permutations": 19} | options
    flag_values(["x", *(f"--{name}={value}" for name, value in options.items())])
    return report.run(flag_values, "the command")


@pytest.fixture(scope="module")
def pairs_of_people(tmp_path_factory):
    """Two participants everywhere, so that a draw leaves no choice; one without a map."""
    rng = np.random.default_rng(0)
    images = {f"a/{i}.jpg": clicked(rng, 2) for i in range(31)} | {"a/none.jpg": []}
    directory = tmp_path_factory.mktemp("reliability") / "pairs"
    return directory, images, write(directory, images)


@pytest.mark.parametrize("grid", [0, 3, 7])
def test_same_numbers_as_evaluation_for_the_same_settings(pairs_of_people, grid, tmp_path):
    """At 3 cells are 7x7 pixels, at 7 they are 3x3, of a central square of 21 in 24."""
    directory, images, info = pairs_of_people
    blur = clickmaps.parse_blur("box:5")
    options = {"grid": grid} if grid else {}
    found = run(directory, output_dir=tmp_path, estimators="two_participants", **options)
    one = found["estimators"]["two_participants"]
    if grid:
        maps = eval_pipeline.participant_maps(
            str(directory), info, "test", clickmap_size=grid, clickmap_blur=blur
        )
    else:
        maps = [clickmaps.blur_counts(m, blur).reshape(2, -1) for m in images.values() if len(m)]
    ceiling = metrics.human_ceiling(maps, seed=0)
    assert one["value"] == pytest.approx(ceiling["value"], abs=1e-12)
    assert (one["images"], one["undefined"], one["participants"]) == (31, 0, 62)
    frame = f"{grid}x{grid}" if grid else "every pixel"
    assert one["estimator"] == f"{ceiling['estimator']}, {frame}, blur box:5"
    assert one["p"] == 0.05 and one["interval"][0] < one["value"] < one["interval"][1]


@pytest.mark.parametrize("shape", [(24, 24), (26, 33)])
@pytest.mark.parametrize("blur", ["none", "box:5", "disc:5", "gaussian:5,2"])
@pytest.mark.parametrize("fraction", [1.0, 0.6])
def test_a_map_is_cut_as_evaluation_cuts_it(tmp_path, shape, blur, fraction):
    maps = clicked(np.random.default_rng(0), 3, shape)
    info = write(tmp_path, {"x": maps}, shards=1)
    evaluated = eval_pipeline.participant_maps(
        str(tmp_path),
        info,
        "test",
        clickmap_size=7,
        clickmap_blur=clickmaps.parse_blur(blur),
        crop_fraction=fraction,
    )[0]
    view = reliability_maps.View(blur, 7, fraction)
    for counts, expected in zip(maps, evaluated, strict=True):
        stored = reliability_maps.StoredMap(records.encode_counts(counts), *shape)
        np.testing.assert_allclose(
            reliability_maps.look(stored, view, "x"), expected, rtol=2e-7, atol=1e-7
        )
        if blur != "gaussian:5,2":
            np.testing.assert_array_equal(
                stats.rankdata(reliability_maps.look(stored, view, "x")), stats.rankdata(expected)
            )


def test_all_estimators_of_varied_participants(tmp_path, monkeypatch):
    monkeypatch.setattr(reliability_results, "draw", DRAW)
    rng = np.random.default_rng(0)
    images = {f"{i}.png": clicked(rng, 2 + i % 4) for i in range(40)}
    images["alone.png"] = clicked(rng, 1)
    images["empty.png"] = [np.zeros((24, 24), np.int64)] * 2
    write(tmp_path / "data", images)
    found = run(tmp_path / "data")
    for name, one in found["estimators"].items():
        assert (one["images"], one["undefined"], one["p"]) == (40, 1, 0.05)
        assert one["value"] > one["null"] + 0.2
        assert one["participants"] == sum(2 + i % 4 for i in range(40)) + 2
        assert one["estimator"].startswith(ESTIMATORS[name].words)
    assert found["images_with_participants"] == 41
    # More people, more agreement.
    values = [found["estimators"][name]["value"] for name in ESTIMATORS]
    assert values[0] < values[2] < values[1]
    directory = tmp_path / "data" / "reliability"
    assert json.loads((directory / "reliability.json").read_text()) == found
    with Image.open(directory / "reliability.png") as picture:
        assert picture.width > picture.height
    text = reliability_results.format_table(found)
    assert "0.58" in text and all(name in text for name in ESTIMATORS)
    monkeypatch.setattr(reliability_results, "draw", lambda found: b"")
    # Another distribution over shards changes nothing, another seed does.
    write(tmp_path / "again", dict(reversed(images.items())), shards=5)
    assert run(tmp_path / "again")["estimators"] == found["estimators"]
    assert run(tmp_path / "data", seed=1)["estimators"] != found["estimators"]


def test_a_sample_depends_on_seed_and_names_alone(tmp_path):
    rng = np.random.default_rng(0)
    images = {f"{i}.png": clicked(rng, 2) for i in range(30)}
    chosen = {}
    for name, content, shards in (("two", images, 2), ("seven", dict(reversed(images.items())), 7)):
        info = write(tmp_path / name, content, shards=shards)
        for seed in (0, 1):
            tasks = reliability_maps.shard_tasks(
                str(tmp_path / name),
                info,
                ["test"],
                feature=reliability_maps.PARTICIPANTS,
                seed=seed,
                limit=8,
            )
            pickle.dumps(tasks)
            found = reliability_maps.sample(tasks, map)
            chosen[name, seed] = [image.image_id for image in found]
    assert chosen["two", 0] == chosen["seven", 0] != chosen["two", 1] == chosen["seven", 1]
    assert len(set(chosen["two", 0])) == 8
    one = run(tmp_path / "two", max_images=8)["estimators"]["two_participants"]
    assert one["images"] == 8 and one["participants"] == 16


@pytest.mark.slow
def test_numbers_do_not_depend_on_workers(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, {f"{i}.png": clicked(rng, 2 + i % 2) for i in range(80)}, shards=3)
    assert run(tmp_path, num_workers=2)["estimators"] == run(tmp_path)["estimators"]


def test_quickstart_participants(tmp_path):
    """The data set's own documentation: 0.54 over 300 images, null 0.01."""
    made = quickstart.examples(seed=0, train=0, validation=0, test=60)
    images = {example.image_id: example.participant_maps for example in made}
    write(tmp_path, images, sizes=(64, 64), blur="box:13")
    one = run(tmp_path, estimators="two_participants", bootstrap=300)["estimators"]
    one = one["two_participants"]
    assert one["interval"][0] < 0.546 < one["interval"][1]
    assert abs(one["null"]) < 0.1 and one["p"] == 0.05


def test_two_data_sets(tmp_path):
    rng = np.random.default_rng(0)
    here = {f"train/{i}.JPEG": clicked(rng, 3) for i in range(20)}
    there = {f"train/{i}.JPEG": [here[f"train/{i}.JPEG"][0] * 3] for i in range(12)}
    there["train/12.JPEG"] = []  # known there, without a map
    there["train/other.JPEG"] = clicked(rng, 1)
    write(tmp_path / "here", here)
    write(tmp_path / "there", there, shards=3)
    found = run(tmp_path / "here", other=tmp_path / "there", blur="box:7")
    one = found["estimators"]["between_data_sets"]
    blur = clickmaps.parse_blur("box:7")
    expected = [
        stats.spearmanr(
            clickmaps.blur_counts(sum(here[name]), blur).ravel(),
            clickmaps.blur_counts(there[name][0], blur).ravel(),
        ).statistic
        for name in there
        if name in here and there[name]
    ]
    assert one["value"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert one["images"] == 12 and one["p"] == 0.05
    assert (tmp_path / "here" / "reliability" / "comparison.json").exists()
    assert "0.59" in reliability_results.format_table(found)
    back = run(tmp_path / "there", other=tmp_path / "here", blur="box:7")
    assert back["estimators"]["between_data_sets"]["value"] == pytest.approx(one["value"])
    few = run(tmp_path / "here", other=tmp_path / "there", max_images=4)
    assert few["estimators"]["between_data_sets"]["images"] == 4


def test_two_data_sets_by_stem(tmp_path):
    rng = np.random.default_rng(0)
    maps = [clicked(rng, 1) for _ in range(6)]
    write(tmp_path / "here", {f"train/{i}.JPEG": m for i, m in enumerate(maps)})
    there = {f"clicktionary/{i}.png": m for i, m in enumerate(maps)}
    write(tmp_path / "there", there | {"again/3.png": maps[3]})
    with pytest.raises(ValueError, match=r"same id in 'here'.*'there'.*Try --match=stem"):
        run(tmp_path / "here", other=tmp_path / "there")
    found = run(tmp_path / "here", other=tmp_path / "there", match="stem")
    one = found["estimators"]["between_data_sets"]
    assert one["value"] == pytest.approx(1) and one["images"] == 5
    assert found["ambiguous_names"] == 1
    write(tmp_path / "small", {"0.png": clicked(rng, 1, (20, 24))})
    with pytest.raises(ValueError, match="Images differ in size .*small: 20 to 24 high.*--grid"):
        run(tmp_path / "here", other=tmp_path / "small", match="stem")
    found = run(tmp_path / "here", other=tmp_path / "small", match="stem", grid=4)
    one = found["estimators"]["between_data_sets"]
    assert one["images"] == 1 and one["p"] is None and one["interval"] == [None, None]


def test_stored_ceiling_is_what_evaluation_takes(tmp_path, capsys):
    rng = np.random.default_rng(0)
    info = write(tmp_path, {f"{i}.png": clicked(rng, 3) for i in range(12)})
    found = run(tmp_path, store="split_half", grid=3, crop_fraction=1.0)
    one = found["estimators"]["split_half"]
    stored = dataset_info.load_info(str(tmp_path))
    assert dataclasses.replace(stored, human_ceiling=None) == info
    ceiling = stored.human_ceiling
    for key in ("value", "estimator", "interval", "null", "p", "images", "participants"):
        assert ceiling[key] == one[key]
    assert ceiling["source"] == "this data set's participants: the command"
    assert (ceiling["blur"], ceiling["grid"], ceiling["crop_fraction"]) == ("box:5", 3, 1.0)
    # A split without single participants' maps falls back on it; one with them is measured itself.
    bare = dataclasses.replace(stored.splits["test"], with_participants=0)
    bare = dataclasses.replace(stored, splits={"test": bare})
    assert scores.find_ceilings(protocols.Data("", bare, "test", 28), [7, 14]) == {
        7: ceiling,
        14: ceiling,
    }
    run(tmp_path, store="two_participants")
    assert f"replaces the human ceiling {one['value']}: split-half" in capsys.readouterr().out
    again = dataset_info.load_info(str(tmp_path)).human_ceiling
    assert again["grid"] is None and again["estimator"].endswith("every pixel, blur box:5")


def test_an_undefined_ceiling_is_not_stored(tmp_path):
    write(tmp_path, {f"{i}.png": [np.ones((24, 24), np.int64)] * 2 for i in range(3)}, blur="none")
    with pytest.raises(ValueError, match="--store=split_half: its value is undefined"):
        run(tmp_path, store="split_half")
    assert dataset_info.load_info(str(tmp_path)).human_ceiling is None
    text = (tmp_path / "reliability" / "reliability.json").read_text()
    assert json.loads(text)["estimators"]["split_half"]["value"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_dir": ""}, r"python -m data_prep\.reliability DIR"),
        ({"estimators": "pairs"}, "--estimators=pairs: expected some of two_part.*unknown: pairs"),
        ({"estimators": ""}, "none is given"),
        ({"store": "best"}, "--store=best must be one of"),
        ({"store": "split_half", "other": "x"}, "no ceiling of either"),
        ({"store": "split_half", "estimators": "leave_one_out"}, "--store=split_half must be"),
        ({"max_images": 1}, "--max_images must be at least 2, got 1"),
        ({"num_splits": 0}, "--num_splits must be at least 1"),
        ({"bootstrap": 0}, "--bootstrap must be at least 1"),
        ({"permutations": -1}, "--permutations must be at least 0"),
        ({"num_workers": 0}, "--num_workers must be at least 1"),
        ({"grid": -1}, "--grid must be at least 0"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"grid": 1}, "--grid=1 leaves one number"),
        ({"grid": 7, "crop_fraction": 1.5}, r"--crop_fraction must be in \(0, 1\], got 1.5"),
        ({"crop_fraction": 0.5}, "--crop_fraction is read with --grid only"),
        ({"match": "stem"}, "--match is read with --other only"),
        ({"other": "x", "estimators": "split_half"}, "leave --estimators out"),
        ({"blur": "box:4"}, "odd, positive size"),
        ({"splits": "dev"}, r"no split 'dev'; it has \['test'\]"),
    ],
)
def test_flag_errors(pairs_of_people, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(pairs_of_people[0], **{"output_dir": tmp_path, **options})


def test_a_data_set_is_not_compared_with_itself(pairs_of_people, tmp_path):
    (tmp_path / "link").symlink_to(pairs_of_people[0])
    with pytest.raises(ValueError, match="--other=.*link is the data set itself"):
        run(pairs_of_people[0], other=tmp_path / "link", output_dir=tmp_path / "out")


def test_material_errors(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="No data set at"):
        run(tmp_path)
    write(tmp_path / "alone", {"x.png": clicked(rng, 1)})
    with pytest.raises(ValueError, match="'alone', test: no image has single maps.*0.58"):
        run(tmp_path / "alone")
    write(tmp_path / "sizes", {"x": clicked(rng, 2), "y": clicked(rng, 2, (20, 30))})
    with pytest.raises(ValueError, match=r"20 to 24 high, 24 to 30 wide.*--grid=56"):
        run(tmp_path / "sizes")
    assert run(tmp_path / "sizes", grid=4)["estimators"]["split_half"]["images"] == 2


def damaged(directory, content):
    """A data set whose first shard holds other bytes, of the size that its description says."""
    info = write(directory, {f"{i}.png": clicked(np.random.default_rng(i), 2) for i in range(4)})
    shard = info.splits["test"].shards[0]
    path = directory / shard.file
    content(path)
    shards = (
        dataclasses.replace(shard, bytes=path.stat().st_size),
        *info.splits["test"].shards[1:],
    )
    split = dataclasses.replace(info.splits["test"], shards=shards)
    dataset_info.save_info(str(directory), dataclasses.replace(info, splits={"test": split}))


def rewrite(path, change):
    """Every record of a shard, changed as a message; None leaves it out."""
    messages = [m.numpy() for m in tf.data.TFRecordDataset(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in messages:
            example = change(tf.train.Example.FromString(message))
            if example is not None:
                writer.write(example.SerializeToString())


def no_png(example):
    example.features.feature["clickmap/by_participant"].bytes_list.value[0] = b"no png"
    return example


def no_id(example):
    del example.features.feature["image/id"]
    return example


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (flip, r"Record 0 of shard .*test-00000-of-00002.* cannot be read"),
        (lambda path: rewrite(path, no_id), r"Record 0 of shard .*test-00000.*image/id"),
        (lambda path: rewrite(path, no_png), r"A map of image '\d.png' \(6 bytes\) is no PNG"),
        (lambda path: rewrite(path, lambda _: None), "holds 0 records, expected 2"),
    ],
)
def test_damaged_records_are_named(tmp_path, content, message):
    damaged(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        run(tmp_path)


@pytest.mark.slow
def test_a_worker_that_dies_is_an_error_not_a_wait():
    with pytest.raises(ValueError, match="worker process died.*--num_workers than 2"):
        with report.workers_of(2) as run_all:
            list(run_all(os._exit, [1, 1]))
