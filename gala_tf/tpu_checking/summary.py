"""What a compiled step means on a chip: the least time it takes, the batch that fits, the table."""

import dataclasses

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peak `flops` (bfloat16, 1/s) and HBM `bandwidth` (bytes/s) of one chip."""

    flops: float
    bandwidth: float


# v2, v3: Jouppi et al., "A domain-specific supercomputer for training deep neural networks",
# Communications of the ACM 63(7), 2020, Table 3. v4: Jouppi et al., "TPU v4", ISCA 2023, Table 4.
# v5e, v5p, v6e: Google Cloud's pages "TPU v5e", "TPU v5p" and "TPU v6e", section "System
# architecture". How much HBM a program may use is not here: libtpu is asked
# (`compiling.memory_limit`).
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

    ValueError: a generation that is not in CHIPS, or another form.
    """
    generation, colon, _ = topology.partition(":")
    if generation not in CHIPS or not colon:
        raise ValueError(
            f"--topology={topology}: expected GENERATION:CHIPS, such as v3:2x2x1 for the eight "
            f"cores of a v3-8, with a generation of {', '.join(CHIPS)}."
        )
    return CHIPS[generation]


@dataclasses.dataclass(frozen=True)
class Floor:
    """The least time of a step, seconds, by arithmetic and by memory traffic.

    The compiler's count of bytes is of what its fused operations read and write, wherever that
    lies; what stays in a chip's faster memories does not pass HBM. So `bytes` is a floor of this
    program without such reuse, and `flops` one of any program.
    """

    flops: float
    bytes: float

    @property
    def seconds(self) -> float:
        return max(self.flops, self.bytes)


def floor(flops: float, bytes_accessed: float, chip: Chip, devices_per_chip: int) -> Floor:
    """The floor of a step from one core's arithmetic and bytes; a chip is of all its cores."""
    return Floor(
        flops * devices_per_chip / chip.flops, bytes_accessed * devices_per_chip / chip.bandwidth
    )


def batch_estimate(peak: float, fixed: float, batch: int, limit: float) -> int:
    """The batch a core would hold if memory grew in proportion, rounded down to a multiple of 8.

    Bytes: `peak` at `batch` images, `fixed` whatever the batch (the variables), `limit` there are.
    """
    return int((limit - fixed) / ((peak - fixed) / batch)) // 8 * 8


def table(report: dict) -> str:
    """The report of `tpu_check` as text for a screen."""
    lines = [
        f"{report['network']}, {report['precision']}, {report['image_size']} px, "
        f"{report['num_classes']} classes"
    ]
    for topology, found in report["topologies"].items():
        chip = found["chip"]
        lines += [
            "",
            f"{topology}: {found['devices']} x {found['kind']}, of each chip's "
            f"{chip['flops'] / 1e12:.0f} TFLOP/s and {chip['bandwidth'] / 1e9:.0f} GB/s one "
            f"{'half' if found['devices_per_chip'] == 2 else 'whole'}; "
            f"{found['batch_per_core']} images a core, "
            f"{found['batch_per_core'] * found['replicas']} in all",
            f"  {'step':<10}{'compiles':>9}{'HBM GiB':>9}{'of':>7}{'TFLOP':>8}{'GB':>8}"
            f"{'floor ms':>10}{'= flops':>9}{'bytes':>8}{'images/s':>10}",
        ]
        for name, step in found["steps"].items():
            lines += _step_lines(name, step)
        lines += _batch_lines(found)
    lines += ["", "verdict: " + ("passes" if report["passes"] else "; ".join(report["faults"]))]
    return "\n".join(lines)


def _step_lines(name, step):
    if step["stopped_by"]:
        row = f"  {name:<10}{'NO':>9}  {step['stopped_by']}"
    else:
        times = step["floor"]
        row = (
            f"  {name:<10}{'yes':>9}{step['peak_bytes'] / GIB:>9.2f}"
            f"{step['hbm_bytes'] / GIB:>7.2f}{step['flops'] / 1e12:>8.3f}"
            f"{step['bytes_accessed'] / 1e9:>8.1f}{1e3 * times['seconds']:>10.2f}"
            f"{1e3 * times['flops']:>9.2f}{1e3 * times['bytes']:>8.2f}"
            f"{times['images_per_second']:>10.0f}"
        )
    lines = [row]
    if step.get("lint"):
        shares = ", ".join(
            f"{100 * share:.2f} % {types}" for types, share in step["lint"]["shares"].items()
        )
        lines.append(f"    matrix products: {shares} (of their multiply-adds)")
        for rule, found in step["lint"]["faults"].items():
            # A rule is often broken by the same operation in every layer.
            lines += [f"    LINT {rule}: {_named(f)}" for f in found[:5]]
            if len(found) > 5:
                lines.append(f"    LINT {rule}: and {len(found) - 5} more, in the JSON")
    return lines


def _named(finding):
    share = f", {100 * finding['share']:.2f} % of all" if finding["share"] else ""
    name = f"{finding['operation']} ({finding['node']})" if finding["operation"] else "XLA's own"
    return f"{name}: {finding['detail']}{share}"


def _batch_lines(found):
    largest = found.get("largest_batch")
    if not largest:
        return []
    if "fits" in largest:
        over = f"{largest['too_large']} do not" if largest["too_large"] else "more were not tried"
        return [f"  largest batch: {largest['fits']} images a core fit, {over} (compiled)"]
    return [
        f"  largest batch: about {largest['estimate']} images a core, if memory grows in "
        "proportion (--find_batch compiles it)"
    ]
