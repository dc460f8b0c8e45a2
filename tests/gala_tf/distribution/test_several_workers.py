"""Two processes with TF_CONFIG on this machine compute what one process does; and losing one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import small_data
import tensorflow as tf

from gala_tf.runs import checkpoints, logs

FLAGS = dict(test_split="test", epochs=3.0, checkpoint_every_steps=2, steps_per_loop=2)
MINUTES = 10  # a limit for what should never hang

# One process, two logical CPUs, and on each the batches that one of two hosts would read.
ONE_PROCESS = """
import sys
import tensorflow as tf
from gala_tf import config
from gala_tf.data import input_pipeline
from gala_tf.training import loop

original = input_pipeline.make_train_dataset

def of_two_hosts(*arguments, input_context, **names):
    parts = [
        original(*arguments, input_context=tf.distribute.InputContext(2, i, 2), **names)
        for i in range(2)
    ]
    return tf.data.Dataset.choose_from_datasets(parts, tf.data.Dataset.range(2).repeat())

input_pipeline.make_train_dataset = of_two_hosts
loop.train_and_evaluate(config.from_arguments(sys.argv[1:], "here"))
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def tf_config(ports, place):
    tasks = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return json.dumps({"cluster": tasks, "task": {"type": "worker", "index": place}})


def start(directory, arguments):
    """Both workers; `arguments` are of one or [of each]. Their output goes to worker-<i>.txt."""
    each = arguments if isinstance(arguments[0], list) else [arguments] * 2
    ports = free_ports(2)
    return [
        subprocess.Popen(
            [sys.executable, "-m", "gala_tf.train", *own],
            env={**os.environ, "TF_CONFIG": tf_config(ports, place)},
            stdout=open(directory / f"worker-{place}.txt", "w"),
            stderr=subprocess.STDOUT,
        )
        for place, own in enumerate(each)
    ]


