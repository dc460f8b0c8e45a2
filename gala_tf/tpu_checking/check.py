"""The whole of `tpu_check`: every step on every topology, the largest batch, what is at fault."""

import dataclasses
import sys
from collections.abc import Sequence

from gala_tf import config
from gala_tf.tpu_checking import environment, summary, verdicts

GRAIN = 8  # images: the search for the largest batch ends there; the matrix unit's other side
TRIES = 5  # compilations it may take


class Check:
    """Steps of one network on topologies; what was lowered once is not lowered again."""

    def __init__(
        self,
        where: environment.Environment,
        kept: verdicts.Cache,
        run_config: config.Config,
        num_classes: int,
    ):
        self.where, self.kept, self.run_config = where, kept, run_config
        self.num_classes, self._lowered = num_classes, {}

    def lower(self, step: str, replicas: int, batch: int) -> verdicts.Lowered:
        """A step at `batch` images a core."""
        wanted = step, replicas, batch
        if wanted not in self._lowered:
            batches = {"global_batch_size": batch * replicas, "eval_batch_size": batch * replicas}
            run_config = dataclasses.replace(self.run_config, **batches)
            self._lowered[wanted] = verdicts.lower(
                self.where, step, run_config, replicas, self.num_classes
            )
        return self._lowered[wanted]

    def step(self, name: str, topology: str, chip: dict, replicas: int, batch: int) -> dict:
        """What the report says of a step on a topology."""
        print(f"{topology}: {name} step, {batch} images a core ...", file=sys.stderr, flush=True)
        lowered = self.lower(name, replicas, batch)
        found = {"batch_per_core": batch, "stopped_by": lowered.stopped_by}
        if lowered.stopped_by:
            return found
        lint = lowered.lint  # also of what the compiler will refuse
        found["lint"] = {
            "shares": lint.shares,
            "multiply_adds": lint.multiply_adds,
            "faults": {
                rule: list(map(dataclasses.asdict, broken)) for rule, broken in lint.faults.items()
            },
        }
        found["variable_bytes"] = lowered.facts["variable_bytes"]
        found |= verdicts.compile_step(self.where, lowered, topology, self.kept)
        found["hbm_bytes"] = chip["hbm_bytes"]
        if not found["compiles"]:
            found["stopped_by"] = _refusal(found)
            return found
        costs = found["flops"], found["bytes_accessed"]
        floor = summary.floor(*costs, summary.chip_of(topology), chip["devices_per_chip"])
        rate = batch * replicas / floor.seconds
        more = {"seconds": floor.seconds, "images_per_second": rate}
        found["floor"] = {**dataclasses.asdict(floor), **more}
        return found

    def largest_batch(self, topology: str, chip: dict, replicas: int, first: dict) -> dict:
        """{"fits", "too_large"}: images a core, both compiled; between them nothing was tried.

        `first`: what `step` said of a training step.
        """
        fits, too_large, tried, next_tried = 0, None, first, False
        for left in reversed(range(TRIES + 1)):
            if tried["compiles"]:
                fits, used = tried["batch_per_core"], tried["peak_bytes"]
            elif tried["needed"]:  # its batch was refused, and this is what it would have used
                too_large, used = tried["batch_per_core"], tried["needed"] + tried["variable_bytes"]
            else:
                break
            if not left or too_large == fits + GRAIN:
                break
            sizes = tried["variable_bytes"], tried["batch_per_core"], chip["hbm_bytes"]
            guess = summary.batch_estimate(used, *sizes)
            if guess <= fits and not next_tried:  # as foreseen: is it the largest?
                guess, next_tried = fits + GRAIN, True
            elif too_large and (tried["compiles"] or not fits < guess < too_large):
                guess = (fits + too_large) // 2
            elif not too_large and tried is not first and guess < fits * 5 / 4:
                guess = fits * 3 // 2  # the compiler finds ways, again and again
            tried = self.step("train", topology, chip, replicas, max(guess // GRAIN, 1) * GRAIN)
        return {"fits": fits, "too_large": too_large}


def _refusal(step) -> str:
    """Why the compiler refused, by name."""
    if step.get("needed"):
        return (
            f"the batch does not fit: {step['batch_per_core']} images need "
            f"{step['needed'] / summary.GIB:.2f} GiB of HBM, {step['available'] / summary.GIB:.2f} "
            "are there"
        )
    return step["error"].splitlines()[0]


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for, beside the flags of training."""

    topologies: Sequence[str]  # "v3:2x2x1": generation, and chips in each direction
    steps: Sequence[str] = verdicts.STEPS
    replicas: int = 0  # cores that share a batch; 0 = all of the topology
    batch_per_core: int = 0  # images; 0 = global_batch_size / cores
    num_classes: int = 1000  # where --data_dir holds no data set
    find_batch: bool = False  # compile to find the largest batch, else estimate it
    environment: str = ""  # directory; "" = the default one
    cache_dir: str = ""  # of verdicts; "" = the default one


def check(run_config: config.Config, network: str, asked: Request) -> dict:
    """The report: every step on every topology, and what is at fault; `network` is its name."""
    where = environment.find_or_make(asked.environment)
    kept = verdicts.Cache(asked.cache_dir or environment.cache_directory() / "tpu_check")
    checked = Check(where, kept, run_config, asked.num_classes)
    report = {
        "network": network,
        "precision": run_config.precision,
        "image_size": run_config.image_size,
        "num_classes": asked.num_classes,
        "versions": environment.PINNED,
        "topologies": {name: _on_topology(checked, asked, name) for name in asked.topologies},
    }
    report["faults"] = faults(report)
    report["passes"] = not report["faults"]
    return report


def _on_topology(checked, asked, topology):
    chip = verdicts.describe_topology(checked.where, topology, checked.kept)
    replicas = asked.replicas or chip["devices"]
    batch = asked.batch_per_core or share_of_batch(checked.run_config.global_batch_size, replicas)
    found = {
        **chip,
        "chip": dataclasses.asdict(summary.chip_of(topology)),
        "replicas": replicas,
        "batch_per_core": batch,
        "steps": {
            name: checked.step(name, topology, chip, replicas, batch) for name in asked.steps
        },
    }
    # The largest batch, compiled or estimated; None if the training step tells nothing.
    step, found["largest_batch"] = found["steps"].get("train", {}), None
    if "compiles" not in step or not found["hbm_bytes"]:
        return found
    if asked.find_batch:
        found["largest_batch"] = checked.largest_batch(topology, found, replicas, step)
    elif step["compiles"]:
        used = step["peak_bytes"], step["variable_bytes"], step["batch_per_core"]
        estimate = summary.batch_estimate(*used, found["hbm_bytes"])
        found["largest_batch"] = {"estimate": estimate}
    return found


def share_of_batch(global_batch: int, replicas: int) -> int:
    """Images a core; ValueError if the batch does not divide."""
    if global_batch % replicas:
        raise ValueError(
            f"--global_batch_size={global_batch} does not divide by the {replicas} cores; give "
            "--batch_per_core, or --replicas."
        )
    return global_batch // replicas


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
