"""`tpu_check --execute`: the program that is compiled for a TPU, run beside TensorFlow's own step.

For each case (`cases`): TensorFlow trains on a CPU for a few steps and evaluates (`reference`);
the steps are lowered with TensorFlow's TPU kernels (`lowering`), and that module is executed on the
same batches, from the same values, each step on what the one before it left (`executing`). Both are
then compared, variable by variable (`distances`). The yardsticks are TensorFlow without oneDNN, its
images in reverse order, and the module from values that are off by a few roundings, some times: one
ReLU that falls on the other side of 0 moves a small network's gradients by a hundredth.
"""

import os
import sys
import tempfile
from collections.abc import Sequence

from gala_tf import config
from gala_tf.tpu_checking import cases, distances, environment, verdicts
from gala_tf.tpu_checking.environment import Environment
from gala_tf.tpu_checking.replica_values import Saved

STEPS = 3  # a planted momentum shows in the losses of the third only
REFERENCE, EXECUTING = "gala_tf.tpu_checking.reference", "gala_tf.tpu_checking.executing"
DRAWS = 5  # of values that are off
# By which part: four roundings of float32, and one of what bfloat16 computes with.
ROUNDINGS = {"float32": 2.0**-21, "mixed_bfloat16": 2.0**-8}
DRAWN = ("true", *(f"off{i}" for i in range(DRAWS)))  # the program's runs


def execute(
    where: Environment,
    run_config: config.Config,
    case: cases.Case,
    steps: Sequence[str],
    num_classes: int,
    batch: int,
) -> dict:
    """{step: what the comparison of a case found}, each with `stopped_by`, None if it was run.

    `batch` images a replica. ValueError: a process failed, for a reason that is not the step's.
    """
    case_config = case.of(run_config, batch)
    with tempfile.TemporaryDirectory() as directory:
        executed = Executed(where, case_config, num_classes, directory)
        executed.refer()
        return {step: executed.step(step) for step in steps}


class Executed:
    """One case in a directory: what TensorFlow does goes into `one` and `two`."""

    def __init__(self, where, case_config, num_classes, directory):
        self.where, self.config, self.num_classes = where, case_config, num_classes
        self.directory = directory

    def refer(self):
        """Runs both references."""
        flags = config.to_flagfile(self.config).splitlines()
        common = {"flags": flags, "num_classes": self.num_classes, "steps": STEPS}
        one, two = self._path("one"), self._path("two")
        for directory, start, order, one_dnn in (
            (one, "", "forward", "1"),
            (two, one, "reverse", "0"),
        ):
            os.makedirs(directory)
            request = {**common, "directory": directory, "start": start, "order": order}
            self._run(REFERENCE, request, TF_ENABLE_ONEDNN_OPTS=one_dnn)

    def step(self, step):
        """Lowers, executes and compares one of `verdicts.STEPS`."""
        lowered = verdicts.lower(
            self.where, step, self.config, self.config.cpu_devices, self.num_classes
        )
        if lowered.stopped_by:
            return {"stopped_by": lowered.stopped_by}
        module = self._path(f"{step}.pb")
        with open(module, "wb") as file:
            file.write(lowered.module)
        train = step == "train"
        batches = [f"batch{i}" for i in range(1, STEPS + 1)] if train else ["evaluate"]
        request = {
            "module": module,
            "replicas": self.config.cpu_devices,
            **lowered.facts["names"],
            "start": self._path("one", "start.npz" if train else "evaluate-start.npz"),
            "batches": [self._path("one", f"{name}.npz") for name in batches],
            "directories": [self._path(step, name) for name in DRAWN],
            "roundings": [0.0] + [ROUNDINGS[self.config.precision]] * DRAWS,
        }
        self._run(EXECUTING, request)
        return {"stopped_by": None, "steps": self._trained() if train else self._evaluated()}

    def _trained(self):
        """A row for each step."""
        rows = []
        for i in range(1, STEPS + 1):
            row = self._compared(i).summary()
            theirs, ours = self._saved(f"one/vector{i}"), self._saved(f"train/true/outputs{i}")
            pairs = zip(theirs["vector"], ours["vector"], strict=True)
            row["loss"] = max(float(abs(b[0] / a[0] - 1)) for a, b in pairs)  # `step_vector.Layout`
            rows.append(row)
        return rows

    def _compared(self, i):
        """All variables after so many steps."""
        one, two = self._saved(f"one/train{i}"), self._saved(f"two/train{i}")
        true, *off = (self._saved(f"train/{name}/values{i}") for name in DRAWN)
        return distances.compare(one.names, self._saved("one/start"), one, true, [two], off)

    def _evaluated(self):
        """The outputs; variables must stay as they are."""
        one, two = self._saved("one/evaluated"), self._saved("two/evaluated")
        true, *off = (self._saved(f"evaluate/{name}/outputs1") for name in DRAWN)
        outputs = distances.compare(one.names, distances.Means(one), one, true, [two], off)
        start, after = self._saved("one/evaluate-start"), self._saved("evaluate/true/values1")
        kept = distances.compare(after.names, start, start, after, [], [])
        found = outputs.summary()
        found["at_fault"] += kept.summary()["at_fault"]
        return [found]

    def _saved(self, name):
        return Saved(self._path(*f"{name}.npz".split("/")))

    def _path(self, *names):
        return os.path.join(self.directory, *names)

    def _run(self, module, request, **variables):
        process = self.where.run(module, request, **variables)
        if process.returncode:
            errors = process.stderr.strip()
            known = [line for line in errors.splitlines() if line.startswith("ValueError: ")]
            raise ValueError(
                known[-1].removeprefix("ValueError: ")
                if known
                else f"{module} ended with status {process.returncode}: {errors[-1500:]}"
            )


