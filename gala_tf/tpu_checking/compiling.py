"""Stage 2, a process of its own: HLO -> an executable of a TPU that is not there, with libtpu.

    python -m gala_tf.tpu_checking.compiling REQUEST.json

It uses private parts of JAX, which `environment.PINNED` fixes. Nothing is run. JAX is imported
late: it reads SETTINGS when it is, and only this process's environment has it.
"""

import json
import os
import re
import resource
import sys
import time

# libtpu looks for no hardware, and several compilations may run side by side.
SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_WORKER_ID": "0",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
TOO_MUCH = 2**48  # bytes no chip has


def main(request: dict) -> None:
    """Compiles a module, or describes a topology.

    `request` is {"topology", "result": JSON to write}, and to compile {"module": file of serialised
    HLO, "replicas", "variables", "outputs"}.
    """
    devices = topology_devices(request["topology"])
    if "module" in request:
        with open(request["module"], "rb") as module:
            result = compile_module(module.read(), request, devices[: request["replicas"]])
    else:
        result = describe(devices)
    with open(request["result"], "w") as file:
        json.dump(result, file, indent=1)


def topology_devices(topology: str) -> list:
    """The devices of `v3:2x2x1`, or of `v4:2x2x2:megacore`, whose chips are one device each.

    ValueError: libtpu knows no such topology.
    """
    from jax.experimental import topologies

    generation, shape, *chip = topology.split(":")
    options = {"chip_config_name": chip[0]} if chip else {}
    try:
        found = topologies.get_topology_desc(f"{generation}:{shape}", platform="tpu", **options)
    except Exception as error:  # libtpu's own kinds
        raise ValueError(f"--topology={topology}: {str(error).splitlines()[0]}") from error
    return list(found.devices)


def describe(devices) -> dict:
    """{"devices", "kind", "devices_per_chip", "hbm_bytes"}: what libtpu says of a topology."""
    chips = {tuple(device.coords) for device in devices}
    return {
        "devices": len(devices),
        "kind": devices[0].device_kind,
        "devices_per_chip": len(devices) // len(chips),
        "hbm_bytes": memory_limit(devices[0]),
    }


def memory_limit(device) -> int | None:
    """HBM a program may use, bytes: from the compiler's refusal of one that needs more."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import SingleDeviceSharding

    here = SingleDeviceSharding(device)
    add_up = jax.jit(lambda x: jnp.sin(x).sum(), in_shardings=here, out_shardings=here)
    try:
        add_up.lower(jax.ShapeDtypeStruct((TOO_MUCH // 4096, 1024), jnp.float32)).compile()
    except jax.errors.JaxRuntimeError as error:
        return sizes_in(str(error))["available"]
    return None


def compile_module(serialized: bytes, sizes: dict, devices: list) -> dict:
    """Compiles for `devices`, one replica each; `sizes` are {"variables", "outputs"}.

    Returns {"compiles", "seconds", "process_bytes"}, with memory (bytes a core), `flops` and
    `bytes_accessed` (a core and step) where it compiles, else `error`, `needed`, `available`.
    """
    import jax
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax._src.lib.mlir import ir

    text = module_text(serialized)
    started = time.process_time()  # not the wall's: several may compile side by side
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        _share_memory(module, sizes)
        try:
            executable = devices[0].client.compile(
                module,
                executable_devices=xla_client.DeviceList(tuple(devices)),
                compile_options=options_for(devices),
            )
        except jax.errors.JaxRuntimeError as error:
            verdict = {"compiles": False, "error": str(error)[:4000], **sizes_in(str(error))}
        else:
            verdict = {"compiles": True, **_costs(executable)}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**verdict, "seconds": time.process_time() - started, "process_bytes": used}


def module_text(serialized: bytes) -> str:
    """Serialised HLO as the text of an MLIR module."""
    from jax._src.lib import _jax, xla_client

    return _jax.mlir.xla_computation_to_mlir_module(xla_client.XlaComputation(serialized))


def options_for(devices: list):
    """As TPUStrategy runs it: the same program on every core, each with its part of the batch."""
    import numpy as np
    from jax._src.lib import xla_client

    options = xla_client.CompileOptions()
    options.num_replicas, options.num_partitions = len(devices), 1
    assignment = np.array([[device.id] for device in devices])
    options.device_assignment = xla_client.DeviceAssignment.create(assignment)
    return options


def _share_memory(module, sizes):
    """New values of variables take the memory of the old, as on hardware.

    Parameter i, up to `variables`, gives its memory to result `outputs` + i.
    """
    from jax._src.lib.mlir import ir

    functions = [o for o in module.body.operations if o.operation.name == "func.func"]
    (main_function,) = [
        f for f in functions if ir.StringAttr(f.operation.attributes["sym_name"]).value == "main"
    ]
    integer = ir.IntegerType.get_signless(32)
    shared = [
        {"tf.aliasing_output": ir.IntegerAttr.get(integer, sizes["outputs"] + i)}
        for i in range(sizes["variables"])
    ]
    others = len(main_function.type.inputs) - len(shared)
    main_function.arg_attrs = ir.ArrayAttr.get(
        [ir.DictAttr.get(attributes) for attributes in [*shared, *[{}] * others]]
    )


def _costs(executable) -> dict:
    """Memory and arithmetic of an executable, as the compiler counts them; of one core."""
    memory, costs = executable.get_compiled_memory_stats(), executable.cost_analysis()
    costs = costs[0] if isinstance(costs, list) else costs
    return {
        "peak_bytes": memory.peak_memory_in_bytes,
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "shared_bytes": memory.alias_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "program_bytes": memory.generated_code_size_in_bytes,
        "flops": costs.get("flops", 0.0),
        "bytes_accessed": costs["bytes accessed"],
    }


def sizes_in(message: str) -> dict:
    """{"needed", "available"}: bytes of HBM that libtpu names when a program does not fit."""
    found = re.search(r"\(([\d.]+[KMGTP]?)\) exceeds available HBM \(([\d.]+[KMGTP]?)\)", message)
    if not found:
        found = re.search(r"Used ([\d.]+[KMGTP]?) of ([\d.]+[KMGTP]?) hbm", message)
    needed, available = map(_bytes, found.groups()) if found else (None, None)
    return {"needed": needed, "available": available}


def _bytes(text):
    """Bytes of "8.29G"."""
    unit = text[-1] if text[-1] in "KMGTP" else ""
    return round(float(text.removesuffix(unit)) * 1024 ** (" KMGTP".index(unit) if unit else 0))


if __name__ == "__main__":
    os.environ.update(SETTINGS)
    os.environ.pop("TPU_LIBRARY_PATH", None)  # of stage 1
    with open(sys.argv[1]) as file:
        main(json.load(file))
