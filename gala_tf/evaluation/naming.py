"""What a network is called, and the files of its evaluation."""

import re
from collections.abc import Mapping


def network_name(run_config) -> str:
    """The network in the paper's words, e.g. "GALA-ResNet-50 w/ maps"."""
    prefix = {"none": "", "se": "SE-", "gala": "GALA-", "gala_residual": "residual GALA-"}.get(
        run_config.attention, f"{run_config.attention}-"
    )
    blocks = ",".join(map(str, run_config.stage_blocks))
    size = f"({blocks})" if blocks else str(run_config.depth)
    if run_config.map_loss_weight > 0:
        suffix = {"clickmaps": " w/ maps", "boxes": " w/ b. boxes"}[run_config.map_source]
        if run_config.map_target == "attention":
            suffix += " on its attention"  # A, not the output U' as in the rows of the paper
    else:
        suffix = " no maps" if run_config.attention.startswith("gala") else ""
    return f"{prefix}ResNet-{size}{suffix}"


def result_name(split: str, numbers: Mapping) -> str:
    """What files of an evaluation have in their names: `<split>`, and how it differs.

    Numbers of other weights than the best, or under flags that change them, do not replace those:
    the name says what differs.
    """
    changed = [f"{name}={value}" for name, value in numbers["changed_flags"].items()]
    is_result = numbers["weights"] in ("best", "last")  # last: a run without validation
    parts = [split, *([] if is_result else [numbers["weights"]]), *changed]
    return re.sub(r"[^\w.,=-]+", "_", "-".join(parts))
