"""Where training runs: a TPU, all local GPUs, the CPU, or several machines of either.

As a `tf.distribute` strategy; and the memory of a process that computes.
"""

import ctypes
import socket

import tensorflow as tf

from gala_tf.distribution import cluster

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
NEVER, NONE = -1, 0


def make_strategy(
    tpu: str = "",
    tpu_zone: str = "",
    gcp_project: str = "",
    cpu_devices: int = 1,
    group: cluster.Cluster | None = None,
):
    """A strategy for the hardware that is there. Call it before anything else touches a device.

    `tpu` is `local` (on the TPU VM itself), a TPU's name, or `grpc://ip:8470`; empty for all local
    GPUs, or the CPU where there are none. Zone and project are of a TPU given by name; empty =
    those of this machine. `cpu_devices` logical CPUs share a batch, for tests; 1 = plain CPU. The
    machines of a `group` share the work, each with all its GPUs, or else its CPU. ValueError: the
    TPU cannot be found, or conflicting arguments.
    """
    if tpu and cpu_devices > 1:
        raise ValueError(f"--cpu_devices={cpu_devices} makes no sense with --tpu={tpu}; drop one.")
    if group and (tpu or cpu_devices > 1):
        flag = f"--tpu={tpu}" if tpu else f"--cpu_devices={cpu_devices}"
        raise ValueError(
            f"{cluster.VARIABLE} names {len(group.addresses)} tasks, which makes no sense with "
            f"{flag}: drop one. All hosts of a TPU are driven from one process."
        )
    if tpu:
        return _tpu_strategy(tpu, tpu_zone, gcp_project)
    if group:
        return cluster.connect(group)
    # Listing fixes the process' devices, and logical CPUs must be asked for before.
    gpus = tf.config.list_logical_devices("GPU") if cpu_devices == 1 else []
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    if gpus:
        return tf.distribute.OneDeviceStrategy(gpus[0].name)
    if cpu_devices > 1:
        return _logical_cpus(cpu_devices)
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def hosts(strategy) -> int:
    """Machines that feed a strategy's replicas, each from files of its own."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return len(cluster.from_environment().addresses)
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return strategy.extended.num_hosts
    return 1


def _tpu_strategy(tpu, tpu_zone, gcp_project):
    try:
        _check_reachable(tpu)
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu, zone=tpu_zone or None, project=gcp_project or None
        )
        if tpu != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # the client libraries raise their own, of many kinds
        raise ValueError(
            f"--tpu={tpu}: no TPU could be reached ({type(error).__name__}: {error}). On the TPU "
            "VM itself use --tpu=local; for a name, check --tpu_zone and --gcp_project and "
            "`gcloud auth application-default login`; without a TPU leave the flag away."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _check_reachable(tpu, seconds=10.0):
    """Raises OSError if nobody listens at grpc://host:port, where TensorFlow would hang."""
    if tpu.startswith("grpc://"):
        host, _, port = tpu.removeprefix("grpc://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=seconds).close()


def _logical_cpus(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:  # devices are in use already
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise ValueError(
                f"--cpu_devices={count}: the process already has "
                f"{len(tf.config.list_logical_devices('CPU'))} CPU devices; start a new one."
            ) from error
    return tf.distribute.MirroredStrategy(
        [f"/cpu:{i}" for i in range(count)],
        # The collective implementation clashes when a process makes several strategies.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def keep_freed_memory() -> bool:
    """Tells the C library's allocator to keep what is freed; says whether there was one to tell.

    A training step takes large blocks, frees them, and takes as many again in the next. glibc
    gives blocks above 32 MiB back to the system as soon as they are freed, and the system hands
    them out again page by page, filled with zeros: on a CPU 70,000 page faults a step of
    ResNet-50, 5 % of its time with 8 images, 1 % with 32. There is no `mallopt` to tell on macOS,
    on Windows, and with musl.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError, OSError):
        return False
    # Large blocks from the heap, too, and the end of the heap never given back.
    return bool(mallopt(M_MMAP_MAX, NONE)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
