"""Runs the HLO that is compiled for a TPU on a CPU, with JAX: a process of its own.

    python -m gala_tf.tpu_checking.executing REQUEST.json

One device of the CPU stands for each core; all-reduces are executed between them. JAX is imported
late: it reads SETTINGS when it is, and only this process's environment has it.
"""

import json
import os
import sys

import numpy as np

from gala_tf.tpu_checking import compiling, replica_values

SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",  # the counter of steps is int64
    "TPU_SKIP_MDS_QUERY": "1",
}


def main(request: dict) -> None:
    """Runs a module as often as there are batches, from one step's values to the next.

    `request` is {"module": file of serialised HLO, "replicas", "variables", "arguments", "results":
    names in the module's order, "start": file of variables, "batches": files, "directories": where
    to write each run, "roundings": for each, by which part, at most, its start is off}. Writes
    `values<i>.npz` and `outputs<i>.npz` after step i.
    """
    with open(request["module"], "rb") as module:
        program = Program(module.read(), request["replicas"])
    names, results = request["variables"], request["results"]
    with replica_values.Saved(request["start"]) as saved:
        start = [saved[name] for name in names]
    for draw, directory in enumerate(request["directories"]):
        os.makedirs(directory, exist_ok=True)
        began = disturbed(start, request["roundings"][draw], seed=draw)
        values = program.place(began)
        for i, path in enumerate(request["batches"], 1):
            with replica_values.Saved(path) as batch:
                arguments = program.place([batch[name] for name in request["arguments"]])
            found = program.run([*values, *arguments])
            outputs, values = found[: len(results)], found[len(results) :]
            # As from the true start: what is compared is what the steps did.
            reached = [
                [v if v.dtype.kind != "f" else v - (b - s) for v, b, s in zip(*parts, strict=True)]
                for parts in zip(program.local(values), began, start, strict=True)
            ]
            for kind, named, arrays in (
                ("outputs", results, program.local(outputs)),
                ("values", names, reached),
            ):
                path = os.path.join(directory, f"{kind}{i}.npz")
                replica_values.save(path, dict(zip(named, arrays, strict=True)))


def disturbed(values: list, part: float, seed: int) -> list:
    """Arrays of replicas, floats multiplied by 1 +- `part` at most, those of a variable alike."""
    if not part:
        return values
    rng = np.random.default_rng(seed)
    found = []
    for replicas in values:
        factor = (1 + part * rng.uniform(-1, 1, replicas[0].shape)).astype(np.float32)
        floats = replicas[0].dtype.kind == "f"
        found.append([array * factor for array in replicas] if floats else replicas)
    return found


class Program:
    """A module, compiled for as many devices of the CPU as it has replicas."""

    def __init__(self, serialized: bytes, replicas: int):
        import jax
        from jax._src.interpreters import mlir
        from jax._src.lib import xla_client
        from jax._src.lib.mlir import ir

        self.devices = jax.devices("cpu")[:replicas]
        if len(self.devices) < replicas:
            raise ValueError(f"JAX has {len(self.devices)} devices for {replicas} replicas.")
        mesh = jax.sharding.Mesh(np.array(self.devices), ("replica",))
        # Each device has a whole array. JAX takes them for the same one, but does not look.
        self._whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        with mlir.make_ir_context():
            self._executable = self.devices[0].client.compile_and_load(
                ir.Module.parse(compiling.module_text(serialized)),
                executable_devices=xla_client.DeviceList(tuple(self.devices)),
                compile_options=compiling.options_for(self.devices),
            )

    def place(self, values: list) -> list:
        """Arrays of replicas, [array a replica], each on its device."""
        return list(map(self._place, values))

    def local(self, arrays: list) -> list:
        """What `run` gave, as arrays of replicas."""
        return [[np.asarray(part.data) for part in array.addressable_shards] for array in arrays]

    def _place(self, replicas):
        import jax

        parts = [
            jax.device_put(array, device)
            for array, device in zip(replicas, self.devices, strict=True)
        ]
        return jax.make_array_from_single_device_arrays(parts[0].shape, self._whole, parts)

    def run(self, arrays: list) -> list:
        """The module's results, from its parameters."""
        results = self._executable.execute_sharded(arrays).disassemble_into_single_device_arrays()
        import jax

        return [
            jax.make_array_from_single_device_arrays(parts[0].shape, self._whole, parts)
            for parts in results
        ]


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        request = json.load(file)
    os.environ.update(SETTINGS)
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} "
        f"--xla_force_host_platform_device_count={request['replicas']}"
    )
    main(request)