def wait(workers):
    """Their exit statuses; none is left behind."""
    try:
        return [worker.wait(timeout=60 * MINUTES) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def output(directory, place):
    return (directory / f"worker-{place}.txt").read_text()


def last_line(directory, place):
    """The line that starts with `error:`; TensorFlow's threads may print after it."""
    return re.findall(r"error: (.*)", output(directory, place))[-1]


def weights(model_dir, which="checkpoints"):
    path, _ = checkpoints.complete(os.path.join(model_dir, which))[-1]
    reader = tf.train.load_checkpoint(os.path.join(path, checkpoints.PREFIX))
    types = reader.get_variable_to_dtype_map()
    return {name: reader.get_tensor(name) for name in types if types[name] == tf.float32}


def numbers(model_dir):
    return [
        {name: value for name, value in line.items() if name != "images_per_second"}
        for line in logs.read_metrics(model_dir)
    ]


def assert_close(mine, theirs, rtol, atol):
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=rtol, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """An uninterrupted run of two workers: its directory."""
    directory = tmp_path_factory.mktemp("two")
    run_config = small_data.small_config(data_dir, directory / "run", **FLAGS)
    statuses = wait(start(directory, small_data.flag_arguments(run_config)))
    assert statuses == [0, 0], output(directory, 0)[-2000:] + output(directory, 1)[-2000:]
    return directory


@pytest.mark.slow
def test_two_workers_compute_what_one_process_does(whole, data_dir, tmp_path):
    """Losses, gradient norms, validation, test results, and all weights and momenta."""
    run_config = small_data.small_config(data_dir, tmp_path, cpu_devices=2, **FLAGS)
    command = [sys.executable, "-c", ONE_PROCESS, *small_data.flag_arguments(run_config)]
    subprocess.run(command, check=True, timeout=60 * MINUTES)
    mine, theirs = numbers(tmp_path), numbers(whole / "run")
    assert len(mine) == len(theirs) > 8
    for a, b in zip(mine, theirs, strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - {"kind"}:
            assert b[name] == pytest.approx(a[name], rel=1e-4, abs=1e-6), name
    for which in ("checkpoints", "best"):
        # Sums in another order, over 15 steps: gradients differ in the seventh digit.
        assert_close(weights(tmp_path, which), weights(whole / "run", which), 1e-4, 1e-5)
    one, two = (
        json.loads((directory / "results-test.json").read_text())
        for directory in (tmp_path, whole / "run")
    )
    assert one["top1"] == two["top1"] and one["step"] == two["step"]
    assert one["maps"].keys() == two["maps"].keys()
    for name, scores in one["maps"].items():  # ranks may swap where values differ by an ulp
        assert two["maps"][name] == pytest.approx(scores, rel=1e-3)


@pytest.mark.slow
def test_only_the_chief_writes(whole):
    sessions = json.loads((whole / "run" / "environment.json").read_text())
    assert len(sessions) == 1
    events = [name for name in os.listdir(whole / "run") if "tfevents" in name]
    assert len(events) == 1
    assert "wrote " in output(whole, 0) and "wrote " not in output(whole, 1)
    steps = [line["step"] for line in numbers(whole / "run") if line["kind"] == "train"]
    assert steps == sorted(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_worker_ends_the_others_and_the_run_resumes(whole, data_dir, tmp_path, victim):
    """kill -9 of the chief, or of the other: no hang, a message, and the same weights in the end"""
    run_config = small_data.small_config(data_dir, tmp_path / "run", **FLAGS)
    workers = start(tmp_path, small_data.flag_arguments(run_config))
    rolling = os.path.join(run_config.model_dir, "checkpoints")
    while workers[victim].poll() is None:
        done = checkpoints.complete(rolling)
        if done and done[-1][1]["step"] >= 4:
            workers[victim].send_signal(signal.SIGKILL)
        time.sleep(0.02)
    killed = time.monotonic()
    statuses = wait(workers)
    assert time.monotonic() - killed < 60
    assert statuses[victim] == -signal.SIGKILL and statuses[1 - victim] == 1
    message = last_line(tmp_path, 1 - victim)
    assert re.match(rf"(worker {victim} \(127.0.0.1:\d+\)|another worker) is lost", message)
    assert "start the same command on all machines again" in message
    assert "Traceback" not in output(tmp_path, 1 - victim)

    assert wait(start(tmp_path, small_data.flag_arguments(run_config))) == [0, 0]
    assert "resumed at step" in output(tmp_path, 0) and "resumed at step" in output(tmp_path, 1)
    assert_close(weights(run_config.model_dir), weights(whole / "run"), 0, 0)
    assert numbers(run_config.model_dir) == numbers(whole / "run")


@pytest.mark.slow
def test_workers_that_differ_refuse_before_training(data_dir, tmp_path):
    """Other flags on one of them; then a run directory that is not shared."""
    one = small_data.small_config(data_dir, tmp_path / "run", **FLAGS)
    other = small_data.small_config(data_dir, tmp_path / "run", **{**FLAGS, "momentum": 0.8})
    arguments = [small_data.flag_arguments(run_config) for run_config in (one, other)]
    assert wait(start(tmp_path, arguments)) == [1, 1]
    for place in (0, 1):
        assert re.match(
            r"The workers do not agree on --momentum: '0.9' on worker 0 \(127.0.0.1:\d+\), '0.8' "
            r"on worker 1 .*Start the same command",
            last_line(tmp_path, place),
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_worker_that_never_comes_is_named():
    connect = "cluster.connect(cluster.from_environment(), seconds=3)"
    code = f"from gala_tf.distribution import cluster; {connect}"
    for place in (0, 1):
        ports = free_ports(2)
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TF_CONFIG": tf_config(ports, place)},
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
        )
        assert result.returncode == 1
        waits = f"worker {place} (127.0.0.1:{ports[place]}) waits up to 3 s for worker {1 - place} "
        assert waits in result.stderr and "Timeout (0:00:03)!" in result.stderr


@pytest.mark.slow
def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        ports = [taken.getsockname()[1], *free_ports(1)]
        code = (
            "from gala_tf.distribution import cluster; cluster.connect(cluster.from_environment())"
        )
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TF_CONFIG": tf_config(ports, 0)},
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
        )
    assert result.returncode == 1
    assert f"could not be joined as worker 0 (127.0.0.1:{ports[0]})" in result.stderr
    assert "Is the port free" in result.stderr
