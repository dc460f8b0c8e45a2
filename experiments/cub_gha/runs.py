"""Trains the runs of the comparison on human gaze, in the order of their importance.

    python experiments/cub_gha/runs.py --input_dir=cub_gha_families

What has a row in --results is done, on whatever machine; what has begun in --runs resumes; the rest
begins. One run at a time, on one core; started once for each core, the processes share what is
left. A run that ends gives a row of results, all that the tables need, and keeps its best weights,
for pictures and for other tests. --list says what is done and what is not.
"""

import dataclasses
import datetime
import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
import time

import datasets
import numpy as np
from absl import app, flags

LAMBDAS = (0.3, 1.0, 3.0)
LAMBDA_SEEDS = (0, 1)  # on split 0
FIFTEEN, TEN, FIVE, THREE = range(15), range(10), range(5), range(3)
MEAN_OVER_LAYERS = round(1 / 6, 4)  # the mean over six layers with lambda 1 is the sum with this
POLL = 30.0  # seconds until a process looks again whether something is left for it


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run; its name says all that tells it from the others."""

    row: str
    maps: str  # a kind of data set
    map_loss_weight: float
    split: int
    seed: int
    more: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.row}/lambda-{self.map_loss_weight:g}/split-{self.split}-seed-{self.seed}"


# What a row changes of cub_gha.flags, beside lambda and maps; and whose lambda it takes.
ROWS = {
    "resnet": ("--attention=none",),
    "gala": (),
    "gala_attention": ("--map_target=attention",),
    "gala_activity": ("--map_target=activity",),
    "resnet_activity": ("--attention=none", "--map_target=activity"),
    "se": ("--attention=se",),
    "gala_residual": ("--attention=gala_residual", "--map_target=attention"),
}
ATTENTION, ACTIVITY = "gala_attention", "gala_activity"
CHOOSE = (ATTENTION, ACTIVITY, "resnet_activity")


def chosen_lambda(row: str, results: dict) -> float | None:
    """The lambda of a row by validation alone, None while runs are missing.

    The highest top-1 of best weights, mean over the runs of `CHOOSE`; ties by cross-entropy.
    """
    scores = {}
    for value in LAMBDAS:
        names = [Run(row, "gaze", value, 0, seed).name for seed in LAMBDA_SEEDS]
        if not all(name in results for name in names):
            return None
        best = [results[name]["validation"] for name in names]
        top1, entropy = (np.mean([b[k] for b in best]) for k in ("top1", "cross_entropy"))
        scores[value] = (round(float(top1), 6), -float(entropy))
    return max(scores, key=scores.get)


def plan(results: dict) -> list[Run]:
    """All runs, the most important first, as far as the lambdas are known."""
    found = [
        Run(row, "gaze", value, 0, seed, ROWS[row])
        for rows in ((ATTENTION, ACTIVITY), ("resnet_activity",))
        for seed in LAMBDA_SEEDS
        for row in rows
        for value in LAMBDAS
    ]
    chosen = {row: chosen_lambda(row, results) for row in CHOOSE}
    if None not in chosen.values():
        parts = (six_networks, image_counts, shares_of_maps, controls, one_change, training)
        for part in (*parts, more_seeds):
            found += part(chosen)
    return list(dict.fromkeys(found))


def of_seed(row, seed, like=None, maps="gaze", value=0.0, more=()):
    """A run of a seed, on its split; `like` is the row whose flags it takes, by default `row`."""
    return Run(row, maps, value, seed % datasets.SPLITS, seed, (*ROWS[like or row], *more))


def six_networks(chosen):
    """Tables 1 and 3, ten seeds: what the criterion compares first; then the others.

    Interleaved by seed, so that any end leaves a table.
    """
    for seed in TEN:
        yield of_seed(ACTIVITY, seed, value=chosen[ACTIVITY])
        yield of_seed("gala", seed)
        yield of_seed(ATTENTION, seed, value=chosen[ATTENTION])
    for seed in TEN:
        yield of_seed("resnet_activity", seed, value=chosen["resnet_activity"])
        yield of_seed("resnet", seed)
        yield of_seed("gala_shuffled", seed, ACTIVITY, "shuffled", chosen[ACTIVITY])


def image_counts(chosen):
    """The curve over the images to train on; as many steps and validations as with all."""
    for seed in FIVE:
        for percent in (10, 25, 50):
            times = 100 / percent
            more = (
                f"--epochs={30 * times:g}",
                f"--warmup_epochs={2 * times:g}",
                f"--eval_every_epochs={times:g}",
            )
            kind = f"images-{percent}"
            yield of_seed(f"{ACTIVITY}_{kind}", seed, ACTIVITY, kind, chosen[ACTIVITY], more)
            yield of_seed(f"gala_{kind}", seed, "gala", kind, 0.0, more)


def shares_of_maps(chosen):
    """The curve over the share of images with maps, as in Table 4; 0 and 100 % are in the table."""
    for seed in FIVE:
        for percent in (16, 50):
            kind = f"maps-{percent}"
            yield of_seed(f"{ACTIVITY}_{kind}", seed, ACTIVITY, kind, chosen[ACTIVITY])


def controls(chosen):
    """SE, other maps than gaze, and other weights of the map loss."""
    for seed in FIVE:
        yield of_seed("se", seed)
        yield of_seed("gala_parts", seed, ACTIVITY, "parts", chosen[ACTIVITY])
        yield of_seed("gala_center", seed, ACTIVITY, "center", chosen[ACTIVITY])
        yield of_seed(ACTIVITY, seed, value=MEAN_OVER_LAYERS)


def one_change(chosen):
    """Maps where the layer looks, maps on later layers alone, and the residual gate."""
    aligned, late, last = (
        ("--map_alignment=receptive_field",),
        ("--map_units=stage3_block4,stage3_block5,stage3_block6",),
        ("--map_units=stage3_block6",),
    )
    for seed in FIVE:
        yield of_seed(f"{ACTIVITY}_aligned", seed, ACTIVITY, value=chosen[ACTIVITY], more=aligned)
        yield of_seed(f"{ACTIVITY}_late", seed, ACTIVITY, value=chosen[ACTIVITY], more=late)
        yield of_seed("gala_residual", seed)
        yield of_seed("gala_residual_gaze", seed, "gala_residual", value=chosen[ATTENTION])
    for seed in THREE:
        yield of_seed(f"{ACTIVITY}_last", seed, ACTIVITY, value=chosen[ACTIVITY], more=last)
        yield of_seed(f"{ATTENTION}_late", seed, ATTENTION, value=chosen[ATTENTION], more=late)


def training(chosen):
    """Twice the epochs, another lambda, both at once; and the paper's lambda."""
    twice = ("--epochs=60",)
    other = 0.3 if chosen[ATTENTION] == 1.0 else 1.0
    for seed in THREE:
        yield of_seed("gala_long", seed, "gala", more=twice)
        for row in (ACTIVITY, ATTENTION):
            yield of_seed(f"{row}_long", seed, row, value=chosen[row], more=twice)
        yield of_seed(ATTENTION, seed, value=other)
        yield of_seed(f"{ATTENTION}_long", seed, ATTENTION, value=other, more=twice)
        yield of_seed(ACTIVITY, seed, value=6.0)


