"""TF_CONFIG is read strictly: a part that is wrong is named, before anything connects."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import small_data
import tensorflow as tf

from gala_tf.data import dataset_info
from gala_tf.distribution import cluster, strategy
from gala_tf.runs import directory
from gala_tf.training import checks, plan

ROOT = Path(__file__).resolve().parents[3]

WORKERS = ["gpu0:2222", "gpu1:2222"]


def read(jobs=None, task=None, **more):
    described = {"cluster": jobs or {"worker": WORKERS}, "task": task, **more}
    return cluster.from_environment({"TF_CONFIG": json.dumps(described)})


def test_workers_and_a_chief():
    found = read(task={"type": "worker", "index": 1}, environment="cloud")  # others' keys may be
    assert found == cluster.Cluster(("gpu0:2222", "gpu1:2222"), ("worker 0", "worker 1"), 1)
    assert found.describe(0) == "worker 0 (gpu0:2222)"
    jobs = {"worker": WORKERS, "chief": ["gpu9:1"]}
    assert read(jobs, {"type": "chief", "index": 0}).place == 0
    found = read(jobs, {"type": "worker", "index": "0"})  # some schedulers write a string
    assert found.place == 1 and found.describe(0) == "chief 0 (gpu9:1)"


@pytest.mark.parametrize("text", ["", "  ", None])
def test_unset_is_one_machine(text):
    assert cluster.from_environment({} if text is None else {"TF_CONFIG": text}) is None


@pytest.mark.parametrize("kind", ["worker", "chief"])
def test_a_single_task_is_one_machine(kind):
    assert read({kind: ["localhost:1"]}, {"type": kind, "index": 0}) is None


@pytest.mark.parametrize(
    "text, message",
    [
        ("{'cluster': 1}", r"TF_CONFIG must be JSON \(Expecting property name"),
        ("[]", "TF_CONFIG must be a JSON object with `cluster` and `task`. Received: '\\[\\]'"),
        ('{"clusters": {}}', "TF_CONFIG: cluster must be an object such as .* Received: None"),
        ('{"cluster": {}}', "TF_CONFIG: cluster must be an object such as"),
    ],
)
def test_no_cluster(text, message):
    with pytest.raises(ValueError, match=message):
        cluster.from_environment({"TF_CONFIG": text})


@pytest.mark.parametrize(
    "jobs, task, message",
    [
        (None, None, 'task must be an object such as {"type": "worker", "index": 0}'),
        (None, {"index": 0}, "task.type must be one of the cluster's: worker. Received: None"),
        (None, {"type": "chief", "index": 0}, "task.type must be one of .*: worker. .*'chief'"),
        (None, {"type": "worker"}, "task.index must be 0 to 1, since cluster.worker lists 2"),
        (None, {"type": "worker", "index": 2}, "task.index must be 0 to 1.* Received: 2"),
        (None, {"type": "worker", "index": -1}, "task.index must be .* Received: -1"),
        (None, {"type": "worker", "index": True}, "task.index must be .* Received: True"),
        ({"ps": ["a:1"], "worker": WORKERS}, None, "cluster.ps must be only `worker`, .* Start no"),
        ({"evaluator": ["a:1"]}, None, "cluster.evaluator must be only `worker`"),
        ({"worker": []}, None, r"cluster.worker must be a list of host:port. Received: \[\]"),
        ({"worker": {"0": "a:1"}}, None, "cluster.worker must be a list of host:port"),
        ({"worker": ["gpu0"]}, None, "cluster.worker must be host:port in each .* 'gpu0'"),
        ({"worker": ["gpu0:0"]}, None, "must be host:port in each place.* 'gpu0:0'"),
        ({"worker": ["gpu0:70000"]}, None, "must be host:port in each place.* 'gpu0:70000'"),
        ({"worker": [3]}, None, "must be host:port in each place.* Received: 3"),
        ({"chief": ["a:1", "b:1"]}, None, "cluster.chief must be one task"),
        (
            {"worker": ["a:1", "a:1"]},
            {"type": "worker", "index": 0},
            "cluster must be an address of its own for each task. Received: 'a:1'",
        ),
    ],
)
def test_the_part_that_is_wrong_is_named(jobs, task, message):
    with pytest.raises(ValueError, match=message) as error:
        read(jobs, task)
    assert "For one machine unset TF_CONFIG" in str(error.value)
    readme, title = re.search(r'see (\S+\.md), "(.*)"', str(error.value)).groups()
    assert f"## {title}\n" in (ROOT / readme).read_text()


@pytest.mark.parametrize("flags", [{"tpu": "local"}, {"cpu_devices": 2}])
def test_a_cluster_excludes_other_hardware_flags(flags):
    (name, value), group = flags.popitem(), read(task={"type": "worker", "index": 0})
    with pytest.raises(ValueError, match=f"names 2 tasks, .* with --{name}={value}: drop one"):
        strategy.make_strategy(**{name: value}, group=group)


def test_every_host_needs_shards_of_its_own(data_dir):
    info = dataset_info.load_info(str(data_dir))  # 40 images in shards of 14, 13 and 13
    assert plan.examples_by_host(info, "train", 1) == [40]
    assert plan.examples_by_host(info, "train", 2) == [27, 13]
    with pytest.raises(ValueError, match="'train' of squares leaves host 3 of 4 .* --num_shards=4"):
        plan.examples_by_host(info, "train", 4)
    run_config = small_data.small_config(data_dir, "RUN")
    for check in (
        lambda: checks.prepare_data(run_config, 4),  # before connecting
        lambda: plan.make_plan(run_config, info, 8, 4),  # TPUs: hosts are known only then
    ):
        with pytest.raises(ValueError, match="leaves host 3 of 4"):
            check()


def test_several_machines_do_not_build_the_data_set_at_once(tmp_path):
    run_config = small_data.small_config(tmp_path / "none", "RUN", build_data_with="quickstart")
    with pytest.raises(ValueError, match="2 machines would build it at once. .* --source=quicks"):
        checks.prepare_data(run_config, 2)
    assert not (tmp_path / "none").exists()


def test_a_run_resumes_on_as_many_hosts_as_it_began():
    run_config = small_data.small_config("DATA", "RUN")
    place = {"replicas": 8, "hosts": 2, "map_resize": "bicubic"}
    with pytest.raises(ValueError, match=r"began on other hardware \(hosts: was 1, is 2\)"):
        checks.check_place(run_config, place, {**place, "hosts": 1})


def test_what_must_be_the_same_everywhere(data_dir):
    info = dataset_info.load_info(str(data_dir))
    one, other = (
        directory.identity(small_data.small_config(data_dir, "RUN", **changes), info)
        for changes in ({}, {"momentum": 0.8, "steps_per_loop": 7})
    )
    assert {name for name in one if one[name] != other[name]} == {"--momentum"}
    renamed = dataclasses.replace(info, seed=7)
    again = directory.identity(small_data.small_config(data_dir, "RUN"), renamed)
    assert [name for name in one if one[name] != again[name]] == [
        "the data set (dataset_info.json)"
    ]


def test_hosts_of_one_process():
    assert strategy.hosts(tf.distribute.OneDeviceStrategy("/cpu:0")) == 1


def test_an_empty_description_is_one_machine():
    assert cluster.from_environment({"TF_CONFIG": "{}"}) is None
