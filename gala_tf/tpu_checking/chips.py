"""What a chip of each TPU generation can do at best: the denominators of every floor.

Peak bfloat16 arithmetic and HBM bandwidth of a chip. v2, v3: Jouppi et al., "A domain-specific
supercomputer for training deep neural networks", Communications of the ACM 63(7), 2020, Table 3.
v4: Jouppi et al., "TPU v4", ISCA 2023, Table 4. v5e, v5p, v6e: Google Cloud's pages "TPU v5e",
"TPU v5p" and "TPU v6e", section "System architecture". How much HBM a program may use is not in the
table: libtpu is asked (`compiling.memory_limit`).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peak `flops` (bfloat16, 1/s) and HBM `bandwidth` (bytes/s) of one chip."""

    flops: float
    bandwidth: float


CHIPS = {
    "v2": Chip(46e12, 700e9),
    "v3": Chip(123e12, 900e9),
    "v4": Chip(275e12, 1200e9),
    "v5e": Chip(197e12, 819e9),
    "v5p": Chip(459e12, 2765e9),
    "v6e": Chip(918e12, 1640e9),
}


def chip_of(topology: str) -> Chip:
    """The chip of `v3:2x2x1`, generation before the colon, chips in each direction after it.

    Raises:
        ValueError: a generation that is not in CHIPS, or another form.
    """
    generation, colon, _ = topology.partition(":")
    if generation not in CHIPS or not colon:
        raise ValueError(
            f"--topology={topology}: expected GENERATION:CHIPS, such as v3:2x2x1 for the eight "
            f"cores of a v3-8, with a generation of {', '.join(CHIPS)}."
        )
    return CHIPS[generation]
