"""One step, through both stages: its HLO, its lint, and what the compiler says of it."""

import dataclasses
import json
import tempfile
from pathlib import Path

from gala_tf import config
from gala_tf.tpu_checking import cache, lint
from gala_tf.tpu_checking.environment import PINNED, Environment


@dataclasses.dataclass(frozen=True)
class Lowered:
    """What stage 1 left of a step.

    Attributes:
        facts: `STEP.json`.
        stopped_by: what stopped it, by name; None if it was lowered.
        text, module: the HLO, as text and serialised; empty if it was not.
    """

    facts: dict
    stopped_by: str | None
    text: str = ""
    module: bytes = b""

    @property
    def lint(self) -> lint.Lint:
        return lint.lint(self.text, self.facts.get("dynamic", ()))


def lower(
    environment: Environment,
    step: str,
    run_config: config.Config,
    replicas: int,
    num_classes: int,
    plant: str = "",
    platform: str = "TPU",
) -> Lowered:
    """Stage 1, in a process of its own: some dynamic shapes end it.

    Raises:
        ValueError: it failed for a reason that is not the step's: flags, or the environment.
    """
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory) / step
        request = {
            "flags": config.to_flagfile(run_config).splitlines(),
            "step": step,
            "replicas": replicas,
            "num_classes": num_classes,
            "plant": plant,
            "platform": platform,
            "directory": directory,
        }
        process = environment.run("gala_tf.tpu_checking.lowering", request)
        path = base.with_suffix(".json")
        facts = json.loads(path.read_text()) if path.exists() else {}
        stopped_by = what_stopped(facts, process)
        if stopped_by:
            return Lowered(facts, stopped_by)
        text = base.with_suffix(".hlo").read_text()
        return Lowered(facts, None, text, base.with_suffix(".pb").read_bytes())


def what_stopped(facts: dict, process) -> str | None:
    """The name of what stopped stage 1, or None.

    Raises:
        ValueError: it is nothing about the step.
    """
    error, dynamic = facts.get("error"), facts.get("dynamic", [])
    if facts.get("stage") == "done":
        return None
    if facts.get("stage") == "tracing" and error and error["kind"] == "ValueError":
        raise ValueError(error["message"])  # flags or data: written for users
    if not facts or (facts["stage"] == "tracing" and not error):
        raise ValueError(
            f"the lowering process ended with status {process.returncode} before it had a step: "
            f"{process.stderr.strip()[-1500:]}"
        )
    if error and error["operations"]:
        return f"{', '.join(error['operations'])} ({error['node']}): TPUs have no such operation"
    if dynamic:
        first = dynamic[0]
        named = f"{first['operation']} ({first['node']}): its shape is dynamic, {first['shape']}"
        if error:
            return f"{named}; {_first_line(error['message'])}"
        return f"{named}, which ends the compiler's process (status {process.returncode})"
    if error:
        place = f" ({error['node']})" if error["node"] else ""
        return f"{error['kind']}{place}: {_first_line(error['message'])}"
    return f"the compiler's process ended with status {process.returncode}: {process.stderr[-500:]}"


def describe_topology(environment: Environment, topology: str, kept: cache.Cache) -> dict:
    """What `compiling.describe` finds.

    Raises:
        ValueError: libtpu knows no such topology.
    """
    name = cache.key("", topology=topology, versions=PINNED, form=FORM)
    return _kept(kept, name, lambda: _stage2(environment, {"topology": topology}))


def compile_step(
    environment: Environment, lowered: Lowered, topology: str, kept: cache.Cache
) -> dict:
    """What `compiling.compile_module` finds, and `key`, under which it is kept.

    Raises:
        ValueError: the process failed for another reason than the module.
    """
    facts = lowered.facts
    sizes = {name: facts[name] for name in ("variables", "outputs")}
    conditions = {"topology": topology, "replicas": facts["replicas"], **sizes}
    name = cache.key(lowered.text, versions=PINNED, form=FORM, **conditions)

    def compute():
        with tempfile.TemporaryDirectory() as directory:
            module = Path(directory) / "module.pb"
            module.write_bytes(lowered.module)
            return _stage2(environment, {"module": str(module), **conditions})

    return {**_kept(kept, name, compute), "key": name}


FORM = 1  # of what is kept: raise it where `compiling` finds something else than before


def _kept(kept, name, compute):
    found = kept.get(name)
    if found is None:
        found = compute()
        kept.put(name, found)
    return found


def _stage2(environment, request):
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        process = environment.run(
            "gala_tf.tpu_checking.compiling", {**request, "result": str(result)}
        )
        if not result.exists():
            known = [line for line in process.stderr.splitlines() if line.startswith("ValueError")]
            if known:
                raise ValueError(known[-1].removeprefix("ValueError: "))
            raise ValueError(
                f"the compiling process ended with status {process.returncode} "
                f"({'killed: is there too little memory?' if process.returncode < 0 else ''}): "
                f"{process.stderr.strip()[-1500:]}"
            )
        return json.loads(result.read_text())


def _first_line(message):
    return message.removeprefix("Failed getting HLO text: '").splitlines()[0][:300]
