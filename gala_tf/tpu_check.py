"""Compiles the training and the evaluation step for a TPU on a machine that has none.

    python -m gala_tf.tpu_check --flagfile=experiments/full_ilsvrc.flags --topology=v3:2x2x1

The steps are those that `train` and `evaluate` run, with the flags of training; no data set is
needed. TensorFlow's TPU kernels lower them to HLO, libtpu compiles that for the topology named, and
the report says: whether they compile or what stops them; the memory a core needs of what it has;
FLOPs and bytes of a step and the least time they imply; what the lint found (`tpu_checking.lint`);
the largest batch that fits. Exit status 1 if anything is at fault.

Both stages run in a virtual environment of their own (`tpu_checking.environment`), made on first
use. What this cannot show: the input pipeline, TPUStrategy's runtime, numerics, speed, convergence.
"""

import dataclasses
import json
import sys

from absl import flags

from gala_tf import command, config
from gala_tf.evaluation import naming
from gala_tf.tpu_checking import cache, chips, environment, summary, verdicts

DEFECTS = ("no_kernel", "dynamic_shape", "dynamic_resize", "print", "float64", "int64", "float32")
TOO_LARGE = 2**16  # images a core; the planted defect `batch`
STEPS = ("train", "evaluate")
GRAIN = 8  # images: the search for the largest batch ends there; the matrix unit's other side
TRIES = 5  # compilations it may take


def define_flags() -> None:
    """Flags beside those of training."""
    flags.DEFINE_list(
        "topology", ["v3:2x2x1"], "Generation and chips in each direction; several by commas."
    )
    flags.DEFINE_integer("replicas", 0, "Cores that share a batch; 0 = all of the topology.")
    flags.DEFINE_integer(
        "batch_per_core", 0, "Images a core; 0 = global_batch_size / cores.", lower_bound=0
    )
    flags.DEFINE_list("steps", list(STEPS), "Which steps.")
    flags.DEFINE_integer("num_classes", 1000, "Where --data_dir holds no data set.", lower_bound=2)
    flags.DEFINE_bool("find_batch", False, f"Compile up to {TRIES} times to find what fits.")
    flags.DEFINE_enum("plant", "", ["", "batch", *DEFECTS], "Plant a defect, to see it caught.")
    flags.DEFINE_string(
        "environment", "", f"Virtual environment; default ${environment.VARIABLE} or a cache."
    )
    flags.DEFINE_string("cache_dir", "", "Verdicts, by the hash of the module; default a cache.")
    flags.DEFINE_string("output", "", "JSON to write.")


