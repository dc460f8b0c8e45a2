"""One step, through both stages: its HLO, its lint, and what the compiler says, kept by a hash."""

import dataclasses
import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from gala_tf import config
from gala_tf.data import files
from gala_tf.tpu_checking import lint
from gala_tf.tpu_checking.environment import PINNED, Environment

STEPS = ("train", "evaluate")
FORM = 1  # of what is kept: raise it where `compiling` finds something else than before
LOWERING, COMPILING = "gala_tf.tpu_checking.lowering", "gala_tf.tpu_checking.compiling"


def key(text: str, **conditions) -> str:
    """The name of a verdict: a hash of HLO text, and of all else that decides it.

    Names of layers and of the module, which the compiler does not read, and which TensorFlow
    numbers anew in every process, do not count. Conditions are anything that JSON holds.
    """
    bare = re.sub(r", metadata=\{[^{}]*\}", "", text)
    bare = re.sub(r"__inference_\w+|a_inference_\w+", "step", bare)
    digest = hashlib.sha256(bare.encode())
    digest.update(json.dumps(conditions, sort_keys=True).encode())
    return digest.hexdigest()


class Cache:
    """One JSON file a verdict in a directory; a half-written one is none.

    A verdict takes minutes, and depends on nothing but what its key is made of.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)

    def get(self, name: str) -> dict | None:
        """The verdict of that name, or None."""
        try:
            return json.loads((self.directory / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    def put(self, name: str, verdict: dict) -> None:
        """Keeps a verdict."""
        files.write(str(self.directory / f"{name}.json"), json.dumps(verdict, indent=1))

    def of(self, name: str, compute: Callable[[], dict]) -> dict:
        """The verdict of that name, reached and kept if there is none yet."""
        found = self.get(name)
        if found is None:
            found = compute()
            self.put(name, found)
        return found


@dataclasses.dataclass(frozen=True)
class Lowered:
    """What stage 1 left of a step."""

    facts: dict  # `STEP.json`
    stopped_by: str | None  # by name; None if it was lowered
    text: str = ""  # the HLO, empty if it was not
    module: bytes = b""  # the same, serialised

    @property
    def lint(self) -> lint.Lint:
        return lint.lint(self.text, self.facts.get("dynamic", ()))


def lower(
    environment: Environment,
    step: str,
    run_config: config.Config,
    replicas: int,
    num_classes: int,
    platform: str = "TPU",
) -> Lowered:
    """Stage 1, in a process of its own: some dynamic shapes end it.

    ValueError: it failed for a reason that is not the step's: flags, or the environment.
    """
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory) / step
        request = {
            "flags": config.to_flagfile(run_config).splitlines(),
            "step": step,
            "replicas": replicas,
            "num_classes": num_classes,
            "platform": platform,
            "directory": directory,
        }
        process = environment.run(LOWERING, request)
        path = base.with_suffix(".json")
        facts = json.loads(path.read_text()) if path.exists() else {}
        stopped_by = what_stopped(facts, process)
        if stopped_by:
            return Lowered(facts, stopped_by)
        text = base.with_suffix(".hlo").read_text()
        return Lowered(facts, None, text, base.with_suffix(".pb").read_bytes())


def what_stopped(facts: dict, process) -> str | None:
    """The name of what stopped stage 1, or None; ValueError: it is nothing about the step."""
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


def describe_topology(environment: Environment, topology: str, kept: Cache) -> dict:
    """What `compiling.describe` finds; ValueError: libtpu knows no such topology."""
    name = key("", topology=topology, versions=PINNED, form=FORM)
    return kept.of(name, lambda: _stage2(environment, {"topology": topology}))


def compile_step(environment: Environment, lowered: Lowered, topology: str, kept: Cache) -> dict:
    """What `compiling.compile_module` finds, and `key`, under which it is kept.

    ValueError: the process failed for another reason than the module.
    """
    facts = lowered.facts
    sizes = {name: facts[name] for name in ("variables", "outputs")}
    conditions = {"topology": topology, "replicas": facts["replicas"], **sizes}
    name = key(lowered.text, versions=PINNED, form=FORM, **conditions)

    def compute():
        with tempfile.TemporaryDirectory() as directory:
            module = Path(directory) / "module.pb"
            module.write_bytes(lowered.module)
            return _stage2(environment, {"module": str(module), **conditions})

    return {**kept.of(name, compute), "key": name}


def _stage2(environment, request):
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        process = environment.run(COMPILING, {**request, "result": str(result)})
        if result.exists():
            return json.loads(result.read_text())
        status, errors = process.returncode, process.stderr
    known = [line for line in errors.splitlines() if line.startswith("ValueError")]
    if known:  # of `compiling`, written for users
        raise ValueError(known[-1].removeprefix("ValueError: "))
    raise ValueError(
        f"the compiling process ended with status {status} "
        f"({'killed: is there too little memory?' if status < 0 else ''}): "
        f"{errors.strip()[-1500:]}"
    )


def _first_line(message):
    return message.removeprefix("Failed getting HLO text: '").splitlines()[0][:300]
