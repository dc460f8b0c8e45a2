"""Reads the text of an HLO module: its instructions, and the arithmetic of its matrix products."""

import dataclasses
import math
import re
from collections.abc import Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of an array: element type, dimensions, and whether one may be less at run time."""

    dtype: str
    dims: tuple[int, ...]
    dynamic: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.dims)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction."""

    opcode: str  # `add`, `convolution`,
    shapes: tuple[Shape, ...]  # of its result: one, or several for a tuple
    operands: tuple[Shape, ...]  # shapes of its operands; a tuple's, flat
    attributes: str  # the text after the operands
    # Operation, node: the TensorFlow operation it is from, type and name; may be empty
    operation: str
    node: str

    def attribute(self, name: str) -> str:
        """The value of `name={...}`, without braces, or of `name=word`; empty if there is none."""
        found = re.search(rf"\b{name}=(?:\{{([^}}]*)\}}|([^\s,]+))", self.attributes)
        return (found[1] if found[1] is not None else found[2]) if found else ""


_LINE = re.compile(r"^\s+(?:ROOT )?%?(?P<name>[\w.\-]+) = (?P<rest>.*)$")
_SHAPE = re.compile(r"\b([a-z]+[0-9]*(?:e\d+m\d+\w*)?)\[([\d,<= ]*)\]")
_CALL = re.compile(r"\s*(?P<opcode>[a-z][\w\-]*)\(")


def instructions(text: str) -> Iterator[Instruction]:
    """All instructions of all computations of a module.

    `text` is as XLA prints it, with or without the shapes of operands.
    """
    shapes_of: dict[str, tuple[Shape, ...]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        rest = re.sub(r"/\*.*?\*/", "", match["rest"])
        if rest.startswith("("):  # the type of a tuple, which holds blanks
            result, rest = _parenthesised(rest)
        else:
            result, _, rest = rest.partition(" ")
        call = _CALL.match(rest)
        if not call:
            continue
        inside, attributes = _parenthesised(rest[call.end() - 1 :])
        shapes = shapes_of[match["name"]] = _shapes(result)
        operands = _shapes(inside) if call["opcode"] not in ("constant", "parameter") else ()
        if not operands:  # printed by name alone
            names = re.findall(r"[\w.\-]+", inside)
            operands = tuple(shape for name in names for shape in shapes_of.get(name, ()))
        origin = (_quoted(attributes, name) for name in ("op_type", "op_name"))
        yield Instruction(call["opcode"], shapes, operands, attributes, *origin)


def multiply_adds(instruction: Instruction) -> int:
    """Multiply-adds of a `dot` or a `convolution`; products with padding do not count.

    ValueError: another instruction.
    """
    if instruction.opcode == "dot":
        contracted = [int(i) for i in instruction.attribute("lhs_contracting_dims").split(",") if i]
        depth = math.prod(instruction.operands[0].dims[i] for i in contracted)
        return instruction.shapes[0].elements * depth
    if instruction.opcode != "convolution":
        raise ValueError(f"{instruction.opcode} is no matrix product.")
    inputs, kernel, output = re.match(
        r"(\w+)_(\w+)->(\w+)", instruction.attribute("dim_labels")
    ).groups()
    (left, right), result = instruction.operands[:2], instruction.shapes[0]
    window = instruction.attribute("window")
    total = right.dims[kernel.index("i")]
    total *= result.dims[output.index("b")] * result.dims[output.index("f")]
    # Both gradients are convolutions, too: of inputs that are dilated, or by kernels that are.
    for axis in (label for label in kernel if label.isdigit()):
        place = int(axis)
        total *= _pairs(
            left.dims[inputs.index(axis)],
            right.dims[kernel.index(axis)],
            result.dims[output.index(axis)],
            stride=_window(window, "stride", place, 1),
            low=_window(window, "pad", place, 0),
            input_dilation=_window(window, "lhs_dilate", place, 1),
            kernel_dilation=_window(window, "rhs_dilate", place, 1),
        )
    return total // int(instruction.attribute("batch_group_count") or 1)


def _pairs(size, kernel, output, *, stride, low, input_dilation, kernel_dilation):
    """How many pairs (place of the output, tap) of an axis meet a real element of the input."""
    places = np.arange(output)[:, None] * stride + np.arange(kernel) * kernel_dilation - low
    inside = (places >= 0) & (places <= (size - 1) * input_dilation)
    return int((inside & (places % input_dilation == 0)).sum())


def _window(window, name, place, default):
    """The number of an axis in `window={size=3x3 pad=1_1x1_1}`; of a padding the lower one."""
    found = re.search(rf"\b{name}=(\S+)", window)
    return int(found[1].split("x")[place].split("_")[0]) if found else default


def _shapes(text):
    return tuple(
        Shape(dtype, tuple(int(d.strip("<= ")) for d in dims.split(",") if d.strip()), "<" in dims)
        for dtype, dims in _SHAPE.findall(text)
    )


def _parenthesised(text):
    """(what is inside the parenthesis that begins `text`, what follows it)."""
    depth = 0
    for match in re.finditer(r'[()]|"[^"]*"', text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return text[1 : match.start()], text[match.end() :]
    return text[1:], ""


def _quoted(attributes, name):
    found = re.search(rf'\b{name}="([^"]*)"', attributes)
    return found[1] if found else ""