class Check:
    """Steps of one network on topologies; what was lowered once is not lowered again.

    Args:
        where: the virtual environment.
        kept: verdicts.
        run_config: the flags of training.
        num_classes, plant: as the flags of those names.
    """

    def __init__(self, where, kept, run_config, num_classes, plant):
        self.where, self.kept, self.run_config = where, kept, run_config
        self.num_classes, self.plant, self._lowered = num_classes, plant, {}

    def lower(self, step: str, replicas: int, batch: int) -> verdicts.Lowered:
        """A step at `batch` images a core."""
        wanted = step, replicas, batch
        if wanted not in self._lowered:
            batches = {"global_batch_size": batch * replicas, "eval_batch_size": batch * replicas}
            run_config = dataclasses.replace(self.run_config, **batches)
            self._lowered[wanted] = verdicts.lower(
                self.where, step, run_config, replicas, self.num_classes, self.plant
            )
        return self._lowered[wanted]

    def step(self, name: str, topology: str, chip: dict, replicas: int, batch: int) -> dict:
        """One row of the report."""
        print(f"{topology}: {name} step, {batch} images a core ...", file=sys.stderr, flush=True)
        lowered = self.lower(name, replicas, batch)
        row = {"batch_per_core": batch, "stopped_by": lowered.stopped_by}
        if lowered.stopped_by:
            return row
        row["lint"] = _lint(lowered)
        row["variable_bytes"] = lowered.facts["variable_bytes"]
        row |= verdicts.compile_step(self.where, lowered, topology, self.kept)
        row["hbm_bytes"] = chip["hbm_bytes"]
        if not row["compiles"]:
            row["stopped_by"] = _refusal(row)
            return row
        floor = summary.floor(
            row["flops"], row["bytes_accessed"], chips.chip_of(topology), chip["devices_per_chip"]
        )
        rate = batch * replicas / floor.seconds
        row["floor"] = {
            **dataclasses.asdict(floor),
            "seconds": floor.seconds,
            "images_per_second": rate,
        }
        return row

    def largest_batch(self, topology: str, chip: dict, replicas: int, first: dict) -> dict:
        """{"fits", "too_large"}: images a core, both compiled; between them nothing was tried.

        Args:
            first: the row of a training step, from `step`.
        """
        fits, too_large, row, next_tried = 0, None, first, False
        for left in reversed(range(TRIES + 1)):
            if row["compiles"]:
                fits, used = row["batch_per_core"], row["peak_bytes"]
            elif row["needed"]:  # its batch was refused, and this is what it would have used
                too_large, used = row["batch_per_core"], row["needed"] + row["variable_bytes"]
            else:
                break
            if not left or too_large == fits + GRAIN:
                break
            guess = summary.batch_estimate(
                used, row["variable_bytes"], row["batch_per_core"], chip["hbm_bytes"]
            )
            if guess <= fits and not next_tried:  # as foreseen: is it the largest?
                guess, next_tried = fits + GRAIN, True
            elif too_large and (row["compiles"] or not fits < guess < too_large):
                guess = (fits + too_large) // 2
            elif not too_large and row is not first and guess < fits * 5 / 4:
                guess = fits * 3 // 2  # the compiler finds ways, again and again
            row = self.step("train", topology, chip, replicas, max(guess // GRAIN, 1) * GRAIN)
        return {"fits": fits, "too_large": too_large}


def _lint(lowered) -> dict:
    found = lowered.lint
    return {
        "shares": found.shares,
        "multiply_adds": found.multiply_adds,
        "faults": {
            rule: [dataclasses.asdict(finding) for finding in findings]
            for rule, findings in found.faults.items()
        },
    }


def _refusal(row) -> str:
    """Why the compiler refused, by name."""
    if row.get("needed"):
        return (
            f"the batch does not fit: {row['batch_per_core']} images need "
            f"{row['needed'] / summary.GIB:.2f} GiB of HBM, {row['available'] / summary.GIB:.2f} "
            "are there"
        )
    return row["error"].splitlines()[0]


def check(run_config: config.Config) -> dict:
    """The report that the flags ask for."""
    values = flags.FLAGS
    directory = values.environment or environment.default_directory()
    where = environment.find(directory) or environment.make(directory)
    kept = cache.Cache(values.cache_dir or environment.cache_directory() / "tpu_check")
    plant = "" if values.plant == "batch" else values.plant
    checked = Check(where, kept, run_config, values.num_classes, plant)
    report = {
        "network": naming.network_name(run_config),
        "precision": run_config.precision,
        "image_size": run_config.image_size,
        "num_classes": values.num_classes,
        "versions": environment.PINNED,
        "planted": values.plant,
        "topologies": {},
    }
    for topology in values.topology:
        chip = verdicts.describe_topology(where, topology, kept)
        replicas = values.replicas or chip["devices"]
        batch = values.batch_per_core or share_of_batch(run_config.global_batch_size, replicas)
        batch = TOO_LARGE if values.plant == "batch" else batch
        found = report["topologies"][topology] = {
            **chip,
            "chip": dataclasses.asdict(chips.chip_of(topology)),
            "replicas": replicas,
            "batch_per_core": batch,
            "steps": {
                name: checked.step(name, topology, chip, replicas, batch) for name in values.steps
            },
        }
        found["largest_batch"] = _largest(checked, topology, found)
    report["faults"] = faults(report)
    report["passes"] = not report["faults"]
    return report


def share_of_batch(global_batch: int, replicas: int) -> int:
    """Images a core; ValueError if the batch does not divide."""
    if global_batch % replicas:
        raise ValueError(
            f"--global_batch_size={global_batch} does not divide by the {replicas} cores; give "
            "--batch_per_core, or --replicas."
        )
    return global_batch // replicas


def _largest(checked, topology, found) -> dict | None:
    """The largest batch, compiled or estimated; None if the training step tells nothing."""
    row = found["steps"].get("train", {})
    if "compiles" not in row or not found["hbm_bytes"]:
        return None
    if flags.FLAGS.find_batch:
        return checked.largest_batch(topology, found, found["replicas"], row)
    if not row["compiles"]:
        return None
    estimate = summary.batch_estimate(
        row["peak_bytes"], row["variable_bytes"], row["batch_per_core"], found["hbm_bytes"]
    )
    return {"estimate": estimate}


def faults(report: dict) -> list[str]:
    """Everything at fault, a line each."""
    lines = []
    for topology, found in report["topologies"].items():
        for name, step in found["steps"].items():
            where = f"{topology} {name}"
            if step["stopped_by"]:
                lines.append(f"{where}: {step['stopped_by']}")
            for rule, findings in step.get("lint", {}).get("faults", {}).items():
                lines.append(f"{where}: lint {rule}, {len(findings)} operations")
    return lines


def main():
    """Checks as the flags say; prints the table, writes the JSON."""
    for topology in flags.FLAGS.topology:
        chips.chip_of(topology)
    unknown = set(flags.FLAGS.steps) - set(STEPS)
    if unknown:
        raise ValueError(f"--steps={','.join(flags.FLAGS.steps)}: there are {', '.join(STEPS)}.")
    report = check(config.from_flags())
    if flags.FLAGS.output:
        with open(flags.FLAGS.output, "w") as file:
            json.dump(report, file, indent=1)
    print(summary.table(report))
    if not report["passes"]:
        sys.exit(1)


if __name__ == "__main__":
    config.define_flags()
    flags.adopt_module_key_flags(config)
    define_flags()
    command.run(main)
