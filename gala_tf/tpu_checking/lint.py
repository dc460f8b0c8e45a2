"""What the TPU compiler accepts and the hardware regrets: each rule, and what broke it.

float64   emulated, many times slower
int64     computed as pairs of 32-bit numbers; counters (one number) do not count
dynamic   shapes known only at run time: padded, and bounds passed around
matrix    matrix products in another type than bfloat16, the matrix unit's own: float32 operands
          take twice the memory traffic and at more than default precision several passes
host      calls that leave the device in the middle of a step
"""

import dataclasses
import re
from collections.abc import Iterable

from gala_tf.tpu_checking import hlo

RULES = ("float64", "int64", "dynamic", "matrix", "host")
# They neither compute nor decide how the result is laid out.
PASSIVE = {"parameter", "constant", "tuple", "get-tuple-element"}
DYNAMIC = {"set-dimension-size", "get-dimension-size", "dynamic-reshape"}
HOST = {"infeed", "outfeed", "send", "send-done", "recv", "recv-done"}
# Custom calls that are hints to the compiler or kernels of the device.
ON_DEVICE = {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape", "TopK"}
# The share of multiply-adds that may be in other types: heads and losses are float32 on purpose.
TOLERATED_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class Finding:
    """One operation that breaks a rule."""

    rule: str  # one of RULES
    operation: str  # operation, node: of TensorFlow, type and name
    node: str
    detail: str  # what it does, in the words of the module
    share: float = 0.0  # of all multiply-adds of the step; 0 where it is no matrix product


@dataclasses.dataclass(frozen=True)
class Lint:
    """All findings of a step."""

    findings: tuple[Finding, ...]  # in the order of the module
    shares: dict[str, float]  # {element types of the operands: share of all multiply-adds}
    multiply_adds: int  # of the step

    @property
    def faults(self) -> dict[str, list[Finding]]:
        """{rule: findings} of what should not stay; matrix products only if they are many."""
        broken = {rule: [f for f in self.findings if f.rule == rule] for rule in RULES}
        if sum(f.share for f in broken["matrix"]) <= TOLERATED_SHARE:
            broken["matrix"] = []
        return {rule: found for rule, found in broken.items() if found}


def lint(text: str, dynamic_operations: Iterable[dict] = ()) -> Lint:
    """Reads a step's module, HLO as XLA prints it (`lowering.lower`).

    `dynamic_operations` are `lowering.dynamic_operations`'.
    """
    # TensorFlow knows the operation where a shape became dynamic, XLA what became of it.
    findings = [
        Finding("dynamic", found["operation"], found["node"], f"shape {found['shape']}")
        for found in dynamic_operations
    ]
    products = []
    for instruction in hlo.instructions(text):
        findings += _check(instruction)
        if instruction.opcode in ("dot", "convolution"):
            products.append((instruction, hlo.multiply_adds(instruction)))
    total = sum(count for _, count in products)
    shares = {}
    for instruction, count in products:
        types = sorted({shape.dtype for shape in instruction.operands})
        name, share = ", ".join(types), count / max(total, 1)
        shares[name] = shares.get(name, 0.0) + share
        if types != ["bf16"]:
            findings.append(_finding("matrix", instruction, _product(instruction), share))
    return Lint(tuple(findings), shares, total)


def _check(instruction) -> list[Finding]:
    """Findings of all rules but that on matrix products."""
    shapes = [*instruction.shapes, *instruction.operands]
    types = {shape.dtype for shape in shapes}
    wide = max((s.elements for s in shapes if s.dtype in ("s64", "u64")), default=0)
    opcode, target = instruction.opcode, ""
    if opcode == "custom-call":
        found = re.search(r'custom_call_target="([^"]*)"', instruction.attributes)
        target = found[1] if found else ""
    active = opcode not in PASSIVE
    broken = {
        "float64": active and bool(types & {"f64", "c128"}),
        "int64": active and wide > 1,
        "dynamic": opcode in DYNAMIC,
        "host": opcode in HOST or bool(target and target not in ON_DEVICE),
    }
    detail = f"{opcode} {target}".strip() + " " + _text(instruction.shapes)
    return [_finding(rule, instruction, detail) for rule, breaks in broken.items() if breaks]


def _finding(rule, instruction, detail, share=0.0):
    return Finding(rule, instruction.operation, instruction.node, detail, share)


def _product(instruction):
    precision = instruction.attribute("operand_precision")
    text = f"{instruction.opcode} of {_text(instruction.operands)}"
    return text + (f" at precision {precision}" if precision else "")


def _text(shapes):
    return ", ".join(f"{s.dtype}[{','.join(map(str, s.dims))}]" for s in shapes[:3])
