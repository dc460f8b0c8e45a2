"""A traced step as a pure function: variables go in as values and come out as new values.

TensorFlow lowers a function for a device that is not there only if nothing in it touches a
resource. So a read becomes the variable's value of the moment, and an assignment its successor, in
the order in which the step was traced, which is the order in which it runs.
"""

import tensorflow as tf

# What an assignment's new value is computed with, from the old one and the operand.
UPDATES = {"AssignAddVariableOp": "AddV2", "AssignSubVariableOp": "Sub"}


class NotPureError(ValueError):
    """The step does with a resource what has no pure form here; the message names the operation."""


class PureStep:
    """`outputs, new_values = pure_step(values, arguments)`: flat lists of tensors.

    Of a traced step, a `tf.types.experimental.ConcreteFunction`. Call it inside a `tf.function`,
    with tensors of its graph; `values` are in the order of `variables`.

    NotPureError: a resource that is no variable (a lookup table, a random generator), or an
    operation on a variable that neither reads nor assigns, such as a loop that takes it in.
    """

    def __init__(self, function):
        inputs, captured = list(function.inputs), function.captured_inputs
        own, inner = inputs[: len(inputs) - len(captured)], inputs[len(inputs) - len(captured) :]
        self.arguments = [tf.TensorSpec(x.shape, x.dtype) for x in own]  # the step's own, flat
        self._argument_names = [x.name for x in own]
        self._output_names = [x.name for x in function.outputs]
        self._constants = {}  # {name of a captured tensor: its value}
        # The tf.Variables that it reads or writes, and names of the nodes that stand for them.
        self.variables, holders = [], []
        by_handle = {id(variable.handle): variable for variable in function.variables}
        for outer, placeholder in zip(captured, inner, strict=True):
            if placeholder.dtype != tf.resource:
                self._constants[placeholder.name] = outer.numpy()
            elif id(outer) in by_handle:
                self.variables.append(by_handle[id(outer)])
                holders.append(placeholder.op.name)
            else:
                raise NotPureError(
                    f"The step uses a resource that is no tf.Variable, {placeholder.op.name!r}: a "
                    "table, a random generator or an iterator cannot be compiled into a step."
                )
        self._holders = [f"{holder}:0" for holder in holders]
        graph, self._successors = _without_resources(
            function.graph, holders, {x.op.name for x in inputs}
        )
        # As TensorFlow runs it: gradients that nobody asked for are traced, but never computed.
        effects = [operation.name for operation in function.graph.control_outputs]
        self._graph = _needed(graph, [*self._output_names, *self._successors, *effects])
        self.outputs = len(self._output_names)
        self.operations = {node.name for node in self._graph.node}  # those that are kept

    def __call__(self, values, arguments):
        given = dict(
            zip([*self._argument_names, *self._holders], [*arguments, *values], strict=True)
        )
        given |= {name: tf.constant(value) for name, value in self._constants.items()}
        # TensorFlow refuses a map of inputs that the graph does not use, and gives back nothing
        # that was put in: an output that is an argument, a variable that stays as it was.
        used = {_tensor_name(name) for node in self._graph.node for name in node.input}
        wanted = [*self._output_names, *self._successors]
        results = iter(
            tf.graph_util.import_graph_def(
                self._graph,
                input_map={name: tensor for name, tensor in given.items() if name in used},
                return_elements=[name for name in wanted if name not in given],
                name="",
            )
        )
        found = [given[name] if name in given else next(results) for name in wanted]
        return found[: self.outputs], found[self.outputs :]


def _without_resources(graph, holders, placeholders):
    """The graph without its placeholders and variables, and where the variables' values end up.

    `holders` are names of the placeholders that stand for variables, `placeholders` of all. Returns
    (GraphDef, names of the tensors that hold the values at the end); it refers to `<holder>:0` for
    a variable's value at the beginning.
    """
    pure = tf.compat.v1.GraphDef()
    pure.library.CopyFrom(graph.as_graph_def().library)
    pure.versions.CopyFrom(graph.as_graph_def().versions)
    variable = {holder: i for i, holder in enumerate(holders)}  # of each name for a resource
    value = [f"{holder}:0" for holder in holders]  # of the moment
    for operation in graph.get_operations():  # in the order of tracing
        if operation.name in placeholders:
            continue
        node = tf.compat.v1.NodeDef()
        node.CopyFrom(operation.node_def)
        node.device = ""
        node.attr.pop("_class", None)  # "beside that resource", which is gone
        resources = [name for name in node.input if name in variable]
        if resources:
            _replace(node, resources, variable, value)
        pure.node.append(node)
    return pure, [_tensor_name(name) for name in value]


def _needed(graph, roots):
    """The part of a GraphDef that tensors or operations named `roots` depend on."""
    nodes = {node.name: node for node in graph.node}
    waiting, found = [_node_name(root) for root in roots], set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting += map(_node_name, nodes[name].input)
    needed = tf.compat.v1.GraphDef()
    needed.CopyFrom(graph)
    del needed.node[:]
    needed.node.extend(node for node in graph.node if node.name in found)
    return needed


def _node_name(name):
    """The operation of a tensor `a:1`, or of a control input `^a`."""
    return name.removeprefix("^").partition(":")[0]


def _replace(node, resources, variable, value):
    """Writes a node on a variable without it; notes the variable's new value in `value`."""
    control = [name for name in node.input if name.startswith("^")]
    operands = [name for name in node.input if not name.startswith("^")]
    index = variable[operands[0]] if operands[0] in variable else None
    dtype = node.attr["dtype"].type
    if len(resources) > 1 or index is None:
        raise _not_pure(node)
    if node.op == "Identity":  # of a resource: another name of the same variable
        variable[node.name] = index
        _become(node, "NoOp", control)
    elif node.op == "ReadVariableOp":
        _become(node, "Identity", [value[index], *control], dtype)
    elif node.op == "AssignVariableOp":  # later reads see what was assigned
        value[index] = operands[1]
        _become(node, "NoOp", control)
    elif node.op in UPDATES:
        _become(node, UPDATES[node.op], [value[index], operands[1], *control], dtype)
        value[index] = node.name
    else:
        raise _not_pure(node)


def _become(node, op, inputs, dtype=None):
    """Makes `node` another operation of the same name, so that references to it stay right."""
    node.op = op
    del node.input[:]
    node.input.extend(inputs)
    node.attr.clear()
    if dtype is not None:
        node.attr["T"].type = dtype


def _not_pure(node):
    return NotPureError(
        f"{node.op} ({node.name}) takes a variable. A step may read and assign variables "
        f"({', '.join(['ReadVariableOp', 'AssignVariableOp', *UPDATES])}), outside loops, branches "
        "and functions of its own."
    )


def _tensor_name(name):
    """The name of a tensor from how a node refers to it: `a` means `a:0`."""
    return name if ":" in name or name.startswith("^") else f"{name}:0"
