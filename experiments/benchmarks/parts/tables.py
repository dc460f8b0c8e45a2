"""Tables of steps: what `workers.compare` found, as rows with ratios to peers of the same run.

GFLOP      a step's convolutions and matrix products, by the traced graph (`flops`), or as PyTorch
           counts them; - where nobody does
wall, cpu  seconds a step, medians; cpu is that of all threads
first      seconds of the first step, with tracing and compiling
floor      FLOPs / those of the first peer: as little as could be, if nothing else cost
/ PEER     times the peer's time, round by round: median (least-greatest)
imports    MiB of the process (of the GPU, where there is one) once everything is imported,
set-up     what the network and its batches add,
training   and what the steps add, at their peak
"""

import math
import statistics
from typing import NamedTuple


class Spread(NamedTuple):
    """Median, least and greatest of some measurements."""

    median: float
    least: float
    greatest: float

    def __str__(self):
        return f"{self.median:.2f} ({self.least:.2f}-{self.greatest:.2f})"


def spread(values: list[float]) -> Spread:
    """Of at least one number."""
    return Spread(statistics.median(values), min(values), max(values))


def clock(results: dict[str, dict]) -> str:
    """The clock to compare by: CPU time, which a busy machine disturbs less; on a GPU wall time."""
    facts = next(iter(results.values()))
    return "cpu" if facts["device"].startswith("CPU") else "wall"


def rows(results: dict[str, dict], peers: dict[str, str]) -> dict[str, dict]:
    """{network: {"gflop", "wall", "cpu", "first", three of MiB, "floor", heading: Spread}}.

    Of `workers.compare`'s results and peers, {heading: the network that others are compared with};
    the first one's FLOPs are the floor, if it has any. Peers that did not run have no column.
    """
    by = clock(results)
    ran = {heading: peer for heading, peer in peers.items() if peer in results}
    found = {}
    for name, own in results.items():
        found[name] = {
            "gflop": own["flops"] / 1e9 if own["flops"] else math.nan,
            **{key: statistics.median(r[key] for r in own["rounds"]) for key in ("wall", "cpu")},
            "first": own["first_step_seconds"],
            **own["mib"],
            "training": own["rounds"][-1]["peak_mib"] - sum(own["mib"].values()),
        }
        if ran:
            least = results[next(iter(ran.values()))]["flops"]
            found[name]["floor"] = own["flops"] / least if own["flops"] and least else math.nan
        for heading, peer in ran.items():
            rounds = zip(own["rounds"], results[peer]["rounds"], strict=True)
            found[name][heading] = spread([a[by] / b[by] for a, b in rounds])
    return found


def text(table: dict[str, dict]) -> str:
    """The rows as text, under a head."""
    first = next(iter(table.values()))
    headings = [key for key, value in first.items() if isinstance(value, Spread)]
    columns = {"gflop": 1, "wall": 3, "cpu": 3, "first": 0}
    columns |= {"imports": 0, "set_up": 0, "training": 0}
    columns |= {"floor": 3} if "floor" in first else {}
    names = {"gflop": "GFLOP", "wall": "wall s", "cpu": "cpu s", "set_up": "set-up"}
    wide = max(map(len, table))
    lines = [
        " " * wide
        + "".join(f"{names.get(key, key):>9}" for key in columns)
        + "".join(f"{f'/ {heading}':>19}" for heading in headings)
    ]
    for name, row in table.items():
        numbers = "".join(
            f"{row[key]:>9.{digits}f}" if math.isfinite(row[key]) else f"{'-':>9}"
            for key, digits in columns.items()
        )
        lines.append(f"{name:<{wide}}{numbers}{''.join(f'{row[h]!s:>19}' for h in headings)}")
    return "\n".join(lines)


def verdict(words: str, value: float, target: float, at_least: bool) -> str:
    """A target, met or not."""
    met = value >= target if at_least else value <= target
    bound = "at least" if at_least else "at most"
    return f"{words}: {value:.3f}, target {bound} {target}: {'met' if met else 'MISSED'}"
