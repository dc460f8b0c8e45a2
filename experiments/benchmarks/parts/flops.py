"""Floating-point operations of a traced function, by the shapes of its convolutions and products.

Element-wise work is not counted: these are the operations that a floor by FLOPs is made of. A
multiplication with an addition counts 2.
"""

import math


def count_flops(graph) -> int:
    """FLOPs of one run of a traced function's graph; bodies of loops and functions are left out.

    What nothing reads does not run, and does not count. ValueError: an operation whose shapes are
    not known.
    """
    return sum(_COUNTS[op.type](op) for op in _that_run(graph) if op.type in _COUNTS)


def _that_run(graph):
    """The operations that a function's results and effects depend on."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    found = set()
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return found


def _size(tensor):
    if not tensor.shape.is_fully_defined():
        raise ValueError(f"{tensor.name} of shape {tensor.shape}: FLOPs need static shapes.")
    return math.prod(tensor.shape)


def _convolution(small, kernel):
    """Every pixel at a convolution's end took the whole kernel of its channel."""
    return 2 * _size(small) * _size(kernel) // kernel.shape[-1]


def _product(op):
    left = op.inputs[0].shape
    transposed = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
    return 2 * _size(op.outputs[0]) * left[-2 if transposed else -1]


# Both gradients of a convolution cost what it costs: [2] is the gradient at its end.
_COUNTS = {
    "Conv2D": lambda op: _convolution(op.outputs[0], op.inputs[1]),
    "Conv2DBackpropInput": lambda op: _convolution(op.inputs[2], op.inputs[1]),
    "Conv2DBackpropFilter": lambda op: _convolution(op.inputs[2], op.outputs[0]),
    "MatMul": _product,
    "BatchMatMulV2": _product,
}
