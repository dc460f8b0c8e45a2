"""One string, and what hardware there is, make a strategy."""

import json
import socket
import subprocess
import sys
import types

import pytest
import tensorflow as tf

from gala_tf.distribution.strategy import make_strategy


def test_one_cpu():
    strategy = make_strategy()
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.num_replicas_in_sync == 1
    with strategy.scope():
        assert "CPU:0" in tf.Variable(0.0).device


@pytest.mark.parametrize(
    "count, expected",
    [
        (1, ("OneDeviceStrategy", "/device:GPU:0")),
        (3, ("MirroredStrategy", ["/device:GPU:0", "/device:GPU:1", "/device:GPU:2"])),
    ],
)
def test_all_gpus_that_are_there(monkeypatch, count, expected):
    gpus = [types.SimpleNamespace(name=f"/device:GPU:{i}") for i in range(count)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: gpus)
    for kind in ("OneDeviceStrategy", "MirroredStrategy"):
        monkeypatch.setattr(tf.distribute, kind, lambda devices, kind=kind: (kind, devices))
    assert make_strategy() == expected


def test_conflicting_flags():
    with pytest.raises(ValueError, match="--cpu_devices=2 makes no sense with --tpu=v3; drop one"):
        make_strategy(tpu="v3", cpu_devices=2)


def test_tpu_that_cannot_be_found(monkeypatch):
    """A name is looked up over the network, which is not there; the error says what to do."""

    def no_network(*_, **__):
        raise OSError("no network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, no_network)
    with pytest.raises(ValueError, match="--tpu=no-such-tpu: no TPU could be reached") as error:
        make_strategy(tpu="no-such-tpu", tpu_zone="nowhere-1a", gcp_project="nobody")
    for remedy in ("--tpu=local", "--tpu_zone and --gcp_project", "leave the flag away"):
        assert remedy in str(error.value)


@pytest.mark.parametrize("zone, project", [("z", "p"), ("", "")])
def test_errors_of_the_tpu_client_keep_their_cause(monkeypatch, zone, project):
    asked = []

    def resolver(*arguments, **names):
        asked.append((arguments, names))
        raise KeyError("ipAddress")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolver)
    with pytest.raises(ValueError, match=r"\(KeyError: 'ipAddress'\)") as error:
        make_strategy(tpu="v3", tpu_zone=zone, gcp_project=project)
    assert isinstance(error.value.__cause__, KeyError)
    assert asked == [(("v3",), {"zone": zone or None, "project": project or None})]


def test_devices_cannot_be_added_later():
    tf.constant(0.0)  # the process has its devices now
    count = len(tf.config.list_logical_devices("CPU"))
    with pytest.raises(
        ValueError,
        match=f"--cpu_devices={count + 1}: the process already has "
        f"{count} CPU devices; start a new one",
    ):
        make_strategy(cpu_devices=count + 1)


LOGICAL_CPUS = """
import json
import tensorflow as tf
from gala_tf.distribution.strategy import make_strategy

strategy = make_strategy(cpu_devices=3)
again = make_strategy(cpu_devices=2)  # of the devices that are there already
with strategy.scope():
    variable = tf.Variable(1.0)

@tf.function
def total():
    def replica():
        context = tf.distribute.get_replica_context()
        mine = variable * 10.0 ** tf.cast(context.replica_id_in_sync_group, tf.float32)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
    return strategy.run(replica)

print(json.dumps({
    "kind": type(strategy).__name__,
    "replicas": [strategy.num_replicas_in_sync, again.num_replicas_in_sync],
    "devices": [v.device[-5:] for v in strategy.experimental_local_results(variable)],
    "totals": [float(v) for v in strategy.experimental_local_results(total())],
}))
"""


@pytest.mark.slow
def test_several_logical_cpus():
    result = subprocess.run([sys.executable, "-c", LOGICAL_CPUS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads(result.stdout.splitlines()[-1]) == {
        "kind": "MirroredStrategy",
        "replicas": [3, 2],
        "devices": ["CPU:0", "CPU:1", "CPU:2"],
        "totals": [111, 111, 111],
    }