def more_seeds(chosen):
    """Five seeds more where two differences of interest were within two standard errors.

    Gaze on U' against the ResNet's activity, and that against none: decided once, after eight or
    nine runs of ten, for all three rows alike.
    """
    for seed in FIFTEEN[len(TEN) :]:
        yield of_seed(ACTIVITY, seed, value=chosen[ACTIVITY])
        yield of_seed("resnet_activity", seed, value=chosen["resnet_activity"])
        yield of_seed("resnet", seed)


# --------------------------------------------------------------------------- one run


def train(run: Run, options) -> dict:
    """Trains a run to its end, or resumes it; returns its row. RuntimeError: it failed."""
    data = datasets.ensure(options.input_dir, options.data, run.split, run.maps)
    model_dir = os.path.join(options.runs, run.name)
    os.makedirs(model_dir, exist_ok=True)
    pinned = (*(("taskset", "-c", str(options.core)) if options.core >= 0 else ()), sys.executable)
    commands = [
        [
            *pinned, "-m", "gala_tf.train", "--flagfile=experiments/cub_gha.flags",
            f"--data_dir={data}", f"--model_dir={model_dir}", f"--seed={run.seed}",
            f"--map_loss_weight={run.map_loss_weight:g}", *run.more,
        ],
        [*pinned, "experiments/cub_gha/harder.py", f"--model_dir={model_dir}"],
    ]  # fmt: skip
    settings = {
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "1",  # the same kernels in both commands, on any processor
    }
    before, start = _cpu(), time.monotonic()
    for command in commands:
        with open(os.path.join(model_dir, "train.log"), "ab") as log:
            status = subprocess.run(
                command, stdout=log, stderr=log, env={**os.environ, **settings}, check=False
            ).returncode
        if status:
            raise RuntimeError(f"{run.name}: exit status {status}; see {model_dir}/train.log")
    spent = {"cpu_seconds": _cpu() - before, "wall_seconds": time.monotonic() - start}
    return row_of(run, model_dir, {name: round(value) for name, value in spent.items()})


