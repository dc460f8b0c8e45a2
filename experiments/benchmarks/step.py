"""A training step's time and memory: our networks, and others' ResNet-50.

    python experiments/benchmarks/parts/environments.py --only=torch,jax   # once; without: left out
    taskset -c 0 python experiments/benchmarks/step.py --repetitions=10 --json=step.json

The networks run in turn (`workers`), on the GPU where there is one; `tables` explains the columns.
Batch, optimizer, weight decay and precision are the same, and all have their batches in memory:
reading is not measured here. Keras' rows run without XLA on TensorFlow, where it is slower on CPUs
(`xla.py` measures that), and compiled on JAX. The units of keras.applications have their stride in
the first 1x1 convolution, ours and torchvision's in the 3x3, which costs 6 % more FLOPs; one row
has ours where Keras' are. Our training keeps the memory that it frees
(`gala_tf.distribution.strategy`); one row has Keras do so, too.

Targets: our ResNet-50 at least 1.3 times as fast as keras.applications' and 1.10 times as
torchvision's, and GALA with maps within 1.076 of our ResNet-50, its share of the FLOPs.
"""

from absl import flags
from parts import environments, made_up_data, step_worker, tables, workers

from gala_tf import command

ONLY = flags.DEFINE_list("only", [], "Networks to run, by name; default: all.")
workers.define_flags()

PEER_KEEPS = "Keras in fit, memory kept"
PEER, OURS, MAPS = "Keras ResNet-50 in fit", "ResNet-50", "GALA-ResNet-50 w/ maps"
AS_PEER = "ResNet-50 with Keras' strides"
PLAIN = ["--attention=none", "--map_loss_weight=0"]
NETWORKS = {
    AS_PEER: PLAIN,
    OURS: PLAIN,
    "SE-ResNet-50": ["--attention=se", "--map_loss_weight=0"],
    "GALA-ResNet-50": ["--attention=gala", "--map_loss_weight=0"],
    MAPS: ["--attention=gala", "--map_loss_weight=6"],
}
TORCH, COMPILED, JAX = (
    "torchvision ResNet-50",
    "torchvision ResNet-50 compiled",
    "Keras ResNet-50 in fit on JAX",
)
OTHERS = {  # network: environment, and what its worker is told beside what all are told
    TORCH: ("torch", {"compile": False}),
    COMPILED: ("torch", {"compile": True}),
    JAX: ("jax", {}),
}
PEERS = {"ResNet-50": OURS, "Keras": PEER, "torchvision": TORCH}


def specs(shared: dict) -> dict[str, dict]:
    """{network: arguments of `workers.Worker`}, from those that all have."""
    sides = {name: shared[name] for name in ("batch", "image_size")}
    found = {
        name: {"kind": "ours", **sides, "flags": [*shared["flags"], *arguments]}
        for name, arguments in NETWORKS.items()
    }
    found[AS_PEER]["stride_in_1x1"] = True
    fit = {"kind": "fit", **sides, "jit_compile": False}
    alike = {
        **sides,
        "classes": made_up_data.CLASSES,
        "learning_rate": step_worker.LEARNING_RATE,
        "momentum": step_worker.MOMENTUM,
        "weight_decay": step_worker.WEIGHT_DECAY,
    }
    others = {
        name: {"worker": f"{environment}_worker.py", "environment": environment, **alike, **told}
        for name, (environment, told) in OTHERS.items()
    }
    return {PEER: fit, PEER_KEEPS: {**fit, "keep_memory": True}, **others, **found}


def present(wanted: dict[str, dict]) -> dict[str, dict]:
    """Those whose environment is there, with its Python; says which are left out."""
    found = {}
    for name, spec in wanted.items():
        environment = spec.pop("environment", None)
        try:
            found[name] = spec | (
                {"python": environments.python_of(environment)} if environment else {}
            )
        except FileNotFoundError as missing:
            print(f"left out: {name}: {missing}")
    return found


def verdicts(table: dict[str, dict]) -> list[str]:
    """The targets, met or not, of networks that ran."""
    found = []
    for name in (OURS, AS_PEER):
        if "Keras" in table.get(name, {}):
            speed = 1 / table[name]["Keras"].median
            found.append(tables.verdict(f"speed of {name} / {PEER}", speed, 1.3, at_least=True))
    if "torchvision" in table.get(OURS, {}):
        speed = 1 / table[OURS]["torchvision"].median
        found.append(tables.verdict(f"speed of {OURS} / {TORCH}", speed, 1.1, at_least=True))
    if "ResNet-50" in table.get(MAPS, {}):
        cost = table[MAPS]["ResNet-50"].median
        found.append(tables.verdict(f"time of {MAPS} / {OURS}", cost, 1.076, at_least=False))
    return found


def main() -> None:
    """Measures all networks; prints a table and whether the targets are met."""
    wanted = specs(workers.shared_spec())
    unknown = set(ONLY.value) - set(wanted)
    if unknown:
        raise ValueError(f"--only: {sorted(unknown)} unknown; there are {list(wanted)}")
    wanted = {name: spec for name, spec in wanted.items() if not ONLY.value or name in ONLY.value}
    ready = present(wanted)
    if not ready:
        raise ValueError(f"no network is left to run of {list(wanted)}")
    results = workers.compare(ready, flags.FLAGS.steps, flags.FLAGS.repetitions)
    print(*verdicts(workers.report(results, PEERS)), sep="\n")


if __name__ == "__main__":
    command.run(main)