def check(run_config: config.Config, network: str, asked, chosen: Sequence[cases.Case]) -> dict:
    """The report of all cases; `asked` is a `check.Request`, `network` the network's name."""
    where = environment.find_or_make(asked.environment)
    batch = asked.batch_per_core or cases.BATCH
    report = {
        "network": network,
        "image_size": run_config.image_size,
        "num_classes": asked.num_classes,
        "batch_per_replica": batch,
        "versions": environment.PINNED,
        "cases": {},
    }
    for case in chosen:
        print(f"{case.name}: executing {', '.join(asked.steps)} ...", file=sys.stderr, flush=True)
        report["cases"][case.name] = execute(
            where, run_config, case, asked.steps, asked.num_classes, batch
        )
    return finished(report)


def finished(report: dict) -> dict:
    """A report of cases, with `faults` and `passes`."""
    found = [line for name, steps in report["cases"].items() for line in faults(name, steps)]
    return {**report, "faults": found, "passes": not found}


def faults(name: str, found: dict) -> list[str]:
    """What is at fault in a case, a line a step: the variables that are off first, by name."""
    lines = []
    for step, result in found.items():
        if result["stopped_by"]:
            lines.append(f"{name} {step}: {result['stopped_by']}")
            continue
        for i, compared in enumerate(result["steps"], 1):
            if compared["at_fault"]:
                place = f"{step}, step {i}" if step == "train" else step
                lines.append(f"{name} {place}: {_off(compared['at_fault'])}")
                break  # what follows comes of it
    return lines


def _off(at_fault):
    shown = ", ".join(
        f"{d['name']} by {d['share']:.1e} (yardstick {d['yardstick']:.1e})" for d in at_fault[:3]
    )
    return shown + (f" and {len(at_fault) - 3} more" if len(at_fault) > 3 else "")


def _not_judged(row):
    count = len(row["not_judged"])
    return f" ({count} not judged: their update is less than its roundings)" if count else ""


def table(report: dict) -> str:
    """What was found, a row a step, and the verdict in a sentence."""
    lines = [
        f"{report['network']}, {report['image_size']} px, {report['num_classes']} classes, "
        f"{report['batch_per_replica']} images a replica: shares of the update",
        "",
        f"  {'case':<36}{'step':<10}{'worst':>9}{'median':>9}{'yardstick':>11}{'median':>9}"
        "  the worst",
    ]
    for name, found in report["cases"].items():
        for step, result in found.items():
            rows = result.get("steps", ())
            for i, row in enumerate(rows, 1):
                lines.append(
                    f"  {name:<36}{f'train {i}' if step == 'train' else step:<10}"
                    f"{row['worst']:>9.1e}{row['median']:>9.1e}{row['yardstick_worst']:>11.1e}"
                    f"{row['yardstick_median']:>9.1e}  {row['worst_name']}{_not_judged(row)}"
                )
            if not rows:
                lines.append(f"  {name:<36}{step:<10}  {result['stopped_by']}")
    return "\n".join([*lines, "", f"verdict: {verdict(report)}"])


def verdict(report: dict) -> str:
    """One sentence."""
    if report["passes"]:
        return (
            f"in {len(report['cases'])} cases the program for TPUs does to every variable what "
            "TensorFlow's own step does, as nearly as either does it twice."
        )
    return (
        "the program for TPUs does something else than TensorFlow's own step: "
        f"{'; '.join(report['faults'])}."
    )