def _cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row_of(run: Run, model_dir: str, spent: dict) -> dict:
    """What a finished run found, as compact as JSON allows.

    `correct` are bits, 1 for a hit, of the test images sorted by name, as hexadecimal digits.
    """
    from gala_tf.evaluation import per_image

    with open(os.path.join(model_dir, "results-test.json"), encoding="utf-8") as file:
        test = json.load(file)
    with open(os.path.join(model_dir, "harder-test.json"), encoding="utf-8") as file:
        harder = json.load(file)
    with open(os.path.join(model_dir, "metrics.jsonl"), encoding="utf-8") as file:
        log = [json.loads(line) for line in file]
    with open(os.path.join(model_dir, "environment.json"), encoding="utf-8") as file:
        commit = json.load(file)[-1].get("git_commit") or ""
    best = next(r for r in log if r["kind"] == "validation" and r["step"] == test["step"])
    last = [line for line in log if line["kind"] == "train"][-1]
    images = per_image.load(os.path.join(model_dir, "per_image-test.csv"))
    order = np.argsort([os.path.basename(name) for name in images["image_id"]])
    hits = (images["rank"] == 0)[order]
    final = test["maps"][test["final_layer"]]
    return {
        "name": run.name,
        "row": run.row,
        "maps": run.maps,
        "map_loss_weight": run.map_loss_weight,
        "split": run.split,
        "seed": run.seed,
        "flags": list(run.more),
        "best_step": test["step"],
        "validation": {k: round(best[k], 5) for k in ("top1", "cross_entropy")},
        "train": {k: round(last[k], 4) for k in ("top1", "cross_entropy", "map_loss")},
        "top1": round(test["top1"], 6),
        "cross_entropy": round(test["cross_entropy"], 5),
        "calibration_error": round(test["expected_calibration_error"], 5),
        "map_score": harder["map_scores"]["grid"],
        "map_score_aligned": harder["map_scores"]["receptive_field"],
        "map_score_shuffled": round(final["shuffled"], 5),
        "map_scores": [round(layer["spearman"], 4) for layer in test["maps"].values()],
        "center_prior": round(final["center_prior"], 5),
        "human_ceiling": round(test["human_ceiling"]["value"], 5),
        "human_null": round(test["human_ceiling"]["null"], 5),
        "attention_size": harder["attention_size"],
        "correct": np.packbits(hits).tobytes().hex(),
        **{f"correct_{name}": bits for name, bits in harder["correct"].items()},
        "commit": commit[:10],
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        **spent,
    }


# --------------------------------------------------------------------------- all runs


def load(path: str) -> dict[str, dict]:
    """{name of a run: its row} of a file of results; {} where there is none."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {row["name"]: row for row in rows}


def tidy(run: Run, options) -> None:
    """Removes what only resuming needs of a finished run; its best weights stay."""
    shutil.rmtree(os.path.join(options.runs, run.name, "checkpoints"), ignore_errors=True)


def free(runs: list[Run], options):
    """The first run that no other process is at, and its open, locked file; None if all are taken.

    The lock ends with the process, however that ends.
    """
    for run in runs:
        path = os.path.join(options.runs, f"{run.name}.lock")  # a run begins in an empty folder
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock = open(path, "ab")  # noqa: SIM115 - open while it runs
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if run.name not in load(options.results):  # another process may have ended it just now
            return run, lock
        lock.close()
    return None


def main(_):
    """Trains what has no row, one run after another; one that failed is not tried again."""
    options, failed = flags.FLAGS, set()
    while True:
        results = load(options.results)
        runs = plan(results)
        left = [run for run in runs if run.name not in results]
        if options.list:
            for run in runs:
                print("done" if run.name in results else "    ", run.name, *run.more)
        progress = f"{len(runs) - len(left)} of {len(runs)} runs are done"
        left = [run for run in left if run.name not in failed]
        if options.list or not left:
            print(progress)
            return
        found = free(left, options)
        if found is None:  # what comes next may depend on what other processes are at
            time.sleep(POLL)
            continue
        run, lock = found
        with lock:
            print(
                progress, f"{datetime.datetime.now():%d %b %H:%M} {run.name}", sep="\n", flush=True
            )
            try:
                row = train(run, options)
            except RuntimeError as error:
                print(f"FAILED: {error}", flush=True)
                failed.add(run.name)
                continue
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
            print(
                f"  test error {100 * (1 - row['top1']):.1f} %, map score {row['map_score']:.2f}, "
                f"validation top-1 {row['validation']['top1']:.3f}, {row['cpu_seconds']} s of CPU",
                flush=True,
            )
            tidy(run, options)


if __name__ == "__main__":
    flags.DEFINE_string("input_dir", "cub_gha_families", "The folder of images and clicks.")
    flags.DEFINE_string("data", "data/cub_gha", "Where data sets are, or are built.")
    flags.DEFINE_string("runs", "runs/cub_gha", "Where runs go.")
    flags.DEFINE_string("results", "experiments/cub_gha/results.jsonl", "Rows of finished runs.")
    flags.DEFINE_integer("core", -1, "Pin training to this core; -1: do not.")
    flags.DEFINE_bool("list", False, "Say what is done and what is not; run nothing.")
    app.run(main)
