"""Stage 1, a process of its own: a step -> HLO, with TensorFlow's kernels for TPUs.

    python -m gala_tf.tpu_checking.lowering REQUEST.json

Only the tensorflow-tpu build has those kernels; it needs no libtpu to lower. What is found is
written before each stage that may end the process, since some dynamic shapes do.

    STEP.json  facts and, if it could not be lowered, why
    STEP.hlo   the module as text, which the lint reads
    STEP.pb    the same, serialised, which libtpu compiles
"""

import json
import os
import re
import sys

import tensorflow as tf

from gala_tf import config
from gala_tf.tpu_checking import steps
from gala_tf.tpu_checking.pure_step import PureStep

# Their surplus outputs have shapes that only the kernel knows; nothing else uses them.
KERNEL_SHAPED = ("FusedBatchNorm",)


def main(request: dict) -> None:
    """Lowers a step and writes what is found.

    `request` is {"flags": of training, "step", "replicas", "num_classes", "platform": "TPU" or
    "CPU", "directory": where to write}.
    """
    base = os.path.join(request["directory"], request["step"])
    facts = {"step": request["step"], "replicas": request["replicas"]}

    def note(**more):
        facts.update(more)
        with open(f"{base}.json", "w") as file:
            json.dump(facts, file, indent=1)

    note(stage="tracing")
    try:
        run_config = config.from_arguments(request["flags"], "the request")
        sizes = request["replicas"], request["num_classes"]
        traced = steps.trace(request["step"], run_config, *sizes)
        step = PureStep(traced.function)
        dynamic = dynamic_operations(traced.function.graph, step.operations)
        note(stage="lowering", dynamic=dynamic, names=parameter_names(traced, step))
        text, serialized, sizes = lower(step, request["platform"])
    except Exception as error:  # whatever stops the step: the parent says it in its own words
        note(error=describe(error))
        return
    for ending, content in ((".hlo", text.encode()), (".pb", serialized)):
        with open(base + ending, "wb") as file:
            file.write(content)
    note(stage="done", **sizes)


def parameter_names(traced: steps.TracedStep, pure_step) -> dict:
    """{"variables", "arguments", "results"}: names of a module's, in its order."""
    by_variable = {id(v): path for path, v in steps.named_variables(traced.owner).items()}
    (batch,), _ = traced.function.structured_input_signature
    return {
        "variables": [by_variable[id(v)] for v in pure_step.variables],
        "arguments": steps.names_of(batch),
        "results": steps.names_of(traced.function.structured_outputs, "vector"),
    }


def lower(pure_step, platform: str = "TPU"):
    """A `PureStep` as HLO, for a "TPU" (needs the tensorflow-tpu build) or a "CPU".

    Returns (text, serialised module, {"variables", "outputs", "variable_bytes"}): parameter i of
    the module, up to `variables`, is a variable, and result `outputs` + i its new value.
    """
    count = len(pure_step.variables)

    @tf.function(jit_compile=True, autograph=False)
    def flat(*parameters):
        outputs, values = pure_step(parameters[:count], parameters[count:])
        return [*outputs, *values]

    # Specs, never tensors, which would be folded into the module and hide what is not constant.
    variables = [tf.TensorSpec(v.shape, v.dtype) for v in pure_step.variables]
    make = flat.experimental_get_compiler_ir(*variables, *pure_step.arguments)
    text = make(stage="hlo", platform_name=platform)
    serialized = make(stage="hlo_serialized", platform_name=platform)
    size = sum(spec.shape.num_elements() * spec.dtype.size for spec in variables)
    sizes = {"variables": count, "outputs": pure_step.outputs, "variable_bytes": size}
    return text, serialized, sizes


def dynamic_operations(graph, names) -> list[dict]:
    """Operations whose outputs have dimensions that tracing does not know, in order.

    What they come from comes first. Each {"operation", "node", "shape"}.
    """
    found = []
    for operation in graph.get_operations():
        if operation.name not in names or operation.type.startswith(KERNEL_SHAPED):
            continue
        shapes = [x.shape for x in operation.outputs]
        unknown = [s for s in shapes if s.rank is not None and not s.is_fully_defined()]
        if unknown:
            shape = str(unknown[0].as_list())
            found.append({"operation": operation.type, "node": operation.name, "shape": shape})
    return found


def describe(error: Exception) -> dict:
    """{"kind", "operations", "node", "message"}: what stopped the step, by name if it has one."""
    message = str(error)
    missing = re.findall(r"No registered '(\w+)' OpKernel", message)
    nodes = re.findall(r"\{\{(?:function_)?node ([^}]+)\}\}", message)
    return {
        "kind": type(error).__name__,
        "operations": sorted(set(missing)),
        "node": nodes[-1] if nodes else "",
        "message": message[:4000],
    }


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
