"""Several machines that train one network: what TF_CONFIG says, and how they are reached.

TF_CONFIG is TensorFlow's own environment variable, the same on all machines but for `task`:

    {"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": "worker", "index": 0}}

One more task of type `chief` may stand beside the workers. The chief, or else worker 0, is the
only one that writes files.
"""

import contextlib
import dataclasses
import faulthandler
import json
import os
import sys
from collections.abc import Mapping

import tensorflow as tf

VARIABLE = "TF_CONFIG"
TASK_TYPES = ("chief", "worker")
CONNECT_SECONDS = 600.0  # until all tasks must have been started


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Two tasks or more, one process each, and which of them this process is."""

    addresses: tuple[str, ...]  # host:port of every task, the chief's first
    task_names: tuple[str, ...]  # "worker 1", as in TF_CONFIG; same order
    place: int  # of this process among them; 0 is the chief

    def describe(self, place: int) -> str:
        """A task as error messages name it."""
        return f"{self.task_names[place]} ({self.addresses[place]})"


def from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that TF_CONFIG describes; None where it is unset, empty, or names one task.

    ValueError: TF_CONFIG is wrong; names the part, and what it should be.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        described = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong("", f"JSON ({error})", text) from error
    if not isinstance(described, dict):
        raise _wrong("", "a JSON object with `cluster` and `task`", text)
    if not described:
        return None  # managed machines set it so where there is one
    jobs, task = described.get("cluster"), described.get("task")
    if not isinstance(jobs, dict) or not jobs:
        raise _wrong("cluster", 'an object such as {"worker": ["host0:port", "host1:port"]}', jobs)
    for name, listed in jobs.items():
        _check_job(name, listed)
    if not isinstance(task, dict):
        raise _wrong("task", 'an object such as {"type": "worker", "index": 0}', task)
    kind, index = task.get("type"), task.get("index")
    if kind not in jobs:
        raise _wrong("task.type", f"one of the cluster's: {', '.join(jobs)}", kind)
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    # To isinstance, True would be task 1.
    if type(index) is not int or not 0 <= index < len(jobs[kind]):
        last = len(jobs[kind]) - 1
        raise _wrong("task.index", f"0 to {last}, since cluster.{kind} lists {last + 1}", index)
    # The chief's place is 0, also where it stands behind the workers.
    tasks = [(name, i) for name in TASK_TYPES for i in range(len(jobs.get(name, ())))]
    addresses = tuple(jobs[name][i] for name, i in tasks)
    twice = {address for address in addresses if addresses.count(address) > 1}
    if twice:
        raise _wrong("cluster", "an address of its own for each task", ", ".join(sorted(twice)))
    if len(tasks) == 1:
        return None
    return Cluster(addresses, tuple(f"{n} {i}" for n, i in tasks), tasks.index((kind, index)))


def connect(cluster: Cluster, seconds: float = CONNECT_SECONDS):
    """A `tf.distribute.MultiWorkerMirroredStrategy` of all tasks, once all have been started.

    Gradients go through NCCL between GPUs, else through TensorFlow's own ring. Call it before
    anything else touches a device. If some task is not there in `seconds`, the process ends with a
    message: TensorFlow would wait for ever, and not even SIGTERM would end it. ValueError: this
    task cannot be served at its address.
    """
    communication = tf.distribute.experimental.CommunicationImplementation
    gpus = tf.config.list_physical_devices("GPU")
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=communication.NCCL if gpus else communication.AUTO
    )
    with _limited(cluster, seconds):
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
            # The first sum over all tasks ends when all are there, with as many devices each.
            sums = tf.function(lambda: strategy.run(_sum_of_ones))()
            tf.nest.map_structure(lambda x: x.numpy(), strategy.experimental_local_results(sums))
        except (tf.errors.OpError, RuntimeError) as error:
            raise ValueError(
                f"{VARIABLE}: the workers could not be joined as "
                f"{cluster.describe(cluster.place)}: {error}. Is the port free, is this task "
                "started once only, do the other machines resolve that name and reach that port?"
            ) from error
    return strategy


def _sum_of_ones():
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([]))


@contextlib.contextmanager
def _limited(cluster, seconds):
    """Says what is waited for; ends the process, with status 1, after `seconds`."""
    others = [cluster.describe(i) for i in range(len(cluster.addresses)) if i != cluster.place]
    print(
        f"{cluster.describe(cluster.place)} waits up to {seconds:.0f} s for {', '.join(others)}. "
        "Should it end with `Timeout!`: start the same command on all machines, with that task's "
        "own `task`; each must reach the others' ports, and have as many GPUs as the others.",
        file=sys.stderr,
        flush=True,
    )
    # TensorFlow waits with Python's lock held, so that no thread of Python could watch it.
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _check_job(name, listed):
    if name not in TASK_TYPES:
        raise _wrong(
            f"cluster.{name}",
            "only `worker`, and at most one `chief`: here all tasks train, and the chief evaluates "
            "with them. Start no ps or evaluator, and leave them out",
            listed,
        )
    if not isinstance(listed, list) or not listed:
        raise _wrong(f"cluster.{name}", "a list of host:port", listed)
    for address in listed:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise _wrong(f"cluster.{name}", "host:port in each place, such as gpu0:2222", address)
    if name == "chief" and len(listed) > 1:
        raise _wrong("cluster.chief", "one task", listed)


def _wrong(part, expected, received):
    name = f"{VARIABLE}: {part}" if part else VARIABLE
    return ValueError(
        f"{name} must be {expected}. Received: {received!r}. For one machine unset {VARIABLE}; for "
        'several see gala_tf/training/README.md, "More than one machine".'
    )
