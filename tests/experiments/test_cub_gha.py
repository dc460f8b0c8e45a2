"""The comparison on human gaze: what is run in which order, what is compared, what is shown."""

import csv
import json
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gala_tf.data import clickmaps, dataset_info, eval_pipeline

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "cub_gha"
sys.path.insert(0, str(FOLDER))

import comparisons  # noqa: E402
import datasets  # noqa: E402
import harder  # noqa: E402
import runs  # noqa: E402
import tables  # noqa: E402

IMAGES = {split: [100 * split + n for n in range(40)] for split in range(datasets.SPLITS)}
CONDITIONS = [name for name in tables.CONDITIONS if name]


def row_of(run, hits, top1=0.5):
    """A made-up row: of 40 test images it gets the first `hits` right."""
    bits = np.packbits(np.arange(40) < hits).tobytes().hex()
    return {
        "name": run.name, "row": run.row, "map_loss_weight": run.map_loss_weight,
        "split": run.split, "seed": run.seed, "validation": {"top1": top1, "cross_entropy": 1.0},
        "train": {"top1": 0.9, "cross_entropy": 0.3, "map_loss": 1.0}, "correct": bits,
        **{f"correct_{name}": bits for name in CONDITIONS},
        "map_score": 0.5, "map_score_aligned": 0.6, "map_score_shuffled": 0.3,
        "human_ceiling": 0.67, "human_null": 0.2, "center_prior": 0.3, "attention_size": [0.5] * 6,
        "cpu_seconds": 360,
    }  # fmt: skip


def lambdas_known(best):
    """Rows of the runs that choose lambda, `best` being best by validation."""
    found = {}
    for run in runs.plan({}):
        top1 = 0.8 if run.map_loss_weight == best[run.row] else 0.7
        found[run.name] = row_of(run, 20, top1)
    return found


BEST = {"gala_attention": 0.3, "gala_activity": 1.0, "resnet_activity": 3.0}


# --------------------------------------------------------------------------- the plan


def test_lambda_comes_first_and_nothing_that_needs_it_before():
    first = runs.plan({})
    assert len(first) == len(set(first)) == 18
    assert {run.row for run in first[:12]} == {"gala_attention", "gala_activity"}
    assert {run.split for run in first} == {0} and {run.seed for run in first} == {0, 1}


def test_lambda_is_chosen_by_validation_alone():
    rows = lambdas_known(BEST)
    assert {row: runs.chosen_lambda(row, rows) for row in runs.CHOOSE} == BEST
    tied = {name: {**row, "validation": {"top1": 0.7, "cross_entropy": 1.0}}
            for name, row in rows.items()}  # fmt: skip
    for seed in (0, 1):
        name = runs.Run("gala_activity", "gaze", 3.0, 0, seed).name
        tied[name] = {**tied[name], "validation": {"top1": 0.7, "cross_entropy": 0.9}}
    assert runs.chosen_lambda("gala_activity", tied) == 3.0


def test_the_plan_has_ten_seeds_over_five_splits_of_six_networks_first():
    plan = runs.plan(lambdas_known(BEST))[18:]
    assert len({run.name for run in plan}) == len(plan)
    six = plan[: 6 * 10 - 3]  # three are of lambda's
    assert {run.row for run in six} == set(tables.MAIN)
    first, then = six[: 3 * 10 - 2], six[3 * 10 - 2 :]  # what the criterion compares, and the rest
    assert {run.row for run in first} == {"gala", "gala_attention", "gala_activity"}
    for part in (first, then):
        assert [run.seed for run in part] == sorted(run.seed for run in part)
    for row in tables.MAIN:
        mine = [r for r in six if r.row == row] + [
            r for r in runs.plan({}) if r.row == row and r.seed == 0
            and r.map_loss_weight == BEST[row]
        ]  # fmt: skip
        assert sorted((r.split, r.seed) for r in mine) == sorted((s % 5, s) for s in range(10))
    assert {run.map_loss_weight for run in plan if run.row == "gala_shuffled"} == {1.0}
    assert {run.maps for run in plan if run.row == "gala_shuffled"} == {"shuffled"}


