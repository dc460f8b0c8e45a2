"""A supervised training step, as here and as the field went on: maps on attention or on gradients.

    pip install --no-deps harmonization==0.0.9     # in a virtual environment with this project
    python experiments/benchmarks/supervision.py --json=supervision.json

Harmonization (Fel et al. 2022) compares human maps with the gradient of the true class's logit by
the image, on five levels of a pyramid: a second pass backwards, through the first. GALA compares
them with its attention, which the pass forwards has made. The peer is the package's own
`harmonizer_loss`, around our ResNet-50, optimizer and batches; every image has a map. Label
smoothing of 0.1 and weight decay on all but batch normalisation's variables are that function's.

The networks run in turn (`workers`), on the GPU where there is one; `tables` explains the columns.
"""

import importlib.util

from absl import flags
from parts import workers

from gala_tf import command

workers.define_flags()

LABELS, GALA = "ResNet-50, labels only", "GALA-ResNet-50, maps on attention"
HARMONIZED = "ResNet-50, maps on gradients"


def specs(shared: dict) -> dict[str, dict]:
    """{network: arguments of `workers.Worker`}, from those that all have."""

    def ours(*arguments):
        return {"kind": "ours", **shared, "flags": [*shared["flags"], *arguments]}

    return {
        LABELS: ours("--attention=none", "--map_loss_weight=0"),
        GALA: ours("--attention=gala", "--map_loss_weight=6"),
        HARMONIZED: {"kind": "harmonization", **shared},
    }


def main() -> None:
    """Measures all three; prints a table."""
    if importlib.util.find_spec("harmonization") is None:
        raise ValueError(
            "the package of Fel et al. is not installed: pip install --no-deps harmonization==0.0.9"
        )
    results = workers.compare(
        specs(workers.shared_spec()), flags.FLAGS.steps, flags.FLAGS.repetitions
    )
    workers.report(results, {"labels": LABELS, "GALA": GALA})
    print(f"peer: harmonization {results[HARMONIZED]['versions']['harmonization']}")


if __name__ == "__main__":
    command.run(main)
