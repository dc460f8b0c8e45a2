"""XLA on and off: the same training steps, compiled or not, and how long compiling takes.

    python experiments/benchmarks/xla.py --json=xla.json
    python experiments/benchmarks/xla.py --batch=128 --image_size=224 --steps=20 \\
        --network_flags=--precision=mixed_bfloat16                                     (a GPU)

Measure on the device that shall train; `--jit_compile` of training is off unless it is set. By
default images are small, so that a CPU is done in minutes. `model.fit` compiles by itself unless it
is told not to (`jit_compile="auto"`). `tables` explains the columns; `first` holds the compilation.
"""

from absl import flags
from parts import workers

from gala_tf import command

workers.define_flags(image_size=64)

MAPS = ["--attention=gala", "--map_loss_weight=6"]
COMPARED = ("GALA-ResNet-50 w/ maps", "Keras ResNet-50 in fit")
ON = ", XLA"


def specs(shared: dict) -> dict[str, dict]:
    """{network: arguments of `workers.Worker`}, from those that all have."""
    sides = {name: shared[name] for name in ("batch", "image_size")}
    ours = {"kind": "ours", **sides, "flags": [*shared["flags"], *MAPS]}
    gala, keras = COMPARED
    return {
        gala: ours,
        gala + ON: {**ours, "flags": [*ours["flags"], "--jit_compile"]},
        keras: {"kind": "fit", **sides, "jit_compile": False},
        keras + ON: {"kind": "fit", **sides, "jit_compile": True},
    }


def main() -> None:
    """Measures both; prints a table."""
    results = workers.compare(
        specs(workers.shared_spec()), flags.FLAGS.steps, flags.FLAGS.repetitions
    )
    table = workers.report(results, {"GALA": COMPARED[0], "Keras": COMPARED[1]})
    for name, heading in zip(COMPARED, ("GALA", "Keras"), strict=True):
        cost = table[name + ON][heading]
        seconds = table[name + ON]["first"] - table[name]["first"]
        print(f"{name}: with XLA {cost} of the time without; compiling takes {seconds:.0f} s")


if __name__ == "__main__":
    command.run(main)