def test_three_networks_get_five_seeds_more_at_the_end():
    last = runs.plan(lambdas_known(BEST))[-15:]
    assert {run.row for run in last} == {"gala_activity", "resnet_activity", "resnet"}
    assert {(run.split, run.seed) for run in last} == {(s - 10, s) for s in range(10, 15)}
    whole = results()
    assert len(whole.of("gala_activity")) == len(whole.of("resnet")) == 15
    assert {
        len(errors) for _, errors in tables.curves.curve(whole, "gala", "gala_images", [10])
    } == {5}


def test_fewer_images_are_trained_for_as_many_steps():
    for run in runs.plan(lambdas_known(BEST)):
        if "_images-" in run.row:
            values = dict(
                flag.removeprefix("--").split("=") for flag in run.more if "epochs" in flag
            )
            percent = float(run.maps.rpartition("-")[2])
            assert float(values["epochs"]) * percent == 30 * 100
            assert float(values["epochs"]) / float(values["eval_every_epochs"]) == 30


def test_two_processes_share_what_is_left(tmp_path):
    options = types.SimpleNamespace(runs=str(tmp_path), results=str(tmp_path / "results.jsonl"))
    first, second = runs.plan({})[:2]
    run, lock = runs.free([first, second], options)
    assert run == first and not (tmp_path / run.name).exists()  # training wants it empty
    other, others_lock = runs.free([first, second], options)  # another open file: another owner
    assert other == second and runs.free([first, second], options) is None
    (tmp_path / "results.jsonl").write_text(json.dumps({"name": first.name}) + "\n")
    lock.close()  # it ended, with a row: it is not run again by whoever planned it before
    assert runs.free([first, second], options) is None
    others_lock.close()  # it was killed
    assert runs.free([first, second], options)[0] == second


# --------------------------------------------------------------------------- comparisons


def results(extra=()):
    rows = lambdas_known(BEST)
    plan = runs.plan(rows)
    hits = {"gala": 20, "gala_attention": 18, "gala_activity": 24, **dict(extra)}
    for run in plan:
        rows.setdefault(run.name, row_of(run, hits.get(run.row, 20) + run.seed % 2))
    for run in plan:  # of the runs that chose lambda
        if run.row in hits and run.seed < 1:
            rows[run.name] = row_of(run, hits[run.row], rows[run.name]["validation"]["top1"])
    return comparisons.Results(rows, IMAGES)


def test_a_comparison_by_hand():
    """Errors 60, 50 % against 50, 45 % of 40 images: 10 and 5 points, t = 3 with 1 degree."""
    one = {(0, 0): row_of(runs.Run("a", "gaze", 0, 0, 0), 16),
           (1, 1): row_of(runs.Run("a", "gaze", 0, 1, 1), 20)}  # fmt: skip
    other = {(0, 0): row_of(runs.Run("b", "gaze", 0, 0, 0), 20),
             (1, 1): row_of(runs.Run("b", "gaze", 0, 1, 1), 22),
             (2, 2): row_of(runs.Run("b", "gaze", 0, 2, 2), 40)}  # fmt: skip
    one[0, 0]["map_score"], one[1, 1]["map_score_aligned"] = 0.6, 0.8
    pair = comparisons.compare(one, other, IMAGES)
    assert pair.map_score.mean == pytest.approx(0.05)
    assert pair.map_score_aligned.mean == pytest.approx(0.1)
    assert pair.runs == 2 and pair.difference.mean == pytest.approx(7.5)
    assert pair.p_runs == pytest.approx(2 * np.arctan(1 / 3) / np.pi)  # Cauchy's
    assert pair.p_images == pytest.approx(2 / 2**6, abs=0.01)  # six images, all one way
    assert comparisons.compare(one, {}, IMAGES) is None


