"""Made-up run directories, in the true formats, without training anything.

Every file is written by the code that writes it in a real run; only predictions are drawn from a
random generator. Skill in classes and in maps is chosen by the test.
"""

import json

import numpy as np

from gala_tf import config
from gala_tf.data import dataset_info
from gala_tf.evaluation import evaluator, naming, per_image, scores
from gala_tf.paper import published
from gala_tf.runs import directory as run_directory

IMAGES, CLASSES, SIDE = 60, ("ant", "bee", "cat", "dog"), 4
LAYERS = ("stage3_block1", "stage3_block2")


def data_set(name="fake", seed=0, images=IMAGES, command="by hand"):
    """A `dataset_info.DatasetInfo` whose shards' hashes differ with `seed`."""
    splits = {
        split: dataset_info.Split(
            count,
            count,
            count,
            len(CLASSES),
            (dataset_info.Shard(f"{split}.tfrecord", count, 9, f"{seed}-{split}"),),
        )
        for split, count in (("train", 200), ("validation", 40), ("test", images))
    }
    return dataset_info.DatasetInfo(
        name=name,
        class_names=CLASSES,
        splits=splits,
        image=dataset_info.ImageGeometry("square", 32, 32, 32, 32),
        clickmap_blur="box:5",
        clickmap_grid=16,
        human_ceiling=None,
        split_rule="by hand",
        seed=seed,
        command=command,
        tool_version="test",
    )


def run_config(row="gala_clickmaps", map_loss_weight=1.0, seed=0, **changes):
    """The Config of one row of the paper's tables."""
    flags = {
        "epochs": 10.0,
        "warmup_epochs": 1.0,
        "stage_blocks": (1, 1, 2, 1),
        "global_batch_size": 20,
        "seed": seed,
        **published.ROWS[row].overrides(map_loss_weight),
        **changes,
    }
    return config.Config(**flags)


def predictions(seed, accuracy, map_skill, images=IMAGES, with_maps=True):
    """An `evaluator.Predictions`: some images are hard, for every seed; so are their maps."""
    fixed = np.random.default_rng(99)
    human = fixed.random((images, SIDE, SIDE)).astype(np.float32)
    hardness, label = fixed.random(images), fixed.integers(0, len(CLASSES), images)
    rng = np.random.default_rng(seed)
    hit = rng.random(images) < np.clip(accuracy + 0.5 - hardness, 0, 1)
    wrong = (label + rng.integers(1, len(CLASSES), images)) % len(CLASSES)
    noise = rng.random((len(LAYERS), images, SIDE, SIDE))
    skill = np.clip(map_skill - 0.3 * (hardness - 0.5), 0, 1)[:, None, None]
    return evaluator.Predictions(
        label=label.astype(np.int32),
        prediction=np.where(hit, label, wrong).astype(np.int32),
        rank=np.where(hit, 0, rng.integers(1, len(CLASSES), images)).astype(np.int32),
        cross_entropy=np.where(hit, 0.3, 1.9).astype(np.float32),
        confidence=rng.uniform(0.3, 1.0, images).astype(np.float32),
        clickmap=human,
        has_clickmap=np.full(images, with_maps),
        maps={
            name: (share * skill * human + (1 - share * skill) * noise[i]).astype(np.float32)
            for i, (name, share) in enumerate(zip(LAYERS, (0.6, 1.0), strict=True))
        },
    )


def write_run(
    directory,
    row="gala_clickmaps",
    map_loss_weight=1.0,
    seed=0,
    accuracy=0.6,
    map_skill=0.5,
    info=None,
    finished=True,
    images_file=True,
    ceiling=0.8,
    validation_top1=None,
    changes=(),
):
    """Writes a run directory; returns the numbers in its `results-test.json` (None: unfinished)."""
    info = info or data_set()
    directory.mkdir(parents=True)
    made = run_config(row, map_loss_weight, seed, model_dir=str(directory), **dict(changes))
    dataset_info.save_info(str(directory), info, run_directory.DATASET_FILE)
    (directory / run_directory.FLAGS_FILE).write_text(config.to_flagfile(made))
    versions = {"gala_tf": "0.0", "tensorflow": "2.0", "keras": "3.0"}
    session = {"started": "2000-01-01", "git_commit": "abc", "versions": versions}
    (directory / run_directory.ENVIRONMENT_FILE).write_text(json.dumps([session]))
    top1 = accuracy if validation_top1 is None else validation_top1
    log = [
        {"step": 10, "kind": "train", "images_per_second": 50.0},
        {"step": 10, "kind": "validation", "top1": top1 - 0.1},
        {"step": 30, "kind": "train", "images_per_second": 100.0},
        {"step": 30, "kind": "validation", "top1": top1},
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    if not finished:
        return None
    found = predictions(seed, accuracy, map_skill, info.splits["test"].examples)
    people = {"value": ceiling, "null": 0.1, "estimator": "two made-up people"}
    numbers = {
        "network": naming.network_name(made),
        "data_set": info.name,
        "split": "test",
        "weights": "best",
        "step": 30,
        "changed_flags": {},
        **scores.results(found, {SIDE: people}),
    }
    scores.write_results(str(directory), "test", numbers)
    if images_file:
        ids = [f"test/{i}" for i in range(len(found.label))]
        columns = per_image.columns_of(found, ids, info.class_names)
        per_image.write(per_image.path_of(str(directory), "test", numbers), columns)
    return numbers


# (accuracy, map skill) of each row: made up, in the paper's order of map scores.
SKILLS = {
    "resnet": (0.45, 0.1),
    "se": (0.5, 0.2),
    "gala": (0.55, 0.2),
    "gala_clickmaps": (0.75, 0.6),
    "resnet_clickmaps": (0.5, 0.1),
    "gala_boxes": (0.6, 0.4),
}


def write_campaign(root, seeds=3, info=None, weights=(0.3, 3.0)):
    """Every row at lambda 1, and GALA w/ ClickMe at other lambdas, as `sweep` lays them out."""
    for row, (accuracy, map_skill) in SKILLS.items():
        for seed in range(seeds):
            place = root / row / f"seed-{seed}"
            write_run(place, row, 1.0, seed, accuracy + 0.02 * seed, map_skill, info)
    for number, weight in enumerate(weights):
        for seed in range(seeds):
            place = root / f"lambda-{weight:g}" / f"seed-{seed}"
            skill = 0.6 + 0.05 * number
            write_run(place, "gala_clickmaps", weight, seed, skill, skill, info)