def test_an_image_of_two_splits_counts_once():
    same = {0: IMAGES[0], 1: IMAGES[0]}
    one = {key: row_of(runs.Run("a", "gaze", 0, *key), 16) for key in ((0, 0), (1, 1))}
    other = {key: row_of(runs.Run("b", "gaze", 0, *key), 20) for key in ((0, 0), (1, 1))}
    assert comparisons.compare(one, other, same).p_images == pytest.approx(2 / 2**4, abs=0.01)


def test_holm_by_hand():
    np.testing.assert_allclose(
        comparisons.holm([0.01, 0.04, float("nan"), 0.03]), [0.03, 0.06, np.nan, 0.06]
    )


def test_the_criterion_says_what_holds():
    text = "\n".join(tables.criterion(results()))
    assert "A minus U', above 0: +15.0" in text and text.count(": holds.") == 2
    text = "\n".join(tables.criterion(results({"gala_activity": 17})))
    assert text.count("does not hold") == 2


def test_gains_are_of_as_many_images_and_of_five_seeds():
    """24 hits of 40 against 20: 10 points fewer errors; 18 of a tenth of the images: 5 more."""
    rows = {"gala_activity_images-10": 18, "gala_activity_maps-16": 22}
    found = tables.curves.gains(results(rows))
    of_images, of_maps = ({s: pair for s, pair in pairs} for pairs in found.values())
    assert {s: pair.difference.mean for s, pair in of_images.items()} == pytest.approx(
        {10: 5, 25: 0, 50: 0, 100: -10}
    )
    assert {s: pair.difference.mean for s, pair in of_maps.items()} == pytest.approx(
        {16: -5, 50: 0, 100: -10}
    )
    assert {pair.runs for _, pair in found["training images used, %"]} == {5}


def test_tables_of_nothing_of_a_part_and_of_all(tmp_path):
    whole = results()
    text = tables.document(whole)
    assert "Missing" not in text and "nan" not in text
    assert "| GALA no maps | 10 | 0 | 48.8 [47.8, 49.7] |" in text
    assert "| GALA w/ gaze on its output U' | GALA w/ gaze on its attention A | 10 | -15.0 " in text
    mean = next(line for line in text.splitlines() if line.startswith("| on U', lambda 1/6"))
    assert "| GALA w/ gaze on its output U' | 5 | +" in mean and "fewer than 2" not in text
    assert tables.document(comparisons.Results({}, IMAGES)).count("no two runs of both yet") == 2
    part = comparisons.Results(lambdas_known(BEST), IMAGES)
    assert "- gala, lambda 0: split/seed 0/0, 1/1" in tables.document(part)
    for number, some in enumerate((whole, part, comparisons.Results({}, IMAGES))):
        path = tmp_path / f"{number}.png"
        tables.curves.draw(some, {"gala": "GALA"}, path)
        assert Image.open(path).size[0] > 1000


def test_committed_rows_are_of_the_plan_and_of_the_listed_images():
    rows = runs.load(str(FOLDER / "results.jsonl"))
    images = json.loads((FOLDER / "test_images.json").read_text())
    assert [len(set(numbers)) for numbers in images.values()] == [608] * datasets.SPLITS
    planned = {run.name for run in runs.plan(rows)}
    for row in rows.values():
        assert row["name"] in planned
        found = comparisons.hits(row, "", 608).mean()
        assert found == pytest.approx(row["top1"], abs=1e-6)


# --------------------------------------------------------------------------- pictures and maps


def test_spoilt_pictures_are_spoilt_where_they_should_be():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 56, 56, 3)).astype(np.uint8)
    gaze = np.zeros((2, 56, 56))
    gaze[:, :28, :28] = 1 + rng.random((2, 28, 28))
    found = harder.spoil(images, gaze)
    far, near = (slice(None), slice(40, None), slice(40, None)), (slice(None), slice(16), slice(16))
    np.testing.assert_array_equal(found["gazed_blurred"][far], images[far])
    np.testing.assert_array_equal(found["rest_blurred"][near], images[near])
    assert found["gazed_blurred"][near].std() < images[near].std() / 3
    assert found["rest_blurred"][far].std() < images[far].std() / 3
    assert found["contrast"].std() == pytest.approx(images.std() / 2, rel=0.01)
    np.testing.assert_array_equal(found["noise"], harder.spoil(images, gaze)["noise"])


def raw_folder(path):
    """Three classes of twelve noisy images, with two participants' clicks and parts."""
    rng = np.random.default_rng(0)
    clicks, parts = [], []
    for number in range(36):
        name = f"class{number % 3}/bird_{number:04d}_{number + 1000}.jpg"
        file = path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)).save(file)
        for user in ("run1", "run2"):
            clicks.append((name, str(rng.integers(9, 90, (40, 2)).tolist()), user))
        parts.append((name, str(rng.integers(9, 90, (5, 2)).tolist()), "parts"))
    for table, rows in (("clicks", clicks), ("clicks_parts", parts)):
        with open(path / f"{table}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("image_path", "clicks", "user_id"), *rows])
    return str(path)


def test_training_clicks_of_each_kind(tmp_path):
    folder = raw_folder(tmp_path)
    rows = datasets._rows(f"{folder}/clicks.csv")
    train = sorted(rows)[:25]
    made = {kind: datasets._training_clicks(kind, train, rows, folder, 0)
            for kind in datasets.KINDS if kind != "gaze"}  # fmt: skip
    shuffled = made["shuffled"]
    assert all(shuffled[name] != rows[name] for name in train)
    assert sorted(map(str, shuffled.values())) == sorted(str(rows[name]) for name in train)
    assert len({str(clicks) for clicks in made["center"].values()}) == 1
    assert set(made["images-10"]) < set(made["images-25"]) < set(made["images-50"]) < set(train)
    assert set(made["maps-16"]) < set(made["images-25"]) and len(made["maps-50"]) == 12


def test_two_processes_build_a_data_set_once(tmp_path, monkeypatch):
    built = []

    def build(directory, *_):
        built.append(directory)
        time.sleep(0.3)  # the other process looks meanwhile
        Path(directory).mkdir(parents=True)
        Path(directory, "dataset_info.json").write_text("{}")

    monkeypatch.setattr(datasets, "_build", build)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: datasets.ensure("raw", str(tmp_path), 3, "gaze"), range(2)))
    assert found == [built[0]] * 2 and len(built) == 1


@pytest.mark.slow
def test_data_sets_differ_in_training_alone(tmp_path):
    folder, data = raw_folder(tmp_path / "raw"), str(tmp_path / "data")
    geometry = dict(image_size=56, clickmap_size=7, clickmap_blur=clickmaps.parse_blur("box:23"))

    def read(kind):
        directory = datasets.ensure(folder, data, 1, kind)
        info = dataset_info.load_info(directory)
        found = {}
        for split in ("validation", "test"):
            ids = eval_pipeline.image_ids(directory, info, split)
            examples = eval_pipeline.read_examples(
                directory, info, split, range(len(ids)), geometry
            )
            names = [Path(name).name for name in ids]
            found[split] = dict(zip(names, examples["clickmap"].tolist(), strict=True))
        return found, info.splits["train"]

    gaze, train = read("gaze")
    assert sum(map(len, gaze.values())) + train.examples == 36
    for kind, images, maps in (("shuffled", 1, 1), ("images-50", 0.5, 0.5), ("maps-50", 1, 0.5)):
        found, changed = read(kind)
        assert found == gaze
        assert abs(changed.examples - images * train.examples) <= 1
        assert abs(changed.with_clickmap - maps * train.examples) <= 1
